"""Noise floors of the table `estimates`: against permutation by hand, against known numbers, and how often they lie."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from small_records import design, estimates, examples, predictions, study, trials

DISPARITIES = ("accuracy_difference", "demographic_parity_difference", "equalized_odds_difference")


def of(table: pl.DataFrame, measure: str, group: str | None = None, seed: int | None = None) -> dict:
    """The row of the method full."""
    place = pl.col("group").eq_missing(pl.lit(group, pl.String)) & pl.col("seed").eq_missing(pl.lit(seed, pl.Int64))
    rows = table.filter(pl.col("measure") == measure, pl.col("method") == "full", place)
    assert len(rows) == 1
    return rows.row(0, named=True)


def test_what_shows_something_where_there_is_nothing_has_a_floor_and_the_rest_has_none():
    table = estimates(*study(n=300, seeds=2), design())
    floored = set(table.drop_nulls("noise_floor")["measure"])
    assert floored == {*DISPARITIES, "expected_calibration_error", "calibration_error_squared"}
    rows = table.drop_nulls("noise_floor")
    assert (rows["noise_floor"] <= rows["noise_high"]).all()
    disparities = table.filter(pl.col("measure").is_in(DISPARITIES))
    assert disparities["noise_floor"].null_count() == disparities["value"].null_count() == 0


@pytest.mark.parametrize("group", [None, "c"])
def test_the_floor_is_that_of_groups_permuted_by_hand(group):
    table, uses, found = study(n=200, seeds=2)
    floor = of(estimates(table, uses, found, design(measures=DISPARITIES)), "demographic_parity_difference", group)
    rng = np.random.default_rng(1)
    values = []
    for _ in range(300):
        permuted = table.with_columns(table["attribute.who"].gather(rng.permutation(len(table))))
        once = estimates(permuted, uses, found, design(measures=("demographic_parity_difference",)))
        values.append(of(once, "demographic_parity_difference", group)["value"])
    error = np.std(values) * np.sqrt(1 / 300 + 1 / 200)
    assert floor["noise_floor"] == pytest.approx(np.mean(values), abs=4 * error)
    assert floor["noise_high"] == pytest.approx(np.quantile(values, 0.95), rel=0.2)


def test_four_groups_of_150_without_disparity_show_eight_points():
    """The known number: true difference 0, mean observed difference .082."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    groups = {"who": [[name] for name in np.repeat(list("abcd"), 150)]}
    found = predictions("full-0", range(600), rng.integers(0, 2, 600))
    table = estimates(examples(list(labels), groups), trials([("full", 0)]), found, design(("full",)))
    assert of(table, "demographic_parity_difference")["noise_floor"] == pytest.approx(0.082, abs=0.006)


def test_fifty_calibrated_predictions_show_an_error_of_seventeen_points_and_none_when_debiased():
    """The known number: plug-in error .170 at n = 50."""
    rng = np.random.default_rng(0)
    positive = rng.uniform(size=50)
    labels = (rng.uniform(size=50) < positive).astype(int)
    found = predictions("full-0", range(50), np.stack([1 - positive, positive], axis=1))
    groups = {"who": [["a"] if place < 25 else ["b"] for place in range(50)]}
    table = estimates(examples(list(labels), groups), trials([("full", 0)]), found, design(("full",)))
    whole = of(table, "expected_calibration_error")["noise_floor"]
    assert whole == pytest.approx(0.170, abs=0.02)
    assert of(table, "expected_calibration_error", "a")["noise_floor"] > whole
    squared = of(table, "calibration_error_squared")
    assert abs(squared["noise_floor"]) < 0.2 * squared["noise_high"]


def test_more_runs_on_the_same_examples_do_not_lower_a_floor_as_new_examples_would():
    """Runs that share their examples are permuted alike: near-copies of a run have the floor of one."""
    rng = np.random.default_rng(0)
    labels, predicted = list(rng.integers(0, 2, 400)), rng.integers(0, 2, 400)
    groups = {"who": [[name] for name in rng.choice(list("abc"), 400)]}
    uses = [("full", seed) for seed in range(5)]
    found = pl.concat([predictions(f"full-{seed}", range(400), predicted) for _, seed in uses])
    table = estimates(examples(labels, groups), trials(uses), found, design(("full",)))
    one, mean = (of(table, "demographic_parity_difference", seed=seed) for seed in (0, None))
    assert mean["noise_floor"] == pytest.approx(one["noise_floor"], rel=1e-9)


def test_copies_of_an_example_are_permuted_together():
    """Each example five times over: a floor that took copies for examples would be about 1/√5 of this one."""
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 2, 120), rng.integers(0, 2, 120)
    names = rng.choice(list("ab"), 120)

    def floor(times: int) -> float:
        units = [f"u{place}" for place in range(120)] * times
        table = examples(list(np.tile(labels, times)), {"who": [[name] for name in np.tile(names, times)]}, unit=units)
        found = predictions("full-0", range(120 * times), np.tile(predicted, times))
        rows = estimates(table, trials([("full", 0)]), found, design(("full",)))
        return of(rows, "demographic_parity_difference")["noise_floor"]

    assert floor(5) == pytest.approx(floor(1), rel=0.15)


def test_a_floor_repeats_itself():
    first, second = (estimates(*study(n=120, seeds=2), design()) for _ in range(2))
    assert first.equals(second)


@pytest.mark.parametrize("measure", DISPARITIES)
def test_a_study_without_disparity_is_outside_of_its_floor_about_once_in_twenty(measure):
    outside = []
    for repetition in range(150):
        rng = np.random.default_rng(repetition)
        labels = rng.integers(0, 2, 240)
        ease = rng.normal(size=240)
        groups = {"who": [[name] for name in rng.choice(list("abcd"), 240)]}
        uses = [("full", seed) for seed in range(3)]
        found = pl.concat(
            [
                predictions(f"full-{seed}", range(240), (labels + ease + rng.normal(size=240) > 0.5).astype(int))
                for _, seed in uses
            ]
        )
        rows = of(
            estimates(examples(list(labels), groups), trials(uses), found, design(("full",), measures=(measure,))),
            measure,
        )
        outside.append(rows["value"] > rows["noise_high"])
    # .05 and 3 standard errors of 150 repetitions.
    assert np.mean(outside) <= 0.105
