"""Estimates and compares rates, calibration and parity of predictions, for everyone and each group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from evenhand.audit.comparisons import Evidence
from evenhand.audit.design import Design
from evenhand.audit.estimands import EVERYONE, Comparison, Estimand, Subset, change, gap, gap_change
from evenhand.audit.evaluation import Evaluation
from evenhand.audit.kinds.prediction_notes import PredictionNotes
from evenhand.audit.kinds.reliability_curves import reliability_curves
from evenhand.audit.kinds.threshold_curves import threshold_curves
from evenhand.audit.measures import Kind, Measure, measure_named
from evenhand.audit.measures.ratios import Between
from evenhand.audit.measures.stability import RunPairs
from evenhand.audit.noise_floors import Floors
from evenhand.audit.planted_harm import detected_harm
from evenhand.audit.reading import Estimate
from evenhand.audit.runs.by_unit import RunsByUnit, marginal_interval, run_intervals
from evenhand.audit.runs.collapsed_runs import collapsed_runs
from evenhand.audit.runs.evidence import paired_evidence, unpaired_evidence
from evenhand.audit.runs.gap_change_evidence import gap_change_evidence, unpaired_gap_change_evidence
from evenhand.audit.runs.gap_evidence import estimates_of_gap, gap_evidence
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.method_values import Values, estimate_of, of_subset
from evenhand.audit.runs.rate_ratios import ratio_estimates
from evenhand.audit.runs.rates import SubsetRates
from evenhand.audit.runs.rest_gaps import GapsToRest
from evenhand.audit.trial_records import missing_note
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import Family, pairs
from evenhand.stats.contrast import count_distinct
from evenhand.stats.null import NoiseFloor

ONE_SEED = "one seed: the interval includes the noise of the examples only, not that of training"


@dataclass(frozen=True, eq=False)
class PredictionReading:
    """Predictions of one setting and split.

    Attributes:
        evaluation: the runs.
        design: the study's.
        kind: `predictions`, or `translations`, whose classes are genders; see also `kinds.numbers`.
        only: the name of the measure that these records are about; None: they are about every measure of their kind.
    """

    evaluation: Evaluation
    design: Design
    kind: Kind = "predictions"
    only: str | None = field(default=None, kw_only=True)
    _collapsed: dict[tuple[str, str], Mapping[int, str]] = field(default_factory=dict, init=False)
    _readings: dict[frozenset[int], PredictionReading] = field(default_factory=dict, init=False)

    @property
    def setting(self) -> str:
        return self.evaluation.setting

    @property
    def split(self) -> str:
        return self.evaluation.split

    @property
    def methods(self) -> Sequence[str]:
        return self.evaluation.methods

    @cached_property
    def reader(self) -> RunInfluences:
        """The influences of the runs."""
        return RunInfluences(self.evaluation, self.design.support)

    @cached_property
    def notes(self) -> PredictionNotes:
        """The notes on estimates and comparisons."""
        return PredictionNotes(self.reader, self.design)

    @cached_property
    def rates(self) -> SubsetRates:
        """Rates and their gaps in all groups at once."""
        return SubsetRates(self.reader)

    @cached_property
    def to_rest(self) -> GapsToRest:
        """Gaps of rates to the rest, and their changes, in all groups at once."""
        return GapsToRest(self.rates)

    @cached_property
    def floors(self) -> Floors:
        """The noise floors."""
        return Floors(self.reader)

    def computes(self, measure: Measure) -> bool:
        """Whether the measure is one of single runs; those of pairs of runs have readings of their own."""
        return not isinstance(measure.influence, RunPairs)

    def estimands(self, measure: Measure) -> Iterator[Estimand]:
        """The estimands of each class: everyone, then each attribute and its groups."""
        if not self.computes(measure):
            return
        evaluation = self.evaluation
        if self.only not in (None, measure.name):
            return
        measure = measure.given(evaluation.design.favourable)
        classes: Iterable[tuple[int | None, str | None]] = [(None, None)]
        if measure.by_class and not evaluation.binary:
            classes = enumerate(evaluation.classes)
        for code, name in classes:
            if "everyone" in measure.levels:
                yield self._estimand(measure, EVERYONE, code, name)
            for groups in evaluation.groups:
                if "attribute" in measure.levels:
                    yield self._estimand(measure, Subset(groups.attribute), code, name)
                if "group" in measure.levels:
                    for group in groups.names:
                        subset = Subset(groups.attribute, group)
                        if not isinstance(measure.influence, Between) or self.reader.opposite(subset) is not None:
                            yield self._estimand(measure, subset, code, name)

    def _estimand(self, measure: Measure, subset: Subset, code: int | None, name: str | None) -> Estimand:
        return Estimand(measure, subset, code, name)

    def estimates(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """The estimate of each run, and of all together.

        Rows with a seed have an interval for the noise of their test examples. The one without has the mean over the
        runs where the value is defined, with a two-way interval over runs and examples, and `n`, the distinct examples
        that the runs tested.
        """
        evaluation, measure = self.evaluation, estimand.measure
        opposite = self.reader.opposite(estimand.subset)
        if isinstance(measure.influence, Between) and opposite is not None:
            rate = measure_named(measure.influence.rate)
            yield from self._by_run(estimand, method, *ratio_estimates(self.to_rest, estimand, rate, opposite, method))
            return
        seeds, present = evaluation.seeds(method), list(self.reader.by_seed(method))
        values = self._values(estimand, method, present)
        general = self._notes_on(estimand, method, values.smallest)
        floors = self.floors.floors(estimand, method, values.defined) if values.defined and measure.floor else {}
        for seed in present if not self.reader.together(method) else ():
            yield seed, _completed(values.of_runs[seed], general, floors.get(seed))
        notes = [*general, *missing_note(method, seeds, evaluation.absent, f"have no {evaluation.records}")]
        if len(values.defined) < len(present):
            undefined = [values.of_runs[seed].notes[0] for seed in present if seed not in values.defined]
            reasons = ", ".join(sorted(set(undefined)))
            notes.append(f"defined in {len(values.defined)} of {len(present)} runs ({reasons})")
        if len(values.defined) == 1:
            notes.append(ONE_SEED)
        yield None, _completed(values.mean, notes, floors.get(None))

    def _values(self, estimand: Estimand, method: str, present: Sequence[int]) -> Values:
        """The estimand in each run and over runs, in closed form where there is one."""
        closed = self.rates.levels(estimand, method)
        if closed is not None and closed[0].exact[closed[1]]:
            return of_subset(*closed, present)
        reader = self.reader
        runs = dict(zip(present, reader.runs_of(method), strict=True))
        influences = {seed: reader.influence(run, estimand) for seed, run in runs.items()}
        defined = [seed for seed, influence in influences.items() if not math.isnan(influence.value)]
        used, tested = [influences[seed] for seed in defined], [runs[seed] for seed in defined]
        smallest = min((influence.smallest for influence in influences.values()), default=None)
        of_runs = {
            seed: Estimate(None, None, None, len(influence.rows), (str(influence.reason),))
            for seed, influence in influences.items()
        }
        if not defined:
            return Values(of_runs, Estimate(None, None, None, 0), defined, smallest)
        by_run = RunsByUnit.of(reader, tested, used)
        n = count_distinct([run.rows[influence.rows] for run, influence in zip(tested, used, strict=True)])
        intervals = run_intervals(estimand.measure, used, by_run, reader.sample)
        for seed, influence, interval in zip(defined, used, intervals, strict=True):
            of_runs[seed] = estimate_of([influence], interval, len(influence.rows))
        mean = marginal_interval(estimand.measure, used, by_run, reader.sample)
        return Values(of_runs, estimate_of(used, mean, n), defined, smallest)

    def gaps(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """The gap between a group and whom it is compared with, of each run, and of the mean over runs."""
        opposite = self.reader.opposite(estimand.subset) if estimand.subset.level == "group" else None
        if opposite is None or not estimand.measure.gaps:
            return
        closed = self.to_rest.gaps(estimand, method)
        if closed is not None and closed[0].defined(closed[1]):
            estimates, smallest = closed[0].estimates(closed[1])
        else:
            estimates, smallest = estimates_of_gap(self.reader, estimand, opposite, method)
        estimates = [replace(estimate, against=opposite.name_against) for estimate in estimates]
        yield from self._by_run(estimand, method, estimates, smallest)

    def _by_run(
        self, estimand: Estimand, method: str, estimates: Sequence[Estimate], smallest: int | None
    ) -> Iterator[tuple[int | None, Estimate]]:
        """Estimates of each run, the last of them over runs, by seed and with their notes."""
        seeds, present = self.evaluation.seeds(method), list(self.reader.by_seed(method))
        general = self._notes_on(estimand, method, smallest)
        if not self.reader.together(method):
            for seed, estimate in zip(present, estimates[:-1], strict=True):
                yield seed, _completed(estimate, general, None)
        notes = [*general, *missing_note(method, seeds, self.evaluation.absent, f"have no {self.evaluation.records}")]
        defined = sum(estimate.value is not None for estimate in estimates[:-1])
        if defined < len(present):
            notes.append(f"defined in {defined} of {len(present)} runs")
        yield None, _completed(estimates[-1], [*notes, *([ONE_SEED] if defined == 1 else [])], None)

    def _notes_on(self, estimand: Estimand, method: str, smallest: int | None) -> list[str]:
        """The notes on the estimates of a method."""
        notes = [*self.notes.of_estimate(estimand, smallest), *self.notes.of_likeliest_class(estimand, method)]
        return notes + self.reader.caveats(estimand, method)

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Every method with every reference: changes, and for a group changes of its gap to whom it is compared with.

        Where there is no reference, or gaps are asked for, the gap of every method.
        """
        measure, subset, references = estimand.measure, estimand.subset, self.evaluation.design.references
        opposite = self.reader.opposite(subset) if measure.gaps and subset.level == "group" else None
        # Of two groups each is all that is not the other; where one of them is what is compared with, one is compared.
        mirrored = opposite is not None and self.reader.groups(subset.attribute).two_halves
        if not (
            measure.direction or measure.by_favourable or measure.two_sided
        ):  # a property of the data: shown, not compared
            return
        for method, reference in pairs(self.methods, references):
            yield change(estimand, method, reference, measure.direction, measure.decides)
            if opposite is not None:
                yield gap_change(estimand, method, reference, measure.direction, opposite, mirrored)
        for method in self.methods if opposite is not None and (self.design.gaps or not references) else ():
            yield gap(estimand, method, measure.direction, opposite, mirrored)

    def evidence(self, comparison: Comparison) -> Evidence:
        """The evidence paired by seed and example; unpaired where the rows of two methods could not be matched.

        Where runs look collapsed, also the evidence without their seeds.
        """
        evidence = self._evidence(comparison)
        collapsed = self.collapsed(comparison.method, str(comparison.reference))
        if not collapsed:
            return evidence
        left = self._without(frozenset(collapsed))
        if {comparison.method, comparison.reference} <= {method for method, _ in left.evaluation.runs}:
            without = left._evidence(comparison)
        else:
            without = Evidence(None, 0, 0, nothing="a run of every seed looks collapsed")
        return replace(evidence, collapsed=tuple(collapsed.values()), without=without)

    def collapsed(self, method: str, reference: str) -> Mapping[int, str]:
        """The seeds at which a run of two methods looks collapsed, with the reasons; of paired predictions only."""
        if self.kind != "predictions" or self.design.paired == "none":
            return {}
        if (method, reference) not in self._collapsed:
            self._collapsed[method, reference] = collapsed_runs(self.reader, method, reference)
        return self._collapsed[method, reference]

    def _without(self, seeds: frozenset[int]) -> PredictionReading:
        """The reading without some seeds."""
        if seeds not in self._readings:
            kept = {key: run for key, run in self.evaluation.runs.items() if key[1] not in seeds}
            self._readings[seeds] = replace(self, evaluation=replace(self.evaluation, runs=kept))
        return self._readings[seeds]

    def _evidence(self, comparison: Comparison) -> Evidence:
        estimand = comparison.estimand
        notes = self.notes.left_out(estimand)
        note = estimand.measure.note(estimand.subset.level)
        notes += [note] if note else []
        for method in filter(None, (comparison.method, comparison.reference)):
            notes += self.notes.of_likeliest_class(estimand, method)
        if comparison.kind == "gap":
            return gap_evidence(self.to_rest, comparison, notes)
        notes += self.notes.of_missing(comparison)
        unpaired = self.design.paired == "none"
        if comparison.kind == "gap change":
            found = (
                unpaired_gap_change_evidence(self.reader, comparison, notes)
                if unpaired
                else gap_change_evidence(self.to_rest, comparison, notes)
            )
            return found if comparison.decides else replace(found, gaps=None)  # one word for a rate and its complement
        if unpaired:
            return unpaired_evidence(self.reader, comparison, notes)
        return paired_evidence(self.rates, comparison, notes)

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterator[SettingContrast]:
        """All contrasts, with the names of their resampling units."""
        names = self.evaluation.population.unit_names
        return (replace(contrast, unit_names=names) for contrast in contrasts)

    def curves(self, judged: Sequence[Family]) -> Iterator[dict[str, Any]]:
        """Reliability, rates over thresholds where they are asked for, and the planted harm that would be detected."""
        if self.kind == "predictions":
            yield from reliability_curves(self.reader)
            if self.design.thresholds:
                yield from threshold_curves(self.reader)
            yield from detected_harm(self.reader, judged, self.design)


def _completed(estimate: Estimate, notes: Sequence[str], floor: NoiseFloor | None) -> Estimate:
    """The estimate with further notes, and its noise floor unless that is undefined."""
    floor = None if floor is None or math.isnan(floor.mean) else floor
    return replace(estimate, notes=(*estimate.notes, *notes), floor=floor)
