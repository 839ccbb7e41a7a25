"""Finds benchmarks by their names in lm-evaluation-harness and reads their documents, before any training."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evenhand.data.hub_access import hub_or_cache
from evenhand.errors import InputError, did_you_mean, first_line
from evenhand.seeds import generator
from evenhand.tasks.harness.columns import KNOWN, DocumentColumns
from evenhand.tasks.harness.local_files import (
    OF_FILES,
    check_counts,
    delete_with,
    discard,
    local_folder,
    local_source,
)

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

BUNDLED_TASKS = Path(__file__).parent / "benchmarks"
"""Folder of tasks in the harness's format that the harness does not have: StereoSet."""

COMMON_FOLDERS = ("bbq", "crows_pairs", "winogender", "simple_cooccurrence_bias")
"""Folders of the harness to search first: it has thousands of tasks, and reading all of them takes seconds."""

PYTHON_SEED, OTHER_SEED = 0, 1234
"""The harness's defaults: for Python's random numbers, and for those of NumPy and of examples in prompts."""

BUNDLED_GROUPS = ("stereoset",)
"""Names for several tasks, all of which are in the folders that are searched first."""


@dataclass(frozen=True, eq=False)
class Benchmarks:
    """Tasks of the harness with the documents to score.

    Attributes:
        tasks: tasks of the harness by name, in the requested order.
        asked: by task, the documents to score, as ascending positions; None: all.
        columns: by task, the columns with groups and units of its documents.
        data: by task, the name of its data set on the hub.
        batch_size: number of requests in a batch.
        fingerprint: identifies a model's answers: the tasks with their versions and settings, and the documents.
        version: version of the harness.
    """

    tasks: Mapping[str, Any]
    asked: Mapping[str, Sequence[int] | None]
    columns: Mapping[str, DocumentColumns]
    data: Mapping[str, str]
    batch_size: int
    fingerprint: str
    version: str

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of a report: each task's version, and how many of its documents were scored."""
        notes = []
        for name, task in self.tasks.items():
            asked, every = self.asked[name], len(task.eval_docs)
            of = f"{every:,} documents" if asked is None else f"{len(asked):,} of {every:,} documents, drawn"
            notes.append(f"{name} (version {task.VERSION}, lm-evaluation-harness {self.version}): {of}")
        return tuple(notes)


def harness_version() -> str:
    """Return the version of lm-evaluation-harness. Raises InputError if it is not installed."""
    if util.find_spec("lm_eval") is None:
        raise InputError(
            "harness: lm-evaluation-harness scores these benchmarks, and it is not installed; "
            "pip install 'evenhand[harness]'"
        )
    return metadata.version("lm_eval")


def load_benchmarks(
    names: Sequence[str],
    *,
    limit: int | None = None,
    include: Path | None = None,
    columns: Mapping[str, DocumentColumns] | None = None,
    batch_size: int = 16,
    below: Path | None = None,
) -> Benchmarks:
    """Find tasks and read their documents.

    Args:
        names: names of tasks, groups or tags of the harness, including `stereoset`.
        limit: largest number of documents of each task, drawn at random, because the first ones in a file may be of one
            category.
        include: a folder of further tasks in the harness's format, which may replace its own.
        columns: by task, the columns that are not in `KNOWN`.
        batch_size: number of requests in a batch.
        below: the folder of `--data`. A folder in it that is named like a data set of the hub (`bbq` for
            `oskarvanderwal/bbq`) and has its files is read instead of the hub.

    Raises:
        InputError: the harness is not installed; no such task; documents that are not available or lack a column.
    """
    version = harness_version()
    if include is not None and not include.is_dir():
        raise InputError(f"harness.include_path: there is no folder {include}")
    columns = columns or {}
    with quiet_harness():
        manager = _manager(tuple(names), include)
        tasks: dict[str, Any] = {}
        data: dict[str, str] = {}
        for name in dict.fromkeys(leaf for asked in names for leaf in _leaves(asked, manager)):
            tasks[name], data[name] = _loaded(name, manager, below)
        for name in columns:
            if name not in tasks:
                raise InputError(f'harness.columns: "{name}" is not among harness.tasks; {did_you_mean(name, tasks)}')
        known = {name: columns.get(name, KNOWN.get(data[name], DocumentColumns())) for name in tasks}
        asked = {}
        digest = hashlib.blake2b(digest_size=16)
        for name, task in tasks.items():
            documents = task.eval_docs
            known[name].check(name, list(documents[0]))
            asked[name] = _drawn_documents(name, len(documents), limit)
            for part in (name, str(task.VERSION), _task_settings(task), data[name], known[name].identity):
                digest.update(part.encode() + b"\0")
            for position in range(len(documents)) if asked[name] is None else asked[name]:
                text = json.dumps(documents[int(position)], sort_keys=True, default=str)
                digest.update(f"{position}\0{text}\0".encode())
    return Benchmarks(tasks, asked, known, data, batch_size, digest.hexdigest(), version)


