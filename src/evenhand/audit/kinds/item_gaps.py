"""Base class of audits of means over documents, with the gap of each group of documents to the rest."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from evenhand.audit.comparisons import Evidence, discordant_note, enough_runs
from evenhand.audit.estimands import Comparison, Estimand, gap, gap_change
from evenhand.audit.kinds.items import ItemReading, Sample
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.item_gaps import ItemGapChange, SidedRuns, distance
from evenhand.audit.trial_records import ONE_SEED, missing_note, one_against_several, seed_pairs
from evenhand.audit.verdicts import pairs


@dataclass(frozen=True, eq=False)
class SidedReading(ItemReading[Sample]):
    """Records whose runs have one item, of all documents, of a group of them, or of its rest.

    Attributes:
        gap_verdicts: whether the gaps of each method get verdicts where there is a reference, too.
    """

    gap_verdicts: bool = field(default=False, kw_only=True)

    @abstractmethod
    def has_gap(self, estimand: Estimand) -> bool:
        """Whether the estimand is about a group that is compared with its rest."""

    @abstractmethod
    def mirrored(self, estimand: Estimand) -> bool:
        """Whether the rest of the estimand's group is the attribute's only other group."""

    def gaps(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """The gap between a group of documents and the rest, of each run and over runs."""
        if not self.has_gap(estimand):
            return
        runs = self.runs(method, estimand)
        for seed, sample in runs.items():
            yield seed, self._gap_estimate(estimand, [sample], [])
        notes = missing_note(method, self.seeds(method), self.absent, self.missing)
        yield None, self._gap_estimate(estimand, list(runs.values()), [*notes, *([ONE_SEED] if len(runs) == 1 else [])])

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Every method with every reference: changes, and of a group changes of its gap to the rest.

        Where there is no reference, or gaps are asked for, the gap of every method.
        """
        yield from super().comparisons(estimand)
        if not self.has_gap(estimand):
            return
        measure, mirrored = estimand.measure, self.mirrored(estimand)
        for method, reference in pairs(self.methods, self.references):
            yield gap_change(estimand, method, reference, measure.direction, mirrored=mirrored)
        for method in self.methods if self.gap_verdicts or not self.references else ():
            yield gap(estimand, method, measure.direction, mirrored=mirrored)

    def evidence(self, comparison: Comparison) -> Evidence:
        """The evidence by seed, on the documents that both methods have."""
        if comparison.kind == "change":
            return super().evidence(comparison)
        return self._of_gap(comparison) if comparison.kind == "gap" else self._of_gap_change(comparison)

    def _gap_estimate(self, estimand: Estimand, samples: Sequence[Sample], notes: Sequence[str]) -> Estimate:
        sides, _, left_out = self._sided(estimand, [(sample,) for sample in samples])
        if not sides:
            return Estimate(None, None, None, 0, (*left_out, *notes))
        of_method = sides[0]
        whole, n = of_method.gap.whole, sum(self.size(samples, side) for side in (estimand, _rest(estimand)))
        all_notes = (*left_out, *of_method.doubts, *notes)
        if math.isnan(whole.variance):
            return Estimate(whole.estimate, None, None, n, all_notes)
        bounds = gap(estimand, "", 1).within(of_method.interval.bounds((1 - LEVEL) / 2))
        return Estimate(whole.estimate, *bounds, n, all_notes)

    def _sided(
        self, estimand: Estimand, samples: Sequence[tuple[Sample, ...]], sign: int = 1
    ) -> tuple[list[SidedRuns], int, list[str]]:
        """By method the group and its rest, in the runs in which both are defined.

        Args:
            estimand: of the group.
            samples: by run, that of each method.
            sign: −1 for one minus the quantity.

        Returns:
            None of them where no run is left; how many runs are; and a note on the others.
        """
        ends = (estimand, _rest(estimand))
        found = [[[self.items(sample, end)[0] for sample in run] for end in ends] for run in samples]
        if estimand.measure.distance_from is not None:
            found = [[[distance(one) for one in end] for end in run] for run in found]
        undefined = [[one.reason for end in run for one in end if math.isnan(one.value)] for run in found]
        keep = [row for row, reasons in enumerate(undefined) if not reasons]
        notes = []
        if len(keep) < len(samples):
            why = ", ".join(sorted({str(reason) for reasons in undefined for reason in reasons}))
            notes = [f"defined in {len(keep)} of {len(samples)} runs ({why})"]
        if not keep:
            return [], 0, notes
        units = tuple([self.units(samples[row][0], end) for row in keep] for end in ends)
        methods = []
        for method in range(len(samples[0])):
            inside, outside = ([found[row][end][method] for row in keep] for end in (0, 1))
            methods.append(SidedRuns(inside, outside, (units[0], units[1])).signed(sign))
        return methods, len(keep), notes

    def _of_gap(self, comparison: Comparison) -> Evidence:
        """The evidence on the gap of one method."""
        estimand, method = comparison.estimand, comparison.method
        seeds, runs = self.seeds(method), list(self.runs(method, estimand).values())
        sides, defined, left_out = self._sided(estimand, [(run,) for run in runs], int(comparison.signs[0]))
        notes = (*missing_note(method, seeds, self.absent, self.missing), *left_out)
        if not sides or not enough_runs(defined, len(seeds)):
            return Evidence(None, defined, len(seeds), notes, nothing=f"{method} was not run")
        of_method = sides[0]
        found = of_method.gap
        return Evidence(
            found.whole,
            defined,
            len(seeds),
            notes,
            of_method.smallest,
            self.examples,
            of_method.doubts,
            few_events=of_method.interval,
            closing=self.clustering(defined),
            totals=lambda: (found.units, found.totals),
        )

    def _of_gap_change(self, comparison: Comparison) -> Evidence:
        """The evidence on the gap of a method minus that of its reference."""
        estimand, method, reference = comparison.estimand, comparison.method, str(comparison.reference)
        planned, notes = seed_pairs(self.seeds(method), self.seeds(reference))
        samples: list[tuple[Sample, ...]] = []
        for seeds in planned:
            pair, reason = self._pair(estimand, seeds, method, reference)
            notes += [reason] if reason else []
            samples += [pair] if pair is not None else []
        sides, defined, left_out = self._sided(estimand, samples, int(comparison.signs[0]))
        notes += left_out
        if not sides or not enough_runs(defined, len(planned)):
            return Evidence(None, defined, len(planned), tuple(notes))
        found = ItemGapChange.of(*sides)
        whole = found.difference.whole
        return Evidence(
            whole,
            defined,
            len(planned),
            tuple(notes),
            min(side.smallest for side in sides),
            self.examples,
            tuple(sorted({doubt for side in sides for doubt in side.doubts})),
            adjusted=found.adjusted,
            adjustment=discordant_note(found.adjusted),
            closing=self.clustering(defined),
            totals=lambda: (found.difference.units, found.difference.totals),
            gaps=found.gaps if comparison.decides else None,
            single=one_against_several(self.seeds(method), self.seeds(reference)),
        )


def _rest(estimand: Estimand) -> Estimand:
    """The estimand of everybody else in the group's attribute."""
    return replace(estimand, subset=estimand.subset.rest)
