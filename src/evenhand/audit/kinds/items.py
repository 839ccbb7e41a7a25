"""Base class of audits that average over sampled items (questions, documents, probes) within each run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from evenhand.audit.comparisons import Evidence, clustering_note, discordant_note, enough_runs
from evenhand.audit.estimands import Comparison, Estimand, change
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.items import ItemRuns, Items, change_of_outcomes, combined, defined_items, interval_of
from evenhand.audit.trial_records import ONE_SEED, missing_note, one_against_several, seed_pairs, seeds_of
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import Family, pairs
from evenhand.stats.proportion import ProportionDifference, Widened

Sample = TypeVar("Sample")
"""The records of one run."""


@dataclass(frozen=True, eq=False)
class ItemReading(ABC, Generic[Sample]):
    """One setting's records of a kind whose runs are means over items.

    Attributes:
        setting, split: whose records they are.
        methods: in the reader's order.
        references: the methods that the others are compared with.
        samples: the records of each run, by method and seed.
        absent: why a (method, seed) has no records.
        vary: whether there is a new split per seed.
        support: samples with fewer examples are shown and not judged.
        unit_names: str [U], of the resampling units, in the order of their codes.
    """

    setting: str
    split: str
    methods: Sequence[str]
    references: Sequence[str]
    samples: Mapping[tuple[str, int], Sample]
    absent: Mapping[tuple[str, int], str]
    vary: bool
    support: int
    unit_names: np.ndarray

    examples: ClassVar[str]
    """The name of the examples that are sampled, for notes."""
    missing: ClassVar[str]
    """The note on seeds without records."""
    one_method: ClassVar[str]
    """The note on a seed at which one of two methods has no records."""
    other_sample: ClassVar[str]
    """The note on a seed at which two methods have different examples."""

    @abstractmethod
    def items(self, sample: Sample, estimand: Estimand) -> Items:
        """The estimand in one run, item by item."""

    @abstractmethod
    def units(self, sample: Sample, estimand: Estimand) -> np.ndarray:
        """int [n], the codes of the resampling units of the examples that the items are about."""

    @abstractmethod
    def sampled(self, sample: Sample, estimand: Estimand) -> Sequence[str] | None:
        """The examples that the items are about; None where the estimand is not defined in this run."""

    def size(self, samples: Sequence[Sample], estimand: Estimand) -> int:
        """The number of distinct examples behind an estimate."""
        return len({example for sample in samples for example in self.sampled(sample, estimand) or ()})

    def closing(self, runs: ItemRuns) -> tuple[str, ...]:
        """The last notes of a contrast: how its interval was made."""
        closing = self.clustering(len(runs.values))
        items = runs.values.shape[1]
        if items < 2:
            return closing
        return (*closing, f"{items} questions, which cluster as well: the interval generalizes to others like them")

    def clustering(self, runs: int) -> tuple[str, ...]:
        """The note on how the interval over so many runs was made."""
        return clustering_note(self.vary, runs)

    def bounds(self, runs: ItemRuns, estimand: Estimand) -> tuple[float, float] | None:
        """The 95% interval of an estimate; None with a single unit."""
        interval = interval_of(runs)
        return None if math.isnan(interval.variance) else interval.bounds((1 - LEVEL) / 2)

    def adjusted(self, change: ItemRuns) -> ProportionDifference | Widened | None:
        """The interval of a contrast of no outcomes for few discordant units; None where there are enough."""
        return change.widened(change.mean)

    def runs(self, method: str, estimand: Estimand) -> dict[int, Sample]:
        """The records of a method's runs, by seed."""
        seeds = self.seeds(method)
        return {seed: self.samples[method, seed] for seed in seeds if (method, seed) in self.samples}

    def seeds(self, method: str) -> list[int]:
        """The seeds that a method was run with, failed ones included."""
        return seeds_of(method, self.samples, self.absent)

    def estimates(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """Estimates of each run, and of all together."""
        seeds, runs = self.seeds(method), self.runs(method, estimand)
        for seed, sample in runs.items():
            yield seed, self.estimate(estimand, [sample], [])
        notes = missing_note(method, seeds, self.absent, self.missing)
        notes += [ONE_SEED] if len(runs) == 1 else []
        yield None, self.estimate(estimand, list(runs.values()), notes)

    def estimate(self, estimand: Estimand, samples: Sequence[Sample], notes: Sequence[str]) -> Estimate:
        """The mean of an estimand over runs and items with its 95% interval."""
        measure, n = estimand.measure, self.size(samples, estimand)
        runs, all_notes = self._gathered(estimand, samples)
        note = measure.note("everyone")
        all_notes = [*all_notes, *notes, *([note] if note else [])]
        all_notes += [f"fewer than {self.support} {self.examples}"] if n < self.support else []
        if runs is None:
            return Estimate(None, None, None, n, tuple(all_notes))
        bounds = self.bounds(runs, estimand)
        low, high = (None, None) if bounds is None else measure.within(bounds)
        return Estimate(runs.mean.whole.estimate, low, high, n, tuple(all_notes))

    def _gathered(self, estimand: Estimand, samples: Sequence[Sample]) -> tuple[ItemRuns | None, list[str]]:
        """The runs and items in which an estimand is defined, and notes on the others and on what is doubtful."""
        if not samples:
            return None, []
        items = [self.items(sample, estimand) for sample in samples]
        item_indices, keep, notes = defined_items(items)
        notes += sorted({item.doubt for run in items for item in run if item.doubt})
        if not keep:
            return None, notes
        used = [[items[row][index] for index in item_indices] for row in keep]
        return self._of(estimand, used, [self.units(samples[row], estimand) for row in keep]), notes

    def gaps(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """None."""
        return iter(())

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Every method with every reference."""
        direction = estimand.measure.direction
        for method, reference in pairs(self.methods, self.references) if direction else ():
            yield change(estimand, method, reference, direction, estimand.measure.decides)

    def evidence(self, comparison: Comparison) -> Evidence:
        """The evidence by seed, on the examples that both methods have."""
        estimand, samples = comparison.estimand, {}
        method, reference = comparison.method, str(comparison.reference)
        planned, notes = seed_pairs(self.seeds(method), self.seeds(reference))
        for seeds in planned:
            pair, reason = self._pair(estimand, seeds, method, reference)
            notes += [reason] if reason else []
            if pair is not None:
                samples[seeds] = pair
        note = estimand.measure.note("everyone")
        notes = [*notes, *([note] if note else [])]
        if not samples:
            return Evidence(None, 0, len(planned), tuple(notes))
        sides = [[self.items(pair[side], estimand) for pair in samples.values()] for side in (0, 1)]
        # Of each pair the undefined estimate, if there is one.
        less_defined = [
            [first if math.isnan(first.value) else second for first, second in zip(*runs, strict=True)]
            for runs in zip(*sides, strict=True)
        ]
        item_indices, keep, left_out = defined_items(less_defined)
        notes += left_out
        if not enough_runs(len(keep), len(planned)):
            return Evidence(None, len(keep), len(planned), tuple(notes))
        used = [[[side[row][index] for index in item_indices] for row in keep] for side in sides]
        used_pairs = [list(samples.values())[row] for row in keep]
        units = [self.units(pair[0], estimand) for pair in used_pairs]
        change = combined(comparison.signs, [self._of(estimand, side, units) for side in used])
        whole, adjusted = change.mean.whole, None
        if len(item_indices) == 1:
            adjusted = change_of_outcomes(whole, comparison.signs, [[run[0] for run in side] for side in used], units)
        return Evidence(
            whole,
            whole.runs,
            len(planned),
            tuple(notes),
            single=one_against_several(self.seeds(method), self.seeds(reference)),
            smallest=int((change.weights > 0).sum(axis=2).min()),
            sample=self.examples,
            doubts=tuple(sorted({item.doubt for side in used for run in side for item in run if item.doubt})),
            adjusted=self.adjusted(change) if adjusted is None else adjusted,
            adjustment=discordant_note(adjusted),
            closing=self.closing(change),
            totals=lambda: (change.units, change.totals),
        )

    def _of(self, estimand: Estimand, runs: Sequence[Items], units: Sequence[np.ndarray]) -> ItemRuns:
        """Items by unit; for a distance, the runs' distances from 0, with the influence of the signed quantity."""
        gathered = ItemRuns.of(runs, units)
        return gathered if estimand.measure.distance_from is None else gathered.distances

    def _pair(
        self, estimand: Estimand, seeds: tuple[int, int], method: str, reference: str
    ) -> tuple[tuple[Sample, Sample] | None, str | None]:
        """The records of a run of each method, or why they cannot be compared."""
        seed, other = seeds
        ours, theirs = self.runs(method, estimand).get(seed), self.runs(reference, estimand).get(other)
        if ours is None or theirs is None:
            return None, f"seed {seed} {self.one_method}"
        if self.sampled(ours, estimand) is None or self.sampled(theirs, estimand) is None:
            reasons = {item.reason for sample in (ours, theirs) for item in self.items(sample, estimand)}
            return None, f"not defined at seed {seed} ({', '.join(sorted(map(str, reasons - {None})))})"
        if self.sampled(ours, estimand) != self.sampled(theirs, estimand):
            return None, f"at seed {seed} the methods {self.other_sample}"
        return (ours, theirs), None

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterator[SettingContrast]:
        """All contrasts, with the names of their resampling units."""
        return (replace(contrast, unit_names=self.unit_names) for contrast in contrasts)

    def curves(self, judged: Sequence[Family]) -> Iterator[dict[str, Any]]:
        """None."""
        return iter(())
