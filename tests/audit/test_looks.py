"""Claims about planned looks: each is an audit of its seeds at its level, and what was decided stands."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand.audit.design import Design, LooksDesign
from evenhand.audit.looks import DECIDED_EARLY, KEY, outcome, planned_looks
from evenhand.audit.results import Results
from evenhand.audit.verification import verify
from evenhand.errors import InputError
from evenhand.records.schemas import DECIDED, FUTILE, NOT_JUDGED, OPEN
from small_records import design, study

PLAN = LooksDesign(seeds=(3, 5, 8), taken=3, measures=("accuracy",), comparisons=("everyone", "gap changes"))
MEASURES = ("accuracy", "selection_rate")


def taken(number: int) -> LooksDesign:
    return PLAN.model_copy(update={"taken": number})


def audited(tables, looks: LooksDesign | None, **options) -> Results:
    """An audit of accuracy, with looks or without."""
    values = {"measures": MEASURES, "margins": {"default": 0.04}, **options}
    return Results.compute(*tables, design(**values, looks=looks))


def of_first(tables, seeds: int):
    """The tables of the first seeds."""
    examples, trials, predictions = tables
    kept = trials.filter(pl.col("seed") < seeds)
    return examples, kept, predictions.filter(pl.col("trial").is_in(kept["trial"].to_list()))


@pytest.fixture(scope="module")
def tables():
    return study(n=900, seeds=8, harm={"a": 0.5}, seed=3)


@pytest.fixture(scope="module")
def results(tables) -> Results:
    return audited(tables, PLAN)


@pytest.fixture(scope="module")
def unsure() -> Results:
    """A margin far below what a small, fixed test set can resolve."""
    return audited(study(n=200, seeds=8, harm={}, seed=1), PLAN, margins={"default": 0.001})


def decided(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("verdict").is_not_null(), pl.col("verdict") != "inconclusive")


def test_the_first_look_is_an_audit_of_its_seeds_at_its_share_of_the_level(tables):
    level = planned_looks(PLAN, 0.05)[0].level
    assert level == pytest.approx(0.05 * 3 / 8)
    plain = audited(of_first(tables, 3), None, alpha=level).verdicts
    found = audited(tables, taken(1)).verdicts
    columns = [*KEY, "contrast", "low", "high", "verdict", "runs", "p", "family", "detectable"]
    assert found.select(columns).equals(plain.select(columns))


def test_a_verdict_stands_as_it_was_given_and_says_when(tables, results):
    """Whatever a later look says: the bounds of all looks hold together."""
    first = audited(tables, taken(1)).verdicts
    early = decided(first)
    assert len(early) and len(early) < len(first)
    same = [pl.col(name).eq_missing(pl.lit(value)) for name, value in early.select(KEY).row(0, named=True).items()]
    columns = ["contrast", "low", "high", "verdict", "runs", "p"]
    (row,) = results.verdicts.filter(*same).iter_rows(named=True)
    assert {name: row[name] for name in columns} == early.select(columns).row(0, named=True)
    assert row["runs"] == 3
    assert row["note"].startswith(f"decided at 3 seeds (look 1 of 3); {DECIDED_EARLY}")


def test_what_no_look_decided_is_judged_by_the_last_one(unsure):
    level = planned_looks(PLAN, 0.05)[-1].level
    tables = (unsure.examples, unsure.trials, unsure.predictions)
    plain = audited(tables, None, alpha=level, margins={"default": 0.001}).verdicts
    left = unsure.verdicts.filter(verdict="inconclusive")
    assert len(left)
    columns = [*KEY, "contrast", "low", "high", "runs"]
    assert left.select(columns).equals(left.select(KEY).join(plain, on=list(KEY), nulls_equal=True).select(columns))


def test_a_row_is_decided_by_the_first_look_that_says_so(tables, results):
    """In `looks`, `decided` names the first look with a verdict, and the table of verdicts has that look's row."""
    at = dict(enumerate(PLAN.seeds, 1))
    said = results.looks.filter(state=DECIDED)
    for number, rows in said.partition_by("decided", as_dict=True).items():
        levels = planned_looks(PLAN, 0.05)
        plain = audited(of_first(tables, at[number[0]]), None, alpha=levels[number[0] - 1].level).verdicts
        for row in rows.filter(look=number[0]).iter_rows(named=True):
            same = [pl.col(name).eq_missing(pl.lit(row[name])) for name in KEY]
            assert plain.filter(*same)["verdict"].item() == row["verdict"] != "inconclusive"
            assert results.verdicts.filter(*same)["runs"].item() == at[number[0]]


def test_estimates_are_of_all_seeds(tables, results):
    assert results.estimates.equals(audited(tables, None).estimates)


def test_adjusted_p_values_count_the_looks_so_that_they_compare_with_the_whole_level(results):
    worse = results.verdicts.filter(pl.col("p_adjusted").is_not_null(), reference="full")
    one_sided = worse.filter(pl.col("measure") == "accuracy")
    assert len(one_sided)
    for row in one_sided.iter_rows(named=True):
        above = row["low"] > 0
        assert (row["p_adjusted"] < 0.05) == above, row


