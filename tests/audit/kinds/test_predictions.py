"""Estimates per run and over runs; what is undefined, failed or not audited."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand import records
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.errors import InputError
from small_records import design, estimates, examples, predictions, study, trials


def row(table: pl.DataFrame, **place) -> dict:
    """The one row at a place; what is not named is null."""
    for key, value in {
        "comparison": None,
        "class": None,
        "attribute": None,
        "group": None,
        "seed": None,
        **place,
    }.items():
        table = table.filter(pl.col(key).is_null() if value is None else pl.col(key) == value)
    assert len(table) == 1, table
    return table.row(0, named=True)


def one_run(labels, groups, predicted, **options):
    """Tables of one method with one run of predicted classes."""
    table = examples(labels, {"who": [[name] for name in groups]}, **options)
    return table, trials([("full", 0)]), predictions("full-0", range(len(labels)), np.asarray(predicted))


@pytest.fixture(scope="module")
def tables():
    return study()


@pytest.fixture(scope="module")
def table(tables):
    return estimates(*tables, design())


def test_the_table_fits_its_schema_and_holds_every_measure(table):
    assert records.validate(table, "estimates").equals(table)
    assert set(table["measure"]) == {name for name, measure in PREDICTIONS.items() if not measure.on_request}
    assert set(table["method"]) == {"full", "lora"}


def test_values_are_those_of_the_predictions(tables, table):
    frame = tables[2].filter(trial="lora-2").join(tables[0], on="example")
    predicted = frame["logits"].to_numpy().argmax(axis=1)
    right = predicted == frame["label"].to_numpy()
    member = (frame["attribute.who"].list.first() == "b").to_numpy()
    found = row(table, measure="accuracy", method="lora", seed=2)
    assert found["value"] == pytest.approx(right.mean())
    assert found["n"] == 600
    found = row(table, measure="accuracy", method="lora", seed=2, attribute="who", group="b")
    assert found["value"] == pytest.approx(right[member].mean())
    assert found["n"] == member.sum()
    found = row(table, measure="demographic_parity_difference", method="lora", seed=2, attribute="who", group="b")
    assert found["value"] == pytest.approx(abs(predicted[member].mean() - predicted[~member].mean()))


def test_the_row_over_seeds_is_the_mean_of_the_runs(table):
    for measure, place in [("accuracy", {}), ("equalized_odds_difference", {"attribute": "who"})]:
        runs = [row(table, measure=measure, method="full", seed=seed, **place)["value"] for seed in range(4)]
        assert row(table, measure=measure, method="full", **place)["value"] == pytest.approx(np.mean(runs))


def test_intervals_hold_their_value_and_stay_in_range(table):
    known = table.filter(pl.col("low").is_not_null())
    assert (known["low"] <= known["value"]).all() and (known["value"] <= known["high"]).all()
    squared = pl.col("measure") == "calibration_error_squared"
    signed = squared | pl.col("measure").str.ends_with("_spread")
    between = pl.col("measure").is_in(["demographic_parity_ratio", "four_fifths_difference"])
    shares = known.filter(~signed, ~between, pl.col("comparison").is_null())
    gaps = known.filter(comparison="gap")
    assert gaps["low"].min() >= -1 and gaps["high"].max() <= 1
    assert shares["low"].min() >= 0 and shares["high"].max() <= 1
    errors = known.filter(squared, pl.col("comparison").is_null())  # an estimate below 0 is shown as it is
    assert (errors["low"] >= errors["value"].clip(upper_bound=0)).all() and errors["high"].max() <= 1
    assert (known["high"] > known["low"]).all()


def test_one_run_has_wilsons_interval(tables):
    statsmodels = pytest.importorskip("statsmodels.stats.proportion")
    labels = [1] * 40
    found = estimates(*one_run(labels, ["a"] * 40, [1] * 31 + [0] * 9), design(["full"], measures=("accuracy",)))
    low, high = statsmodels.proportion_confint(31, 40, method="wilson")
    ours = row(found, measure="accuracy", method="full", seed=0)
    assert (ours["low"], ours["high"]) == pytest.approx((low, high), abs=0.01)
    assert ours["high"] - ours["low"] > high - low  # by the t quantile


def test_a_perfect_group_has_an_interval_of_positive_width():
    found = estimates(*one_run([1] * 30, ["a"] * 30, [1] * 30), design(["full"], measures=("accuracy",)))
    ours = row(found, measure="accuracy", method="full")
    assert ours["value"] == ours["high"] == 1
    assert 0.8 < ours["low"] < 0.95
    assert "one seed" in ours["note"]


def test_a_group_without_positives_is_null_with_the_reason():
    found = estimates(*one_run([1, 1, 0, 0, 0, 0, 0, 0], "aaaabbbb", [1, 1, 0, 1, 1, 0, 0, 0]), design(["full"]))
    ours = row(found, measure="true_positive_rate", method="full", seed=0, attribute="who", group="b")
    assert ours["value"] is None and "no positive examples" in ours["note"]
    over = row(found, measure="true_positive_rate", method="full", attribute="who", group="b")
    assert over["value"] is None and "defined in 0 of 1 runs (no positive examples)" in over["note"]
    assert row(found, measure="equalized_odds_difference", method="full", attribute="who")["value"] is None


def test_small_groups_are_shown_and_left_out_of_max_minus_min():
    labels, groups = [1, 0] * 30, ["a"] * 26 + ["b"] * 26 + ["tiny"] * 8
    predicted = [1] * 13 + [0] * 13 + [1] * 13 + [0] * 13 + [1] * 8
    found = estimates(*one_run(labels, groups, predicted), design(["full"]))
    gap = row(found, measure="demographic_parity_difference", method="full", attribute="who")
    assert gap["value"] == 0
    assert "left out, with fewer than 10 examples: tiny" in gap["note"]
    tiny = row(found, measure="selection_rate", method="full", attribute="who", group="tiny")
    assert tiny["value"] == 1
    assert "fewer than 10 examples" in tiny["note"]
    lower = estimates(*one_run(labels, groups, predicted), design(["full"], support=5))
    assert row(lower, measure="demographic_parity_difference", method="full", attribute="who")["value"] == 0.5


def test_a_missing_value_is_a_group_that_is_shown():
    labels, groups = [1, 0] * 20, ["a"] * 20 + ["(missing)"] * 20
    found = estimates(*one_run(labels, groups, labels), design(["full"]))
    assert row(found, measure="accuracy", method="full", attribute="who", group="(missing)")["value"] == 1


def test_failed_trials_are_noted(tables):
    table, uses, predicted = tables
    failed = trials([*uses.select("method", "seed").iter_rows()], failed={("lora", 3): "the loss was not a number"})
    found = estimates(table, failed, predicted.filter(pl.col("trial") != "lora-3"), design())
    ours = row(found, measure="accuracy", method="lora")
    assert "1 of 4 seeds have no predictions: training failed (the loss was not a number)" in ours["note"]
    every = trials(
        [*uses.select("method", "seed").iter_rows()], failed={("lora", seed): "the loss" for seed in range(4)}
    )
    found = estimates(table, every, predicted, design())
    assert row(found, measure="accuracy", method="lora")["value"] is None


def test_labels_only_leave_calibration_null_with_that_note():
    found = estimates(*study(probabilities=False, n=100), design())
    ours = row(found, measure="expected_calibration_error", method="full")
    assert ours["value"] is None and "no probabilities" in ours["note"]
    assert row(found, measure="accuracy", method="full")["value"] is not None


def test_the_corrected_calibration_error_is_the_debiased_root():
    labels = np.arange(400) % 2
    for raw, calibrated in [(np.full(400, 0.9), False), (np.full(400, 0.5), True)]:
        tables = (
            examples(list(labels), {}),
            trials([("full", 0)]),
            predictions("full-0", range(400), np.stack([1 - raw, raw], axis=1)),
        )
        found = estimates(*tables, design(["full"]))
        plug_in = row(found, measure="expected_calibration_error", method="full", seed=0)
        squared = row(found, measure="calibration_error_squared", method="full", seed=0)["value"]
        if squared >= 0:
            assert plug_in["corrected"] == pytest.approx(np.sqrt(squared))
        else:
            assert plug_in["corrected"] is None and "below 0" in plug_in["note"]
        assert calibrated == (squared < 0)


def test_validation_is_not_audited_and_further_test_sets_are():
    table, uses, predicted = study(n=100)
    other = examples([1, 0] * 20, {"case": [["x"]] * 40}).with_columns(
        example=pl.format("other/{}", "example"), unit=pl.format("other/{}", "unit")
    )
    both = records.validate(pl.concat([table, other], how="diagonal"), "examples")
    extra = [
        predictions(trial, range(40), np.array([1, 0] * 20), "other").with_columns(
            example=pl.format("other/{}", "example")
        )
        for trial in uses["trial"]
    ]
    logits = predicted.schema["logits"]
    extra = [frame.with_columns(logits=pl.lit(None, dtype=logits)) for frame in extra]
    validation = predicted.with_columns(split=pl.lit("validation"))
    found = estimates(both, uses, pl.concat([predicted, validation, *extra]), design())
    assert set(found["split"]) == {"test", "other"}
    assert set(found.filter(split="other")["attribute"].drop_nulls()) == {"case"}
    assert set(found.filter(split="test")["attribute"].drop_nulls()) == {"who"}
    assert row(found.filter(split="other"), measure="accuracy", method="full")["value"] == 1


def test_more_than_two_classes_are_taken_one_against_the_rest():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    raw = rng.dirichlet([1, 1, 1], 120) + np.eye(3)[labels]
    tables = (
        examples(list(labels), {"who": [["a"] if i % 2 else ["b"] for i in range(120)]}),
        trials([("full", 0)]),
        predictions("full-0", range(120), raw / raw.sum(axis=1, keepdims=True)),
    )
    found = estimates(*tables, design(["full"], setting={"classes": ("young", "middle", "old")}))
    predicted = raw.argmax(axis=1)
    ours = row(found, measure="selection_rate", method="full", seed=0, **{"class": "old"})
    assert ours["value"] == pytest.approx((predicted == 2).mean())
    assert row(found, measure="accuracy", method="full", seed=0)["value"] == pytest.approx((predicted == labels).mean())
    named = set(found.filter(measure="demographic_parity_difference")["class"])
    assert named == {"young", "middle", "old"}
    assert row(found, measure="expected_calibration_error", method="full", seed=0)["value"] is not None


def test_units_are_resampled_whole():
    labels, predicted = [1] * 60, ([1] * 4 + [0] * 2) * 10
    alone = estimates(*one_run(labels, ["a"] * 60, predicted), design(["full"]))
    unit = [f"u{i // 6}" for i in np.argsort(predicted, kind="stable")]
    order = np.argsort(np.argsort(predicted, kind="stable"))
    whole = estimates(
        *one_run(labels, ["a"] * 60, predicted, unit=[f"u{order[i] // 6}" for i in range(60)]), design(["full"])
    )
    assert len(set(unit)) == 10
    widths = [
        row(found, measure="accuracy", method="full")["high"] - row(found, measure="accuracy", method="full")["low"]
        for found in (alone, whole)
    ]
    assert widths[1] > 1.5 * widths[0]


def test_an_asked_measure_is_the_only_one(tables):
    assert set(estimates(*tables, design(measures=("accuracy",)))["measure"]) == {"accuracy"}
    with pytest.raises(InputError, match="did you mean"):
        estimates(*tables, design(measures=("accurracy",)))


def test_predictions_of_unknown_examples_are_refused(tables):
    table, uses, predicted = tables
    with pytest.raises(InputError, match="that the table examples lacks"):
        estimates(table.head(10), uses, predicted, design())


def test_the_order_of_rows_does_not_matter(tables, table):
    examples_, uses, predicted = tables
    again = estimates(
        examples_.sample(fraction=1, shuffle=True, seed=1),
        uses.reverse(),
        predicted.sample(fraction=1, shuffle=True, seed=2),
        design(),
    )
    keys = ["measure", "attribute", "group", "method", "seed"]
    for one, other in zip(table.sort(keys).iter_rows(), again.sort(keys).iter_rows(), strict=True):
        assert one[:10] == other[:10]
        assert one[10:15] == pytest.approx(other[10:15], nan_ok=True)


@pytest.mark.parametrize("probability", [(0.9, 0.1), (0.5, 0.5), (0.7, 0.3)])
def test_groups_with_the_same_errors_but_for_rounding_are_not_worse(probability: tuple[float, float]):
    label = np.arange(200) % 2
    frame = pl.DataFrame({"g": ["a"] * 120 + ["b"] * 80, "y": label, "p": np.where(label, *probability)})
    measures = ["calibration_error_squared", "brier_score", "log_loss", "roc_auc"]
    results = evenhand.audit(frame, label="y", probability="p", groups="g", measures=measures)
    assert set(results.verdicts["verdict"]) == {"inconclusive"}
    assert set(results.verdicts.filter(pl.col("measure") != "calibration_error_squared")["contrast"]) == {0.0}
