"""From a study to its trials: which examples, which hyperparameters, and the hash that is a trial's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.data.dataset import Dataset, TrainingExamples, content_hash
from evenhand.data.splits import Split
from evenhand.errors import InputError
from evenhand.methods.fit import check
from evenhand.methods.method import Method
from evenhand.models.load import resolve_precision
from evenhand.study.prepared import Prepared, Sample, keys_of, prepare
from evenhand.study.spec import KEEP, MAIN, Keep, Study
from evenhand.training.recipe import RECIPE, TrainSpec


@dataclass(frozen=True, eq=False)
class Trial:
    """One fine-tuning run of a study, before it is run.

    Attributes:
        setting, method, seed: where the study uses it.
        sample: who is trained, validated and tested.
        examples: what it learns from, after `data:` has altered it.
        train: hyperparameters with the method's overrides, the precision concrete.
        identity: the contents that training depends on.
        keep: what stays on disk.
        evaluations: the examples to predict, by `split`.
        fingerprints: what identifies the examples of each split, ids included.
    """

    setting: Prepared
    method: str
    seed: int
    sample: Sample
    examples: TrainingExamples
    train: TrainSpec
    identity: Mapping[str, Any]
    keep: Keep
    evaluations: Mapping[str, Dataset] = field(repr=False)
    fingerprints: Mapping[str, str] = field(repr=False)

    @cached_property
    def hash(self) -> str:
        """The identity in 16 bytes of BLAKE2b over its canonical JSON."""
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def parts(self) -> Split:
        return self.sample.parts

    @property
    def spec(self) -> Method:
        return self.setting.spec.method(self.method)

    @property
    def label(self) -> str:
        """How people are told of it; the setting of a study that has only one goes without saying."""
        setting = "" if self.setting.name == MAIN else f"{self.setting.name} · "
        return f"{setting}{self.method} · seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Plan:
    """A study's settings, prepared, and its trials.

    Attributes:
        trials: every use of a trial; two uses of one trial share its hash.
        distinct: each trial once, to be evaluated on the test sets of all its uses.
    """

    study: Study
    settings: Mapping[str, Prepared]
    trials: tuple[Trial, ...]
    distinct: tuple[Trial, ...]

    def examples(self) -> pl.DataFrame:
        """The `examples` records of all settings."""
        frames = [prepared.examples() for prepared in self.settings.values()]
        return records.validate(pl.concat(frames, how="diagonal"), "examples")

    def design(self, source: str) -> Design:
        """What the audit needs to know of the study besides its records."""
        return Design(
            settings={name: prepared.design() for name, prepared in self.settings.items()},
            measures=self.study.measures,
            margins=self.study.margins,
            margin_history=self.study.declared,
            source=source,
        )


def plan(study: Study, data: Path | None) -> Plan:
    """Load the data, find the base models and expand a study to its trials; trains nothing.

    Args:
        study: resolved.
        data: the folder of `--data`, with one folder per data set.

    Raises:
        InputError: data or a model that is missing or does not fit, a test set with other classes, a method that does
            not fit its base model, settings that share a trial but not the examples of a split of the same name.
    """
    settings = prepare(study, data)
    for name, prepared in settings.items():
        methods = {method: prepared.spec.method(method) for method in prepared.spec.methods}
        where = "" if name == MAIN else f"settings.{name}."
        check(prepared.base, len(prepared.dataset.classes), methods, where)
    trials = [
        trial for prepared in settings.values() for seed in prepared.spec.seeds for trial in _trials(prepared, seed)
    ]
    distinct: dict[str, Trial] = {}
    for trial in trials:
        known = distinct.get(trial.hash)
        distinct[trial.hash] = trial if known is None else _joined(known, trial)
    return Plan(study, settings, tuple(trials), tuple(distinct.values()))


def _trials(prepared: Prepared, seed: int) -> list[Trial]:
    sample = prepared.samples[seed]
    unaltered, validation = sample.contents
    altered: dict[str, tuple[TrainingExamples, str]] = {}
    trials = []
    for method in prepared.spec.methods:
        options = prepared.spec.alterations(method)
        key = json.dumps(options, sort_keys=True)
        if key not in altered:
            examples = prepared.data.training_examples(prepared.dataset, sample.parts.train, options, seed)
            contents = content_hash(keys_of(examples.inputs), examples.labels) if options else unaltered
            altered[key] = examples, contents
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
        trials.append(
            Trial(
                setting=prepared,
                method=method,
                seed=seed,
                sample=sample,
                examples=examples,
                train=train,
                identity=identity,
                keep=prepared.spec.keep,
                evaluations=sample.evaluations,
                fingerprints=sample.fingerprints,
            )
        )
    return trials


def _joined(first: Trial, second: Trial) -> Trial:
    """One trial for two uses: it is tested on what either asks for, and keeps what either wants kept."""
    for name, value in second.fingerprints.items():
        if first.fingerprints.get(name, value) != value:
            raise InputError(
                f"settings {first.setting.name} and {second.setting.name} share the training of {second.label}, but "
                f"their {name} examples differ; keep these settings in studies of their own"
            )
    return replace(
        first,
        keep=max(first.keep, second.keep, key=KEEP.index),
        evaluations={**first.evaluations, **second.evaluations},
        fingerprints={**first.fingerprints, **second.fingerprints},
    )
