"""Areas under the ROC curve in any subset of rows: what runs rank, the areas, and what each unit adds to them.

A subgroup's area ranks its own positives against its own negatives, so that what a unit adds depends on who else is in
the subgroup: placement values (`evenhand.stats.ranking`) are made again for every conjunction and for its rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenhand.audit.evaluation import Run
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.subgroups.asked import Question
from evenhand.records.schemas import TWO_MODELS
from evenhand.stats.contrast import cells_of
from evenhand.stats.ranking import roc_area


@dataclass(frozen=True, eq=False)
class Ranked:
    """Scores that are ranked together: of one run, or of all models of a method.

    Attributes:
        place: int [K], the row that each score belongs to; a row may have several.
        rank: int [K], from 0; equal scores have one rank.
        positive: bool [K].
        weight: float [K].
    """

    place: np.ndarray
    rank: np.ndarray
    positive: np.ndarray
    weight: np.ndarray

    def take(self, kept: np.ndarray) -> Ranked:
        """Some of the scores, bool or int."""
        return Ranked(self.place[kept], self.rank[kept], self.positive[kept], self.weight[kept])


Terms = tuple[tuple[int, tuple[Ranked, ...]], ...]
"""By method its sign in a contrast, and the scores of its J runs."""


@dataclass(frozen=True, eq=False)
class AreaQuestion(Question):
    """An area under the ROC curve, or its change between two methods.

    Attributes:
        terms: what is ranked: by one method, or by the method and by its reference with the sign −1.
        models: how many models are ranked together, of which alone an answer is then.
    """

    terms: Terms
    models: int = 1

    @property
    def runs(self) -> int:
        return len(self.terms[0][1])

    @property
    def scope(self) -> str:
        return super().scope if self.models == 1 else TWO_MODELS

    def part(self, rows: np.ndarray) -> AreaQuestion:
        kept = tuple((sign, tuple(run.take(rows[run.place]) for run in runs)) for sign, runs in self.terms)
        return replace(self, terms=kept)

    def of(self, *signs: int) -> AreaQuestion:
        """The same methods with other signs; those of sign 0 are left out."""
        terms = tuple((sign, runs) for sign, (_, runs) in zip(signs, self.terms, strict=True) if sign)
        return replace(self, terms=terms)

    @cached_property
    def rows(self) -> np.ndarray:
        """int [r], the rows that have a score."""
        return np.unique(np.concatenate([run.place for _, runs in self.terms for run in runs]))


def ranked_terms(
    reader: RunInfluences, positive: int | None, rows: np.ndarray, runs: Sequence[tuple[Run, ...]]
) -> Terms | None:
    """What runs, or pairs of runs on the same examples, rank; None where some run has no probabilities.

    Args:
        reader: of the runs.
        positive: the class against the rest.
        rows: int [R], the examples.
        runs: J runs, or J pairs of a method's and a reference's.
    """
    places = np.empty(len(reader.evaluation.population.label), dtype=np.int64)
    places[rows] = np.arange(len(rows))
    terms = []
    for sign, own in zip((1, -1), zip(*runs, strict=True), strict=False):
        data = [reader.view(run, positive) for run in own]
        if positive is None or any(each.probabilities is None for each in data):
            return None
        ranked = [Ranked(places[run.rows], of.ranks, of.actual, of.weight) for run, of in zip(own, data, strict=True)]
        terms.append((sign, tuple(ranked)))
    return tuple(terms)


@dataclass(frozen=True, eq=False)
class Area:
    """A sum of areas with signs in some rows.

    Attributes:
        values: float [J], of each run.
        cells: float [J, U], what units add to their mean, Σ = 0.
        levels: the area of each method, float [K], and what units add to it, float [K, J, U].
        units: that have a score.
        rarer: the effective units, (Σw)²/Σw², of the class that has fewer, in the run that has fewest.
        size: n₁n₀/(n₁ + n₀) of effective units, on average over runs.
    """

    values: np.ndarray
    cells: np.ndarray
    levels: tuple[np.ndarray, np.ndarray]
    units: int
    rarer: float
    size: float

    @cached_property
    def total(self) -> np.ndarray:
        """float [U], what units add over all runs."""
        return self.cells.sum(axis=0)


def area(question: AreaQuestion, inside: np.ndarray, unit: np.ndarray, units: int, least: float) -> Area | None:
    """The question's areas in some rows; None where some class has fewer effective units in some run.

    Args:
        question: what is ranked.
        inside: bool [R], the rows.
        unit: int [R], codes of the units from 0.
        units: U.
        least: the fewest effective units of a class.
    """
    runs = question.runs
    values, cells = np.empty((len(question.terms), runs)), np.empty((len(question.terms), runs, units))
    rarer, sizes, tested = [], [], np.zeros(units, dtype=bool)
    for term, (_, ranked) in enumerate(question.terms):
        shares = np.empty((runs, units)) if runs > 1 else np.empty((1, 0))
        for run, scores in enumerate(ranked):
            kept = np.flatnonzero(inside[scores.place])
            positive, weight, code = scores.positive[kept], scores.weight[kept], unit[scores.place[kept]]
            classes = [_effective(weight[side], code[side], units) for side in (positive, ~positive)]
            if min(classes) < least - 1e-9:  # rounding must not decide
                return None
            values[term, run], influence = roc_area(scores.rank[kept], positive, weight)
            cells[term, run] = np.bincount(code, influence, units)
            tested[code] = True
            rarer.append(min(classes))
            sizes.append(classes[0] * classes[1] / sum(classes))
            if runs > 1:
                shares[run] = np.bincount(code, weight, units) / weight.sum()
        cells[term] = cells_of(values[term], cells[term], shares)
    signs = [sign for sign, _ in question.terms]
    added = cells[0] if signs == [1] else sum(sign * each for sign, each in zip(signs, cells, strict=True))
    levels = values.mean(axis=1), cells
    return Area(
        np.array(signs) @ values, np.asarray(added), levels, int(tested.sum()), min(rarer), sum(sizes) / len(sizes)
    )


def _effective(weight: np.ndarray, unit: np.ndarray, units: int) -> float:
    """(Σw)²/Σw² over the weights of units; 0 of nobody."""
    total = weight.sum()
    if not total > 0:
        return 0.0
    by_unit = np.bincount(unit, weight, units)
    return float(total**2 / (by_unit @ by_unit))
