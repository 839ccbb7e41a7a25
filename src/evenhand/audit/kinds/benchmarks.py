"""Estimates and compares scores on benchmarks of lm-evaluation-harness, by group of documents.

Rows are about one benchmark (`condition`), all of its documents or a group of them: a kind of bias, a category of
questions, a pronoun. `measure` is the harness's name for a metric, and a mean over documents here is the harness's own
number. Documents of one unit, such as a template with its names exchanged, are resampled together, and so are seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import polars as pl

from evenhand.audit.arrays.benchmark_documents import BenchmarkScores, benchmark_scores
from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.design import Design
from evenhand.audit.estimands import EVERYONE, Estimand, Subset
from evenhand.audit.kinds.item_gaps import SidedReading
from evenhand.audit.measures import Kind, Measure
from evenhand.audit.measures.benchmarks import NumberOf
from evenhand.audit.reading import Estimate
from evenhand.audit.trial_records import ONE_SEED, by_run
from evenhand.audit.verdict_rows import SettingContrast

NO_INTERVAL = "the harness's number, which is not a mean over documents: shown without an interval"


@dataclass(frozen=True, eq=False)
class BenchmarkReading(SidedReading[BenchmarkScores]):
    """One setting's benchmarks; a run has one item.

    Attributes:
        tasks: in the order of the report.
    """

    tasks: Sequence[str]

    kind: Kind = field(default="benchmarks", init=False)
    examples: ClassVar[str] = "documents"
    missing: ClassVar[str] = "were not scored"
    one_method: ClassVar[str] = "was scored with one method only"
    other_sample: ClassVar[str] = "were asked different documents"

    def estimands(self, measure: Measure) -> Iterator[Estimand]:
        """Each benchmark that has its metric, then groups of its documents."""
        influence, present = measure.influence, {}
        for scores in self.samples.values():
            for task in scores.tasks:
                if not influence.applies(scores, task):
                    continue
                present[task, EVERYONE] = None
                if "group" in measure.levels:
                    present |= {(task, Subset(*group)): None for group in scores.groups(task, influence.metric)}
        rank = {task: position for position, task in reversed(list(enumerate(self.tasks)))}
        for task, subset in sorted(present, key=lambda key: rank.get(key[0], len(self.tasks))):
            family = "benchmark" if subset.group is None else "group of a benchmark"
            yield Estimand(measure, subset, condition=task, family=family)

    def items(self, sample: BenchmarkScores, estimand: Estimand) -> Sequence[LinearEstimate]:
        """The metric; for a distance minus the value that means no preference."""
        subset, measure = estimand.subset, estimand.measure
        inside = None if subset.group is None else f"{subset.attribute}={subset.group}"
        if subset.complement:
            metric = measure.influence.of_rest(sample, estimand.condition, subset.attribute, inside, self.support)
        else:
            metric = measure.influence(sample, estimand.condition, subset.group, inside, self.support)
        return [replace(metric, value=metric.value - (measure.distance_from or 0.0))]

    def units(self, sample: BenchmarkScores, estimand: Estimand) -> np.ndarray:
        """int [n], the code of each document's resampling unit."""
        documents = sample.of(str(estimand.condition), estimand.measure.influence.metric, estimand.subset.group)
        return np.zeros(0, dtype=np.int64) if documents is None else documents.units

    def sampled(self, sample: BenchmarkScores, estimand: Estimand) -> Sequence[str] | None:
        """The documents."""
        documents = sample.of(str(estimand.condition), estimand.measure.influence.metric, estimand.subset.group)
        return None if documents is None else documents.examples

    def size(self, samples: Sequence[BenchmarkScores], estimand: Estimand) -> int:
        """The documents with a value, in the run with the most."""
        return max((int((self.items(scores, estimand)[0].weights > 0).sum()) for scores in samples), default=0)

    def estimate(self, estimand: Estimand, samples: Sequence[BenchmarkScores], notes: Sequence[str]) -> Estimate:
        """The mean over runs; without an interval where the harness's number is not a mean over documents."""
        influence = estimand.measure.influence
        if not isinstance(influence, NumberOf):
            return super().estimate(estimand, samples, notes)
        by_run = [influence(scores, str(estimand.condition)) for scores in samples]
        numbers = [number for number in by_run if number is not None]
        value = float(np.mean(numbers)) if numbers and len(numbers) == len(by_run) else None
        notes = [note for note in notes if note != ONE_SEED]  # there is no interval that could hold more
        return Estimate(value, None, None, None, (NO_INTERVAL, *notes))

    def has_gap(self, estimand: Estimand) -> bool:
        """Whether the estimand's group has a rest; it has none where the harness has a metric of the group alone."""
        influence, subset = estimand.measure.influence, estimand.subset
        if not estimand.measure.gaps or subset.level != "group":
            return False
        task, metric = str(estimand.condition), influence.metric
        return not any(scores.of_group(task, metric, subset.group) for scores in self.samples.values())

    def mirrored(self, estimand: Estimand) -> bool:
        """Whether the rest of the estimand's group is the attribute's only other group, in every run."""
        task, metric = str(estimand.condition), estimand.measure.influence.metric
        documents = [scores.of(task, metric, None) for scores in self.samples.values()]
        return all(one.two_halves(str(estimand.subset.attribute)) for one in documents if one is not None)

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterator[SettingContrast]:
        """All contrasts, benchmark by benchmark."""
        for contrast in super().pooled(contrasts):
            yield replace(contrast, pooled_with=contrast.comparison.estimand.condition)


def readings(
    examples: pl.DataFrame, trials: pl.DataFrame, harness: pl.DataFrame, design: Design
) -> Iterator[BenchmarkReading]:
    """The reading of each setting that was scored.

    Args:
        examples: not read: documents are no examples of a setting.
        trials, harness: the tables; of trials only those of the role `study` count.
        design: who is compared with whom.

    Raises:
        InputError: documents whose mean is not the number that the harness gave for all of them.
    """
    for setting, setting_design in design.settings.items():
        setting_trials = trials.filter(setting=setting, role="study")
        setting_scores = harness.filter(pl.col("trial").is_in(setting_trials["trial"].unique().to_list()))
        if setting_scores.is_empty():
            continue
        units = setting_scores["unit"].drop_nulls().unique().sort()
        codes = {unit: code for code, unit in enumerate(units)}
        parts = {str(key[0]): part for key, part in setting_scores.partition_by("trial", as_dict=True).items()}
        scores = {
            trial: benchmark_scores(part, codes, f"setting {setting}, trial {trial}") for trial, part in parts.items()
        }
        runs = by_run(setting_trials, setting_design.methods, scores, "no benchmark was scored")
        # The split of the setting's other rows, so that a report shows them together.
        split = "test" if setting_design.asked is None else setting_design.asked.split
        tasks = () if setting_design.harness is None else setting_design.harness.tasks
        common = (
            runs.methods,
            setting_design.references,
            runs.present,
            runs.absent,
            setting_design.vary,
            design.support,
        )
        yield BenchmarkReading(setting, split, *common, units.to_numpy(), tasks, gap_verdicts=design.gaps)
