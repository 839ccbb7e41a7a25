"""Comparison of values across groups: the worst, the best, and five measures of the differences between them.

Values have the groups on their last axis, [..., G], and so does `eligible`, bool, which selects the groups to compare
(None: all). If a value is nan for an eligible group, the result is nan: groups are excluded only by the caller, never
silently. If values are estimates from few examples, all of these measures but the mean are biased towards disparity
(Lum, Zhang and Bower 2022).
"""

from __future__ import annotations

import numpy as np

FOUR_FIFTHS = 0.8
"""A group selected at less than this share of the highest group's rate shows adverse impact (EEOC 1978, § 1607.4 D)."""


def worst_group(values: np.ndarray, *, higher_is_better: bool = True, eligible: np.ndarray | None = None) -> np.ndarray:
    """The value of the worst group [...]; nan if no group is eligible.

    Args:
        values: float [..., G].
        higher_is_better: False for error rates.
        eligible: bool [..., G].

    Source: worst-group accuracy (Sagawa et al. 2020).

    Example:
        >>> from evenhand.metrics import worst_group
        >>> float(worst_group([0.9, 0.7, 0.8]))
        0.7
        >>> float(worst_group([0.1, 0.3], higher_is_better=False))  # error rates
        0.3
    """
    return _lowest(values, eligible) if higher_is_better else _highest(values, eligible)


def best_group(values: np.ndarray, *, higher_is_better: bool = True, eligible: np.ndarray | None = None) -> np.ndarray:
    """The value of the best group [...]; nan if no group is eligible. Args and Source: `worst_group`.

    Example:
        >>> from evenhand.metrics import best_group
        >>> float(best_group([0.9, 0.7, 0.8]))
        0.9
    """
    return _highest(values, eligible) if higher_is_better else _lowest(values, eligible)


def group_gap(values: np.ndarray, *, eligible: np.ndarray | None = None) -> np.ndarray:
    """max − min over groups [...]; nan with fewer than two eligible groups.

    Args:
        values: float [..., G].
        eligible: bool [..., G].

    Source: fairlearn's `MetricFrame.difference`, which skips nan and gives 0 for one group.

    Example:
        >>> from evenhand.metrics import group_gap
        >>> float(group_gap([0.75, 0.25, 0.5]))
        0.5
    """
    return _of_two(_highest(values, eligible) - _lowest(values, eligible), values, eligible)


def group_ratio(values: np.ndarray, *, eligible: np.ndarray | None = None) -> np.ndarray:
    """min / max over groups [...]; nan if the largest is 0, or with fewer than two eligible groups.

    For selection rates this is the disparate impact ratio, to be compared with `FOUR_FIFTHS`.

    Args:
        values: float [..., G], not negative.
        eligible: bool [..., G].

    Source: fairlearn's `MetricFrame.ratio`, which skips nan and gives 1 for one group.

    Example:
        >>> from evenhand.metrics import group_ratio
        >>> float(group_ratio([0.5, 0.25]))
        0.5
    """
    return _of_two(divided(_lowest(values, eligible), _highest(values, eligible)), values, eligible)


def impact_ratios(values: np.ndarray, *, eligible: np.ndarray | None = None) -> np.ndarray:
    """Each group's value divided by the highest eligible one [..., G]; nan if that is 0, and for ineligible groups.

    Args:
        values: selection rates, float [..., G].
        eligible: bool [..., G].

    Source: the four-fifths rule (EEOC 1978); a value below `FOUR_FIFTHS` shows adverse impact.

    Example:
        >>> from evenhand.metrics import impact_ratios
        >>> impact_ratios([0.5, 0.25, 0.4]).tolist()
        [1.0, 0.5, 0.8]
    """
    values = np.asarray(values, dtype=float)
    ratios = divided(values, _highest(values, eligible)[..., None])
    return ratios if eligible is None else np.where(eligible, ratios, np.nan)


def group_variance(values: np.ndarray, *, eligible: np.ndarray | None = None) -> np.ndarray:
    """Variance over groups, each counting once, divided by G [...]; nan with fewer than two eligible groups.

    Args:
        values: float [..., G].
        eligible: bool [..., G].

    Source: between-group variance (Lum, Zhang and Bower 2022), who also say how it is biased.

    Example:
        >>> from evenhand.metrics import group_variance
        >>> float(group_variance([0.25, 0.75]))  # both are .25 from the mean
        0.0625
    """
    values, inside = _inside(values, eligible)
    deviation = np.where(inside, values - _mean(values, inside)[..., None], 0.0)
    number = inside.sum(axis=-1)
    return _of_two(divided((deviation**2).sum(axis=-1), number), values, eligible)


def group_gini(values: np.ndarray, *, eligible: np.ndarray | None = None) -> np.ndarray:
    """Gini coefficient over groups, Σ_gh |v_g − v_h| / (2·G²·mean), each group counting once [...].

    It is 0 if all groups are equal and 1 − 1/G if one group has everything; nan if the mean is 0, or with fewer than
    two eligible groups.

    Args:
        values: float [..., G], not negative.
        eligible: bool [..., G].

    Source: Gini (1912); across groups, Lazovich et al. (2022).

    Example:
        >>> from evenhand.metrics import group_gini
        >>> float(group_gini([0.0, 0.0, 0.0, 1.0]))  # 1 − 1/4
        0.75
    """
    values, inside = _inside(values, eligible)
    pairs = inside[..., :, None] & inside[..., None, :]
    apart = np.where(pairs, np.abs(values[..., :, None] - values[..., None, :]), 0.0).sum(axis=(-2, -1))
    number = inside.sum(axis=-1)
    return _of_two(divided(apart, 2 * number**2 * _mean(values, inside)), values, eligible)


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, nan where below is 0 or nan."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=float), np.asarray(below, dtype=float))
    found = np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)
    return found[()]


def _inside(values: np.ndarray, eligible: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, dtype=float)
    inside = np.ones(values.shape, dtype=bool) if eligible is None else np.broadcast_to(eligible, values.shape)
    return values, inside


def _highest(values: np.ndarray, eligible: np.ndarray | None) -> np.ndarray:
    values, inside = _inside(values, eligible)
    highest = np.where(inside, values, -np.inf).max(axis=-1, initial=-np.inf)
    return np.where(inside.any(axis=-1), highest, np.nan)[()]


def _lowest(values: np.ndarray, eligible: np.ndarray | None) -> np.ndarray:
    return -_highest(-np.asarray(values, dtype=float), eligible)


def _mean(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return divided(np.where(inside, values, 0.0).sum(axis=-1), inside.sum(axis=-1))


def _of_two(found: np.ndarray, values: np.ndarray, eligible: np.ndarray | None) -> np.ndarray:
    """The values where two or more groups are eligible, else nan."""
    _, inside = _inside(values, eligible)
    return np.where(inside.sum(axis=-1) > 1, found, np.nan)[()]
