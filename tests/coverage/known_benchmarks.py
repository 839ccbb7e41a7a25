"""Benchmarks whose accuracies are known exactly: documents of groups, templates and models with shared effects.

A document is answered right where Φ⁻¹(p) + √e·(effect of its template) + √s·(effect of the run) + noise > 0; all
effects together have variance 1, so that the share of right answers of a group is p whatever the correlations are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import norm

from evenhand.audit.arrays.benchmark_documents import BenchmarkScores, Documents
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.kinds.benchmarks import BenchmarkReading
from evenhand.audit.measures import measure_named
from evenhand.audit.reading import setting_contrasts
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import families
from random_effects import METHODS, names_of

TASK, ATTRIBUTE, SUPPORT = "bbq", "kind", 10


@dataclass(frozen=True)
class KnownBenchmarks:
    """Two methods with known rates in each group of documents of one benchmark.

    Attributes:
        rates: by method and group float [G].
        templates: of each group; with `crossed` each template has documents of every group.
        copies: documents of a template, in a group.
        metric: the harness's name; whether more of it is better or worse follows from the measure.
        runs: of each method.
        template, run: shares of the variance that templates and runs have; the methods share `together` of the former.
        crossed: whether templates hold documents of all groups, as a sentence with its names exchanged does.
        unequal: documents of each template of a group in turn, instead of `copies`; not with `crossed`.
    """

    rates: Mapping[str, tuple[float, ...]]
    templates: tuple[int, ...]
    copies: int = 2
    metric: str = "acc"
    runs: int = 5
    template: float = 0.4
    run: float = 0.02
    together: float = 0.8
    crossed: bool = False
    unequal: tuple[int, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)

    @property
    def design(self) -> Design:
        """Of the one setting."""
        one = SettingDesign(references=("reference",), methods=METHODS, vary=False)
        return Design(settings={"main": one}, margins=dict(self.margins))

    @property
    def groups(self) -> np.ndarray:
        """int [n], the group of each document."""
        return np.repeat(np.repeat(np.arange(len(self.templates)), self.templates), self._documents)

    @property
    def _documents(self) -> np.ndarray:
        """int [templates of all groups], the documents of each template."""
        of_group = self.unequal or (self.copies,)
        return np.concatenate([np.resize(of_group, count) for count in self.templates])

    @property
    def units(self) -> np.ndarray:
        """int [n], the template of each document."""
        if self.crossed:
            return np.concatenate([np.repeat(np.arange(count), self.copies) for count in self.templates])
        return np.repeat(np.arange(sum(self.templates)), self._documents)

    def draw(self, rng: np.random.Generator) -> BenchmarkReading:
        """One repetition."""
        group, unit = self.groups, self.units
        count = int(unit.max()) + 1
        shared = rng.normal(size=count)
        names = [f"{ATTRIBUTE}={name}" for name in "abcdefghijklm"[: len(self.templates)]]
        masks = {name: group == index for index, name in enumerate(names)}
        key, ids, samples = (TASK, self.metric), tuple(map(str, range(len(group)))), {}
        for method in METHODS:
            own = np.sqrt(self.together) * shared + np.sqrt(1 - self.together) * rng.normal(size=count)
            for run in range(self.runs):
                score = norm.ppf(np.array(self.rates[method]))[group] + np.sqrt(self.template) * own[unit]
                score += np.sqrt(self.run) * rng.normal()
                score += np.sqrt(1 - self.template - self.run) * rng.normal(size=len(group))
                right = (score > 0).astype(float)
                samples[method, run] = BenchmarkScores({key: Documents(ids, right, unit, masks)}, {key: right.mean()})
        common = (METHODS, ("reference",), samples, {}, False, SUPPORT, names_of(count))
        return BenchmarkReading("main", "test", *common, (TASK,))

    def gap_change_of(self, group: str, sign: float = -1.0) -> float:
        """The true gap change of a group, with the measure's sign."""
        size, rank = np.array(self.templates, dtype=float), "abcdefghijklm".index(group)
        rest = np.arange(len(size)) != rank
        change = np.array(self.rates["method"]) - np.array(self.rates["reference"])
        return float(sign * (change[rank] - change[rest] @ size[rest] / size[rest].sum()))


def gap_changes_of(world: KnownBenchmarks, rng: np.random.Generator, measure: str) -> Iterator[SettingContrast]:
    """The gap changes of one repetition."""
    reading = world.draw(rng)
    for estimand in reading.estimands(measure_named(measure)):
        for member in setting_contrasts(reading, estimand, world.design):
            if member.comparison.kind == "gap change":
                yield member


def rows_of(world: KnownBenchmarks, rng: np.random.Generator, measure: str) -> list[dict[str, Any]]:
    """The verdict rows of gap changes of one repetition."""
    found = families(list(gap_changes_of(world, rng, measure)), world.design)
    return [row for family in found for row in family.rows()]
