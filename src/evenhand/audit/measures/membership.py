"""Defines the measures of membership inference: AUC, TPR at low FPR, losses, gaps between groups."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import EVERYWHERE, NO_PROMISE, RANGE, UNLIMITED, Measure, by_name
from evenhand.audit.membership.group_gaps import between, eligible
from evenhand.audit.membership.leakage import Leak, Targets, area, balanced_accuracy, nothing, rate
from evenhand.audit.membership.losses import correlation, difference_in

RowMask = np.ndarray
"""bool [T, n]: the rows that a measure is computed over, or whose non-members set a threshold."""


@dataclass(frozen=True)
class LeakOf(ABC):
    """Computes a measure of the scores of a method's models.

    Attributes:
        thresholded: whether it has a threshold, set by a group's own non-members or by everybody's.
        chance: the value that guessing has; an interval below it gets a note.
    """

    thresholded: bool = False
    chance: float | None = None

    def __call__(self, targets: Targets, rows: RowMask, threshold_rows: RowMask) -> Leak:
        """The measure on some rows, at the threshold of others; undefined where there are no models."""
        return nothing(targets, targets.absent) if targets.absent else self.leak(targets, rows, threshold_rows)

    def of_side(self, targets: Targets, rows: RowMask) -> Leak:
        """The measure of a group, or of its rest, as one side of a gap between them: at its own threshold."""
        return self(targets, rows, rows)

    @abstractmethod
    def leak(self, targets: Targets, rows: RowMask, threshold_rows: RowMask) -> Leak:
        """The measure of one model or more."""


@dataclass(frozen=True)
class AreaOf(LeakOf):
    """Computes the area under the ROC curve."""

    chance: float | None = 0.5

    def leak(self, targets: Targets, rows: RowMask, threshold_rows: RowMask) -> Leak:
        """The area."""
        return area(targets, rows)

    def of_side(self, targets: Targets, rows: RowMask) -> Leak:
        """The area, without the jackknife over pairs of models.

        A model's effect on all scores cancels in a difference between groups, for which the jackknife is far too wide.
        """
        return self(replace(targets, pool=None), rows, rows)


@dataclass(frozen=True)
class BalancedAccuracyOf(LeakOf):
    """Computes the balanced accuracy at the threshold that is best for the other models."""

    thresholded: bool = True

    def leak(self, targets: Targets, rows: RowMask, threshold_rows: RowMask) -> Leak:
        """The balanced accuracy."""
        return balanced_accuracy(targets, rows, threshold_rows)


@dataclass(frozen=True)
class TprAt(LeakOf):
    """Computes the true positive rate at a false positive rate.

    Attributes:
        alpha: the false positive rate.
    """

    thresholded: bool = True
    alpha: float = 0.01

    def leak(self, targets: Targets, rows: RowMask, threshold_rows: RowMask) -> Leak:
        """The rate."""
        return rate(targets, rows, threshold_rows, self.alpha)


@dataclass(frozen=True)
class LossOf(LeakOf):
    """Computes a mean over members, over non-members, or their difference, of what a table of scores lacks.

    Attributes:
        of: the cross-entropy, or whether the label was predicted.
        weights: of the mean over members, and of that over non-members.
    """

    of: Literal["loss", "correct"] = "loss"
    weights: tuple[int, int] = (1, 0)

    def leak(self, targets: Targets, rows: RowMask, threshold_rows: RowMask) -> Leak:
        """The mean or the difference of means."""
        return difference_in(targets, self.of, self.weights, rows)


@dataclass(frozen=True)
class RangeOf:
    """Computes the largest minus the smallest of the groups' values.

    Attributes:
        leak: the measure of each group, at its own threshold.
    """

    leak: AreaOf | TprAt

    @property
    def alpha(self) -> float | None:
        """The false positive rate of the groups' values; None of areas."""
        return getattr(self.leak, "alpha", None)

    def of_groups(self, targets: Targets, rows: RowMask, groups: Mapping[str, np.ndarray]) -> dict[str, Leak]:
        """The groups' values; groups are bool [n]."""
        return {name: self.leak(targets, rows & mask, rows & mask) for name, mask in groups.items()}

    def __call__(self, targets: Targets, rows: RowMask, groups: Mapping[str, np.ndarray], support: int) -> Leak:
        """max − min over the groups that are large enough, in linear form.

        A model's effect on all scores cancels in a difference between groups: without the jackknife over pairs, which
        is far too wide for it, the interval covers (docs/membership-derivations.md).
        """
        return between(self.of_groups(replace(targets, pool=None), rows, groups), support)


@dataclass(frozen=True)
class CorrelationOf:
    """Computes the rank correlation of the groups' areas with another of their properties.

    Attributes:
        of: their size, or their gap between test and train loss.
    """

    of: Literal["size", "gap"]

    def __call__(self, targets: Targets, groups: Mapping[str, np.ndarray], support: int) -> tuple[float, str, int]:
        """The coefficient over the groups that are large enough, a note, and the number of these groups."""
        leaks = {name: area(targets, targets.known & mask) for name, mask in groups.items()}
        large = {name: groups[name] for name in eligible(leaks, support)}
        return *correlation(targets, large, self.of), len(large)


