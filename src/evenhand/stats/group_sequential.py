"""Group-sequential designs: several planned looks at growing data, with the error of all of them held together.

A study that looks again and again at the same level finds something sooner or later. So the looks are planned, and each
has a share of the level: with looks at J_1 < … < J_K runs, the one-sided level of look k is

    α_k = α · (J_k − J_{k−1}) / J_K        J_0 = 0,  Σ α_k = α

By the union bound, the bounds of all looks then hold together with probability 1 − α on each side, however the looks
depend on each other, whichever rule stops the study, and whatever is claimed from the bounds: `worse`, `not worse` or
both sides of `equivalent`. The level is spent in proportion to the runs, as by Lan and DeMets' (1983) linear spending
function; their boundaries use the correlations of looks, which are known only where the variance is, and not from 3
runs. Simulated in `tests/coverage/test_until_decided.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from evenhand.errors import InputError
from evenhand.stats.differences import Interval
from evenhand.stats.few_runs import ManyFewRuns
from evenhand.stats.runs_needed import bounds_after

FUTILE = 0.1
"""A chance of deciding that is smaller stops a study for futility."""


def look_levels(looks: Sequence[int], alpha: float = 0.05) -> tuple[float, ...]:
    """The one-sided level of each planned look, α·(J_k − J_{k−1})/J_K; their sum is alpha.

    Args:
        looks: the numbers of runs J_k at the looks, ascending; the first is 1 or more.
        alpha: the one-sided level of all looks together.

    Returns:
        Levels in the order of the looks, each above 0.

    Raises:
        InputError: there are no looks, or they do not ascend from 1 or more.

    Source: Bonferroni's inequality over looks, with the linear spending function of Lan and DeMets (1983).

    Example:
        >>> from evenhand.stats import look_levels
        >>> [round(level, 4) for level in look_levels([3, 5, 8, 12, 20], alpha=0.05)]
        [0.0075, 0.005, 0.0075, 0.01, 0.02]
    """
    runs = [0, *looks]
    if len(runs) < 2 or any(later <= earlier for earlier, later in pairwise(runs)):
        raise InputError(f"looks should be ascending numbers of runs, from 1, not {list(looks)}")
    return tuple(alpha * (later - earlier) / runs[-1] for earlier, later in pairwise(runs))


def chance_of_deciding(
    interval: Interval,
    later: Sequence[tuple[int, float]],
    margin: float | None,
    *,
    two_sided: bool = False,
    only_worse: bool = False,
) -> float:
    """The share of the ways in which a study may go on that end with a verdict at some later look.

    Each way draws the mean and the spread of runs given those that were made, then later runs, and computes the bounds
    at each look as the audit does, adjusted ones too (`stats.runs_needed` has the formulas). Stopping because the share
    is small cannot raise the error of the looks: it only gives up verdicts.

    Args:
        interval: of the contrast, over two runs or more.
        later: the number of runs and the one-sided level of each bound at each later look, after the family's
            correction; 40 runs at most.
        margin: the largest contrast declared harmless; None: only bounds beyond 0 decide.
        two_sided: whether `not worse` is no verdict, but only `equivalent`.
        only_worse: whether `worse` is the only verdict.

    Returns:
        From 0 to 1; 0 where nothing varies or no look is left.

    Source: predictive power (Spiegelhalter, Freedman and Blackburn 1986).

    Example:
        A contrast of half the margin is decided sooner if runs vary little:

        >>> from evenhand.stats import FewRuns, TwoWay, chance_of_deciding
        >>> steady = TwoWay(0.01, 1e-5, df=4, v_seed=1e-5, v_example=0, v_both=0, runs=5, units=1000)
        >>> unsteady = TwoWay(0.01, 1e-3, df=4, v_seed=1e-3, v_example=0, v_both=0, runs=5, units=1000)
        >>> chance_of_deciding(FewRuns(steady), [(8, 0.0075), (12, 0.01)], margin=0.02) > 0.9
        True
        >>> chance_of_deciding(FewRuns(unsteady), [(8, 0.0075), (12, 0.01)], margin=0.02) < 0.1
        True
    """
    if not interval.variance > 0 or not later:
        return 0.0
    decided: np.ndarray | None = None
    for runs, level in later:
        low, high = bounds_after(interval, runs, level)
        now = low > 0
        if not only_worse:
            now |= high < 0
            if margin is not None:
                now |= (high < margin) & (low > -margin) if two_sided else high < margin
        decided = now if decided is None else decided | now
    assert decided is not None
    return float(decided.mean())


def planned_paths(
    truth: float,
    margin: float,
    looks: Sequence[tuple[int, int, float]],
    rng: np.random.Generator,
    *,
    noise: float,
    common: float,
    spread: float = 0.0,
    draws: int = 2000,
) -> np.ndarray:
    """Whether a contrast is decided at each planned look or before it, bool [draws, K], in studies yet to be run.

    Args:
        margin: the largest contrast declared harmless.
        truth, looks, rng, noise, common, spread, draws: see `planned_bounds`.

    Example:
        Where nothing is random, the first look decides:

        >>> import numpy as np
        >>> from evenhand.stats.group_sequential import planned_paths
        >>> rng = np.random.default_rng(0)
        >>> planned_paths(0.0, 0.02, [(3, 500, 0.01), (5, 500, 0.01)], rng, noise=1e-9, common=0.0, draws=2)
        array([[ True,  True],
               [ True,  True]])
    """
    low, high = planned_bounds(truth, looks, rng, noise=noise, common=common, spread=spread, draws=draws)
    return np.logical_or.accumulate((low > 0) | (high < margin), axis=1)


def planned_bounds(
    truth: float,
    looks: Sequence[tuple[int, int, float]],
    rng: np.random.Generator,
    *,
    noise: float,
    common: float,
    spread: float = 0.0,
    draws: int = 2000,
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper bounds of a contrast at each planned look, float [draws, K] each, in studies yet to be run.

    The contrasts of runs are drawn, their variance is estimated from them, and that of the examples is taken as known:

        d_j = truth + √(noise·common)·z_0 + √(noise·(1 − common) + spread²)·z_j

    Args:
        truth: the true contrast.
        looks: the runs, at least 2, the distinct units and the one-sided level of each bound, at each look.
        rng: the source of randomness.
        noise: variance of one run's contrast through its sample of examples.
        common: correlation of two runs' contrasts through the examples that both test.
        spread: standard deviation of runs beyond their examples.
        draws: the number of studies.
    """
    most = looks[-1][0]
    apart = math.sqrt(noise * (1 - common) + spread**2)
    runs = truth + math.sqrt(noise * common) * rng.normal(size=(draws, 1)) + apart * rng.normal(size=(draws, most))
    low, high = np.empty((draws, len(looks))), np.empty((draws, len(looks)))
    for place, (count, units, level) in enumerate(looks):
        made = runs[:, :count]
        seed = made.var(axis=1, ddof=1) / count
        example, both = noise * (1 + (count - 1) * common) / count, noise / count
        parts = (np.full(draws, example), np.full(draws, both))
        half = ManyFewRuns(seed, *parts, count, np.full(draws, units)).half_widths(level)
        middle = made.mean(axis=1)
        low[:, place], high[:, place] = middle - half, middle + half
    return low, high
