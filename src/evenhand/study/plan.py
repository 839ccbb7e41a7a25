"""From a study to its trials: which examples, which hyperparameters, and the hash that is a trial's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.data.splits import Split
from evenhand.data.translation import PROMPT
from evenhand.errors import InputError
from evenhand.methods.fit import check
from evenhand.methods.method import Method
from evenhand.methods.private import Private
from evenhand.models.load import resolve_precision
from evenhand.study.match import Match
from evenhand.study.pools import POOL, pool_of_setting, shadow_samples
from evenhand.study.prepared import Prepared, Sample, prepare
from evenhand.study.setting import KEEP, MAIN, Keep, Setting
from evenhand.study.spec import Study
from evenhand.study.tuning import Candidate, Choice
from evenhand.tasks import Kind
from evenhand.training.recipe import RECIPE, ROUNDING, TrainSpec


@dataclass(frozen=True, eq=False)
class Trial:
    """One fine-tuning run of a study, before it is run.

    Attributes:
        setting, method, seed: where the study uses it.
        spec: the method with its hyperparameters.
        sample: who is trained, validated and tested.
        examples: what it learns from, after `data:` has altered it.
        train: hyperparameters with the method's overrides, the precision concrete.
        identity: the contents that training depends on.
        keep: what stays on disk.
        evaluations: the examples to predict, by `split`.
        fingerprints: what identifies the examples of each split, ids included.
        candidate: whose hyperparameters it tries; None for a trial of the study.
        match: the trial that it is made equal to; None: it is trained to its end.
        subset: of a model of membership inference, which: of the setting's pool, or of the shadows beside a seed's
            targets; such a trial's `seed` is its number. None for a trial of the study.
        pair: of a pool's model, the hash of its twin's trial.
    """

    setting: Prepared
    method: str
    seed: int
    spec: Method
    sample: Sample
    examples: TrainingExamples
    train: TrainSpec
    identity: Mapping[str, Any]
    keep: Keep
    evaluations: Mapping[str, Dataset] = field(repr=False)
    fingerprints: Mapping[str, str] = field(repr=False)
    candidate: Candidate | None = None
    match: Match | None = None
    subset: str | None = None
    pair: str | None = None

    @cached_property
    def hash(self) -> str:
        """The identity in 16 bytes of BLAKE2b over its canonical JSON."""
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def kind(self) -> Kind:
        """What is learned."""
        return self.setting.kind

    @property
    def parts(self) -> Split:
        return self.sample.parts

    @property
    def role(self) -> Literal["study", "tuning", "pool"]:
        """What it is for, as in `trials`."""
        if self.candidate is not None:
            return "tuning"
        return "study" if self.subset is None else "pool"

    @property
    def label(self) -> str:
        """How people are told of it; the setting of a study that has only one goes without saying."""
        setting = "" if self.setting.name == MAIN else f"{self.setting.name} · "
        tried = "" if self.candidate is None else f" · {self.candidate}"
        if self.subset == POOL:
            return f"{setting}{self.method} · model {self.seed} of the pool"
        if self.subset is not None:
            return f"{setting}{self.method} · shadow {self.seed} of {self.subset}"
        return f"{setting}{self.method} · seed {self.seed}{tried}"


@dataclass(frozen=True, eq=False)
class Plan:
    """A study's settings, prepared, and its trials.

    Attributes:
        trials: every use of a trial; two uses of one trial share its hash. Those of a method that is tuned are there
            once its hyperparameters are chosen.
        candidates: the trials by which they are chosen, which see validation examples only.
    """

    study: Study
    settings: Mapping[str, Prepared]
    trials: tuple[Trial, ...]
    candidates: tuple[Trial, ...] = ()

    @cached_property
    def distinct(self) -> tuple[Trial, ...]:
        """Each trial once, to be evaluated on the test sets of all its uses."""
        return _distinct(self.trials)

    @cached_property
    def tried(self) -> tuple[Trial, ...]:
        """Each trial of a candidate once."""
        return _distinct(self.candidates)

    def decided(self, chosen: tuple[Choice, ...]) -> Plan:
        """The plan, and its study, with what has been chosen: the methods that were tuned have their trials."""
        study = self.study.model_copy(update={"chosen": chosen})
        return _joinable(replace(self, study=study, trials=tuple(_trials(self.settings, chosen))))

    def examples(self) -> pl.DataFrame:
        """The `examples` records of all settings: of one that has nothing but a pool, the pool's."""
        frames = []
        for prepared in self.settings.values():
            pool = None if prepared.spec.seeds else pool_of_setting(prepared)
            frames.append(prepared.examples() if pool is None else pool.examples())
        return records.validate(pl.concat(frames, how="diagonal"), "examples")

    def design(self, source: str) -> Design:
        """What the audit needs to know of the study besides its records."""
        return Design(
            settings={
                name: prepared.design().model_copy(update={"ranks": prepared.spec.ranks()})
                for name, prepared in self.settings.items()
            },
            measures=self.study.measures,
            margins=self.study.margins,
            margin_history=self.study.declared,
            source=source,
            figure=self.study.figure,
        )


