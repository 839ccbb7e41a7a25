"""Measures of how well attack scores separate members from non-members, over all models of one method.

All models of a method are ranked together, under one threshold: an attack puts their scores on one scale. The
arithmetic is that of `evenhand.stats.discrimination`; here rows are summed by resampling unit, and an undefined measure
gets its reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import polars as pl

from evenhand.audit.evaluation import unit_codes
from evenhand.audit.membership.attack import Pool
from evenhand.metrics.membership.roc import TprAtFpr, membership_auc, tpr_at_fpr
from evenhand.stats.contrast import compact
from evenhand.stats.discrimination import PooledRoc, pooled_auc, pooled_rate
from evenhand.stats.roc_point import pooled_tpr

Roc = TypeVar("Roc", bound=PooledRoc)

ONE_MODEL = "one model: its threshold would be chosen on other models, and there are none"


@dataclass(frozen=True, eq=False)
class Targets:
    """The attacked models of one method over the examples of a setting.

    Attributes:
        seeds: of each model [T].
        score: float [T, n]; more is more member-like.
        member: bool [T, n], whether the model was trained on the example.
        known: bool [T, n], where there is a score.
        unit: int [n], codes of the resampling units.
        notes: caveats that apply to all of them.
        absent: why there is no model, where there is none.
        pool: the pool that the scores come from, if all of its models are here.
        loss: float [T, n], cross-entropy of the label, or the mean loss of a text's tokens, where it is known.
        correct: bool [T, n], whether the label was predicted; None of texts.
    """

    seeds: tuple[int, ...]
    score: np.ndarray
    member: np.ndarray
    known: np.ndarray
    unit: np.ndarray
    notes: tuple[str, ...] = ()
    absent: str | None = None
    pool: Pool | None = None
    loss: np.ndarray | None = None
    correct: np.ndarray | None = None

    def take(self, seeds: Sequence[int]) -> Targets:
        """The models of these seeds, with the scores that they have."""
        models = [self.seeds.index(seed) for seed in seeds]
        all_models = tuple(seeds) == self.seeds
        return replace(self._models(models), seeds=tuple(seeds), pool=self.pool if all_models else None)

    def among(self, seeds: Sequence[int]) -> Targets:
        """The models of these seeds alone; those of a pool are attacked again, compared with each other only.

        Two methods are compared by attacks with equally many models. `absent` says why, where these are too few.
        """
        if self.pool is None or tuple(seeds) == self.seeds:
            return self.take(seeds)
        reason = self.pool.too_few(len(seeds))
        if reason:
            return replace(self.take(()), absent=reason)
        pool = self.pool.among(np.array([self.seeds.index(seed) for seed in seeds]))
        return replace(self.take(seeds), score=pool.scores, pool=pool)

    def on(self, examples: np.ndarray) -> Targets:
        """The same models on some of the examples, bool [n]; not for a pool."""
        parts = {name: getattr(self, name) for name in _BY_ROW}
        selected = {name: None if part is None else part[:, examples] for name, part in parts.items()}
        return replace(self, **selected, unit=self.unit[examples])

    def _models(self, models: Sequence[int]) -> Targets:
        """The rows of these models, by index."""
        parts = {name: getattr(self, name) for name in _BY_ROW}
        selected = np.asarray(models, dtype=int)
        return replace(self, **{name: None if part is None else part[selected] for name, part in parts.items()})


_BY_ROW = ("score", "member", "known", "loss", "correct")


def no_targets(examples: pl.DataFrame, reason: str, notes: tuple[str, ...] = ()) -> Targets:
    """Targets without models, with the reason."""
    empty = np.zeros((0, len(examples)))
    flags = empty.astype(bool)
    return Targets((), empty, flags, flags, unit_codes(examples), notes=notes, absent=reason)


@dataclass(frozen=True, eq=False)
class Leak:
    """A measure of leakage of one method's models on some rows.

    Attributes:
        pooled: its value with the influence of each unit [T, U]; the estimate is nan where it is undefined.
        examples: the number of distinct examples.
        smallest: the distinct members or the distinct non-members, whichever are fewer.
        reason: why there is no estimate.
        note: the counts behind a rate, or how the value is limited.
        found: float [T, n], the probability that a member is called one, which is 0 or 1 but at the threshold; 0 of
            other rows. None of a measure that is no share of the members.
        members: bool [T, n], the rows that could be in `found`: the denominator of the rate.
        unit: int [n], codes of the resampling units.
        share: whether the value lies in [0, 1].
        models: positions of the models that it is the mean of, where some may have no value; None: of all.
        area: whether it is an area under the curve.
    """

    pooled: PooledRoc
    examples: int
    smallest: int
    unit: np.ndarray
    reason: str | None = None
    note: str | None = None
    found: np.ndarray | None = None
    members: np.ndarray | None = None
    share: bool = True
    models: tuple[int, ...] | None = None
    area: bool = False

    def interval(self) -> tuple[float, float]:
        """The 95% interval; nan where there is no value, or one unit."""
        return self.pooled.interval() if self.share else self.pooled.two_way.interval()

    def summed(self, cells: np.ndarray) -> np.ndarray:
        """Sums of a quantity of rows [T, n] over each unit, [T, U]."""
        return summed(cells, self.unit)

    @property
    def effective_units(self) -> float:
        """Kish's effective number of units among the members."""
        if self.members is None:
            return math.nan
        weight = self.summed(self.members).sum(axis=0)
        return float(weight.sum() ** 2 / (weight**2).sum())


