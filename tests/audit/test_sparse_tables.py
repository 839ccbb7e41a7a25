"""Audits of tables of counts: any of them has a row for each estimand, verdicts, and curves, or one clear refusal."""

from __future__ import annotations

import warnings

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import evenhand
from evenhand.errors import InputError

COUNTS = st.lists(st.integers(0, 12), min_size=8, max_size=8)
"""Of a method's run: by group and label, how many examples are predicted wrong, and right."""


def table(runs: list[list[int]], methods: int, unit: int) -> pl.DataFrame:
    """Runs of the same examples, whose predictions are wrong for the first ones of each group and label."""
    sizes = [max(runs[0][2 * cell] + runs[0][2 * cell + 1], 1) for cell in range(4)]
    parts = []
    for index, counts in enumerate(runs):
        for cell, size in enumerate(sizes):
            wrong = min(counts[2 * cell], size)
            label = cell % 2
            predicted = [1 - label] * wrong + [label] * (size - wrong)
            parts.append(
                pl.DataFrame(
                    {
                        "id": [f"{cell}-{row}" for row in range(size)],
                        "unit": [f"{cell}-{row // unit}" for row in range(size)],
                        "group": ["a" if cell < 2 else "b"] * size,
                        "label": [label] * size,
                        "predicted": predicted,
                        "p": [0.1 + 0.8 * value for value in predicted],
                        "method": [f"m{index % methods}"] * size,
                        "seed": [index // methods] * size,
                    }
                )
            )
    return pl.concat(parts)


@settings(max_examples=25, deadline=None)
@given(st.lists(COUNTS, min_size=4, max_size=4), st.integers(1, 2), st.integers(1, 3))
def test_any_table_of_counts_is_audited(runs, methods, unit):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            found = evenhand.audit(
                table(runs, methods, unit),
                label="label",
                prediction="predicted",
                probability="p",
                positive=1,
                groups="group",
                method="method",
                seed="seed",
                reference="m0" if methods > 1 else None,
                example="id",
                unit="unit",
                margins={"default": 0.05, "calibration_error_squared": 0.01},
            )
        except InputError:
            return
    everyone = found.estimates.filter(pl.col("group").is_null(), pl.col("measure") == "accuracy")
    assert everyone["value"].is_not_null().all()
    assert found.estimates.filter(pl.col("value").is_nan() | pl.col("noise_floor").is_nan()).is_empty()
    if methods > 1:
        rows = found.verdicts.filter(pl.col("measure") == "accuracy", pl.col("comparison") == "change")
        assert set(rows["group"]) == {None, "a", "b"}
        assert rows["verdict"].is_not_null().all()
    shares = found.curves.filter(pl.col("measure") == "detected_harm")["y"]
    assert shares.is_between(0, 1).all()


def test_a_group_in_which_a_method_predicts_nothing_right_has_a_row_a_verdict_and_a_curve():
    right, nothing = [2, 10] * 4, [2, 10, 2, 10, 12, 0, 12, 0]
    frame = table([right, nothing, right[::-1], nothing], 2, 1)
    found = evenhand.audit(
        frame,
        label="label",
        prediction="predicted",
        groups="group",
        method="method",
        seed="seed",
        reference="m0",
        example="id",
        margins={"default": 0.05},
    )
    of_group = pl.col("group") == "b"
    estimate = found.estimates.filter(
        of_group, pl.col("measure") == "accuracy", pl.col("method") == "m1", pl.col("comparison").is_null()
    )
    assert estimate["value"].to_list() == [0.0] * 3
    (verdict,) = found.verdicts.filter(
        of_group, pl.col("measure") == "accuracy", pl.col("comparison") == "change"
    ).rows(named=True)
    assert verdict["verdict"] in ("worse", "inconclusive")
    curve = found.curves.filter(of_group, pl.col("measure") == "detected_harm")
    assert curve["x"].to_list() == [0.0]
    assert curve["y"].is_finite().all()