def plan(study: Study, data: Path | None) -> Plan:
    """Load the data, find the base models and expand a study to its trials; trains nothing.

    Args:
        study: resolved.
        data: the folder of `--data`, with one folder per data set.

    Raises:
        InputError: data or a model that is missing or does not fit, a test set with other classes, a method that does
            not fit its base model, a private one whose budget does not fit its examples, settings that share a trial
            but not the examples of a split of the same name.
    """
    settings = prepare(study, data)
    for name, prepared in settings.items():
        spec = prepared.spec
        methods = {method: spec.method(method) for method in spec.methods}
        for method in spec.methods:
            for one in spec.candidates(method):
                methods[f"{method} ({one})"] = spec.with_method(method, one.method).method(method)
        where = "" if name == MAIN else f"settings.{name}."
        check(
            prepared.base, len(prepared.dataset.classes) if prepared.kind == "classification" else None, methods, where
        )
    candidates = tuple(trial for prepared in settings.values() for trial in _candidates(prepared))
    for trial in candidates:
        if trial.sample.validation is None:
            where = "" if trial.setting.name == MAIN else f"settings.{trial.setting.name}."
            raise InputError(f"{where}tuning chooses on validation examples, and the split of these data has none")
    trials = tuple(_trials(settings, ()))
    _check_budgets((*candidates, *trials))
    return _joinable(Plan(study, settings, trials, candidates))


def _check_budgets(trials: Iterable[Trial]) -> None:
    """Refuse private trials whose budget their number of training examples cannot keep."""
    checked: set[tuple[str, int]] = set()
    for trial in trials:
        key = f"{trial.setting.name}.{trial.method} {trial.candidate}", len(trial.examples)
        if not isinstance(trial.spec, Private) or key in checked:
            continue
        checked.add(key)
        where = "" if trial.setting.name == MAIN else f"settings.{trial.setting.name}."
        tried = "" if trial.candidate is None else f" ({trial.candidate})"
        try:
            trial.spec.check_budget(len(trial.examples))
        except InputError as error:
            raise InputError(f"{where}methods.{trial.method}{tried}: {error}") from None


def _trials(settings: Mapping[str, Prepared], chosen: Iterable[Choice]) -> Iterator[Trial]:
    """The trials of the study whose hyperparameters are known."""
    choices = {(choice.setting, choice.method, choice.seed): choice.hyperparameters for choice in chosen}
    for name, prepared in settings.items():
        spec = prepared.spec

        def settled(seed: int | None, name: str = name, spec: Setting = spec) -> dict[str, Setting]:
            """The setting as each method has it, of those whose hyperparameters are known."""
            found: dict[str, Setting] = {}
            for method in spec.methods:
                tried = {candidate.json: candidate for candidate in spec.candidates(method)}
                values = choices.get((name, method, seed), choices.get((name, method, None)))
                if not tried:
                    found[method] = spec
                elif values is not None:
                    found[method] = spec.with_method(method, tried[Candidate(values, {}).json].method)
            return found

        for seed in spec.seeds:
            yield from _compared(prepared, settled(seed), seed, prepared.sample(seed))
        yield from _twins(prepared, settled(None))
        yield from _shadows(prepared, settled(None))


