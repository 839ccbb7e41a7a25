"""95% intervals contain the truth, whatever varies: examples, seeds, both; a new split per seed or a fixed one.

The quick versions repeat a study a few hundred times, the slow ones cover every measure and regime. The numbers in
docs/statistics-derivations.md are printed by `python tests/coverage/table.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bounds import least, most
from counting import coverage, marginal_coverage, widths
from random_effects import DESIGN, REGIMES, World
from ridge import Ridge

DECIDING = (
    "accuracy",
    "worst_group_accuracy",
    "accuracy_difference",
    "demographic_parity_difference",
    "equalized_odds_difference",
    "calibration_error_squared",
)


PARITY = ("accuracy_difference", "demographic_parity_difference", "equalized_odds_difference")
OVERLAPPING = World(test=300, overlap=True, groups=(0.6, 0.5, 0.4, 0.3))
THIRTIES = World(test=120, groups=(0.25, 0.25, 0.25, 0.25))


def mean_width(found: dict[str, float], measure: str) -> float:
    """Of a measure's contrasts, of everyone or the attribute and of groups."""
    return float(np.mean([one for name, one in found.items() if name.partition(":")[0] == measure]))


@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("regime", list(REGIMES))
def test_contrasts_of_accuracy(vary, regime):
    found = coverage(World(runs=5, vary=vary, test=300, **REGIMES[regime]), ("accuracy",), 100)
    for name, one in found.items():
        assert one.both >= least(0.93, 100), name
        assert one.zero == 0


@pytest.mark.parametrize("vary", [True, False])
def test_contrasts_of_disparities_and_calibration(vary):
    found = coverage(World(runs=5, vary=vary, test=300), DECIDING[1:], 50)
    for name, one in found.items():
        assert one.both >= least(0.93, 50), name


@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("world", [OVERLAPPING, THIRTIES], ids=["overlapping", "thirties"])
def test_contrasts_of_groups_that_overlap_and_of_groups_of_thirty(vary, world):
    for name, one in coverage(replace(world, vary=vary), PARITY, 40).items():
        assert one.both >= least(0.93, 40), name


def test_contrasts_of_disparities_are_narrower_than_the_corrected_resampled_t():
    """By how much is simulated at length: few repetitions know the width of the corrected t to a tenth only."""
    found = widths(World(runs=5, test=300), (*PARITY, "accuracy"), 40)
    for measure in PARITY:
        assert mean_width(found, measure) <= 0.95, measure
    assert mean_width(found, "accuracy") <= 0.88


def test_contrasts_of_ridge_classifiers_whose_training_sets_vary_too():
    for name, one in coverage(Ridge(runs=5), ("accuracy",), 100).items():
        assert one.both >= least(0.93, 100), name


def test_clusters_of_examples_are_one_unit():
    """Four examples per unit on a fixed test set: an interval by rows would cover .8 at best."""
    world = World(runs=5, vary=False, test=400, size=4, residual=0.2, shared=0.3)
    assert coverage(world, ("accuracy",), 200)["accuracy"].both >= least(0.93, 200)


@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("flipped", ["cells", "units", "harm"])
def test_few_discordant_examples(vary, flipped):
    """Near-identical methods in groups of 40 and 120: positive width, and no collapse of the coverage."""
    for share in (0.0, 0.02):
        world = World(runs=3, vary=vary, test=200, flips=share, flipped=flipped, groups=(0.6, 0.2, 0.2))
        for name, one in coverage(world, ("accuracy",), 60).items():
            assert one.zero == 0, name
            assert one.both >= 0.93, name


@pytest.mark.parametrize("test", [40, 200])
def test_marginal_intervals_of_one_run(test):
    world = World(runs=1, vary=False, test=test, seed=0, seed_group=0)
    for name, covered in marginal_coverage(world, ("accuracy", "true_positive_rate"), 200).items():
        assert covered >= least(0.93, 200), name


def test_marginal_intervals_over_runs():
    for name, covered in marginal_coverage(World(runs=5, test=300), ("accuracy",), 100).items():
        assert covered >= least(0.93, 100), name


@pytest.mark.simulate
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("regime", list(REGIMES))
@pytest.mark.parametrize("runs", [3, 5, 10])
def test_every_contrast_in_every_regime(vary, regime, runs, repetitions):
    n = repetitions(300)
    found = coverage(World(runs=runs, vary=vary, test=400, **REGIMES[regime]), DECIDING, n)
    for name, one in found.items():
        assert one.both >= least(0.93, n), name
        # From three runs the bounds for small levels (`few_runs`) cover more than they must at this one.
        if name.partition(":")[0] == "accuracy" and runs >= 5:
            assert one.both <= most(0.98, n), name


@pytest.mark.simulate
@pytest.mark.parametrize("runs", [3, 5, 10])
def test_every_contrast_of_ridge_classifiers(runs, repetitions):
    n = repetitions(300)
    for name, one in coverage(Ridge(runs=runs), DECIDING, n).items():
        assert one.both >= least(0.93, n), name


@pytest.mark.simulate
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("world", [OVERLAPPING, THIRTIES], ids=["overlapping", "thirties"])
def test_every_contrast_of_overlapping_groups_and_of_groups_of_thirty(vary, world, repetitions):
    n = repetitions(200)
    for regime in REGIMES.values():
        for name, one in coverage(replace(world, vary=vary, **regime), DECIDING, n, seed=1).items():
            assert one.both >= least(0.93, n), name


@pytest.mark.simulate
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("harm", [(0.4, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.6)])
def test_contrasts_away_from_a_tie(vary, harm, repetitions):
    """Where harm makes a group the extreme one in some samples only, contrasts of ranges cover .87 and more, whatever
    the influence at the kink: what other samples would show cannot be seen in this one. They promise no coverage."""
    n = repetitions(300)
    for name, one in coverage(World(vary=vary, test=400, harm=harm), DECIDING, n, seed=1).items():
        promised = 0.87 if name.partition(":")[0] in (*PARITY, "worst_group_accuracy") else 0.93
        assert one.both >= least(promised, n), name


@pytest.mark.simulate
@pytest.mark.parametrize("world", [Ridge(), *(World(test=400, **regime) for regime in REGIMES.values())])
def test_widths_in_every_regime(world, repetitions):
    n = repetitions(200)
    found = widths(world, (*PARITY, "accuracy"), n, seed=1)
    # Between studies of five runs the half-width of the corrected t varies by a third.
    chance = 0.5 / np.sqrt(n) - 0.5 / np.sqrt(200)
    for measure in PARITY:
        assert mean_width(found, measure) <= 0.85 + chance, measure
    assert found["accuracy"] <= 0.86 + chance


@pytest.mark.simulate
def test_unpaired_contrasts(repetitions):
    n = repetitions(300)
    world = World(runs=5, test=400, shared=0.0, design=DESIGN.model_copy(update={"paired": "none"}))
    for name, one in coverage(world, DECIDING, n).items():
        assert one.both >= least(0.93, n), name
