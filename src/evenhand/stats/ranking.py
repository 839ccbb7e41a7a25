"""Areas under the ROC and the precision-recall curve with the influence of each example, and their intervals.

A score ranks positives and negatives with weights w. With W₁ and W₀ the sums over positives and negatives, F₀(s) the
weighted share of negatives below s and F₁(s) that of positives (ties count half),

    AUC         = Σ_pos w·F₀(s)/W₁
    a_i         = w_i/W₁·(F₀(s_i) − AUC) of a positive, w_i/W₀·(1 − F₁(s_i) − AUC) of a negative
    AP          = Σ_pos w·P(s)/W₁              P(s): the precision of calling s and all above positive
    a_i         = w_i·[y_i·(P(s_i) − AP)/W₁ + Σ_{pos, s ≤ s_i} w·(y_i − P(s))/(W₁·N(s))]     N(s): the weight called

The first are placement values (DeLong, DeLong and Clarke-Pearson 1988). Both are derivatives by the weight of the
example, times the weight, and sum to 0, so that `stats.contrast` has their variance. Three things keep their intervals
from being too short, all simulated in `tests/coverage/test_areas.py`:

- The degrees of freedom, and the factor U/(U − 1), are those of the class with fewer units.
- Few examples in the wrong order say most about an area near 1, and one more of them may be missing: h² is added to the
  variance, where h is the largest contribution of a unit.
- Levels are on the logit scale, and a difference between two samples adds up the distances to their bounds as squares
  (MOVER: Zou and Donner 2008). A difference on the same examples is symmetric where two models are equally good, and
  skewed where one is better: the longer side is that of Johnson's (1978) t, and the shorter one is left as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import tail_at
from evenhand.stats.few_runs import FewRuns
from evenhand.stats.means import skew_shift


def placements(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of others below each value, ties counting half."""
    ordered = np.sort(others)
    both = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return both / (2 * len(others))


def roc_area(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """The area under the ROC curve, and the influence of each example on it.

    Args:
        score: [n], float, or int for ranks from 0, which saves sorting.
        positive: bool [n].
        weight: float [n], with a sum above 0 in both classes.

    Returns:
        The area, exactly 1 or 0 where all pairs are in one order, and float [n] with sum 0.

    Source: DeLong, DeLong and Clarke-Pearson (1988); with weights, scikit-learn's roc_auc_score.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import roc_area
        >>> area, influence = roc_area(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, False, True, False]), np.ones(4))
        >>> area, influence.tolist()
        (0.75, [0.125, -0.125, -0.125, 0.125])
    """
    place, ours, theirs = _by_level(score, positive, weight)
    below, above = np.cumsum(theirs), np.cumsum(ours)
    negatives, positives = below[-1], above[-1]
    below = (below - theirs / 2) / negatives
    above = (positives - above + ours / 2) / positives
    lowest, highest = np.flatnonzero(ours), np.flatnonzero(theirs)
    if lowest[0] > highest[-1]:
        area = 1.0
    elif lowest[-1] < highest[0]:
        area = 0.0
    else:
        area = float(ours @ below) / float(positives)
    share = weight / np.where(positive, positives, negatives)
    return area, share * (np.where(positive, below[place], above[place]) - area)


def precision_area(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of the precisions at the positives' scores, and the influence of each example on it.

    Args: see `roc_area`; only the positives need a sum of weights above 0.

    Source: scikit-learn's average_precision_score, with its ties and weights.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import precision_area
        >>> score, positive = np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, False, True, False])
        >>> round(precision_area(score, positive, np.ones(4))[0], 4)  # (1/1 + 2/3)/2
        0.8333
    """
    place, ours, theirs = _by_level(score, positive, weight)
    true, false = (np.cumsum(side[::-1])[::-1] for side in (ours, theirs))
    positives, called = true[0], true + false
    precision = np.divide(true, called, out=np.zeros(len(called)), where=called > 0)
    value = float(ours @ precision) / float(positives)
    moved = np.divide(ours, positives * called, out=np.zeros(len(called)), where=called > 0)
    of_called, of_precision = np.cumsum(moved), np.cumsum(moved * precision)
    # A further example at some level moves the precision of this level and of all below it.
    own = np.where(positive, (precision[place] - value) / positives + of_called[place], 0.0)
    return value, weight * (own - of_precision[place])


def _by_level(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The level of each example, int [n], ascending in the score; the weights of positives and negatives by level."""
    ranked = score.dtype.kind in "iu" and int(score.max(initial=0)) < 20 * len(score)
    place = score if ranked else np.unique(score, return_inverse=True)[1].reshape(-1)
    count = int(place.max(initial=0)) + 1
    ours = np.bincount(place[positive], weight[positive], count)
    theirs = np.bincount(place[~positive], weight[~positive], count)
    return place, ours, theirs


