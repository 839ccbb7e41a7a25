"""Defines a setting of a study: one task and one base model with their methods, every default resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from evenhand.audit.figure_design import Rank
from evenhand.data.dataset import DataSpec
from evenhand.data.splits import LimitSpec, SplitSpec
from evenhand.errors import InputError, did_you_mean, shortened
from evenhand.methods import parse_method
from evenhand.methods.method import Method
from evenhand.spec import LARGEST, Spec
from evenhand.study.compared_groups import Against
from evenhand.study.compression_spec import check_compression
from evenhand.study.generations_spec import GenerationsSpec, check_generations
from evenhand.study.harness_spec import HarnessSpec
from evenhand.study.harness_spec import check_harness as check_harness
from evenhand.study.loss_matching import MatchSpec
from evenhand.study.membership_spec import MembershipSpec
from evenhand.study.mitigation_spec import check_loss, check_thresholds
from evenhand.study.probing_spec import ProbingSpec
from evenhand.study.prompts_spec import PromptsSpec
from evenhand.study.resources import ResourcesSpec
from evenhand.study.training_check import check_training
from evenhand.study.tuning import Candidate, TuningSpec, candidates
from evenhand.tasks import kind_of, parse_task
from evenhand.training.recipe import TrainSpec

MAIN = "main"
"""The name of the setting of a study that has only one."""

MOST_SEEDS = 10_000
"""The most seeds that a study takes by their number; a list may name any."""

Keep = Literal["none", "adapters", "weights"]
KEEP: tuple[Keep, ...] = get_args(Keep)
"""The values of `keep`: what stays on disk after a trial, least first."""


class Setting(Spec):
    """One task and one base model with their methods; every default is written out.

    Attributes:
        task: `name` and the task's options.
        model: hub id, local folder, `package:NAME/FOLDER`, or a built-in `tiny-*`.
        methods: by the name that reports use; each holds its `kind` and every field of that method.
        reference: the methods that the others are compared with.
        seeds: one run per method and seed.
        split, limit: the examples for training, validation and test.
        data: options of the task that alter training examples, for every method that does not override them.
        evaluate: further test sets, by the name that `split` takes in the records.
        train: hyperparameters that all methods share.
        tuning: hyperparameters to choose on validation examples before the study is trained; None: as `methods` says.
        match: the quantity (such as the training loss) at which the other methods are compared with the first
            reference; None: each is trained to its end.
        membership: the models by which membership inference is audited; None: it is not audited. With a pool there may
            be no seeds (`seeds: 0`); then only membership is audited.
        prompts: the prompts that models answer about reviews, or about the prompts of pairs; None: none.
        harness: for a language model, the benchmarks to score; None: none.
        generations: for a language model, the prompts that it continues, and what scores the continuations; None: none.
        probing: for a task of texts, the targets that representations are probed for; None: none.
        keep: what stays on disk after a trial.
        resources: what a trial needs and may use, such as accelerators and the longest time.
        favourable: for a task of two classes, the prediction that people want, `positive` or `negative`; None: verdicts
            on selection rates are two-sided.
        against: whom groups are compared with: `rest`, `overall`, groups by name, or ATTRIBUTE=GROUP where several
            attributes have the group; none: the rest.
    """

    task: dict[str, Any]
    model: str
    methods: dict[str, dict[str, Any]]
    reference: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    split: SplitSpec = SplitSpec()
    data: dict[str, Any] = Field(default_factory=dict)
    limit: LimitSpec = LimitSpec()
    evaluate: dict[str, dict[str, Any]] = Field(default_factory=dict)
    train: TrainSpec = TrainSpec()
    tuning: TuningSpec | None = None
    match: MatchSpec | None = None
    membership: MembershipSpec | None = None
    prompts: PromptsSpec | None = None
    harness: HarnessSpec | None = None
    generations: GenerationsSpec | None = None
    probing: ProbingSpec | None = None
    keep: Keep = "adapters"
    resources: ResourcesSpec = ResourcesSpec()
    favourable: Literal["positive", "negative"] | None = None
    against: Against = ()

    @field_validator("task", mode="before")
    @classmethod
    def _task(cls, value: Any) -> dict[str, Any]:
        """Resolve the task's options."""
        return _resolved_task(value)

    @field_validator("methods", mode="before")
    @classmethod
    def _methods(cls, value: Any) -> dict[str, dict[str, Any]]:
        """Resolve every method."""
        if not isinstance(value, Mapping) or not value:
            raise InputError("methods should be a mapping from names to methods, such as {lora: {kind: lora, rank: 8}}")
        return {str(name): _resolved_method(str(name), method) for name, method in value.items()}

    @field_validator("reference", mode="before")
    @classmethod
    def _reference(cls, value: Any) -> Any:
        """Read a plain name as a list of one."""
        return (value,) if isinstance(value, str) else value

    @field_validator("reference")
    @classmethod
    def _each_reference_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Leave out a reference that is named again."""
        return tuple(dict.fromkeys(value))

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        """Read a number as so many seeds from 0."""
        if isinstance(value, bool) or not isinstance(value, int | Sequence) or isinstance(value, str):
            raise InputError(f"seeds should be a number of seeds or a list of seeds, not {shortened(repr(value))}")
        if isinstance(value, int) and value > MOST_SEEDS:
            raise InputError(f"seeds should be at most {MOST_SEEDS:,}, not {shortened(repr(value))}")
        seeds = tuple(range(value)) if isinstance(value, int) else tuple(value)
        for seed in seeds:
            if isinstance(seed, bool):
                raise InputError(f"a seed should be a whole number, not {seed}")
            if isinstance(seed, int) and not 0 <= seed <= LARGEST:
                raise InputError(f"a seed should be from 0 to 2**53, not {shortened(repr(seed))}")
        return seeds

    @field_validator("seeds")
    @classmethod
    def _different(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        """Refuse repeated seeds, however they are written: 1, 1.0 and "1" are the same."""
        if len(set(value)) < len(value):
            raise InputError(f"seeds should all be different, not {shortened(repr(list(value)))}")
        return value

    @field_validator("evaluate", mode="before")
    @classmethod
    def _evaluate(cls, value: Any) -> dict[str, dict[str, Any]]:
        """Name and resolve the further test sets."""
        named: dict[str, Any] = {}
        for name, task in _named_tasks(value):
            if name in ("train", "validation", "test"):
                raise InputError(f'evaluate: "{name}" is the name of a part of the split; choose another')
            if name in named:
                raise InputError(f'evaluate: two test sets have the name "{name}"; write NAME: {{name: TASK, ...}}')
            try:
                named[name] = _resolved_task(task)
            except InputError as error:
                raise InputError(f"evaluate.{name}: {error}") from None
        return named

    @model_validator(mode="after")
    def _references_exist(self) -> Setting:
        """Refuse references that are not methods, and methods whose `train:` or `resources:` are unusable."""
        for name in self.reference:
            if name not in self.methods:
                raise InputError(f'reference "{name}" is not a method; {did_you_mean(name, self.methods)}')
        for name in self.methods:
            self.training(name)
            self.needs(name)
        return self

    @model_validator(mode="after")
    def _can_be_tuned(self) -> Setting:
        """Refuse tuning that is impossible in this setting."""
        if self.tuning is None:
            return self
        self.tuning.check(self.task["name"], self.methods, self.seeds, self.split)
        for name in self.tuning.grid:
            for candidate in self.candidates(name):
                self.with_method(name, candidate.method).training(name)
        return self

    @model_validator(mode="after")
    def _can_be_matched(self) -> Setting:
        """Refuse matching that is impossible in this setting."""
        if self.match is not None:
            self.match.check(self.task["name"], self._each_method(), self.reference, self.split)
        return self

    @model_validator(mode="after")
    def _has_models(self) -> Setting:
        """Refuse membership inference, probing or a lack of seeds that leaves nothing to audit."""
        if self.membership is not None:
            self.membership.check(self.task["name"], self._each_method(), self.seeds, self.tuning, self.match)
        if self.probing is not None:
            self.probing.check(self.task["name"], self.methods, self.seeds)
        if not self.seeds and (self.membership is None or self.membership.design == "shadows"):
            raise InputError(
                "there are no seeds, so nothing is trained; set seeds to 1 or more (only a membership pool needs none)"
            )
        return self

    @model_validator(mode="after")
    def _can_be_mitigated(self) -> Setting:
        """Refuse losses and thresholds by group that are impossible in this setting."""
        kind = kind_of(self.task["name"])
        asked = {"membership": self.membership is not None, "probing": self.probing is not None}
        for name in self.methods:
            method = self.method(name)
            try:
                check_loss(method, self.training(name), kind, self.match)
                check_thresholds(method, kind, self.split, **asked)
            except InputError as error:
                raise InputError(f"methods.{name}.{error}") from None
        return self

    @model_validator(mode="after")
    def _can_be_compressed(self) -> Setting:
        """Refuse compressions that are impossible in this setting."""
        methods, kind = self._each_method(), kind_of(self.task["name"])
        for name in methods:
            try:
                check_compression(name, methods, kind, self.tuning)
            except InputError as error:
                raise InputError(f"methods.{name}.{error}") from None
        return self

    @model_validator(mode="after")
    def _can_be_scored(self) -> Setting:
        """Refuse benchmarks and continuations of classifiers."""
        name, kind = self.task["name"], kind_of(self.task["name"])
        check_harness(self.harness, name, kind)
        check_generations(self.generations, name, kind, list(self.evaluate))
        return self

    @model_validator(mode="before")
    @classmethod
    def _default_prompts(cls, values: Any) -> Any:
        """Give a task of reviews its default prompts, and refuse prompts for tasks without texts of people."""
        if not isinstance(values, Mapping) or "task" not in values:
            return values
        asked, name = values.get("prompts"), _resolved_task(values["task"])["name"]
        kind = kind_of(name)
        if kind != "reviews":
            if asked is not None and kind != "sft":
                raise InputError(
                    f"prompts need a task of reviews or pairs (sft), and the task is {name}; leave them out"
                )
            return values
        if values.get("evaluate"):
            raise InputError(f"evaluate: models of {name} are asked about its own reviews only; use prompts.split")
        return {**values, "prompts": {} if asked is None else asked}

    def method(self, name: str) -> Method:
        """Return the method of this name as its own spec."""
        return parse_method(name, self.methods[name])

    def _each_method(self) -> dict[str, Method]:
        """Return every method as its own spec, by name."""
        return {name: self.method(name) for name in self.methods}

    def training(self, name: str) -> TrainSpec:
        """Return `train:` with the method's overrides."""
        overrides = self.methods[name].get("train", {})
        train = TrainSpec.parse({**self.train.model_dump(), **overrides}, f"methods.{name}.train")
        try:
            check_training(self.method(name), train, self.task["name"])
        except InputError as error:
            raise InputError(f"methods.{name}: {error}") from None
        return train

    def needs(self, name: str) -> ResourcesSpec:
        """Return `resources:` with the method's overrides."""
        overrides = self.methods[name].get("resources", {})
        return ResourcesSpec.parse({**self.resources.model_dump(), **overrides}, f"methods.{name}.resources")

    def alterations(self, name: str) -> dict[str, Any]:
        """Return `data:` with the method's overrides."""
        return {**self.data, **self.methods[name].get("data", {})}

    def candidates(self, name: str) -> tuple[Candidate, ...]:
        """Return the hyperparameters that are tried for this method; none if it is not tuned."""
        grid = {} if self.tuning is None else self.tuning.grid.get(name, {})
        return candidates(name, self.methods[name], grid) if grid else ()

    def with_method(self, name: str, method: Mapping[str, Any]) -> Setting:
        """Return the setting with a resolved method under this name."""
        return self.model_copy(update={"methods": {**self.methods, name: dict(method)}})

    def ranks(self) -> dict[str, Rank]:
        """Return the rank of each method that adds weights to a frozen base; other methods are left out."""
        ranks = {}
        for name, method in self.methods.items():
            if method["kind"] == "head":
                ranks[name] = Rank(rank=0)
            elif "rank" in method:
                share = method["rank"] < 1
                ranks[name] = Rank(rank=method["rank"], layers=(method.get("layers") or "front") if share else None)
        return ranks

    def data_spec(self) -> DataSpec:
        """Return the task's options as its own spec."""
        return parse_task(self.task)[1]


def _named_tasks(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield test sets with their names: the keys of a mapping, else the task's own name."""
    if isinstance(value, Mapping):
        yield from ((str(name), task) for name, task in value.items())
    elif isinstance(value, str | list | tuple):
        for task in [value] if isinstance(value, str) else value:
            yield str(task.get("name", task)) if isinstance(task, Mapping) else str(task), task
    else:
        raise InputError(f"evaluate should be a task, a list of tasks, or a mapping from names to tasks, not {value!r}")


def _resolved_task(value: Any) -> dict[str, Any]:
    """Return a task with every option written out."""
    name, spec = parse_task(value)
    return {"name": name, **spec.model_dump(mode="json")}


def _resolved_method(name: str, value: Any) -> dict[str, Any]:
    """Return a method with every field written out."""
    if isinstance(value, Method):
        return {"kind": value.kind, **value.model_dump(mode="json")}
    if not isinstance(value, Mapping):
        raise InputError(f"methods.{name} should be a mapping such as {{kind: lora, rank: 8}}, not {value!r}")
    method = parse_method(name, value)
    return {"kind": method.kind, **method.model_dump(mode="json")}
