"""ROC curve of membership scores, its area, and the true positive rate at a low false positive rate.

Scores and membership have the same shape, [T, n] for T targets attacked on the same n examples, or [n]. `where` (bool,
of a shape that broadcasts) selects rows: a group's examples [n], or the audited rows [T, n]. All selected rows are
pooled under one threshold for all targets. A row is called a member if its score is at least the threshold.

A false positive rate α cannot be measured with few non-members. TPR at α is refused below 3/α *distinct* non-members
(an example counts once, however many targets it was attacked on), and known within a third from 10/α on. The curve is
always drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.groups import groups_of
from evenhand.metrics.labels import numbers_of
from evenhand.metrics.membership.shadows import membership_of

Thresholds = Literal["group", "pooled"]

LEAST = 3
"""With fewer than LEAST/α distinct non-members, TPR at α is refused."""
PRECISE = 10
"""With PRECISE/α distinct non-members or more, the realised rate is within about a third of α."""


@dataclass(frozen=True, eq=False)
class RocCurve:
    """A ROC curve from (0, 0) to (1, 1), with one point per distinct score.

    Attributes:
        false_positive_rate, true_positive_rate: float [k], ascending.
        threshold: float [k], descending; the first is inf, which calls nobody a member.
        members, non_members: number of rows.

    Example:
        >>> from evenhand.metrics import roc_curve
        >>> curve = roc_curve([0.9, 0.8, 0.2, 0.1], [True, False, True, False])
        >>> curve.threshold.tolist(), curve.members, curve.non_members
        ([inf, 0.9, 0.8, 0.2, 0.1], 2, 2)
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    threshold: np.ndarray
    members: int
    non_members: int


@dataclass(frozen=True)
class TprAtFpr:
    """The true positive rate at a false positive rate of at most α.

    Attributes:
        alpha: the requested rate.
        threshold: the least score with FPR ≤ α on the rows that set it.
        true_positive_rate: nan if refused.
        false_positive_rate: the realised rate.
        true_positives, members, false_positives, non_members: numbers of rows.
        distinct: distinct non-members among the rows that set the threshold.
        reason: why the rate is refused, or None.

    Example:
        >>> from evenhand.metrics import tpr_at_fpr
        >>> tpr_at_fpr([0.9, 0.2, 0.1], [True, False, False], alpha=0.01).reason
        '2 distinct non-members: TPR at an FPR of 0.01 needs 300'
    """

    alpha: float
    threshold: float
    true_positive_rate: float
    false_positive_rate: float
    true_positives: int
    members: int
    false_positives: int
    non_members: int
    distinct: int
    reason: str | None

    @property
    def precise(self) -> bool:
        """Whether there are enough distinct non-members for a realised rate within a third of α."""
        return self.distinct * self.alpha >= PRECISE


