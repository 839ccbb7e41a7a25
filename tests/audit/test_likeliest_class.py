"""Calibration of several classes is of the likeliest class, which a method need not decide for: it says so."""

from __future__ import annotations

import numpy as np
import polars as pl

import evenhand


def frame(classes: int) -> pl.DataFrame:
    """Two methods; `new` decides for the next class in 10 of 80 predictions."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, 80)
    parts = []
    for method in ("ref", "new"):
        chances = rng.dirichlet(np.ones(classes), 80)
        decided = chances.argmax(axis=1)
        if method == "new":
            decided = np.where(np.arange(80) < 10, (decided + 1) % classes, decided)
        columns = {f"p_{code}": chances[:, code] for code in range(classes)}
        parts.append(
            pl.DataFrame(
                {"y": label, "to": decided, "m": [method] * 80, "id": np.arange(80), "g": ["a", "b"] * 40, **columns}
            )
        )
    return pl.concat(parts)


def calibration_notes(classes: int) -> dict[str, str]:
    """The notes on the squared error by method, and of the contrast under `verdict`."""
    found = evenhand.audit(
        frame(classes),
        label="y",
        prediction="to",
        probability=[f"p_{code}" for code in range(classes)],
        groups="g",
        method="m",
        example="id",
        reference="ref",
    )
    squared = (pl.col("measure") == "calibration_error_squared") & pl.col("group").is_null()
    rows = found.estimates.filter(squared, pl.col("seed").is_null()).select("method", "note").rows()
    verdict = found.verdicts.filter(squared)["note"][0]
    return {method: note or "" for method, note in [*rows, ("verdict", verdict)]}


def test_decisions_for_another_class_than_the_likeliest_are_said_by_method():
    notes = calibration_notes(3)
    told = "new: calibration is of the likeliest class, which is not the predicted one in 12.5% of its predictions"
    assert told in notes["new"] and told in notes["verdict"]
    assert "likeliest" not in notes["ref"] and "ref: calibration" not in notes["verdict"]


def test_calibration_of_two_classes_is_of_the_positive_class_whatever_is_decided():
    assert "likeliest" not in "".join(calibration_notes(2).values())
