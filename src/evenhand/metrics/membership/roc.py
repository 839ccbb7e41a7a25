"""ROC curves of attack scores: curve, area, and the true positive rate at few false positives.

Scores and membership have one shape, [T, n] for T targets that were attacked on the same n examples, or [n]. `where`
(bool, of a shape that broadcasts) chooses rows: a group's examples [n], or who was audited [T, n]. All chosen rows are
taken together: one threshold for all targets. A row is called a member where its score is at least the threshold.

A false positive rate α cannot be measured with few non-members, so that TPR at α is refused below 3/α *distinct*
ones (an example is one however many targets it was attacked on), and known within a third from 10/α. The curve is drawn
regardless.
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
        threshold: float [k], descending; the first is inf, where nobody is called a member.
        members, non_members: how many rows.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    threshold: np.ndarray
    members: int
    non_members: int


@dataclass(frozen=True)
class TprAtFpr:
    """The true positive rate where the false positive rate is at most α.

    Attributes:
        alpha: the rate that was asked for.
        threshold: the least score with FPR ≤ α on the rows that set it.
        true_positive_rate: nan where refused.
        false_positive_rate: the realised one.
        true_positives, members, false_positives, non_members: rows.
        distinct: distinct non-members among the rows that set the threshold.
        reason: why the rate is refused, or None.
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
    """The ROC curve of some rows.

    Args:
        score, member, where: see the module.

    Raises:
        InputError: shapes that do not fit, scores that are nan, or rows that are all members or all none.

    Source: scikit-learn's roc_curve with drop_intermediate=False.
    """
    found, inside = _rows(score, member, where)
    if inside.all() or not inside.any():
        which = "none is a member" if len(inside) and not inside.any() else "all are members"
        raise InputError(f"of {len(inside)} rows {which}; a ROC curve needs members and non-members")
    order = np.argsort(-found, kind="stable")
    found, inside = found[order], inside[order]
    last = np.append(found[1:] != found[:-1], True)  # equal scores are called together
    true, false = np.cumsum(inside)[last], np.cumsum(~inside)[last]
    return RocCurve(
        np.append(0.0, false / false[-1]),
        np.append(0.0, true / true[-1]),
        np.append(np.inf, found[last]),
        int(true[-1]),
        int(false[-1]),
    )


def roc_auc(score: Any, member: Any, *, where: Any = None) -> float:
    """The chance that a member scores above a non-member, ties counting half.

    Args, Raises: `roc_curve`. nan without members or without non-members.

    Source: Mann and Whitney (1947); scikit-learn's roc_auc_score, which is nan there too.
    """
    found, inside = _rows(score, member, where)
    members, others = found[inside], np.sort(found[~inside])
    if not len(members) or not len(others):
        return float("nan")
    members = np.sort(members)
    below = np.searchsorted(others, members, "left").sum() + np.searchsorted(others, members, "right").sum()
    return float(below / (2 * len(members) * len(others)))


