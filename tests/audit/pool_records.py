"""Records of pools of models with a planted leak, for the tests of membership inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, MembershipDesign, SettingDesign

Tables = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def examples(n: int, shares: Sequence[float] = (0.6, 0.4)) -> pl.DataFrame:
    """n examples of two classes in the groups a, b, … of these shares, in a fixed order."""
    bounds = np.cumsum(shares) * n
    group = np.array(list("abcdefgh"))[np.searchsorted(bounds, np.arange(n), side="right")]
    ids = [f"e{i}" for i in range(n)]
    columns = {"setting": ["s"] * n, "example": ids, "label": np.arange(n) % 2, "weight": np.ones(n), "unit": ids}
    groups = pl.Series([[one] for one in group], dtype=pl.List(pl.String))
    return records.validate(pl.DataFrame({**columns, "attribute.race": groups}), "examples")


def halves(n: int, models: int, seed: int = 0) -> np.ndarray:
    """Who is trained on what, bool [models, n]: model t and model t + models/2 are twins."""
    rng = np.random.default_rng(seed)
    inside = rng.random((models // 2, n)).argsort(axis=1) < n // 2
    return np.concatenate([inside, ~inside])


def phi(rng: np.random.Generator, member: np.ndarray, hard: np.ndarray, leak: Any) -> np.ndarray:
    """Confidences [N, n] of examples that are hard or easy, in models that remember `leak` (a number or [n])."""
    shift = 0.2 * rng.normal(size=(len(member), 1))
    return 1.0 + hard + shift + rng.normal(size=member.shape) + leak * member


def predictions(trial: str, label: np.ndarray, values: np.ndarray, split: np.ndarray) -> pl.DataFrame:
    """Predictions of one model of two classes with these confidences in the label, φ [n]; split [n], "" for none."""
    kept = np.flatnonzero(split != "")
    logits = np.zeros((len(kept), 2), dtype=np.float32)
    logits[np.arange(len(kept)), label[kept]] = values[kept]
    frame = {"trial": [trial] * len(kept), "split": split[kept], "example": [f"e{i}" for i in kept]}
    return records.validate(
        pl.DataFrame({**frame, "logits": pl.Series(logits, dtype=pl.Array(pl.Float32, 2))}), "predictions"
    )


def trial(method: str, seed: int, role: str, **columns: Any) -> dict[str, Any]:
    """A row of the table `trials`, of the hash "method-role-seed"."""
    base = {"setting": "s", "method": method, "seed": seed, "role": role, "trial": f"{method}-{role}-{seed}"}
    return {**base, "status": "done", "reason": None, "subset": None, "pair": None, **columns}


def trials_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The table `trials`."""
    return records.validate(pl.DataFrame(list(rows), infer_schema_length=None), "trials")


def pool(
    leaks: Mapping[str, Any],
    n: int = 600,
    models: int = 8,
    seed: int = 0,
    failed: Mapping[tuple[str, int], str] | None = None,
    shares: Sequence[float] = (0.6, 0.4),
) -> Tables:
    """A pool of every method that remembers so much (a number, or one per group), on the same halves; no study trials.

    `failed`: by method and model, why it did; it has no predictions then.
    """
    rng = np.random.default_rng(seed)
    table, member, hard = examples(n, shares), halves(n, models, seed), 1.5 * rng.normal(size=n)
    group = np.array([names[0] for names in table["attribute.race"].to_list()])
    values = {}
    for method, leak in leaks.items():
        size = np.array([leak[name] for name in group]) if isinstance(leak, Mapping) else leak
        values[method] = phi(rng, member, hard, size)
    return recorded(table, values, member, failed)


def recorded(
    table: pl.DataFrame,
    values: Mapping[str, np.ndarray],
    member: np.ndarray,
    failed: Mapping[tuple[str, int], str] | None = None,
) -> Tables:
    """The records of a pool with these examples, confidences by method, and halves, [N, n]; model t and t + N/2 are
    twins."""
    models, label = len(member), table["label"].to_numpy()
    rows, frames = [], []
    for method, phi_of in values.items():
        for model in range(models):
            twin = f"{method}-pool-{(model + models // 2) % models}"
            why = (failed or {}).get((method, model))
            status = "failed" if why else "done"
            rows.append(trial(method, model, "pool", subset="pool", pair=twin, status=status, reason=why))
            if why is None:
                split = np.where(member[model], "train", "test")
                frames.append(predictions(rows[-1]["trial"], label, phi_of[model], split))
    return table, trials_of(rows), pl.concat(frames)


def separate(leaks: Mapping[str, Any], n: int = 600, seeds: int = 3, shadows: int = 8, seed: int = 0) -> Tables:
    """The paper's design: for each method and seed a target, and shadows that saw none of its audited examples. Of each
    seed a third of the examples are members, a third are tested and half of each of these audited."""
    rng = np.random.default_rng(seed)
    table, hard = examples(n), 1.5 * rng.normal(size=n)
    label = table["label"].to_numpy()
    rows, frames = [], []
    for run in range(seeds):
        order = rng.permutation(n)
        split = np.full(n, "", dtype=object)
        split[order[: n // 3]], split[order[n // 3 : 2 * n // 3]] = "train", "test"
        audited = np.full(n, "", dtype=object)
        audited[order[: n // 6]] = audited[order[n // 3 : n // 2]] = "test"
        kept = np.where(split == "train", np.where(audited == "test", "train", ""), split)
        for method, leak in leaks.items():
            rows.append(trial(method, run, "study"))
            member = (split == "train")[None]
            frames.append(predictions(rows[-1]["trial"], label, phi(rng, member, hard, leak)[0], kept))
            for shadow in range(shadows):
                subset = f"seed {run}"
                rows.append(trial(method, shadow, "pool", subset=subset, trial=f"{method}-shadow-{run}-{shadow}"))
                values = phi(rng, np.zeros((1, n), dtype=bool), hard, leak)[0]
                frames.append(predictions(rows[-1]["trial"], label, values, audited))
    return table, trials_of(rows), pl.concat(frames)


def design(
    methods: Sequence[str] = ("full", "lora"),
    membership: Mapping[str, Any] | None = None,
    attacked: bool = True,
    **options: Any,
) -> Design:
    """One setting whose first method is the reference, with an attack unless it is not attacked."""
    how = MembershipDesign(**(membership or {})) if attacked else None
    own = SettingDesign(references=tuple(methods[:1]), methods=tuple(methods), membership=how, vary=False)
    return Design(settings={"s": own}, **options)
