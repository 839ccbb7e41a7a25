"""What is computed fast against plain computations of the same: searches over tails and runs, a quantile a number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from evenhand.stats.contrast import TwoWay, degrees_of_freedom
from evenhand.stats.few_runs import LEAST, FewRuns, Wider
from evenhand.stats.power import REPEATS, Repeated, half_widths
from evenhand.stats.proportion import ProportionDifference, Widened
from evenhand.stats.roots import rising_root
from evenhand.stats.student_t import t_density, t_quantile, t_quantiles, t_tail

scipy = pytest.importorskip("scipy")
special = pytest.importorskip("scipy.special")
optimize = pytest.importorskip("scipy.optimize")

SCIPYS_OWN_ERROR = 0.0 if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 17) else 1e-10
"""Relative error of SciPy's quantiles of Student's t: until 1.17 it was up to 5e-11."""

LEVELS = (0.05, 0.05 / 8, 1e-4)


def two_ways(count: int, seed: int) -> Iterator[TwoWay]:
    """Contrasts in which runs vary most, units do, or only one of them."""
    rng = np.random.default_rng(seed)
    for place in range(count):
        runs, units = int(rng.choice([2, 3, 5, 20])), int(rng.choice([2, 12, 200, 5000]))
        v_seed, v_example = 10 ** rng.uniform(-6, -3, 2) * ([1, 0, 1, 1][place % 4], 1)
        v_both = v_example * rng.choice([0.0, 0.3, 0.9, 1.0, 1.3])
        variance = max(v_seed + v_example - v_both, v_example)
        estimate = float(rng.normal() * rng.choice([0.1, 2, 8]) * math.sqrt(variance))
        df = degrees_of_freedom(variance, v_seed, runs, units)
        yield TwoWay(estimate, variance, df, v_seed, v_example, v_both, runs, units)


def few_discordants(count: int, seed: int) -> Iterator[ProportionDifference]:
    rng = np.random.default_rng(seed)
    for whole in two_ways(count, seed):
        plus, minus = rng.choice([0.0, 1e-3, 0.02, 0.2, 1.0], 2, p=[0.2, 0.3, 0.3, 0.15, 0.05])
        sides = [
            replace(whole, estimate=float(share), variance=share * (1 - share) / whole.units * rng.choice([0.1, 1, 3]))
            for share in (plus, minus)
        ]
        own = replace(whole, estimate=float(plus - minus), variance=whole.variance * rng.choice([1e-6, 1e-3, 1]))
        yield ProportionDifference(own, *sides, whole.units * float(rng.uniform(0.7, 1)))


def tail_of(bounds, null: float, above: bool) -> float:
    """The tail probability at which a bound reaches `null`, by halving."""
    small, large = math.log(1e-17), math.log(0.5)
    for _ in range(200):
        middle = (small + large) / 2
        low, high = bounds(math.exp(middle))
        small, large = (small, middle) if ((low > null) if above else (high < null)) else (middle, large)
    return math.exp(large)


def expected_p(interval, null: float) -> float:
    if interval.estimate == null:
        return 0.5
    p = max(tail_of(interval.bounds, null, interval.estimate > null), LEAST)
    return p if interval.estimate > null else 1 - p


@pytest.mark.parametrize("null", [0.0, 0.013, -0.2])
def test_p_values_of_few_runs_are_where_the_bound_arrives(null):
    for whole in two_ways(120, 1):
        assert FewRuns(whole).p_greater(null) == pytest.approx(expected_p(FewRuns(whole), null), rel=1e-10)


@pytest.mark.parametrize("null", [0.0, 0.013, -0.2])
def test_p_values_of_few_discordant_units_are_where_the_bound_arrives(null):
    for interval in few_discordants(150, 2):
        expected = expected_p(interval, null)
        assert interval.p_greater(null) == pytest.approx(expected, rel=1e-10, abs=1.5 * LEAST)


def test_p_values_of_the_wider_interval_are_where_its_bound_arrives():
    for interval in few_discordants(80, 3):
        for wider in (
            Wider(FewRuns(interval.whole), interval),
            Wider(FewRuns(interval.whole), Widened(interval.whole, 0.01)),
        ):
            if wider.estimate:
                assert wider.p_greater() == pytest.approx(expected_p(wider, 0.0), rel=1e-10, abs=1.5 * LEAST)


def plain_halves(whole: TwoWay, level: float) -> np.ndarray:
    chance = special.chdtri(whole.runs - 1, 1 - (np.arange(REPEATS) + 0.5) / REPEATS) / (whole.runs - 1)
    seed = whole.v_seed * chance
    variance = np.maximum(seed + whole.v_example - whole.v_both, whole.v_example)
    most = max(whole.units - 1, 1)
    ratio = np.divide(variance, seed, out=np.full(REPEATS, np.inf), where=seed > 0)
    df = np.minimum(np.maximum(ratio**2 * (whole.runs - 1), whole.runs - 1), most)
    lasting = max(whole.v_example - whole.v_both, 0.0)
    parts = special.stdtrit(whole.runs - 1, level) ** 2 * seed + special.stdtrit(most, level) ** 2 * lasting
    return np.maximum(-special.stdtrit(df, level) * np.sqrt(variance), np.sqrt(parts))


@pytest.mark.parametrize("level", [*LEVELS, 1e-7, 0.3])
def test_studies_like_this_one_have_the_half_widths_of_one_quantile_at_a_time(level):
    for one in two_ways(100, 5):
        found = Repeated.with_variances(one.v_seed, one.v_example, one.v_both, one.runs, one.units, level)
        np.testing.assert_allclose(found.halves, plain_halves(one, level), rtol=max(1e-11, SCIPYS_OWN_ERROR))


def test_many_contrasts_at_once_have_the_half_widths_of_each():
    for runs in (2, 3, 5):
        wholes = [one for one in two_ways(200, 6) if one.runs == runs]
        parts = (np.array([getattr(one, name) for one in wholes]) for name in ("v_seed", "v_example", "v_both"))
        halves = half_widths(*parts, runs, np.array([one.units for one in wholes]), 0.01)
        alone = [
            Repeated.with_variances(one.v_seed, one.v_example, one.v_both, runs, one.units, 0.01) for one in wholes
        ]
        np.testing.assert_allclose(halves, [one.halves for one in alone], rtol=max(1e-12, SCIPYS_OWN_ERROR))


@pytest.mark.parametrize("power", [0.5, 0.8, 0.99])
def test_the_smallest_effect_is_found_with_the_power(power):
    for one in two_ways(100, 7):
        studies = Repeated.of(FewRuns(one), 0.01)
        most = float(studies.halves.max()) + 10 * studies.error
        expected = optimize.brentq(lambda effect, s=studies: s.worse(effect) - power, 0.0, most, xtol=1e-16)
        assert studies.smallest(power) == pytest.approx(expected, rel=1e-11)


def test_where_nothing_varies_no_effect_is_the_smallest():
    assert math.isnan(Repeated(0.0, np.zeros(3)).smallest())


@pytest.mark.parametrize("probability", [0.4, 0.05, 1e-3, 1e-6])
@pytest.mark.parametrize("least", [1.0, 2.0, 4.0, 19.0])
def test_quantiles_of_many_degrees_of_freedom_are_those_of_each(probability, least):
    df = np.concatenate([[least, 1e9], least * 10 ** np.random.default_rng(8).uniform(0, 4, 500)])
    np.testing.assert_allclose(
        t_quantiles(probability, df, least),
        special.stdtrit(df, probability),
        rtol=max(2e-12 if probability < 0.3 else 1e-11, SCIPYS_OWN_ERROR),
    )


def test_single_quantiles_and_tails_are_scipys():
    for df in (1, 4.0, 57.3, math.inf):
        for probability in (1e-9, 0.05, 0.8):
            expected = special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability)
            assert t_quantile(probability, df) == expected
            assert t_tail(-expected, df) == pytest.approx(probability, rel=1e-9)
        step = 1e-5
        slope = (t_tail(1.3 - step, df) - t_tail(1.3 + step, df)) / (2 * step)
        assert t_density(1.3, df) == pytest.approx(slope, rel=1e-7)


def test_a_root_is_found_with_a_slope_that_is_wrong():
    for slope in (0.0, -1.0, 1e-9, 100.0):
        assert rising_root(lambda x, s=slope: (x**3 - 2, s), 0.0, 1e6, 1.0) == pytest.approx(2 ** (1 / 3), rel=1e-12)
