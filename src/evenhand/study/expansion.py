"""Expands a setting to its trials, each with its examples, hyperparameters and hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from evenhand.audit.membership.attack import BASE
from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.data.groups import hash_of_groups
from evenhand.data.splits import Split
from evenhand.methods.compression import Compression
from evenhand.methods.method import Method
from evenhand.models.load import resolve_precision
from evenhand.study.loaded_setting import LoadedSetting, Sample
from evenhand.study.loss_matching import Match
from evenhand.study.membership_models import POOL, pool_of_setting, shadow_samples
from evenhand.study.resources import ResourcesSpec
from evenhand.study.setting import MAIN, Keep, Setting
from evenhand.study.tuning import Candidate, Choice
from evenhand.tasks import Kind
from evenhand.tasks.probing import Probing
from evenhand.tasks.prompts.users_texts import Questioning
from evenhand.tasks.token_scoring import TokenScoring
from evenhand.training.recipe import RECIPE, ROUNDING, TrainSpec

if TYPE_CHECKING:
    from evenhand.tasks.generations.generations import Generations
    from evenhand.tasks.harness.loading import Benchmarks


@dataclass(frozen=True, eq=False)
class Trial:
    """One fine-tuning run of a study, ready to be trained.

    Attributes:
        setting, method, seed: where the study uses it.
        spec: the method with its hyperparameters.
        sample: the examples for training, validation and test.
        examples: the training examples, after `data:` has altered them.
        train: hyperparameters with the method's overrides and a concrete precision.
        identity: the contents that training depends on.
        keep: what stays on disk.
        evaluations: the examples to predict, by `split`.
        fingerprints: what identifies the examples of each split, ids included.
        candidate: the candidate whose hyperparameters it tries; None for a trial of the study.
        match: the trial to which it is matched; None: it is trained to its end.
        subset: for a model of membership inference, the set to which it belongs: the setting's pool, or the shadows of
            a seed's targets. The `seed` of such a trial is its number. None for a trial of the study.
        pair: for a model of a pool, the hash of its twin's trial.
        benchmarks: benchmarks on which it is scored; only for trials of the study.
        generations: continuations that it writes, and their scorers; only for trials of the study.
        probing: targets that its representations are probed for; None: none.
        questioning: for pairs, the texts that prompts are about; None: none, or the task's own reviews.
        scoring: for language models of a pool, the texts whose tokens they score; None: none.
        source: for a trial that is not trained, the trained trial from whose predictions its own are made.
        uncompressed: for a trial that compresses a trained model, the trial that trained it.
        is_compressed: whether another trial compresses its model, so that its weights have to be kept.
    """

    setting: LoadedSetting
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
    benchmarks: Benchmarks | None = field(default=None, repr=False)
    generations: Generations | None = field(default=None, repr=False)
    probing: Probing | None = field(default=None, repr=False)
    questioning: Questioning | None = field(default=None, repr=False)
    scoring: TokenScoring | None = field(default=None, repr=False)
    source: Trial | None = field(default=None, repr=False)
    uncompressed: Trial | None = field(default=None, repr=False)
    is_compressed: bool = False

    @cached_property
    def hash(self) -> str:
        """The trial's identity: 16 bytes of BLAKE2b over its canonical JSON."""
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def kind(self) -> Kind:
        """The kind of the task: classification, translation or reviews."""
        return self.setting.kind

    @property
    def resources(self) -> ResourcesSpec:
        """The resources that the study names for this trial's method."""
        return self.setting.spec.needs(self.method)

    @property
    def parts(self) -> Split:
        """The positions of the training, validation and test examples."""
        return self.sample.parts

    @property
    def role(self) -> Literal["study", "tuning", "pool"]:
        """The trial's role, as the table `trials` names it."""
        if self.candidate is not None:
            return "tuning"
        return "study" if self.subset is None else "pool"

    @property
    def passes(self) -> str:
        """The size of a forward pass in training, in words: `32 examples`, `8,192 tokens`."""
        tokens = self.train.tokens_per_pass
        return f"{self.train.batch_size} examples" if tokens is None else f"{tokens:,} tokens"

    @property
    def label(self) -> str:
        """The trial's name in messages; the only setting of a study is not named."""
        setting = "" if self.setting.name == MAIN else f"{self.setting.name} · "
        tried = "" if self.candidate is None else f" · {self.candidate}"
        if self.subset == BASE:
            return f"{setting}{self.method} · the base model of the pool"
        if self.subset == POOL:
            return f"{setting}{self.method} · model {self.seed} of the pool"
        if self.subset is not None:
            return f"{setting}{self.method} · shadow {self.seed} of {self.subset}"
        return f"{setting}{self.method} · seed {self.seed}{tried}"


def study_trials(settings: Mapping[str, LoadedSetting], chosen: Iterable[Choice]) -> Iterator[Trial]:
    """Yield the trials of the study whose hyperparameters are known."""
    choices = {(choice.setting, choice.method, choice.seed): choice.hyperparameters for choice in chosen}
    for name, prepared in settings.items():
        spec = prepared.spec

        def settled(seed: int | None, name: str = name, spec: Setting = spec) -> dict[str, Setting]:
            """Return by method the setting with its chosen hyperparameters; methods without a choice are left out."""
            setting_of: dict[str, Setting] = {}
            for method in spec.methods:
                tried = {candidate.json: candidate for candidate in spec.candidates(method)}
                values = choices.get((name, method, seed), choices.get((name, method, None)))
                if not tried:
                    setting_of[method] = spec
                elif values is not None:
                    setting_of[method] = spec.with_method(method, tried[Candidate(values, {}).json].method)
            return setting_of

        for seed in spec.seeds:
            for trial in _compressed(_trials_of_seed(prepared, settled(seed), seed, prepared.sample(seed))):
                used = replace(trial, benchmarks=prepared.benchmarks, generations=prepared.generations)
                yield _with_thresholds(used)
        yield from _twins(prepared, settled(None))
        yield from _shadows(prepared, settled(None))


