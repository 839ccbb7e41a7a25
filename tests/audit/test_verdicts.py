"""Contrasts and verdicts: signs, pairing, families, margins, one run, nulls with reasons."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand import records
from evenhand.audit.comparisons import Contrast
from evenhand.audit.design import Design
from evenhand.audit.estimands import Estimand
from evenhand.audit.kinds.prediction_tables import readings
from evenhand.audit.measures import measure_named
from evenhand.audit.reading import setting_contrasts
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.stats.contrast import by_unit, two_way
from small_records import Tables, design, examples, predictions, study, trials, verdicts


def row(table: pl.DataFrame, **place) -> dict:
    """The one row at a place; what is not named is null."""
    for key, value in {"comparison": "change", "class": None, "attribute": None, "group": None, **place}.items():
        table = table.filter(pl.col(key).is_null() if value is None else pl.col(key) == value)
    assert len(table) == 1, table
    return table.row(0, named=True)


@pytest.fixture(scope="module")
def harmed():
    return study(n=2000, harm={"b": 1.0})


@pytest.fixture(scope="module")
def table(harmed):
    return verdicts(*harmed, design(margins={"default": 0.05, "calibration_error_squared": 0.01}))


def test_the_table_fits_its_schema(table):
    assert records.validate(table, "verdicts").equals(table)
    assert set(table["runs"]) == {4}


def test_a_planted_harm_is_worse_where_it_was_planted_and_nowhere_else(table):
    group = {"attribute": "who", "measure": "accuracy"}
    assert row(table, **group, group="b")["verdict"] == "worse"
    assert row(table, **group, group="a")["verdict"] in ("equivalent", "not worse")
    assert row(table, **group, group="c")["verdict"] in ("equivalent", "not worse", "inconclusive")
    gap = {**group, "comparison": "gap change"}
    assert row(table, **gap, group="b")["verdict"] == "worse" and row(table, **gap, group="b")["disparity"] == "widens"
    assert row(table, **gap)["verdict"] == "worse" and row(table, **gap)["note"].startswith("widens for b")
    assert row(table, measure="accuracy_spread", attribute="who")["verdict"] == "worse"


def test_what_papers_report_is_shown_and_says_what_decides(table):
    for name in ("accuracy_difference", "worst_group_accuracy", "equalized_odds_difference"):
        found = row(table, measure=name, attribute="who")
        assert found["low"] < found["contrast"] < found["high"]
        assert found["verdict"] is None and "no verdict: what decides is" in found["note"]


def test_a_margin_of_a_measure_without_a_verdict_is_kept(harmed):
    found = verdicts(*harmed, design(margins={"default": 0.05, "equalized_odds_difference": 0.1}))
    assert row(found, measure="equalized_odds_difference", attribute="who")["margin"] == 0.1
    assert row(found, measure="demographic_parity_difference", attribute="who")["margin"] is None


def test_a_positive_contrast_is_less_useful_or_less_fair(harmed, table):
    frame = harmed[2].join(harmed[0], on="example").join(harmed[1], on="trial")
    right = (frame["logits"].to_numpy().argmax(axis=1) == frame["label"].to_numpy()).astype(float)
    means = dict(frame.with_columns(right=right).group_by("method").agg(pl.col("right").mean()).iter_rows())
    found = row(table, measure="accuracy")
    assert found["contrast"] == pytest.approx(means["full"] - means["lora"])
    assert found["contrast"] > 0


def test_swapping_method_and_reference_swaps_the_sign(harmed, table):
    swapped = verdicts(*harmed, design(["lora", "full"], margins={"default": 0.05}))
    ours = row(table, measure="accuracy", attribute="who", group="b")
    theirs = row(swapped, measure="accuracy", attribute="who", group="b")
    assert theirs["verdict"] == "better"
    assert theirs["contrast"] == pytest.approx(-ours["contrast"])
    assert (theirs["low"], theirs["high"]) == pytest.approx((-ours["high"], -ours["low"]))


def test_a_measure_without_a_direction_has_two_sided_verdicts(table):
    found = table.filter(measure="selection_rate")
    between = found.filter(pl.col("group").is_null(), comparison="gap change")
    assert set(found["comparison"]) == {"change", "gap change"} and len(found) == 4 + 4 and len(between) == 1
    apart = found.filter(pl.col("contrast").is_not_null())
    assert set(apart["verdict"]) <= {"different", "equivalent", "inconclusive"}
    assert found.filter(comparison="gap change")["disparity"].null_count() == 0


def test_the_plug_in_calibration_error_gets_no_verdict_and_the_squared_one_does(table):
    plug_in = row(table, measure="expected_calibration_error")
    assert plug_in["verdict"] is None and plug_in["p"] is None
    assert plug_in["low"] < plug_in["contrast"] < plug_in["high"]
    assert "calibration_error_squared" in plug_in["note"]
    assert row(table, measure="calibration_error_squared")["verdict"] is not None


def test_contrasts_of_ranges_promise_no_coverage_and_those_of_rates_do(table):
    promised = table.filter(~pl.col("note").fill_null("").str.contains("no coverage is promised"))
    assert set(table["measure"]) - set(promised["measure"]) == {
        "worst_group_accuracy",
        "accuracy_difference",
        "demographic_parity_difference",
        "equalized_odds_difference",
    }


def test_the_default_margin_does_not_serve_a_measure_on_its_own_scale(harmed):
    table = verdicts(*harmed, design(margins={"default": 0.05}))
    found = row(table, measure="calibration_error_squared")
    assert found["margin"] is None and "no margin" in found["note"]
    assert row(table, measure="accuracy")["margin"] == 0.05


def test_without_a_margin_equivalent_and_not_worse_are_not_said(harmed):
    table = verdicts(*harmed, design())
    assert not set(table["verdict"]) & {"equivalent", "not worse"}
    assert row(table, measure="accuracy", attribute="who", group="b")["verdict"] == "worse"


def test_a_family_is_what_one_question_is_asked_of(table):
    assert row(table, measure="accuracy", attribute="who", group="a")["family"] == (
        "accuracy by group, lora vs full (3 contrasts)"
    )
    assert row(table, measure="accuracy")["family"] == "accuracy everyone, lora vs full (1 contrast)"
    assert row(table, measure="accuracy_difference", attribute="who")["family"].endswith("(1 contrast)")


def test_the_adjusted_p_value_and_the_interval_never_disagree():
    for harm in (0.0, 0.1, 0.2, 0.3):
        table = verdicts(*study(n=400, seeds=3, harm={"b": harm, "c": harm}, seed=7), design())
        judged = table.filter(pl.col("p_adjusted").is_not_null(), pl.col("measure") != "selection_rate")
        assert len(judged) > 10
        assert ((judged["p_adjusted"] < 0.05) == (judged["low"] > 0)).all()
        assert ((judged["p"] < 0.5) == (judged["contrast"] > 0)).all()


def test_a_larger_family_has_wider_intervals(harmed):
    one = verdicts(*harmed, design(measures=("accuracy",)))
    table, uses, predicted = harmed
    more = table.with_columns(
        pl.Series("attribute.other", [["xyzuvw"[i % 6]] for i in range(len(table))], dtype=pl.List(pl.String))
    )
    many = verdicts(more, uses, predicted, design(measures=("accuracy",)))
    first, second = (row(found, measure="accuracy", attribute="who", group="a") for found in (one, many))
    assert second["family"].endswith("(9 contrasts, max T)")
    assert second["contrast"] == first["contrast"]
    assert second["low"] < first["low"] and second["high"] > first["high"]
    assert second["detectable"] > first["detectable"]


def test_one_run_of_each_gives_verdicts_about_these_models(harmed):
    table, uses, predicted = harmed
    found = verdicts(table, uses.filter(seed=0), predicted, design(margins={"default": 0.05}))
    assert set(found.drop_nulls("contrast")["scope"]) == {"these models"}
    harm = row(found, measure="accuracy", attribute="who", group="b")
    assert harm["verdict"] == "worse" and harm["p"] < 0.05 and harm["detectable"] > 0 and harm["runs_needed"] is None
    assert "one run of each: about these two models, not about the methods" in harm["note"]
    assert row(found, measure="accuracy", attribute="who", group="a")["verdict"] in ("equivalent", "not worse")


def test_identical_methods_are_never_equivalent_on_an_interval_without_width():
    table, uses, predicted = study(n=200)
    same = pl.concat(
        [
            predicted.filter(trial=f"full-{seed}").with_columns(trial=pl.lit(f"{method}-{seed}"))
            for seed in range(4)
            for method in ("full", "lora")
        ]
    )
    found = verdicts(table, uses, same, design(margins={"default": 0.5, "calibration_error_squared": 0.1}))
    equivalent = found.filter(verdict="equivalent")
    assert len(equivalent) and (equivalent["high"] > equivalent["low"]).all()
    assert "fewer than 10 discordant units" in row(found, measure="accuracy")["note"]
    calibration = row(found, measure="calibration_error_squared")
    assert calibration["verdict"] == "inconclusive" and "no width" in calibration["note"]
    strict = verdicts(table, uses, same, design(margins={"default": 0.001}))
    assert row(strict, measure="accuracy", attribute="who", group="c")["verdict"] == "inconclusive"


def test_a_measure_undefined_in_some_seeds_uses_the_others_and_says_how_many():
    """Group c has positives in the test sets of three seeds only, then of two."""
    rng = np.random.default_rng(0)
    labels = np.array([1, 0] * 60 + [1] * 20 + [0] * 20)
    groups = [["a"], ["b"]] * 60 + [["c"]] * 40
    table = examples(list(labels), {"who": groups})
    for with_positives in (3, 2):
        uses, frames = [], []
        for seed in range(4):
            rows = list(range(120)) + (list(range(120, 140)) if seed < with_positives else []) + list(range(140, 160))
            for method in ("full", "lora"):
                flip = rng.random(len(rows)) < 0.2
                uses.append((method, seed))
                frames.append(predictions(f"{method}-{seed}", rows, np.where(flip, 1 - labels[rows], labels[rows])))
        found = verdicts(table, trials(uses), pl.concat(frames), design(support=1))
        place = {"measure": "true_positive_rate", "attribute": "who", "group": "c"}
        ours = row(found, **place)
        assert f"defined in {with_positives} of 4 runs (no positive examples)" in ours["note"]
        assert ours["runs"] == with_positives
        assert (ours["contrast"] is None) == (with_positives < 3)
        if with_positives < 3:
            assert ours["verdict"] == "inconclusive" and ours["low"] is None


def test_a_group_too_small_is_shown_and_not_judged():
    table, uses, predicted = study(n=300)
    tiny = table.with_columns(
        pl.Series("attribute.rare", [["yes"] if i < 6 else ["no"] for i in range(300)], dtype=pl.List(pl.String))
    )
    found = verdicts(tiny, uses, predicted, design(margins={"default": 0.05}))
    ours = row(found, measure="accuracy", attribute="rare", group="yes")
    assert ours["contrast"] is not None and ours["low"] is None and ours["verdict"] == "inconclusive"
    assert "fewer than 10 examples in some run: shown, not judged" in ours["note"]
    assert row(found, measure="accuracy", attribute="rare", group="no")["family"].endswith("(4 contrasts, max T)")


def test_a_method_that_failed_everywhere_is_inconclusive_with_the_reason():
    table, uses, predicted = study(n=200)
    failed = trials(list(uses.select("method", "seed").iter_rows()), {("lora", s): "no number" for s in range(4)})
    found = verdicts(table, failed, predicted.filter(pl.col("trial").str.starts_with("full")), design())
    ours = row(found, measure="accuracy")
    assert ours["contrast"] is None and ours["verdict"] == "inconclusive"
    assert "lora: 4 of 4 seeds have no predictions: training failed (no number)" in ours["note"]


def test_failed_seeds_are_noted_and_the_others_compared():
    table, uses, predicted = study(n=200)
    failed = trials(list(uses.select("method", "seed").iter_rows()), {("lora", 1): "no number"})
    ours = row(verdicts(table, failed, predicted, design()), measure="accuracy")
    assert ours["runs"] == 3 and "1 of 4 seeds" in ours["note"]


def contrast_of_accuracy(tables: Tables, chosen: Design) -> Contrast:
    """Everyone's."""
    (reading,) = readings(*tables, chosen)
    (member,) = setting_contrasts(reading, Estimand(measure_named("accuracy")), chosen)
    return member.contrast


