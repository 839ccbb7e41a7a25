"""Binned calibration errors and reliability curves of one run.

Bins are (lo, hi]; the first includes 0. A plug-in error is biased upward: a perfectly calibrated model has about .17
at 50 examples, .086 at 200 and .029 at 2,000, so small groups look miscalibrated. `calibration_error_squared` is not
biased in this way.

All functions take y_true [n] and y_prob, [n] (the positive class's) or [n, C], and share these options:

- `form`, `labels`, `pos_label`: see `pairs_of` in `forms.py`. Classwise errors are computed over bins and classes
  together, with weight 1/C for each class: for l1 this is the mean over classes, for max the largest gap in any class.
- `n_bins`, `strategy`: bins of equal width (`uniform`) or of equal mass (`quantile`; equal confidences share a bin).
- `sample_weight`: float [n].
- `units` (debiased errors): labels [n] of units, such as near-duplicates or pairs of texts, which are resampled
  together. Only gaps of examples from different units are multiplied, so that errors shared within a unit do not count
  as miscalibration.

They raise InputError for labels, probabilities or options that cannot be used, and return nan if all weights are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.across import group_gap, worst_group
from evenhand.metrics.bins import Bins, Norm, Strategy, bin_gaps, bin_of, edges_of
from evenhand.metrics.comparison import Method
from evenhand.metrics.forms import Form, pairs_of
from evenhand.metrics.groups import Groups, by_group, groups_of
from evenhand.metrics.labels import shares_of, unit_codes, weights_of


def expected_calibration_error(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "positive",
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    norm: Norm = "l1",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Plug-in calibration error over bins b of mass π_b, gap_b = mean confidence − share of the event.

    Args:
        norm: `l1` Σ π_b·|gap_b|, the ECE; `l2` √Σ π_b·gap_b²; `max` the largest |gap_b|, the MCE.

    Takes labels [n] and probabilities [n] or [n, C]. The head of `calibration.py` documents the options, the errors and
    when the value is nan.

    Source: Naeini, Cooper and Hauskrecht (2015); top-label, Guo et al. (2017); classwise, Kull et al. (2019), in l2
    the marginal calibration error of Kumar, Liang and Ma (2019). torchmetrics' calibration_error, apart from edges.

    Example:
        >>> from evenhand.metrics import expected_calibration_error
        >>> expected_calibration_error([1, 0], [0.75, 0.75])  # confidence .75, half are positive
        0.25
    """
    if norm not in get_args(Norm):
        raise InputError(f'norm is "{norm}"; it is one of {", ".join(get_args(Norm))}')
    errors = _bins(y_true, y_prob, form, n_bins, strategy, labels, pos_label, sample_weight).error(norm)
    if norm == "l2":
        return float(np.sqrt((errors**2).mean()))
    return float(errors.mean() if norm == "l1" else errors.max())


def calibration_error_squared(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "positive",
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
    units: Any = None,
) -> float:
    """Debiased squared l2 calibration error Σ π_b·(gap_b² − s_b²/n_b); it may be below 0.

    s_b² is the sample variance of confidence − outcome in the bin; the usual ȳ(1 − ȳ)/(n − 1) subtracts too much if
    confidences vary within a bin. gap_b² − s_b²/n_b is the mean product of the gaps of two different examples. A bin
    with a single example has no such product and adds 0, so the error is too small by at most the mass of these bins.
    (An audit pools the masses over runs and is more informative about small groups.) The value is nan if no bin (of
    some class) has two examples.

    Takes labels [n] and probabilities [n] or [n, C]. The head of `calibration.py` documents the options, the errors and
    when the value is nan.

    Source: Kumar, Liang and Ma (2019), with the variance above, neither truncated nor rooted.

    Example:
        >>> from evenhand.metrics import calibration_error_squared
        >>> calibration_error_squared([1, 0], [0.75, 0.75])  # .25² − .5/2
        -0.1875
    """
    bins = _bins(y_true, y_prob, form, n_bins, strategy, labels, pos_label, sample_weight, units)
    return float(bins.squared().mean())


def debiased_calibration_error(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "positive",
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
    units: Any = None,
) -> float:
    """The square root of `calibration_error_squared`; 0 where that is below 0 (no visible miscalibration).

    It is meant for comparison with plug-in errors and papers. The truncation causes a bias again: a perfectly
    calibrated model has about .056 at 50 examples, .028 at 200 and .008 at 2,000; compare methods by the square
    instead. The value is nan if the square is.

    Takes labels [n] and probabilities [n] or [n, C]. The head of `calibration.py` documents the options, the errors and
    when the value is nan.

    Source: Kumar, Liang and Ma (2019), who truncate as well.

    Example:
        >>> from evenhand.metrics import debiased_calibration_error
        >>> debiased_calibration_error([1, 1], [0.5, 0.5])
        0.5
        >>> debiased_calibration_error([1, 0], [0.75, 0.75])  # the squared error is below 0
        0.0
    """
    bins = _bins(y_true, y_prob, form, n_bins, strategy, labels, pos_label, sample_weight, units)
    return float(np.sqrt(np.maximum(bins.squared().mean(), 0.0)))


