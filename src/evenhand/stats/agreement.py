"""The probability that two runs agree on an example, averaged over examples, with its parts over runs and examples.

Of B_i runs that predicted example i, P_i of the B_i(B_i − 1)/2 pairs agree. Its share s_i = 2P_i/(B_i(B_i − 1)) is
the unbiased estimate of the probability that two runs agree on it, whichever classes they predict; the estimate of a
group is θ = Σ w_i s_i / Σ w_i over the examples that at least two runs predicted.

A pair is of two runs, so that runs contribute in a way that is not linear. The variance over runs is that of the
jackknife (Efron and Stein 1981), and the variance over examples that of the s_i. Both come from one table of
contributions by run and example, which `stats.contrast` clusters both ways:

    t_i  = w_i(s_i − θ)/Σw                         what the example contributes; Σ_i t_i = 0
    δ_ij = −(J − 1)/J · w_i(s_i(−j) − θ)/Σw(−j)     what is left of it without run j
    c_ij = δ_ij − δ̄_i + t_i/J                      Σ_j c_ij = t_i,  Σ_i c_ij = (J − 1)/J · (θ̄(·) − θ(−j))

so that V_seed = J/(J − 1)·Σ_j(Σ_i c_ij)² is the jackknife's variance. It is too large on average, never too small
(Efron and Stein).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import TwoWay
from evenhand.stats.proportion import proportion_interval
from evenhand.stats.student_t import t_quantile


@dataclass(frozen=True, eq=False)
class RunAgreement:
    """How far runs agree on each example, with all runs and without each of them.

    Attributes:
        share: float [n], of the pairs of runs that predicted the example, those that agree; nan with fewer than two.
        without: float [J, n], the same without each run; nan where fewer than two runs are left.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import RunAgreement
        >>> agreement = RunAgreement.of(np.array([[0, 1, 2], [0, 1, -1], [0, 0, -1]]))  # −1: not predicted
        >>> agreement.share.round(3).tolist()
        [1.0, 0.333, nan]
        >>> agreement.without[2].tolist()  # without the third run the first two agree
        [1.0, 1.0, nan]
    """

    share: np.ndarray
    without: np.ndarray

    @classmethod
    def of(cls, predicted: np.ndarray | Sequence[Sequence[int]]) -> RunAgreement:
        """From the predicted class of each example in each run, int [J, n]; below 0 where the run did not predict it.

        Source: Cooper et al. (2024), "Arbitrariness and Social Prediction", whose self-consistency of B runs of two
        classes, 1 − 2·B0·B1/(B(B − 1)), is `share`.
        """
        predicted = np.asarray(predicted)
        tested = predicted >= 0
        same = np.zeros(predicted.shape)  # by run and example: how many other runs agree with it
        for run in range(len(predicted)):
            for other in range(run):
                agree = (predicted[run] == predicted[other]) & tested[run]
                same[run] += agree
                same[other] += agree
        count, pairs = tested.sum(axis=0), same.sum(axis=0) / 2
        share = _share(pairs, count)
        without = np.where(tested, _share(pairs - same, count - 1), share)
        return cls(share, without)

    def take(self, rows: np.ndarray) -> RunAgreement:
        """The agreement on some of the examples, int [k]."""
        return RunAgreement(self.share[rows], self.without[:, rows])

    def known_over_runs(self, weight: np.ndarray) -> bool:
        """Whether examples of these weights, float [n], show how the estimate varies over runs.

        That takes three runs, and two that predicted a common example whichever run is left out.
        """
        if len(self.without) < 3:
            return False
        return bool(((weight > 0) & ~np.isnan(self.without)).any(axis=1).all())

    def linear(self, weight: np.ndarray, basis: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The mean agreement as values of runs and contributions of examples, as `stats.contrast.two_way` takes them.

        Args:
            weight: float [n], of each example; those that fewer than two runs predicted do not count.
            basis: float [J, n], the examples' shares in each run that `two_way` is given, rows sum to 1; None: their
                shares of the weight of those that count, in every run.

        Returns:
            Values, float [J], whose mean is θ, and contributions, float [J, n], whose rows sum to 0. Where the examples
            do not show how θ varies over runs (`known_over_runs`), the values are all θ and the contributions those of
            the examples. Everything is nan where no example counts.

        Example:
            >>> import numpy as np
            >>> from evenhand.stats import RunAgreement, two_way
            >>> agreement = RunAgreement.of([[0, 1, 1], [0, 1, 0], [0, 1, 0]])
            >>> values, moves = agreement.linear(np.ones(3))
            >>> round(float(values.mean()), 4)  # (1 + 1 + 1/3)/3
            0.7778
            >>> jackknife = 2 / 3 * ((np.array([1, 2 / 3, 2 / 3]) - 7 / 9) ** 2).sum()
            >>> bool(np.isclose(two_way(values, moves, np.full((3, 3), 1 / 3)).v_seed, jackknife))
            True
        """
        counted = ~np.isnan(self.share)
        weight = np.where(counted, weight, 0.0)
        total, runs = weight.sum(), len(self.without)
        if not total > 0:
            return np.full(runs, np.nan), np.full(self.without.shape, np.nan)
        own = weight / total
        share = np.where(counted, self.share, 0.0)
        value = float(own @ share)
        moves = own * (share - value)
        if not self.known_over_runs(weight):
            return np.full(runs, value), np.tile(moves, (runs, 1))
        left = np.where(np.isnan(self.without), 0.0, weight)
        rest = np.where(np.isnan(self.without), 0.0, self.without - value)
        change = -(runs - 1) / runs * left * rest / left.sum(axis=1, keepdims=True)
        cells = change - change.mean(axis=0) + moves / runs
        deviation = runs * cells.sum(axis=1)
        return value + deviation, runs * cells - deviation[:, None] * (own if basis is None else basis)


