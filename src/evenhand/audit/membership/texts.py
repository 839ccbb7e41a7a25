"""Arrays of what the language models of a pool say of texts: the score of an attack for each model and text.

Every score is computed from the log-probabilities of a text's tokens (the table `tokens`), so another attack needs no
weights. s is a text's mean log-probability, `likelihood_score`:

| attack | φ, or the score itself |
|---|---|
| `lira`, `difficulty` | φ is s |
| `loss`, `rmia` | φ is the log-odds of e^s (`text_confidence`), so that the loss is s again, and RMIA compares e^s |
| `reference` | s minus the base model's s |
| `zlib`, `min_k`, `min_k_plus_plus` | the score of that name |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.design import MembershipDesign
from evenhand.audit.membership.attack import BASE
from evenhand.audit.membership.confidences import SPLITS, Answers
from evenhand.errors import InputError
from evenhand.metrics import (
    likelihood_score,
    min_k_plus_plus_score,
    min_k_score,
    reference_score,
    text_confidence,
    zlib_score,
)


def answers_about_texts(
    examples: pl.DataFrame,
    trials: Sequence[str],
    tokens: pl.DataFrame,
    where: str,
    design: MembershipDesign,
    base: pl.DataFrame,
) -> Answers:
    """What some trials say of a setting's texts.

    Args:
        examples: rows of one setting; `zlib_bytes` is read by the attack `zlib` alone.
        trials: hashes [T].
        tokens: the table; its splits `train` (members) and `test` are read, final ones only.
        where: the subject of error messages.
        design: the attack.
        base: rows of `tokens` of the base model, for the attack `reference`.

    Raises:
        InputError: a text that a model was trained on and tested on; a text that the base model did not score, or whose
            compressed size is unknown; log-probabilities that are not numbers.
    """
    placed = examples.select("example", "zlib_bytes", row=pl.int_range(pl.len()))
    shape = (len(trials), len(examples))
    phi, loss = np.zeros(shape), np.zeros(shape)
    member, known = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    wanted = pl.col("split").is_in(SPLITS) & pl.col("step").is_null() & pl.col("trial").is_in(list(trials))
    parts = tokens.filter(wanted).join(placed, on="example").partition_by("trial", as_dict=True)
    of_base = _means_of_base(base, placed, where) if design.attack == "reference" else None
    for model, trial in enumerate(trials):
        part = parts.get((trial,))
        if part is None:
            continue
        both = part["example"].is_duplicated()
        if both.any():
            raise InputError(
                f"{where}: the model {trial} was trained on the text {part.filter(both)['example'][0]!r} and is tested "
                "on it; the splits train and test of a model that is attacked share no text"
            )
        row = part["row"].to_numpy()
        try:
            mean = np.minimum(likelihood_score(_arrays(part, "log_probs")), 0.0)
            if np.isnan(mean).any():
                raise InputError(f"the text {part['example'][int(np.isnan(mean).argmax())]!r} has no tokens")
            phi[model, row] = _scores(part, mean, design, None if of_base is None else of_base[row])
        except InputError as error:
            raise InputError(f"{where}, model {trial}: {error}") from None
        loss[model, row] = -mean
        member[model, row], known[model, row] = part["split"].to_numpy() == "train", True
    return Answers(phi, None, member, known, loss)


def _scores(part: pl.DataFrame, mean: np.ndarray, design: MembershipDesign, of_base: np.ndarray | None) -> np.ndarray:
    """φ of one model's texts, or their scores, [m]; see the module."""
    attack = design.attack
    if attack in ("loss", "rmia"):
        return text_confidence(mean)
    if attack == "zlib":
        if part["zlib_bytes"].null_count():
            raise InputError("zlib needs the column zlib_bytes of the table examples, which lacks it for some text")
        return zlib_score(_arrays(part, "log_probs"), part["zlib_bytes"].to_numpy())
    if attack == "min_k":
        return min_k_score(_arrays(part, "log_probs"), design.k)
    if attack == "min_k_plus_plus":
        log_probs, means, deviations = (_arrays(part, name) for name in ("log_probs", "means", "deviations"))
        return min_k_plus_plus_score(log_probs, means, deviations, design.k)
    if of_base is None:
        return mean
    if np.isnan(of_base).any():
        lacking = part["example"][int(np.isnan(of_base).argmax())]
        raise InputError(f"the base model has no scores of the text {lacking!r}, which the attack reference needs")
    return reference_score(mean, of_base)


def _means_of_base(base: pl.DataFrame, placed: pl.DataFrame, where: str) -> np.ndarray:
    """The base model's mean log-probability of each text, float [n]; nan for texts that are in no pool.

    Raises InputError if the base model scored none.
    """
    rows = base.filter(pl.col("step").is_null()).join(placed, on="example")
    if rows.is_empty():
        raise InputError(f'{where}: the attack reference needs scores of the base model (subset "{BASE}")')
    found = np.full(len(placed), np.nan)
    found[rows["row"].to_numpy()] = likelihood_score(_arrays(rows, "log_probs"))
    return found


def _arrays(part: pl.DataFrame, name: str) -> list[Any]:
    """A column of lists, an array for each text."""
    return [each.to_numpy().astype(np.float64) for each in part[name]]