_LOSSES: tuple[tuple[str, Literal["loss", "correct"], tuple[int, int], tuple[float, float], str, str, str], ...] = (
    (
        "membership_train_loss",
        "loss",
        (1, 0),
        (0.0, math.inf),
        "mean cross-entropy on the examples that a model was trained on",
        "",
        "train loss",
    ),
    (
        "membership_test_loss",
        "loss",
        (0, 1),
        (0.0, math.inf),
        "the same on the examples of the pool that it was not trained on",
        "",
        "test loss",
    ),
    (
        "membership_generalization_gap",
        "loss",
        (-1, 1),
        UNLIMITED,
        "test loss minus train loss: the information of the loss alone about membership",
        "membership generalization gap in loss, test − train",
        "gap",
    ),
    (
        "membership_train_accuracy",
        "correct",
        (1, 0),
        (0.0, 1.0),
        "accuracy on the examples that a model was trained on",
        "",
        "train accuracy",
    ),
    (
        "membership_test_accuracy",
        "correct",
        (0, 1),
        (0.0, 1.0),
        "the same on the examples of the pool that it was not trained on",
        "",
        "test accuracy",
    ),
    (
        "membership_accuracy_gap",
        "correct",
        (1, -1),
        (-1.0, 1.0),
        "train accuracy minus test accuracy",
        "membership generalization gap in accuracy, train − test",
        "gap",
    ),
)
"""Name, of what, weights of members and non-members, limits, summary, title, column of the table of losses."""

MEMBERSHIP = by_name(
    Measure(
        "membership_auc",
        "membership",
        "chance that a score ranks a member above a non-member; .5: nothing leaks",
        1,
        EVERYWHERE,
        AreaOf(),
        title="membership AUC",
        display=Display(
            "areas",
            summary=True,
            worse="leaks more of its training set",
            not_worse="leak more of its training set",
        ),
        gaps=True,
    ),
    Measure(
        "membership_balanced_accuracy",
        "membership",
        "(TPR + 1 − FPR)/2 of telling members, at the threshold that is best for the other models",
        1,
        EVERYWHERE,
        BalancedAccuracyOf(),
        display=Display(points=True),
        gaps=True,
    ),
    Measure(
        "membership_tpr_at_fpr_0.01",
        "membership",
        "share of the members found where 1% of the non-members are called members; needs a margin of its own",
        1,
        EVERYWHERE,
        TprAt(alpha=0.01),
        title="membership TPR at 1% FPR",
        display=Display("rates", summary=True),
        default_margin=False,
        proportion=True,
        gaps=True,
    ),
    Measure(
        "membership_tpr_at_fpr_0.001",
        "membership",
        "the same where .1% of the non-members are called members",
        1,
        EVERYWHERE,
        TprAt(alpha=0.001),
        title="membership TPR at .1% FPR",
        display=Display("rates"),
        digits=5,
        default_margin=False,
        proportion=True,
        gaps=True,
    ),
    *(
        Measure(
            name,
            "membership",
            summary,
            0,
            EVERYWHERE,
            LossOf(of=of, weights=weights),
            title=title,
            limits=limits,
            display=Display("losses", column, tabled=False, even=0.0 if column == "gap" else None),
            default_margin=False,
        )
        for name, of, weights, limits, summary, title, column in _LOSSES
    ),
    Measure(
        "membership_size_correlation",
        "membership",
        "Spearman correlation of groups' AUC with their size, from 4 groups; estimates only",
        0,
        ("attribute",),
        CorrelationOf("size"),
        display=Display("correlations", "size", tabled=False),
        limits=UNLIMITED,
        default_margin=False,
    ),
    Measure(
        "membership_gap_correlation",
        "membership",
        "Spearman correlation of groups' AUC with their generalization gap in loss, from 4 groups; estimates only",
        0,
        ("attribute",),
        CorrelationOf("gap"),
        display=Display("correlations", "gap between test and train loss", tabled=False),
        limits=UNLIMITED,
        default_margin=False,
    ),
    Measure(
        "membership_auc_difference",
        "membership",
        "AUC of the group that leaks most minus that of the one that leaks least",
        1,
        ("attribute",),
        RangeOf(AreaOf()),
        decides=False,
        decided_by="the gap changes of membership AUC",
        title="membership AUC, largest − smallest of groups",
        notes=RANGE,
        on_contrasts=NO_PROMISE,
    ),
    Measure(
        "membership_tpr_at_fpr_0.01_difference",
        "membership",
        "the same of TPR at 1% FPR, at thresholds of the groups themselves; estimates only",
        0,
        ("attribute",),
        RangeOf(TprAt(alpha=0.01)),
        title="membership TPR at 1% FPR, largest − smallest of groups",
        limits=UNLIMITED,
        default_margin=False,
        notes=RANGE,
    ),
)
"""The measures of membership scores, over all models of a method together, by name."""


def false_positive_rates() -> tuple[float, ...]:
    """The false positive rates at which true positive rates are measured."""
    influences = (measure.influence for measure in MEMBERSHIP.values())
    return tuple(influence.alpha for influence in influences if isinstance(influence, TprAt))
