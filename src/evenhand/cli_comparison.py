"""Reads the folders that `evenhand compare` names, and prints or writes their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from evenhand.cli_output import loaded, print_json
from evenhand.cli_values import folder_of
from evenhand.errors import InputError


def compare(folders: Sequence[str], out: Path | None, as_json: bool) -> None:
    """Compare folders.

    Args:
        folders: each a folder or a URL, with a name before it where one is wanted: `before=runs/may`.
        out: the page to write; None: none.
        as_json: print the comparison as JSON.

    Raises:
        InputError: fewer than two folders, two with one name, one without results, or a page that is not named .html.
    """
    from evenhand.atomic_files import write_text
    from evenhand.audit.measures import declaring
    from evenhand.report.comparison.comparison import compare_folders
    from evenhand.report.comparison.facts import dates_of
    from evenhand.report.comparison.page import html
    from evenhand.report.comparison.text import text

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out} should be the name of an HTML file, such as comparison.html")
    named = [_name_and_folder(given) for given in folders]
    with ExitStack() as stack:
        local = [stack.enter_context(folder_of(where)) for _, where in named]
        results = [loaded(folder) for folder in local]
        stack.enter_context(declaring(*(each.design for each in results)))
        compared = compare_folders(_labels(named), results, [dates_of(folder) for folder in local])
        if out is not None:
            write_text(out, html(compared))
        if as_json:
            return print_json(compared.to_json())
        print(text(compared))
    if out is not None:
        print(f"\nThe comparison: {out}")
    return None


def _name_and_folder(given: str) -> tuple[str | None, str]:
    """Return the name, if one is given, and the folder of `NAME=DIR`; a folder whose name has `=` is a folder."""
    name, separator, where = given.partition("=")
    if not separator or "://" in name or Path(given).is_dir():
        return None, given
    if not name or not where:
        raise InputError(f"{given!r} should be a folder, or NAME=DIR")
    return name, where


def _labels(named: Sequence[tuple[str | None, str]]) -> list[str]:
    """Return what each folder is called: its given name, the last part of its path, or, if that is not its own, all."""
    last = [Path(where).name or where for _, where in named]
    return [
        name or (short if last.count(short) == 1 else where) for (name, where), short in zip(named, last, strict=True)
    ]
