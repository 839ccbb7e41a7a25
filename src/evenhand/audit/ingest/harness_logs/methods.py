"""Says which evaluations are of which method, and which are runs of one method."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evenhand.audit.ingest.harness_logs.evaluations import Evaluation, TaskScores
from evenhand.errors import InputError, did_you_mean, shortened

Reader = Callable[[Path], list[Evaluation]]
Named = Sequence[tuple[str | None, Path]]


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a method: a score for each document of each task.

    Attributes:
        method, seed: of the run.
        tasks: by name.
        where: the first of its files, for messages.
    """

    method: str
    seed: int
    tasks: Mapping[str, TaskScores]
    where: str


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of all methods, and sentences about them.

    Attributes:
        runs: in the order in which methods and paths were named.
        notes: for the report.
        harness: the programs that wrote the logs.
    """

    runs: Sequence[Run]
    notes: tuple[str, ...]
    harness: tuple[str, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """In the order of the runs."""
        return tuple(dict.fromkeys(run.method for run in self.runs))

    @property
    def tasks(self) -> tuple[str, ...]:
        """In the order of the first run."""
        return tuple(self.runs[0].tasks)


def runs(paths: Named, read: Reader, asked: Sequence[str] = ()) -> Runs:
    """The runs in logs.

    What a path holds of one model is one run, or a part of one: paths with the same tasks of one method are several
    runs, paths with different tasks belong to one run.

    Args:
        paths: each with the name of its method; None: the model's own name.
        read: returns the evaluations in a path.
        asked: names of tasks; none: all.

    Raises:
        InputError: a path that holds two evaluations of one task by one model, or several models where it has one name;
            different models with one name; methods with different tasks.
    """
    found = [(name, evaluation) for name, path in paths for evaluation in _by_model(path, name, read(path), asked)]
    if not found:
        raise InputError("none of the logs has one of the tasks that were asked for")
    _check_names(found)
    by_method: dict[str, list[Evaluation]] = {}
    for name, evaluation in found:
        by_method.setdefault(name or evaluation.model, []).append(evaluation)
    each = {method: _of_method(method, evaluations) for method, evaluations in by_method.items()}
    numbers = _numbered(each)
    every = [
        Run(method, seed, evaluation.tasks, evaluation.where)
        for method, evaluations in each.items()
        for seed, evaluation in zip(numbers[method], evaluations, strict=True)
    ]
    _check_tasks(every)
    notes = [note for _, evaluation in found for note in evaluation.notes]
    return Runs(every, tuple(dict.fromkeys(notes)), tuple(dict.fromkeys(one.harness for _, one in found)))


def _by_model(path: Path, name: str | None, evaluations: list[Evaluation], asked: Sequence[str]) -> list[Evaluation]:
    """What a path holds of each model, as one evaluation."""
    by_model: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        by_model.setdefault(json.dumps(evaluation.identity, sort_keys=True), []).append(evaluation)
    if name is not None and len(by_model) > 1:
        models = ", ".join(sorted({evaluation.model for evaluation in evaluations}))
        raise InputError(
            f"{path} holds evaluations of {len(by_model)} models ({shortened(models)}), and is named {name}; name a "
            "folder of each"
        )
    every = {task for evaluation in evaluations for task in evaluation.tasks}
    for task in asked:
        if task not in every:
            raise InputError(f'{path} has no task "{task}" (benchmark); {did_you_mean(task, every)}')
    merged = []
    for parts in by_model.values():
        owner: dict[str, str] = {}
        tasks: dict[str, TaskScores] = {}
        for part in parts:
            for task, scores in part.tasks.items():
                if asked and task not in asked:
                    continue
                if task in owner:
                    raise InputError(
                        f"{path} holds two evaluations of {task} by {part.model}, {Path(owner[task]).name} and "
                        f"{Path(part.where).name}; name one of these files instead"
                    )
                owner[task], tasks[task] = part.where, scores
        merged.append(_merged(parts, tasks))
    return [evaluation for evaluation in merged if evaluation.tasks]


def _merged(parts: Sequence[Evaluation], tasks: Mapping[str, TaskScores]) -> Evaluation:
    """Evaluations of one model as one."""
    first = parts[0]
    notes = tuple(note for part in parts for note in part.notes)
    seeds = {part.seed for part in parts}
    seed = seeds.pop() if len(seeds) == 1 else ""
    return Evaluation(first.where, first.model, first.identity, seed, tasks, notes, first.harness)


def _check_names(found: Sequence[tuple[str | None, Evaluation]]) -> None:
    """Raise InputError for different models that would have one name, or a model without one."""
    given = {name for name, _ in found if name is not None}
    unnamed: dict[str, Evaluation] = {}
    for name, evaluation in found:
        if name is not None:
            continue
        model, where = evaluation.model, evaluation.where
        if not model:
            raise InputError(f"{where} does not say of which model it is; name it, as in NAME={where}")
        if model in given:
            raise InputError(f"{where} is of the model {model}, which is the name of another path; name it too")
        other = unnamed.setdefault(model, evaluation)
        if other.identity != evaluation.identity:
            raise InputError(
                f"different models are called {model} ({_difference(other.identity, evaluation.identity)}); name each, "
                f"as in NAME={other.where} NAME={where}"
            )


def _difference(first: Mapping[str, str], second: Mapping[str, str]) -> str:
    """The first respect in which two models differ."""
    for key in dict.fromkeys((*first, *second)):
        if first.get(key) != second.get(key):
            return f"{key}: {shortened(str(first.get(key)), 40)} and {shortened(str(second.get(key)), 40)}"
    return ""


def _of_method(method: str, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The runs of a method: one where its evaluations have different tasks, else each."""
    sets = [set(evaluation.tasks) for evaluation in evaluations]
    if all(one == sets[0] for one in sets):
        return list(evaluations)
    if sum(map(len, sets)) == len(set().union(*sets)):
        tasks = {task: scores for evaluation in evaluations for task, scores in evaluation.tasks.items()}
        return [_merged(evaluations, tasks)]
    task = next(task for task in set().union(*sets) if not all(task in one for one in sets))
    where = next(evaluation.where for evaluation in evaluations if task not in evaluation.tasks)
    raise InputError(
        f"{method} has several evaluations with mixed tasks: {where} lacks {task}; evaluate every run on the same "
        "tasks, or choose some of them (benchmark)"
    )