def _trials_of_seed(
    prepared: LoadedSetting, settled: Mapping[str, Setting], seed: int, sample: Sample
) -> Iterator[Trial]:
    """Yield the trials of one seed, or of one model of a pool, for all methods.

    Trials that are matched to the reference follow once the reference's hyperparameters are known.
    """
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


def _twins(prepared: LoadedSetting, settled: Mapping[str, Setting]) -> Iterator[Trial]:
    """Yield the models of a setting's pool, each next to its twin; none of a method that trains nothing."""
    pool = pool_of_setting(prepared)
    if pool is None:
        return
    training = {method: spec for method, spec in settled.items() if spec.method(method).epochs}
    for first in range(0, pool.spec.models, 2):
        pair = [list(_trials_of_seed(prepared, training, number, pool.sample(number))) for number in (first, first + 1)]
        for trial, twin in zip(*pair, strict=True):
            yield replace(trial, subset=POOL, pair=twin.hash)
            yield replace(twin, subset=POOL, pair=trial.hash)
    if pool.spec.attack == "reference":
        base = next(method for method, spec in settled.items() if spec.method(method).kind == "base")
        yield replace(_trial(prepared, settled[base], base, 0, pool.base_sample()), subset=BASE, keep="none")


def _shadows(prepared: LoadedSetting, settled: Mapping[str, Setting]) -> Iterator[Trial]:
    """Yield the shadow models of each seed's targets, of every method that trains or of the named one."""
    wanted = prepared.spec.membership
    if wanted is None or wanted.design == POOL:
        return
    for seed in prepared.spec.seeds:
        for number, sample in shadow_samples(prepared, seed):
            for method, spec in settled.items():
                if spec.method(method).epochs and wanted.shadows in (None, method):
                    trained = spec if wanted.epochs is None else _with_epochs(spec, method, wanted.epochs)
                    yield replace(_trial(prepared, trained, method, number, sample), subset=f"seed {seed}", keep="none")


def _with_epochs(spec: Setting, method: str, epochs: int) -> Setting:
    """Return the setting with other epochs of one method."""
    return spec.with_method(method, {**spec.methods[method], "epochs": epochs})


def candidate_trials(prepared: LoadedSetting) -> Iterator[Trial]:
    """Yield the trials that try candidates of a setting's tuning; none of them sees the test split.

    If every seed chooses for itself, the chosen trial becomes a trial of the study, so its weights may be reused.
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
                    probing=None,
                    questioning=None,
                )


def _trial(
    prepared: LoadedSetting, spec: Setting, method: str, seed: int, sample: Sample, match: Match | None = None
) -> Trial:
    """Return one trial of a method as a setting describes it."""
    examples, contents = sample.training(spec.alterations(method), seed)
    train = spec.training(method)
    train = train.model_copy(update={"precision": resolve_precision(train.precision)})
    loss = spec.method(method).loss
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
        **({} if prepared.template is None else {"prompt": prepared.template}),
        **({} if match is None else {"match": match.identity()}),
        **({} if loss is None else {"groups": hash_of_groups(examples, loss.attribute)}),
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
        probing=sample.probing,
        questioning=sample.questioning,
        scoring=sample.scoring,
    )


def _compressed(trials: Iterable[Trial]) -> Iterator[Trial]:
    """Yield the trials of one seed; those that compress the model of another have its data and `train:`."""
    trained = {trial.method: trial for trial in trials}
    names = {trial.spec.of or "" for trial in trained.values() if isinstance(trial.spec, Compression)}
    trained |= {name: replace(trained[name], keep="weights", is_compressed=True) for name in names & trained.keys()}
    for trial in trained.values():
        name = trial.spec.of if isinstance(trial.spec, Compression) else None
        if name is None:
            yield trial
        elif name in trained:
            of = trained[name]
            identity = {**trial.identity, **{key: of.identity[key] for key in ("training", "train")}, "of": of.hash}
            yield replace(trial, uncompressed=of, examples=of.examples, train=of.train, identity=identity)


def _with_thresholds(trial: Trial) -> Trial:
    """Return the use of a trained trial that predicts by thresholds per group; the trial itself without thresholds.

    It has an identity and a folder of its own, since its predictions differ, and nothing is trained for it.
    """
    spec = trial.spec.thresholds
    if spec is None:
        return trial
    groups = {name: hash_of_groups(data, spec.attribute) for name, data in trial.evaluations.items()}
    chosen_on = trial.sample.contents[1], groups.get("validation")
    return replace(
        trial,
        source=trial,
        identity={**trial.identity, "thresholds": {**spec.model_dump(mode="json"), "chosen_on": chosen_on}},
        fingerprints={name: f"{value}-{groups[name]}" for name, value in trial.fingerprints.items()},
        keep="none",
    )