def _compared(prepared: Prepared, settled: Mapping[str, Setting], seed: int, sample: Sample) -> Iterator[Trial]:
    """The trials of one seed, or of one number of a pool. Those that are made equal to the reference's are there once
    it is settled."""
    wanted = prepared.spec.match
    match = None
    if wanted is not None:
        reference = prepared.spec.reference[0]
        if reference in settled:
            match = Match(wanted, reference, _trial(prepared, settled[reference], reference, seed, sample).hash)
    for method, spec in settled.items():
        alone = wanted is None or method == prepared.spec.reference[0] or spec.method(method).epochs == 0
        if alone or match is not None:
            yield _trial(prepared, spec, method, seed, sample, None if alone else match)


def _twins(prepared: Prepared, settled: Mapping[str, Setting]) -> Iterator[Trial]:
    """The models of a setting's pool, twin after twin: none of a method that trains nothing."""
    pool = pool_of_setting(prepared)
    if pool is None:
        return
    training = {method: spec for method, spec in settled.items() if spec.method(method).epochs}
    for first in range(0, pool.spec.models, 2):
        pair = [list(_compared(prepared, training, number, pool.sample(number))) for number in (first, first + 1)]
        for one, other in zip(*pair, strict=True):
            yield replace(one, subset=POOL, pair=other.hash)
            yield replace(other, subset=POOL, pair=one.hash)


def _shadows(prepared: Prepared, settled: Mapping[str, Setting]) -> Iterator[Trial]:
    """The shadows beside the targets of each seed: of every method that trains, or of the one that is named."""
    wanted = prepared.spec.membership
    if wanted is None or wanted.design == POOL:
        return
    for seed in prepared.spec.seeds:
        for number, sample in shadow_samples(prepared, seed):
            for method, spec in settled.items():
                if spec.method(method).epochs and wanted.shadows in (None, method):
                    yield replace(_trial(prepared, spec, method, number, sample), subset=f"seed {seed}", keep="none")


def _candidates(prepared: Prepared) -> Iterator[Trial]:
    """The trials by which a setting's hyperparameters are chosen: they never meet the test split.

    Where every seed chooses for itself the chosen trial is one of the study's, so that its weights may be of use.
    """
    tuning = prepared.spec.tuning
    if tuning is None:
        return
    for method in prepared.spec.methods:
        for seed in prepared.spec.seeds if tuning.seeds == "each" else (tuning.seed,):
            for candidate in prepared.spec.candidates(method):
                spec = prepared.spec.with_method(method, candidate.method)
                trial = _trial(prepared, spec, method, seed, prepared.sample(seed))
                yield replace(
                    trial,
                    candidate=candidate,
                    keep=trial.keep if tuning.seeds == "each" else "none",
                    evaluations={name: data for name, data in trial.evaluations.items() if name == "validation"},
                    fingerprints={name: key for name, key in trial.fingerprints.items() if name == "validation"},
                )


def _trial(
    prepared: Prepared, spec: Setting, method: str, seed: int, sample: Sample, match: Match | None = None
) -> Trial:
    """One trial of a method as this setting says it."""
    examples, contents = sample.training(spec.alterations(method), seed)
    train = spec.training(method)
    train = train.model_copy(update={"precision": resolve_precision(train.precision)})
    identity = {
        "recipe": RECIPE,
        "task": prepared.kind,
        "classes": len(prepared.dataset.classes) if prepared.kind == "classification" else None,
        "training": contents,
        "validation": sample.contents[1],
        "base": prepared.base.fingerprint,
        "method": spec.method(method).hyperparameters(),
        "train": train.model_dump(mode="json", exclude=set(ROUNDING)),
        "seed": seed,
        "subset": None,
        **({} if prepared.kind == "classification" else {"prompt": PROMPT}),
        **({} if match is None else {"match": match.identity()}),
    }
    return Trial(
        setting=prepared,
        method=method,
        seed=seed,
        spec=spec.method(method),
        sample=sample,
        examples=examples,
        train=train,
        identity=identity,
        keep=spec.keep,
        evaluations=sample.evaluations,
        fingerprints=sample.fingerprints,
        match=match,
    )


def _distinct(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    found: dict[str, Trial] = {}
    for trial in trials:
        known = found.get(trial.hash)
        found[trial.hash] = trial if known is None else _joined(known, trial)
    return tuple(found.values())


def _joinable(plan: Plan) -> Plan:
    """The plan, refused where two uses of one trial contradict each other."""
    _distinct((*plan.candidates, *plan.trials))
    return plan


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
