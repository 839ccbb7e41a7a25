"""Changes of a benchmark's accuracy: bounds miss no more often than they say, however small the level.

Of a model that errs more often a sample with few of its errors has a small variance as well, so that t intervals miss
on that side. Rates are known exactly (`known_benchmarks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

import bounds
from counting import compared, reading_of
from evenhand.audit.arrays.benchmark_documents import BenchmarkScores, Documents
from evenhand.audit.kinds.benchmarks import BenchmarkReading
from evenhand.audit.measures import measure_named
from evenhand.audit.reading import setting_contrasts
from evenhand.audit.verdict_rows import SettingContrast
from known_benchmarks import ATTRIBUTE, TASK, KnownBenchmarks
from known_rates import KnownRates
from random_effects import METHODS

SMALL = (0.05, 0.0125, 0.005)
"""Levels of one bound; families use small ones."""
LESS = {"method": (0.85, 0.9), "reference": (0.95, 0.9)}
LESS_ACCURATE = {
    "one run": KnownBenchmarks(LESS, (150, 150), copies=1, runs=1, run=0.0),
    "templates of three": KnownBenchmarks(LESS, (50, 50), copies=3, runs=1, run=0.0),
    "templates of ten": KnownBenchmarks(LESS, (40, 40), copies=10, runs=1, run=0.0, template=0.2),
    "five runs that hardly differ": KnownBenchmarks(LESS, (50, 50), copies=3, run=0.0, template=0.7, together=1.0),
    "a small group": KnownBenchmarks(LESS, (40, 300), copies=2, runs=1, run=0.0),
}
"""A method that is less accurate in group a."""


def of_groups(world: KnownBenchmarks, reading: BenchmarkReading, kind: str) -> Iterator[SettingContrast]:
    """The contrasts of one kind, of groups."""
    for estimand in reading.estimands(measure_named("acc")):
        for member in setting_contrasts(reading, estimand, world.design):
            if member.comparison.kind == kind and member.comparison.estimand.subset.group is not None:
                yield member


def missed(world: KnownBenchmarks, kind: str, repetitions: int) -> dict[tuple[float, str], tuple[int, int]]:
    """How often bounds miss the truth, by level and side: misses, bounds."""
    misses: Counter[tuple[float, str]] = Counter()
    made = 0
    for repetition in range(repetitions):
        reading = world.draw(np.random.default_rng([2, repetition]))
        for member in of_groups(world, reading, kind):
            interval, group = member.contrast.interval, str(member.comparison.estimand.subset.group)
            if interval is None:
                continue
            place, made = "ab".index(group), made + 1
            lost = world.rates["reference"][place] - world.rates["method"][place]
            truth = lost if kind == "change" else world.gap_change_of(group)
            for tail in SMALL:
                low, high = interval.bounds(tail)
                misses[tail, "low"] += low > truth
                misses[tail, "high"] += high < truth
    return {(tail, side): (misses[tail, side], made) for tail in SMALL for side in ("low", "high")}


def test_documents_are_judged_as_predictions_of_the_same_units_are():
    """The same outcomes, read as right predictions and as a benchmark's accuracy, have the same bounds."""
    world = KnownRates(
        {"method": (0.85, 0.9), "reference": (0.95, 0.9)}, (150, 150), runs=3, example=0.6, size=3, run=0.0
    )
    predictions = reading_of(world, np.random.default_rng(0))
    population, (groups,) = predictions.evaluation.population, predictions.evaluation.population.groups
    samples = {}
    for key, run in predictions.evaluation.runs.items():
        right = (run.predicted == population.label[run.rows]).astype(float)
        masks = {f"{ATTRIBUTE}={name}": groups.mask(name)[run.rows] for name in groups.names}
        documents = Documents(tuple(map(str, run.rows)), right, population.unit[run.rows], masks)
        samples[key] = BenchmarkScores({(TASK, "acc"): documents}, {(TASK, "acc"): right.mean()})
    names = np.array([str(unit) for unit in range(population.unit.max() + 1)])
    reading = BenchmarkReading("main", "test", METHODS, ("reference",), samples, {}, False, 10, names, (TASK,))
    known = KnownBenchmarks(LESS, (50, 50), copies=3)
    for kind in ("change", "gap change"):
        ours = {one.comparison.estimand.subset.group: one.contrast for one in of_groups(known, reading, kind)}
        theirs = {
            one.comparison.estimand.subset.group: one.contrast
            for one in compared(predictions, ("accuracy",), (kind,))
            if one.comparison.method == "method" and one.comparison.estimand.subset.group is not None
        }
        assert ours.keys() == theirs.keys() and len(ours) == 2
        for group, contrast in ours.items():
            assert contrast.interval and theirs[group].interval
            for tail in SMALL:
                assert contrast.interval.bounds(tail) == pytest.approx(theirs[group].interval.bounds(tail), rel=1e-9)


@pytest.mark.simulate
@pytest.mark.parametrize("name", LESS_ACCURATE)
@pytest.mark.parametrize("kind", ["change", "gap change"])
def test_bounds_hold_at_small_levels(name, kind, repetitions):
    for (level, side), (misses, count) in missed(LESS_ACCURATE[name], kind, repetitions(2000)).items():
        assert misses / count <= bounds.most(level, count, 0.01), (level, side, misses / count)
