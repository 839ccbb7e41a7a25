"""Searches the conjunctions of one evaluation: contrasts of every question, and how large the largest is by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from evenhand.audit.design import Design
from evenhand.audit.evaluation import Evaluation
from evenhand.audit.measures import Kind, Measure
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.subgroups.areas import AreaQuestion
from evenhand.audit.subgroups.asked import Asked, Question
from evenhand.audit.subgroups.asked_areas import ask_areas
from evenhand.audit.subgroups.attributes import searched_attributes
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import ComparisonKind, contrasts
from evenhand.audit.subgroups.moments import moments
from evenhand.audit.subgroups.null import DRAWS, null_maxima
from evenhand.audit.subgroups.questions import Outcome, outcomes, tested_rows
from evenhand.audit.subgroups.ratios import AskedRatio
from evenhand.audit.subgroups.searchable import searched_measures
from evenhand.audit.subgroups.sides import Moments
from evenhand.audit.subgroups.skewness import allowing_for_skewness
from evenhand.seeds import generator


@dataclass(frozen=True, eq=False)
class Search:
    """All conjunctions of one evaluation, compared in every question.

    Attributes:
        setting, split: whose examples and runs.
        conjunctions: over its tested rows.
        asked: the questions, each with the contrasts of all conjunctions.
        about: what tells the records apart from others of this setting and split.
    """

    setting: str
    split: str
    conjunctions: Conjunctions
    asked: Sequence[Asked]
    about: tuple[str, ...] = ()

    @property
    def searched(self) -> int:
        """The number of contrasts that were compared: of conjunctions in questions."""
        return sum(int(one.judged.sum()) for one in self.asked)

    def maxima(self, *stream: str | int, draws: int = DRAWS) -> np.ndarray:
        """The largest contrast of all in each of D draws where nothing is there, float [D]."""
        rng = generator(0, "subgroups", self.setting, self.split, *self.about, *stream)
        return null_maxima(self.conjunctions, self.asked, rng, draws)


@dataclass(frozen=True, eq=False)
class Searchable:
    """Records of one setting and split, with what of them is searched.

    Attributes:
        evaluation: the runs.
        kind: of records.
        only: the name of the measure that the records are about; None: they are about every measure of their kind.
    """

    evaluation: Evaluation
    kind: Kind = "predictions"
    only: str | None = None

    def measures(self, names: Sequence[str]) -> list[Measure]:
        """Those among some measures that a search of these records is made of."""
        return [measure for measure in searched_measures(names, self.kind) if self.only in (None, measure.name)]


def search(searchable: Searchable, design: Design) -> Search:
    """Compare all conjunctions that `design.subgroups` asks for.

    Raises:
        InputError: cuts of an attribute that does not exist or is not numeric.
    """
    evaluation = searchable.evaluation
    asked = design.subgroups
    assert asked is not None
    reader = RunInfluences(evaluation, design.support)
    rows = tested_rows(evaluation)
    attributes = searched_attributes(evaluation.groups, rows, asked.cuts)
    unit = evaluation.population.unit[rows] if reader.clustered else None
    conjunctions = Conjunctions(attributes, len(rows), asked.depth, asked.support, unit)
    searched = outcomes(reader, rows, design, searchable.measures(design.measures))
    made = [each for outcome in searched for each in ask(conjunctions, outcome, design.support)]
    about = () if searchable.kind == "predictions" else (searchable.kind, searchable.only or "")
    return Search(evaluation.setting, evaluation.split, conjunctions, made, about)


@overload
def ask(conjunctions: Conjunctions, outcome: Outcome, support: int) -> Sequence[AskedRatio]: ...
@overload
def ask(conjunctions: Conjunctions, outcome: Question, support: int) -> Sequence[Asked]: ...
def ask(conjunctions: Conjunctions, outcome: Question, support: int) -> Sequence[Asked]:
    """Every comparison of an outcome in all conjunctions; those of fewer than `support` units on a side not judged."""
    if isinstance(outcome, AreaQuestion):
        return ask_areas(conjunctions, outcome, support)
    assert isinstance(outcome, Outcome)
    sums = moments(conjunctions, outcome.numerator, outcome.weight, outcome.terms)
    return [_asked(conjunctions, outcome, kind, sums, support) for kind in outcome.comparisons]


def _asked(
    conjunctions: Conjunctions, outcome: Outcome, kind: ComparisonKind, sums: Moments, support: int
) -> AskedRatio:
    made = contrasts(kind, sums, outcome.measure.proportion)
    judged = np.isfinite(made.z) & (made.variance > 0) & (made.smallest >= max(support, 2))
    if outcome.skewed:
        made, promised = allowing_for_skewness(made, conjunctions, outcome, kind, sums)
        judged &= promised
    return AskedRatio(outcome, kind, made, judged, sums, conjunctions)
