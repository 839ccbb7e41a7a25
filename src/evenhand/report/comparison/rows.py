"""Verdicts and estimates of several folders, row by row beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.report.comparison.folders import Folder

_PLACE = ("setting", "split", "measure", "class", "attribute", "group", "condition", "correction", "method")
VERDICT_KEY = ("comparison", "against", *_PLACE, "reference")
"""The columns by which rows of verdicts are the same comparison."""
ESTIMATE_KEY = _PLACE
"""The columns by which rows of estimates, over seeds, are of the same quantity."""

_VERDICT = ("contrast", "low", "high", "margin", "verdict", "runs", "scope", "note")
_ESTIMATE = ("value", "low", "high", "n", "note")


@dataclass(frozen=True, eq=False)
class SideBySide:
    """One row of a table in each folder that has it.

    Attributes:
        key: what the row is about, in the names of the comparison.
        cells: by the position of the folder, the row's numbers and words.
    """

    key: Mapping[str, Any]
    cells: Mapping[int, Mapping[str, Any]]

    @property
    def changed(self) -> bool:
        """Whether folders give different verdicts, of those that give one."""
        return len(self.verdicts) > 1 and len(set(self.verdicts.values())) > 1

    @property
    def verdicts(self) -> dict[int, str]:
        """The verdicts, by the position of the folder; without folders in which the contrast does not exist."""
        return {
            index: cells["verdict"]
            for index, cells in self.cells.items()
            if cells.get("verdict") is not None and cells.get("contrast") is not None
        }


def verdicts_side_by_side(folders: Sequence[Folder]) -> list[SideBySide]:
    """Return the verdicts of the folders, aligned; each row is in one folder at least."""
    frames = [folder.results.verdicts for folder in folders]
    return _aligned(folders, frames, VERDICT_KEY, _VERDICT)


def estimates_side_by_side(folders: Sequence[Folder]) -> list[SideBySide]:
    """Return the levels of measures over seeds, aligned; each row is in one folder at least."""
    over_seeds = pl.col("comparison").is_null() & pl.col("seed").is_null()
    frames = [folder.results.estimates.filter(over_seeds) for folder in folders]
    return _aligned(folders, frames, ESTIMATE_KEY, _ESTIMATE)


def shared(rows: Iterable[SideBySide]) -> list[SideBySide]:
    """Return the rows that two folders or more have."""
    return [row for row in rows if len(row.cells) > 1]


def unmatched(rows: Iterable[SideBySide], folders: Sequence[Folder]) -> list[tuple[str, str, int]]:
    """Return what only one folder has: its label, the setting and method, and the number of rows."""
    alone: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if len(row.cells) == 1:
            (index,) = row.cells
            against = f" against {row.key['reference']}" if row.key.get("reference") is not None else ""
            setting = "across settings" if row.key["setting"] is None else row.key["setting"]
            alone[folders[index].label, f"{setting}, {row.key['split']}: {row.key['method']}{against}"] += 1
    return [(label, what, count) for (label, what), count in alone.items()]


def _aligned(
    folders: Sequence[Folder], frames: Sequence[pl.DataFrame], key: Sequence[str], cells: Sequence[str]
) -> list[SideBySide]:
    keys: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for index, (folder, frame) in enumerate(zip(folders, frames, strict=True)):
        for row in frame.select(*key, *cells).iter_rows(named=True):
            named = folder.renamed(row)
            place = keys.setdefault(tuple(named[name] for name in key), {})
            place[index] = {name: row[name] for name in cells}
    return [SideBySide(dict(zip(key, values, strict=True)), place) for values, place in keys.items()]
