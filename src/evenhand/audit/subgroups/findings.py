"""The table `findings`: the subgroups that fare worst in each question, with p-values over all that were searched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy.special import log_ndtr, ndtri_exp

from evenhand import records
from evenhand.audit.design import REST, Design
from evenhand.audit.disparities import Disparity
from evenhand.audit.kinds.membership import MembershipReading
from evenhand.audit.subgroups import WITHOUT
from evenhand.audit.subgroups.asked import Asked
from evenhand.audit.subgroups.explanation import disparities, drivers, explained, parents
from evenhand.audit.subgroups.halves import Tested, halves
from evenhand.audit.subgroups.membership import membership_search
from evenhand.audit.subgroups.search import Search, Searchable, search
from evenhand.audit.subgroups.searchable import NO_RECORDS, refusal
from evenhand.errors import InputError
from evenhand.records.schemas import HALVES, MAX_T

SHOWN = 100
"""The subgroups of a question that the table has, the worst first, and more where more survive."""
MOST = 500
"""The most subgroups of a question."""


def findings(searchable: Iterable[Searchable | MembershipReading], design: Design) -> pl.DataFrame:
    """Search the conjunctions of groups in all settings and splits together.

    Args:
        searchable: the records of all settings and splits.
        design: with `subgroups`.

    Returns:
        The table `findings`. `p_adjusted` of rows with the selection `max T` is the share of draws without any
        disparity in which the largest of *all* contrasts (conjunctions, measures, methods, comparisons, settings) is as
        large; their bounds are simultaneous over all of them. That of `halves` is corrected for what was tested on the
        second half of a setting.

    Raises:
        InputError: there are no records, measures or groups to search, or see `search`.
    """
    searches = [
        membership_search(one, design) if isinstance(one, MembershipReading) else search(one, design)
        for one in searchable
    ]
    searches = [one for one in searches if one.asked]
    if not searches:
        raise InputError(refusal(design.measures or [one.name for one in design.declared]) or NO_RECORDS)
    if not any(len(one.conjunctions.attributes) for one in searches):
        raise InputError("subgroups: there are no groups to search; name the columns of groups")
    maxima = np.sort(np.maximum.reduce([one.maxima() for one in searches]))
    searched = sum(one.searched for one in searches)
    rows = [row for one in searches for row in _rows(one, maxima, searched, design)]
    return records.from_rows(rows, "findings")


def adjusted(z: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """p-values over everything searched: (1 + draws whose largest is as large) / (1 + draws).

    Args:
        z: float [K], contrasts on the scale of the maxima.
        maxima: float [D], ascending.
    """
    reached = len(maxima) - np.searchsorted(maxima, z - 1e-9, side="left")  # the last bits decide nothing
    return (1 + reached) / (1 + len(maxima))


def critical(maxima: np.ndarray, alpha: float) -> float:
    """The value that the largest of all contrasts exceeds with probability `alpha` at most where nothing is there."""
    rank = int(np.ceil((1 - alpha) * (len(maxima) + 1)))
    return float(maxima[rank - 1]) if rank <= len(maxima) else float("inf")


def _rows(search: Search, maxima: np.ndarray, searched: int, design: Design) -> Iterator[dict[str, Any]]:
    edge = critical(maxima, design.alpha)
    for asked in search.asked:
        p = adjusted(asked.z, maxima)
        order = np.argsort(-asked.z, kind="stable")
        order = order[: min(int(asked.judged.sum()), MOST)]
        surviving = order[p[order] <= design.alpha]
        chosen = order[: max(SHOWN, len(surviving))]
        folded = parents(search.conjunctions, asked, surviving)
        because = explained(search.conjunctions, asked, surviving)
        changed = _changed(search, asked, surviving, maxima, design.alpha)
        bounds = _bounds(asked, edge)
        with np.errstate(invalid="ignore"):
            noise = _bound(asked, edge) * asked.contrasts.spread
        for place in chosen.tolist():
            parent = search.conjunctions.name(folded[place]) if place in folded else None
            yield {
                **_place(search, asked, place),
                "selection": MAX_T,
                "disparity": changed.get(place, "undecided") if asked.kind == "gap change" else None,
                "parent": parent,
                "drivers": drivers(search.conjunctions, asked, place),
                "low": bounds[0][place],
                "high": bounds[1][place],
                "noise_high": noise[place] if np.isfinite(noise[place]) else None,
                "searched": searched,
                "p_adjusted": p[place],
                "verdict": _verdict(asked, float(p[place]), design.alpha),
                "note": f"{WITHOUT}{search.conjunctions.name(because[place])}" if place in because else None,
            }
    for tested in halves(search, design.support):
        yield _tested_row(search, tested, design)


def _tested_row(search: Search, tested: Tested, design: Design) -> dict[str, Any]:
    """The row of a subgroup that was found on one half, with what the other half says."""
    asked, place = tested.second, tested.place
    low, high = _bounds(asked, -float(ndtri_exp(np.log(design.alpha / tested.tests))))
    before = tested.first.outcome.sign * float(tested.first.contrasts.estimate[place])
    return {
        **_place(search, asked, place),
        "selection": HALVES,
        "drivers": drivers(search.conjunctions, tested.first, place),
        "low": low[place],
        "high": high[place],
        "searched": int(sum(one.judged.sum() for one in search.asked)),
        "p_adjusted": min(tested.p * tested.tests, 1.0),
        "verdict": _verdict(asked, min(tested.p * tested.tests, 1.0), design.alpha),
        "note": f"{before:+.4f} on the half where it was found; tested on the other half, corrected for "
        f"{tested.tests} such tests",
    }


def _changed(
    search: Search, asked: Asked, surviving: np.ndarray, maxima: np.ndarray, alpha: float
) -> dict[int, Disparity]:
    """Whether the gaps of surviving subgroups widened or narrowed, at half the search's level for each sign."""
    edge = critical(maxima, alpha / 2)
    if asked.kind != "gap change" or not np.isfinite(edge):
        return {}
    return disparities(asked, surviving, edge)


def _verdict(asked: Asked, p: float, alpha: float) -> str:
    """What a search says of a subgroup: it looks for those that fare worse, or differ where neither side is worse."""
    if p > alpha:
        return "inconclusive"
    return "different" if asked.outcome.two_sided else "worse"


def _place(search: Search, asked: Asked, place: int) -> Mapping[str, Any]:
    outcome = asked.outcome
    return {
        "comparison": asked.kind,
        "against": None if asked.kind == "change" else REST,
        "scope": outcome.scope,
        "setting": search.setting,
        "split": search.split,
        "measure": outcome.measure.name,
        "class": outcome.class_name,
        "subgroup": search.conjunctions.name(place),
        "method": outcome.method,
        "reference": outcome.reference,
        "value": outcome.sign * float(asked.contrasts.estimate[place]),
        "n": int(asked.contrasts.units[place]),
        "note": None,
    }


def _bound(asked: Asked, edge: float) -> float:
    """The bound of a question's contrasts on the scale of normal values; of two sides each has half the tail."""
    if asked.outcome.two_sided and np.isfinite(edge):
        return -float(ndtri_exp(log_ndtr(-edge) - np.log(2)))
    return edge


def _bounds(asked: Asked, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Simultaneous bounds, positive where a subgroup fares worse, cut at what the comparison can be."""
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = asked.contrasts.bounds(_bound(asked, edge))
    least, most = asked.outcome.measure.limits
    largest = (most - least) * (2 if asked.kind == "gap change" else 1)
    low, high = (low, high) if asked.outcome.sign > 0 else (-high, -low)
    return np.clip(low, -largest, largest), np.clip(high, -largest, largest)
