"""Intervals of self-consistency and flip rates hold the truth, and false verdicts of them are rare.

Estimates are marginal intervals of 95%, contrasts are held at a tail of .05 on each side. `python
tests/coverage/test_run_pairs.py 1000` prints the table in docs/statistics-derivations.md.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

import bounds
from evenhand.audit.estimands import Comparison
from evenhand.audit.kinds.run_pairs import RunPairReading, run_pair_readings
from evenhand.audit.measures import select
from evenhand.audit.reading import setting_contrasts
from known_stability import KnownStability

NAMES = ("self_consistency", "prediction_flip_rate")
RUNS = (3, 5, 10, 20)
WORLDS: Mapping[str, dict] = {
    "plain": {},
    "runs differ much": {"run": (0.3, 0.3), "noise": (0.1, 0.1)},
    "runs of one method differ much": {"run": (0.02, 0.3), "noise": (0.2, 0.2)},
    "runs hardly differ": {"run": (0.0, 0.0), "noise": (0.003, 0.003), "means": (0.8, 1.2)},
    "one method is less consistent": {"noise": (0.1, 0.3)},
    "units of four": {"size": 4},
}
PLACES = (None, "a")
"""Everyone, and the smaller group."""


LEVEL, CONTRAST = 0.04, 0.07
"""How often a side may be missed, by estimates and by contrasts; nominal are .025 and .05."""
MUCH = 0.1
"""The same for contrasts where runs differ much, whose errors are skewed."""


@cache
def level(world: KnownStability, flips: bool, method: str, group: int | None) -> float:
    """The true value of a measure of a method, of everyone or of a group."""
    if not flips:
        return world.consistency(method, group)
    return world.flips(group) if method == "method" else 1 - world.consistency(method, group)


def truth(world: KnownStability, what: Comparison) -> float:
    """The true value of a comparison, positive where the method is worse; group b is the rest of group a."""
    flips, whole = what.estimand.condition is not None, what.estimand.subset.group is None
    groups = (None if whole else int(term.subset.complement) for term in what.terms)
    terms = zip(what.terms, groups, strict=True)
    return sum(term.coefficient * level(world, flips, term.method, group) for term, group in terms)


def tally(world: KnownStability, repetitions: int, start: int = 0) -> dict[str, np.ndarray]:
    """By what is estimated, how often the interval lies above the truth, below it, and is missing."""
    counts: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for repetition in range(start, start + repetitions):
        evaluation = world.draw(np.random.default_rng([7, repetition]))
        for reading in run_pair_readings(evaluation, world.design):
            for key, missed in _of_reading(world, reading):
                counts[key].append(missed)
    return {key: np.array(found).mean(axis=0) for key, found in counts.items()}


def _of_reading(world: KnownStability, reading: RunPairReading):
    for measure in select(NAMES, "predictions"):
        for estimand in reading.estimands(measure):
            if estimand.subset.group not in PLACES:
                continue
            where = estimand.subset.group or "everyone"
            group = None if estimand.subset.group is None else 0
            for method in ("reference", "method"):
                rows = [estimate for seed, estimate in reading.estimates(estimand, method) if seed is None]
                own = level(world, estimand.condition is not None, method, group)
                for row in rows:
                    yield f"{measure.name}: {method}, {where}", _missed(row.low, row.high, own)
            for member in setting_contrasts(reading, estimand, reading.design):
                low, high = member.contrast.bounds(0.05) or (None, None)
                yield (
                    f"{measure.name}: {member.comparison.kind}, {where}",
                    _missed(low, high, truth(world, member.comparison)),
                )


def _missed(low: float | None, high: float | None, value: float) -> tuple[bool, bool, bool]:
    return (False, False, True) if low is None or high is None else (low > value, high < value, False)


def wrong(name: str, found: Mapping[str, np.ndarray], repetitions: int) -> list[str]:
    """What is missed too often on a side."""
    most = {True: MUCH if "differ much" in name else CONTRAST, False: LEVEL}
    return [
        f"{key}: above {above:.3f}, below {below:.3f}"
        for key, (above, below, _) in found.items()
        if max(above, below) > bounds.most(most["change" in key or ": gap" in key], repetitions, 0.001)
    ]


def test_intervals_of_agreement_and_flips_hold_the_truth():
    found = tally(KnownStability(runs=5), 30)
    assert len(found) == 15  # levels of both methods and places, changes, gap changes and gaps
    assert wrong("plain", found, 30) == []
    assert all(missing == 0 for *_, missing in found.values())


@pytest.mark.simulate
@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("vary", [False, True])
@pytest.mark.parametrize("name", WORLDS)
def test_intervals_of_pairs_of_runs_hold_the_truth(name, vary, runs, repetitions):
    n = repetitions(300)
    assert wrong(name, tally(KnownStability(runs=runs, vary=vary, **WORLDS[name]), n), n) == []


if __name__ == "__main__":
    asked = int(sys.argv[1])
    chosen = sys.argv[2:] or list(WORLDS)
    for name in chosen:
        for vary in (False, True):
            for runs in RUNS:
                found = tally(KnownStability(runs=runs, vary=vary, **WORLDS[name]), asked)
                print(f"{name}, {'a new split each' if vary else 'one split'}, {runs} runs", flush=True)
                for key, (above, below, missing) in found.items():
                    print(f"    {key:45} above {above:.3f} below {below:.3f} missing {missing:.3f}")
