"""The audit has one path: each decision that its tables rest on is made in one place of the source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import evenhand
from evenhand.audit.measures import known

SOURCE = Path(str(evenhand.__file__)).parent
REGISTRIES = {"PREDICTIONS", "STABILITY", "TRANSLATIONS", "OPTIONS", "BENCHMARKS", "PROBES", "MEMBERSHIP", "REGRESSION"}
TAKES_DIRECTION = {"Measure", "change", "gap", "gap_change", "_signed"}
"""What may be handed a direction."""


@dataclass(frozen=True)
class Place:
    """A node of a file.

    Attributes:
        file: below the package, `audit/verdicts.py`.
        function: the function around it that is not inside of another one; the class's method is `Class.method`.
        node: what stands there.
        parents: the nodes around it, the innermost last.
    """

    file: str
    function: str
    node: ast.AST
    parents: tuple[ast.AST, ...]

    def __str__(self) -> str:
        return f"{self.file}:{getattr(self.node, 'lineno', 0)} in {self.function or 'the module'}"


def places(file: str, tree: ast.AST) -> Iterator[Place]:
    """Every node of a file."""
    waiting: list[tuple[ast.AST, str, tuple[ast.AST, ...]]] = [(tree, "", ())]
    while waiting:
        node, function, parents = waiting.pop()
        yield Place(file, function, node, parents)
        inside = function
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            outer = [one for one in parents if isinstance(one, ast.FunctionDef)]
            inside = function if outer else f"{function}.{node.name}".lstrip(".")
        waiting += [(child, inside, (*parents, node)) for child in ast.iter_child_nodes(node)]


def source(*packages: str) -> list[Place]:
    """Every node of these packages."""
    files = [path for package in packages for path in sorted((SOURCE / package).rglob("*.py"))]
    assert files
    return [
        place
        for path in files
        for place in places(path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text("utf-8")))
    ]


@pytest.fixture(scope="module")
def everything() -> list[Place]:
    return source("audit", "report")


def in_text(text: str, is_one: Callable[[Place], bool]) -> bool:
    """Whether a piece of code does something."""
    return any(is_one(place) for place in places("some.py", ast.parse(text)))


# One function applies a measure's sign


def applies_direction(place: Place) -> bool:
    """Whether a direction is used for more than to be asked whether there is one, or to be handed on."""
    node = place.node
    is_direction = isinstance(node, ast.Name) and node.id == "direction" and isinstance(node.ctx, ast.Load)
    is_direction |= isinstance(node, ast.Attribute) and node.attr == "direction" and isinstance(node.ctx, ast.Load)
    if not is_direction:
        return False
    parent, above = place.parents[-1], place.parents[-2:-1]
    if isinstance(parent, ast.Starred):
        parent = above[0]
    if isinstance(parent, ast.Call) and parent.func is node:  # a method of this name: what it gives is meant
        caller = next(one for one in reversed(place.parents[:-1]) if not isinstance(one, ast.Starred))
        return not (isinstance(caller, ast.Call) and _called(caller) in TAKES_DIRECTION)
    if isinstance(parent, ast.Call):
        return _called(parent) not in TAKES_DIRECTION
    if isinstance(parent, ast.If | ast.IfExp | ast.comprehension | ast.While):
        return False
    if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not):
        return False
    return not isinstance(parent, ast.BoolOp | ast.Assign)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def test_one_function_applies_a_measures_sign(everything):
    found = {(place.file, place.function) for place in everything if applies_direction(place)}
    # The other function turns no sign: it asks whether a harness and the package mean the same by a metric.
    assert found == {("audit/estimands.py", "_signed"), ("audit/ingest/harness_logs/metric_names.py", "_known")}


@pytest.mark.parametrize(
    "text",
    [
        "value = measure.direction * value",
        "value = -measure.direction",
        "if measure.direction < 0: value = -value",
        "sign = 1 if direction > 0 else -1",
        "sign = {1: 1, -1: -1}[direction]",
        "sign = np.sign(measure.direction)",
        "value *= direction",
        "sign = self.direction(target, reference)[0]",
        "def sign(direction): return direction",
    ],
)
def test_every_way_to_apply_a_direction_is_seen(text):
    assert in_text(text, applies_direction)


@pytest.mark.parametrize(
    "text",
    [
        "if not measure.direction: pass",
        "margin = measure.margin(margins) if measure.direction else None",
        "change(estimand, method, reference, direction, True)",
        "change(estimand, method, reference, *self.direction(target, reference))",
        "direction = estimand.measure.direction",
        "if not direction or condition: pass",
    ],
)
def test_to_ask_for_a_direction_or_to_hand_it_on_is_not_to_apply_it(text):
    assert not in_text(text, applies_direction)


# One function makes a row of verdicts


def makes_a_verdict_row(place: Place) -> bool:
    """Whether a dictionary is written down that has the keys of a row."""
    if not isinstance(place.node, ast.Dict):
        return False
    keys = {key.value for key in place.node.keys if isinstance(key, ast.Constant)}
    return {"verdict", "runs_needed"} <= keys


def test_one_function_makes_a_verdict_row(everything):
    found = [(place.file, place.function) for place in everything if makes_a_verdict_row(place)]
    assert found == [("audit/verdict_rows.py", "verdict_row")]


# One loop assesses


def calls(name: str) -> Callable[[Place], bool]:
    """Whether a function or method of this name is called."""
    return lambda place: isinstance(place.node, ast.Call) and _called(place.node) == name


def test_evidence_is_concluded_by_the_loop_and_where_harm_is_planted(everything):
    found = {(place.file, place.function) for place in everything if calls("conclude")(place)}
    assert ("audit/reading.py", "setting_contrasts") in found
    assert {file for file, _ in found} == {"audit/reading.py", "audit/planted_harm.py"}
    assert len([file for file, _ in found if file == "audit/reading.py"]) == 1


@pytest.mark.parametrize("name", ["estimands", "families", "across_settings"])
def test_one_loop_goes_through_estimands_and_judges_their_families(everything, name):
    found = {(place.file, place.function) for place in everything if calls(name)(place)}
    assert found == {("audit/reading.py", "assess")}


# Nothing outside of the measures asks for one by its name


def takes_a_registry(place: Place) -> bool:
    """Whether a registry of measures is imported or reached through its module."""
    node = place.node
    if isinstance(node, ast.ImportFrom):
        from_measures = (node.module or "").startswith("evenhand.audit.measures")
        return from_measures and any(alias.name in {*REGISTRIES, "*"} for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr in REGISTRIES


def asks_by_name(place: Place) -> bool:
    """Whether something is compared with the name of a measure, or a measure's name with any literal."""
    if not isinstance(place.node, ast.Compare):
        return False
    sides = [place.node.left, *place.node.comparators]
    literals = {text for side in sides for text in _literals(side)}
    is_measure = any(ast.unparse(side).endswith("measure.name") for side in sides)
    return bool(literals & set(known())) or (is_measure and bool(literals))


