"""Registers tasks by name; a task's data, and what that imports, is loaded when the task is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from evenhand.data.dataset import DataSpec
from evenhand.errors import InputError, did_you_mean
from evenhand.plugins import Registry

if TYPE_CHECKING:
    from evenhand.tasks.work import Trainer

Kind = Literal["classification", "translation", "reviews", "sft"]

TABLE: Mapping[Kind, str] = MappingProxyType(
    {"classification": "predictions", "translation": "responses", "reviews": "options", "sft": "values"}
)
"""The record table that a trial of each kind writes."""


@dataclass(frozen=True)
class TaskEntry:
    """One registered task.

    Attributes:
        summary: one line for `evenhand list tasks`.
        data: location of its DataSpec, `module:class`.
        kind: kind of its trials; see `trainer`.
    """

    summary: str
    data: str
    kind: Kind = "classification"

    def spec(self) -> type[DataSpec]:
        """Return the class of the task's options."""
        module, _, name = self.data.partition(":")
        return getattr(import_module(module), name)


BUILT_IN: Mapping[str, TaskEntry] = MappingProxyType(
    {
        "table": TaskEntry(
            "your own texts or images: a CSV, Parquet or JSONL file or a Hugging Face data set",
            "evenhand.data.table:Table",
        ),
        "hatexplain": TaskEntry(
            "posts, hateful or normal, with the communities they mention", "evenhand.data.hatespeech:HateXplain"
        ),
        "hatecheck": TaskEntry(
            "test cases of hate speech for seven identities, for evaluate: only", "evenhand.data.hatespeech:HateCheck"
        ),
        "utkface": TaskEntry(
            "photographs of faces by gender or age, over five races", "evenhand.data.faces.utkface:UTKFace"
        ),
        "fairface": TaskEntry(
            "photographs of faces by gender or age, over seven races", "evenhand.data.faces.fairface:FairFace"
        ),
        "dlab": TaskEntry(
            "posts, hateful or normal, by the religion, race, gender, sexuality or age they target",
            "evenhand.data.hatespeech:DLab",
        ),
        "ethos": TaskEntry(
            "comments, hateful or normal, and what the hateful ones attack", "evenhand.data.hatespeech:Ethos"
        ),
        "imdb": TaskEntry("reviews of films, bad or good; no groups", "evenhand.data.imdb:Imdb"),
        "synthetic/faces": TaskEntry(
            "drawn faces in four groups, with unfairness to plant", "evenhand.data.synthetic:SyntheticFaces"
        ),
        "synthetic/posts": TaskEntry(
            "template posts in four groups, with unfairness to plant", "evenhand.data.synthetic:SyntheticPosts"
        ),
        "winomt": TaskEntry(
            "Turkish sentences about occupations into English, which needs a pronoun",
            "evenhand.data.winomt_task:WinoMTTask",
            "translation",
        ),
        "synthetic/translation": TaskEntry(
            "Turkish and English of a small grammar, with a stereotype to plant",
            "evenhand.data.synthetic_translation:SyntheticTranslation",
            "translation",
        ),
        "reviews": TaskEntry(
            "reviews that say nothing of their author, whose gender a model is then asked about",
            "evenhand.data.reviews:Reviews",
            "reviews",
        ),
        "synthetic/reviews": TaskEntry(
            "template reviews, in which the author's gender shows as much as is asked for",
            "evenhand.data.synthetic_reviews:SyntheticReviews",
            "reviews",
        ),
        "sft": TaskEntry(
            "your own prompts and responses, or conversations: supervised fine-tuning of a language model",
            "evenhand.data.sft:Sft",
            "sft",
        ),
        "synthetic/instructions": TaskEntry(
            "questions for the Turkish of English nouns, with their responses",
            "evenhand.data.synthetic_instructions:SyntheticInstructions",
            "sft",
        ),
    }
)


def _fault(name: str, entry: Any) -> str | None:
    """Return what is wrong with a task of another package, as the end of a sentence; None if nothing is."""
    if not isinstance(entry, TaskEntry):
        return "is not a TaskEntry of evenhand.tasks"
    if entry.kind not in get_args(Kind):
        return f'has the kind "{entry.kind}", which is none of {", ".join(get_args(Kind))}'
    if name.rpartition("/")[0] in BUILT_IN:
        return "is named as a target of a built-in task is"
    spec = entry.spec()
    return (
        None if isinstance(spec, type) and issubclass(spec, DataSpec) else f"names {entry.data}, which is no DataSpec"
    )


TASKS: Mapping[str, TaskEntry] = Registry("tasks", BUILT_IN, _fault)
"""The built-in tasks and those of installed packages."""


def find_task(name: str) -> tuple[TaskEntry, str | None]:
    """Return the task of this name and its target, which may follow the last `/` of the name.

    Raises:
        InputError: there is no such task; the nearest one is named.
    """
    entry, target = TASKS.get(name), None
    if entry is None:
        whole, _, target = name.rpartition("/")
        entry = TASKS.get(whole)
    if entry is None:
        raise InputError(f'there is no task "{name}"; {did_you_mean(name, TASKS)}')
    return entry, target


def kind_of(name: str) -> Kind:
    """Return the kind of the task of this name. Raises as `find_task`."""
    return find_task(name)[0].kind


def trainer(kind: Kind) -> Trainer:
    """Return the module that trains trials of a kind and predicts from their kept weights."""
    return cast("Trainer", import_module(f"evenhand.tasks.{kind}"))


def parse_task(values: str | Mapping[str, Any]) -> tuple[str, DataSpec]:
    """Return the name and the options of a task in a study: a name, or `{name: hatexplain, groups: targets}`.

    A target in the name (`utkface/gender`) becomes the option `target`, and the name is returned without it, so that
    both ways of writing a task give the same result.

    Raises:
        InputError: an unknown task or key (with the nearest known one), or an unusable value.
    """
    if isinstance(values, str):
        values = {"name": values}
    if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
        raise InputError(
            f"task should be a name or a mapping with a name, such as {{name: hatexplain}}, not {values!r}"
        )
    name = str(values["name"])
    options = {str(key): value for key, value in values.items() if key != "name"}
    entry, target = find_task(name)
    spec = entry.spec()
    if target is not None:
        if "target" not in spec.model_fields:
            raise InputError(f'the task {name.rpartition("/")[0]} has no targets, so "{name}" is not a task')
        if options.get("target", target) != target:
            raise InputError(f'task: "{name}" and target: {options["target"]} contradict each other')
        name, options["target"] = name.rpartition("/")[0], target
    return name, spec.parse(options, f"task {name}")
