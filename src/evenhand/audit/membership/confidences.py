"""Arrays of models' confidences and correct predictions, on members (training examples) and non-members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.errors import InputError
from evenhand.metrics import confidence

ONLY_LABELS = "only labels were predicted, and an attack needs logits"
SPLITS = ("train", "test")
"""The splits of predictions that an attack uses: those of members and of non-members."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The predictions of T models for n examples; 0 or False where a model has no prediction.

    Attributes:
        phi: float [T, n], confidence in the label, or what an attack reads of texts in its place.
        correct: bool [T, n], whether the label was predicted; None of texts.
        member: bool [T, n], whether the model was trained on the example.
        known: bool [T, n], where there is a prediction.
        loss: float [T, n], where it does not follow from `phi` as that of a label does.
    """

    phi: np.ndarray
    correct: np.ndarray | None
    member: np.ndarray
    known: np.ndarray
    loss: np.ndarray | None = None

    def take(self, models: Sequence[int] | np.ndarray) -> Answers:
        """The predictions of some of the models."""
        selected = np.asarray(models, dtype=int)
        correct, loss = (None if part is None else part[selected] for part in (self.correct, self.loss))
        return Answers(self.phi[selected], correct, self.member[selected], self.known[selected], loss)


def answers_of(examples: pl.DataFrame, trials: Sequence[str], predictions: pl.DataFrame, where: str) -> Answers | None:
    """The predictions of some trials for a setting's examples.

    Args:
        examples: rows of one setting, all with a label.
        trials: hashes [T].
        predictions: the table; its splits `train` (members) and `test` are read, final ones only.
        where: the subject of error messages.

    Returns:
        None where a trial predicted labels only.

    Raises:
        InputError: an example that a model was trained on and tested on, or a label without a logit.
    """
    placed = examples.select("example", "label", row=pl.int_range(pl.len()))
    wanted = pl.col("split").is_in(SPLITS) & pl.col("step").is_null() & pl.col("trial").is_in(list(trials))
    parts = predictions.filter(wanted).join(placed, on="example").partition_by("trial", as_dict=True)
    shape = (len(trials), len(examples))
    phi = np.zeros(shape)
    correct, member, known = (np.zeros(shape, dtype=bool) for _ in range(3))
    for model, trial in enumerate(trials):
        part = parts.get((trial,))
        if part is None:
            continue
        if part["logits"].null_count():
            return None
        both = part["example"].is_duplicated()
        if both.any():
            raise InputError(
                f"{where}: the model {trial} was trained on the example {part.filter(both)['example'][0]!r} and is "
                "tested on it; the splits train and test of a model that is attacked share no example"
            )
        row, label = part["row"].to_numpy(), part["label"].to_numpy()
        logits = part["logits"].to_numpy().astype(np.float64)
        try:
            phi[model, row] = confidence(logits, label)
        except InputError as error:
            raise InputError(f"{where}, model {trial}: {error}") from None
        predicted = part["predicted"].to_numpy() if not part["predicted"].null_count() else logits.argmax(axis=1)
        correct[model, row] = predicted == label
        member[model, row], known[model, row] = part["split"].to_numpy() == "train", True
    return Answers(phi, correct, member, known)