def distance_in_units(area: TwoWay) -> float:
    """How many effective units the distance of an area to the nearer of 0 and 1 rests on: distance²/V.

    Of a rate that is the number of its events, or of its non-events. 0 at 0 and 1; inf where nothing varies.

    Example:
        >>> from evenhand.stats import TwoWay
        >>> from evenhand.stats.ranking import distance_in_units
        >>> distance_in_units(TwoWay(0.75, 0.0625, df=29, v_seed=0, v_example=0.0625, v_both=0, runs=1, units=30))
        1.0
    """
    distance = min(area.estimate, 1 - area.estimate)
    if not distance > 0:
        return 0.0
    return distance**2 / area.variance if area.variance > 0 else math.inf


@dataclass(frozen=True)
class LogitInterval:
    """The interval of a number between 0 and 1, symmetric on the logit scale.

    Attributes:
        whole: the number with its two-way variance, strictly between 0 and 1.
        step: h, the largest contribution of a unit: h² is added to the variance.

    Example:
        >>> from evenhand.stats import LogitInterval, TwoWay
        >>> area = TwoWay(0.9, 0.0009, df=99, v_seed=0, v_example=0.0009, v_both=0, runs=1, units=100)
        >>> [round(bound, 3) for bound in LogitInterval(area, step=0.0).bounds(0.025)]
        [0.823, 0.946]
    """

    whole: TwoWay
    step: float

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        return self.whole.variance + self.step**2

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        if not self.whole.variance > 0:
            return self.estimate, self.estimate
        half, area = _quantile(self.whole, tail) * math.sqrt(self.variance), self.estimate
        odds, factor = area / (1 - area), math.exp(min(half / (area * (1 - area)), 700.0))
        return odds / (odds + factor), odds / (odds + 1 / factor)

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        return tail_at(self, null)

    def over(self, rates: int) -> LogitInterval:
        """The interval of a sum of so many areas, per area."""
        whole = self.whole
        parts = {name: getattr(whole, name) / rates**2 for name in ("variance", "v_seed", "v_example", "v_both")}
        return LogitInterval(replace(whole, estimate=whole.estimate / rates, **parts), self.step / rates)


@dataclass(frozen=True)
class SkewedInterval:
    """The interval of a difference of two areas on the same examples, longer to the side of its skew.

    With q the quantile of the bound and γ = Σ T³/V^1.5 the skewness, the upper bound is at max(q, q + γ(2q² + 1)/6)
    times √(V + h²) from the estimate, the lower one at max(q, q − γ(2q² + 1)/6) times.

    Attributes:
        whole: the difference with its two-way variance V.
        step: h, the largest contribution of a unit.
        cubes: Σ T³ over the contributions of units.

    Example:
        >>> from evenhand.stats import TwoWay
        >>> from evenhand.stats.ranking import SkewedInterval
        >>> difference = TwoWay(0.0, 0.01, df=99, v_seed=0, v_example=0.01, v_both=0, runs=1, units=100)
        >>> [round(bound, 3) for bound in SkewedInterval(difference, step=0.0, cubes=0.0003).bounds(0.05)]
        [-0.166, 0.199]
    """

    whole: TwoWay
    step: float
    cubes: float

    @classmethod
    def of(cls, whole: TwoWay, contributions: np.ndarray) -> SkewedInterval:
        """From the contributions of units over all runs, float [U]."""
        return cls(whole, float(np.abs(contributions).max(initial=0.0)), float((contributions**3).sum()))

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        return self.whole.variance + self.step**2

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        if not self.whole.variance > 0:
            return self.estimate, self.estimate
        quantile, spread = _quantile(self.whole, tail), math.sqrt(self.variance)
        longer = skew_shift(self.cubes / self.whole.variance**1.5, quantile)
        below, above = quantile + max(-longer, 0.0), quantile + max(longer, 0.0)
        return self.estimate - spread * below, self.estimate + spread * above

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        return tail_at(self, null)


def _quantile(whole: TwoWay, tail: float) -> float:
    """The half-width of a bound in standard errors, for few runs."""
    return FewRuns(whole).half_width(tail) / whole.standard_error
