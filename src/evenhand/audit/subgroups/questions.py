"""The questions of a search: which measure, of which methods, compared how, with the outcome of every example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenhand.audit.comparisons import enough_runs
from evenhand.audit.design import Design
from evenhand.audit.estimands import Comparison, Estimand, change
from evenhand.audit.evaluation import Evaluation, Run
from evenhand.audit.measures import Measure, select
from evenhand.audit.measures.influence import RateOf
from evenhand.audit.measures.run_data import BASE
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.subgroups.contrasts import ComparisonKind
from evenhand.audit.trial_records import one_against_several, seed_pairs
from evenhand.audit.verdicts import pairs


@dataclass(frozen=True, eq=False)
class Outcome:
    """What each example adds to a rate, or to the change of one between two methods, in each run.

    Attributes:
        measure: with the direction that follows from the design.
        class_code, class_name: the class against the rest; None for all at once, or with two classes.
        method, reference: a change is of the method minus the reference; None: the rate of one method.
        numerator, weight: float [R, J], as of `evenhand.stats.RatioSums`.
        comparisons: what is asked of it.
        single: whether one model is compared with several.
        second: float [R, J], of a change the numerator of the reference.
    """

    measure: Measure
    class_code: int | None
    class_name: str | None
    method: str
    reference: str | None
    numerator: np.ndarray
    weight: np.ndarray
    comparisons: tuple[ComparisonKind, ...]
    single: bool = False
    second: np.ndarray | None = None

    @cached_property
    def compared(self) -> Comparison:
        """The comparison of everyone, whose sign is that of every conjunction."""
        return change(Estimand(self.measure), self.method, str(self.reference), self.measure.direction)

    @property
    def sign(self) -> int:
        """+1 where more is worse, or where neither direction is; −1 where less is worse."""
        return int(self.compared.signs[0])

    @property
    def two_sided(self) -> bool:
        """Whether neither direction is worse."""
        return self.compared.two_sided

    @cached_property
    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and weight of each row in the mean over runs, float [R] each."""
        return self.numerator.mean(axis=1), self.weight.mean(axis=1)

    @cached_property
    def base(self) -> np.ndarray:
        """int [r], the rows that count in some run."""
        return np.flatnonzero((self.weight > 0).any(axis=1))

    def part(self, rows: np.ndarray) -> Outcome:
        """The outcome of some rows, bool [R]; the others count nothing."""
        kept = rows[:, None]
        return replace(self, numerator=self.numerator * kept, weight=self.weight * kept)


def tested_rows(evaluation: Evaluation) -> np.ndarray:
    """int [R], the examples that some run tested, in an order that draws may follow: that of their contents."""
    tested = np.zeros(len(evaluation.population.label), dtype=bool)
    for sample in evaluation.samples:
        tested[sample] = True
    return evaluation.by_content[tested[evaluation.by_content]]


def searched_measures(names: Sequence[str]) -> list[Measure]:
    """The measures of predictions among these that a search is made of: rates that are compared between groups."""
    chosen = select(names, "predictions")
    return [measure for measure in chosen if isinstance(measure.influence, RateOf) and measure.gaps and measure.decides]


def outcomes(reader: RunInfluences, rows: np.ndarray, design: Design) -> Iterator[Outcome]:
    """The outcomes of all measures, classes and methods of one evaluation.

    Every method is compared with every reference, where their rows could be matched. Gaps of one method are asked for
    where the design asks for them, or there is nothing to compare with.

    Args:
        reader: the runs.
        rows: int [R], of `tested_rows`.
        design: the study's.
    """
    evaluation = reader.evaluation
    references = () if design.paired == "none" else evaluation.design.references
    compared = list(pairs(evaluation.methods, references))
    for measure in searched_measures(design.measures):
        measure = measure.given(evaluation.design.favourable)
        classes: Sequence[tuple[int | None, str | None]] = [(None, None)]
        if measure.by_class and not evaluation.binary:
            classes = list(enumerate(evaluation.classes))
        for code, name in classes:
            positive = code if code is not None else evaluation.design.positive if evaluation.binary else None
            for method, reference in compared:
                planned = seed_pairs(evaluation.seeds(method), evaluation.seeds(reference))[0]
                runs, _ = reader.pairs(method, reference)
                if runs and enough_runs(len(runs), len(planned)):
                    difference, weight, second = _sums(reader, measure, positive, rows, runs)
                    single = one_against_several(evaluation.seeds(method), evaluation.seeds(reference))
                    kinds: tuple[ComparisonKind, ...] = ("change", "gap change")
                    yield Outcome(measure, code, name, method, reference, difference, weight, kinds, single, second)
            for method in evaluation.methods if design.gaps or not compared else ():
                own = [(run,) for run in reader.runs_of(method)]
                if own and enough_runs(len(own), len(evaluation.seeds(method))):
                    numerator, weight, _ = _sums(reader, measure, positive, rows, own)
                    yield Outcome(measure, code, name, method, None, numerator, weight, ("gap",))


def _sums(
    reader: RunInfluences, measure: Measure, positive: int | None, rows: np.ndarray, runs: Sequence[tuple[Run, ...]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Numerators and weights, float [R, J], of runs or of pairs of runs on the same examples (first − second).

    Of pairs also the numerators of the second.
    """
    assert isinstance(measure.influence, RateOf)
    rate, population = measure.influence.rate, reader.evaluation.population
    numerator, weight = np.zeros((2, len(rows), len(runs)))
    second = None if len(runs[0]) < 2 else np.zeros_like(numerator)
    places = np.empty(len(population.label), dtype=np.int64)
    places[rows] = np.arange(len(rows))
    for run, sides in enumerate(runs):
        tested = sides[0].rows
        place = places[tested]
        label = population.label[tested] == positive
        kept = {"all": np.ones(len(label), dtype=bool), "positive": label, "negative": ~label}[BASE[rate]]
        own = population.weight[tested] * kept
        weight[place, run] = own
        for sign, side in zip((1, -1), sides, strict=False):
            counted = own * reader.view(side, positive).outcome(rate)
            numerator[place, run] += sign * counted
            if sign < 0 and second is not None:
                second[place, run] = counted
    return numerator, weight, second
