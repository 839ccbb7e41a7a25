"""Defines the key `generations:` of a study: the prompts that models continue, and what scores the continuations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from evenhand.audit.design import DeclaredMeasure, GenerationsDesign
from evenhand.audit.measures import registry
from evenhand.data.sft import Template
from evenhand.errors import InputError
from evenhand.models.find import BaseModel
from evenhand.spec import Spec
from evenhand.study.harness_spec import KINDS
from evenhand.study.response_measures import RESPONSES
from evenhand.tasks.generations.prompt_sets import SPLIT, PromptSet, prompt_examples, read_prompt_set
from evenhand.tasks.generations.scorers import ClassifierScorer, FunctionScorer, Reads

if TYPE_CHECKING:
    from evenhand.tasks.generations.generations import Generations


class ScorerSpec(Spec):
    """What gives each continuation a number: a text classifier, or a function.

    Attributes:
        model: a classifier of texts, named as base models are.
        label: of `model`, the class whose probability counts.
        function: instead, the name of a scorer: built in, or of an installed package.
        reads: of `model`, what it reads: the `continuation` alone, or the `text`, which is the prompt with it.
        more_is: what a larger number means; with `neither`, verdicts are two-sided.
        range: of `function`, the least and the largest possible number; null: it has no bounds. A probability is from
            0 to 1.
    """

    model: str | None = None
    label: str | None = None
    function: str | None = None
    reads: Reads = "continuation"
    more_is: Literal["worse", "better", "neither"]
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> ScorerSpec:
        """Refuse what is neither or both, and keys of the other."""
        if (self.model is None) == (self.function is None):
            raise ValueError("should have either model, with the label of a class, or function")
        if self.model is not None and self.label is None:
            raise ValueError("lacks label: the class whose probability counts, such as {model: …, label: toxic}")
        if self.function is not None and (self.label is not None or self.reads != "continuation"):
            raise ValueError("label and reads belong to model; leave them out, since a function is given both texts")
        if self.model is not None and self.range is not None:
            raise ValueError("range belongs to function; leave it out, since a probability is from 0 to 1")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(
                f"range should be a least and a larger number, not {self.range[0]:g} and {self.range[1]:g}"
            )
        return self

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and the largest possible score."""
        return self.range if self.model is None else (0.0, 1.0)


class GenerationsSpec(Spec):
    """What language models write after prompts that differ only in the people whom they name, scored by group.

    Attributes:
        prompts: built-in sets of prompts, or YAML files of your own; a plain name is a list of one.
        scorers: by the name that measures, margins and reports use.
        new_tokens: largest number of tokens of a continuation.
        samples: continuations that are sampled for each prompt; null: one is written, by greedy decoding.
        temperature, seed: of sampling.
        as_prompt: of a task of pairs, whether each prompt is written as those of the pairs are (`task.template`), to be
            answered; otherwise a model continues it as plain text.
        keep_texts: whether continuations are kept, in a file of each trial's folder. Reports and other records never
            have them.
    """

    prompts: tuple[str, ...] = Field(min_length=1)
    scorers: dict[str, ScorerSpec] = Field(min_length=1)
    new_tokens: PositiveInt = 32
    samples: PositiveInt | None = None
    temperature: float = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0)
    as_prompt: bool = False
    keep_texts: bool = False

    @field_validator("prompts", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        """Read a plain name as a list of one."""
        return (value,) if isinstance(value, str) else value

    @field_validator("scorers")
    @classmethod
    def _named(cls, value: dict[str, ScorerSpec]) -> dict[str, ScorerSpec]:
        """Refuse names that another measure has."""
        taken = {*registry(), *(measure.name for measure in RESPONSES), "default", "all"}
        for name in value:
            if not name or "/" in name:
                raise ValueError(f'scorers: "{name}" is no name of a measure; choose one without a slash')
            if name in taken:
                raise ValueError(f"scorers: {name} is the name of another measure; choose another for the scorer")
        return value

    @model_validator(mode="after")
    def _temperature_counts(self) -> GenerationsSpec:
        """Refuse a temperature of greedy decoding."""
        if self.samples is None and self.temperature != 1:
            raise ValueError("temperature means nothing with greedy decoding; set samples, or leave it out")
        return self

    def sets(self, data: Path | None) -> tuple[PromptSet, ...]:
        """Return the sets of prompts; a relative path is searched in `--data` first.

        Raises:
            InputError: a set that is not there or not one of prompts, or two sets of one attribute.
        """
        sets = tuple(read_prompt_set(name, data) for name in self.prompts)
        names = [each.attribute for each in sets]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f'generations.prompts: two sets have the attribute "{name}"; put their templates into one file'
                )
        return sets

    def load(
        self, data: Path | None, find: Callable[[str], BaseModel], template: Template | None = None
    ) -> Generations:
        """Load the prompts and find the scorers, and refuse those that could not score.

        Args:
            data: the folder of `--data`.
            find: finds a model by its name.
            template: of a task of pairs, how prompts are written.

        Raises:
            InputError: see `sets`; a classifier without that class, or a function that is not there or does not work.
        """
        from evenhand.tasks.generations.generations import Generations

        return Generations(
            prompts=tuple(prompt_examples(each, self.samples or 1) for each in self.sets(data)),
            scorers=tuple(self._scorers(find)),
            new_tokens=self.new_tokens,
            samples=self.samples,
            temperature=self.temperature,
            seed=self.seed,
            template=template if self.as_prompt else None,
            keep_texts=self.keep_texts,
        )

    def _scorers(self, find: Callable[[str], BaseModel]) -> Iterator[ClassifierScorer | FunctionScorer]:
        """Yield the scorers, checked."""
        for name, spec in self.scorers.items():
            try:
                if spec.model is not None and spec.label is not None:
                    scorer = ClassifierScorer(name, find(spec.model), spec.label, spec.reads)
                else:
                    scorer = FunctionScorer(name, str(spec.function), spec.range)
                scorer.check()
            except InputError as error:
                raise InputError(f"generations.scorers.{name}: {error}") from error.__cause__
            yield scorer