@contextmanager
def quiet_harness() -> Iterator[None]:
    """Silence the harness's progress bars and warnings; this package checks whatever matters."""
    import lm_eval.evaluator  # which sets up its loggers  # noqa: F401

    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _manager(names: tuple[str, ...], include: Path | None) -> TaskManager:
    """Return a task manager that knows these names, and all tasks if a name may mean several."""
    quick = _index(include, everything=False)
    entries = {name: quick.task_index.get(name) for name in names}
    if all(
        name in BUNDLED_GROUPS or (entry and entry.kind.name in ("TASK", "PY_TASK")) for name, entry in entries.items()
    ):
        return quick
    return _index(include, everything=True)


@cache
def _index(include: Path | None, everything: bool) -> TaskManager:
    """Return a task manager over the usual folders, or over everything."""
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    home = Path(lm_eval.tasks.__path__[0])
    usual: list[str | Path] = [] if everything else [home / name for name in COMMON_FOLDERS]
    further = [*usual, BUNDLED_TASKS, *([] if include is None else [include])]
    return TaskManager(include_path=further, include_defaults=everything)


def _leaves(name: str, manager: TaskManager) -> Iterator[str]:
    """Yield the tasks that a name stands for."""
    entry = manager.task_index.get(name)
    if entry is None:
        raise InputError(f'harness.tasks: there is no task "{name}"; {did_you_mean(name, manager.all_tasks)}')
    if entry.kind.name == "TAG":
        yield from sorted(entry.tags)
    elif entry.kind.name == "GROUP":
        for member in (entry.cfg or {}).get("task", []):
            child = member if isinstance(member, str) else member.get("task")
            if not isinstance(child, str) or (isinstance(member, dict) and len(member) > 1):
                raise InputError(
                    f'harness.tasks: the group "{name}" changes settings of its tasks; name the tasks themselves'
                )
            yield from _leaves(child, manager)
    else:
        yield name


def _loaded(name: str, manager: TaskManager, below: Path | None) -> tuple[Any, str]:
    """Return a task with its documents, and the name of its data set on the hub."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    entry = manager.task_index[name]
    config = entry.cfg or {}
    named = str(config.get("dataset_path", name))
    source: dict[str, Any] = {}
    unreachable = None
    try:
        source = local_source(named, config, below, None if entry.yaml_path is None else Path(entry.yaml_path).parent)
        with nullcontext() if source else hub_or_cache() as unreachable, _seeded():
            tasks = manager.load([{"group": "evenhand", "task": [{"task": name, **source}]}])["tasks"]
            (task,) = tasks.values()
            documents = task.eval_docs
        check_counts(task, source)
        if not len(documents):
            raise ValueError("it has no documents")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, HfHubHTTPError, DatasetsError, InputError) as error:
        discard(source)
        why = first_line(error) if unreachable is None else f"the hub cannot be reached ({unreachable})"
        raise InputError(
            f'harness.tasks: the documents of "{name}", the data set {named}, cannot be loaded'
            f"{_where(named, below)}: {why}"
        ) from None
    delete_with(task, source)
    task.set_config(key="dataset_kwargs", value=config.get("dataset_kwargs"))  # without names of temporary folders
    # As `simple_evaluate` does: no examples in the prompt unless the task says so.
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    # Some tasks shuffle the options of their documents, anew each time that they are asked for them.
    setattr(task, "test_docs" if task.has_test_docs() else "validation_docs", lambda: documents)
    return task, named


def restart_examples(benchmarks: Benchmarks) -> None:
    """Let the examples in prompts be drawn from the beginning, so that every model is asked with the same ones."""
    for task in benchmarks.tasks.values():
        task.set_fewshot_seed(seed=OTHER_SEED)


@contextmanager
def _seeded() -> Iterator[None]:
    """Context manager with the harness's seeds, in which tasks that draw their documents draw the same ones."""
    before, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - tasks use it
    random.seed(PYTHON_SEED)
    np.random.seed(OTHER_SEED)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(of_numpy)  # noqa: NPY002


def _where(named: str, below: Path | None) -> str:
    """Return where documents were looked for, as a part of a sentence."""
    if below is None or named in OF_FILES:
        return ""
    local = local_folder(named, below)
    if local is None:
        return f", and {below / named.rpartition('/')[2]} is not a folder"
    return f" (from {local})"


def _drawn_documents(name: str, number: int, limit: int | None) -> list[int] | None:
    """Return the positions of the documents to score; None for all."""
    if limit is None or limit >= number:
        return None
    return sorted(int(position) for position in generator(0, "harness", name).permutation(number)[:limit])


def _task_settings(task: Any) -> str:
    """Return a task's YAML as text, functions by their source, without paths on this machine."""
    settings = dict(task.dump_config())
    settings.pop("dataset_path", None)
    settings |= {"dataset_kwargs": options} if (options := settings.pop("dataset_kwargs", None)) else {}
    settings["metadata"] = {
        key: value for key, value in (settings.get("metadata") or {}).items() if key != "config_source"
    }
    return json.dumps(settings, sort_keys=True, default=_source)


def _source(value: Any) -> str:
    """Return a function's source, or its name if there is none; never its address in memory."""
    try:
        return inspect.getsource(value)
    except (TypeError, OSError):
        return getattr(value, "__qualname__", type(value).__qualname__)
