"""Two-way clustered variances of ratios of sums, their changes and gaps, in many subsets at once.

A rate, a mean loss or a predictive value of a group is Σ y / Σ n over the group's rows, in each of J runs. For one
group `contrast.two_way` gives the mean over runs with its variance; here it is given for all groups, and is the same to
rounding. Row r contributes to run j of a subset with the mask m

    c_rj      = m_r·(y_rj − d̄·n_rj) / (J·N_j)              N_j = Σ_r m_r·n_rj,  d_j = Σ_r m_r·y_rj / N_j
    V_seed    = Σ_j (d_j − d̄)² / (J·(J − 1))
    V_example = U/(U − 1) · Σ_u (Σ_j Σ_{r in u} c_rj)²
    V_both    = Σ_uj (Σ_{r in u} c_rj)²

So contributions are linear combinations of what a row holds (its features, here y and n) with coefficients that depend
on subset and run alone. Sums over rows are then products of the masks with features and with products of features; only
Σ_j c_rj is made row by row, a block of rows at a time. Everything else that is linear in features has the same form:
a change between two methods (y_first, n_first, y_second, n_second), and a gap, which has other coefficients inside of a
subset than in its rest (`two_sides` of `contrast`). y is centred by its mean over everything, so that little cancels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenhand.stats.contrast import TwoWay, many_degrees_of_freedom, units_of_two_sides
from evenhand.stats.subset_rows import Rows, cut, gram_of, squared


@dataclass(frozen=True, eq=False)
class RatioSums:
    """Each row's part of the numerator and of the denominator of a ratio, in each run.

    Attributes:
        numerator: float [R, J]; 0 where the run did not test the row.
        weight: float [R, J], at least 0; 0 where the run did not test the row, or the ratio does not count it.
        unit: int [R], codes of the resampling units; None: each row is its own.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import RatioSums, levels
        >>> right = np.array([[1, 1], [1, 0]])  # two examples in two runs
        >>> sums = RatioSums(right, np.ones((2, 2)))
        >>> levels(sums, np.array([[True, True]])).values.tolist()
        [[1.0, 0.5]]
    """

    numerator: np.ndarray
    weight: np.ndarray
    unit: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class TwoWays:
    """`contrast.TwoWay` for many subsets; nan where a ratio is undefined in some run.

    Attributes:
        values: float [S, J], the quantity in each run.
        variance, df, v_seed, v_example, v_both: float [S].
        units: int [S], distinct units over all runs; of a gap see `contrast.two_sides`.
        of_runs: float [S, J], the variance that the examples alone give each run.
        units_of_runs: int [S, J], the units that each run tested.
        gram: float [S, S], Σ_u of products of what unit u contributes to two subsets over all runs; None where
            they were not summed.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import RatioSums, levels
        >>> sums = RatioSums(np.array([[1, 1], [1, 0]]), np.ones((2, 2)))
        >>> means = levels(sums, np.array([[True, True]]))
        >>> means.estimate.tolist(), means.at(0).runs
        ([0.75], 2)
    """

    values: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    v_seed: np.ndarray
    v_example: np.ndarray
    v_both: np.ndarray
    units: np.ndarray
    of_runs: np.ndarray
    units_of_runs: np.ndarray
    gram: np.ndarray | None = None

    @cached_property
    def estimate(self) -> np.ndarray:
        """The means of the runs' values, float [S]."""
        return self.values.mean(axis=1)

    def at(self, subset: int) -> TwoWay:
        """The `contrast.TwoWay` of one subset."""
        names = ("estimate", "variance", "df", "v_seed", "v_example", "v_both")
        numbers = {name: float(getattr(self, name)[subset]) for name in names}
        return TwoWay(**numbers, runs=self.values.shape[1], units=int(self.units[subset]))


@dataclass(frozen=True, eq=False)
class TwoSided:
    """Differences between subsets and their rests, and both sides by themselves.

    Attributes:
        whole: inside minus outside.
        inside, outside: of the subsets, and of their rests.
    """

    whole: TwoWays
    inside: TwoWays
    outside: TwoWays


def levels(sums: RatioSums, masks: np.ndarray, together: bool = True) -> TwoWays:
    """The mean over runs of a ratio, in each subset; masks are bool [S, R].

    Args:
        sums: what each row adds, for R rows and J runs.
        masks: bool [S, R].
        together: whether products of two subsets are summed too (`TwoWays.gram`), which takes longer for many subsets.

    Example:
        Three tests of four examples, which were right (1) or wrong (0), and two overlapping groups:

        >>> import numpy as np
        >>> from evenhand.stats import RatioSums, levels
        >>> right = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0]])
        >>> groups = np.array([[True, True, True, False], [False, False, True, True]])
        >>> means = levels(RatioSums(right, np.ones((4, 3))), groups)
        >>> means.estimate.round(3).tolist(), means.units.tolist()
        ([0.667, 0.5], [3, 2])
    """
    return _one_side([sums], masks, together)


