"""Loads the data, the base model and the benchmarks of every setting of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evenhand.data.dataset import Dataset, DataSpec
from evenhand.data.reviews import ReviewSpec
from evenhand.data.sft import Conversations
from evenhand.data.translation import Translations
from evenhand.errors import InputError
from evenhand.models.find import BaseModel, find_model
from evenhand.models.stated import is_stated
from evenhand.study.benchmark_measures import check_metrics, found_metrics
from evenhand.study.compared_groups import compared_groups
from evenhand.study.harness_spec import HarnessSpec
from evenhand.study.loaded_dataset import LoadedDataset
from evenhand.study.loaded_setting import LoadedSetting
from evenhand.study.setting import MAIN, Setting
from evenhand.study.spec import StudySpec
from evenhand.tasks import kind_of, parse_task

if TYPE_CHECKING:
    from evenhand.tasks.harness.loading import Benchmarks


LEAST_TOKENS = 2
"""The fewest tokens of a response whose membership is audited."""


def read_data(spec: DataSpec, folder: Path | None) -> Dataset:
    """Return a data set as its own `load` reads it."""
    return spec.load(folder)


def load_settings(
    study: StudySpec,
    data: Path | None,
    find: Callable[[str], BaseModel] = find_model,
    read: Callable[[DataSpec, Path | None], Dataset] = read_data,
) -> dict[str, LoadedSetting]:
    """Load the data and the base model of every setting; equal data sets are loaded once.

    Args:
        study: resolved.
        data: the folder of `--data`, with one folder per data set.
        find: finds a base model by its name.
        read: reads a data set from its folder.

    Raises:
        InputError: data or a model that is missing or does not fit, a test set with other classes, groups to compare
            with that the data lack, or benchmarks that are not available.
    """
    if data is not None and not data.is_dir():
        raise InputError(f"--data {data} is not a folder; it should hold one folder per data set")
    known: dict[tuple[type[DataSpec], str], LoadedDataset] = {}

    def load(spec: DataSpec) -> LoadedDataset:
        """Load a data set unless it is loaded already."""
        key = type(spec), spec.model_dump_json()
        if key not in known:
            folder = data if data is None or spec.folder_name is None else data / spec.folder_name
            known[key] = LoadedDataset(read(spec, folder), labelled=not isinstance(spec, ReviewSpec))
        return known[key]

    scored: dict[str, Benchmarks] = {}

    def benchmarks(spec: HarnessSpec | None) -> Benchmarks | None:
        """Load benchmarks unless they are loaded already."""
        if spec is None:
            return None
        key = spec.model_dump_json()
        if key not in scored:
            loaded = spec.load(data)
            check_metrics(spec, found_metrics([loaded]))
            scored[key] = loaded
        return scored[key]

    return {
        name: replace(_loaded_setting(name, setting, load, data, find), benchmarks=benchmarks(setting.harness))
        for name, setting in study.settings.items()
    }


def _loaded_setting(
    name: str,
    setting: Setting,
    load: Callable[[DataSpec], LoadedDataset],
    data: Path | None,
    find: Callable[[str], BaseModel],
) -> LoadedSetting:
    """Load one setting, and refuse data, test sets and a base model that do not fit each other."""
    spec = setting.data_spec()
    if spec.test_only:
        raise InputError(
            f"settings.{name}: the data set {setting.task['name']} is made for testing, not for training; name it "
            "under evaluate:, beside a task with the same classes"
        )
    column = setting.split.column
    if isinstance(column, str) and "split_column" in type(spec).model_fields:
        spec = spec.model_copy(update={"split_column": column})
    prompts = () if setting.prompts is None else setting.prompts.asked(data)
    # Data first: a wrong column is refused before libraries that take seconds are imported for the model.
    loaded = load(spec)
    membership = setting.membership
    if membership is not None and membership.canaries is not None and not loaded.dataset.stated:
        loaded = LoadedDataset(membership.canaries.added(loaded.dataset, membership.seed), loaded.labelled)
    others = {}
    for other, task in setting.evaluate.items():
        others[other] = LoadedDataset(_renamed(_tested_part(parse_task(task)[1], load), other))
        if kind_of(task["name"]) != kind_of(setting.task["name"]):
            raise InputError(
                f"settings.{name}: the test set {other} is for {kind_of(task['name'])}, and the task "
                f"{setting.task['name']} is {kind_of(setting.task['name'])}; both should be of one kind"
            )
        classes, other_classes = loaded.dataset.classes, others[other].dataset.classes
        if other_classes != classes:
            raise InputError(
                f"settings.{name}: the test set {other} has the classes {', '.join(other_classes)}, "
                f"the task has {', '.join(classes)}; they must be the same, in the same order"
            )
    try:
        template = loaded.dataset.template if isinstance(loaded.dataset, Conversations) else None
        generations = None if setting.generations is None else setting.generations.load(data, find, template)
    except InputError as error:
        raise InputError(str(error) if name == MAIN else f"settings.{name}.{error}") from error.__cause__
    continued = () if generations is None else generations.prompts
    compared = () if loaded.dataset.stated else setting.against  # the groups of stated data are unknown
    try:
        against, compared_notes = compared_groups(compared, _compared(setting, loaded, others, continued))
    except InputError as error:
        raise InputError(str(error) if name == MAIN else f"settings.{name}: {error}") from None
    base = find(setting.model)
    if loaded.dataset.modality != base.modality:
        raise InputError(
            f"settings.{name}: {setting.model} reads {base.modality}s, but the task {setting.task['name']} "
            f"has {loaded.dataset.modality}s; choose a model of {loaded.dataset.modality}s"
        )
    if base.modality != "image" and any(setting.training(method).augment for method in setting.methods):
        raise InputError(
            f"settings.{name}: train.augment: flip is for images, and {setting.model} reads {base.modality}s"
        )
    try:
        _check_lengths(setting, base, loaded, others)
    except InputError as error:
        raise InputError(f"{error}" if name == MAIN else f"settings.{name}: {error}") from None
    if generations is not None and not is_stated(base):
        from evenhand.tasks.generations.trial import check_room

        try:
            check_room(generations, base, [setting.method(method) for method in setting.methods])
        except InputError as error:
            raise InputError(f"{error}" if name == MAIN else f"settings.{name}.{error}") from None
    if setting.probing is not None:
        try:
            setting.probing.check_base(base, kind_of(setting.task["name"]))
        except InputError as error:
            raise InputError(f"settings.{name}: {error}") from None
    return LoadedSetting(name, setting, base, spec, loaded, others, against, compared_notes, prompts, None, generations)


def _check_lengths(
    setting: Setting, base: BaseModel, loaded: LoadedDataset, others: Mapping[str, LoadedDataset]
) -> None:
    """Check that the texts of a language model fit it, those of further test sets included."""
    methods = [(setting.method(name), setting.training(name).max_length) for name in setting.methods]
    least_tokens = 1 if setting.membership is None else LEAST_TOKENS
    for other, dataset in {None: loaded, **others}.items():
        try:
            match dataset.dataset:
                case Conversations() as conversations:
                    from evenhand.tasks import sft

                    sft.check(base, conversations, methods, least_tokens if other is None else 1)
                case Translations() as translations if not is_stated(base):
                    from evenhand.tasks import translation

                    translation.check(base, translations, methods)
        except InputError as error:
            raise InputError(f"{error}" if other is None else f"the test set {other}: {error}") from None


def _compared(
    setting: Setting, loaded: LoadedDataset, others: Mapping[str, LoadedDataset], continued: Sequence[Dataset]
) -> Iterator[Dataset]:
    """Yield the data sets whose groups are compared: none without seeds, of reviews only prompts to continue."""
    if setting.seeds:
        if kind_of(setting.task["name"]) != "reviews":
            yield loaded.dataset
            yield from (other.dataset for other in others.values())
        yield from continued


def _tested_part(spec: DataSpec, load: Callable[[DataSpec], LoadedDataset]) -> Dataset:
    """Return the part of a further test set that is predicted."""
    dataset = load(spec).dataset
    everything = np.arange(len(dataset))
    asked = spec.tested(dataset, everything)
    return dataset if len(asked) == len(everything) else dataset.take(asked)


def _renamed(dataset: Dataset, prefix: str) -> Dataset:
    """Return a further test set with its name before its ids, so that they differ from the task's own."""
    return replace(
        dataset,
        example=np.array([f"{prefix}/{example}" for example in dataset.example], dtype=object),
        unit=np.array([f"{prefix}/{unit}" for unit in dataset.unit], dtype=object),
    )
