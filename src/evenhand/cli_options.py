"""The arguments and options that several commands share, the values that options choose from, and what these name."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from evenhand.errors import InputError


class Executor(StrEnum):
    serial = "serial"


class Format(StrEnum):
    html = "html"
    md = "md"
    json = "json"
    png = "png"
    svg = "svg"
    pdf = "pdf"


class Listing(StrEnum):
    tasks = "tasks"
    methods = "methods"
    measures = "measures"
    presets = "presets"


class SplitDesign(StrEnum):
    fixed = "fixed"
    varying = "varying"


Study_ = Annotated[str, typer.Argument(metavar="STUDY", help="a YAML file or the name of a preset")]
Out = Annotated[Path | None, typer.Option("--out", help="folder that holds the study; running again continues it")]
Data = Annotated[Path | None, typer.Option("--data", help="folder with one folder per data set")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change any key, such as seeds=3")]
Tiny = Annotated[bool, typer.Option("--tiny", help="tiny models and small stand-in data, to see it run")]
Json = Annotated[
    bool, typer.Option("--json", help="one JSON object on standard output, everything else on standard error")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="a folder that `run` or `audit` wrote")]


def study_of(
    study: str, changes: list[str], tiny: bool, data: Path | None, out: Path | None
) -> tuple[Any, str, Path, Path | None]:
    """The study, its name, its folder, and the folder of its data."""
    from evenhand.study.presets import find_study
    from evenhand.study.spec import StudySpec

    values, name = find_study(study, changes)
    spec = StudySpec(**values)
    if not tiny:
        return spec, name, out or Path("runs") / name, data
    from evenhand.study.tiny import shrink

    out = out or Path("runs") / f"{name}-tiny"
    spec, data, said = shrink(spec, out / "stand-in", data)
    for line in said:
        print(line, file=sys.stderr)
    return spec, f"{name} (tiny)", out, data


def margins_of(given: list[str]) -> dict[str, float]:
    """Margins by measure, from texts such as `accuracy=0.02`."""
    margins = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            margins[name] = float(value)
        except ValueError:
            raise InputError(f"--margin takes MEASURE=X with a number, such as accuracy=0.02, not {text!r}") from None
    return margins


def listed(what: Listing) -> list[dict[str, Any]]:
    """The names that there are, each with a summary; `package` and `version` are of the package that brings it, and
    null for what is built in."""
    if what is Listing.presets:
        from evenhand.study.presets import list_presets

        return [{"name": name, "summary": summary} for name, summary in list_presets()]
    from evenhand.plugins import declared

    plugins = declared(what.value)
    return [
        {
            "name": name,
            "summary": summary,
            "package": plugins[name].package if name in plugins else None,
            "version": plugins[name].version if name in plugins else None,
        }
        for name, summary in _summaries(what)
    ]


def _summaries(what: Listing) -> list[tuple[str, str]]:
    """Name and summary of every task, method or measure."""
    if what is Listing.tasks:
        from evenhand.tasks import TASKS

        return [(name, entry.summary) for name, entry in TASKS.items()]
    if what is Listing.methods:
        from evenhand.methods import list_methods

        return list_methods()
    from evenhand.audit.measures import list_measures

    return list_measures()