def tpr_at_fpr(
    score: Any, member: Any, alpha: float = 0.01, *, where: Any = None, threshold_where: Any = None, example: Any = None
) -> TprAtFpr:
    """TPR at the least threshold whose false positive rate is at most α.

    Args:
        score, member, where: see the module.
        alpha: .01 or .001, say.
        threshold_where: the rows that set the threshold, as `where`: True for all. None: those of `where` themselves.
        example: of the shape of score, who each row is, for scores [n] of several targets. None: each column of
            [T, n], each row of [n].

    Returns:
        Rates and counts. The rate is nan, with the reason, where fewer than 3/α distinct non-members set the threshold,
        or where there is no member or no non-member.

    Raises:
        InputError: α out of (0, 1), shapes that do not fit, scores that are nan.

    Source: Carlini et al. (2022), who take FPR < α, and no account of how many non-members there are.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha:g}; it is a rate between 0 and 1")
    found, inside = _rows(score, member, where)
    theirs = where if threshold_where is None else threshold_where
    others, among = _rows(score, member, theirs)
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
        thresholds: `group`, a threshold of the group's own non-members: what the group itself leaks. `pooled`, one of
            everybody's: what an attacker finds who does not know the groups; each group has its own realised FPR.

    Returns:
        By name. Refused groups have nan and the reason.

    Raises:
        InputError: as `tpr_at_fpr` does, or groups that do not fit.
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


def attack_accuracy(score: Any, member: Any, *, pairs: Any = None, where: Any = None) -> np.ndarray:
    """Balanced accuracy (TPR + 1 − FPR)/2 of each target, at the threshold that is best on the other targets.

    The best threshold of a target's own rows would give more than .5 on any data.

    Args:
        score, member, where: see the module; [T, n] of two targets or more.
        pairs: int [T], each target's twin, which does not choose its threshold either.

    Returns:
        float [T]; nan for a target without members or non-members, or where the others have none.

    Raises:
        InputError: shapes that do not fit, scores that are nan.
    """
    values = numbers_of(score, "score")
    if values.ndim != 2:
        raise InputError(
            f"score has shape {values.shape}; a row per target is needed, to choose a threshold on the others"
        )
    found, inside = _rows(values, member, where)
    rows = np.broadcast_to(True if where is None else where, values.shape).astype(bool)
    target = np.broadcast_to(np.arange(len(values))[:, None], values.shape)[rows]
    twin = np.arange(len(values)) if pairs is None else np.asarray(pairs)
    if twin.shape != (len(values),):
        raise InputError(f"pairs has shape {twin.shape} and there are {len(values)} targets; a twin of each is needed")
    order = np.argsort(-found, kind="stable")
    found, inside, target = found[order], inside[order], target[order]
    accuracy = np.full(len(values), np.nan)
    for one, other in enumerate(twin.tolist()):
        own = target == one
        threshold = _best_threshold(*(part[~own & (target != other)] for part in (found, inside)))
        called, truly = found[own] >= threshold, inside[own]
        if truly.any() and not truly.all() and not np.isnan(threshold):
            accuracy[one] = (called[truly].mean() + (~called[~truly]).mean()) / 2
    return accuracy


def dp_bound(false_positive_rate: Any, epsilon: float, delta: float = 0.0) -> np.ndarray:
    """The highest TPR at each FPR that any attack can reach under (ε, δ)-differential privacy.

    min(e^ε·FPR + δ, 1 − e^−ε·(1 − δ − FPR), 1): the promise holds for "called a member" and for "not called one".
    A curve above it refutes the promise, or its accounting; one below it proves nothing. `exceeds_dp` of
    `stats.discrimination` tests the first of the two.

    Args:
        false_positive_rate: float [...].
        epsilon, delta: of the training, for one example added or removed.

    Raises:
        InputError: ε below 0 or δ out of [0, 1].

    Source: Kairouz, Oh and Viswanath (2015).
    """
    if not epsilon >= 0 or not 0 <= delta <= 1:
        raise InputError(f"epsilon is {epsilon:g} and delta {delta:g}; epsilon is 0 or more and delta from 0 to 1")
    fpr = numbers_of(false_positive_rate, "false_positive_rate")
    bound = np.minimum(np.exp(epsilon) * fpr + delta, 1 - np.exp(-epsilon) * (1 - delta - fpr))
    return np.minimum(bound, 1.0)


def _rows(score: Any, member: Any, where: Any) -> tuple[np.ndarray, np.ndarray]:
    """The scores and membership of the chosen rows as flat arrays."""
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
    """The least score that at most a share α of the non-members reach, just above the first one too many."""
    allowed = int(np.floor(alpha * len(non_members) + 1e-9))
    if allowed >= len(non_members):
        return -np.inf
    highest = np.partition(non_members, len(non_members) - 1 - allowed)[len(non_members) - 1 - allowed]
    return float(np.nextafter(highest, np.inf))


def _best_threshold(score: np.ndarray, member: np.ndarray) -> float:
    """The score with the largest TPR − FPR of rows in descending order; nan without members or non-members."""
    if member.all() or not member.any():
        return float("nan")
    gain = np.cumsum(member) / member.sum() - np.cumsum(~member) / (~member).sum()
    last = np.append(score[1:] != score[:-1], True)
    return float(score[last][np.argmax(gain[last])])
