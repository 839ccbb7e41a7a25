"""A setting's examples and runs as arrays: groups, resampling units, and each run's predictions by split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.arrays.texts import Texts
from evenhand.audit.design import SettingDesign
from evenhand.audit.trial_records import seed_pairs, seeds_of

NOT_AUDITED = ("train", "validation")
"""Splits whose predictions and responses are not audited."""


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of one attribute over the examples of one setting.

    Attributes:
        attribute: its name.
        names: of the groups [G], sorted; a missing value is the group `(missing)`.
        masks: bool [n, G].
        defined: bool [n]; False where the attribute does not exist for an example (a further test set without it).
            Such examples are neither in a group nor in a group's complement.
    """

    attribute: str
    names: tuple[str, ...]
    masks: np.ndarray
    defined: np.ndarray

    def mask(self, name: str) -> np.ndarray:
        """The members of a group, bool [n]; of one that does not occur nobody."""
        return self.masks[:, self.names.index(name)] if name in self.names else np.zeros(len(self.defined), dtype=bool)

    @cached_property
    def two_halves(self) -> bool:
        """Whether everybody is in one of two groups, so that each is the other's rest."""
        return len(self.names) == 2 and bool((self.masks.sum(axis=1) == self.defined).all())


def groups_of(examples: pl.DataFrame) -> tuple[Groups, ...]:
    """The groups of every attribute of a setting's examples that is defined for at least one of them."""
    attribute_groups = []
    for attribute in records.attributes(examples):
        column = examples[records.ATTRIBUTE + attribute]
        defined = column.is_not_null().to_numpy()
        if not defined.any():
            continue
        long = pl.DataFrame({"row": np.arange(len(column)), "group": column}).explode("group").drop_nulls("group")
        names = sorted(long["group"].unique().to_list())
        masks = np.zeros((len(column), len(names)), dtype=bool)
        codes = long["group"].replace_strict(names, range(len(names)), return_dtype=pl.Int64) if names else long["row"]
        masks[long["row"].to_numpy(), codes.to_numpy()] = True
        attribute_groups.append(Groups(attribute, tuple(names), masks, defined))
    return tuple(attribute_groups)


def unit_codes(examples: pl.DataFrame) -> np.ndarray:
    """Codes of the resampling units of a setting's examples, int [n]; they follow the names of the units."""
    return examples["unit"].rank("dense").cast(pl.Int64).to_numpy() - 1


def unit_names(examples: pl.DataFrame) -> np.ndarray:
    """The names of a setting's resampling units in the order of their codes, str [U]."""
    return examples["unit"].unique().sort().to_numpy()


@dataclass(frozen=True, eq=False)
class Population:
    """The examples of one setting, in the order of the table.

    Attributes:
        label: int [n]; −1 where it is null. Of regression float [n], the true numbers.
        weight: float [n].
        unit: int [n], codes of the resampling units.
        groups: one entry per attribute.
        unit_names: str [U], of the units, in the order of their codes; may be left out (empty) where one setting is
            audited, since they match the units of several.
    """

    label: np.ndarray
    weight: np.ndarray
    unit: np.ndarray
    groups: tuple[Groups, ...]
    unit_names: np.ndarray