def roc_curve(score: Any, member: Any, *, where: Any = None) -> RocCurve:
    """The ROC curve of the chosen rows: a point per distinct score.

    Args:
        score, member, where: see the module.

    Raises:
        InputError: shapes that do not fit, scores that are nan, or rows that are all members or all non-members.

    Source: scikit-learn's roc_curve with drop_intermediate=False.

    Example:
        >>> from evenhand.metrics import roc_curve
        >>> curve = roc_curve([0.9, 0.8, 0.2, 0.1], [True, False, True, False])
        >>> curve.false_positive_rate.tolist(), curve.true_positive_rate.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    found, inside = chosen_rows(score, member, where)
    if inside.all() or not inside.any():
        which = "none is a member" if len(inside) and not inside.any() else "all are members"
        raise InputError(f"of {len(inside)} rows {which}; a ROC curve needs members and non-members")
    order = np.argsort(-found, kind="stable")
    found, inside = found[order], inside[order]
    last = np.append(found[1:] != found[:-1], True)  # equal scores share a threshold
    true, false = np.cumsum(inside)[last], np.cumsum(~inside)[last]
    return RocCurve(
        np.append(0.0, false / false[-1]),
        np.append(0.0, true / true[-1]),
        np.append(np.inf, found[last]),
        int(true[-1]),
        int(false[-1]),
    )


def membership_auc(score: Any, member: Any, *, where: Any = None) -> float:
    """The probability that a member scores above a non-member; ties count half.

    Args, Raises: `roc_curve`. nan without members or without non-members.

    Source: Mann and Whitney (1947); scikit-learn's roc_auc_score, which is also nan there.

    Example:
        >>> from evenhand.metrics import membership_auc
        >>> membership_auc([0.9, 0.8, 0.2, 0.1], [True, False, True, False])  # 3 of the 4 pairs are in order
        0.75
    """
    found, inside = chosen_rows(score, member, where)
    members, others = found[inside], np.sort(found[~inside])
    if not len(members) or not len(others):
        return float("nan")
    members = np.sort(members)
    below = np.searchsorted(others, members, "left").sum() + np.searchsorted(others, members, "right").sum()
    return float(below / (2 * len(members) * len(others)))


def tpr_at_fpr(
    score: Any, member: Any, alpha: float = 0.01, *, where: Any = None, threshold_where: Any = None, example: Any = None
) -> TprAtFpr:
    """TPR at the lowest threshold whose false positive rate is at most α.

    Args:
        score, member, where: see the module.
        alpha: false positive rate, such as .01 or .001.
        threshold_where: the rows that set the threshold, in the format of `where`; True: all rows. None: the rows of
            `where`.
        example: the example of each row, in the shape of score, for scores [n] of several targets. None: each column of
            [T, n] is an example, or each row of [n].

    Returns:
        Rates and counts. The rate is nan, with the reason, if fewer than 3/α distinct non-members set the threshold, or
        if there are no members or no non-members.

    Raises:
        InputError: α out of (0, 1), shapes that do not fit, scores that are nan.

    Source: Carlini et al. (2022), who use FPR < α and do not consider the number of non-members.

    Example:
        Three of the six non-members, with the scores 4 to 6, may be called members:

        >>> from evenhand.metrics import tpr_at_fpr
        >>> found = tpr_at_fpr([7, 8, 5.5, 0, 1, 2, 3, 4, 5, 6], [True] * 4 + [False] * 6, alpha=0.5)
        >>> found.true_positive_rate, found.false_positive_rate
        (0.75, 0.5)
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha:g}; it is a rate between 0 and 1")
    found, inside = chosen_rows(score, member, where)
    theirs = where if threshold_where is None else threshold_where
    others, among = chosen_rows(score, member, theirs)
    distinct = _distinct(score, member, theirs, example)
    threshold = _threshold(others[~among], alpha)
    called = found >= threshold
    true, false, members = int((called & inside).sum()), int((called & ~inside).sum()), int(inside.sum())
    reason = None
    if not members or members == len(inside):
        reason = "no members" if not members else "no non-members"
    elif distinct * alpha < LEAST:
        reason = (
            f"{distinct} distinct non-members: TPR at an FPR of {alpha:g} needs {int(np.ceil(LEAST / alpha - 1e-9))}"
        )
    return TprAtFpr(
        alpha,
        threshold,
        float("nan") if reason else true / members,
        false / (len(inside) - members) if members < len(inside) else float("nan"),
        true,
        members,
        false,
        len(inside) - members,
        distinct,
        reason,
    )


def tpr_at_fpr_by_group(
    score: Any, member: Any, alpha: float = 0.01, *, groups: Any, thresholds: Thresholds = "group", where: Any = None
) -> Mapping[str, TprAtFpr]:
    """TPR at FPR α of each group.

    Args:
        score, member, alpha, where: as for `tpr_at_fpr`; score [T, n] or [n].
        groups: labels [n], masks bool [n, G], a mapping of attributes, or `Groups`.
        thresholds: `group`: the threshold comes from the group's own non-members and shows how much the group leaks.
            `pooled`: it comes from all non-members, as for an attacker who does not know the groups; each group then
            has a different realised FPR.

    Returns:
        By name. Refused groups have nan and the reason.

    Raises:
        InputError: as `tpr_at_fpr` does, or groups that do not fit.

    Source: Carlini et al. (2022), within each group.

    Example:
        >>> from evenhand.metrics import tpr_at_fpr_by_group
        >>> scores = [7, 8, 5.5, 0, 1, 2, 3, 4, 5, 6] + [7, 0, 0, 0, 1, 2, 3, 4, 5, 6]
        >>> members, groups = ([True] * 4 + [False] * 6) * 2, ["a"] * 10 + ["b"] * 10
        >>> found = tpr_at_fpr_by_group(scores, members, alpha=0.5, groups=groups)
        >>> found["a"].true_positive_rate, found["b"].true_positive_rate
        (0.75, 0.25)
    """
    if thresholds not in get_args(Thresholds):
        raise InputError(f'thresholds is "{thresholds}"; it is "group" or "pooled"')
    shape = np.shape(score)
    chosen = groups_of(groups, shape[-1] if shape else 0, "groups")
    rows = np.broadcast_to(True if where is None else where, shape)
    everybody = rows if thresholds == "pooled" else None
    return {
        name: tpr_at_fpr(score, member, alpha, where=rows & mask, threshold_where=everybody)
        for name, mask in zip(chosen.names, chosen.masks.T, strict=True)
    }


