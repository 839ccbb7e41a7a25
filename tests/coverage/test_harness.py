"""BBQ's bias scores, ratios that the harness makes of all documents: linearised by template, their intervals cover.

Templates of eight ambiguous documents each. A model says "unknown" with a probability that varies by template and run,
and otherwise answers along the stereotype with one that does so, too. The truth is the expectation at these sizes, the
mean over all repetitions.
"""

from __future__ import annotations

import numpy as np
import pytest

from bounds import least, most
from evenhand.audit.arrays.benchmark_documents import BenchmarkScores, Documents
from evenhand.audit.estimands import Estimand
from evenhand.audit.kinds.benchmarks import BenchmarkReading
from evenhand.audit.measures import measure_named
from evenhand.tasks.harness.influence import linearised
from given_items import SUPPORT, contrast_of, estimate_of
from random_effects import names_of

SIZE = 8
SCORE, DISTANCE = (Estimand(measure_named(name), condition="bbq") for name in ("amb_bias_score", "amb_bias_distance"))


def aggregate(said: list[tuple[float, float, float]]) -> float:
    """As the harness has it: (1 − accuracy)·(2·biased/answered − 1) of (accurate, biased, answered)."""
    accurate, biased, answered = (float(sum(values)) for values in zip(*said, strict=True))
    return (1 - accurate / len(said)) * (2 * biased / answered - 1)


def answers(along: float, hard: np.ndarray, prone: np.ndarray, rng: np.random.Generator) -> BenchmarkScores:
    """One run: `along`, the chance that an answer goes along the stereotype; `hard` and `prone` [U], of templates."""
    units = np.repeat(np.arange(len(hard)), SIZE)
    known = 0.4 + hard + 0.04 * rng.normal()
    chance = along + prone + 0.1 * rng.normal(size=len(prone)) + 0.04 * rng.normal()
    unknown = rng.random(len(units)) < np.clip(known, 0, 1)[units]
    biased = ~unknown & (rng.random(len(units)) < np.clip(chance, 0, 1)[units])
    said = list(zip(unknown.astype(float), biased.astype(float), (~unknown).astype(float), strict=True))
    values = linearised(said, [f"{unit:03d}" for unit in units], aggregate)
    assert values is not None
    key = ("bbq", "amb_bias_score")
    documents = Documents(tuple(map(str, range(len(units)))), values, units, {})
    return BenchmarkScores({key: documents}, {key: float(values.mean())})


def simulated(along: tuple[float, float], runs: int, templates: int, repetitions: int) -> dict[str, float]:
    """How often intervals hold the truth, and how often a distance is above that of the reference by the 5% bound."""
    estimates, contrasts, above = [], [], 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([runs, templates, repetition])
        hard, prone = 0.15 * rng.normal(size=templates), 0.15 * rng.normal(size=templates)
        samples = {
            (method, run): answers(one, hard, prone, rng)
            for method, one in zip(("method", "reference"), along, strict=True)
            for run in range(runs)
        }
        common = (["method", "reference"], ["reference"], samples, {}, False, SUPPORT, names_of(templates))
        reading = BenchmarkReading("main", "test", *common, ("bbq",))
        mean = estimate_of(reading, SCORE)
        estimates.append((mean.value, mean.low, mean.high))
        found, distance = contrast_of(reading, SCORE), contrast_of(reading, DISTANCE)
        assert found.interval is not None and distance.interval is not None
        contrasts.append((found.estimate, *found.interval.bounds(0.05)))
        above += distance.interval.bounds(0.05)[0] > 0
    return {"estimate": held(estimates), "contrast": held(contrasts), "above": above / repetitions}


def held(rows: list[tuple[float, float, float]]) -> float:
    value, low, high = np.array(rows).T
    return float(((low <= value.mean()) & (value.mean() <= high)).mean())


@pytest.mark.simulate
@pytest.mark.parametrize(("runs", "templates"), [(3, 20), (5, 30)])
def test_bias_scores_are_covered_and_equal_ones_seldom_called_worse(runs, templates, repetitions):
    n = repetitions(200)
    found = simulated((0.65, 0.65), runs, templates, n)
    assert found["estimate"] >= least(0.95, n) and found["contrast"] >= least(0.9, n), found
    assert found["above"] <= most(0.05, n), found
    found = simulated((0.75, 0.55), runs, templates, n)
    assert found["estimate"] >= least(0.95, n) and found["contrast"] >= least(0.9, n), found
    assert simulated((0.5, 0.5), runs, templates, n)["above"] <= most(0.05, n)
