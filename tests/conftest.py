"""What every test shares: where the real data are, a small study, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Models of the tests are so small that a second thread only waits for the first.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


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


@pytest.fixture
def evenhand():
    """Call the command line: `evenhand("list", "tasks")` gives the finished process."""

    def call(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "evenhand", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)

    return call
