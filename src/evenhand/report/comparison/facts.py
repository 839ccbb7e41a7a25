"""What differs in the designs, data, versions and dates of the folders, and how many facts are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from evenhand.report.comparison.folders import Folder
from evenhand.report.number_text import NONE
from evenhand.report.tables import failed_trials, provenance_rows

_STUDY_KEYS_ELSEWHERE = ("declared", "chosen", "margins", "measures", "figure", "seeds", "task", "model", "reference")
"""Keys of a study that the facts have from its design or its trials, or that only report a choice."""

_LONGEST = 200
"""Characters of a fact that are shown."""


@dataclass(frozen=True)
class Facts:
    """What is known of the folders' designs and provenance.

    Attributes:
        different: by name, the text of each folder; `—` where a folder does not say.
        same: how many others all folders share.
    """

    different: Mapping[str, tuple[str, ...]]
    same: int


def compare_facts(folders: Sequence[Folder]) -> Facts:
    """Return what differs between folders: dates, data, designs, margins, versions and the keys of their studies."""
    known = [dict(_facts(folder)) for folder in folders]
    names = list(dict.fromkeys(name for facts in known for name in facts))
    rows = {name: tuple(facts.get(name, NONE) for facts in known) for name in names}
    different = {name: tuple(map(_shortened, texts)) for name, texts in rows.items() if len(set(texts)) > 1}
    return Facts(different, len(rows) - len(different))


def dates_of(folder: Path) -> dict[str, str]:
    """Return when the trials of a folder were trained, and when its tables were written, as dates.

    The latter is the date of a file, which a copy may change.
    """
    finished = sorted(filter(None, map(_finished, folder.glob("trials/[!.]*/trial.json"))))
    dates = {"trained": f"{finished[0][:10]} to {finished[-1][:10]}"} if finished else {}
    if finished and finished[0][:10] == finished[-1][:10]:
        dates["trained"] = finished[0][:10]
    design = folder / "design.json"
    if design.is_file():
        dates["tables written"] = datetime.fromtimestamp(design.stat().st_mtime, UTC).date().isoformat()
    return dates


def _finished(path: Path) -> str | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    when = kept.get("finished") if isinstance(kept, dict) else None
    return when if isinstance(when, str) else None


def _facts(folder: Folder) -> Iterator[tuple[str, str]]:
    results, design = folder.results, folder.results.design
    yield "source", design.source or NONE
    yield from folder.dates.items()
    several = len(design.settings) > 1
    for own, name in folder.settings.items():
        lead = f"{name}: " if several else ""
        setting = design.settings[own]
        yield f"{lead}setting", own
        yield f"{lead}task", setting.task or "predictions as given"
        yield f"{lead}base model", setting.model or NONE
        yield f"{lead}examples", f"{results.examples.filter(setting=own).height:,}"
        trials = results.trials.filter(setting=own, role="study")
        for (method,), runs in trials.group_by("method", maintain_order=True):
            seeds = ", ".join(map(str, sorted(runs["seed"].unique())))
            yield f"{lead}seeds of {folder.methods.get(str(method), method)}", seeds
        rest = setting.model_dump(mode="json", exclude={"task", "model", "notes", "warnings", "ranks", "test_share"})
        yield from _flat(rest, lead)
        if setting.test_share is not None:
            yield f"{lead}test share", f"{setting.test_share:.3g}"
    yield "failed trials", str(len(failed_trials(results.trials)))
    yield "margins", ", ".join(f"{name} {value:g}" for name, value in design.margins.items()) or "none"
    yield "margins declared", ", ".join(change.date for change in design.margin_history) or "not dated"
    yield "measures", ", ".join(design.measures) or "the defaults"
    yield from _flat(
        design.model_dump(
            mode="json", include={"alpha", "support", "paired", "gaps", *(["looks"] if design.looks else [])}
        ),
        "",
    )
    yield from ((f"version: {name}", text) for name, text in provenance_rows(results.provenance))
    yield from _request(results.provenance.get("study", ""))


def _request(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of a study, or the arguments of an audit, from the text that results keep of it."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        if text:
            yield "request", text
        return
    if values.keys() == {"audit"} and isinstance(values["audit"], dict):
        yield from _flat({key: value for key, value in values["audit"].items() if key != "source"}, "audit: ")
        return
    settings = values.get("settings")
    single = settings if isinstance(settings, dict) and len(settings) == 1 else None
    if single is not None:  # its name is no part of the keys
        values = {**{key: value for key, value in values.items() if key != "settings"}, **next(iter(single.values()))}
    yield from _flat({key: value for key, value in values.items() if key not in _STUDY_KEYS_ELSEWHERE}, "study: ")


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings under dotted names; a list is a leaf."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            joined = f"{name}{key}" if name.endswith(": ") or not name else f"{name}.{key}"
            yield from _flat(part, joined)
    elif isinstance(value, list) and all(isinstance(part, str) for part in value):
        yield name, ", ".join(value) or "none"
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
