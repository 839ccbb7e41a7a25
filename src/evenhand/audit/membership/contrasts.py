"""One contrast of leakage: a method against a reference, over the models and examples that both have scores of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evenhand.audit.comparisons import Contrast
from evenhand.audit.membership.leakage import Leak, Targets
from evenhand.audit.trial_records import shared_seeds
from evenhand.stats.contrast import TwoWay, from_cells, unpaired
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.proportion import FEW, FewDiscordant

CLUSTERED = "interval: two-way clustered by model and example"
JACKKNIFED = "interval: two-way clustered by pair of models and example, pairs left out in turn; runs are pairs"
OTHER_MEMBERS = "unpaired: the two methods were not trained on the same examples, so their variances are added"
UNPAIRED = "unpaired: the rows of the two methods could not be matched, so their variances are added"

Taken = Callable[[Targets, np.ndarray], Leak]
"""A measure of some models on some rows, bool [T, n]."""


def contrast(ours: Targets, theirs: Targets, mask: np.ndarray, taken: Taken, support: int, matched: bool) -> Contrast:
    """The measure of a method minus that of its reference: positive where the method leaks more.

    Paired where both have the same seeds' models trained on the same examples: then on the rows that both have.

    Args:
        ours, theirs: of the method and of its reference.
        mask: bool [n], who the contrast is about.
        taken: the measure.
        support: with fewer distinct members, or non-members, it is shown and not judged.
        matched: whether the table's rows of several methods are about the same examples.
    """
    undefined = ours.absent or theirs.absent
    if undefined:
        return Contrast(None, None, None, 0, (undefined,))
    if not matched:
        return _unpaired(ours, theirs, mask, taken, support, [UNPAIRED])
    common, notes = shared_seeds(ours.seeds, theirs.seeds)
    if not common:
        return Contrast(None, None, None, 0, ("no seed was run with both methods",))
    ours, theirs = ours.among(common), theirs.among(common)
    undefined = ours.absent or theirs.absent
    if undefined:
        return Contrast(None, None, None, 0, (*notes, undefined))
    both = ours.known & theirs.known
    if (both & (ours.member != theirs.member)).any():
        return _unpaired(ours, theirs, mask, taken, support, [*notes, OTHER_MEMBERS])
    dropped = int(((ours.known ^ theirs.known) & mask).sum())
    if dropped:
        notes.append(f"{dropped} scores of one method only are left out, so that the comparison is paired")
    first, second = (taken(replace(one, known=both), both & mask) for one in (ours, theirs))
    return _paired(first, second, support, notes)


def _paired(ours: Leak, theirs: Leak, support: int, notes: list[str]) -> Contrast:
    models = len(ours.pooled.cells)
    undefined = ours.reason or theirs.reason
    if undefined:
        return Contrast(None, None, None, models, (*notes, undefined))
    whole = ours.pooled.minus(theirs.pooled)
    refused = _too_small(min(ours.smallest, theirs.smallest), support, whole)
    if refused:
        return Contrast(whole.estimate, None, whole, models, (*notes, refused))
    interval = runs = FewRuns(whole)
    if ours.found is not None and theirs.found is not None and ours.members is not None:
        sides = [ours.found & ~theirs.found, theirs.found & ~ours.found]
        if int((ours.summed(sides[0] | sides[1]) > 0).any(axis=0).sum()) < FEW:
            plus, minus = (_share(ours, side) for side in sides)
            interval = Wider(runs, FewDiscordant(whole, plus, minus, ours.effective_units))
            notes.append(f"fewer than {FEW} discordant units: the interval is adjusted")
    if models > 1:
        notes.append(CLUSTERED if ours.pooled.without is None else JACKKNIFED)
    totals = (ours.pooled.cells - theirs.pooled.cells).sum(axis=0)
    return Contrast(whole.estimate, interval, whole, models, tuple(notes), np.arange(len(totals)), totals)


def _unpaired(
    ours: Targets, theirs: Targets, mask: np.ndarray, taken: Taken, support: int, notes: list[str]
) -> Contrast:
    sides = [taken(one, one.known & mask) for one in (ours, theirs)]
    models = min(len(one.pooled.cells) for one in sides)
    undefined = sides[0].reason or sides[1].reason
    if undefined:
        return Contrast(None, None, None, models, (*notes, undefined))
    first, second = (one.pooled.two_way for one in sides)
    whole = unpaired(first, second)
    refused = _too_small(min(one.smallest for one in sides), support, whole)
    if refused:
        return Contrast(whole.estimate, None, whole, models, (*notes, refused))
    interval = runs = FewRuns(whole)
    shares = [_share(one, one.found) for one in sides if one.found is not None]
    units = [one.effective_units for one in sides]
    if any(min(one.estimate, 1 - one.estimate) * size < FEW for one, size in zip(shares, units, strict=False)):
        interval = Wider(runs, FewDiscordant(whole, shares[0], shares[1], min(units)))
        notes.append(f"fewer than {FEW} units tell the outcomes apart: the interval is adjusted")
    return Contrast(whole.estimate, interval, whole, models, tuple(notes))


def _share(leak: Leak, events: np.ndarray) -> TwoWay:
    """The share of the members with an event, with its two-way variance."""
    assert leak.members is not None
    size = int(leak.members.sum())
    share = float((events & leak.members).sum()) / size
    cells = leak.summed(np.where(leak.members, events - share, 0.0) / size)
    return from_cells(share, cells, int((leak.summed(leak.members) > 0).any(axis=0).sum()))


def _too_small(smallest: int, support: int, whole: TwoWay) -> str | None:
    if smallest < support:
        return f"fewer than {support} distinct members or non-members: shown, not judged"
    return "a single resampling unit: there is no spread to judge by" if math.isnan(whole.variance) else None
