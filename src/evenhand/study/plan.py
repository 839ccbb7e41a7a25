"""From a study to its trials: which examples, which hyperparameters, and the hash that is a trial's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, SettingDesign
from evenhand.data.dataset import Dataset, DataSpec, TrainingExamples, content_hash
from evenhand.data.splits import Split, split
from evenhand.errors import InputError
from evenhand.methods.method import Method
from evenhand.models.load import find, resolve_precision
from evenhand.study.spec import Setting, Study
from evenhand.tasks import parse_task
from evenhand.training.recipe import RECIPE, TrainSpec

if TYPE_CHECKING:
    from evenhand.models.load import BaseModel


@dataclass(frozen=True, eq=False)
class Prepared:
    """A setting with its data and its base model at hand.

    Attributes:
        name: of the setting.
        spec: the setting as resolved.
        base: the base model.
        data: the task's options.
        dataset: the task's examples.
        evaluate: further test sets by name.
    """

    name: str
    spec: Setting
    base: BaseModel
    data: DataSpec
    dataset: Dataset
    evaluate: Mapping[str, Dataset]

    def split(self, seed: int) -> Split:
        return split(self.dataset, self.spec.split, self.spec.limit, seed)


@dataclass(frozen=True, eq=False)
class Trial:
    """One fine-tuning run of a study, before it is run.

    Attributes:
        setting, method, seed: where the study uses it.
        parts: which examples it trains on, validates on and is tested on.
        examples: what it learns from, after `data:` has altered it.
        train: hyperparameters with the method's overrides, the precision concrete.
        hash: the identity (see `identity`).
        identity: the contents that training depends on.
    """

    setting: Prepared
    method: str
    seed: int
    parts: Split
    examples: TrainingExamples
    train: TrainSpec
    identity: Mapping[str, Any]

    @cached_property
    def hash(self) -> str:
        return hash_of(self.identity)

    @property
    def spec(self) -> Method:
        return self.setting.spec.method(self.method)

    @property
    def label(self) -> str:
        return f"{self.setting.name} · {self.method} · seed {self.seed}"

    @cached_property
    def validation(self) -> Dataset | None:
        return self.setting.dataset.take(self.parts.validation) if len(self.parts.validation) else None

    @cached_property
    def evaluations(self) -> dict[str, Dataset]:
        """The examples to predict, by `split`."""
        parts = {} if self.validation is None else {"validation": self.validation}
        return {**parts, "test": self.setting.dataset.take(self.parts.test), **self.setting.evaluate}

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What identifies the examples of each split, ids included."""
        return {name: _fingerprint(dataset) for name, dataset in self.evaluations.items()}


@dataclass(frozen=True, eq=False)
class Plan:
    """A study's settings, prepared, and its trials; two uses of one trial share its hash."""

    study: Study
    settings: Mapping[str, Prepared]
    trials: tuple[Trial, ...]

    def examples(self) -> pl.DataFrame:
        """The `examples` records of all settings."""
        frames = []
        for prepared in self.settings.values():
            frames.append(_example_rows(prepared.name, prepared.dataset))
            frames += [_example_rows(prepared.name, dataset) for dataset in prepared.evaluate.values()]
        return records.validate(pl.concat(frames, how="diagonal"), "examples")

    def design(self, source: str) -> Design:
        """What the audit needs to know of the study besides its records."""
        return Design(
            settings={name: _design(prepared) for name, prepared in self.settings.items()},
            measures=self.study.measures,
            margins=self.study.margins,
            margin_history=self.study.declared,
            source=source,
        )