def _share(pairs: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The share of pairs that agree; nan with fewer than two runs."""
    return np.divide(2 * pairs, count * (count - 1), out=np.full(pairs.shape, np.nan), where=count >= 2)


@dataclass(frozen=True)
class AgreementInterval:
    """The interval of a share of pairs of runs that agree, or that differ, by its mean with two-way variance.

    What differs between whole runs (one predicts more positives than another, say) enters the share that differs by
    the mean distance between runs. That is a measure of spread, whose error is skewed: few runs that happen to lie
    close together show both too little disagreement and too small an error. Towards more disagreement the part of the
    half-width that is due to runs is therefore σ·(e^(t·k) − 1)/k in place of t·σ, the bound on a logarithmic scale:
    σ² = V_seed, t is the quantile of J − 1 degrees of freedom, and k = 1/√(J − 1) lies between the relative errors of
    a standard deviation and of a variance of J normal runs. The bounds are never inside Wilson's.

    Attributes:
        whole: the share with its two-way variance.
        cells: Kish's effective number of (unit, run) cells; see `proportion_interval`.
        differ: whether it is the share that differs.

    Example:
        >>> from evenhand.stats import TwoWay
        >>> from evenhand.stats.agreement import AgreementInterval
        >>> share = TwoWay(0.1, 0.0004, df=4, v_seed=0.0004, v_example=0, v_both=0, runs=5, units=500)
        >>> [round(bound, 3) for bound in AgreementInterval(share, cells=2500, differ=True).bounds(0.025)]
        [0.057, 0.22]
    """

    whole: TwoWay
    cells: float
    differ: bool

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        return self.whole.variance

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        low, high = proportion_interval(self.whole, self.cells, 1 - 2 * tail)
        if self.differ:
            return low, min(max(high, self.estimate + self._reach(tail)), 1.0)
        return max(min(low, self.estimate - self._reach(tail)), 0.0), high

    def p_greater(self, null: float = 0.0) -> float:
        """nan: such shares are compared, and not tested."""
        return math.nan

    def _reach(self, tail: float) -> float:
        """The distance of the bound towards more disagreement."""
        whole = self.whole
        if whole.runs < 3 or math.isnan(whole.variance):
            return 0.0
        quantile, relative = -t_quantile(tail, whole.runs - 1), 1 / math.sqrt(whole.runs - 1)
        reach = math.sqrt(whole.v_seed) * math.expm1(min(quantile * relative, 50.0)) / relative
        return math.hypot(reach, t_quantile(tail, max(whole.units - 1, 1)) * math.sqrt(whole.v_example))
