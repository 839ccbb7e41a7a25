"""Estimates and compares how well linear probes read a target from models' layers.

`condition` is the target and the layer, `author/12`; 0 are the embeddings. Beside the methods stand untrained models of
the architecture, as the method `untrained`. Methods are compared in selectivity, at the layers that the design names.
What it means that one representation says more than another is no property of the measure: the design declares it by
target (`ProbedDesign.more`), and where it declares neither, a contrast is shown without a verdict. So is the contrast
with untrained models, which every trained one should exceed.

A run's probes are tested on a sample of examples, and compared with control tasks, whose labels are a sample, too: of
what a probe may have to learn by heart. Control tasks are the items: with the runs and the examples they are the third
source of chance. Their labels are the same in runs that share their examples, so that more runs do not remove what they
add.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import polars as pl

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.arrays.probe_answers import ProbeRun, probe_runs
from evenhand.audit.comparisons import ONE_SEED, TWO_WAY, Evidence
from evenhand.audit.design import Design, ProbedDesign
from evenhand.audit.estimands import Comparison, Estimand, change
from evenhand.audit.evaluation import unit_codes, unit_names
from evenhand.audit.kinds.items import ItemReading
from evenhand.audit.measures import Kind, Measure
from evenhand.audit.reading import LEVEL
from evenhand.audit.runs.items import ItemRuns
from evenhand.audit.trial_records import by_run
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import pairs
from evenhand.errors import InputError
from evenhand.records.probes import LAST, UNTRAINED, condition, named
from evenhand.stats.proportion import FEW, Widened, proportion_interval

SPLIT = "test"
DESCRIBED = "no verdict: method minus reference, positive where the method's representation reveals more"

Probes = Mapping[str, ProbeRun]
"""The probes of one run, by condition."""


@dataclass(frozen=True, eq=False)
class ProbeReading(ItemReading[Probes]):
    """One setting's probes; items are control tasks.

    Attributes:
        design: the targets and layers that were probed.
        unit: int, by example, the code of its resampling unit.
    """

    design: ProbedDesign
    unit: Mapping[str, int]

    kind: Kind = field(default="probes", init=False)
    examples: ClassVar[str] = "tested examples"
    missing: ClassVar[str] = "have no probes"
    one_method: ClassVar[str] = "has probes of one method only"
    other_sample: ClassVar[str] = "were probed with different examples"

    def layers(self, target: str) -> list[int]:
        """The layers that were probed for a target, ascending."""
        probed = {named(name) for probes in self.samples.values() for name in probes}
        return sorted(int(layer) for probed_target, layer in probed if probed_target == target)

    def estimands(self, measure: Measure) -> Iterator[Estimand]:
        """Every target in every layer."""
        for target in self.design.targets:
            for layer in self.layers(target):
                yield Estimand(measure, condition=condition(target, layer), family=f"layer of {target}")

    def runs(self, method: str, estimand: Estimand) -> dict[int, Probes]:
        """The runs of a method that were probed for the target in the layer, by seed."""
        runs = super().runs(method, estimand)
        return {seed: probes for seed, probes in runs.items() if estimand.condition in probes}

    def items(self, sample: Probes, estimand: Estimand) -> Sequence[LinearEstimate]:
        """The mean over examples, by control task."""
        values = estimand.measure.influence(sample[str(estimand.condition)])
        return [LinearEstimate.mean(task) for task in values]

    def units(self, sample: Probes, estimand: Estimand) -> np.ndarray:
        """int [n], the code of each example's resampling unit."""
        return np.array([self.unit[example] for example in self.sampled(sample, estimand)], dtype=np.int64)

    def sampled(self, sample: Probes, estimand: Estimand) -> Sequence[str]:
        """The tested examples."""
        return sample[str(estimand.condition)].examples

    def bounds(self, runs: ItemRuns, estimand: Estimand) -> tuple[float, float] | None:
        """The 95% interval of an estimate; an accuracy has Wilson's."""
        whole = runs.mean.whole
        if math.isnan(whole.variance):
            return None
        if estimand.measure.proportion:
            return proportion_interval(whole, runs.kish, LEVEL)
        tail = (1 - LEVEL) / 2
        return Widened(whole, 1 / whole.units).bounds(tail) if runs.apart < FEW else whole.bounds(tail)

    def adjusted(self, change: ItemRuns) -> Widened | None:
        """The interval of a contrast for few discordant units; None where there are enough."""
        whole = change.mean.whole
        return Widened(whole, 1 / whole.units) if change.discordant < FEW else None

    def closing(self, runs: ItemRuns) -> tuple[str, ...]:
        """The last notes of a contrast: how its interval was made, and that it includes the noise of control tasks."""
        tasks = f"{runs.values.shape[1]} control tasks with randomly drawn labels: the interval includes their variance"
        return (TWO_WAY[self.vary] if len(runs.values) > 1 else ONE_SEED, tasks)

    def direction(self, target: str, reference: str) -> tuple[int, bool]:
        """Whether a higher accuracy on a target is worse (1) or better (−1), and whether that is judged."""
        more = self.design.more.get(target, "neither")
        if reference == UNTRAINED or more == "neither":
            return 1, False
        return (-1 if more == "better" else 1), True

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Every method with every reference and with untrained models, at the layers that are judged."""
        if not estimand.measure.direction:
            return
        target, layer = named(str(estimand.condition))
        layers = self.layers(target)
        judged = layers[-1:] if self.design.judged is None else self.design.judged
        if int(layer) not in judged:
            return
        methods = [name for name in self.methods if name != UNTRAINED]
        with_untrained = [(method, UNTRAINED) for method in methods] if UNTRAINED in self.methods else []
        for method, reference in (*pairs(methods, self.references), *with_untrained):
            yield change(estimand, method, reference, *self.direction(target, reference))

    def evidence(self, comparison: Comparison) -> Evidence:
        """The evidence by seed, on the examples that both methods were probed with."""
        evidence = super().evidence(comparison)
        return evidence if comparison.decides else replace(evidence, notes=(DESCRIBED, *evidence.notes))

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterator[SettingContrast]:
        """Contrasts with verdicts at the last layer, under a name that models of other depths share."""
        for contrast in super().pooled(contrasts):
            comparison = contrast.comparison
            target, layer = named(str(comparison.estimand.condition))
            if comparison.decides and int(layer) == max(self.layers(target)):
                last = replace(comparison.estimand, condition=condition(target, LAST))
                yield replace(contrast, comparison=replace(comparison, estimand=last))


def readings(
    examples: pl.DataFrame, trials: pl.DataFrame, probes: pl.DataFrame, design: Design
) -> Iterator[ProbeReading]:
    """The reading of each setting that was probed.

    Args:
        examples, trials, probes: the tables. Only trials of the role `study` count.
        design: who is compared with whom.

    Raises:
        InputError: probes of examples that are not in the table, or control tasks that are missing or are not about the
            same examples.
    """
    for setting, setting_design in design.settings.items():
        if setting_design.probed is None:
            continue
        setting_examples = examples.filter(setting=setting)
        unit = dict(zip(setting_examples["example"], unit_codes(setting_examples), strict=True))
        setting_trials = trials.filter(setting=setting, role="study")
        setting_probes = probes.filter(pl.col("trial").is_in(setting_trials["trial"].unique().to_list()))
        unknown = setting_probes.filter(~pl.col("example").is_in(list(unit)))
        if len(unknown):
            raise InputError(
                f"setting {setting}: {len(unknown)} probes are of examples that the table examples lacks, such as "
                f"{unknown['example'][0]!r}"
            )
        parts = {
            str(key[0]): probe_runs(part) for key, part in setting_probes.partition_by("trial", as_dict=True).items()
        }
        runs = by_run(setting_trials, setting_design.methods, parts, "there are no probes")
        if not runs.present:
            continue
        samples: dict[tuple[str, int], Probes] = {}
        for (method, seed), probes_of_run in runs.present.items():
            samples[method, seed] = {_condition(run): run for run in probes_of_run if not _is_untrained(run)}
            untrained = {_condition(run): run for run in probes_of_run if _is_untrained(run)}
            if untrained:  # the same in every trial of a seed
                samples.setdefault((UNTRAINED, seed), untrained)
        methods = (*runs.methods, *([UNTRAINED] if any(name == UNTRAINED for name, _ in samples) else []))
        common = (
            methods,
            setting_design.references,
            samples,
            runs.absent,
            setting_design.vary,
            design.support,
            unit_names(setting_examples),
        )
        yield ProbeReading(setting, SPLIT, *common, setting_design.probed, unit)


def _is_untrained(run: ProbeRun) -> bool:
    """Whether the probed model is the untrained one."""
    return run.target.endswith(f"/{UNTRAINED}")


def _condition(run: ProbeRun) -> str:
    """The target and layer of a probe, as conditions name them."""
    return condition(run.target.removesuffix(f"/{UNTRAINED}"), run.layer)