def test_unpaired_runs_have_independent_variances(harmed):
    paired, unpaired = (contrast_of_accuracy(harmed, design(paired=how)) for how in ("example", "none"))
    assert unpaired.estimate == pytest.approx(paired.estimate)
    frame = harmed[2].join(harmed[0], on="example", maintain_order="left")
    right = (frame["logits"].to_numpy().argmax(axis=1) == frame["label"].to_numpy()).astype(float)
    variances = []
    for method in ("full", "lora"):
        runs = [right[(frame["trial"] == f"{method}-{seed}").to_numpy()] for seed in range(4)]
        n = len(runs[0])
        rows, shares = [np.arange(n)] * 4, [np.full(n, 1 / n)] * 4
        summed = by_unit(rows, [(run - run.mean()) / n for run in runs], shares)
        variances.append(two_way(np.array([run.mean() for run in runs]), *summed).variance)
    assert unpaired.whole.variance == pytest.approx(sum(variances))
    assert unpaired.whole.standard_error > 1.3 * paired.whole.standard_error
    assert "unpaired" in row(verdicts(*harmed, design(paired="none")), measure="accuracy")["note"]


def test_only_examples_that_both_predicted_are_compared():
    table, uses, predicted = study(n=200)
    dropped = predicted.filter((pl.col("trial") != "lora-0") | (pl.col("example") != "e7"))
    ours = row(verdicts(table, uses, dropped, design()), measure="accuracy")
    assert "1 predictions of one method only are left out" in ours["note"]


