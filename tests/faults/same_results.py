"""Compares the folders of two runs of one study."""

from __future__ import annotations

from pathlib import Path

import polars as pl

TABLES = ("examples", "estimates", "verdicts", "curves")


def assert_same_results(first: Path, second: Path) -> None:
    """Assert that two folders hold the same results, to the bit."""
    for name in TABLES:
        assert pl.read_parquet(first / f"{name}.parquet").equals(pl.read_parquet(second / f"{name}.parquet")), name
    names = [sorted(path.name for path in folder.iterdir()) for folder in (first, second)]
    assert names[0] == names[1]
    for kind in ("trials/*", "figures/*"):
        assert [path.name for path in sorted(first.glob(kind))] == [path.name for path in sorted(second.glob(kind))]
    for path in first.glob("trials/*/predictions.parquet"):
        assert pl.read_parquet(path).equals(pl.read_parquet(second / path.relative_to(first)))
