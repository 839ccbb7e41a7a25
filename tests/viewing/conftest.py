"""An audited folder, and what a folder holds, to see that looking at it changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.study.accepted_study import accepted
from evenhand.study.plan import Plan, make_plan
from evenhand.study.store import Store

Tree = dict[str, tuple[int, str]]


def predictions(n: int = 300, right: float = 0.8, seed: int = 0) -> pl.DataFrame:
    """Predictions of one model for people of two groups."""
    rng = np.random.default_rng(seed)
    sex, label = rng.choice(["female", "male"], n), rng.integers(0, 2, n)
    guess = np.where(rng.random(n) < right, label, 1 - label)
    return pl.DataFrame({"id": np.arange(n), "sex": sex, "y": label, "guess": guess})


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an audit of one model, with its report."""
    folder = tmp_path_factory.mktemp("audited")
    results = evenhand.audit(predictions(), label="y", prediction="guess", groups="sex", source="people.csv")
    results.save(folder)
    results.report(folder / "report.html")
    return folder


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], Tree]:
    """Everything in a folder, hidden files included: when each file was changed, and the hash of its contents."""

    def read(folder: Path) -> Tree:
        return {
            path.relative_to(folder).as_posix(): (
                path.stat().st_mtime_ns,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder",
            )
            for path in sorted(folder.rglob("*"))
        }

    return read


@pytest.fixture
def begun(small_study: dict[str, Any], tmp_path: Path) -> tuple[Store, Plan]:
    """The store of a study that has begun, and its plan; no trial is there."""
    plan = make_plan(evenhand.Study(**small_study), None)
    store = Store(tmp_path / "a study")
    with store.lock(), accepted(store, plan) as study:
        pass
    return store, replace(plan, study=study)
