"""Chooses the tests that `make test` leaves to `make test-all`, from what each test costs (`costs.tsv`).

Every test function keeps its cheapest case, unless that alone takes longer than `TEST` seconds. Further cases that take
longer than `CASE` seconds are left to the longer suite. A test that is not in the file is run.

    .venv/bin/pytest -n 2 --dist loadfile -m 'not simulate' --record-costs tests/costs.tsv    # measures all of them
"""

from __future__ import annotations

import resource
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("costs.tsv")
"""Seconds of processor time and the test, a line each; of tests that cost at least `CASE`."""

CASE, TEST = 0.2, 1.0
"""Seconds of processor time above which a further case of a test, and a test as a whole, are slow."""


def read_costs(path: Path = FILE) -> dict[str, float]:
    """Return the seconds of processor time of each test in a file, by node id; the last line of a test counts."""
    costs = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        seconds, _, test = line.partition("\t")
        costs[test] = float(seconds)
    return costs


def slow_cases(tests: list[str], costs: Mapping[str, float], case: float = CASE, test: float = TEST) -> set[str]:
    """Return the node ids among `tests` that are slow.

    Example:
        >>> sorted(slow_cases(["a[1]", "a[2]", "b", "c"], {"a[1]": 1.0, "a[2]": 2.0, "b": 9.0, "c": 1.0}))
        ['a[2]', 'b']
    """
    functions = defaultdict(list)
    for name in tests:
        functions[name.partition("[")[0]].append(name)
    slow = set()
    for cases in functions.values():
        cheapest, *others = sorted(cases, key=lambda name: costs.get(name, 0.0))
        slow |= {name for name in others if costs.get(name, 0.0) > case}
        if costs.get(cheapest, 0.0) > test:
            slow.add(cheapest)
    return slow


class Recorder:
    """Plugin that appends what each test costs to a file: its own call, without fixtures, child processes included."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Time one test."""
        before = _processor_seconds()
        try:
            return (yield)
        finally:
            taken = _processor_seconds() - before
            if taken >= CASE:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(f"{taken:.1f}\t{item.nodeid}\n")


def _processor_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
