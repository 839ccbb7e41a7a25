"""The folders that are compared, and which of their settings and methods are each other's counterparts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenhand.audit.results import Results
from evenhand.errors import InputError

THE_MODEL = "the model"
"""Stands for the only method of each folder where these have different names: models are compared then."""


@dataclass(frozen=True, eq=False)
class Folder:
    """The results of one folder.

    Attributes:
        label: by which the comparison names it.
        results: of the folder.
        dates: by what happened, such as `trained`, the date.
        settings: by its own name, the name under which the comparison has a setting.
        methods: the same for methods, references included.
    """

    label: str
    results: Results
    dates: Mapping[str, str]
    settings: Mapping[str, str]
    methods: Mapping[str, str]

    def renamed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row of estimates or verdicts with the names of the comparison."""
        names = {"setting": self.settings, "method": self.methods, "reference": self.methods}
        return {key: names[key].get(value, value) if key in names else value for key, value in row.items()}


def align_folders(
    labels: Sequence[str], results: Sequence[Results], dates: Sequence[Mapping[str, str]] | None = None
) -> tuple[Folder, ...]:
    """Return the folders with names for what they share.

    Settings are counterparts by name; where each folder has one, these are counterparts whatever their names, and of
    others those with the same task and base model. Methods are counterparts by name; where each folder has a single
    one, these are.

    Args:
        labels: of the folders; all different.
        results: of the folders.
        dates: see `Folder`.

    Raises:
        InputError: fewer than two folders, or two with the same label.
    """
    if len(labels) < 2:
        raise InputError("compare takes two folders or more")
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f'two folders would both be called "{label}"; name them apart, as in before=DIR after=DIR')
    settings, methods = _counterparts(results), _methods(results)
    dated = dates or [{} for _ in labels]
    return tuple(Folder(*each) for each in zip(labels, results, dated, settings, methods, strict=True))


def _counterparts(results: Sequence[Results]) -> list[dict[str, str]]:
    """Return, for each folder, the name in the comparison of each of its settings."""
    designs = [each.design.settings for each in results]
    first = designs[0]
    if all(len(design) == 1 for design in designs):
        return [{next(iter(design)): next(iter(first))} for design in designs]
    named = []
    for design in designs:
        by_content: dict[tuple[str, str], list[str]] = {}
        for name, setting in first.items():
            if name not in design:
                by_content.setdefault((setting.task, setting.model), []).append(name)
        names = {}
        for name, setting in design.items():
            alike = by_content.get((setting.task, setting.model), [])
            names[name] = alike.pop(0) if name not in first and len(alike) == 1 else name
        named.append(names)
    return named


def _methods(results: Sequence[Results]) -> list[dict[str, str]]:
    """Return, for each folder, the name in the comparison of each of its methods."""
    names = [sorted(set(each.trials.filter(role="study")["method"])) for each in results]
    if all(len(each) == 1 for each in names) and len({each[0] for each in names}) > 1:
        return [{each[0]: THE_MODEL} for each in names]
    return [{name: name for name in each} for each in names]
