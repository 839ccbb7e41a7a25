"""Contrasts of selectivity over runs, control tasks and examples cover what they are about; nothing is worse by chance.

Nothing is made up below the probes: states of examples are drawn, probes with control tasks are trained on them as in a
study, and the audit takes their contrast. A state is the sum of its type's own, a direction with the sign of the label,
as strong as the method and the run make it, and noise of the example (the same in all runs and methods) and of the run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from bounds import least, most
from evenhand.audit.arrays.probe_answers import ProbeRun
from evenhand.audit.design import ProbedDesign
from evenhand.audit.estimands import Estimand
from evenhand.audit.kinds.probes import ProbeReading
from evenhand.audit.measures import measure_named
from evenhand.tasks.probing import Target, probe
from given_items import SUPPORT, contrast_of, estimate_of

WIDTH, POOL = 16, 5
ACCURACY, SELECTIVITY = (
    Estimand(measure_named(name), condition="gender/0") for name in ("probe_accuracy", "selectivity")
)
OWN = np.random.default_rng(0).normal(size=(40, WIDTH))
"""What is a type's own: intervals are about the types that there are, as an audit of texts is about its occupations."""


@dataclass(frozen=True)
class World:
    """What varies.

    Attributes:
        runs: J.
        vary: new examples per run, of a pool of five times their number, or the same ones in all.
        strengths: of the method's and the reference's direction.
        run: standard deviation of a run's strength.
        types: how many; None: each example is its own.
        examples: probed ones per run, of which .4 are tested.
    """

    runs: int = 3
    vary: bool = True
    strengths: tuple[float, float] = (0.5, 0.5)
    run: float = 0.15
    types: int | None = None
    examples: int = 300

    def pairs(self, rng: np.random.Generator) -> list[tuple[ProbeRun, ProbeRun]]:
        """One repetition: each run's method and reference."""
        n = self.examples * (POOL if self.vary else 1)
        label = rng.permutation(np.arange(n) % 2)
        kind = np.arange(n)
        own = np.zeros((n, WIDTH))
        if self.types is not None:
            kind = rng.integers(self.types, size=n)
            label, own = kind % 2, OWN[kind]
            kind = rng.permutation(self.types)[kind]  # other names, so that control tasks have other labels
        own = own + rng.normal(size=(n, WIDTH))
        direction = np.eye(WIDTH)[0]
        made = []
        for _ in range(self.runs):
            rows = np.sort(rng.permutation(n)[: self.examples])
            names = tuple(f"e{row:05d}" for row in rows)
            units = np.array(names, dtype=object)
            types = units if self.types is None else kind[rows].astype(object)
            target = Target("gender", label[rows], types, units, names)
            common = rng.normal(size=(self.examples, WIDTH))
            sides = []
            for strength in self.strengths:
                sign = (strength + self.run * rng.normal()) * (2 * label[rows] - 1)
                noise = 0.7 * common + 0.7 * rng.normal(size=common.shape)
                found = probe((own[rows] + np.outer(sign, direction) + noise)[None], target)
                correct = found.correct[0]
                sides.append(ProbeRun("gender", 0, found.examples, correct[0], correct[1:]))
            made.append((sides[0], sides[1]))
        return made


def reading_of(pairs: list[tuple[ProbeRun, ProbeRun]], vary: bool) -> ProbeReading:
    """A study of these runs of `method` and `reference`."""
    samples = {
        (method, seed): {"gender/0": run}
        for seed, both in enumerate(pairs)
        for method, run in zip(("method", "reference"), both, strict=True)
    }
    names = sorted({name for pair in pairs for run in pair for name in run.examples})
    unit = {name: code for code, name in enumerate(names)}
    common = (["method", "reference"], ["reference"], samples, {}, vary, SUPPORT, np.array(names))
    return ProbeReading("main", "test", *common, ProbedDesign(targets=("gender",), more={"gender": "worse"}), unit)


def simulated(world: World, repetitions: int):
    """Per repetition the estimates and the bounds: [R, 3] of the contrast (90%), [R, 2, 3] of accuracy and selectivity
    of the method (95%)."""
    contrasts, estimates = [], []
    for repetition in range(repetitions):
        rng = np.random.default_rng([world.runs, world.vary, repetition])
        reading = reading_of(world.pairs(rng), world.vary)
        found = contrast_of(reading, SELECTIVITY)
        assert found.interval is not None and found.estimate is not None
        contrasts.append((found.estimate, *found.interval.bounds(0.05)))
        means = [estimate_of(reading, estimand) for estimand in (ACCURACY, SELECTIVITY)]
        assert all(mean.low is not None for mean in means)
        estimates.append([(mean.value, mean.low, mean.high) for mean in means])
    return np.array(contrasts), np.array(estimates)


def coverage(found: np.ndarray) -> float:
    """How often the bounds hold the mean of all repetitions, which is the truth at these sizes."""
    truth = found[:, 0].mean()
    return float(((found[:, 1] <= truth) & (truth <= found[:, 2])).mean())


REGIMES = [World(runs, vary, types=types) for runs in (3, 5) for vary in (True, False) for types in (None, 40)]


@pytest.mark.simulate
@pytest.mark.parametrize("world", REGIMES, ids=str)
def test_a_contrast_of_selectivity_is_covered_and_equal_methods_are_seldom_worse(world, repetitions):
    n = repetitions(300)
    contrasts, estimates = simulated(world, n)
    assert least(0.9, n) <= coverage(contrasts) <= most(0.97, n)
    assert (contrasts[:, 1] > 0).mean() <= most(0.05, n)
    assert abs(contrasts[:, 0].mean()) < 0.003 + 3 * contrasts[:, 0].std() / np.sqrt(n)
    assert coverage(estimates[:, 0]) >= least(0.95, n) and coverage(estimates[:, 1]) >= least(0.94, n)


@pytest.mark.simulate
@pytest.mark.parametrize("world", [World(5, True), World(5, False, types=40)], ids=str)
def test_more_of_the_target_is_found_and_covered(world, repetitions):
    n = repetitions(200)
    contrasts, estimates = simulated(replace(world, strengths=(1.0, 0.5)), n)
    assert least(0.9, n) <= coverage(contrasts) <= most(0.97, n)
    assert (contrasts[:, 1] > 0).mean() > 0.5 and contrasts[:, 0].mean() > 0.04
    assert coverage(estimates[:, 0]) >= least(0.95, n)


def test_runs_that_hardly_differ_leave_an_interval_with_a_width():
    pairs = World(3, True, examples=100).pairs(np.random.default_rng(0))
    same = [(one, one) for one, _ in pairs]
    found = contrast_of(reading_of(same, vary=True), SELECTIVITY)
    assert found.estimate == 0 and found.interval is not None
    low, high = found.interval.bounds(0.05)
    assert low < 0 < high < 0.2
