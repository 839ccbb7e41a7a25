"""What a study could have noticed, and how many runs would decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import TwoWay, degrees_of_freedom, t_quantile
from evenhand.stats.few_runs import FewRuns

POWER = 0.8
MOST_RUNS = 1000
"""Beyond this `runs_needed` is not a plan."""


def minimum_detectable_effect(standard_error: float, df: float, level: float, power: float = POWER) -> float:
    """The smallest true effect that a one-sided test finds with that power.

    Args:
        standard_error, df: of the contrast.
        level: one-sided, after the family's correction.
    """
    return (t_quantile(1 - level, df) + t_quantile(power, df)) * standard_error


def detectable_by_runs(runs: int, level: float = 0.05, power: float = POWER) -> float:
    """The smallest mean that a one-sided paired t test over runs finds, in standard deviations of the difference.

    For planning, when no example-level spread is known yet. Exact (noncentral t).
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    critical = t_quantile(1 - level, runs - 1)
    found = brentq(lambda d: float(nct.sf(critical, runs - 1, d * math.sqrt(runs))) - power, 1e-6, 100.0)
    return float(found)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class RunsNeeded:
    """How many runs decide; `runs` is None where no number does, and `reason` says why."""

    runs: int | None
    reason: str | None = None


def runs_needed(contrast: TwoWay, level: float, margin: float | None, power: float = POWER) -> RunsNeeded:
    """The number of runs at which a verdict falls with that power, if the truth and the spread are as observed.

    The variance at J' runs is (V − E)·J/J' + E. E = J/(J−1)·(V_example − V_both), between 0 and V, estimates the
    noise of the examples that more runs cannot remove: that of the fixed test set, or, with a new split per run, of
    the whole pool that the splits are drawn from (the products of one unit's contributions in two runs estimate it
    in both designs). The distance to decide is the larger of |contrast| (`worse`, `better`) and margin − contrast
    (`not worse`).
    """
    distance = abs(contrast.estimate) if margin is None else max(abs(contrast.estimate), margin - contrast.estimate)
    if contrast.runs < 2 or not contrast.variance > 0:
        return RunsNeeded(None, "the spread between runs is unknown")
    if not distance > 0:
        return RunsNeeded(None, "a contrast of exactly 0 is never decided without a margin")
    from scipy.special import stdtrit

    now = contrast.runs
    lasting = np.clip((contrast.v_example - contrast.v_both) * now / (now - 1), 0.0, contrast.variance)
    runs = np.arange(now, MOST_RUNS + 1, dtype=float)
    variance = (contrast.variance - lasting) * now / runs + lasting
    v_seed = np.minimum(contrast.v_seed * now / runs, variance)
    with np.errstate(divide="ignore"):
        df = np.maximum((variance / v_seed) ** 2 * (runs - 1), runs - 1)
    df = np.minimum(df, np.maximum(contrast.units - 1, runs - 1))
    units = max(contrast.units - 1, 1)
    # The bound that falls last: that of the whole variance, or of its parts, as `few_runs` has it.
    parts = stdtrit(runs - 1, 1 - level) ** 2 * v_seed + stdtrit(units, 1 - level) ** 2 * lasting
    bound = np.maximum(stdtrit(df, 1 - level) * np.sqrt(variance), np.sqrt(parts))
    reached = bound + stdtrit(df, power) * np.sqrt(variance) <= distance
    if reached.any():
        # The run count that was made did not decide: the chance of deciding at it is below the power, or bad luck.
        return RunsNeeded(max(int(runs[reached.argmax()]), now + 1))
    if lasting > 0 and minimum_detectable_effect(math.sqrt(lasting), math.inf, level, power) > distance:
        return RunsNeeded(None, "only more test examples would decide")
    return RunsNeeded(None, f"more than {MOST_RUNS:,} runs would be needed")


def foreseen_effect(
    noise: float, common: float, runs: int, units: int, level: float, rng: np.random.Generator, draws: int = 200
) -> float:
    """The smallest effect that a study yet to be made would find with 80% power, on average over such studies.

    Its runs are taken to differ by their examples alone, so this is a lower bound: what seeds add is not known before.

    Args:
        noise: variance of one run's contrast through its sample of examples.
        common: correlation of two runs' contrasts through the examples that both test.
        runs: J, at least 2; nan below.
        units: distinct units over all runs.
        level: one-sided, after the family's correction.
        rng: draws what V_seed, known from J − 1 degrees of freedom, would come out as.
    """
    if runs < 2 or units < 2:
        return math.nan
    variance = noise * (1 + (runs - 1) * common) / runs
    both = noise / runs
    found = []
    for chance in rng.chisquare(runs - 1, draws) / (runs - 1):
        v_seed = noise * (1 - common) / runs * chance
        total = max(v_seed + variance - both, variance)
        df = degrees_of_freedom(total, v_seed, runs, units)
        one = FewRuns(TwoWay(0.0, total, df, v_seed, variance, both, runs, units))
        found.append(one.half_width(level) + t_quantile(POWER, df) * math.sqrt(total))
    return float(np.mean(found))
