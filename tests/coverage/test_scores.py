"""Predictive values, F1, balanced accuracy, Brier score and log loss: intervals hold the truth, nobody is accused.

Truths are known (`known_scores`). Every bound of every level, gap, change and gap change is one-sided at .05, so that
the share of bounds that miss is that of false verdicts.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

import bounds
from counting import compared, estimands, reading_of
from evenhand.audit.estimands import Comparison
from evenhand.stats.score_interval import reach
from evenhand.stats.student_t import t_quantile
from known_scores import MEASURES, KnownScores, Scorer

TAIL = 0.05
MOSTLY = 0.5
"""Below this share of repetitions with an interval those that have one are a selection, of which nothing is claimed."""
SHARES = 0.2
"""How often the gap to everybody of a predictive value may miss, of a group that holds nearly all who are predicted so.

It is the share of the others times a gap, and both are estimates from few."""
UNCOVERED, UNCOVERED_BY_WILSON = 0.07, 0.11
"""How often levels may lie outside of their 95% intervals; predictive values near 1 have Wilson's, which miss more."""

ONE = {
    "a small group": KnownScores((40, 400), (0.5, 0.5)),
    "a small group, rare positives": KnownScores((100, 900), (0.15, 0.15), Scorer(1.2, 0.6)),
    "overconfident": KnownScores((60, 440), (0.3, 0.3), Scorer(1.5, 0.2, 3.0)),
    "few errors, three groups": KnownScores((50, 50, 400), (0.5, 0.5, 0.5), Scorer(2.2)),
    "few errors, overconfident": KnownScores((100, 900), (0.5, 0.5), Scorer(2.3, 0.0, 3.0)),
    "units of three, weights": KnownScores((90, 360), (0.4, 0.4), size=3, weights=True),
    "ten runs": KnownScores((60, 440), (0.3, 0.3), Scorer(1.4, 0.2), runs=10, run=0.02),
    "groups that differ": KnownScores((60, 440), (0.2, 0.5), Scorer((0.8, 1.6), (0.3, 0.0), (2.0, 1.0))),
}
"""One model."""
OF_SHARES = replace(ONE["groups that differ"], alone=True, against="overall")
TWO = {
    "a small group": KnownScores((40, 400), (0.5, 0.5)),
    "rare positives": KnownScores((100, 900), (0.1, 0.1), Scorer(1.2, 0.6), Scorer(1.2, 0.6)),
    "nearly the same predictions": KnownScores(
        (60, 440), (0.4, 0.4), Scorer(1.5), Scorer(1.5), example=0.97, together=1.0
    ),
    "few errors": KnownScores((60, 440), (0.5, 0.5), Scorer(2.2), Scorer(2.2)),
    "other thresholds": KnownScores((60, 440), (0.4, 0.4), Scorer(1.2, 0.5), Scorer(1.2, -0.3)),
    "overconfident against calibrated": KnownScores((60, 440), (0.4, 0.4), Scorer(1.5, 0.0, 3.0), Scorer(1.5)),
    "five runs": KnownScores((60, 440), (0.4, 0.4), runs=5, run=0.02),
    "five runs, new splits": KnownScores((60, 440), (0.4, 0.4), runs=5, run=0.02, vary=True),
    "three runs, rare positives": KnownScores(
        (100, 400), (0.15, 0.15), Scorer(1.2, 0.6), Scorer(1.2, 0.6), runs=3, run=0.05
    ),
    "three runs, units of three, weights": KnownScores((90, 360), (0.4, 0.4), runs=3, run=0.03, size=3, weights=True),
    "five runs, few errors, overconfident": KnownScores(
        (60, 440), (0.5, 0.5), Scorer(2.2, 0.0, 3.0), Scorer(2.2), runs=5, run=0.02, example=0.8
    ),
}
"""Two models, or two methods."""


@dataclass(frozen=True)
class Missed:
    """How often bounds are on the wrong side of the truth.

    Attributes:
        below, above: by measure, kind and subset, the shares of lower bounds above the truth, and of upper ones below.
        judged: the share of repetitions with an interval.
    """

    below: dict[tuple[str, str, str], float]
    above: dict[tuple[str, str, str], float]
    judged: dict[tuple[str, str, str], float]


