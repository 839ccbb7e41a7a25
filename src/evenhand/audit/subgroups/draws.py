"""Contrasts of all conjunctions in draws where nothing is there: permuted, with random signs, or jointly normal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from evenhand.audit.subgroups.contrasts import smoothed_variance, to_normal, variance_of_change
from evenhand.audit.subgroups.ratios import AskedRatio
from evenhand.audit.subgroups.sides import quadratic, spread_at
from evenhand.stats.contrast import units_of_two_sides
from evenhand.stats.subsets import correction


@dataclass(frozen=True, eq=False)
class Eligible:
    """The rows for which the attributes of a conjunction exist, where they do not exist for all.

    Attributes:
        masks: float [V, r], of each set of attributes.
        of: int [S], the set of each conjunction.
    """

    masks: np.ndarray
    of: np.ndarray


def flipped(asked: AskedRatio, members: Any, patterns: Any, rows: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Contrasts with random signs, on the scale of normal values, float [S, D]."""
    numerator, weight = (part[rows] for part in asked.outcome.mean)
    sums, terms = asked.sums, asked.outcome.terms
    with np.errstate(divide="ignore", invalid="ignore"):
        total: Any = 0.0
        if asked.kind == "change":
            side = sums.inside
            for term, coefficient in enumerate(terms):
                level = side.unchanged[:, term, None]
                inside = members @ (patterns @ (numerator[:, term, None] * signs))
                if level.any():
                    inside = inside - level * (members @ (patterns @ (weight[:, term, None] * signs)))
                total = total + coefficient * (inside / side.size[:, term, None])
            variance = variance_of_change(sums, asked.outcome.measure.proportion)
            return to_normal(total / np.sqrt(variance)[:, None], np.maximum(side.units - 1, 1)[:, None].astype(float))
        levels = sums.everybody.levels
        for term, coefficient in enumerate(terms):
            centred = (numerator[:, term] - levels[0, term] * weight[:, term])[:, None] * signs
            inside, whole = members @ (patterns @ centred), centred.sum(axis=0)
            sizes = (side.size[:, term, None] for side in (sums.inside, sums.outside))
            first, second = (part / size for part, size in zip((inside, whole - inside), sizes, strict=True))
            total = total + coefficient * (first - second)
        first, second = sums.inside.coefficients(levels), sums.outside.coefficients(levels)
        variance = sums.inside.squares(first) + sums.outside.squares(second)
        if sums.crossed is not None:
            variance -= 2 * quadratic(first, sums.crossed, second)
        return to_normal(total / np.sqrt(variance)[:, None], np.maximum(asked.contrasts.df, 1)[:, None])


