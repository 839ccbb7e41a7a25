"""The files and folders that pages of the docs take as given: small, and drawn at random."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl

from evenhand import audit

PEOPLE = 400
_LOGS = Path(__file__).parent / "audit" / "harness_logs"


def write_files(folder: Path) -> None:
    """Write people.csv, predictions.csv, posts.csv and scores.csv, and logs of evaluation harnesses."""
    rng = np.random.default_rng(23)
    label = rng.integers(0, 2, PEOPLE)
    groups = {"sex": rng.choice(["Female", "Male"], PEOPLE), "race": rng.choice(["a", "b", "c"], PEOPLE)}
    ids = [f"p{number}" for number in range(PEOPLE)]

    def guesses(right: float) -> np.ndarray:
        return np.where(rng.random(PEOPLE) < right, label, 1 - label)

    people = pl.DataFrame({"id": ids, "hired": label, "guess": guesses(0.8), **groups})
    people.write_csv(folder / "people.csv")
    models = [
        people.with_columns(guess=guesses(right), model=pl.lit(model), y=pl.col("hired"))
        for model, right in (("current", 0.8), ("candidate", 0.82))
    ]
    pl.concat(models).write_csv(folder / "predictions.csv")
    religions = {f"target_religion_{name}": rng.random(PEOPLE) < 0.3 for name in ("one", "other")}
    pl.DataFrame({"hateful": label, "flagged": guesses(0.8), **religions}).write_csv(folder / "posts.csv")
    _scores(rng).write_csv(folder / "scores.csv")
    for name, model in (("base", "tiny-llama"), ("lora", "tiny-mistral")):
        shutil.copytree(_LOGS / "lm_eval" / model, folder / "out" / name)
    shutil.copytree(_LOGS / "inspect", folder / "logs", ignore=shutil.ignore_patterns("*.eval", "*_epochs.json"))


def write_release(folder: Path) -> None:
    """Write runs/release, the audit of predictions.csv that gate.md makes and other pages read."""
    columns = {"label": "y", "prediction": "guess", "groups": "sex", "method": "model", "example": "id"}
    audit(
        folder / "predictions.csv",
        **columns,
        reference="current",
        margins={"default": 0.02},
        out=folder / "runs/release",
    )


def _scores(rng: np.random.Generator) -> pl.DataFrame:
    """Scores of an attack on four models of two methods; members of the models of `lora` have higher ones."""
    examples = [f"p{number}" for number in range(PEOPLE)]
    race, parts = rng.choice(["a", "b"], PEOPLE), []
    for seed in range(4):
        member = rng.random(PEOPLE) < 0.5
        for method, leak in (("full", 0.3), ("lora", 0.6)):
            columns = {"example": examples, "trained_on": member, "score": rng.normal(leak * member), "race": race}
            parts.append(pl.DataFrame(columns).with_columns(method=pl.lit(method), seed=pl.lit(seed)))
    return pl.concat(parts)