def test_every_method_is_compared_with_every_reference_and_two_references_once():
    table, uses, predicted = study(n=150, seeds=3)
    third = predicted.filter(pl.col("trial").str.starts_with("lora")).with_columns(
        trial=pl.col("trial").str.replace("lora", "base")
    )
    all_uses = trials([*uses.select("method", "seed").iter_rows(), *(("base", seed) for seed in range(3))])
    one = design(["full", "lora", "base"], setting={"references": ("full", "base")}, measures=("accuracy",))
    found = verdicts(table, all_uses, pl.concat([predicted, third]), one)
    assert set(found.select("method", "reference").iter_rows()) == {
        ("lora", "full"),
        ("base", "full"),
        ("lora", "base"),
    }


def test_an_inconclusive_verdict_says_how_many_runs_would_decide():
    found = verdicts(*study(n=150, seeds=3), design(margins={"default": 0.03}))
    open_ = found.filter(verdict="inconclusive").drop_nulls("contrast")
    open_ = open_.filter(~pl.col("measure").str.ends_with("_spread"))  # more runs never make these harmless
    assert len(open_)
    assert (open_["runs_needed"].is_not_null() | open_["note"].str.contains("would")).all()
    assert found.filter(verdict="equivalent")["runs_needed"].null_count() == len(found.filter(verdict="equivalent"))
    needed = open_["runs_needed"].drop_nulls()
    assert (needed > 3).all()


