"""Areas under the ROC curve, compared in all conjunctions, with what each unit adds to a contrast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evenhand.audit.runs.areas import LEAST_JUDGED
from evenhand.audit.subgroups.area_contrasts import Units, area_contrasts, masks, of_masks
from evenhand.audit.subgroups.areas import AreaQuestion, area
from evenhand.audit.subgroups.asked import Asked
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import Contrasts


@dataclass(frozen=True, eq=False)
class AskedArea(Asked):
    """One question about areas to all conjunctions.

    Attributes:
        outcome: what is ranked.
        conjunctions: that were asked.
    """

    outcome: AreaQuestion
    conjunctions: Conjunctions

    def within(self, inner: np.ndarray, outer: np.ndarray) -> Contrasts:
        def sides() -> Iterator[tuple[np.ndarray, ...]]:
            for smaller, larger in zip(inner.tolist(), outer.tolist(), strict=True):
                inside = self.conjunctions.members(smaller)
                yield inside, self.conjunctions.members(larger) & ~inside

        return of_masks(self.outcome, self.conjunctions, sides(), self.conjunctions.depths[inner])

    def without(self, inner: np.ndarray, outer: np.ndarray) -> Contrasts:
        def sides() -> Iterator[tuple[np.ndarray, ...]]:
            for smaller, larger in zip(inner.tolist(), outer.tolist(), strict=True):
                whole = self.conjunctions.members(larger)
                others = whole & ~self.conjunctions.members(smaller)
                yield (others,) if self.kind == "change" else (others, self.conjunctions.exists(larger) & ~whole)

        return of_masks(self.outcome, self.conjunctions, sides(), self.conjunctions.depths[outer])

    def gaps(self) -> Mapping[str, Contrasts] | None:
        if self.outcome.reference is None:
            return None
        parts = {"total": (1, 1), "of_method": (1, 0), "of_reference": (0, 1)}
        questions = {name: self.outcome.of(*signs) for name, signs in parts.items()}
        made = {name: area_contrasts(one, self.conjunctions, ["gap"]) for name, one in questions.items()}
        return {name: one.contrasts for name, (one,) in made.items()}


def ask_areas(conjunctions: Conjunctions, question: AreaQuestion, support: int) -> list[Asked]:
    """Every comparison of areas in all conjunctions; judged are those of `area_contrasts` with `support` units."""
    asked: list[Asked] = []
    for made in area_contrasts(question, conjunctions, question.comparisons):
        judged = made.known & np.isfinite(made.contrasts.z) & (made.contrasts.variance > 0)
        judged &= made.contrasts.units >= support
        asked.append(AskedArea(question, made.kind, made.contrasts, judged, conjunctions))
    return asked


def added(asked: list[AskedArea]) -> Iterator[tuple[AskedArea, np.ndarray]]:
    """What units add to the contrasts that are judged, float [U], with the question each belongs to.

    They are computed again, since there may be too many to be kept; of questions about the same methods once.

    Args:
        asked: comparisons of one `AreaQuestion` in the same conjunctions.
    """
    question, conjunctions = asked[0].outcome, asked[0].conjunctions
    units = Units.of(conjunctions)
    for place, (inside, rest) in enumerate(masks(conjunctions)):
        wanted = [one for one in asked if one.judged[place]]
        if not wanted:
            continue
        first = area(question, inside, units.code, units.count, LEAST_JUDGED)
        second = None
        if any(one.kind != "change" for one in wanted):
            second = area(question, rest, units.code, units.count, LEAST_JUDGED)
        assert first is not None
        for one in wanted:
            yield one, first.total if one.kind == "change" or second is None else first.total - second.total
