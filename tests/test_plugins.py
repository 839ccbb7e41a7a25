"""Packages that bring tasks, methods and measures: when they are imported, and which of them are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evenhand import methods, tasks
from evenhand.audit.measures import known, registry
from evenhand.errors import InputError
from evenhand.plugins import Registry, declared


def environment(*folders: Path) -> dict[str, str]:
    """The environment of a process that also sees the packages in some folders."""
    known_folders = os.environ.get("PYTHONPATH", "")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [*map(str, folders), known_folders]))}


def package(folder: Path, name: str, group: str, entry: str, module: str = "") -> Path:
    """A folder with an installed package that declares one entry point."""
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[evenhand.{group}]\n{entry}\n")
    (folder / f"{name}.py").write_text(module)
    return folder


MEASURE = """
from evenhand.audit.measures.influence import undefined
from evenhand.audit.measures.measure import ASKED, Measure
NAMED = Measure({name!r}, {kind!r}, "a summary", 1, ASKED, lambda run, subset: undefined("never"))
"""
METHOD = """
from evenhand.methods.method import Method
from evenhand.methods.partial import Partial
class Abstract(Method):
    kind = "quiet"
    summary = "a summary"
class Silent(Partial):
    kind = "quiet"
    def chosen(self, model): return []
class Loud(Silent):
    kind = "loud"
    summary = "a summary"
"""
TASK = """
from evenhand.tasks import TaskEntry
ABSENT = TaskEntry("a summary", "toy:Absent")
OTHER = TaskEntry("a summary", "toy:TaskEntry")
KIND = TaskEntry("a summary", "toy:TaskEntry", "ranking")
"""


@pytest.mark.parametrize(
    ("group", "entry", "module", "words"),
    [
        ("measures", "accuracy = toy:NAMED", "", 'evenhand and toy both bring a measure "accuracy"'),
        ("methods", "lora = toy:Loud", "", 'evenhand and toy both bring a method "lora"'),
        ("tasks", "imdb = toy:OTHER", "", 'evenhand and toy both bring a task "imdb"'),
        ("tasks", "imdb/stars = toy:OTHER", TASK, "is named as a target of a built-in task is"),
        ("measures", "gap = toy:NAMED", "import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("measures", "gap = toy:NAMED", "1 / 0", "cannot be imported (ZeroDivisionError: division by zero)"),
        ("measures", "gap = toy:GONE", "", "cannot be imported (AttributeError"),
        ("measures", "gap = absent:GAP", "", "cannot be imported (ModuleNotFoundError"),
        ("measures", "gap = toy:NAMED", "NAMED = 3", "is not a Measure of evenhand.audit.measures"),
        (*("measures", "gap = toy:NAMED"), MEASURE.format(name="gulf", kind="probes"), 'has the name "gulf"'),
        (*("measures", "default = toy:NAMED"), MEASURE.format(name="default", kind="probes"), "cannot have this name"),
        (*("measures", "gap = toy:NAMED"), MEASURE.format(name="gap", kind="texts"), 'has the kind "texts"'),
        ("methods", "quiet = toy:Method", "class Method: pass", "is not a subclass of Method"),
        ("methods", "quiet = toy:Abstract", METHOD, "lacks apply, kept, load, save"),
        ("methods", "quiet = toy:Silent", METHOD, "has no summary"),
        ("methods", "quiet = toy:Loud", METHOD, 'has the kind "loud"'),
        ("tasks", "loans = toy:TaskEntry", TASK, "is not a TaskEntry"),
        ("tasks", "loans = toy:ABSENT", TASK, "has no attribute 'Absent'"),
        ("tasks", "loans = toy:OTHER", TASK, "names toy:TaskEntry, which is no DataSpec"),
        ("tasks", "loans = toy:KIND", TASK, 'has the kind "ranking"'),
    ],
)
def test_a_faulty_package_is_refused_in_one_sentence(group, entry, module, words, tmp_path, seen):
    seen(package(tmp_path, "toy", group, entry, module))
    with pytest.raises(InputError) as refusal:
        everything(group)
    sentence = str(refusal.value)
    assert words in sentence and "\n" not in sentence
    if "both bring" not in words:
        name, _, value = entry.partition(" = ")
        assert sentence.startswith(f'the entry point {name} = "{value}" of evenhand.{group} in the package toy 1.2 ')


def test_the_commands_exit_with_2(tmp_path, evenhand_process):
    broken = package(tmp_path / "broken", "toy", "measures", "gap = toy:GAP", "import not_there")
    refused(evenhand_process("list", "measures", env=environment(broken)), "toy:GAP", "package toy 1.2", "not_there")
    twice = [package(tmp_path / name, name, "tasks", "loans = toy:LOANS") for name in ("first", "second")]
    refused(evenhand_process("list", "tasks", env=environment(*twice)), 'first and second both bring a task "loans"')


def test_a_package_is_imported_when_it_is_asked_for_and_once(tmp_path, seen, capsys):
    module = f"print('imported')\n{TASK}{METHOD}"
    seen(package(tmp_path, "toy", "methods", "loud = toy:Loud", module))
    assert "loud" in methods.METHODS and len(methods.METHODS) == len(list(methods.METHODS))
    assert methods.parse_method("mine", {"kind": "lora"}).kind == "lora" and "toy" not in sys.modules
    with pytest.raises(InputError, match='did you mean "loud"'):
        methods.parse_method("mine", {"kind": "lould"})
    assert capsys.readouterr().out == ""
    for _ in range(2):
        assert methods.parse_method("mine", {"kind": "loud"}).kind == "loud"
    assert capsys.readouterr().out == "imported\n"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make this process see the packages of a folder, as if they had been there when it began."""

    def see(folder: Path) -> None:
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, "toy", raising=False)
        monkeypatch.setattr(methods, "METHODS", Registry("methods", methods.BUILT_IN, methods._fault))
        monkeypatch.setattr(tasks, "TASKS", Registry("tasks", tasks.BUILT_IN, tasks._fault))
        declared.cache_clear()
        registry.cache_clear()

    yield see
    monkeypatch.undo()
    sys.modules.pop("toy", None)
    declared.cache_clear()
    registry.cache_clear()


def everything(group: str) -> list[Any]:
    """Every task, method or measure."""
    registry = {"tasks": lambda: tasks.TASKS, "methods": lambda: methods.METHODS, "measures": known}[group]()
    return list(registry.values())


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith("evenhand: ") and all(word in sentence for word in words), sentence