def dp_bound(false_positive_rate: Any, epsilon: float, delta: float = 0.0) -> np.ndarray:
    """The highest TPR at each FPR that any attack can reach under (ε, δ)-differential privacy.

    The bound is min(e^ε·FPR + δ, 1 − e^−ε·(1 − δ − FPR), 1), because the guarantee holds for "called a member" and for
    "not called a member". A curve above it refutes the guarantee or its accounting; a curve below it proves nothing.
    `exceeds_dp` of `stats.discrimination` tests the first of the two.

    Args:
        false_positive_rate: float [...].
        epsilon, delta: the guarantee of the training, for one example added or removed.

    Raises:
        InputError: ε below 0 or δ out of [0, 1].

    Source: Kairouz, Oh and Viswanath (2015).

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import dp_bound
        >>> dp_bound([0.0, 0.25], epsilon=0.0).tolist()  # an attack can only guess
        [0.0, 0.25]
        >>> round(float(dp_bound(0.25, epsilon=np.log(2))), 6)  # e^ε is 2
        0.5
    """
    if not epsilon >= 0 or not 0 <= delta <= 1:
        raise InputError(f"epsilon is {epsilon:g} and delta {delta:g}; epsilon is 0 or more and delta from 0 to 1")
    fpr = numbers_of(false_positive_rate, "false_positive_rate")
    bound = np.minimum(np.exp(epsilon) * fpr + delta, 1 - np.exp(-epsilon) * (1 - delta - fpr))
    return np.minimum(bound, 1.0)


def chosen_rows(score: Any, member: Any, where: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores and membership of the selected rows, float and bool [rows]."""
    values = numbers_of(score, "score")
    inside = membership_of(member, values.shape, "score")
    rows = np.asarray(True if where is None else where)
    if rows.dtype != bool or rows.shape not in ((), values.shape, values.shape[-1:]):
        raise InputError(
            f"the rows to look at have shape {rows.shape} and type {rows.dtype}; bool of the shape of score, "
            f"{values.shape}, or one per example is needed"
        )
    chosen = np.broadcast_to(rows, values.shape)
    found = values[chosen]
    if np.isnan(found).any():
        raise InputError(f"score is nan in {int(np.isnan(found).sum())} rows; leave them out by name, with where")
    return found, inside[chosen]


def _distinct(score: Any, member: Any, where: Any, example: Any) -> int:
    """The number of distinct examples among the non-members."""
    shape = np.shape(score)
    who = np.broadcast_to(np.arange(shape[-1]), shape) if example is None else np.asarray(example)
    if who.shape != shape:
        raise InputError(f"example has shape {who.shape} and score {shape}; they must be the same")
    rows = np.broadcast_to(True if where is None else where, shape) & ~np.asarray(member).astype(bool)
    return len(np.unique(who[rows]))


def _threshold(non_members: np.ndarray, alpha: float) -> float:
    """The lowest score that at most a share α of the non-members reach."""
    allowed = int(np.floor(alpha * len(non_members) + 1e-9))
    if allowed >= len(non_members):
        return -np.inf
    highest = np.partition(non_members, len(non_members) - 1 - allowed)[len(non_members) - 1 - allowed]
    return float(np.nextafter(highest, np.inf))
