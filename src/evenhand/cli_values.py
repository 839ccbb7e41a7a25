"""Computes what the values of options mean: studies, folders, margins, subgroups, and what is listed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evenhand.cli_options import Listing
from evenhand.errors import InputError


def study_of(
    study: str, changes: list[str], tiny: bool, data: Path | None, out: str | None
) -> tuple[Any, str, str, Path | None]:
    """Return the resolved study, its name, its folder or URL, and the folder of its data."""
    from evenhand.study.presets import find_study
    from evenhand.study.spec import StudySpec

    values, name = find_study(study, changes)
    spec = StudySpec(**values)
    if not tiny:
        return spec, name, out or f"runs/{name}", data
    from evenhand.study.remote_store import open_store
    from evenhand.study.tiny import shrink

    out = out or f"runs/{name}-tiny"
    spec, data, notes = shrink(spec, open_store(out).out / "stand-in", data)
    for note in notes:
        print(note, file=sys.stderr)
    return spec, f"{name} (tiny)", out, data


@contextmanager
def folder_of(where: str, *, changes: bool = False) -> Iterator[Path]:
    """Context manager that yields a folder, or the copy of a study at a URL; see `remote_store.folder_of`."""
    if "://" not in where:
        yield Path(where)
        return
    from evenhand.study.remote_store import folder_of as copied

    with copied(where, changes=changes) as folder:
        yield folder


def forecast_of(
    spec: Any, data: Path | None, out: str, calibrate: bool, on: str | None, price: float | None
) -> tuple[Any, Any]:
    """Return a study's plan and the forecast of its cost, on this machine or on those that `--on` names."""
    from evenhand.study.remote_store import open_store

    if on is None:
        if price is not None:
            raise InputError("--price is the price of the machines that --on names, such as --on 8xH100")
        from evenhand.study.cost import forecast
        from evenhand.study.plan import make_plan
        from evenhand.study.stated_costs import Sources

        sources = Sources()
        planned = make_plan(spec, data, sources.find, sources.read)
        return planned, forecast(
            planned, open_store(out).out, calibrate, lambda text: print(text, file=sys.stderr), sources.sentences
        )
    from evenhand.study.machine_plan import forecast_on
    from evenhand.study.machines import parse_machines

    return forecast_on(parse_machines(on, price), spec, data, open_store(out).out)


def margins_of(given: list[str]) -> dict[str, float]:
    """Return margins by measure, from texts such as `accuracy=0.02`."""
    margins = {}
    for text in given:
        name, _, value = text.partition("=")
        if name in margins:
            raise InputError(f"--margin names {name} twice; give one margin for each measure")
        try:
            margins[name] = float(value)
        except ValueError:
            raise InputError(f"--margin takes MEASURE=X with a number, such as accuracy=0.02, not {text!r}") from None
    return margins


def words_of(given: Sequence[str], of: str = "column", key: str = "COL", such_as: str = "toxicity=worse") -> Any:
    """Return one word for all, or words by name from texts such as `toxicity=worse`; None without any.

    Args:
        given: the option's values.
        of, key, such_as: for messages: what the words are of, its placeholder, and an example.
    """
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    words = {}
    for text in given:
        name, separator, word = text.rpartition("=")
        if not separator:
            raise InputError(f"give one word for all {of}s, or {key}=WORD for each, such as {such_as}, not {text!r}")
        words[name] = word
    return words or None


def subgroups_of(text: str | None) -> dict[str, Any] | None:
    """Return what is searched for, from a text such as `depth=3,support=50,age=25:45:65,income=4`."""
    if text is None:
        return None
    found: dict[str, Any] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        key, _, value = part.partition("=")
        if key in found or key in found.get("cuts", {}):
            raise InputError(f"--subgroups names {key} twice; give it once")
        try:
            if key in ("depth", "support"):
                found[key] = int(value)
            else:
                cuts = found.setdefault("cuts", {})
                cuts[key] = [float(end) for end in value.split(":")] if ":" in value else int(value)
        except ValueError:
            raise InputError(
                "--subgroups takes depth=N,support=N and cuts of numeric attributes, such as age=25:45:65 or age=4, "
                f"not {part!r}"
            ) from None
    return found


def cluster_of(given: list[str]) -> dict[str, str]:
    """Return the options of a cluster, from texts such as `partition=gpu`."""
    options = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise InputError(f"--cluster takes KEY=VALUE, such as partition=gpu, not {text!r}")
        options[key] = value
    return options


def listed(what: Listing) -> list[dict[str, Any]]:
    """Return the rows of `evenhand list`; package and version are null for built-in names."""
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
    """Return the name and the summary of every task, method, measure or scorer."""
    if what is Listing.tasks:
        from evenhand.tasks import TASKS

        return [(name, entry.summary) for name, entry in TASKS.items()]
    if what is Listing.methods:
        from evenhand.methods import list_methods

        return list_methods()
    if what is Listing.scorers:
        from evenhand.tasks.generations.scorers import list_scorers

        return list_scorers()
    from evenhand.audit.measures import list_measures

    return list_measures()
