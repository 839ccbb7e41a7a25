"""Tests and intervals of paired differences, from one number per run or from the discordant counts of one run.

Papers use them. They need less than the two-way interval does, beside which they stand here for comparison;
`docs/statistics-derivations.md` compares their widths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evenhand.errors import InputError
from evenhand.stats.student_t import t_quantile, t_tail

Alternative = Literal["greater", "less", "two-sided"]
MOST_EXACT = 16
"""With more runs than this, signs are drawn at random instead of enumerated."""
DRAWS = 100_000


@dataclass(frozen=True)
class StudentT:
    """A mean with a standard error and degrees of freedom.

    Attributes:
        estimate: the mean.
        standard_error: nan with one run; 0 where the runs agree, and then there is no p-value.
        df: degrees of freedom.

    Example:
        >>> from evenhand.stats import StudentT
        >>> mean = StudentT(estimate=1.0, standard_error=1.0, df=float("inf"))
        >>> mean.p_greater(1.0), [round(bound, 2) for bound in mean.interval()]
        (0.5, [-0.96, 2.96])
    """

    estimate: float
    standard_error: float
    df: float

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail`; nan with one run."""
        half = t_quantile(1 - tail, self.df) * self.standard_error
        return self.estimate - half, self.estimate + half

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of that level."""
        return self.bounds((1 - level) / 2)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p-value against "not greater than `null`"; nan without spread."""
        if not self.standard_error > 0:
            return math.nan
        return t_tail((self.estimate - null) / self.standard_error, self.df)


def t_over_runs(differences: np.ndarray) -> StudentT:
    """Student's t over the runs' differences [J].

    Blind to what the runs share: on one fixed test set its intervals cover too little (.73–.92 for disparities), since
    the noise of the examples is in every run alike.

    Args:
        differences: float [J].

    Source: Student (1908). The standard error is nan with one run.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import t_over_runs
        >>> mean = t_over_runs(np.array([0.0, 1.0, 2.0, 3.0]))  # s² is 5/3
        >>> mean.estimate, mean.df, round(mean.standard_error**2, 4)
        (1.5, 3, 0.4167)
    """
    return _student(differences, 1 / len(differences))


def corrected_resampled_t(differences: np.ndarray, tested: int, trained: int) -> StudentT:
    """Nadeau and Bengio's corrected resampled t (2003) over new splits per run.

    The variance of the mean is (1/J + tested/trained)·s², since training sets overlap. It covers, at 1.4
    times the width of the two-way interval of the same runs where examples vary most.

    Args:
        differences: float [J].
        tested, trained: examples in a run's test and training part.

    Raises:
        InputError: no examples to train or test on.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import corrected_resampled_t
        >>> mean = corrected_resampled_t(np.array([1.0, 2.0, 3.0]), tested=200, trained=300)
        >>> mean.estimate, mean.standard_error  # s is 1, and 1/3 + 2/3 is 1
        (2.0, 1.0)
    """
    if tested < 1 or trained < 1:
        raise InputError(
            f"the corrected t needs test and training parts of 1 example or more, not of {tested} and {trained}"
        )
    return _student(differences, 1 / len(differences) + tested / trained)


def _student(differences: np.ndarray, factor: float) -> StudentT:
    runs = len(differences)
    spread = float(np.std(differences, ddof=1)) if runs > 1 else math.nan
    return StudentT(float(np.mean(differences)), spread * math.sqrt(factor), max(runs - 1, 1))


def sign_flip(
    differences: np.ndarray,
    alternative: Alternative = "greater",
    rng: np.random.Generator | None = None,
    draws: int = DRAWS,
) -> float:
    """Permutation p-value of the mean of paired differences: under the null each run's sign is arbitrary.

    Exact over all 2^J signs up to 16 runs. A one-sided p cannot be below 2^−J: .125 at 3 runs, .031 at 5, so that fewer
    than five runs never reach .05.

    Args:
        differences: float [J]; a run without a difference counts with either sign.
        alternative: "greater" asks whether the mean is above 0.
        rng: draws the signs of more than 16 runs; then p is (1 + those as extreme) / (1 + draws).
        draws: how many.

    Raises:
        InputError: more than 16 runs without a generator.

    Source: Fisher (1935).

    Example:
        >>> from evenhand.stats import sign_flip
        >>> sign_flip([1.0, 2.0, 3.0])  # one of 2³ signs is as extreme
        0.125
    """
    values = np.asarray(differences, dtype=float)
    runs = len(values)
    if runs <= MOST_EXACT:
        signs = 1 - 2 * (np.arange(2**runs)[:, None] >> np.arange(runs) & 1)
    elif rng is not None:
        signs = rng.integers(0, 2, (draws, runs)) * 2 - 1
    else:
        raise InputError(f"the signs of {runs} runs are too many to enumerate (at most {MOST_EXACT}): pass a generator")
    sums, total = signs @ values, float(values.sum())
    slack = 1e-12 * float(np.abs(values).sum())  # sums that differ by the order of the additions are equal
    extreme = {
        "greater": sums >= total - slack,
        "less": sums <= total + slack,
        "two-sided": np.abs(sums) >= abs(total) - slack,
    }[alternative]
    if runs <= MOST_EXACT:
        return float(extreme.mean())
    return (1 + int(extreme.sum())) / (1 + draws)


def mcnemar(first: int, second: int, alternative: Alternative = "two-sided") -> float:
    """McNemar's exact test: given that a pair is discordant, either side is as likely.

    Args:
        first, second: pairs where only the first, or only the second, has the event.
        alternative: "greater" asks whether the first has it more often. Two-sided it is twice the smaller side, at
            most 1, as statsmodels has it.

    Returns:
        1 without discordant pairs.

    Source: McNemar (1947), with the exact binomial distribution.

    Example:
        >>> from evenhand.stats import mcnemar
        >>> mcnemar(3, 0)  # 2 · .5³
        0.25
    """
    from scipy.special import bdtr

    total = first + second
    low, high = (float(bdtr(min(one, total), total, 0.5)) for one in (first, second))
    # P(X ≥ first) is P(X ≤ second), by symmetry.
    return {"less": low, "greater": high, "two-sided": min(1.0, 2 * min(low, high))}[alternative]


def agresti_min(first: int, second: int, pairs: int, level: float = 0.95) -> tuple[float, float]:
    """Agresti and Min's interval (2005) of a difference of paired proportions, first − second.

    Wald's interval after half a pair was added to each of the four cells; within [−1, 1]. With no pair discordant it
    still has a width.

    Args:
        first, second: pairs where only the first, or only the second, has the event.
        pairs: all pairs.
        level: two-sided.

    Example:
        >>> from evenhand.stats import agresti_min
        >>> low, high = agresti_min(0, 0, pairs=98)  # ± 1.96/100
        >>> round(low, 4), round(high, 4)
        (-0.0196, 0.0196)
    """
    size, difference = pairs + 2, first - second
    error = math.sqrt(first + second + 1 - difference**2 / size) / size
    half = t_quantile((1 + level) / 2, math.inf) * error
    return max(difference / size - half, -1.0), min(difference / size + half, 1.0)
