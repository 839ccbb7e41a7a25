"""The reading of predictions, and of translations in the same form: estimates and comparisons of one split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from evenhand.audit.comparisons import Evidence
from evenhand.audit.design import Design
from evenhand.audit.estimands import EVERYONE, Comparison, Estimand, Subset, change
from evenhand.audit.evaluation import Evaluation
from evenhand.audit.kinds.reliability_curves import reliability_curves
from evenhand.audit.measures import Kind, Measure
from evenhand.audit.measures.calibration import BELOW_ZERO
from evenhand.audit.measures.influence import Influence
from evenhand.audit.noise_floors import Floors
from evenhand.audit.planted_harm import detected_harm
from evenhand.audit.reading import Estimate
from evenhand.audit.runs.by_unit import RunsByUnit, marginal_interval
from evenhand.audit.runs.evidence import paired_evidence, unpaired_evidence
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.trial_records import missing_note
from evenhand.audit.verdicts import Family, SettingContrast, pairs
from evenhand.stats.contrast import count_distinct

ONE_SEED = "one seed: the interval holds the noise of the examples only, not that of training"


@dataclass(frozen=True, eq=False)
class PredictionReading:
    """Predictions of one setting and split.

    Attributes:
        evaluation: the runs.
        design: of the study.
        kind: `predictions`, or `translations`, whose classes are genders.
    """

    evaluation: Evaluation
    design: Design
    kind: Kind = "predictions"

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
    def floors(self) -> Floors:
        """The noise floors."""
        return Floors(self.reader)

    def estimands(self, measure: Measure) -> Iterator[Estimand]:
        """By class: everyone, then each attribute and its groups."""
        evaluation = self.evaluation
        classes: Iterable[tuple[int | None, str | None]] = [(None, None)]
        if measure.by_class and not evaluation.binary:
            classes = enumerate(evaluation.classes)
        for code, name in classes:
            if "everyone" in measure.levels:
                yield Estimand(measure, EVERYONE, code, name)
            for groups in evaluation.groups:
                if "attribute" in measure.levels:
                    yield Estimand(measure, Subset(groups.attribute), code, name)
                if "group" in measure.levels:
                    for group in groups.names:
                        yield Estimand(measure, Subset(groups.attribute, group), code, name)

    def estimates(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """Estimates of each run, and of all together.

        Rows with a seed have an interval for the noise of their test examples. The one without has the mean over the
        runs where the value is defined, with a two-way interval over runs and examples, and `n`, the distinct examples
        that the runs tested.
        """
        evaluation, reader = self.evaluation, self.reader
        seeds = evaluation.seeds(method)
        runs = {seed: evaluation.runs[method, seed] for seed in seeds if (method, seed) in evaluation.runs}
        effects = {seed: reader.influence(run, estimand) for seed, run in runs.items()}
        general = self._notes(estimand, list(effects.values()))
        defined = [seed for seed, effect in effects.items() if not math.isnan(effect.value)]
        floors = self.floors.floors(estimand, method, defined) if defined and estimand.measure.floor else {}
        chosen, tests = [effects[seed] for seed in defined], [runs[seed] for seed in defined]
        by_run = RunsByUnit.of(reader, tests, chosen) if defined else None
        for seed, effect in effects.items():
            if by_run is None or seed not in defined:
                yield seed, Estimate(None, None, None, len(effect.rows), (str(effect.reason), *general))
                continue
            run = by_run.run(defined.index(seed))
            estimate = _estimate(estimand.measure, [effect], run, len(effect.rows), general)
            yield seed, replace(estimate, floor=_known(floors.get(seed)))
        notes = [*general, *missing_note(method, seeds, evaluation.absent, "have no predictions")]
        if effects and len(defined) < len(effects):
            reasons = ", ".join(sorted({str(effects[seed].reason) for seed in effects if seed not in defined}))
            notes.append(f"defined in {len(defined)} of {len(effects)} runs ({reasons})")
        if by_run is None:
            yield None, Estimate(None, None, None, 0, tuple(notes))
            return
        if len(defined) == 1:
            notes.append(ONE_SEED)
        n = count_distinct([run.rows[effect.rows] for run, effect in zip(tests, chosen, strict=True)])
        yield None, replace(_estimate(estimand.measure, chosen, by_run, n, notes), floor=_known(floors.get(None)))

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Every method with every reference."""
        direction = estimand.measure.direction
        for method, reference in pairs(self.methods, self.evaluation.design.references) if direction else ():
            yield change(estimand, method, reference, direction, estimand.measure.decides)

    def evidence(self, comparison: Comparison) -> Evidence:
        """Paired by seed and example, unless the design says that rows could not be matched."""
        estimand = comparison.estimand
        notes = self._left_out(estimand)
        note = estimand.measure.note(estimand.subset.level)
        notes += [note] if note else []
        evidence = unpaired_evidence if self.design.paired == "none" else paired_evidence
        return evidence(self.reader, comparison, notes)

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterator[SettingContrast]:
        """All contrasts."""
        names = self.evaluation.population.unit_names
        return (replace(contrast, unit_names=names) for contrast in contrasts)

    def curves(self, judged: Sequence[Family]) -> Iterator[dict[str, Any]]:
        """Reliability, and the planted harm that this study would have detected."""
        if self.kind == "predictions":
            yield from reliability_curves(self.reader)
            yield from detected_harm(self.reader, judged, self.design)

    def _notes(self, estimand: Estimand, effects: Sequence[Influence]) -> list[str]:
        notes = self._left_out(estimand)
        support = self.design.support
        level = estimand.subset.level
        if level != "attribute" and effects and min(effect.smallest for effect in effects) < support:
            notes.append(f"fewer than {support} examples in some run")
        note = estimand.measure.note(level)
        return [*notes, note] if note else notes

    def _left_out(self, estimand: Estimand) -> list[str]:
        if estimand.subset.level != "attribute":
            return []
        left = self.reader.left_out(estimand)
        if not left:
            return []
        return [f"left out, with fewer than {self.design.support} examples in some run: {', '.join(left)}"]


def _estimate(
    measure: Measure, effects: Sequence[Influence], runs: RunsByUnit, n: int, notes: Sequence[str]
) -> Estimate:
    value, low, high = marginal_interval(measure, effects, runs)
    reasons = sorted({effect.reason for effect in effects if effect.reason}) if len(effects) == 1 else []
    corrected = None
    squared = float(np.mean([effect.squared for effect in effects]))
    if squared >= 0:
        corrected = math.sqrt(squared)
    elif squared < 0:
        reasons.append(BELOW_ZERO)
    return Estimate(value, low, high, n, (*reasons, *notes), corrected)


def _known(floor: Any) -> Any:
    """The floor, unless it is undefined."""
    return None if floor is None or math.isnan(floor.mean) else floor