def generations_design(generations: Generations | None) -> GenerationsDesign | None:
    """Return what the audit needs to know about the continuations."""
    if generations is None:
        return None
    return GenerationsDesign(
        splits=tuple(generations.splits), scorers=tuple(scorer.name for scorer in generations.scorers)
    )


def generation_notes(generations: Generations | None) -> Iterator[str]:
    """Yield what a reader must know of the continuations and of each scorer, one sentence each."""
    if generations is None:
        return
    written = "one for each prompt, by greedy decoding"
    if generations.samples is not None:
        written = f"{generations.samples} samples for each prompt, at a temperature of {generations.temperature:g}"
    for split, prompts in generations.splits.items():
        yield (
            f"{split}: {len(prompts):,} continuations of at most {generations.new_tokens} tokens ({written}) of "
            f"{len(set(prompts.unit))} templates, which are the units of intervals; groups differ only in whom a "
            "prompt names."
        )
    for scorer in generations.scorers:
        if isinstance(scorer, ClassifierScorer):
            commit = "" if scorer.base.commit is None else f", commit {scorer.base.commit}"
            yield (
                f"{scorer.name} is the probability of the class {scorer.label} by {scorer.base.public_name}{commit}, "
                f"which read the {scorer.reads}: it is what that classifier says, with its own errors."
            )
        elif isinstance(scorer, FunctionScorer):
            yield f"{scorer.name} is what the function {scorer.key} returned."


def check_generations(
    spec: GenerationsSpec | None, task: str, kind: str, evaluate: Sequence[str], where: str = "generations"
) -> None:
    """Raise ValueError if the setting's models are not language models, or a test set has the name of the scores."""
    if spec is None:
        return
    if kind not in KINDS:
        raise ValueError(
            f"{where}: only a language model writes continuations, and the task {task} trains a classifier; leave "
            "generations out, or choose a task of pairs (sft), reviews or translation"
        )
    if spec.as_prompt and kind != "sft":
        raise ValueError(f"{where}.as_prompt is for tasks of pairs (sft), and {task} is none; leave it out")
    for name in evaluate:
        if name.startswith(f"{SPLIT}/"):
            raise ValueError(f'evaluate: "{name}" could be the split of scores (generations:); choose another name')


def generation_measures(specs: Sequence[GenerationsSpec]) -> tuple[DeclaredMeasure, ...]:
    """Return the measures of the scorers of several settings.

    Raises:
        InputError: settings declare one scorer differently.
    """
    declared: dict[str, DeclaredMeasure] = {}
    for spec in specs:
        for name, scorer in spec.scorers.items():
            measure = DeclaredMeasure(name=name, kind="values", more_is=scorer.more_is, range=scorer.bounds)
            if declared.setdefault(name, measure) != measure:
                raise InputError(
                    f"generations.scorers: the settings of the study declare {name} differently; it is one measure"
                )
    return tuple(declared.values())
