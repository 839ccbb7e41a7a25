"""Ratios of sums over examples, compared in all conjunctions: the contrasts with the sums that they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.subgroups.asked import Asked
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import Contrasts, contrasts
from evenhand.audit.subgroups.moments import moments
from evenhand.audit.subgroups.questions import Outcome
from evenhand.audit.subgroups.sides import Moments, Side


@dataclass(frozen=True, eq=False)
class AskedRatio(Asked):
    """One question about ratios to all conjunctions.

    Attributes:
        outcome: of every example.
        sums: that the contrasts are made of.
        conjunctions: that were asked.
    """

    outcome: Outcome
    sums: Moments
    conjunctions: Conjunctions

    def within(self, inner: np.ndarray, outer: np.ndarray) -> Contrasts:
        first, others = self.sums.inside.take(inner), self._others(inner, outer)
        whole = self.sums.inside.take(outer)
        sums = Moments(first, others, None, self.sums.everybody, whole.units, self.sums.depth[inner])
        made = contrasts("gap" if self.kind == "gap" else "gap change", sums, self.outcome.measure.proportion)
        return _of_somebody(made, others)

    def without(self, inner: np.ndarray, outer: np.ndarray) -> Contrasts:
        others, outside = self._others(inner, outer), self.sums.outside.take(outer)
        distinct = others.units + outside.units
        sums = Moments(others, outside, None, self.sums.everybody, distinct, self.sums.depth[outer])
        return _of_somebody(contrasts(self.kind, sums, self.outcome.measure.proportion), others)

    def _others(self, inner: np.ndarray, outer: np.ndarray) -> Side:
        """The members of larger conjunctions that are not in smaller ones."""
        return self.sums.inside.take(outer).without(self.sums.inside.take(inner))

    def gaps(self) -> Mapping[str, Contrasts] | None:
        sides, proportion = self.outcome.sides, self.outcome.measure.proportion
        if sides is None:
            return None
        return {
            name: contrasts("gap", moments(self.conjunctions, *part), proportion and name != "total")
            for name, part in sides.items()
        }


def _of_somebody(made: Contrasts, others: Side) -> Contrasts:
    """The contrasts, undefined where there are no others."""
    return replace(made, estimate=np.where(others.units > 0, made.estimate, np.nan))