def hash_of(identity: Mapping[str, Any]) -> str:
    """A trial's hash: 16 bytes of BLAKE2b over the canonical JSON of its identity."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def plan(study: Study, data: Path | None) -> Plan:
    """Load the data, find the base models and expand a study to its trials; trains nothing.

    Args:
        study: resolved.
        data: the folder of `--data`, with one folder per data set.

    Raises:
        InputError: data or a model that is missing or does not fit, a test set with other classes.
    """
    settings = {name: _prepare(name, setting, data) for name, setting in study.settings.items()}
    trials = [
        trial for prepared in settings.values() for seed in prepared.spec.seeds for trial in _trials(prepared, seed)
    ]
    return Plan(study, settings, tuple(trials))


def _prepare(name: str, setting: Setting, data: Path | None) -> Prepared:
    base = find(setting.model)
    spec = setting.data_spec()
    column = setting.split.column
    if isinstance(column, str) and "split_column" in type(spec).model_fields:
        spec = spec.model_copy(update={"split_column": column})
    dataset = _load(spec, data)
    if dataset.modality != base.modality:
        raise InputError(
            f"settings.{name}: {setting.model} reads {base.modality}s, but the task {setting.task['name']} "
            f"has {dataset.modality}s"
        )
    evaluate = {}
    for other, task in setting.evaluate.items():
        loaded = _load(parse_task(task)[1], data)
        if loaded.classes != dataset.classes:
            raise InputError(
                f"settings.{name}: the test set {other} has the classes {', '.join(loaded.classes)}, "
                f"the task has {', '.join(dataset.classes)}; they must be the same, in the same order"
            )
        evaluate[other] = _renamed(loaded, other)
    return Prepared(name, setting, base, spec, dataset, evaluate)


def _load(spec: DataSpec, data: Path | None) -> Dataset:
    folder = None
    if data is not None:
        if not data.is_dir():
            raise InputError(f"--data {data} is no folder; it should hold one folder per data set")
        folder = data / spec.folder_name if spec.folder_name else data
    return spec.load(folder)


def _renamed(dataset: Dataset, prefix: str) -> Dataset:
    """An extra test set's ids, made unlike those of the task's own examples."""
    from dataclasses import replace

    return replace(
        dataset,
        example=np.array([f"{prefix}/{example}" for example in dataset.example], dtype=object),
        unit=np.array([f"{prefix}/{unit}" for unit in dataset.unit], dtype=object),
    )


def _trials(prepared: Prepared, seed: int) -> list[Trial]:
    parts = prepared.split(seed)
    validation = content_hash(
        [prepared.dataset.inputs[int(i)] for i in parts.validation], prepared.dataset.labels[parts.validation]
    )
    altered: dict[str, tuple[TrainingExamples, str]] = {}
    trials = []
    for method in prepared.spec.methods:
        options = prepared.spec.alterations(method)
        key = json.dumps(options, sort_keys=True)
        if key not in altered:
            examples = prepared.data.training_examples(prepared.dataset, parts.train, options, seed)
            altered[key] = examples, content_hash(examples.inputs, examples.labels)
        examples, contents = altered[key]
        train = prepared.spec.training(method)
        train = train.model_copy(update={"precision": resolve_precision(train.precision)})
        identity = {
            "recipe": RECIPE,
            "task": "classification",
            "classes": len(prepared.dataset.classes),
            "training": contents,
            "validation": validation,
            "base": prepared.base.fingerprint,
            "method": prepared.spec.method(method).hyperparameters(),
            "train": train.model_dump(mode="json", exclude={"replicas"}),
            "seed": seed,
            "subset": None,
        }
        trials.append(Trial(prepared, method, seed, parts, examples, train, identity))
    return trials


def _fingerprint(dataset: Dataset) -> str:
    ids = hashlib.blake2b("\0".join(map(str, dataset.example)).encode(), digest_size=16).hexdigest()
    return f"{ids}-{content_hash(dataset.inputs, np.zeros(len(dataset), dtype=np.int64))}"


def _example_rows(setting: str, dataset: Dataset) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "setting": [setting] * len(dataset),
        "example": [str(example) for example in dataset.example],
        "label": dataset.labels.astype(np.int64),
        "weight": dataset.weight.astype(np.float64),
        "unit": [str(unit) for unit in dataset.unit],
    }
    for name, attribute in dataset.attributes.items():
        columns[records.ATTRIBUTE + name] = pl.Series(attribute.lists(), dtype=records.LISTS)
    return pl.DataFrame(columns)


def _design(prepared: Prepared) -> SettingDesign:
    spec = prepared.spec
    task = spec.task["name"] + (f"/{spec.task['target']}" if spec.task.get("target") else "")
    return SettingDesign(
        references=spec.reference,
        methods=tuple(spec.methods),
        classes=prepared.dataset.classes,
        vary=spec.split.vary and spec.split.column is None,
        test_share=len(prepared.split(spec.seeds[0]).test) / len(prepared.dataset),
        task=task,
        model=spec.model,
        notes=(*prepared.dataset.notes, *(note for other in prepared.evaluate.values() for note in other.notes)),
    )
