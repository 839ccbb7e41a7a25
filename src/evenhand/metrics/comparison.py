"""Computes the disparity between groups in any rate, for many trials at once; `parity.py` builds on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.across import divided, group_gap, group_ratio, worst_group
from evenhand.metrics.counts import Counts, Rate, count, share_of
from evenhand.metrics.groups import groups_of
from evenhand.metrics.labels import Average, weights_of
from evenhand.metrics.rates import labels_for

Kind = Literal["difference", "ratio"]
Method = Literal["between_groups", "to_overall", "to_complement"]
Aggregate = Literal["worst_case", "mean"]


ODDS: tuple[Rate, ...] = ("true_positive_rate", "false_positive_rate")
"""The rates that equalized odds compares."""


@dataclass(frozen=True)
class Comparison:
    """The options of a comparison of groups, shared by all measures of parity.

    Attributes:
        kind: difference (0 is parity, more is worse) or ratio (1 is parity, less is worse).
        method: `between_groups`: max − min, min/max. `to_overall`, `to_complement`: the group furthest from everyone,
            or from everyone else.
        pos_label: the positive class, unless the labels are 0/1 or −1/1.
        average: with more than two classes, each class is compared with the rest, and the result is the `worst` or the
            mean (`macro`).
        min_support: groups with fewer examples in a rate's denominator (or whose complement, if they are compared
            with it, has fewer) are left out.
    """

    kind: Kind
    method: Method = "between_groups"
    pos_label: Any = None
    average: Average | None = None
    min_support: int = 0

    def __post_init__(self) -> None:
        for option, allowed in (("kind", Kind), ("method", Method)):
            if getattr(self, option) not in get_args(allowed):
                raise InputError(f'{option} is "{getattr(self, option)}"; it is one of {", ".join(get_args(allowed))}')


def disparity(
    rate: Rate,
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    kind: Kind = "difference",
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    min_support: int = 0,
) -> np.ndarray:
    """The disparity between groups in a rate.

    Args:
        rate: its name; see `rate_by_group`.
        y_true: labels [n].
        y_pred: predicted labels [..., n], one row per trial.
        sensitive_features: labels [n], masks bool [n, G], a mapping of attributes for their intersections, or `Groups`.
        control_features: strata, in the same formats; groups are compared within each stratum, and the worst stratum
            counts. `by_group` returns one value per stratum.
        kind, method, pos_label, average, min_support: see `Comparison`.
        sample_weight: float [n].

    Returns:
        float [...]. It is nan if the rate is undefined for an eligible group (and stratum, and class); with fewer than
        two eligible groups (one, for `to_overall` and `to_complement`); and, for a ratio, if both of its rates are 0.

    Raises:
        InputError: labels, groups or weights that cannot be used; an unknown option.

    Source: fairlearn's `MetricFrame.difference` and `.ratio`, which skip groups without the rate or count them as 0.
    `to_complement` is the comparison of Ding et al., "On Fairness of Low-Rank Adaptation of Large Models" (2024).

    Example:
        >>> from evenhand.metrics import disparity
        >>> groups = ["a", "a", "b", "b"]
        >>> disparity("selection_rate", [0, 1, 0, 1], [[1, 1, 0, 1], [1, 1, 0, 0]], sensitive_features=groups).tolist()
        [0.5, 1.0]
    """
    comparison = Comparison(kind, method, pos_label, average, min_support)
    return compared((rate,), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def compared(
    rates: Sequence[Rate],
    comparison: Comparison,
    y_true: Any,
    y_pred: Any,
    sensitive_features: Any,
    control_features: Any,
    sample_weight: Any,
    agg: Aggregate = "worst_case",
) -> np.ndarray:
    """The disparity [...] in one or several rates: the worst of them, or their mean. See `disparity`.

    Groups are compared and rates aggregated for each class and stratum; then classes are aggregated, then strata.
    """
    if agg not in get_args(Aggregate):
        raise InputError(f'agg is "{agg}"; it is one of {", ".join(get_args(Aggregate))}')
    labels = labels_for(tuple(rates), y_true, y_pred, comparison.pos_label, comparison.average)
    n = len(labels.true)
    weight = weights_of(sample_weight, n)
    masks = groups_of(sensitive_features, n).masks
    strata = np.ones((n, 1), dtype=bool)
    if control_features is not None:
        strata = groups_of(control_features, n, "control_features").masks

    def within(of: np.ndarray) -> tuple[Counts, Counts]:
        """Weighted and plain counts of masks [n, G] within strata [n, K], as [..., C, K·G]."""
        cells = (strata[:, :, None] & of[:, None, :]).reshape(n, -1)
        counts = count(labels, cells, weight)
        return counts, counts if weight is None else count(labels, cells, (weight > 0).astype(float))

    ours = within(masks)
    others = None
    if comparison.method == "to_overall":
        others = within(np.ones((n, 1), dtype=bool))
    elif comparison.method == "to_complement":
        others = within(~masks)
    levels = strata.shape[1]
    # A group that lacks the support for one of the rates is left out of all.
    eligible = np.logical_and.reduce([_eligible(rate, comparison, ours[1], others, levels) for rate in rates])
    found = np.stack([_compare(rate, comparison, ours[0], others, eligible) for rate in rates])
    worst = np.max if comparison.kind == "difference" else np.min
    found = worst(found, axis=0) if agg == "worst_case" else found.mean(axis=0)
    found = found.mean(axis=-2) if comparison.average == "macro" else worst(found, axis=-2)
    return worst(found, axis=-1)


def compared_once(
    rates: tuple[Rate, ...],
    comparison: Comparison,
    y_true: Any,
    y_pred: Any,
    sensitive_features: Any,
    control_features: Any,
    sample_weight: Any,
    agg: Aggregate = "worst_case",
) -> float:
    """The disparity of one trial. Raises InputError if y_pred holds several trials. See `compared`."""
    found = compared(rates, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight, agg)
    if found.ndim:
        raise InputError("y_pred holds several trials; disparity takes them, this function takes one")
    return float(found)


def _by_stratum(found: np.ndarray, levels: int) -> np.ndarray:
    """Reshape [..., C, K·G] to [..., C, K, G]."""
    return found.reshape(*found.shape[:-1], levels, -1)


def _eligible(
    rate: Rate, comparison: Comparison, ours: Counts, others: tuple[Counts, Counts] | None, levels: int
) -> np.ndarray:
    """Which groups have the support for a rate, bool [..., C, K, G]."""
    share = share_of(rate)
    eligible = _by_stratum(share.support(ours), levels) >= comparison.min_support
    if others is not None and comparison.method == "to_complement":
        eligible = eligible & (_by_stratum(share.support(others[1]), levels) >= comparison.min_support)
    return eligible


def _compare(
    rate: Rate,
    comparison: Comparison,
    ours: Counts,
    others: tuple[Counts, Counts] | None,
    eligible: np.ndarray,
) -> np.ndarray:
    """One rate's disparity by class and stratum [..., C, K]."""
    share, levels = share_of(rate), eligible.shape[-2]
    values = _by_stratum(share.values(ours), levels)
    difference = comparison.kind == "difference"
    if others is None:
        return group_gap(values, eligible=eligible) if difference else group_ratio(values, eligible=eligible)
    reference = _by_stratum(share.values(others[0]), levels)
    if difference:
        return worst_group(np.abs(values - reference), higher_is_better=False, eligible=eligible)
    ratios = divided(np.minimum(values, reference), np.maximum(values, reference))
    return worst_group(ratios, eligible=eligible)