def area(targets: Targets, rows: np.ndarray) -> Leak:
    """AUC over some rows, bool [T, n]; undefined without members or without non-members.

    Of a pool its variance over models is that of leaving pairs out, as targets and as what others are compared with;
    `pooled` then counts pairs, not models.
    """
    pooled = by_unit(pooled_auc(targets.score, targets.member, rows), targets, rows)
    reason = _one_sided(targets, rows)
    if targets.pool is not None and not reason:
        pooled = _jackknifed(pooled, targets, targets.pool, rows)
    return Leak(pooled, *_sizes(targets, rows), targets.unit, reason=reason, area=True)


def _jackknifed(pooled: PooledRoc, targets: Targets, pool: Pool, rows: np.ndarray) -> PooledRoc:
    """The area with its jackknife over pairs of models, unless some pair holds all members or all non-members here."""
    without = np.array([membership_auc(score, targets.member[kept], where=rows[kept]) for kept, score in pool.without])
    if not len(without):
        return pooled
    jackknifed = pooled.jackknifed(without, pool.pairs)
    return replace(jackknifed, without=None) if np.isnan(without).any() else jackknifed


def rate(targets: Targets, rows: np.ndarray, threshold_rows: np.ndarray, alpha: float) -> Leak:
    """TPR at the threshold whose expected FPR is alpha.

    Args:
        targets: the models.
        rows: bool [T, n], whose TPR.
        threshold_rows: bool [T, n], whose non-members set the threshold.
        alpha: the false positive rate.

    Returns:
        Undefined below 3/alpha distinct non-members among `threshold_rows`. The note has the FPR on `rows` and counts,
        which are no whole numbers where the threshold lies between two ranks or some scores are equal.

    Source: `evenhand.stats.roc_point`.
    """
    empirical = tpr_at_fpr(targets.score, targets.member, alpha, where=rows, threshold_where=threshold_rows)
    point = pooled_tpr(targets.score, targets.member, alpha, rows, threshold_rows)
    sizes = _sizes(targets, rows)
    if empirical.reason or point.curve is None:
        undefined = by_unit(replace(point, estimate=math.nan), targets, rows | threshold_rows)
        return Leak(undefined, *sizes, targets.unit, empirical.reason)
    called = point.curve.weights(targets.score, targets.member, point.curve.rank(alpha))
    members, non_members = rows & targets.member, rows & ~targets.member
    note = _counts(called, members, non_members, empirical)
    pooled = by_unit(point, targets, rows | threshold_rows)
    return Leak(pooled, *sizes, targets.unit, None, note, np.where(members, called, 0.0), members)


def balanced_accuracy(targets: Targets, rows: np.ndarray, threshold_rows: np.ndarray) -> Leak:
    """The mean over models of (TPR + 1 − FPR)/2, each at the threshold that is best on the other models' rows.

    In a pool the twin's rows are left out, too. The interval ignores that the threshold is estimated: at its optimum
    the accuracy does not change with it.

    Args: as for `rate`.

    Returns:
        Undefined with one model. The note says how many models it is the mean of, where some have members only, or
        non-members only.
    """
    sizes, models = _sizes(targets, rows), len(targets.seeds)
    nothing = by_unit(PooledRoc(math.nan, np.zeros(targets.score.shape), 0, 0), targets, rows)
    if models < 2:
        return Leak(nothing, *sizes, targets.unit, reason=ONE_MODEL)
    values: dict[int, float] = {}
    cells = np.zeros(targets.score.shape)
    for model, threshold in enumerate(_thresholds(targets, threshold_rows)):
        model_rows, target = rows[model : model + 1], targets.take(targets.seeds[model : model + 1])
        if _one_sided(target, model_rows) or math.isnan(threshold):
            continue
        true = pooled_rate(target.score, threshold, model_rows & target.member)
        false = pooled_rate(target.score, threshold, model_rows & ~target.member)
        values[model] = (true.estimate + 1 - false.estimate) / 2
        cells[model] = (true.cells - false.cells)[0] / 2
    if not values:
        reason = _one_sided(targets, rows) or "no model has both members and non-members here, and others that do"
        return Leak(nothing, *sizes, targets.unit, reason=reason)
    mean, used = float(np.mean(list(values.values()))), list(values)
    for model, value in values.items():
        cells[model] = (cells[model] + (value - mean) * rows[model] / rows[model].sum()) / len(values)
    pooled = by_unit(PooledRoc(mean, cells[used], sizes[0], int(rows[used].sum())), targets, rows)
    note = None if len(values) == models else f"defined in {len(values)} of {models} models"
    return Leak(pooled, *sizes, targets.unit, note=note, models=tuple(used))


