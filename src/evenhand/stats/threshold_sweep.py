"""Rates of predictions over the threshold on a probability, with pointwise bands, from sums over sorted probabilities.

An example is predicted positive in run j where its probability lies above the threshold. A rate of a run is a ratio of
sums, d_j = Σ w·y/Σ w·b, and the mean over runs has the two-way variance of `stats.contrast`. With D_j = Σ w·b and
α_j = 1/(J·D_j), example i contributes α_j·w·(y − d̄·b) in run j. Whether it is predicted positive is a step in the
threshold, so that squares and products of contributions of two runs are sums of squared weights over the examples
whose probabilities in both lie above the threshold: counts by bin, added up from the top, serve all thresholds at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from evenhand.stats.contrast import many_degrees_of_freedom, two_way
from evenhand.stats.proportion import proportion_intervals
from evenhand.stats.student_t import quantiles

SweptRate = Literal[
    "selection_rate", "true_positive_rate", "false_positive_rate", "positive_predictive_value", "accuracy"
]
"""The rates that are swept."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """A rate over thresholds: the mean over runs, with a 95% interval at each threshold by itself.

    Attributes:
        value, low, high: float [T]; nan where the rate is undefined in some run.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import sweep
        >>> selected = sweep(np.array([[0.2, 0.8]]), np.array([0, 1]), np.array([0.5, 0.9]))["selection_rate"]
        >>> selected.value.tolist(), bool((selected.low <= selected.value).all())
        ([0.5, 0.0], True)
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def steps(probability: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many thresholds lie below each probability, int of its shape; −1 where it is nan.

    Args:
        probability: float [...], of the positive class; nan where a run has no prediction.
        thresholds: float [T], ascending.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats.threshold_sweep import steps
        >>> steps(np.array([0.0, 0.5, 0.7, np.nan]), np.array([0.0, 0.5, 1.0])).tolist()
        [0, 1, 2, -1]
    """
    return np.where(np.isnan(probability), -1, np.searchsorted(thresholds, probability, "left"))


def sweep(
    probability: np.ndarray,
    label: np.ndarray,
    thresholds: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    unit: np.ndarray | None = None,
    level: float = 0.95,
) -> dict[SweptRate, Sweep]:
    """Rates at every threshold: the mean over runs with its interval.

    Args:
        probability: float [J, n], of the positive class in each run; nan where the run has no prediction.
        label: [n], true where the example is positive.
        thresholds: float [T], ascending; predicted positive is what lies above.
        weight: float [n]; 1 unless given.
        unit: int [n], codes of the units that are resampled together; each example is its own unless given.
        level: of each interval, which is Wilson's at the effective size and holds at each threshold by itself.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import sweep
        >>> rates = sweep(np.array([[0.2, 0.6, 0.4, 0.9]]), np.array([0, 0, 1, 1]), np.array([0.3, 0.5]))
        >>> rates["true_positive_rate"].value.tolist(), rates["positive_predictive_value"].value.round(3).tolist()
        ([1.0, 0.5], [0.667, 0.5])
    """
    probability, label = np.atleast_2d(probability), np.asarray(label).astype(bool)
    weight = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=float)
    above = steps(probability, np.asarray(thresholds, dtype=float))
    sums = _Sums.of(above, label, weight, len(thresholds))
    return {rate: _Rate.of(rate, sums).sweep(unit, level) for rate in get_args(SweptRate)}


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the examples of one group; the first axis of two is the label.

    Attributes:
        above: int [J, n], see `steps`.
        label: bool [n].
        weight: float [n].
        tested: float [2, J], of weights; selected: float [2, J, T], of weights above each threshold.
        squares: float [2, J, J, 1], of squared weights of the examples of two runs.
        one, both: float [2, J, J, T], of those above the threshold in the first run, and in both.
        examples: int [2], that some run tested; reached: int [2, T], above the threshold in some run.
    """

    above: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    tested: np.ndarray
    selected: np.ndarray
    squares: np.ndarray
    one: np.ndarray
    both: np.ndarray
    examples: np.ndarray
    reached: np.ndarray

    @classmethod
    def of(cls, above: np.ndarray, label: np.ndarray, weight: np.ndarray, count: int) -> _Sums:
        runs = len(above)
        tested, selected = np.zeros((2, runs)), np.zeros((2, runs, count))
        squares, one, both = np.zeros((2, runs, runs, 1)), *np.zeros((2, 2, runs, runs, count))
        examples, reached = np.zeros(2, dtype=np.int64), np.zeros((2, count), dtype=np.int64)
        for name in (0, 1):
            rows = np.flatnonzero(label == bool(name))
            steps_here, own, squared = above[:, rows], weight[rows], weight[rows] ** 2
            known = steps_here >= 0
            highest = steps_here.max(axis=0, initial=-1)
            examples[name] = (highest >= 0).sum()
            reached[name] = _from_top(highest[highest >= 0], None, count)
            for run in range(runs):
                inside = known[run]
                tested[name, run] = own[inside].sum()
                selected[name, run] = _from_top(steps_here[run, inside], own[inside], count)
                for other in range(run + 1):
                    shared = inside & known[other]
                    first, second, w = steps_here[run, shared], steps_here[other, shared], squared[shared]
                    for place in {(run, other), (other, run)}:
                        squares[name][place] = w.sum()
                        both[name][place] = _from_top(np.minimum(first, second), w, count)
                    one[name, run, other] = _from_top(first, w, count)
                    one[name, other, run] = _from_top(second, w, count)
        return cls(above, label, weight, tested, selected, squares, one, both, examples, reached)


def _from_top(above: np.ndarray, weight: np.ndarray | None, count: int) -> np.ndarray:
    """Σ of the weights of those that lie above each threshold, [T]."""
    return np.bincount(above, weight, count + 1)[::-1].cumsum()[-2::-1][:count]


@dataclass(frozen=True, eq=False)
class _Rate:
    """One rate of the examples that `_Sums` are of.

    Attributes:
        events, base: float [J, T], Σ w·y and Σ w·b of each run.
        products: float [J, J, T], Σ over examples of w²(y − d̄b)(y' − d̄b') of two runs.
        base_squares: float [J, T], Σ w²b².
        units: int [T], examples with b in some run.
    """

    rate: SweptRate
    sums: _Sums
    events: np.ndarray
    base: np.ndarray
    products: np.ndarray
    base_squares: np.ndarray
    units: np.ndarray

    @classmethod
    def of(cls, rate: SweptRate, sums: _Sums) -> _Rate:
        (tested_0, tested_1), (selected_0, selected_1) = sums.tested[:, :, None], sums.selected
        whole = np.broadcast_to(tested_0 + tested_1, selected_0.shape)
        events, base, labels = {
            "selection_rate": (selected_0 + selected_1, whole, (0, 1)),
            "true_positive_rate": (selected_1, np.broadcast_to(tested_1, selected_1.shape), (1,)),
            "false_positive_rate": (selected_0, np.broadcast_to(tested_0, selected_0.shape), (0,)),
            "positive_predictive_value": (selected_1, selected_0 + selected_1, (0, 1)),
            "accuracy": (selected_1 + tested_0 - selected_0, whole, (0, 1)),
        }[rate]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (events / base).mean(axis=0)
        own = np.arange(len(sums.tested[0]))
        if rate == "positive_predictive_value":
            products = (1 - mean) ** 2 * sums.both[1] + mean**2 * sums.both[0]
            base_squares, units = sums.both[:, own, own].sum(axis=0), sums.reached.sum(axis=0)
            return cls(rate, sums, events, base, products, base_squares, units)
        products = np.zeros(sums.both.shape[1:])
        for name in labels:
            # Where negatives that are not selected are right, y − d̄ is −(selected − (1 − d̄)), whose square is the same.
            level = 1 - mean if rate == "accuracy" and name == 0 else mean
            crossed = sums.one[name] + sums.one[name].swapaxes(0, 1)
            products += sums.both[name] - level * crossed + level**2 * sums.squares[name]
        squares = sum(sums.squares[name][own, own] for name in labels)
        units = np.full(base.shape[1], sum(int(sums.examples[name]) for name in labels))
        return cls(rate, sums, events, base, products, np.broadcast_to(squares, base.shape), units)

    def sweep(self, unit: np.ndarray | None, level: float) -> Sweep:
        """The mean over runs and its interval at each threshold."""
        runs = len(self.base)
        with np.errstate(divide="ignore", invalid="ignore"):
            values, share = self.events / self.base, 1 / (runs * self.base)
            value = values.mean(axis=0)
            cells = runs**2 / (self.base_squares / self.base**2).sum(axis=0)
            if unit is not None:
                variance, df, units, cells = self._clustered(values, unit)
            else:
                units = self.units
                weighted = share[:, None] * share[None, :] * self.products
                v_example = weighted.sum(axis=(0, 1)) * units / (units - 1)
                v_both = np.einsum("jjt->t", weighted)
                v_seed = values.var(axis=0) / (runs - 1) if runs > 1 else np.zeros(len(value))
                variance = np.maximum(v_seed + v_example - v_both, v_example) if runs > 1 else v_example
                variance = np.where(units > 1, np.maximum(variance, 0.0), np.nan)
                df = many_degrees_of_freedom(variance, v_seed, runs, units)
            known = np.isfinite(value) & np.isfinite(variance)
            bounds = proportion_intervals(
                np.where(known, value, 0.5),
                np.where(known, variance, 1.0),
                np.where(known, cells, 1.0),
                np.where(known, units, 1.0),
                quantiles(1 - (1 - level) / 2, np.where(known, df, 1.0)),
            )
        low, high = (np.where(known, bound, np.nan) for bound in bounds)
        return Sweep(value, low, high)

    def _clustered(self, values: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Variance, degrees of freedom, units and cells at each threshold, [4, T]; units hold several examples."""
        sums, (_, codes) = self.sums, np.unique(unit, return_inverse=True)
        runs, count = self.base.shape
        size, place = codes.max(initial=-1) + 1, codes + (codes.max(initial=-1) + 1) * np.arange(runs)[:, None]
        found = np.full((4, count), np.nan)
        known = sums.above >= 0

        def by_unit(parts: np.ndarray) -> np.ndarray:
            return np.bincount(place[known], parts[known], runs * size).reshape(runs, size)

        for index in np.flatnonzero(np.isfinite(values).all(axis=0)):
            event, base = _event_and_base(self.rate, sums.above > index, sums.label)
            shares = sums.weight * base / self.base[:, [index]]
            moves = sums.weight * (event * base - values[:, [index]] * base) / self.base[:, [index]]
            of_units = by_unit(shares)
            whole = two_way(values[:, index], by_unit(moves), of_units, clustered=True)
            found[:, index] = whole.variance, whole.df, whole.units, runs**2 / (of_units**2).sum()
        return found


def _event_and_base(rate: SweptRate, selected: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which examples a rate counts, and among which, bool [J, n] each."""
    every = np.ones(selected.shape, dtype=bool)
    known: Mapping[SweptRate, tuple[np.ndarray, np.ndarray]] = {
        "selection_rate": (selected, every),
        "true_positive_rate": (selected, every & label),
        "false_positive_rate": (selected, every & ~label),
        "positive_predictive_value": (every & label, selected),
        "accuracy": (selected == label, every),
    }
    return known[rate]