def missed(world: KnownScores, measures: tuple[str, ...], repetitions: int, seed: int = 0) -> Missed:
    """The bounds of contrasts at one-sided .05, and of levels at .025, that miss the truth."""
    below: Counter[tuple[str, str, str]] = Counter()
    above: Counter[tuple[str, str, str]] = Counter()
    judged: Counter[tuple[str, str, str]] = Counter()
    truths: dict[tuple[str, str, str], float] = {}

    def add(key: tuple[str, str, str], low: float, high: float, truth: float) -> None:
        judged[key] += 1
        below[key] += low > truth
        above[key] += high < truth

    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([seed, repetition]))
        for estimand in estimands(reading, measures):
            key = (estimand.measure.name, "level", estimand.subset.group or "everyone")
            if key not in truths:
                truths[key] = world.truth(key[0], "method", members(world, estimand.subset.group))
            mean = dict(reading.estimates(estimand, "method"))[None]
            if mean.low is not None and mean.high is not None:
                add(key, mean.low, mean.high, truths[key])
        kinds = ("gap",) if world.alone else ("change", "gap change")
        for member in compared(reading, measures, kinds):
            interval, comparison = member.contrast.interval, member.comparison
            if interval is None or comparison.method != "method":
                continue
            key = (comparison.estimand.measure.name, comparison.kind, comparison.estimand.subset.group or "everyone")
            if key not in truths:
                truths[key] = contrast_of(world, comparison)
            add(key, *interval.bounds(TAIL), truths[key])
    low, high = ({key: part[key] / count for key, count in judged.items()} for part in (below, above))
    return Missed(low, high, {key: count / repetitions for key, count in judged.items()})


def members(world: KnownScores, group: str | None) -> list[int]:
    """The positions of a group, or of all."""
    return list(range(len(world.sizes))) if group is None else ["abcdefghijklm".index(group)]


def contrast_of(world: KnownScores, comparison: Comparison) -> float:
    """The true value of a comparison, with its sign."""
    name, total = comparison.estimand.measure.name, 0.0
    for term in comparison.terms:
        inside = members(world, term.subset.group)
        if term.subset.complement:
            inside = [group for group in range(len(world.sizes)) if group not in inside]
        total += term.coefficient * world.truth(name, term.method, inside)
    return total


def check(world: KnownScores, repetitions: int, seed: int = 0) -> None:
    """Contrasts miss on either side at most at the level, and levels lie in their intervals."""
    found = missed(world, MEASURES, repetitions, seed)
    for key, judged in found.judged.items():
        name, kind, _ = key
        count = round(judged * repetitions)
        if judged < MOSTLY:
            continue
        below, above = found.below[key], found.above[key]
        if kind == "level":
            most = UNCOVERED_BY_WILSON if name.endswith("predictive_value") else UNCOVERED
            assert below + above <= bounds.most(most, count), (key, below, above)
        else:
            of_shares = world == OF_SHARES and key == ("positive_predictive_value", "gap", "b")
            most = SHARES if of_shares else TAIL
            assert max(below, above) <= bounds.most(most, count), (key, below, above)


CERTAIN = {"0.9 claimed, 0.9 true": (0.9, 0.9), "0.99 claimed, 0.95 true": (0.99, 0.95), "0.999, 0.98": (0.999, 0.98)}
"""Models that are equally certain of all examples: the probability of the likely class, and how often it is right."""


def means(claimed: float, right: float, n: int, repetitions: int, seed: int = 0) -> tuple[float, float]:
    """How often the mean log loss of n examples of a model lies above the upper bound, one-sided at .05: of the t
    interval, and of the score interval."""
    losses = -np.log([claimed, 1 - claimed])
    truth, quantile = right * losses[0] + (1 - right) * losses[1], -t_quantile(TAIL, n - 1)
    wrong = np.random.default_rng(seed).binomial(n, 1 - right, repetitions) / n
    estimates = losses[0] + wrong * (losses[1] - losses[0])
    variances = wrong * (1 - wrong) * (losses[1] - losses[0]) ** 2 / (n - 1)
    plain = estimates + quantile * np.sqrt(variances)
    steps = (losses.max() - estimates) / n
    parts = zip(estimates, variances, steps, strict=True)
    scored = [value + reach(quantile, variance, step, quantile) for value, variance, step in parts]
    return float((plain < truth).mean()), float((np.array(scored) < truth).mean())


