"""Folders of results with files changed at random: they load and pass the gate and a report, or one sentence says why.

A full fuzz (`make fuzz`) changes 10,000 folders; other suites a hundredth of that.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import random_studies
from hypothesis import given, settings
from hypothesis import strategies as st

import evenhand as eh
from evenhand import records
from evenhand.audit.results import Results
from evenhand.audit.results_folder import content_hash
from evenhand.audit.verification import verify
from evenhand.errors import InputError

SHARE = (settings().max_examples / 1000) ** 2
"""Of a full fuzz, from the profile's number of examples."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders of two audits: of one model with a score, and of two methods with two seeds each."""
    rng = np.random.default_rng(0)
    n = 120
    label, group = rng.integers(0, 2, n), rng.choice(["a", "b", "c"], n)
    one = pl.DataFrame({"label": label, "group": group, "probability": rng.random(n)})
    runs = [
        one.with_columns(
            id=pl.int_range(n), method=pl.lit(method), seed=pl.lit(seed), probability=pl.Series(rng.random(n))
        )
        for method in ("full", "lora")
        for seed in (0, 1)
    ]
    folder = tmp_path_factory.mktemp("saved")
    common = {"label": "label", "probability": "probability", "groups": ["group"], "margins": {"default": 0.05}}
    eh.audit(one, **common).save(folder / "one")
    several = {"method": "method", "seed": "seed", "example": "id", "reference": "full"}
    eh.audit(pl.concat(runs), **common, **several).save(folder / "several")
    return [folder / "one", folder / "several"]


def changed_table(rng: np.random.Generator, frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table with rows, columns or values changed at random."""
    name = frame.columns[rng.integers(frame.width)]
    row = int(rng.integers(max(len(frame), 1)))
    match rng.integers(8):
        case 0:
            return frame.drop(name)
        case 1:
            return frame.with_columns(pl.lit(None).alias(name))
        case 2:
            other = frame.columns[rng.integers(frame.width)]
            return frame.with_columns(frame[other].alias(name))
        case 3:
            return frame.with_columns(
                frame[name].cast(pl.String, strict=False) if frame[name].dtype.is_numeric() else 0
            )
        case 4:
            return frame.sample(fraction=1.0, with_replacement=True, seed=int(rng.integers(2**31)))
        case 5:
            return frame.filter(pl.int_range(pl.len()) != row)
        case 6:
            kept = pl.when(pl.int_range(pl.len()) == row).then(None).otherwise(pl.col(name))
            return frame.with_columns(kept.alias(name))
        case _ if frame[name].dtype.is_numeric():
            new = [-1, 0, 1e30, float("nan"), float("inf")][rng.integers(5)]
            value = pl.when(pl.int_range(pl.len()) == row).then(new).otherwise(pl.col(name))
            return frame.with_columns(value.cast(frame[name].dtype, strict=False).alias(name))
        case _:
            return frame.head(0)


def change(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    """Change one file at random."""
    data = bytearray(path.read_bytes())
    path.unlink()  # it shares its contents with the folder that was saved
    match rng.integers(8):
        case 0:
            return
        case 1:
            path.write_bytes(data[: rng.integers(len(data))])
        case 2:
            for _ in range(rng.integers(1, 5)):
                data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
            path.write_bytes(data)
        case 3:
            path.write_bytes(rng.bytes(int(rng.integers(200))))
        case 4:
            path.write_bytes(others[rng.integers(len(others))].read_bytes())
        case _:
            path.write_bytes(data)
            with suppress(ValueError, *records.UNREADABLE):  # an earlier change may have damaged the file
                if path.suffix == ".json":
                    path.write_text(json.dumps(random_studies.mutated(rng, json.loads(bytes(data)), 2)))
                elif path.suffix == ".parquet":
                    frame = changed_table(rng, pl.read_parquet(path))
                    frame.write_parquet(path, metadata=pl.read_parquet_metadata(path))


def accept(folder: Path) -> None:
    """Write the hashes of the files as they are now, so that they are read at all."""
    path = folder / "design.json"
    try:
        design = json.loads(path.read_bytes())
        design["contents"] = {each.name: content_hash(each) for each in folder.iterdir() if each != path}
    except (ValueError, TypeError, FileNotFoundError):
        return
    path.unlink()
    path.write_text(json.dumps(design))


@contextmanager
def one_sentence() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        text = str(error)
        assert text.strip() and "\n" not in text and len(text) <= 300, text


@pytest.mark.fuzz
@settings(max_examples=max(round(10_000 * SHARE), 20))
@given(st.integers(0, 2**63 - 1))
def test_a_changed_folder_is_read_or_refused_in_one_sentence(tmp_path_factory, saved, seed):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved[rng.integers(len(saved))], folder, copy_function=os.link)
    others = [path for each in saved for path in each.iterdir()]
    for _ in range(rng.integers(1, 3)):
        files = sorted(folder.iterdir())
        change(rng, files[rng.integers(len(files))], others)
    if rng.random() < 0.7:
        accept(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with one_sentence():
        results = Results.load(folder)
        results.gate()
        results.to_json()
        if rng.random() < 0.03:
            results.report(tmp_path_factory.getbasetemp() / "fuzzed.html")
            results.report(tmp_path_factory.getbasetemp() / "fuzzed.md")
    if rng.random() < 0.1:
        with one_sentence():
            verify(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
