"""Fixtures of all tests: the real data, a small study, the command line, and how often simulations repeat."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings

from browser import chromium
from costs import Recorder, read_costs, slow_cases

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Models of the tests are so small that a second thread only waits for the first.
os.environ.setdefault("OMP_NUM_THREADS", "1")

__all__ = ["chromium"]  # a fixture

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
LONG = 20.0
"""Seconds that a test marked slow or simulate is taken to last where `costs.tsv` does not say."""
FUZZ = 1000
"""Examples of a full fuzz, for each test."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real data; a test that needs it is skipped where it is not."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def small_study() -> dict[str, Any]:
    """A study of a few seconds: template posts, the tiny BERT, two methods, two seeds."""
    return {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {
            "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
            "lora": {"kind": "lora", "rank": 4, "alpha": 8, "lr": 5e-3, "epochs": 1},
        },
        "reference": "full",
        "seeds": 2,
        "margins": {"default": 0.05},
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--scale", type=float, default=0.1, help="share of the repetitions of a full simulation or fuzz; 0.1 by default"
    )
    parser.addoption("--record-costs", metavar="FILE", help="append what each test costs to a file; see tests/costs.py")


def pytest_configure(config: pytest.Config) -> None:
    examples = max(round(FUZZ * config.getoption("--scale")), 20)
    settings.register_profile("scaled", max_examples=examples, deadline=None)
    settings.load_profile("scaled")
    if path := config.getoption("--record-costs"):
        config.pluginmanager.register(Recorder(Path(path)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what `tests/costs.py` calls slow, and put the files first that take longest among what is asked for.

    With `--dist loadfile` a long file at the end would keep one process alone.
    """
    costs = read_costs()
    slow = slow_cases([item.nodeid for item in items], costs)
    every = not config.getoption("markexpr")
    of_file: Counter[Path] = Counter()
    for item in items:
        marked = any(True for name in ("slow", "simulate") for _ in item.iter_markers(name))
        if item.nodeid in slow and not any(item.iter_markers("always")):
            item.add_marker("slow")
        if every or not any(item.iter_markers("slow")):
            of_file[item.path] += costs.get(item.nodeid, LONG if marked else 0.0)
    items.sort(key=lambda item: -of_file[item.path])


@pytest.fixture(scope="session")
def repetitions(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """The number of repetitions for a simulation whose full size is given: `--scale` of it, and 20 at least."""
    scale = pytestconfig.getoption("--scale")
    return lambda full: max(round(full * scale), min(full, 20))


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let studies end in their tables, without the page and the figures: a third of a small study's time.

    For tests that read neither. Fixtures of a module come first, so that what they run is reported.
    """
    from evenhand.audit.results import Results

    monkeypatch.setattr(Results, "report", lambda self, path: None)
    monkeypatch.setattr(Results, "figures", lambda self, folder: None)


CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def evenhand() -> CommandLine:
    """Call the command line in this process: `evenhand("list", "tasks")` has returncode, stdout and stderr.

    A process of its own takes seconds to import torch; the few tests that are about processes take `evenhand_process`.
    """
    from evenhand.cli import main

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = ["evenhand", *map(str, arguments)]
        out, err = io.StringIO(), io.StringIO()
        with patch.object(sys, "argv", command), redirect_stdout(out), redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        assert "Traceback (most recent call last)" not in err.getvalue(), err.getvalue()
        return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def evenhand_process() -> CommandLine:
    """Call the command line in a process of its own; options are those of `subprocess.run`."""

    def call(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "evenhand", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)

    return call
