"""Estimates and compares numbers: columns of values, such as a grade or a toxicity, and predictions of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.comparisons import Evidence
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.estimands import Comparison, Estimand
from evenhand.audit.evaluation import NOT_AUDITED, Evaluation, Population, Run, groups_of, unit_codes, unit_names
from evenhand.audit.kinds.mean_calibration import mean_calibration_curves
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.measures import Kind
from evenhand.audit.measures.numbers import MeanOfValues, RankOf
from evenhand.audit.reading import Estimate
from evenhand.audit.runs.allowances import allowance_of
from evenhand.audit.runs.by_unit import RunsByUnit, steps_of
from evenhand.audit.runs.method_values import Values
from evenhand.audit.runs.skewness import SkewnessAllowance
from evenhand.audit.trial_records import by_run
from evenhand.audit.verdicts import Family
from evenhand.errors import InputError, did_you_mean

LEAST_RANKED = 30
"""The fewest units of a side from which ranks are judged."""


@dataclass(frozen=True, eq=False)
class NumberReading(PredictionReading):
    """Numbers of one setting and split.

    Attributes:
        kind: `values`, or `regression`.
    """

    kind: Kind = "values"

    def estimates(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """The estimate of each run, and of all together; by rank it follows from the gap, which is 2P − 1."""
        if not isinstance(estimand.measure.influence, RankOf):
            yield from super().estimates(estimand, method)
            return
        for seed, gap in super().gaps(estimand, method):
            value, low, high = (None if end is None else (1 + end) / 2 for end in (gap.value, gap.low, gap.high))
            yield seed, Estimate(value, low, high, gap.n, gap.notes)

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Changes, gaps and their changes; by rank groups are compared with each other only."""
        ranked = isinstance(estimand.measure.influence, RankOf)
        return (one for one in super().comparisons(estimand) if not (ranked and one.kind == "change"))

    def _evidence(self, comparison: Comparison) -> Evidence:
        """The evidence on a comparison; by rank with a doubt where a side has few units."""
        evidence = super()._evidence(comparison)
        influence = comparison.estimand.measure.influence
        if not (isinstance(influence, RankOf) or (isinstance(influence, MeanOfValues) and influence.logarithms)):
            evidence = replace(evidence, magnitude=self._magnitude)
        if isinstance(influence, RankOf) and evidence.smallest < LEAST_RANKED:
            few = f"fewer than {LEAST_RANKED} {self.reader.sample} on a side: ranks are shown, not judged"
            return replace(evidence, doubts=(*evidence.doubts, few))
        return evidence

    @cached_property
    def _magnitude(self) -> float:
        """The size of the numbers: the median of those that are not 0, without signs, so that few do not matter."""
        numbers = [run.predicted for run in self.evaluation.runs.values()]
        sizes = np.abs(np.concatenate([*numbers, self.evaluation.population.label]).astype(float))
        sizes = sizes[sizes > 0]  # labels are nan where nobody tested
        return float(np.median(sizes)) if len(sizes) else 0.0

    def curves(self, judged: Sequence[Family]) -> Iterator[dict[str, Any]]:
        """Of regression the mean label against the mean prediction."""
        if self.kind == "regression":
            yield from mean_calibration_curves(self.reader)

    def _values(self, estimand: Estimand, method: str, present: Sequence[int]) -> Values:
        """The estimand in each run and over runs, with a note where its interval is not promised."""
        values = super()._values(estimand, method, present)
        if values.mean.low is None:
            return values
        runs = dict(zip(present, self.reader.runs_of(method), strict=True))
        used = [runs[seed] for seed in values.defined]
        influences = [self.reader.influence(run, estimand) for run in used]
        allowance = allowance_of(influences)
        if not isinstance(allowance, SkewnessAllowance):
            return values
        caveats = allowance.caveats_on_mean(RunsByUnit.of(self.reader, used, influences).sample(steps_of(influences)))
        return replace(values, mean=replace(values.mean, notes=(*values.mean.notes, *caveats)))


