"""What a study says that it could have seen, against what such studies see."""

from __future__ import annotations

import pytest

from bounds import least, most
from planting import foretold, planted
from random_effects import REGIMES, World

HARMS = {"a": (0.25, 0.45), "d": (0.6, 1.0)}
"""To the signal of 55% and 8% of the examples: about detectable, and clear."""


@pytest.mark.parametrize(("vary", "group", "harm"), [(True, "a", 0.28), (False, "d", 0.8)])
def test_a_harm_of_the_detectable_size_is_found_in_four_of_five_studies(vary, group, harm):
    one = planted(World(runs=5, vary=vary, test=400), group, harm, 150)
    assert one.harm / one.detectable == pytest.approx(1.05, abs=0.1)
    assert one.found >= 0.8


def test_the_curve_promises_no_more_than_is_found():
    world = World(runs=5, test=400)
    found = [planted(world, "d", harm, 100) for harm in HARMS["d"]]
    told = foretold(world, "d", [one.harm for one in found], 25)
    for one, share in zip(found, told, strict=True):
        assert share <= one.found + 0.1
    assert told[-1] > 0.75


@pytest.mark.simulate
@pytest.mark.parametrize("regime", list(REGIMES))
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("group", list(HARMS))
def test_the_curve_in_every_regime(regime, vary, runs, group, repetitions):
    world = World(runs=runs, vary=vary, test=400, **REGIMES[regime])
    n = repetitions(200)
    found = [planted(world, group, harm, n) for harm in HARMS[group]]
    told = foretold(world, group, [one.harm for one in found], repetitions(40))
    for one, share in zip(found, told, strict=True):
        # Three runs know their spread so poorly that the curve of one study is flatter than the truth.
        assert one.found >= least(max(share - (0.06 if runs == 5 else 0.14), 0.0), n)
        assert one.found <= most(min(share + 0.29, 1.0), n)
