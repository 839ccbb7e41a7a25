"""Few discordant units: one more or less of them does not change the interval's kind, and what is flipped is held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bounds
from counting import compared, coverage
from evenhand.audit.evaluation import Run
from evenhand.audit.kinds.predictions import PredictionReading
from random_effects import World

MEASURES = {"accuracy": "everyone", "demographic_parity_difference": "attribute"}


def mean_width(discordant: int, runs: int, measure: str, repetitions: int = 4) -> float:
    """The mean width of 95% intervals where so many of 400 units on a fixed split are flipped, each in one run."""
    world, widths = World(runs=runs, vary=False, test=400, groups=(0.5, 0.5)), []
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        drawn = world.draw(rng)
        flipped, where = rng.choice(400, discordant, replace=False), rng.integers(0, runs, discordant)
        made: dict[tuple[str, int], Run] = {}
        for seed in range(runs):
            run = made["reference", seed] = drawn.runs["reference", seed]
            predicted = run.predicted.copy()
            predicted[flipped[where == seed]] ^= 1
            made["method", seed] = replace(run, predicted=predicted)
        for one in compared(PredictionReading(replace(drawn, runs=made), world.design), (measure,)):
            if one.comparison.estimand.subset.level == MEASURES[measure] and one.contrast.interval is not None:
                low, high = one.contrast.interval.bounds(0.025)
                widths.append(high - low)
    return float(np.mean(widths))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("runs", [5, 10])
def test_nine_discordant_units_are_hardly_wider_than_ten(measure, runs):
    """2.3 to 5.5 times as wide where each run of a unit was taken to be flipped with it."""
    assert mean_width(9, runs, measure) / mean_width(10, runs, measure) < 1.6


def world(kind: str, share: float, vary: bool, runs: int = 5) -> World:
    return World(vary=vary, test=200, flips=share, flipped=kind, groups=(0.6, 0.2, 0.2), runs=runs)


@pytest.mark.parametrize("kind", ["cells", "units"])
def test_few_flips_are_held(kind):
    found = coverage(world(kind, 0.01, vary=False), ("accuracy",), 60)
    for name, one in found.items():
        assert one.both >= bounds.least(0.95, 60, 0.001), (name, one.both)
        assert one.zero == 0


@pytest.mark.simulate
@pytest.mark.parametrize("kind", ["cells", "units", "harm"])
@pytest.mark.parametrize("share", [0.005, 0.02, 0.06])
@pytest.mark.parametrize("vary", [True, False])
def test_flips_of_every_kind_are_held(kind, share, vary, repetitions):
    n = repetitions(400)
    for name, one in coverage(world(kind, share, vary), ("accuracy",), n).items():
        assert one.both >= bounds.least(0.95, n, 0.001), (name, one.both)