def resampled(asked: AskedRatio, members: Any, patterns: Any, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Changes of one ratio about their mean, drawn for each example anew, on the scale of normal values, float [S, D].

    They keep the skewness of changes, which random signs take away; order is int [D, r], with replacement.
    """
    numerator, weight = (part[rows, 0] for part in asked.outcome.mean)
    centred = (numerator - asked.sums.everybody.levels[0, 0] * weight)[order].T
    inside, squares = (members @ (patterns @ np.ascontiguousarray(part)) for part in (centred, centred**2))
    units = asked.sums.inside.units
    with np.errstate(divide="ignore", invalid="ignore"):
        t = inside / np.sqrt(correction(units)[:, None] * squares)
        return to_normal(t, np.maximum(units - 1, 1)[:, None].astype(float))


def resampled_units(
    asked: AskedRatio, inside: Any, whole: np.ndarray, level: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Contrasts of one ratio whose units all get the ratio of another one, on the scale of normal values, float [S, D].

    Args:
        asked: the question.
        inside: the weight of each unit in each conjunction, [S, U].
        whole: of each unit, float [U].
        level: the ratio of each unit minus that of everybody, float [U].
        order: int [U, D], the unit that each gets the ratio of, with replacement.
    """
    sides, drawn = asked.sums, level[order]
    squared = drawn**2
    with np.errstate(divide="ignore", invalid="ignore"):
        ours = 1 / sides.inside.size
        rest = np.zeros_like(ours) if asked.kind == "change" else 1 / sides.outside.size
        both = ours + rest  # a unit adds its weight inside times this, minus all of its weight times `rest`
        estimate = both * (inside @ drawn) - rest * (whole @ drawn)
        squares = both**2 * (inside.power(2) @ squared) + rest**2 * (whole**2 @ squared)
        squares -= 2 * both * rest * (inside @ (whole[:, None] * squared))
        t = estimate / np.sqrt(correction(sides.inside.units)[:, None] * squares)
        return to_normal(t, np.maximum(asked.contrasts.df, 1)[:, None].astype(float))


def normal(asked: AskedRatio, inside: Any, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Jointly normal contrasts, float [S, D]; a conjunction of nobody in the sample is independent of all others."""
    drawn = rng.standard_normal((inside.shape[1], draws))
    count = np.asarray(inside.sum(axis=1))[:, None]
    total = inside @ drawn
    with np.errstate(divide="ignore", invalid="ignore"):
        if asked.kind == "change":
            z = total / np.sqrt(count)
        else:
            rest = inside.shape[1] - count
            z = (total / count - (drawn.sum(axis=0) - total) / rest) / np.sqrt(1 / count + 1 / rest)
    lost = ~np.isfinite(z[:, 0])
    z[lost] = rng.standard_normal((int(lost.sum()), draws))
    return z


def permuted(
    asked: AskedRatio,
    members: Any,
    patterns: Any,
    eligible: Eligible | None,
    rows: np.ndarray,
    order: np.ndarray,
) -> np.ndarray:
    """Gaps of permuted outcomes, on the scale of normal values, float [S, D]; order is int [D, r]."""

    def both(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums inside of each conjunction and outside, [S, D]."""
        drawn = np.ascontiguousarray(values[order].T)
        inside = members @ (patterns @ drawn)
        whole = drawn.sum(axis=0) if eligible is None else (eligible.masks @ drawn)[eligible.of]
        return inside, whole - inside

    sums = asked.sums
    numerator, weight = (part[rows] for part in asked.outcome.mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        if len(asked.outcome.terms) == 1:
            levels, variances, smoothed = _of_ratio(asked, numerator[:, 0], weight[:, 0], both)
        else:
            levels, variances, smoothed = _of_terms(asked, numerator, weight, both)
        counts = (sums.inside.units, sums.outside.units, sums.distinct)
        known = units_of_two_sides(*variances, *(np.broadcast_to(each[:, None], levels[0].shape) for each in counts))
        t = (levels[0] - levels[1]) / np.sqrt(smoothed[0] + smoothed[1])
        return to_normal(t, np.maximum(known - 1, 1).astype(float))


Drawn = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]
"""Of both sides, float [S, D] each: values, their variances, and these with their floors."""


def _of_ratio(
    asked: AskedRatio, y: np.ndarray, n: np.ndarray, both: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> Drawn:
    """The ratio Σy/Σn of permuted rows."""
    sums, level = asked.sums, bool((n == n[0]).all())
    numerators = both(y)
    squares = both(y * y) if not (level and (y * y == n[0] * y).all()) else tuple(n[0] * part for part in numerators)
    if level:
        weights = [n[0] * side.units[:, None].astype(float) for side in (sums.inside, sums.outside)]
        products, weight_squares = [n[0] * part for part in numerators], [n[0] * part for part in weights]
    else:
        weights, products, weight_squares = both(n), both(y * n), both(n * n)
    values, variances, smoothed = [], [], []
    proportion = asked.kind == "gap" and asked.outcome.proportion
    spread = float(((y - float(sums.everybody.levels[0, 0]) * n) ** 2).mean())
    for place, side in enumerate((sums.inside, sums.outside)):
        units = side.units[:, None]
        value = numerators[place] / weights[place]
        squared = squares[place] - 2 * value * products[place] + value * value * weight_squares[place]
        variance = np.maximum(correction(side.units)[:, None] * squared / weights[place] ** 2, 0.0)
        floor = (
            smoothed_variance(np.clip(value, 0.0, 1.0), variance, units)
            if proportion
            else spread * units / weights[place] ** 2
        )
        values.append(value)
        variances.append(variance)
        smoothed.append(np.maximum(variance, floor))
    return values, variances, smoothed


def _of_terms(
    asked: AskedRatio, numerator: np.ndarray, weight: np.ndarray, both: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> Drawn:
    """Sums of several ratios of permuted rows."""
    sums, terms = asked.sums, asked.outcome.terms
    parts = [*numerator.T, *weight.T]
    added = [both(part) for part in parts]
    known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def product(first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the products of two parts; those of zeros and ones are often the same."""
        values = parts[first] * parts[second]
        key = values.tobytes()
        if key not in known:
            known[key] = both(values)
        return known[key]

    pairs = list(combinations_with_replacement(range(len(parts)), 2))
    crossed = {pair: product(*pair) for pair in pairs}
    spread = sums.everybody.spread(sums.everybody.levels[0])
    values, variances, smoothed = [], [], []
    for place, side in enumerate((sums.inside, sums.outside)):
        sizes = [added[len(terms) + term][place] for term in range(len(terms))]
        levels = [added[term][place] / size for term, size in enumerate(sizes)]
        shares = [term / size for term, size in zip(terms, sizes, strict=True)]
        factors = [*shares, *(-share * level for share, level in zip(shares, levels, strict=True))]
        squared = sum(
            (1 if first == second else 2) * factors[first] * factors[second] * crossed[first, second][place]
            for first, second in pairs
        )
        variance = np.maximum(correction(side.units)[:, None] * squared, 0.0)
        values.append(sum(term * level for term, level in zip(terms, levels, strict=True)))
        variances.append(variance)
        smoothed.append(np.maximum(variance, spread_at(terms, spread, side.units[:, None], sizes)))
    return values, variances, smoothed
