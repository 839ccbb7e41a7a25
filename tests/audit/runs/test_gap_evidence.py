"""Gaps to the rest and their changes: values, variances, words for the disparity, and the row between groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from evenhand.audit.comparisons import Contrast
from evenhand.audit.disparities import GapIntervals
from evenhand.audit.estimands import Estimand, Subset, change, gap_change
from evenhand.audit.group_rows import between_groups
from evenhand.audit.kinds.prediction_tables import readings
from evenhand.audit.measures import measure_named
from evenhand.audit.runs.evidence import paired_evidence
from evenhand.audit.runs.gap_change_evidence import gap_change_evidence
from evenhand.audit.verdict_rows import FamilyBounds, SettingContrast, verdict_row
from evenhand.stats.differences import Apart
from evenhand.stats.multiplicity import MaxT
from known_rates import KnownRates, rows_of
from small_records import assessed, design, estimates, examples, predictions, study, trials, verdicts

RATES = ("accuracy", "true_positive_rate", "false_positive_rate", "selection_rate")


def reading_of(tables, by_example=False, unit=None):
    if unit is not None:
        tables = (tables[0].with_columns(unit=pl.Series(unit)), *tables[1:])
    (reading,) = readings(*tables, design())
    if by_example:
        reading.rates.able = False
    return reading


def compared(name, group="b"):
    measure = measure_named(name)
    return gap_change(Estimand(measure, Subset("who", group)), "lora", "full", measure.direction)


def evidence(reading, name, group="b"):
    return gap_change_evidence(reading.to_rest, compared(name, group), [])


def by_hand(tables, name, group):
    """[method g − method rest] − [reference g − reference rest], the mean over seeds."""
    frame = tables[2].join(tables[0].select("example", "label", who=pl.col("attribute.who").list.first()), on="example")
    label, said = pl.col("label"), pl.col("logits").arr.arg_max().cast(pl.Int64)
    rows = {"true_positive_rate": label == 1, "false_positive_rate": label == 0}.get(name, pl.lit(True))
    outcome = label == said if name == "accuracy" else said == 1
    means = frame.filter(rows).group_by("trial", inside=pl.col("who") == group).agg(outcome.mean().alias("rate"))
    rate = {(trial, inside): value for trial, inside, value in means.iter_rows()}
    gap = {trial: rate[trial, True] - rate[trial, False] for trial, _ in rate}
    seeds = range(len(gap) // 2)
    return np.mean([gap[f"lora-{seed}"] - gap[f"full-{seed}"] for seed in seeds])


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize(("seed", "runs"), [(0, 3), (1, 3), (0, 1)])
def test_all_groups_at_once_is_example_by_example(name, seed, runs):
    tables = study(n=500 if runs > 1 else 1200, seeds=runs, harm={"b": 0.9}, seed=seed)
    closed, slow = (evidence(reading_of(tables, by_example), name) for by_example in (False, True))
    assert closed.gram is not None and slow.gram is None
    for part in ("estimate", "variance", "df", "v_seed", "v_example", "v_both"):
        assert getattr(slow.whole, part) == pytest.approx(getattr(closed.whole, part), rel=1e-9), part
    assert (
        slow.smallest == closed.smallest and slow.notes == closed.notes and slow.adjustment == closed.adjustment == ""
    )
    for tail in (0.05, 0.001):
        assert slow.adjusted.bounds(tail) == pytest.approx(closed.adjusted.bounds(tail), rel=1e-9)
    for (codes, totals), (others, same) in [(slow.totals(), closed.totals())]:
        width = max(codes.max(), others.max()) + 1
        assert np.bincount(codes, totals, width) == pytest.approx(np.bincount(others, same, width), abs=1e-12)
    for part in ("total", "of_method", "of_reference", "inside", "outside"):
        ours, theirs = getattr(slow.gaps, part), getattr(closed.gaps, part)
        assert ours.bounds(0.025) == pytest.approx(theirs.bounds(0.025), rel=1e-9), part


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("runs", [1, 3])
def test_a_change_has_the_same_interval_both_ways(name, runs):
    tables, measure = study(n=500, seeds=runs, harm={"b": 0.9}), measure_named(name)
    asked = change(Estimand(measure, Subset("who", "b")), "lora", "full", measure.direction)
    closed, slow = (paired_evidence(reading_of(tables, way).rates, asked, []) for way in (False, True))
    assert closed.gram is not None and slow.gram is None and closed.adjustment == slow.adjustment == ""
    for tail in (0.05, 0.001):
        assert slow.adjusted.bounds(tail) == pytest.approx(closed.adjusted.bounds(tail), rel=1e-9)


def test_a_unit_of_several_examples_contributes_what_its_examples_do():
    tables = study(n=500, seeds=3, harm={"b": 0.9})
    unit = np.arange(500) // 4
    readings = reading_of(tables), reading_of(tables, unit=[f"u{code:03}" for code in unit])
    alone, together = (evidence(reading, "accuracy") for reading in readings)
    assert together.whole.estimate == pytest.approx(alone.whole.estimate)
    codes, totals = alone.totals()
    single, several = (reading.evaluation.population.unit for reading in readings)
    expected = np.bincount(several[np.argsort(single)][codes], totals)
    assert together.totals()[1] == pytest.approx(expected, abs=1e-12)
    # Each side has a U/(U − 1) of its own.
    assert together.whole.v_example == pytest.approx(125 / 124 * (expected**2).sum(), rel=0.01)


@pytest.mark.parametrize(("name", "sign"), [("accuracy", -1), ("true_positive_rate", -1), ("false_positive_rate", 1)])
def test_the_value_is_the_difference_of_gaps_and_positive_where_the_group_fares_worse(name, sign):
    tables = study(n=500, seeds=3, harm={"b": 1.2})
    for group in "abc":
        for by_example in (False, True):
            value = evidence(reading_of(tables, by_example), name, group).whole.estimate
            assert value == pytest.approx(sign * by_hand(tables, name, group))
    assert evidence(reading_of(tables), name).whole.estimate > 0.05


def test_few_discordant_examples_on_a_side_widen_the_interval_and_keep_the_value():
    tables = study(n=80, seeds=3)
    found = evidence(reading_of(tables), "accuracy", "c")
    assert isinstance(found.adjusted, Apart) and found.gram is None
    assert found.whole.estimate == pytest.approx(-by_hand(tables, "accuracy", "c"))
    low, high = found.adjusted.bounds(0.05)
    assert low < found.whole.estimate < high


def two_groups(harm):
    tables = study(n=500, seeds=3, harm=harm)
    halves = pl.col("attribute.who").list.eval(pl.element().replace("c", "a"))
    return (tables[0].with_columns(halves), *tables[1:])


@pytest.mark.parametrize("harmed", ["a", "b"])
def test_two_groups_have_one_gap_change_named_for_the_one_that_lost_more(harmed):
    found = verdicts(*two_groups({harmed: 1.2}), design(margins={"default": 0.05}))
    rows = found.filter(comparison="gap change", measure="accuracy")
    assert rows.select("group", "against", "verdict").rows() == [(harmed, "rest", "worse")]
    assert rows["contrast"].item() > 0


@dataclass(frozen=True)
class Fixed:
    """An interval from `low` to `high` at every level."""

    low: float
    high: float

    @property
    def estimate(self) -> float:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> float:
        return 1.0

    def bounds(self, tail: float) -> tuple[float, float]:
        return self.low, self.high

    def p_greater(self, null: float = 0.0) -> float:
        return 0.5


ABOVE, BELOW, OPEN = Fixed(0.01, 0.1), Fixed(-0.1, -0.01), Fixed(-0.1, 0.1)


@pytest.mark.parametrize(
    ("change", "total", "of_method", "of_reference", "word"),
    [
        (ABOVE, ABOVE, ABOVE, OPEN, "widens"),
        (BELOW, BELOW, BELOW, OPEN, "widens"),
        (BELOW, ABOVE, OPEN, ABOVE, "narrows"),
        (ABOVE, BELOW, OPEN, BELOW, "narrows"),
        (ABOVE, ABOVE, ABOVE, BELOW, "reversed"),
        (BELOW, OPEN, BELOW, ABOVE, "reversed"),
        (OPEN, ABOVE, ABOVE, ABOVE, "undecided"),
        (ABOVE, OPEN, ABOVE, OPEN, "undecided"),
    ],
)
def test_signs_of_the_change_and_of_the_sum_say_what_becomes_of_a_gap(change, total, of_method, of_reference, word):
    assert GapIntervals(total, of_method, of_reference, OPEN, OPEN).disparity(change, 0.05) == word


def test_a_gap_is_levelled_down_where_the_group_got_worse_and_the_rest_not_better():
    assert GapIntervals(OPEN, OPEN, OPEN, ABOVE, OPEN).levelled_down(0.05)
    assert not GapIntervals(OPEN, OPEN, OPEN, ABOVE, BELOW).levelled_down(0.05)
    assert not GapIntervals(OPEN, OPEN, OPEN, OPEN, OPEN).levelled_down(0.05)


def test_others_are_levelled_down_where_the_rest_got_worse_and_the_group_not_better():
    assert GapIntervals(OPEN, OPEN, ABOVE, OPEN, ABOVE).others_levelled_down(0.05)
    assert not GapIntervals(OPEN, OPEN, ABOVE, BELOW, ABOVE).others_levelled_down(0.05)
    assert not GapIntervals(OPEN, OPEN, ABOVE, OPEN, OPEN).others_levelled_down(0.05)
    assert not GapIntervals(OPEN, OPEN, OPEN, OPEN, ABOVE).others_levelled_down(0.05)


def test_the_row_of_a_group_that_stayed_while_the_rest_got_worse_says_so():
    """Two large groups lose 15 points, and the small group stays at .75: `better`, though nobody gained."""
    note = "levelled down: the rest got worse, and the group did not get better"
    rates = {"reference": (0.75, 0.9, 0.9), "method": (0.75, 0.75, 0.75)}
    rows = rows_of(KnownRates(rates, (400, 1800, 1800)), np.random.default_rng(0), ("accuracy",))
    found = {row["group"]: row for row in rows if row["comparison"] == "gap change" and row["method"] == "method"}
    assert found["a"]["verdict"] == "better" and note in found["a"]["note"]
    assert all("levelled down" not in found[group]["note"] for group in "bc")

    rates = {"reference": (0.85, 0.85, 0.85), "method": (0.85, 0.6, 0.85)}  # a group without a gap is not levelled
    rows = rows_of(KnownRates(rates, (400, 1800, 1800)), np.random.default_rng(0), ("accuracy",))
    assert not any("levelled down" in row["note"] for row in rows if row["group"] != "b")


def between(intervals, disparities, margin=0.2):
    """The row between groups with these intervals of gap changes and words for their gaps."""
    judged = []
    for name, interval, word in zip("abc", intervals, disparities, strict=True):
        contrast = Contrast(0.0, interval, None, 3)
        member = SettingContrast("s", "test", compared("accuracy", name), contrast, margin)
        judged.append((member, verdict_row(member, "s", "f", [], {"disparity": word})))
    (found,) = between_groups(judged, FamilyBounds(MaxT(np.empty(0), 3), 0.01, "f", None, 0.05, 0.01))
    return found


def test_the_row_between_groups_is_worse_where_a_gap_widens_and_equivalent_where_all_changes_are_small():
    inside, beyond = Fixed(-0.1, 0.1), Fixed(-0.1, 0.3)
    same = ["undecided"] * 3
    assert between([inside] * 3, same)["verdict"] == "equivalent"
    for intervals, words, margin in (
        ([inside, inside, beyond], same, 0.2),
        ([inside, inside, replace(inside, low=-0.2)], same, 0.2),
        ([inside] * 3, same, None),
        ([inside, inside, None], same, 0.2),
        ([beyond] * 3, ["narrows", "reversed", "undecided"], 0.2),
    ):
        assert between(intervals, words, margin)["verdict"] == "inconclusive"
    worse = between([inside] * 3, ["undecided", "widens", "narrows"])
    assert (worse["verdict"], worse["disparity"], worse["attribute"], worse["group"]) == (
        "worse",
        "widens",
        "who",
        None,
    )
    assert worse["note"].startswith("widens for b") and worse["contrast"] is None


def test_an_audit_has_a_row_between_groups_per_rate_and_attribute():
    found = verdicts(*study(n=600, seeds=3, harm={"b": 1.2}), design(margins={"default": 0.5}))
    rows = found.filter(pl.col("group").is_null(), comparison="gap change")
    assert sorted(rows["measure"]) == sorted([*RATES, "calibration_error_squared"])
    assert rows["attribute"].unique().to_list() == ["who"]
    assert rows.filter(measure="accuracy")["verdict"].item() == "worse"
    alike = verdicts(*study(n=900, seeds=4), design(margins={"default": 0.5}))
    rows = alike.filter(pl.col("group").is_null(), comparison="gap change", measure="accuracy")
    assert rows["verdict"].item() == "equivalent" and "inside the margin in each of 3 groups" in rows["note"].item()


def small_race():
    """Groups a and b of 60 each, and c of 10 positives, all missed, and 8 negatives."""
    labels = [0, 1] * 60 + [1] * 10 + [0] * 8
    groups = ["a"] * 60 + ["b"] * 60 + ["c"] * 18
    rng = np.random.default_rng(0)
    uses, frames = [], []
    for method in ("full", "lora"):
        for seed in range(3):
            wrong = rng.random(138) < 0.2
            wrong[120:130] = True
            uses.append((method, seed))
            frames.append(predictions(f"{method}-{seed}", range(138), np.where(wrong, 1 - np.array(labels), labels)))
    return examples(labels, {"who": [[name] for name in groups]}), trials(uses), pl.concat(frames)


def test_a_group_that_lacks_the_support_for_one_rate_is_out_of_equalized_odds_as_a_whole():
    found = estimates(*small_race(), design()).filter(
        pl.col("seed").is_null(), pl.col("group").is_null(), measure="equalized_odds_difference"
    )
    assert found["value"].max() < 0.4, "c misses all positives: its true positive rate is 0"
    assert all("left out, with fewer than 10 examples in some run: c (false positive rate)" in n for n in found["note"])
    assert found["note"].str.contains("true positive rate").sum() == 0


def test_bounds_lie_within_what_a_change_and_a_gap_change_can_be():
    tables = study(n=60, seeds=2, harm={"c": 2.0})
    found = assessed(*tables, design(support=2))
    rows = found.verdicts.drop_nulls("low").filter(pl.col("measure").is_in(RATES))
    for kind, largest in (("change", 1), ("gap change", 2)):
        own = rows.filter(comparison=kind)
        assert len(own) and own["low"].min() >= -largest and own["high"].max() <= largest
        assert own["low"].min() == -largest or own["high"].max() == largest, "two runs of few examples say nothing"
    gaps = found.estimates.filter(pl.col("measure").is_in(RATES), comparison="gap")
    assert gaps["low"].min() >= -1 and gaps["high"].max() <= 1 and set(gaps["against"]) == {"rest"}