def adaptive_calibration_error(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "classwise",
    n_bins: int = 15,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Calibration error in l1 over bins of equal mass, by default of each class.

    Takes labels [n] and probabilities [n] or [n, C]. The head of `calibration.py` documents the options, the errors and
    when the value is nan.

    Source: Nixon et al. (2019), ACE. Their bins may split equal confidences and have equal weights; these bins keep
    them together and are weighted by mass. Both agree if all confidences differ and n is a multiple of `n_bins`.

    Example:
        >>> from evenhand.metrics import adaptive_calibration_error
        >>> adaptive_calibration_error([1, 0], [0.75, 0.75])
        0.25
    """
    return expected_calibration_error(
        y_true,
        y_prob,
        form=form,
        n_bins=n_bins,
        strategy="quantile",
        labels=labels,
        pos_label=pos_label,
        sample_weight=sample_weight,
    )


def overconfidence(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "positive",
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Σ π_b·max(gap_b, 0): the part of the ECE from bins with confidence above outcome. See `underconfidence`.

    Takes labels [n] and probabilities [n] or [n, C]. The head of `calibration.py` documents the options, the errors and
    when the value is nan.

    Source: the ECE's definition; the two parts sum to it.

    Example:
        >>> from evenhand.metrics import overconfidence
        >>> overconfidence([0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75])  # half of the examples, .25 too high
        0.125
    """
    bins = _bins(y_true, y_prob, form, n_bins, strategy, labels, pos_label, sample_weight)
    return float(np.maximum(bins.excess, 0.0).sum(axis=-1).mean())


def underconfidence(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "positive",
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Σ π_b·max(−gap_b, 0): the part of the ECE from bins with confidence below outcome. See `overconfidence`.

    Takes labels [n] and probabilities [n] or [n, C]. The head of `calibration.py` documents the options, the errors and
    when the value is nan.

    Source: the ECE's definition; the two parts sum to it.

    Example:
        >>> from evenhand.metrics import underconfidence
        >>> underconfidence([0, 0, 1, 1], [0.25, 0.25, 0.75, 0.75])  # half of the examples, .25 too low
        0.125
    """
    bins = _bins(y_true, y_prob, form, n_bins, strategy, labels, pos_label, sample_weight)
    return float(np.maximum(-bins.excess, 0.0).sum(axis=-1).mean())


def calibration_gap(
    y_true: Any,
    y_prob: Any,
    *,
    sensitive_features: Any,
    metric: Callable[..., float] = expected_calibration_error,
    method: Method = "between_groups",
    min_support: int = 0,
    sample_weight: Any = None,
    **options: Any,
) -> float:
    """Difference between groups in a calibration error; `by_group` gives the errors themselves.

    Args:
        sensitive_features: labels [n], masks bool [n, G], a mapping of attributes for their intersections, or `Groups`.
        metric: a calibration error. Plug-in errors differ between equally calibrated groups of different sizes.
            `calibration_error_squared` does not differ on average, but max − min is still above 0.
        method: `between_groups`: max − min. `to_overall`, `to_complement`: the largest difference from everyone, or
            from everyone else. Bins of equal mass are determined for each group.
        min_support: groups with fewer examples (or whose complement, if they are compared with it, has fewer) are left
            out.
        options: options of the metric.

    Returns:
        nan if the metric is undefined for an eligible group, or with too few eligible groups (fewer than two, or than
        one).

    Raises:
        InputError: as the metric does; groups that cannot be used, an unknown method.

    Source: fairlearn's `MetricFrame.difference` of a calibration error.

    Example:
        >>> from evenhand.metrics import calibration_gap
        >>> calibration_gap([1, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], sensitive_features=["a", "a", "b", "b"])
        0.5
    """
    if method not in get_args(Method):
        raise InputError(f'method is "{method}"; it is one of {", ".join(get_args(Method))}')
    n = len(y_true)
    groups = groups_of(sensitive_features, n)

    def errors(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        compared = Groups(tuple(map(str, range(masks.shape[1]))), masks)
        found = by_group(metric, y_true, y_prob, groups=compared, sample_weight=sample_weight, **options)
        return found.values, found.support >= min_support

    values, eligible = errors(groups.masks)
    if method == "between_groups":
        return float(group_gap(values, eligible=eligible))
    others, enough = errors(~groups.masks if method == "to_complement" else np.ones((n, 1), dtype=bool))
    return float(worst_group(np.abs(values - others), higher_is_better=False, eligible=eligible & enough))


def _bins(
    y_true: Any,
    y_prob: Any,
    form: Form,
    n_bins: int,
    strategy: Strategy,
    labels: Sequence[Any] | None,
    pos_label: Any,
    sample_weight: Any,
    units: Any = None,
) -> Bins:
    """The bins of each class, [K, B]."""
    values, outcome = pairs_of(y_true, y_prob, form=form, labels=labels, pos_label=pos_label)
    weight = weights_of(sample_weight, values.shape[-1])
    bins = bin_of(values, edges_of(values, n_bins, strategy, weight))
    codes = None if units is None else unit_codes(units, values.shape[-1])
    return bin_gaps(values - outcome, bins, n_bins, shares_of(weight, values.shape[-1]), codes)