def _literals(node: ast.AST) -> Iterator[str]:
    """The strings that are written down as such, or in a tuple, list or set."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        yield from (text for one in node.elts for text in _literals(one))


def outside_of_measures(everything: list[Place], is_one: Callable[[Place], bool]) -> list[str]:
    """Where it is done, beside the measures themselves and what is under way."""
    return [str(place) for place in everything if is_one(place) and not place.file.startswith("audit/measures/")]


def test_only_measures_know_their_registries(everything):
    assert outside_of_measures(everything, takes_a_registry) == []


def test_nothing_asks_for_a_measure_by_its_name(everything):
    assert outside_of_measures(everything, asks_by_name) == []


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("from evenhand.audit.measures.predictions import PREDICTIONS", takes_a_registry),
        ("from evenhand.audit.measures.options import OPTIONS as ASKED", takes_a_registry),
        ("from evenhand.audit.measures.probes import *", takes_a_registry),
        ("from evenhand.audit.measures import probes\nprobes.PROBES", takes_a_registry),
        ('if measure.name == "accuracy": pass', asks_by_name),
        ('if estimand.measure.name in ("bleu", "rouge_l"): pass', asks_by_name),
        ('if "mine" != one.measure.name: pass', asks_by_name),
        ('if row["measure"] == "membership_auc": pass', asks_by_name),
    ],
)
def test_every_way_to_ask_for_a_measure_is_seen(text, is_one):
    assert in_text(text, is_one)


@pytest.mark.parametrize(
    "text",
    [
        "if measure.name in asked: pass",
        'if split != "test": pass',
        "from evenhand.audit.measures import measure_named, select",
    ],
)
def test_what_is_no_name_of_a_measure_may_be_compared(text):
    assert not in_text(text, takes_a_registry) and not in_text(text, asks_by_name)
