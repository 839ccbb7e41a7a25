"""The questions of a search: which measure, of which methods, compared how, with the outcome of every example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from evenhand.audit.comparisons import enough_runs
from evenhand.audit.design import Design
from evenhand.audit.evaluation import Evaluation, Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.ranking import AreaOf
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.subgroups.areas import AreaQuestion, ranked_terms
from evenhand.audit.subgroups.asked import Question
from evenhand.audit.subgroups.contrasts import ComparisonKind
from evenhand.audit.subgroups.term_sums import term_sums
from evenhand.audit.trial_records import one_against_several, seed_pairs
from evenhand.audit.verdicts import pairs


@dataclass(frozen=True, eq=False)
class Outcome(Question):
    """What each example adds to a ratio, or to the change of one between two methods, in each run.

    Attributes:
        numerator, weight: float [R, K·J], see `TermSums`.
        second: float [R, K·J], of a change whose numerators are differences those of the reference.
        terms: the coefficients of K ratios whose sum is the value.
    """

    numerator: np.ndarray
    weight: np.ndarray
    second: np.ndarray | None = None
    terms: tuple[float, ...] = (1.0,)

    @property
    def runs(self) -> int:
        """J."""
        return self.numerator.shape[1] // len(self.terms)

    @property
    def proportion(self) -> bool:
        """Whether a value of one method is a proportion."""
        return self.measure.proportion and len(self.terms) == 1

    @property
    def skewed(self) -> bool:
        """Whether values may have long tails: means of losses and numbers, and not shares of examples."""
        return not self.measure.proportion and len(self.terms) == 1

    @cached_property
    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Numerators and weights of each row in the mean over runs, float [R, K] each."""
        shape = (len(self.weight), len(self.terms), self.runs)
        return self.numerator.reshape(shape).mean(axis=2), self.weight.reshape(shape).mean(axis=2)

    @cached_property
    def base(self) -> np.ndarray:
        """int [r], the rows that count in some run."""
        return np.flatnonzero((self.weight > 0).any(axis=1))

    @property
    def sides(self) -> Mapping[str, tuple[np.ndarray, np.ndarray, tuple[float, ...]]] | None:
        """Of a change what both methods are in `total`, and each by itself: numerators, weights and terms."""
        if self.reference is None:
            return None
        if self.second is not None:
            first = self.numerator + self.second
            parts = {"total": first + self.second, "of_method": first, "of_reference": self.second}
            return {name: (part, self.weight, self.terms) for name, part in parts.items()}
        if len(self.terms) < 2:
            return None
        half, terms = self.numerator.shape[1] // 2, self.terms[: len(self.terms) // 2]
        sides = [(self.numerator[:, own], self.weight[:, own], terms) for own in (slice(half), slice(half, None))]
        return {"total": (self.numerator, self.weight, terms * 2), "of_method": sides[0], "of_reference": sides[1]}

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


def outcomes(
    reader: RunInfluences, rows: np.ndarray, design: Design, measures: Sequence[Measure]
) -> Iterator[Question]:
    """The outcomes of some measures, of all classes and methods of one evaluation.

    Every method is compared with every reference, where their rows could be matched. Gaps of one method are asked for
    where the design asks for them, or there is nothing to compare with.

    Args:
        reader: the runs.
        rows: int [R], of `tested_rows`.
        design: the study's.
        measures: that are searched.
    """
    evaluation = reader.evaluation
    references = () if design.paired == "none" else evaluation.design.references
    compared = list(pairs(evaluation.methods, references))
    for measure in measures:
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
                    single = one_against_several(evaluation.seeds(method), evaluation.seeds(reference))
                    kinds: tuple[ComparisonKind, ...] = ("change", "gap change")
                    question = Question(measure, code, name, method, reference, kinds, single=single)
                    yield from _filled(question, reader, positive, rows, runs)
            for method in evaluation.methods if design.gaps or not compared else ():
                own = [(run,) for run in reader.runs_of(method)]
                if own and enough_runs(len(own), len(evaluation.seeds(method))):
                    question = Question(measure, code, name, method, None, ("gap",))
                    yield from _filled(question, reader, positive, rows, own)


def _filled(
    question: Question,
    reader: RunInfluences,
    positive: int | None,
    rows: np.ndarray,
    runs: Sequence[tuple[Run, ...]],
) -> Iterator[Question]:
    """The question with what the examples of runs, or of pairs of runs, add; none where runs lack what it needs."""
    about = {field.name: getattr(question, field.name) for field in fields(question)}
    if isinstance(question.measure.influence, AreaOf):
        terms = ranked_terms(reader, positive, rows, runs)
        if terms is not None:
            yield AreaQuestion(**about, terms=terms)
        return
    made = term_sums(reader, question.measure, positive, rows, runs)
    if made is not None and (made.weight > 0).any():
        yield Outcome(**about, numerator=made.numerator, weight=made.weight, second=made.second, terms=made.terms)