@pytest.mark.parametrize("n", [20, 50, 200, 1000])
@pytest.mark.parametrize("name", CERTAIN)
def test_losses_that_the_sample_missed_lie_below_the_upper_bound(name, n):
    """The t interval of 50 examples of the last model lies below the truth in .37 of the samples."""
    plain, scored = means(*CERTAIN[name], n, 4000)
    assert scored <= bounds.most(TAIL, 4000), (plain, scored)
    if (name, n) == ("0.999, 0.98", 50):
        assert plain > 0.3


def test_gaps_of_a_model_hold_the_truth():
    check(replace(ONE["overconfident"], alone=True), 40)


def test_changes_and_gap_changes_hold_the_truth():
    check(TWO["other thresholds"], 30)


def test_gaps_to_everybody_hold_the_truth_and_are_no_longer_than_their_part_of_the_gap_to_the_rest():
    """Everybody includes the group, so that their errors go together."""
    world = replace(ONE["overconfident"], sizes=(200, 300), alone=True)
    check(replace(world, against="overall"), 40)
    widths = {}
    for against in ("rest", "overall"):
        reading = reading_of(replace(world, against=against), np.random.default_rng(1))
        for member in compared(reading, MEASURES, ("gap",)):
            if member.comparison.method == "method" and member.contrast.interval is not None:
                low, high = member.contrast.interval.bounds(TAIL)
                estimand = member.comparison.estimand
                widths[estimand.measure.name, estimand.subset.group, against] = high - low
    for name in MEASURES:
        ratio = widths[name, "a", "overall"] / widths[name, "a", "rest"]
        assert 0.45 < ratio < 0.75, (name, ratio)  # .6 is the share of the others


def test_harm_of_one_group_is_found():
    """The method separates the classes of one group worse; thresholds and calibration stay."""
    harmed = KnownScores((400, 1600), (0.4, 0.4), Scorer((0.7, 1.5)), Scorer(1.5))
    found: Counter[tuple[str, str]] = Counter()
    for repetition in range(20):
        reading = reading_of(harmed, np.random.default_rng([3, repetition]))
        for member in compared(reading, MEASURES, ("change", "gap change")):
            interval, comparison = member.contrast.interval, member.comparison
            if comparison.estimand.subset.group == "a" and comparison.method == "method" and interval is not None:
                found[comparison.estimand.measure.name, comparison.kind] += interval.bounds(TAIL)[0] > 0
    assert len(found) == 2 * len(MEASURES)
    assert min(found.values()) >= 20 * bounds.least(0.8, 20), found


@pytest.mark.simulate
@pytest.mark.parametrize("name", ONE)
def test_levels_and_gaps_of_one_model(name, repetitions):
    check(replace(ONE[name], alone=True), repetitions(500))


@pytest.mark.simulate
@pytest.mark.parametrize("name", TWO)
def test_changes_and_gap_changes(name, repetitions):
    check(TWO[name], repetitions(500))


@pytest.mark.simulate
@pytest.mark.parametrize("name", ONE)
def test_gaps_to_everybody(name, repetitions):
    check(replace(ONE[name], alone=True, against="overall"), repetitions(500))


@pytest.mark.simulate
@pytest.mark.parametrize("name", TWO)
def test_changes_of_gaps_to_everybody(name, repetitions):
    check(replace(TWO[name], against="overall"), repetitions(500))


if __name__ == "__main__":  # prints every share of every world: python tests/coverage/test_scores.py 200
    number = int(sys.argv[1])
    for name, n in ((name, n) for name in CERTAIN for n in (20, 50, 200, 1000)):
        print(name, n, *means(*CERTAIN[name], n, 4000), sep="\t")
    worlds = [*((name, replace(world, alone=True)) for name, world in ONE.items()), *TWO.items()]
    for name, world in worlds:
        found = missed(world, MEASURES, number)
        for key, judged in found.judged.items():
            print(name, *key, f"{found.below[key]:.3f} {found.above[key]:.3f} {judged:.2f}", sep="\t", flush=True)