def test_only_the_named_comparisons_are_waited_for(results):
    assert set(results.looks["measure"]) == {"accuracy"}
    assert set(results.looks["comparison"]) == {"change", "gap change"}
    assert results.looks.filter(comparison="change")["group"].null_count() == 3
    assert set(results.looks["look"]) == {1, 2, 3}


def test_two_groups_that_mirror_each_other_are_one_comparison_at_every_look():
    """The row is that of the group whose gap change is against it, which noise may turn around."""
    examples, trials, predictions = study(n=500, seeds=8, harm={}, seed=5)
    two = examples.with_columns(
        pl.col("attribute.who").list.eval(pl.element().replace("c", "b")).alias("attribute.who")
    )
    plan = PLAN.model_copy(update={"comparisons": ("gap changes",)})
    found = audited((two, trials, predictions), plan, margins={"default": 0.2})
    assert len(found.looks) == 3
    (row,) = found.verdicts.filter(measure="accuracy", comparison="gap change").iter_rows(named=True)
    assert row["runs"] == 3 and row["verdict"] in ("equivalent", "not worse")


def test_a_study_stops_when_each_comparison_has_a_verdict(tables):
    plan = PLAN.model_copy(update={"comparisons": ("everyone",)})
    found = audited(tables, plan, margins={"default": 0.3})
    assert outcome(found.looks, 1, plan).stops
    assert outcome(found.looks, 1, plan).reason == "the comparison has a verdict"


def test_a_study_goes_on_while_a_comparison_may_still_be_decided(results):
    states = set(results.looks.filter(look=1)["state"])
    assert OPEN in states
    assert not outcome(results.looks, 1, PLAN).stops
    assert outcome(results.looks, 1, PLAN).reason == "1 of 4 comparisons has no verdict yet"


def test_a_study_stops_where_more_seeds_would_not_decide(unsure):
    first, second = (unsure.looks.filter(look=number) for number in (1, 2))
    assert OPEN in set(first["state"]) and not outcome(unsure.looks, 1, PLAN).stops
    assert set(second["state"]) == {FUTILE} and second["chance"].max() < 0.1
    assert outcome(unsure.looks, 2, PLAN).stops and "(futility)" in outcome(unsure.looks, 2, PLAN).reason


def test_the_last_planned_look_stops_the_study_whatever_it_says(unsure):
    last = outcome(unsure.looks, 3, PLAN)
    assert last.stops and last.reason == "4 of 4 comparisons have no verdict, and 8 seeds are the most"
    assert set(unsure.looks.filter(look=3)["chance"]) == {0.0}, "after it no look is left"


def test_groups_that_are_too_small_are_not_waited_for():
    examples, trials, predictions = study(n=600, seeds=8, harm={}, seed=1)
    rare = [["rare"] if place < 6 else ["common"] for place in range(600)]
    plan = PLAN.model_copy(update={"comparisons": ("gap changes",)})
    small = examples.with_columns(pl.Series("attribute.who", rare, dtype=pl.List(pl.String)))
    found = audited((small, trials, predictions), plan)
    assert set(found.looks["state"]) == {NOT_JUDGED}
    assert outcome(found.looks, 1, plan).stops and outcome(found.looks, 1, plan).reason == (
        "no comparison can be judged: groups are too small"
    )


def test_only_named_groups_are_waited_for(tables):
    plan = PLAN.model_copy(update={"groups": ("a", "who=b")})
    found = audited(tables, plan)
    assert found.looks["group"].unique().sort().to_list() == [None, "a", "b"]
    assert found.verdicts.equals(audited(tables, PLAN).verdicts), "what is waited for changes no verdict"


@pytest.mark.parametrize("named", ["a", "b"])
def test_either_of_two_mirrored_groups_may_be_named(named):
    examples, trials, predictions = study(n=500, seeds=8, harm={}, seed=5)
    two = examples.with_columns(
        pl.col("attribute.who").list.eval(pl.element().replace("c", "b")).alias("attribute.who")
    )
    plan = PLAN.model_copy(update={"comparisons": ("gap changes",), "groups": (named,)})
    assert len(audited((two, trials, predictions), plan).looks) == 3


def test_a_saved_folder_gives_the_same_looks_and_verdicts(results, tmp_path):
    results.save(tmp_path / "out")
    again = Results.load(tmp_path / "out")
    assert again.design == results.design and again.looks.equals(results.looks)
    assert again.audited_again().verdicts.equals(results.verdicts)
    found = verify(tmp_path / "out")
    assert found.differences == () and found.rows["looks"] == len(results.looks)


def test_a_changed_table_of_looks_is_found_out(results, tmp_path):
    results.save(tmp_path / "out")
    results.looks.with_columns(state=pl.lit(OPEN)).write_parquet(tmp_path / "out" / "looks.parquet")
    assert verify(tmp_path / "out").differences == ("looks.parquet is not what was saved",)


def test_designs_of_older_folders_have_no_looks():
    values = design().model_dump(mode="json")
    del values["looks"]
    assert Design.parse(values, "design.json").looks is None


def test_more_looks_than_were_planned_are_refused():
    with pytest.raises(InputError, match="4 looks were taken, and 3 were planned"):
        LooksDesign(seeds=(3, 5, 8), taken=4, measures=("accuracy",), comparisons=("everyone",))
