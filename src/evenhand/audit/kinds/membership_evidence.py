"""Estimates how much more one method leaks than another, from the models and examples that both have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.comparisons import DISCORDANT, NO_COMMON_SEED, Evidence
from evenhand.audit.kinds.membership_areas import ADJUSTED, doubts_on, skewed
from evenhand.audit.membership.leakage import Leak, Targets
from evenhand.audit.trial_records import shared_seeds
from evenhand.stats.contrast import TwoWay, from_cells, unpaired
from evenhand.stats.proportion import FEW, ProportionDifference

CLUSTERED = "interval: two-way clustered by model and example"
JACKKNIFED = "interval: two-way clustered by pair of models and example, pairs left out in turn; runs are pairs"
OTHER_MEMBERS = "unpaired: the two methods were not trained on the same examples, so their variances are added"
UNPAIRED = "unpaired: the rows of the two methods could not be matched, so their variances are added"
FEW_OF_A_SIDE = f"fewer than {FEW} units have the rarer outcome: the interval is adjusted"
SAMPLE = "distinct members or non-members"

LeakFunction = Callable[[Targets, np.ndarray], Leak]
"""A measure of some models on some rows, bool [T, n]."""


def membership_evidence(
    first: Targets,
    second: Targets,
    mask: np.ndarray,
    leak_of: LeakFunction,
    matched: bool,
    closing_notes: Sequence[str] = (),
) -> Evidence:
    """The measure of the first models minus that of the second.

    Paired where both have the same seeds' models trained on the same examples: then on the rows that both have.

    Args:
        first, second: the models whose measure has the positive sign, and those with the negative one.
        mask: bool [n], the examples that the contrast is about.
        leak_of: computes the measure.
        matched: whether the table's rows of several methods are about the same examples.
        closing_notes: come last in the evidence.
    """
    compared = compare(first, second, mask, matched)
    if compared.undefined:
        return none_of(0, (*compared.notes, compared.undefined))
    if not compared.paired:
        return _unpaired(compared.first, compared.second, mask, leak_of, compared.notes, closing_notes)
    leaks = [leak_of(targets, targets.known & mask) for targets in (compared.first, compared.second)]
    return paired_leaks(leaks[0], leaks[1], compared.notes, closing_notes)


@dataclass(frozen=True, eq=False)
class Compared:
    """The models of two methods that are compared.

    Attributes:
        first, second: the models; paired, those of common seeds on the rows that both have.
        paired: whether both were trained on the same examples.
        notes: on what is left out, or why they are not paired.
        undefined: why there is nothing to compare; None where there is.
    """

    first: Targets
    second: Targets
    paired: bool
    notes: tuple[str, ...] = ()
    undefined: str | None = None


def compare(first: Targets, second: Targets, mask: np.ndarray, matched: bool) -> Compared:
    """The models of two methods that are compared. Args: see `membership_evidence`."""
    undefined = first.absent or second.absent
    if undefined or not matched:
        return Compared(first, second, False, () if undefined else (UNPAIRED,), undefined)
    common, notes = shared_seeds(first.seeds, second.seeds)
    if not common:
        return Compared(first, second, False, (), NO_COMMON_SEED)
    first, second = first.among(common), second.among(common)
    undefined = first.absent or second.absent
    if undefined:
        return Compared(first, second, False, tuple(notes), undefined)
    both = first.known & second.known
    if (both & (first.member != second.member)).any():
        return Compared(first, second, False, (*notes, OTHER_MEMBERS))
    dropped = int(((first.known ^ second.known) & mask).sum())
    if dropped:
        notes.append(f"{dropped} scores of one method only are left out, so that the comparison is paired")
    return Compared(replace(first, known=both), replace(second, known=both), True, tuple(notes))


def none_of(runs: int, notes: tuple[str, ...]) -> Evidence:
    """Evidence without a value, with the reasons."""
    return Evidence(None, runs, 0, notes)


def paired_leaks(first: Leak, second: Leak, evidence_notes: Sequence[str], closing_notes: Sequence[str]) -> Evidence:
    models = len(first.pooled.cells)
    undefined = first.reason or second.reason
    if undefined:
        return none_of(models, (*evidence_notes, undefined))
    whole, cells = first.pooled.minus(second.pooled), first.pooled.cells - second.pooled.cells
    smallest = min(first.smallest, second.smallest)
    adjusted = skewed(whole, cells, smallest) if first.area and whole.units > 1 else None
    if first.found is not None and second.found is not None and first.members is not None:
        sides = [np.maximum(first.found - second.found, 0.0), np.maximum(second.found - first.found, 0.0)]
        if int((first.summed(sides[0] + sides[1]) > 0).any(axis=0).sum()) < FEW:
            plus, minus = (_share(first, side) for side in sides)
            adjusted = ProportionDifference(whole, plus, minus, first.effective_units)
    clustered = CLUSTERED if first.pooled.without is None else JACKKNIFED
    totals = cells.sum(axis=0)
    return Evidence(
        whole,
        models,
        0,
        tuple(evidence_notes),
        smallest,
        SAMPLE,
        doubts_on((first, second), whole.estimate),
        adjusted=adjusted,
        adjustment=ADJUSTED if first.area else DISCORDANT,
        closing=((clustered,) if models > 1 else ()) + tuple(closing_notes),
        totals=lambda: (np.arange(len(totals)), totals),
    )


def _unpaired(
    first: Targets,
    second: Targets,
    mask: np.ndarray,
    leak_of: LeakFunction,
    evidence_notes: Sequence[str],
    closing_notes: Sequence[str],
) -> Evidence:
    sides = [leak_of(targets, targets.known & mask) for targets in (first, second)]
    models = min(len(leak.pooled.cells) for leak in sides)
    undefined = sides[0].reason or sides[1].reason
    if undefined:
        return none_of(models, (*evidence_notes, undefined))
    whole = unpaired(*(leak.pooled.two_way for leak in sides))
    adjusted = None
    shares = [_share(leak, leak.found) for leak in sides if leak.found is not None]
    units = [leak.effective_units for leak in sides]
    if any(min(share.estimate, 1 - share.estimate) * size < FEW for share, size in zip(shares, units, strict=False)):
        adjusted = ProportionDifference(whole, shares[0], shares[1], min(units))
    return Evidence(
        whole,
        models,
        0,
        tuple(evidence_notes),
        min(leak.smallest for leak in sides),
        SAMPLE,
        doubts_on(sides, whole.estimate),
        adjusted=adjusted,
        adjustment=FEW_OF_A_SIDE,
        closing=tuple(closing_notes),
    )


def _share(leak: Leak, events: np.ndarray) -> TwoWay:
    """The share of the members with an event, float [T, n] from 0 to 1, with its two-way variance."""
    assert leak.members is not None
    size = int(leak.members.sum())
    share = float(events[leak.members].sum()) / size
    cells = leak.summed(np.where(leak.members, events - share, 0.0) / size)
    return from_cells(share, cells, int((leak.summed(leak.members) > 0).any(axis=0).sum()))
