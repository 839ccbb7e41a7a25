"""Audits of columns of numbers and of regressions: values, intervals, verdicts, and what is refused or left out."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.audit.measures.numbers import OF_VALUES
from evenhand.audit.runs.skewness import ALLOWED
from evenhand.errors import InputError

N = 600


def people(seed: int = 0, **columns: object) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    sex, race = rng.choice(["f", "m"], N), rng.choice(["a", "b", "c"], N, p=[0.6, 0.3, 0.1])
    toxicity = np.clip(rng.beta(2, 8, N) + 0.15 * (sex == "f"), 0, 1)
    return pl.DataFrame({"id": range(N), "sex": sex, "race": race, "toxicity": toxicity, **columns})


def two_models(change: float = 0.1) -> pl.DataFrame:
    """A model, and another one that is worse for women."""
    old = people()
    worse = pl.when(pl.col("sex") == "f").then(pl.col("toxicity") + change).otherwise("toxicity").clip(0, 1)
    noise = pl.Series(np.random.default_rng(9).normal(0, 0.01, N))
    new = old.with_columns(toxicity=(worse + noise).clip(0, 1))
    return pl.concat([old.with_columns(model=pl.lit("old")), new.with_columns(model=pl.lit("new"))])


def audited(frame: pl.DataFrame, **options: object):
    asked = {"value": "toxicity", "more_is": "worse", "range": (0, 1), "groups": ["sex", "race"], **options}
    return evenhand.audit(frame, **asked)  # pyright: ignore[reportArgumentType]


PAIRED = {"method": "model", "reference": "old", "example": "id"}


def levels(results, **where: object) -> pl.DataFrame:
    return results.estimates.filter(pl.col("comparison").is_null(), pl.col("seed").is_null(), **where)


def test_levels_gaps_changes_and_their_gaps_are_differences_of_means():
    frame = two_models()
    results = audited(frame, **PAIRED, comparison="gap")

    def mean(model: str, sex: str) -> float:
        return float(frame.filter(model=model, sex=sex)["toxicity"].to_numpy().mean())

    for model in ("old", "new"):
        assert levels(results, method=model, group="f")["value"].item() == pytest.approx(mean(model, "f"))
    rows = {row["comparison"] + row["method"]: row for row in results.verdicts.filter(group="f").iter_rows(named=True)}
    gap = {model: mean(model, "f") - mean(model, "m") for model in ("old", "new")}
    assert rows["gapold"]["contrast"] == pytest.approx(gap["old"])
    assert rows["changenew"]["contrast"] == pytest.approx(mean("new", "f") - mean("old", "f"))
    assert rows["gap changenew"]["contrast"] == pytest.approx(gap["new"] - gap["old"])
    assert {row["verdict"] for row in rows.values()} == {"worse"}


def test_where_more_is_better_less_is_worse():
    rows = audited(two_models(-0.2), **PAIRED | {"more_is": "better"}).verdicts
    row = rows.filter(comparison="change", group="f").row(0, named=True)
    assert row["contrast"] > 0 and row["verdict"] == "worse"


def test_without_a_direction_verdicts_are_two_sided():
    verdicts = audited(two_models(), **PAIRED, comparison="gap", more_is=None).verdicts
    assert set(verdicts["verdict"].drop_nulls()) <= {"different", "equivalent", "inconclusive"}
    assert verdicts.filter(comparison="change", group="f")["verdict"].item() == "different"


def test_margins_serve_values_between_0_and_1_by_default_and_others_by_name():
    frame = people().with_columns(toxicity=10 * pl.col("toxicity"))
    assert audited(people(), margins={"default": 0.05}).verdicts["margin"].unique().to_list() == [0.05]
    options = {"range": (0, 10), "margins": {"default": 0.05}}
    assert audited(frame, **options).verdicts["margin"].null_count() > 0
    named = audited(frame, range=(0, 10), margins={"toxicity": 0.5}).verdicts
    assert named["margin"].unique().to_list() == [0.5]


def test_naming_measures_does_not_leave_out_the_named_values():
    frame = people(y=[0, 1] * (N // 2), guess=[0, 1, 1, 0] * (N // 4))
    results = audited(frame, label="y", prediction="guess", measures=["accuracy"])
    assert results.estimates["measure"].unique().sort().to_list() == ["accuracy", "toxicity"]


def test_predictions_and_values_are_audited_in_one_go():
    frame = people(y=[0, 1] * (N // 2), guess=[0, 1, 1, 0] * (N // 4))
    results = audited(frame, label="y", prediction="guess")
    assert {"accuracy", "toxicity"} <= set(results.verdicts["measure"])
    assert len(results.values) == len(results.predictions) == N


def test_small_groups_of_skewed_values_are_shown_and_not_judged_without_a_range():
    frame = people(latency=np.random.default_rng(2).lognormal(0, 1.5, N))
    rows = audited(frame, value="latency", range=None).verdicts
    small = rows.filter(group="c").row(0, named=True)
    assert small["verdict"] == "inconclusive" and small["low"] is None
    assert OF_VALUES.remedy in small["note"] and small["contrast"] is not None
    estimate = levels(audited(frame, value="latency", range=None), group="c").row(0, named=True)
    assert estimate["low"] < estimate["value"] < estimate["high"] and OF_VALUES.remedy in estimate["note"]


def test_moderately_skewed_values_are_judged_with_a_longer_interval():
    frame = people(error=np.abs(np.random.default_rng(3).normal(0, 1, N)))
    row = audited(frame, value="error", range=None).verdicts.filter(group="a").row(0, named=True)
    assert ALLOWED in row["note"] and row["low"] is not None


def test_a_range_makes_every_gap_judged_and_intervals_longer():
    frame = people(score=np.random.default_rng(4).beta(0.2, 5, N))
    rows = audited(frame, value="score").verdicts
    assert rows["low"].null_count() == 0
    narrow = audited(frame, value="score", range=(0, frame["score"].max())).verdicts
    widths = [(each["high"] - each["low"]).to_numpy() for each in (narrow, rows)]
    assert (widths[0] < widths[1]).all()


def test_flags_have_the_intervals_of_shares():
    flag = np.random.default_rng(5).random(N) < 0.03
    frame = people(flag=flag, y=[1] * (N - 1) + [0], guess=flag.astype(int))
    flags = audited(frame, value="flag", range=None)
    assert flags.design.declared[0].shares
    # The last one is no member of the group, and gives the label a second class.
    assert frame["race"][-1] != "c"
    accuracy = evenhand.audit(frame, label="y", prediction="guess", groups=["sex", "race"])
    ours, theirs = levels(flags, measure="flag", group="c"), levels(accuracy, measure="accuracy", group="c")
    assert ours.select("value", "low", "high").row(0) == pytest.approx(theirs.select("value", "low", "high").row(0))


def test_logarithms_compare_geometric_means():
    latency = np.random.default_rng(6).lognormal(0, 1, N)
    frame = people(latency=latency)
    results = audited(frame, value="latency", range=None, scale="log")
    women = latency[frame["sex"].to_numpy() == "f"]
    assert levels(results, group="f")["value"].item() == pytest.approx(float(np.log(women).mean()))


def test_ranks_compare_groups_with_each_other_and_not_models():
    frame = two_models()
    results = audited(frame, **PAIRED, scale="rank", comparison="gap")
    assert set(results.verdicts["comparison"]) == {"gap", "gap change"}
    old = frame.filter(model="old")
    women, men = (old.filter(sex=sex)["toxicity"].to_numpy() for sex in ("f", "m"))
    share = float((women[:, None] > men).mean() + (women[:, None] == men).mean() / 2)
    row = levels(results, method="old", group="f").row(0, named=True)
    assert row["value"] == pytest.approx(share) and row["low"] < share < row["high"]
    gap = results.estimates.filter(pl.col("seed").is_null(), comparison="gap", method="old", group="f")["value"].item()
    assert gap == pytest.approx(2 * share - 1)


def test_ranks_of_small_groups_are_shown_and_not_judged():
    frame = people().with_columns(race=pl.when(pl.col("id") < 20).then(pl.lit("few")).otherwise("race"))
    row = audited(frame, scale="rank").verdicts.filter(group="few").row(0, named=True)
    assert row["contrast"] is not None and row["low"] is None and row["verdict"] == "inconclusive"
    assert "fewer than 30 examples on a side: ranks are shown, not judged" in row["note"]


@pytest.mark.parametrize("scale", ["identity", "log", "rank"])
def test_a_constant_shows_no_difference(scale):
    rows = audited(people().with_columns(toxicity=pl.lit(0.1)), range=None, scale=scale).verdicts
    assert rows["contrast"].to_list() == [0.0] * len(rows)
    assert set(rows["verdict"]) == {"inconclusive"}


def test_units_are_resampled_whole():
    once = people()
    copies = pl.concat([once] * 4)
    rows = audited(copies, unit="id", example=None).verdicts.select("contrast", "low", "high")
    single = audited(once).verdicts.select("contrast", "low", "high")
    for copied, row in zip(rows.iter_rows(), single.iter_rows(), strict=True):
        assert copied[0] == pytest.approx(row[0])
        assert copied[2] - copied[1] >= (row[2] - row[1]) * 0.99


def test_methods_whose_rows_do_not_match_are_compared_unpaired():
    frame = pl.concat([people(0).with_columns(model=pl.lit("old")), people(1)[:-5].with_columns(model=pl.lit("new"))])
    rows = audited(frame, method="model", reference="old").verdicts
    assert rows.filter(comparison="change")["note"].str.contains("unpaired").all()
    assert rows["low"].null_count() < len(rows)


def test_several_runs_are_clustered_by_run_too():
    rng = np.random.default_rng(7)
    parts = [
        people().with_columns(toxicity=(pl.col("toxicity") + shift).clip(0, 1), seed=pl.lit(seed))
        for seed, shift in enumerate(rng.normal(0, 0.05, 5))
    ]
    results = audited(pl.concat(parts), seed="seed", example="id")
    whole = levels(results).filter(pl.col("group").is_null())
    one = audited(parts[0], example="id")
    alone = levels(one).filter(pl.col("group").is_null())
    width = [(each["high"] - each["low"]).item() for each in (whole, alone)]
    assert width[0] > 2 * width[1]


def test_a_missing_value_of_one_model_is_left_out_of_the_pair_and_said():
    frame = two_models().with_columns(
        toxicity=pl.when((pl.col("id") == 3) & (pl.col("model") == "new")).then(None).otherwise("toxicity")
    )
    results = audited(frame, **PAIRED)
    row = results.verdicts.filter(pl.col("group").is_null(), comparison="change").row(0, named=True)
    assert "1 values of toxicity of one method only are left out" in row["note"]
    assert any("toxicity is missing in" in warning for warning in results.design.settings["table"].warnings)


def test_results_with_values_are_saved_loaded_and_audited_again(tmp_path):
    frame = two_models().with_columns(toxicity=pl.col("toxicity").clip(0.01, 1))
    results = audited(frame, **PAIRED, scale="log")
    results.save(tmp_path)
    loaded = evenhand.Results.load(tmp_path)
    assert loaded.values.equals(results.values)
    assert loaded.audited_again().verdicts.equals(results.verdicts)
    assert loaded.summary() == results.summary()


def test_values_that_a_design_does_not_declare_are_refused():
    results = audited(people())
    design = results.design.model_copy(update={"declared": ()})
    with pytest.raises(InputError, match='the design declares no values "toxicity"'):
        evenhand.Results.compute(results.examples, results.trials, results.predictions, design, values=results.values)


def regression(shift: float = 2.0) -> pl.DataFrame:
    rng = np.random.default_rng(8)
    frame = people(price=rng.normal(50, 10, N))
    guess = frame["price"].to_numpy() + rng.normal(0, 3, N) + shift * (frame["sex"].to_numpy() == "f")
    return frame.with_columns(guess=guess)


def test_a_regression_says_who_is_overestimated_and_whose_errors_are_larger():
    results = evenhand.audit(regression(4), label="price", prediction="guess", groups="sex", task="regression")
    rows = {row["measure"]: row for row in results.verdicts.iter_rows(named=True)}
    assert set(rows) == {"mean_absolute_error", "mean_error", "root_mean_squared_error"}
    assert (rows["mean_error"]["group"], rows["mean_error"]["verdict"]) == ("f", "different")
    assert rows["mean_error"]["contrast"] == pytest.approx(4, abs=0.6)
    assert (rows["mean_absolute_error"]["group"], rows["mean_absolute_error"]["verdict"]) == ("f", "worse")


def test_r2_has_an_interval_and_no_verdict_and_equal_labels_have_none():
    frame = regression().with_columns(price=pl.when(pl.col("race") == "c").then(50.0).otherwise("price"))
    results = evenhand.audit(frame, label="price", prediction="guess", groups="race", task="regression")
    rows = {row["group"]: row for row in levels(results, measure="r2_score").iter_rows(named=True)}
    assert rows["a"]["low"] < rows["a"]["value"] < rows["a"]["high"]
    assert rows["c"]["value"] is None and "all labels are equal" in rows["c"]["note"]
    assert "r2_score" not in results.verdicts["measure"]


def test_two_models_of_a_regression_are_compared():
    better = regression().with_columns(guess=pl.col("price") + 0.1)
    frame = pl.concat([regression().with_columns(m=pl.lit("old")), better.with_columns(m=pl.lit("new"))])
    results = evenhand.audit(
        frame,
        label="price",
        prediction="guess",
        groups="sex",
        task="regression",
        method="m",
        reference="old",
        example="id",
        range=(0, 120),
    )
    changes = results.verdicts.filter(pl.col("group").is_null(), comparison="change")
    verdicts = dict(changes.select("measure", "verdict").iter_rows())
    assert verdicts["mean_absolute_error"] == "better" and verdicts["r2_score"] is None


def test_the_calibration_of_the_mean_lies_on_the_diagonal_where_the_mean_is_right():
    rng = np.random.default_rng(10)
    guess = rng.uniform(0, 100, 4000)
    frame = pl.DataFrame({"price": guess + rng.normal(0, 5, 4000), "guess": guess, "g": ["a", "b"] * 2000})
    results = evenhand.audit(frame, label="price", prediction="guess", groups="g", task="regression")
    curves = results.curves.filter(measure="mean_calibration")
    assert curves.group_by("group").len()["len"].to_list() == [10, 10, 10]
    inside = (curves["low"] <= curves["x"]) & (curves["x"] <= curves["high"])
    assert inside.mean() >= 0.8
    assert math.isclose(curves.filter(pl.col("group").is_null())["y"].mean(), frame["price"].mean(), rel_tol=0.01)


# Rounding


def shifted(new: pl.Expr, numbers: np.ndarray) -> pl.DataFrame:
    """An old model whose values are the numbers, and a new one whose values follow from them."""
    groups = np.where(np.arange(len(numbers)) < 0.6 * len(numbers), "a", "b")
    old = pl.DataFrame({"id": range(len(numbers)), "g": groups, "v": numbers, "model": "old"})
    return pl.concat([old, old.with_columns(new.alias("v"), model=pl.lit("new"))])


@pytest.mark.parametrize("size", [1.0, 1e6, 1e-9])
@pytest.mark.parametrize(
    ("new", "options"),
    [
        (pl.col("v") + 0.1, {}),
        (pl.col("v") + 0.1, {"range": (-1e9, 1e9)}),
        (pl.col("v") * 1.1, {"scale": "log"}),
        (pl.col("v") + 0.1, {"scale": "rank"}),
    ],
)
def test_what_rounding_makes_of_a_constant_change_is_no_verdict(size: float, new: pl.Expr, options: dict):
    frame = shifted(new, size * np.random.default_rng(0).uniform(10, 90, 200))
    results = audited(frame, value="v", groups=["g"], **{**PAIRED, "range": None, **options})
    assert set(results.verdicts["verdict"]) == {"inconclusive"}
    gaps = results.verdicts.filter(comparison="gap change")["contrast"].to_list()
    assert "range" in options or options.get("scale") == "rank" or gaps == [0.0]


@pytest.mark.parametrize("size", [1.0, 1e6])
def test_predictions_that_are_off_by_one_number_are_no_gap(size: float):
    label = size * np.random.default_rng(0).uniform(10, 90, 200)
    groups = np.where(np.arange(200) < 120, "a", "b")
    frame = pl.DataFrame({"g": groups, "y": label, "h": label + 0.1})
    results = evenhand.audit(frame, label="y", prediction="h", groups="g", task="regression", range=(-1e9, 1e9))
    assert results.verdicts["contrast"].to_list() == [0.0, 0.0, 0.0]
    assert set(results.verdicts["verdict"]) == {"inconclusive"}


def test_gaps_between_tiny_numbers_are_judged():
    rng = np.random.default_rng(0)
    groups = np.where(np.arange(200) < 120, "a", "b")
    frame = pl.DataFrame({"g": groups, "v": 1e-15 * (rng.normal(50, 5, 200) + 20 * (groups == "b"))})
    results = evenhand.audit(frame, value="v", groups="g", more_is="worse")
    assert len(results.failed({"worse"})) == 1
