"""Verdicts and estimates of several folders, row by row beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import REST
from evenhand.report.comparison.folders import Folder

_PLACE = ("setting", "split", "measure", "class", "attribute", "group", "condition", "correction", "method")
VERDICT_KEY = ("comparison", "against", *_PLACE, "reference")
"""The columns by which rows of verdicts are the same comparison."""
ESTIMATE_KEY = _PLACE
"""The columns by which rows of estimates, over seeds, are of the same quantity."""

_SYMMETRIC = ("equivalent", "inconclusive")
"""The verdicts on a gap that say the same of both groups."""

VERDICT_CELLS = ("contrast", "low", "high", "margin", "verdict", "runs", "scope", "note")
"""The columns of a folder's verdict that are shown."""
_ESTIMATE = ("value", "low", "high", "n", "note")


@dataclass(frozen=True, eq=False)
class SideBySide:
    """One row of a table in each folder that has it.

    Attributes:
        key: what the row is about, in the names of the comparison.
        cells: by the position of the folder, the row's numbers and words. Of two groups that make up everyone, a folder
            has the one whose gap is against it; where folders differ in that, their rows are one row here, and each
            cell has the `group` that it is about.
    """

    key: Mapping[str, Any]
    cells: Mapping[int, Mapping[str, Any]]

    @property
    def changed(self) -> bool:
        """Whether folders give different verdicts, of those that give one."""
        return len(set(self.verdicts.values())) > 1

    @property
    def lost(self) -> bool:
        """Whether it is judged in a folder, and in another one that has it is not."""
        return 0 < len(self.verdicts) < len(self.cells)

    @property
    def verdicts(self) -> dict[int, str]:
        """The verdicts, by the position of the folder; without folders in which the contrast is not judged."""
        return {
            index: _sided(cells)
            for index, cells in self.cells.items()
            if cells.get("verdict") is not None and cells.get("low") is not None
        }


def _sided(cells: Mapping[str, Any]) -> str:
    """Return a verdict, with the group that it is about where that matters and folders differ in it."""
    verdict = cells["verdict"]
    return f"{verdict} ({cells['group']})" if "group" in cells and verdict not in _SYMMETRIC else verdict


def verdicts_side_by_side(folders: Sequence[Folder]) -> list[SideBySide]:
    """Return the verdicts of the folders, aligned; each row is in one folder at least."""
    frames = [folder.results.verdicts for folder in folders]
    return _aligned(folders, frames, VERDICT_KEY, VERDICT_CELLS)


def estimates_side_by_side(folders: Sequence[Folder]) -> list[SideBySide]:
    """Return the levels of measures over seeds, aligned; each row is in one folder at least."""
    over_seeds = pl.col("comparison").is_null() & pl.col("seed").is_null()
    frames = [folder.results.estimates.filter(over_seeds) for folder in folders]
    return _aligned(folders, frames, ESTIMATE_KEY, _ESTIMATE)


def shared(rows: Iterable[SideBySide]) -> list[SideBySide]:
    """Return the rows that two folders or more have."""
    return [row for row in rows if len(row.cells) > 1]


def judged_in_several(rows: Iterable[SideBySide]) -> list[SideBySide]:
    """Return the rows that two folders or more judge."""
    return [row for row in rows if len(row.verdicts) > 1]


def judged_in_some(rows: Iterable[SideBySide]) -> list[SideBySide]:
    """Return the rows that a folder judges and another one that has them does not, first those that are worse."""
    return sorted((row for row in rows if row.lost), key=lambda row: not _worse_somewhere(row))


def _worse_somewhere(row: SideBySide) -> bool:
    return any(row.cells[index]["verdict"] == "worse" for index in row.verdicts)


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
    named = [
        [(folder.renamed(row), {name: row[name] for name in cells}) for row in frame.iter_rows(named=True)]
        for folder, frame in zip(folders, [frame.select(*key, *cells) for frame in frames], strict=True)
    ]
    mirrored = _mirrored_groups([[row for row, _ in rows] for rows in named], key)
    places: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for index, rows in enumerate(named):
        for row, own in rows:
            both = mirrored.get(_without_group(row, key)) if row["group"] is not None else None
            if both is not None:
                row, own = {**row, "group": " or ".join(both)}, {**own, "group": row["group"]}
            places.setdefault(tuple(row[name] for name in key), {})[index] = own
    return [SideBySide(dict(zip(key, values, strict=True)), place) for values, place in places.items()]


def _mirrored_groups(
    folders: Sequence[Sequence[Mapping[str, Any]]], key: Sequence[str]
) -> dict[tuple[Any, ...], list[str]]:
    """Return the two groups of gaps that have one row in each folder, where the folders' rows are about different ones.

    A gap of one group is minus that of the other where both make up everyone, so an audit gives the one that is against
    its group.
    """
    found: dict[tuple[Any, ...], set[str]] = {}
    several: set[tuple[Any, ...]] = set()
    for rows in folders:
        here: dict[tuple[Any, ...], str] = {}
        for row in rows:
            if row.get("against") == REST and row["group"] is not None:
                place = _without_group(row, key)
                if place in here:
                    several.add(place)
                here[place] = row["group"]
        for place, group in here.items():
            found.setdefault(place, set()).add(group)
    return {place: sorted(groups) for place, groups in found.items() if len(groups) == 2 and place not in several}


def _without_group(row: Mapping[str, Any], key: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in key if name != "group")