def test_max_minus_min_is_flagged_as_biased(table):
    assert "biased upward" in row(table, measure="demographic_parity_difference", attribute="who")["note"]


def test_the_joint_claim_needs_no_correction():
    found = verdicts(*study(n=3000, seeds=5), design(margins={"default": 0.1}, measures=("accuracy",)))
    ours = row(found, measure="accuracy", attribute="who", group="a")
    assert "jointly: not worse by the margin in any of the 3 contrasts" in ours["note"]


def test_a_margin_for_an_unknown_measure_is_refused(harmed):
    with pytest.raises(InputError, match='no measure "acuracy"; did you mean "accuracy"'):
        Results.compute(*harmed, design(margins={"acuracy": 0.1}))


def test_without_a_reference_the_groups_of_each_method_are_compared_with_the_rest(harmed):
    found = verdicts(*harmed, design(setting={"references": ()}))
    assert set(found["comparison"]) == {"gap"} and set(found["against"]) == {"rest"}
    assert set(found["method"]) == {"full", "lora"} and found["reference"].null_count() == len(found)
    assert set(found["scope"]) == {"the methods"}
    gap = {"comparison": "gap", "measure": "accuracy", "attribute": "who"}
    worst = row(found, **gap, method="lora", group="b")
    assert worst["verdict"] == "worse" and 0 < worst["low"] < worst["contrast"] < worst["high"]
    assert row(found, **gap, method="full", group="b")["verdict"] != "worse"
    assert records.validate(found, "verdicts").equals(found)