def _numbered(by_method: Mapping[str, Sequence[Evaluation]]) -> dict[str, list[int]]:
    """The seeds of the runs of each method.

    The evaluation's own where all methods were run with the same, different ones; else runs are numbered in the order
    in which they were named.
    """
    seeds = {method: [evaluation.seed for evaluation in one] for method, one in by_method.items()}
    first = next(iter(seeds.values()))
    whole = all(text.isascii() and text.isdigit() and len(text) <= 18 for text in first)
    if whole and all(len(set(one)) == len(one) and set(one) == set(first) for one in seeds.values()):
        return {method: [int(text) for text in one] for method, one in seeds.items()}
    return {method: list(range(len(one))) for method, one in seeds.items()}


def _check_tasks(every: Sequence[Run]) -> None:
    """Raise InputError unless all runs have the same tasks."""
    for run in every:
        for one, other in ((every[0], run), (run, every[0])):
            lacking = next((task for task in one.tasks if task not in other.tasks), None)
            if lacking is not None:
                raise InputError(
                    f"{one.method} was evaluated on {lacking} and {other.method} was not; evaluate both on the same "
                    f"tasks, or choose some (benchmark), {_common(every)}"
                )


def _common(every: Iterable[Run]) -> str:
    common = set.intersection(*(set(run.tasks) for run in every))
    return f"such as {min(common)}" if common else "but they have none in common"
