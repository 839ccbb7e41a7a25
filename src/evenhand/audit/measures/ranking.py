"""Defines the measures of how well scores rank positives above negatives; computes them with their influences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.influence import Influence, Ranking, undefined
from evenhand.audit.measures.measure import EVERYWHERE, Measure
from evenhand.audit.measures.run_data import NO_PROBABILITIES, Level, RunData, RunSubset
from evenhand.stats.contrast import compact
from evenhand.stats.ranking import precision_area, roc_area

Sides = Literal["within", "bpsn", "bnsp"]
"""Whose positives are set against whose negatives: those of the subset; of everyone else (background positive) against
the group's (subgroup negative); of the group against everyone else's."""

PERFECT = "every positive has a higher score than every negative"
REVERSED = "every positive has a lower score than every negative"
TIED = "all scores are equal"


@dataclass(frozen=True)
class AreaOf:
    """Computes the area under a curve of the score of the positive class.

    Attributes:
        curve: `roc`, or `precision`: of precision over recall, in steps (average precision).
        sides: whose positives against whose negatives; a group's background is everyone else of its attribute.
    """

    curve: Literal["roc", "precision"] = "roc"
    sides: Sides = "within"

    def __call__(self, run: RunData, subset: RunSubset) -> Influence:
        rows = self._rows(run, subset)
        if run.probabilities is None:
            return undefined(NO_PROBABILITIES, len(rows))
        positive, weight = run.actual[rows], run.weight[rows]
        for side, name in ((positive, "positive"), (~positive, "negative")):
            if not weight[side].sum() > 0:
                return undefined(f"no {name} examples{self._where(name)}", len(rows))
        area = roc_area if self.curve == "roc" else precision_area
        value, influence = area(run.ranks[rows], positive, weight)
        return Influence(
            value,
            rows,
            influence,
            weight / weight.sum(),
            np.ones(len(rows), dtype=bool),
            len(rows),
            reason=_caveat(value, run.ranks[rows]),
            ranking=_rarer(run, rows, positive),
        )

    def _rows(self, run: RunData, subset: RunSubset) -> np.ndarray:
        """The positives and negatives that are ranked, int [k], ascending positions in the run."""
        if self.sides == "within":
            return subset.rows
        member = np.zeros(len(run.label), dtype=bool)
        member[subset.rows] = True
        both = subset.both
        return both[run.actual[both] == (member[both] == (self.sides == "bnsp"))]

    def _where(self, name: str) -> str:
        """Where there are no such examples, as the end of a sentence."""
        if self.sides == "within":
            return ""
        return " in the group" if (name == "positive") == (self.sides == "bnsp") else " outside the group"


def _caveat(value: float, ranks: np.ndarray) -> str | None:
    """The reason why a value has no interval, if it has none."""
    if value in (0, 1):
        return PERFECT if value else REVERSED
    return TIED if (ranks == ranks[0]).all() else None


def _rarer(run: RunData, rows: np.ndarray, positive: np.ndarray) -> Ranking:
    """The effective number of units of the class that has fewer: (Σw)²/Σw² over the units' weights in it (Kish)."""
    found: list[Ranking] = []
    sides: tuple[tuple[Literal["positive", "negative"], np.ndarray], ...]
    sides = (("positive", positive), ("negative", ~positive))
    codes = None if run.unit is None else compact(run.unit[rows])[1]
    for name, side in sides:
        weight = run.weight[rows[side]]
        by_unit = weight if codes is None else np.bincount(codes[side], weight)
        found.append(Ranking(float(by_unit.sum() ** 2 / (by_unit**2).sum()), name))
    return min(found, key=lambda each: each.units)


def _area(name: str, summary: str, area: AreaOf, levels: tuple[Level, ...] = EVERYWHERE, **options: Any) -> Measure:
    """An area under a curve: more is better, by class, and computed on request."""
    return Measure(name, "predictions", summary, -1, levels, area, by_class=True, on_request=True, **options)


AREAS = (
    _area(
        "roc_auc",
        "chance that a positive has a higher score than a negative (of a group: within the group); no threshold",
        AreaOf(),
        title="ROC AUC",
        gaps=True,
        display=Display(
            summary=True, fitted=True, worse="separates positives from negatives less well", question="ranking"
        ),
    ),
    _area(
        "subgroup_auc",
        "ROC AUC within a group, by the name of Borkan et al. (2019); the verdict is that of ROC AUC",
        AreaOf(),
        title="subgroup AUC",
        levels=("group",),
        decides=False,
        decided_by="ROC AUC, which is the same number",
        display=Display(fitted=True, question="ranking"),
    ),
    _area(
        "bpsn_auc",
        "chance that a positive outside of the group has a higher score than a negative of the group; low: the group's "
        "negatives are scored too high",
        AreaOf(sides="bpsn"),
        title="BPSN AUC",
        levels=("group",),
        display=Display(fitted=True, question="ranking"),
    ),
    _area(
        "bnsp_auc",
        "chance that a positive of the group has a higher score than a negative outside of the group; low: the group's "
        "positives are scored too low",
        AreaOf(sides="bnsp"),
        title="BNSP AUC",
        levels=("group",),
        display=Display(fitted=True, question="ranking"),
    ),
    _area(
        "average_precision",
        "mean precision over the positives (area under precision and recall); depends on the share of positives",
        AreaOf("precision"),
        display=Display(question="ranking"),
    ),
)
"""The areas under curves, in the order of the registry."""
