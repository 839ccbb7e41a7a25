"""Searches one half of the units and tests what was found there on the other half, which the search never saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evenhand.audit.subgroups.asked import Asked
from evenhand.audit.subgroups.search import Search, ask
from evenhand.seeds import generator

TESTED = 10
"""The most subgroups that are tested on the other half."""


@dataclass(frozen=True, eq=False)
class Tested:
    """A subgroup that was found on one half.

    Attributes:
        place: among the conjunctions of the search.
        first, second: its question on the half where it was found, and on the other one.
        tests: how many are tested; each bound and p-value is corrected for their number (Bonferroni).
        p: one-sided, or two-sided where neither direction is worse, not yet corrected.
    """

    place: int
    first: Asked
    second: Asked
    tests: int
    p: float


def halves(search: Search, support: int) -> Iterator[Tested]:
    """The worst subgroup of each question on one half, at most ten, tested on the other.

    Units are divided at random, by their contents and not by their order in a table.

    Args:
        search: of all units.
        support: the fewest units of a side that is judged.
    """
    from scipy.special import ndtr

    conjunctions = search.conjunctions
    first = first_half(search)
    found = []
    for outcome in dict.fromkeys(one.outcome for one in search.asked):
        explored, confirmed = (ask(conjunctions, outcome.part(rows), support) for rows in (first, ~first))
        for ours, theirs in zip(explored, confirmed, strict=True):
            if ours.judged.any():
                place = int(np.argmax(ours.z))
                found.append((float(ours.z[place]), place, ours, theirs))
    found = sorted(found, key=lambda each: -each[0])[:TESTED]
    judged = [each for each in found if each[3].judged[each[1]]]
    for _, place, ours, theirs in judged:
        z = float(theirs.contrasts.z[place])
        # Where neither direction is worse, the side that was found is the one that is tested.
        sign = np.sign(ours.contrasts.z[place]) if theirs.outcome.two_sided else theirs.outcome.sign
        yield Tested(place, ours, theirs, len(judged), float(ndtr(-sign * z)))


def first_half(search: Search) -> np.ndarray:
    """bool [R], the rows of the units on which is searched."""
    rng = generator(0, "subgroups", "halves", search.setting, search.split, *search.about)
    unit = search.conjunctions.unit
    if unit is None:
        unit = np.arange(search.conjunctions.rows)
    codes, place = np.unique(unit, return_inverse=True)
    return (rng.permutation(len(codes)) < len(codes) / 2)[place]
