"""Estimates and compares measures of pairs of runs: how far runs of a method agree, and which predictions it flips.

Rows of a flip rate have the reference in `condition`. A method's own row is the share of examples that it predicts
differently from the run of the reference at the same seed. The reference's row is the share that two of its own runs
predict differently, from seed to seed: the baseline. The change between the two is what the method flips beyond that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from evenhand.audit.comparisons import Evidence
from evenhand.audit.design import Design
from evenhand.audit.estimands import Comparison, Estimand, Subset, change, gap, gap_change
from evenhand.audit.evaluation import Evaluation
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.measures import Measure, select
from evenhand.audit.measures.stability import RunPairs
from evenhand.audit.reading import Estimate
from evenhand.audit.runs.collapsed_runs import collapsed_runs
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.run_pairs import RunPairInfluences
from evenhand.audit.verdicts import Family, pairs


@dataclass(frozen=True, eq=False)
class RunPairReading(PredictionReading):
    """Pairs of runs of one setting and split.

    Attributes:
        reference: with whose runs those of other methods are paired; None: runs of each method with each other.
    """

    reference: str | None = None

    @cached_property
    def reader(self) -> RunPairInfluences:
        """The influences of pairs of runs."""
        return RunPairInfluences(self.evaluation, self.design.support, reference=self.reference)

    @cached_property
    def methods(self) -> Sequence[str]:
        """Those that are paired: with a reference, itself first."""
        if self.reference is None:
            return self.evaluation.methods
        return (self.reference, *(method for method, reference in self._compared if reference == self.reference))

    @cached_property
    def _compared(self) -> list[tuple[str, str]]:
        """The pairs of methods that are compared, method and reference."""
        return list(pairs(self.evaluation.methods, self.evaluation.design.references))

    def computes(self, measure: Measure) -> bool:
        """Whether the measure is one of such pairs of runs."""
        compute = measure.influence
        return isinstance(compute, RunPairs) and compute.with_reference == (self.reference is not None)

    def _estimand(self, measure: Measure, subset: Subset, code: int | None, name: str | None) -> Estimand:
        """The estimand with the reference as its condition; several references are families of their own."""
        several = self.reference is not None and len({reference for _, reference in self._compared}) > 1
        family = f"{subset.level}, flips from {self.reference}" if several else None
        return Estimand(measure, subset, code, name, condition=self.reference, family=family)

    def estimates(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """The estimate over all runs, and of a method beside its reference that of each run."""
        if self.reader.comparable(method) or self.reference is None:
            yield from super().estimates(estimand, method)

    def gaps(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """The gap between a group and whom it is compared with, as `estimates`."""
        if self.reader.comparable(method):
            yield from super().gaps(estimand, method)

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Comparisons between methods whose runs can be paired, and the gaps of what methods flip."""
        if self.reference is None:
            for comparison in super().comparisons(estimand):
                if all(self.reader.comparable(term.method) for term in comparison.terms):
                    yield comparison
            return
        measure, subset = estimand.measure, estimand.subset
        opposite = self.reader.opposite(subset) if measure.gaps and subset.level == "group" else None
        mirrored = opposite is not None and self.reader.groups(subset.attribute).two_halves
        others = [method for method in self.methods if method != self.reference]
        for method in others if self.reader.comparable(self.reference) else ():
            yield change(estimand, method, self.reference, measure.direction, measure.decides)
            if opposite is not None:
                yield gap_change(estimand, method, self.reference, measure.direction, opposite, mirrored)
        for method in others if opposite is not None else ():
            yield gap(estimand, method, measure.direction, opposite, mirrored)

    def collapsed(self, method: str, reference: str) -> Mapping[int, str]:
        """The seeds at which a run of two methods looks collapsed, by its accuracy and not by what is paired here."""
        if self.design.paired == "none":
            return {}
        if (method, reference) not in self._collapsed:
            runs = RunInfluences(self.evaluation, self.design.support)
            self._collapsed[method, reference] = collapsed_runs(runs, method, reference)
        return self._collapsed[method, reference]

    def _evidence(self, comparison: Comparison) -> Evidence:
        evidence = super()._evidence(comparison)
        doubts = [
            doubt
            for term in comparison.terms
            for doubt in self.reader.doubts(replace(comparison.estimand, subset=term.subset), term.method)
        ]
        return replace(evidence, doubts=(*evidence.doubts, *dict.fromkeys(doubts)))

    def curves(self, judged: Sequence[Family]) -> Iterator[dict[str, Any]]:
        """None."""
        return iter(())


def run_pair_readings(evaluation: Evaluation, design: Design) -> Iterator[RunPairReading]:
    """The readings of pairs of runs that the measures of a design ask for: of each method, and by reference."""
    asked = [measure.influence for measure in select(design.measures, "predictions")]
    asked = [compute for compute in asked if isinstance(compute, RunPairs)]
    if any(not compute.with_reference for compute in asked):
        yield RunPairReading(evaluation, design)
    if any(compute.with_reference for compute in asked):
        compared = pairs(evaluation.methods, evaluation.design.references)
        for reference in dict.fromkeys(reference for _, reference in compared):
            yield RunPairReading(evaluation, design, reference=reference)
