"""Intervals of means of numbers hold where they are promised, and nothing is judged where they would not.

By hand, at any size: `python tests/coverage/test_values.py 1000`.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

import bounds
import evenhand
from known_values import (
    EXPONENTIAL,
    HALF_NORMAL,
    NORMAL,
    T3,
    KnownValues,
    Law,
    beta,
    capped,
    lines,
    lognormal,
    misses,
    spikes,
)

ALPHA = 0.05
PROMISED = 0.065
"""The most that a bound of numbers without a range misses; those with one miss ALPHA at most."""

UNBOUNDED = {
    "half-normal": HALF_NORMAL,
    "exponential": EXPONENTIAL,
    "t(3)": T3,
    "lognormal(.5)": lognormal(0.5),
    "lognormal(1)": lognormal(1.0),
    "zero-inflated": lognormal(1.0, zeros=0.6),
}
BOUNDED = {
    "Beta(2, 8)": beta(2, 8),
    "Beta(.2, 5)": beta(0.2, 5),
    "spikes": spikes(0.05),
    "zero-inflated, capped": capped(lognormal(1.0, zeros=0.6), 20.0),
}
SIZES = ((30, 270), (100, 300), (400, 1200))


def worlds_of(laws: dict[str, Law], **more) -> dict[str, KnownValues]:
    return {
        f"{name}, {sizes[0]} of {sum(sizes)}": KnownValues.alike(law, *sizes, **more)
        for name, law in laws.items()
        for sizes in SIZES
    }


WITHOUT_RANGE = {
    **worlds_of(UNBOUNDED),
    "five runs, half-normal": KnownValues.alike(HALF_NORMAL, 100, 300, runs=5, run=0.1),
    "five runs, lognormal(1)": KnownValues.alike(lognormal(1.0), 100, 300, runs=5, run=0.2),
    "another mean, lognormal(1)": KnownValues(
        (lognormal(1.0), lognormal(1.0)), (lognormal(1.0, 2.0), lognormal(1.0, 1.2)), (100, 300)
    ),
    "another mean, half-normal": KnownValues(
        (HALF_NORMAL, HALF_NORMAL), (lognormal(0.5, 1.5), HALF_NORMAL), (100, 300), kept=0.8
    ),
    "more zeros": KnownValues(
        (lognormal(1.0, zeros=0.5), lognormal(1.0, zeros=0.5)),
        (lognormal(1.0, zeros=0.2), lognormal(1.0, zeros=0.5)),
        (400, 1200),
        kept=0.5,
    ),
}
WITH_RANGE = {
    **worlds_of(BOUNDED),
    "five runs, Beta(.2, 5)": KnownValues.alike(beta(0.2, 5), 100, 300, runs=5),
    "five runs, spikes": KnownValues.alike(spikes(0.05), 30, 270, runs=5),
    "another mean, Beta": KnownValues((beta(2, 8), beta(2, 8)), (beta(5, 5), beta(2, 8)), (30, 270)),
    "another mean, spikes": KnownValues(
        (spikes(0.05), spikes(0.05)), (spikes(0.2), spikes(0.05)), (100, 300), kept=0.8
    ),
    "a rare change": KnownValues((spikes(0.0), spikes(0.0)), (spikes(0.04), spikes(0.0)), (100, 300), kept=0.5),
}


def of_logs(factor: float = 1.0) -> Law:
    """Lognormal numbers with the mean of their logarithms."""
    return Law(lognormal(1.0, factor).draw, math.log(factor))


ON_LOGS = {
    f"{name}, {sizes[0]} of {sum(sizes)}": KnownValues(
        (of_logs(factor), of_logs()), (of_logs(factor), of_logs()), sizes, scale="log"
    )
    for name, factor in (("alike", 1.0), ("a factor of 2", 2.0))
    for sizes in SIZES
}


def ranked(shift: float, spread: float) -> Law:
    """Normal numbers, whose `mean` is 2P − 1 beside standard normal ones."""
    chance = float(norm.cdf(shift / math.hypot(1, spread)))
    return Law(lambda rng, shape: rng.normal(shift, spread, shape), 2 * chance - 1)


BY_RANK = {
    f"{name}, {sizes[0]} of {sum(sizes)}": KnownValues(
        (law, ranked(0, 1)), (law, ranked(0, 1)), sizes, kept=0.0, scale="rank"
    )
    for name, law in (
        ("alike", ranked(0, 1)),
        ("a narrow group", ranked(0, 0.2)),
        ("a wide group", ranked(0, 5)),
        ("shifted", ranked(1, 1)),
        ("shifted far", ranked(2.5, 1)),
    )
    for sizes in SIZES
}


def holds(drawn: KnownValues, repetitions: int, most: float, kinds: tuple[str, ...]) -> None:
    """Contrasts that are judged miss their truth on either side in a share `most` of all draws, or fewer."""
    found = misses(drawn, repetitions)
    for kind in kinds:
        # The file makes some 300 such comparisons.
        for share in (found[kind].below, found[kind].above):
            assert share <= bounds.most(most, repetitions, level=0.001), (kind, str(found[kind]))


CONTRASTS = ("gap", "change", "gap change")


@pytest.mark.simulate
@pytest.mark.parametrize("name", WITH_RANGE)
def test_bounds_of_numbers_in_a_declared_range_hold_and_are_always_judged(name, repetitions):
    n = repetitions(1000)
    holds(WITH_RANGE[name], n, 0.06, CONTRASTS)
    assert misses(WITH_RANGE[name], 20, seed=1)["gap"].judged == 1


@pytest.mark.simulate
@pytest.mark.parametrize("name", WITHOUT_RANGE)
def test_bounds_of_numbers_without_a_range_hold_where_they_are_judged(name, repetitions):
    holds(WITHOUT_RANGE[name], repetitions(1000), PROMISED, CONTRASTS)


@pytest.mark.simulate
@pytest.mark.parametrize("name", ON_LOGS)
def test_bounds_of_logarithms_hold(name, repetitions):
    holds(ON_LOGS[name], repetitions(1000), PROMISED, CONTRASTS)


@pytest.mark.simulate
@pytest.mark.parametrize("name", BY_RANK)
def test_bounds_of_ranks_hold(name, repetitions):
    holds(BY_RANK[name], repetitions(1000), PROMISED, ("gap", "gap change"))


@pytest.mark.parametrize(
    ("drawn", "most"),
    [
        (KnownValues.alike(spikes(0.05), 30, 270), ALPHA),
        (KnownValues.alike(lognormal(1.0, zeros=0.6), 30, 270), PROMISED),
        (ON_LOGS["a factor of 2, 30 of 300"], PROMISED),
    ],
)
def test_bounds_hold_in_a_few_draws(drawn, most):
    holds(drawn, 40, most, CONTRASTS)


def test_small_groups_of_skewed_numbers_are_not_judged_without_a_range():
    found = misses(KnownValues.alike(lognormal(1.0, zeros=0.6), 30, 270), 20)
    assert [found[kind].judged for kind in CONTRASTS] == [0, 0, 0]


@pytest.mark.simulate
@pytest.mark.parametrize(("law", "least"), [(T3, 0.55), (HALF_NORMAL, 0.8), (NORMAL, 0.8)])
def test_large_groups_of_moderately_skewed_numbers_are_judged(law, least, repetitions):
    assert misses(KnownValues.alike(law, 400, 1200), repetitions(300))["gap"].judged >= least


def false_worse(law: Law, repetitions: int, **more) -> float:
    """The share of tables of eight groups of 75 alike, in which some gap is called worse."""
    count = 0
    groups = np.repeat(list("abcdefgh"), 75)
    for repetition in range(repetitions):
        rng = np.random.default_rng([7, repetition])
        table = pl.DataFrame({"x": law.draw(rng, (len(groups),)), "g": groups})
        verdicts = evenhand.audit(table, value="x", groups="g", range=law.range, **more).verdicts
        count += bool((verdicts["verdict"] == "worse").any())
    return count / repetitions


@pytest.mark.simulate
@pytest.mark.parametrize("more_is", ["worse", "better"])
@pytest.mark.parametrize("name", [*UNBOUNDED, *BOUNDED])
def test_a_family_without_differences_is_rarely_called_worse(name, more_is, repetitions):
    n = repetitions(500)
    assert false_worse({**UNBOUNDED, **BOUNDED}[name], n, more_is=more_is) <= bounds.most(PROMISED, n)


if __name__ == "__main__":
    for worlds in (WITH_RANGE, WITHOUT_RANGE, ON_LOGS, BY_RANK):
        for line in lines(worlds, int(sys.argv[1])):
            print(line, flush=True)
    for name, law in {**UNBOUNDED, **BOUNDED}.items():
        shares = [false_worse(law, int(sys.argv[1]) // 2, more_is=more_is) for more_is in ("worse", "better")]
        print(f"eight groups of 75, {name}: worse in {shares[0]:.3f}, where more is better {shares[1]:.3f}", flush=True)
