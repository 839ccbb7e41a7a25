"""Every public function and class has an example that runs, and that stands alone: each begins with its imports."""

from __future__ import annotations

import ast
import doctest
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import evenhand
from evenhand import metrics, stats
from evenhand.audit.ingest.table import audit
from evenhand.stats import equivalence, multiplicity

NEEDS = {
    **dict.fromkeys(["bleu", "bleu_of", "bleu_statistics", "bleu_paper", "bleu_paper_statistics"], "sacrebleu"),
    "rouge_l": "rouge_score",
}
"""Optional libraries, by the name of what needs them."""


def public() -> Iterator[tuple[str, Any]]:
    """Every public function and class, with its public path."""
    for name in evenhand.__all__:  # `evenhand.audit` is a package too, which can be called
        yield f"evenhand.{name}", audit if name == "audit" else getattr(evenhand, name)
    for module in (metrics, stats):
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.isfunction(member) or inspect.isclass(member):
                yield f"{module.__name__}.{name}", member


SECTIONS = {"Args:", "Returns:", "Yields:", "Raises:", "Attributes:", "Example:"}
"""Headings inside of docstrings."""

PUBLIC = dict(public())
PAGE = Path(__file__).parents[1] / "docs" / "api-statistics.md"


def examples(member: Any, path: str, known: dict[str, Any] | None = None) -> list[doctest.DocTest]:
    """The examples of an object and of its methods, each with no names but those that it imports, and those given."""
    found = doctest.DocTestFinder().find(member, path, module=import_module(member.__module__), globs=known or {})
    return [test for test in found if test.examples]


def failures(test: doctest.DocTest) -> str:
    """The report of a failed example; empty where it gives what it says."""
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return "".join(report)


SOURCE = Path(str(evenhand.__file__)).parent
WITH_EXAMPLES = sorted(
    "evenhand." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if path.name != "__init__.py" and ">>> " in path.read_text(encoding="utf-8")
)
"""Modules in which some object, public or not, has an example."""


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_objects_that_are_not_public_give_what_they_say(name):
    module, known = import_module(name), set(PUBLIC.values())
    members = [member for member in vars(module).values() if getattr(member, "__module__", None) == name]
    tests = [
        test
        for member in members
        if (inspect.isfunction(member) or inspect.isclass(member)) and member not in known
        for test in examples(member, member.__qualname__, vars(module))
    ]
    assert "".join(map(failures, tests)) == ""


def test_there_are_as_many_public_names_as_there_should_be():
    assert len(PUBLIC) > 150


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_object_has_examples_and_they_give_what_they_say(path):
    pytest.importorskip(NEEDS.get(path.rpartition(".")[2], "numpy"))
    tests = examples(PUBLIC[path], path)
    assert path in [test.name for test in tests], f"{path} has no example"
    assert "".join(map(failures, tests)) == ""


@pytest.mark.parametrize("path", PUBLIC)
def test_the_first_line_of_a_docstring_is_a_whole_sentence(path):
    lines = (inspect.getdoc(PUBLIC[path]) or "").splitlines()
    assert lines[0].endswith((".", ".)")) or lines[1:2] == [""], f"the first sentence of {path} has two lines"


@pytest.mark.parametrize("module", [equivalence, multiplicity])
def test_modules_of_statistics_that_are_public_export_what_the_package_does(module):
    of_module = {name for name in stats.__all__ if getattr(stats, name).__module__ == module.__name__}
    assert set(module.__all__) - {"Verdict"} == of_module


def test_the_page_of_statistics_names_every_public_function():
    text = PAGE.read_text("utf-8")
    assert [name for name in stats.__all__ if f"`{name}`" not in text] == []


def test_an_example_that_is_wrong_is_reported_and_names_of_the_module_do_not_help():
    def wrong() -> None:
        """A wrong example.

        >>> 1 + 1
        3
        """

    def leaning() -> None:
        """An example that needs an import.

        >>> pytest.approx(1) == 1
        True
        """

    assert "Expected" in failures(examples(wrong, "wrong")[0])
    assert "NameError" in failures(examples(leaning, "leaning")[0])


def test_the_sections_of_every_docstring_stand_at_its_own_indentation():
    """What a careless rewrap of docstrings breaks first."""
    broken = []
    for path in (Path(evenhand.__file__).parent).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                for line in (ast.get_docstring(node) or "").splitlines():
                    if line.strip() in SECTIONS and line.strip() != line:
                        broken.append(f"{path.name}: {getattr(node, 'name', 'module')}: {line.strip()}")
    assert not broken
