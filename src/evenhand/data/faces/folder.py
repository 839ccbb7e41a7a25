"""Selects the usable files of a folder of photographs: readable ones, with copies as one unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from evenhand.data.dataset import DataSpec
from evenhand.data.images import content_key, is_readable
from evenhand.errors import InputError

NAMED = 3
"""Number of file names that a sentence lists as examples."""


class FaceFolder(DataSpec):
    """Base class of folders of face photographs, with the options that they share.

    Attributes:
        target: the label to predict.
        unreadable: whether image files that cannot be read are refused, or left out and counted.
        conflicting: whether byte-identical files with different labels are kept and counted, or all left out, because
            it is unknown which of them is right.
    """

    target: Literal["gender", "age"] = "gender"
    unreadable: Literal["refuse", "skip"] = "refuse"
    conflicting: Literal["keep", "drop"] = "keep"

    def select_files(self, name: str, paths: Sequence[Path], described: Sequence[Hashable]) -> SelectedFiles:
        """Select the readable files of a data set, and find copies and contradictions among them.

        Args:
            name: name of the data set.
            paths: [n] its images.
            described: [n] the labels of each image; copies with different labels contradict each other.

        Raises:
            InputError: a file cannot be read, unless such files are skipped; no file is left.
        """
        notes = []
        damaged = [index for index, path in enumerate(paths) if not is_readable(path)]
        if damaged:
            unreadable = (
                f"{len(damaged):,} of {len(paths):,} image files cannot be read{first_file_names(damaged, paths)}"
            )
            if self.unreadable == "refuse":
                raise InputError(f"{name}: {unreadable}; replace them, or leave them out with unreadable: skip")
            notes.append(f"{unreadable}: they are left out")
        kept = np.setdiff1d(np.arange(len(paths)), damaged)
        copies: dict[str, list[int]] = defaultdict(list)
        for index in kept.tolist():
            copies[content_key(paths[index])].append(index)
        repeated = [indices for indices in copies.values() if len(indices) > 1]
        contrary = [indices for indices in repeated if len({described[index] for index in indices}) > 1]
        if repeated:
            notes.append(
                f"{sum(map(len, repeated)):,} files are copies of one another, byte for byte "
                f"({len(repeated):,} different images): copies are one unit"
            )
        if contrary:
            lost = [index for indices in contrary for index in indices]
            end = (
                "they are left out"
                if self.conflicting == "drop"
                else "they are kept; conflicting: drop leaves them out"
            )
            notes.append(
                f"{len(lost):,} copies contradict each other in their labels{first_file_names(lost, paths)}: {end}"
            )
            if self.conflicting == "drop":
                kept = np.setdiff1d(kept, lost)
        if len(kept) == 0:
            raise InputError(f"{name}: none of its {len(paths):,} image files is left")
        first = {index: indices[0] for indices in copies.values() for index in indices}
        return SelectedFiles(kept, np.array([first[index] for index in kept.tolist()]), tuple(notes))


@dataclass(frozen=True, eq=False)
class SelectedFiles:
    """The files of a data set that are used.

    Attributes:
        kept: int [m], their positions, in order.
        unit: int [m], the position of the first copy of each.
        notes: notes on the findings, with counts.
    """

    kept: np.ndarray
    unit: np.ndarray
    notes: tuple[str, ...]


def first_file_names(indices: Sequence[int], paths: Sequence[Path]) -> str:
    """Return the first few files' names in parentheses, for a message."""
    shown = ", ".join(paths[index].name for index in indices[:NAMED])
    return f" ({shown}{', ...' if len(indices) > NAMED else ''})"