def changes(first: RatioSums, second: RatioSums, masks: np.ndarray) -> TwoWays:
    """first − second in each subset, paired: both have the same rows, units and runs.

    Args:
        first, second: what each row adds with the one and with the other method.
        masks: bool [S, R].

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import RatioSums, changes
        >>> first, second = np.array([[1], [1], [0], [1]]), np.array([[1], [0], [0], [1]])
        >>> groups = np.array([[True, True, False, False], [False, False, True, True]])
        >>> changes(RatioSums(first, np.ones((4, 1))), RatioSums(second, np.ones((4, 1))), groups).estimate.tolist()
        [0.5, 0.0]
    """
    return _one_side([first, second], masks)


def gaps(sums: RatioSums, masks: np.ndarray, rests: np.ndarray) -> TwoSided:
    """The ratio in each subset minus that in its rest; rests are often complements, but may be any masks.

    Args:
        sums: what each row adds.
        masks, rests: bool [S, R] each.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import RatioSums, gaps
        >>> right, group = np.array([[1], [1], [1], [0]]), np.array([[True, True, False, False]])
        >>> gaps(RatioSums(right, np.ones((4, 1))), group, ~group).whole.estimate.tolist()  # 1 − .5
        [0.5]
    """
    return _two_sides([sums], (1,), masks, rests)


def gap_changes(first: RatioSums, second: RatioSums, masks: np.ndarray, rests: np.ndarray) -> TwoSided:
    """The gaps of the first minus those of the second: the change in each subset minus that in its rest.

    Args:
        first, second: what each row adds with the one and with the other method.
        masks, rests: bool [S, R] each.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import RatioSums, gap_changes
        >>> first, second = np.array([[1], [1], [1], [0]]), np.array([[1], [0], [1], [0]])  # gaps of .5 and 0
        >>> group, weight = np.array([[True, True, False, False]]), np.ones((4, 1))
        >>> found = gap_changes(RatioSums(first, weight), RatioSums(second, weight), group, ~group)
        >>> found.whole.estimate.tolist()
        [0.5]
    """
    return _two_sides([first, second], (1, -1), masks, rests)


def gap_sums(first: RatioSums, second: RatioSums, masks: np.ndarray, rests: np.ndarray) -> TwoSided:
    """The gaps of the first plus those of the second: their sign says whom both favour."""
    return _two_sides([first, second], (1, 1), masks, rests)


def finished(
    values: np.ndarray,
    v_example: np.ndarray,
    both: np.ndarray,
    units: np.ndarray,
    of_runs: np.ndarray,
    tested: np.ndarray,
    gram: np.ndarray | None = None,
) -> TwoWays:
    """Variances with their degrees of freedom; `both` is Σ_uj c_uj² [S], the others as of `TwoWays`."""
    runs = values.shape[1]
    v_example = np.where(np.isfinite(values).all(axis=1), v_example, np.nan)
    of_runs = np.where(np.isfinite(values), of_runs, np.nan)
    v_seed, v_both = np.zeros(len(values)), np.zeros(len(values))
    if runs > 1:
        with np.errstate(invalid="ignore"):
            v_seed, v_both = values.var(axis=1, ddof=1) / runs, both
    variance = np.maximum(v_seed + v_example - v_both, v_example)
    df = many_degrees_of_freedom(variance, v_seed, runs, units)
    return TwoWays(values, variance, df, v_seed, v_example, v_both, units, of_runs, tested, gram)


def correction(units: np.ndarray) -> np.ndarray:
    """The factor U/(U − 1); nan for one unit."""
    return np.divide(units, units - 1, out=np.full(units.shape, np.nan), where=units > 1)


def _rows(sums: Sequence[RatioSums]) -> tuple[Rows, list[float]]:
    """Features of ratios: numerators, and these and the weights, centred."""
    features, centres = [], []
    for ratio in sums:
        total = ratio.weight.sum()
        centre = float(ratio.numerator.sum() / total) if total > 0 else 0.0
        features += [ratio.numerator - centre * ratio.weight, ratio.weight]
        centres.append(centre)
    kept = np.logical_or.reduce([(ratio.weight > 0).any(axis=1) for ratio in sums])
    return Rows.of(features, sums[0].weight > 0, kept, sums[0].unit), centres


