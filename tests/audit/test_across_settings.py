"""Pooling contrasts over the settings of a study: which rows there are, what they say, and what settings share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

import small_records
from evenhand.audit.across_settings import ALIKE, DIFFER, ONE_SEED, SHARED, study_codes
from evenhand.audit.design import Design
from evenhand.audit.kinds.prediction_tables import readings
from evenhand.audit.measures import measure_named
from evenhand.audit.reading import setting_contrasts
from evenhand.audit.results import Results
from evenhand.audit.verdict_rows import NO_MARGIN
from evenhand.stats.heterogeneity import TWO_SETTINGS, pool
from small_records import Tables, several, verdicts

IN_NONE = pl.col("setting").is_null()
EVERYONE = pl.col("attribute").is_null() & (pl.col("measure") == "accuracy")


def pooled_rows(tables: Tables, design: Design) -> pl.DataFrame:
    return verdicts(*tables, design).filter(pl.col("setting").is_null())


def studies(count: int, **options) -> list[Tables]:
    return [small_records.study(seed=seed, probabilities=False, **options) for seed in range(count)]


def test_the_mean_over_settings_is_that_of_their_rows():
    tables, design = several(studies(3), "abc", margins={"default": 0.1})
    table = verdicts(*tables, design)
    own, (across,) = (table.filter(EVERYONE & null).to_dicts() for null in (~IN_NONE, IN_NONE))
    assert across["contrast"] == pytest.approx(np.mean([row["contrast"] for row in own]))
    assert across["runs"] == 3 and across["runs_needed"] is None
    assert across["low"] < across["contrast"] < across["high"]
    assert across["predict_low"] <= across["low"] and across["high"] <= across["predict_high"]
    assert across["margin"] == 0.1
    assert across["family"] == "accuracy everyone, lora vs full, across settings (1 contrast)"
    assert across["p"] == across["p_adjusted"]
    assert across["note"].startswith("3 settings, I² ") and across["note"].endswith(ALIKE)


def test_every_contrast_of_two_settings_has_one_pooled_row_and_no_other():
    tables, design = several(studies(2), "ab")
    table = verdicts(*tables, design)
    place = ["comparison", "split", "measure", "class", "attribute", "group", "method", "reference"]
    across = table.filter(IN_NONE)
    summed_up = (pl.col("comparison") == "gap change") & pl.col("group").is_null()
    expected = table.filter(~summed_up, setting="a").select(place)
    assert across.select(place).sort(place).equals(expected.sort(place))
    made = across.drop_nulls("contrast")  # without probabilities there is no calibration in either
    assert made["runs"].unique().to_list() == [2] and set(made["measure"]) < set(across["measure"])
    assert across["predict_low"].null_count() == len(across)
    assert made["note"].str.contains(TWO_SETTINGS).all()


def test_one_setting_alone_is_not_pooled_nor_is_an_unpaired_study():
    tables, design = several(studies(1), "a")
    assert pooled_rows(tables, design).is_empty()
    tables, design = several(studies(2), "ab", paired="none")
    assert pooled_rows(tables, design).is_empty()


def test_bounds_of_groups_hold_together():
    tables, design = several(studies(3), "abc")
    rows = pooled_rows(tables, design).filter(pl.col("group").is_not_null(), measure="accuracy", comparison="change")
    assert len(rows) == 3 and rows["family"].unique().to_list() == [
        "accuracy by group, lora vs full, across settings (3 contrasts)"
    ]
    assert rows["p_adjusted"].to_list() == pytest.approx((3 * rows["p"]).clip(None, 1).to_list())
    assert ((rows["low"] > 0) == (rows["p_adjusted"] < design.alpha)).all()


def test_a_harm_in_every_setting_is_found_and_one_setting_alone_differs():
    harmed = studies(4, n=900, harm={"c": 1.0})
    tables, design = several(harmed, "abcd", margins={"default": 0.02})
    worst = pooled_rows(tables, design).filter(measure="accuracy", group="c", comparison="change").row(0, named=True)
    assert worst["verdict"] == "worse" and worst["contrast"] > worst["detectable"] > 0
    tables, design = several([*studies(3, n=900), harmed[3]], "abcd")
    mixed = pooled_rows(tables, design).filter(measure="accuracy", group="c", comparison="change").row(0, named=True)
    assert mixed["verdict"] == "inconclusive" and mixed["note"].split("; ")[0].endswith(DIFFER)


def test_settings_on_the_same_examples_share_their_noise():
    one = small_records.study(probabilities=False)
    tables, design = several([one, one], "ab", apart=False)
    same = pooled_rows(tables, design).filter(EVERYONE).row(0, named=True)
    tables, design = several([one, one], "ab")
    apart = pooled_rows(tables, design).filter(EVERYONE).row(0, named=True)
    assert SHARED in same["note"] and SHARED not in apart["note"]
    assert same["contrast"] == pytest.approx(apart["contrast"])
    assert same["high"] - same["low"] > 1.15 * (apart["high"] - apart["low"])


def test_names_of_units_make_them_the_same_and_their_order_is_each_settings_own():
    (one, uses, found), (other, *_) = studies(2, n=3, seeds=1)
    one, other = (
        table.with_columns(unit=pl.Series(names))
        for table, names in ((one, ["x10", "x9", "x10"]), (other, ["x9", "y", "x1"]))
    )
    tables, design = several([(one, uses, found), (other, uses, found)], "ab", apart=False)
    named = tables[0].with_columns(unit=pl.concat([one["unit"], other["unit"]]))
    accuracy, contrasts = measure_named("accuracy"), []
    for reading in readings(named, *tables[1:], design):
        estimand = next(iter(reading.estimands(accuracy)))
        contrasts += reading.pooled(list(setting_contrasts(reading, estimand, design)))
    codes = study_codes(contrasts)
    assert codes["a"].tolist() == [1, 2]  # of x10, x9 among x1, x10, x9, y
    assert codes["b"].tolist() == [0, 2, 3]


def test_the_covariance_is_that_of_the_shared_examples_whatever_their_order():
    """Two base models on one data set, listed in different orders: full sums by example against the pooled interval."""
    rng = np.random.default_rng(0)
    n, label = 300, np.tile([0, 1], 150)
    hard = rng.random(n) < 0.4
    parts, losses = [], []
    for _ in range(2):
        full = np.where(rng.random(n) < 0.1, 1 - label, label)
        lora = np.where(hard & (rng.random(n) < 0.5), 1 - label, label)
        losses.append((full == label).astype(float) - (lora == label))
        groups = {"who": [["g"]] * n}
        frames = [small_records.predictions(f"{name}-{seed}", range(n), values) for seed in (0, 1, 2)
                  for name, values in (("full", full), ("lora", lora))]  # fmt: skip
        uses = [(name, seed) for seed in (0, 1, 2) for name in ("full", "lora")]
        parts.append((small_records.examples(list(label), groups), small_records.trials(uses), pl.concat(frames)))
    parts[1] = (parts[1][0].reverse(), *parts[1][1:])
    tables, design = several(parts, "ab", apart=False)
    row = pooled_rows(tables, design).filter(EVERYONE).row(0, named=True)
    centred = [(loss - loss.mean()) / n for loss in losses]
    shared = np.array([[one @ other for other in centred] for one in centred])
    values = np.array([loss.mean() for loss in losses])
    expected = pool(values, np.diag(shared) * n / (n - 1), shared=shared, shared_df=n - 1)
    assert shared[0, 1] > 0.2 * shared[0, 0]
    assert (row["low"], row["high"]) == pytest.approx(expected.bounds(design.alpha))


def test_a_group_that_is_judged_in_too_few_settings_is_not_pooled_and_says_so():
    rare = small_records.study(n=600, seed=5, probabilities=False)
    few = rare[0].with_columns(
        pl.when(pl.int_range(pl.len()) < 6)
        .then(pl.lit(["c"], dtype=pl.List(pl.String)))
        .otherwise(pl.lit(["a"], dtype=pl.List(pl.String)))
        .alias("attribute.who")
    )
    tables, design = several([*studies(2), (few, *rare[1:])], "abx", margins={"default": 0.1})
    rows = pooled_rows(tables, design).filter(measure="accuracy", group="c", comparison="change")
    assert rows["runs"].item() == 2 and "settings left out, where the contrast is not judged: x" in rows["note"].item()
    tables, design = several([studies(1)[0], (few, *rare[1:])], "ax", margins={"default": 0.1})
    (row,) = pooled_rows(tables, design).filter(measure="accuracy", group="c", comparison="change").to_dicts()
    assert row["contrast"] is row["low"] is None and row["verdict"] == "inconclusive"
    assert "judged in fewer than two settings" in row["note"] and "where the contrast is not judged: x" in row["note"]


def test_several_settings_of_one_seed_each_get_a_verdict_that_says_so():
    tables, design = several(studies(4, seeds=1, harm={"c": 1.2}), "abcd")
    row = pooled_rows(tables, design).filter(measure="accuracy", group="c", comparison="change").row(0, named=True)
    assert row["verdict"] == "worse" and ONE_SEED in row["note"] and NO_MARGIN in row["note"]


def test_measures_that_do_not_decide_are_pooled_without_a_verdict():
    tables, design = several([small_records.study(seed=seed) for seed in (0, 1)], "ab")
    rows = pooled_rows(tables, design).filter(measure="expected_calibration_error")
    assert len(rows) and rows["verdict"].null_count() == rows["p"].null_count() == len(rows)
    assert rows["low"].null_count() == 0


def test_the_gate_sees_what_is_worse_across_settings():
    tables, design = several(studies(3, n=900, harm={"c": 1.0}), "abc")
    failed = Results.compute(*tables, design).failed()
    assert failed.filter(IN_NONE)["group"].to_list().count("c") >= 1


def with_the_trials_of(
    tables: Tables, design: Design, copied: dict[str, str], methods: Sequence[str] = ("full", "lora")
) -> tuple[Tables, Design]:
    """Add settings with the examples of others, whose trials they share for these methods and repeat for the rest."""
    examples, trials, predictions = tables
    settings = dict(design.settings)
    for setting, original in copied.items():
        own = pl.col("setting") == original
        renamed = pl.format("{}/{}", pl.lit(setting), pl.col("trial"))
        rows = trials.filter(own).with_columns(
            setting=pl.lit(setting), trial=pl.when(pl.col("method").is_in(methods)).then("trial").otherwise(renamed)
        )
        again = predictions.with_columns(trial=renamed).filter(pl.col("trial").is_in(rows["trial"].implode()))
        examples = pl.concat([examples, examples.filter(own).with_columns(setting=pl.lit(setting))])
        trials, predictions = pl.concat([trials, rows]), pl.concat([predictions, again])
        settings[setting] = settings[original]
    return (examples, trials, predictions), design.model_copy(update={"settings": settings})


def test_settings_with_the_same_trials_count_once():
    """Two models, each attacked twice: two settings, not four, so that nothing is known of how settings differ."""
    tables, design = several(studies(2), "ab", margins={"default": 0.0057})
    distinct = pooled_rows(tables, design)
    doubled = pooled_rows(*with_the_trials_of(tables, design, {"a-loss": "a", "b-loss": "b"}))
    assert doubled.drop("note").equals(distinct.drop("note"))
    row = doubled.filter(EVERYONE).row(0, named=True)
    four = pooled_rows(*with_the_trials_of(tables, design, {"a-loss": "a", "b-loss": "b"}, methods=[]))
    assert four.filter(EVERYONE)["verdict"].item() == "not worse"
    assert row["runs"] == 2 and row["verdict"] == "inconclusive"
    assert "settings that share trials count once: a-loss as a, b-loss as b" in row["note"]


def test_settings_that_share_their_reference_only_count_once_as_well():
    tables, design = several(studies(3), "abc", margins={"default": 0.3})
    distinct = pooled_rows(tables, design)
    shared = pooled_rows(*with_the_trials_of(tables, design, {"d": "c"}, methods=["full"]))
    assert shared.drop("note").equals(distinct.drop("note"))
    assert shared.filter(EVERYONE)["note"].str.contains("count once: d as c").all()


def test_settings_of_one_set_of_trials_are_not_pooled():
    tables, design = several(studies(1), "a", margins={"default": 0.3})
    assert pooled_rows(*with_the_trials_of(tables, design, {"a-loss": "a"})).is_empty()


def test_gaps_against_other_groups_are_no_mean():
    """In one setting groups are compared with group a, in the other with the rest: two questions."""
    tables, design = several(studies(2), "ab")
    named = design.settings["a"].model_copy(update={"against": {"who": "a"}})
    mixed = design.model_copy(update={"settings": {"a": named, "b": design.settings["b"]}})
    gaps = (pl.col("comparison") == "gap change") & (pl.col("measure") == "accuracy")
    assert not pooled_rows(tables, design).filter(gaps).is_empty()
    assert pooled_rows(tables, mixed).filter(gaps).is_empty()
    everyone = pooled_rows(tables, mixed).filter(EVERYONE)
    assert everyone.drop("family").equals(pooled_rows(tables, design).filter(EVERYONE).drop("family"))
    alike = design.model_copy(update={"settings": {"a": named, "b": named}})
    assert set(pooled_rows(tables, alike).filter(gaps)["against"].drop_nulls()) == {"a"}


def test_a_mean_of_calibration_errors_allows_for_what_they_cannot_see_as_each_of_them_does():
    tables, design = several([small_records.study(n=30, seed=seed) for seed in range(2)], "ab")
    wanted = (pl.col("measure") == "calibration_error_squared") & pl.col("attribute").is_null()
    (row,) = pooled_rows(tables, design).filter(wanted).to_dicts()
    first, second = (
        each.contrast
        for reading in readings(*tables, design)
        for estimand in reading.estimands(measure_named("calibration_error_squared"))
        for each in setting_contrasts(reading, estimand, design)
        if estimand.subset.attribute is None and each.comparison.kind == "change"
    )
    assert first.unseen is not None and second.unseen is not None and first.interval and second.interval
    unseen = first.unseen.larger(second.unseen)
    assert unseen.above.share > 0 and unseen.below.squares > 0
    mean = pool([first.estimate, second.estimate], [first.interval.variance, second.interval.variance])
    assert (row["low"], row["high"]) == pytest.approx(unseen.bounds(mean, *mean.bounds(design.alpha)))
    assert row["p"] == pytest.approx(mean.p_greater(unseen.below.squares))
