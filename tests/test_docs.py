"""The docs name files, functions and pages that are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "evenhand"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ARCHITECTURE = ROOT / "docs" / "architecture.md"

LAYERS = re.compile(r'^  "(?P<layer>[a-z_ |]+)",$', re.MULTILINE)
FOLDERS = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
OWN = {"tests", "benchmarks", "examples", "docs"}
"""Folders beside the package."""


def inside(page: Path) -> str:
    """A page without blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def files(text: str) -> Iterator[Path]:
    """The files that a page names with their folder: below the package, or beside it."""
    for name in re.findall(r"`([a-z_]+/[a-z_/]*[a-z_]+\.py)`", text):
        folder = name.partition("/")[0]
        if folder in FOLDERS | OWN:
            yield (ROOT if folder in OWN else PACKAGE) / name


@cache
def names(file: Path) -> set[str]:
    """What a file defines: functions, constants, classes, and `Class.attribute`."""
    tree = ast.parse(file.read_text("utf-8"))
    return {name for node in tree.body for name in _defined(node)}


def _defined(node: ast.stmt, within: str = "") -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield within + node.name
    if isinstance(node, ast.ClassDef):
        for part in node.body:
            yield from _defined(part, f"{node.name}.")
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    yield from (within + target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_files_and_pages_that_a_page_names_are_there(page):
    text = inside(page)
    assert [str(file.relative_to(ROOT)) for file in files(text) if not file.is_file()] == []
    links = [link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text) if not (page.parent / link).exists()]
    assert links == []


def test_architecture_names_functions_that_are_where_it_says():
    """A file followed by a name in code: `audit/reading.py` `assess`."""
    named = re.findall(r"`([a-z_/]+\.py)`\s+`([A-Za-z_.]+)`", inside(ARCHITECTURE))
    assert len(named) > 40
    assert [pair for pair in named if pair[1] not in names(PACKAGE / pair[0])] == []


def test_architecture_has_every_folder_of_the_package_and_every_layer_of_the_audit():
    text = inside(ARCHITECTURE)
    folders = {folder for folder in FOLDERS - {"assets", "presets", "__pycache__"} if f"`{folder}/`" not in text}
    assert folders == set()
    rows = re.findall(r"^\| (`[^|]*`) \|", text.partition("**Layers inside `audit/`**")[2], re.MULTILINE)
    shown = [sorted(re.findall(r"`([a-z_]+)(?:/|\.py)`", row)) for row in rows]
    contract = (ROOT / "pyproject.toml").read_text("utf-8").partition('name = "The layers of the audit"')[2]
    layers = [sorted(row.split(" | ")) for row in LAYERS.findall(contract.partition("\n]\n")[0])]
    assert layers and shown == layers


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_heading_stands_below_an_empty_line(page):
    """Without one, a table swallows it: the page has no such heading, and links to it lead nowhere."""
    assert not re.findall(r"[^\n]\n(#+ .*)$", inside(page), flags=re.MULTILINE)