def _thresholds(targets: Targets, threshold_rows: np.ndarray) -> np.ndarray:
    """For each model the threshold that is best on the other models' rows, its twin's left out; float [T].

    Rows are those of `threshold_rows`, bool [T, n]; nan where these are all members, or all non-members. Scores are
    sorted once for all models.
    """
    model_of_row, _ = np.nonzero(threshold_rows)
    score, member = targets.score[threshold_rows], targets.member[threshold_rows]
    order = np.argsort(-score, kind="stable")
    score, member, model_of_row = score[order], member[order], model_of_row[order]
    twins = np.arange(len(targets.seeds)) if targets.pool is None else targets.pool.pairs
    thresholds = np.full(len(targets.seeds), np.nan)
    for target, twin_of_target in enumerate(twins):
        rest = (model_of_row != target) & (model_of_row != twin_of_target)
        values, inside = score[rest], member[rest]
        true = np.cumsum(inside)
        if not len(values) or true[-1] in (0, len(values)):
            continue
        false = np.arange(1, len(values) + 1) - true
        gain = true / true[-1] - false / false[-1]
        gain[:-1][values[1:] == values[:-1]] = -np.inf  # equal scores are called together
        best = int(gain.argmax())
        thresholds[target] = values[best] if gain[best] > 0 else np.inf
    return thresholds


def by_unit(pooled: Roc, targets: Targets, rows: np.ndarray) -> Roc:
    """The estimate on some rows with its influences by example summed by resampling unit."""
    units = len(compact(targets.unit[rows.any(axis=0)])[0])
    return pooled.by_unit(lambda cells: summed(cells, targets.unit), units)


def summed(cells: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Sums of [T, n] over the examples of each unit, [T, U], in the order of the units' codes."""
    size = int(unit.max()) + 1
    return np.stack([np.bincount(unit, values, size) for values in cells])


def nothing(targets: Targets, reason: str) -> Leak:
    """An undefined measure, with the reason."""
    empty = PooledRoc(math.nan, np.zeros((len(targets.seeds), int(targets.unit.max(initial=0)) + 1)), 0, 0)
    return Leak(empty, 0, 0, targets.unit, reason=reason)


def _sizes(targets: Targets, rows: np.ndarray) -> tuple[int, int]:
    """Distinct examples, and the distinct members or non-members, whichever are fewer."""
    sides = [int((rows & side).any(axis=0).sum()) for side in (targets.member, ~targets.member)]
    return int(rows.any(axis=0).sum()), min(sides)


def _one_sided(targets: Targets, rows: np.ndarray) -> str | None:
    """The reason why rows cannot separate members from non-members: one of the two is missing; else None."""
    if not (rows & targets.member).any():
        return "no members" if rows.any() else "no scores"
    return None if (rows & ~targets.member).any() else "no non-members"


def _counts(called: np.ndarray, members: np.ndarray, non_members: np.ndarray, empirical: TprAtFpr) -> str:
    """The note with a rate's FPR and the counts behind it."""
    true, false = float(called[members].sum()), float(called[non_members].sum())
    counts = (
        f"{_count(true)} of {members.sum():,} members at a realised FPR of {false / non_members.sum():.2g} "
        f"({_count(false)} of {non_members.sum():,} non-members, "
        f"{empirical.distinct:,} distinct ones set the threshold)"
    )
    return counts if empirical.precise else f"{counts}: the FPR may be off by more than a third"


def _count(number: float) -> str:
    """A count that need not be whole, to two digits after the point."""
    return f"{number:,.2f}".rstrip("0").rstrip(".")