def _side(
    rows: Rows, sums: Sequence[RatioSums], signs: Sequence[int], centres: Sequence[float], masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [S, J], and coefficients [F, S, J] of features in the mean over runs and in each run by itself."""
    numerators = [ratio.numerator if rows.order is None else ratio.numerator[rows.order] for ratio in sums]
    added = rows.sums(masks, [*numerators, *rows.features[1::2]])
    runs, count = rows.tested.shape[1], len(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [added[place] / added[count + place] for place in range(count)]
        values = np.sum([sign * ratio for sign, ratio in zip(signs, ratios, strict=True)], axis=0)
        # The first ratio takes what the mean over runs differs from each run by.
        off = values - values.mean(axis=1, keepdims=True)
        pooled, alone = [], []
        for place, (sign, ratio, centre) in enumerate(zip(signs, ratios, centres, strict=True)):
            weight = sign / added[count + place]
            level = ratio - centre
            pooled += [weight / runs, -weight * (level - off if place == 0 else level) / runs]
            alone += [weight, -weight * level]
    known = np.isfinite(values)  # what is undefined has no contributions, and is nan in the end
    everywhere = known.all(axis=1, keepdims=True)
    return values, np.where(everywhere, pooled, 0.0), np.where(known, alone, 0.0)


def _one_side(sums: Sequence[RatioSums], masks: np.ndarray, together: bool = True) -> TwoWays:
    rows, centres = _rows(sums)
    masks = rows.own(masks)
    values, coefficients, of_run = _side(rows, sums, (1, -1)[: len(sums)], centres, masks)
    totals = rows.totals(masks, coefficients)
    gram = gram_of(totals, len(masks)) if together else None
    of_means = squared(totals, len(masks)) if gram is None else np.diag(gram)
    squares = rows.squares(masks, coefficients, of_run)
    return _alone(values, of_means, rows.units(masks), squares, gram)


def _alone(
    values: np.ndarray,
    of_means: np.ndarray,
    counts: tuple[np.ndarray, np.ndarray],
    squares: Sequence[tuple[np.ndarray, np.ndarray]],
    gram: np.ndarray | None = None,
) -> TwoWays:
    """The variances of one side; `of_means` is Σ_u of what unit u contributes over all runs, squared, float [S].

    `counts` and `squares` are those of `Rows.units` and `Rows.squares`, of the mean over runs and of each run.
    """
    units, tested = counts
    (both, scale), (alone, _) = squares
    v_example = correction(units) * cut(of_means, both.shape[1] * scale.sum(axis=1))
    return finished(values, v_example, both.sum(axis=1), units, correction(tested) * alone, tested, gram)


def _two_sides(sums: Sequence[RatioSums], signs: Sequence[int], masks: np.ndarray, rests: np.ndarray) -> TwoSided:
    """As `contrast.two_sides` does: each side with its own U/(U − 1), and Welch's degrees of freedom."""
    rows, centres = _rows(sums)
    # Sides without a common unit.
    apart = rows.starts is None and not np.logical_and(masks, rests).any()
    masks, rests = rows.own(masks), rows.own(rests)
    values, inside, inside_of_run = _side(rows, sums, signs, centres, masks)
    others, outside, outside_of_run = _side(rows, sums, signs, centres, rests)
    counts = [rows.units(side) for side in (masks, rests)]
    factors = [np.sqrt(correction(units))[:, None] for units, _ in counts]
    of_means, gram = np.zeros((3, len(masks))), np.zeros((len(masks), len(masks)))
    for first, second in _together(rows, masks, rests, inside, outside):
        of_means[:2] += [np.einsum("su,su->s", part, part) for part in (first, second)]
        first *= factors[0]
        second *= factors[1]
        first -= second  # in place: these are the largest arrays of an audit
        of_means[2] += np.einsum("su,su->s", first, first)
        gram += first @ first.T
    squares = [rows.squares(masks, inside, inside_of_run), rows.squares(rests, outside, outside_of_run)]
    ours = _alone(values, of_means[0], counts[0], squares[0])
    theirs = _alone(others, of_means[1], counts[1], squares[1])
    distinct, tested = rows.units(np.logical_or(masks, rests))
    units = units_of_two_sides(ours.v_example, theirs.v_example, ours.units, theirs.units, distinct)
    v_example = cut(of_means[2], ours.v_example + theirs.v_example)
    both = squares[0][0][0] + squares[1][0][0] if apart else _both_of_two_sides(rows, masks, rests, inside, outside)
    both = cut(both, (ours.v_example + theirs.v_example)[:, None])
    of_runs = correction(tested) * both * both.shape[1] ** 2
    whole = finished(values - others, v_example, both.sum(axis=1), units, of_runs, tested, gram)
    return TwoSided(whole, ours, theirs)


def _both_of_two_sides(
    rows: Rows, masks: np.ndarray, rests: np.ndarray, inside: np.ndarray, outside: np.ndarray
) -> np.ndarray:
    """Σ_u c_uj² by run, float [S, J], of sides that have units in common."""
    both = np.zeros((len(masks), rows.tested.shape[1]))
    for run in range(rows.tested.shape[1]):
        for first, second in _together(rows.run(run), masks, rests, inside[:, :, [run]], outside[:, :, [run]]):
            both[:, run] += np.einsum("su,su->s", first - second, first - second)
    return both


def _together(
    rows: Rows, masks: np.ndarray, rests: np.ndarray, inside: np.ndarray, outside: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The totals of two sides, block by block."""
    return zip(rows.totals(masks, inside), rows.totals(rests, outside), strict=True)