def readings(
    examples: pl.DataFrame, trials: pl.DataFrame, values: pl.DataFrame, design: Design
) -> Iterator[NumberReading]:
    """The reading of each setting, audited split and name of values, and of regression.

    Args:
        examples, trials, values: the tables. Only final values (`step` null) of trials of the role `study` count.
        design: who is compared with whom, which numbers were predicted, and which measures values are.

    Raises:
        InputError: values of examples that are not in the table, or that the design does not declare.
    """
    final = values.filter(pl.col("step").is_null() & ~pl.col("split").is_in(NOT_AUDITED))
    declared = [measure.name for measure in design.declared if measure.kind == "values"]
    for setting, setting_design in design.settings.items():
        setting_trials = trials.filter(setting=setting, role="study")
        of_setting = final.filter(pl.col("trial").is_in(setting_trials["trial"].unique().to_list()))
        if of_setting.is_empty():
            continue
        setting_examples = examples.filter(setting=setting).with_row_index("row")
        placed = _placed(setting, of_setting, setting_examples)
        population = _population(setting_examples)
        regression = setting_design.regression
        predicted = () if regression is None else (regression.label, regression.prediction)
        _check_names(setting, placed, [*declared, *predicted])
        for split in sorted(placed["split"].unique().to_list(), key=lambda name: (name != "test", name)):
            here = placed.filter(split=split)
            of = _Place(setting, split, setting_design, setting_trials)
            if regression is not None:
                label = _labels(here.filter(name=regression.label), len(setting_examples))
                own = here.filter(name=regression.prediction)
                evaluation = of.evaluation(replace(population, label=label), own, "predictions")
                yield NumberReading(evaluation, design, "regression")
            for name in declared:
                own = here.filter(name=name)
                if len(own):
                    evaluation = of.evaluation(population, own, f"values of {name}")
                    yield NumberReading(evaluation, design, only=name)


@dataclass(frozen=True, eq=False)
class _Place:
    """A setting and split, with the trials of the setting."""

    setting: str
    split: str
    design: SettingDesign
    trials: pl.DataFrame

    def evaluation(self, population: Population, values: pl.DataFrame, records: str) -> Evaluation:
        """The runs of some values, the rows of which are numbered by example."""
        samples: dict[bytes, np.ndarray] = {}
        parts = values.partition_by("trial", as_dict=True)
        by_trial = {str(key[0]): _run(part, samples) for key, part in parts.items()}
        found = by_run(self.trials, self.design.methods, by_trial, f"there are no {records}")
        universe = np.zeros(len(population.label), dtype=bool)
        universe[values["row"].to_numpy()] = True
        return Evaluation(
            self.setting,
            self.split,
            self.design,
            population,
            found.methods,
            (),
            found.present,
            found.absent,
            universe,
            records,
        )


def _run(values: pl.DataFrame, samples: dict[bytes, np.ndarray]) -> Run:
    """A trial's numbers; its rows are those of an earlier one on the same examples, which `samples` remembers."""
    values = values.sort("row")
    rows = values["row"].to_numpy().astype(np.int64)
    return Run(samples.setdefault(rows.tobytes(), rows), values["value"].to_numpy(), None)


def _placed(setting: str, values: pl.DataFrame, examples: pl.DataFrame) -> pl.DataFrame:
    """The values with the rows of their examples."""
    placed = values.join(examples.select("row", "example"), on="example", how="left")
    unknown = placed.filter(pl.col("row").is_null())
    if len(unknown):
        raise InputError(
            f"setting {setting}: {len(unknown)} values are of examples that the table examples lacks, such as "
            f"{unknown['example'][0]!r} in the split {unknown['split'][0]}"
        )
    return placed


def _check_names(setting: str, values: pl.DataFrame, known: Sequence[str]) -> None:
    """Refuse values whose meaning the design does not declare."""
    for name in values["name"].unique(maintain_order=True):
        if name not in known:
            raise InputError(f'setting {setting}: the design declares no values "{name}"; {did_you_mean(name, known)}')


def _population(examples: pl.DataFrame) -> Population:
    labels = np.zeros(len(examples), dtype=np.int64)
    return Population(
        labels, examples["weight"].to_numpy(), unit_codes(examples), groups_of(examples), unit_names(examples)
    )


def _labels(labels: pl.DataFrame, count: int) -> np.ndarray:
    """The true number of each example, float [n]; nan of those that no trial tested."""
    found = np.full(count, np.nan)
    found[labels["row"].to_numpy()] = labels["value"].to_numpy()
    return found
