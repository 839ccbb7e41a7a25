"""Planted harm: what is planted is lost, large harm is found, small harm is not, and the curve says where between."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand.audit.harm_curves import ABOVE_ZERO
from evenhand.audit.planted_harm import MEASURE, STEPS
from evenhand.audit.results import Results
from small_records import design, examples, predictions, study, trials


def points(results: Results, group: str | None) -> tuple[np.ndarray, np.ndarray]:
    rows = results.curves.filter(pl.col("measure") == MEASURE, pl.col("group").eq_missing(pl.lit(group, pl.String)))
    return rows["x"].to_numpy(), rows["y"].to_numpy()


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.compute(*study(), design(margins={"default": 0.02}))


def test_everyone_and_each_group_have_a_curve_that_rises_from_false_alarms_to_certainty(results):
    for group in (None, "a", "b", "c"):
        x, y = points(results, group)
        assert len(x) == STEPS + 1
        assert x[0] == 0
        assert y[0] <= 0.05
        assert y[-1] >= 0.95
        assert (np.diff(y) > -0.03).all()


def test_a_small_group_needs_a_larger_harm_than_everyone():
    results = Results.compute(*study(n=1500, seeds=8), design())
    everyone, small = (np.interp(0.8, *points(results, group)[::-1]) for group in (None, "c"))
    assert 1.5 * everyone < small


def test_a_harm_within_the_margin_is_not_called_worse():
    tables = study()
    wide = Results.compute(*tables, design(margins={"default": 0.2}))
    none = Results.compute(*tables, design())
    x, y = points(wide, None)
    assert y[x < 0.15].max() < 0.05
    x, y = points(none, None)
    assert np.interp(0.15, x, y, right=1.0) > 0.9


def test_what_is_detectable_is_found_above_zero_whatever_the_margin():
    tables = study()
    none, wide = (Results.compute(*tables, design(margins=margins)) for margins in ({}, {"default": 0.2}))
    changes = pl.col("comparison") == "change", pl.col("measure") == "accuracy"
    for results in (none, wide):
        rows = results.curves.filter(pl.col("measure") == ABOVE_ZERO)
        for row in results.verdicts.filter(*changes).iter_rows(named=True):
            curve = rows.filter(pl.col("group").eq_missing(pl.lit(row["group"], pl.String))).sort("x")
            assert np.interp(row["detectable"], curve["x"], curve["y"]) == pytest.approx(0.8, abs=0.06)
    assert none.verdicts.filter(*changes)["detectable"].equals(wide.verdicts.filter(*changes)["detectable"])
    x, y = points(wide, None)
    assert wide.verdicts.filter(*changes, pl.col("group").is_null())["detectable"][0] < 0.5 * np.interp(0.8, y, x)


def test_the_observed_contrast_plays_no_part():
    """Of two studies whose methods disagree as often, one has a method that is worse: both see alike."""
    quiet, harmed = (Results.compute(*study(n=1500, harm=harm), design()) for harm in (None, {"c": 0.2}))
    assert np.interp(0.1, *points(harmed, "c")) == pytest.approx(np.interp(0.1, *points(quiet, "c")), abs=0.2)


def test_near_certain_harm_is_what_the_audit_itself_calls_worse():
    """The curve's last point, planted into the records: the audit must say `worse`."""
    examples, trials, predictions = study(probabilities=False, n=1200)
    chosen = design()
    x, y = points(Results.compute(examples, trials, predictions, chosen), "c")
    harm = float(np.interp(0.99, y, x))
    rng, label = np.random.default_rng(0), examples["label"].to_numpy()
    member = np.array([names == ["c"] for names in examples["attribute.who"].to_list()])
    frames = []
    for (trial,), part in predictions.partition_by("trial", as_dict=True, maintain_order=True).items():
        predicted = part["predicted"].to_numpy().copy()
        if str(trial).startswith("lora"):
            right = member & (predicted == label)
            lost = right & (rng.random(len(label)) < harm * member.sum() / right.sum())
            predicted[lost] = 1 - label[lost]
        frames.append(part.with_columns(predicted=pl.Series(predicted, dtype=part.schema["predicted"])))
    row = Results.compute(examples, trials, pl.concat(frames), chosen).verdicts.filter(measure="accuracy", group="c")
    row = row.filter(comparison="change")
    assert row["verdict"].to_list() == ["worse"]


def test_nobody_loses_more_accuracy_than_there_is():
    tables = study(n=90, seeds=3)
    results = Results.compute(*tables, design(support=5))
    value = results.estimates.filter(pl.col("comparison").is_null(), measure="accuracy", method="lora", group="c")[
        "value"
    ].min()
    x, y = points(results, "c")
    assert x.max() <= value
    assert np.isfinite(y).all()


def test_where_nothing_varies_any_more_a_curve_ends_before():
    """Two methods that are always right, in small groups: every answer of one made wrong leaves nothing to judge by."""
    names = "abcdef"
    label = np.arange(10 * len(names)) % 2
    uses = [(method, run) for run in range(2) for method in ("full", "lora")]
    frames = [predictions(f"{method}-{run}", range(len(label)), label) for method, run in uses]
    tables = (
        examples(list(label), {"who": [[name] for name in names for _ in range(10)]}),
        trials(uses),
        pl.concat(frames),
    )
    results = Results.compute(*tables, design(support=5))
    for name in names:
        x, y = points(results, name)
        assert 0.7 < x.max() < 1
        assert np.isfinite(y).all()
        assert y[-1] > 0.7


def test_one_run_and_unpaired_tables_have_no_curve():
    one = Results.compute(*study(seeds=1), design())
    unpaired = Results.compute(*study(), design(paired="none"))
    for results in (one, unpaired):
        assert results.curves.filter(measure=MEASURE).is_empty()


def test_the_same_records_give_the_same_curve():
    tables, chosen = study(n=200), design(measures=("accuracy",))
    first, second = (Results.compute(*tables, chosen).curves.filter(measure=MEASURE) for _ in range(2))
    assert len(first) and first.equals(second)