@dataclass(frozen=True, eq=False)
class Run:
    """One trial's predictions of one split.

    Attributes:
        rows: int [m], ascending positions in the population; runs of one evaluation on the same examples share it.
        predicted: int [m], codes of classes; of values and of regression float [m], the numbers.
        probabilities: float64 [m, C], or None where only labels are known.
        texts: of translations, what was generated.
    """

    rows: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    texts: Texts | None = None

    @cached_property
    def key(self) -> bytes:
        """A key that is equal for runs on the same examples."""
        return self.rows.tobytes()

    def take(self, rows: np.ndarray) -> Run:
        """The run with only the predictions of these examples, positions in the population that it has predicted."""
        index = np.searchsorted(self.rows, rows)
        probabilities = None if self.probabilities is None else self.probabilities[index]
        return Run(rows, self.predicted[index], probabilities, None if self.texts is None else self.texts.take(index))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One split of one setting: everything that estimates and contrasts of it need.

    Attributes:
        methods: in the order of the report.
        classes: names [C].
        runs: by method and seed.
        absent: why a (method, seed) has no predictions: the trial failed, or made none.
        universe: bool [n], examples that belong to this split's data.
        records: what its runs consist of, for notes on those that are missing.
    """

    setting: str
    split: str
    design: SettingDesign
    population: Population
    methods: tuple[str, ...]
    classes: tuple[str, ...]
    runs: Mapping[tuple[str, int], Run]
    absent: Mapping[tuple[str, int], str]
    universe: np.ndarray
    records: str = "predictions"

    @property
    def binary(self) -> bool:
        return len(self.classes) <= 2

    def seeds(self, method: str) -> list[int]:
        """The seeds that a method was run with, failed ones included."""
        return self._seeds.get(method, [])

    @cached_property
    def _seeds(self) -> dict[str, list[int]]:
        return {method: seeds_of(method, self.runs, self.absent) for method in self.methods}

    @cached_property
    def groups(self) -> tuple[Groups, ...]:
        """The attributes and groups that occur in this split's data."""
        kept = []
        for groups in self.population.groups:
            present = np.flatnonzero(groups.masks[self.universe].sum(axis=0))
            if len(present):
                names = tuple(groups.names[index] for index in present)
                kept.append(Groups(groups.attribute, names, groups.masks[:, present], groups.defined))
        return tuple(kept)

    def missing(self, method: str, reference: str) -> tuple[np.ndarray, np.ndarray]:
        """How often two methods lack a prediction that the other has in a run that it is compared with.

        Returns:
            int [2, n], of the method and of the reference, by example; and int [n], how often either has one.
        """
        pair = (method, reference)
        if pair not in self._missing:
            n = len(self.population.label)
            lost, asked = np.zeros((2, n), dtype=np.int64), np.zeros(n, dtype=np.int64)
            for seed, other in seed_pairs(self.seeds(method), self.seeds(reference))[0]:
                ours, theirs = self.runs.get((method, seed)), self.runs.get((reference, other))
                if ours is None or theirs is None:
                    continue
                tested = np.zeros((2, n), dtype=bool)
                tested[0, ours.rows] = tested[1, theirs.rows] = True
                lost += tested.any(axis=0) & ~tested
                asked += tested.any(axis=0)
            self._missing[pair] = lost, asked
        return self._missing[pair]

    @cached_property
    def _missing(self) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
        return {}

    @cached_property
    def by_content(self) -> np.ndarray:
        """int [n], the examples in an order that their contents decide, so that random draws do not follow the table.

        The examples of a unit stand together. Examples that agree in everything are in the order of the table:
        whichever comes first, a draw means the same. Numbers that a model computed only order examples that agree in
        everything else: their last digits differ between processors, and then only examples that are nearly alike
        change places.
        """
        population = self.population
        columns = [population.label, population.weight]
        for groups in population.groups:
            columns += [groups.defined, *np.packbits(groups.masks, axis=1).T]
        code = np.zeros(len(population.label), dtype=np.uint64)
        for column in columns:
            code = _mixed(code, column)
        computed = np.zeros(len(code))
        for place, key in enumerate(sorted(self.runs)):
            run = self.runs[key]
            numbers = [] if run.probabilities is None else [*run.probabilities.T]
            tested = np.zeros(len(code), dtype=np.uint64)
            if run.predicted.dtype.kind == "f":
                numbers.append(run.predicted)
                tested[run.rows] = 1
            else:
                tested[run.rows] = _mixed(tested[run.rows], run.predicted)
            code = _mixed(code, tested)
            for column, of_column in enumerate(numbers):
                computed[run.rows] += math.sqrt(place + 2) * math.sqrt(column + 2) * of_column
        _, unit = np.unique(population.unit, return_inverse=True)
        alone = len(unit) == 0 or unit.max() + 1 == len(unit)
        return np.lexsort((computed, code) if alone else (computed, code, unit))

    @cached_property
    def samples(self) -> list[np.ndarray]:
        """The distinct test samples: `rows` of the runs, each once."""
        arrays = {id(run.rows): run for run in self.runs.values()}  # most runs share theirs: few keys are made
        return list({run.key: run.rows for run in arrays.values()}.values())


def _mixed(code: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Hashes, uint64 [n], that depend on those before and on one more column (SplitMix64's finalizer)."""
    values = column if column.dtype == np.uint64 else column.astype(np.float64).view(np.uint64)
    code = (code ^ values) + np.uint64(0x9E3779B97F4A7C15)
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))
