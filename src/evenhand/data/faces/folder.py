"""What every folder of photographs needs: files that can be read, copies that are one unit, copies that disagree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from evenhand.data.dataset import DataSpec
from evenhand.data.images import content_key, readable
from evenhand.errors import InputError

NAMED = 3
"""File names that a sentence gives as examples."""


class FaceFolder(DataSpec):
    """What the options of these data sets share.

    Attributes:
        target: what is predicted.
        unreadable: image files that cannot be read are refused, or left out and counted.
        conflicting: byte-identical files that are labelled differently are kept and counted, or all left out: nothing
            says which of them is right.
    """

    target: Literal["gender", "age"] = "gender"
    unreadable: Literal["refuse", "skip"] = "refuse"
    conflicting: Literal["keep", "drop"] = "keep"

    def chosen(self, name: str, paths: Sequence[Path], described: Sequence[Hashable]) -> Chosen:
        """Look through the files of a data set.

        Args:
            name: of the data set.
            paths: [n] its images.
            described: [n] what is said of each: copies for which that differs contradict each other.

        Raises:
            InputError: a file cannot be read, unless such files are skipped; no file is left.
        """
        notes = []
        damaged = [place for place, path in enumerate(paths) if not readable(path)]
        if damaged:
            found = f"{len(damaged):,} of {len(paths):,} image files cannot be read{among(damaged, paths)}"
            if self.unreadable == "refuse":
                raise InputError(f"{name}: {found}; replace them, or leave them out with unreadable: skip")
            notes.append(f"{found}: they are left out")
        kept = np.setdiff1d(np.arange(len(paths)), damaged)
        copies: dict[str, list[int]] = defaultdict(list)
        for place in kept.tolist():
            copies[content_key(paths[place])].append(place)
        repeated = [places for places in copies.values() if len(places) > 1]
        contrary = [places for places in repeated if len({described[place] for place in places}) > 1]
        if repeated:
            notes.append(
                f"{sum(map(len, repeated)):,} files are copies of one another, byte for byte "
                f"({len(repeated):,} different images): copies are one unit"
            )
        if contrary:
            lost = [place for places in contrary for place in places]
            end = (
                "they are left out"
                if self.conflicting == "drop"
                else "they are kept; conflicting: drop leaves them out"
            )
            notes.append(
                f"{len(lost):,} copies contradict each other in what is said of them{among(lost, paths)}: {end}"
            )
            if self.conflicting == "drop":
                kept = np.setdiff1d(kept, lost)
        if len(kept) == 0:
            raise InputError(f"{name}: none of its {len(paths):,} image files is left")
        first = {place: places[0] for places in copies.values() for place in places}
        return Chosen(kept, np.array([first[place] for place in kept.tolist()]), tuple(notes))


@dataclass(frozen=True, eq=False)
class Chosen:
    """The files of a data set that are used.

    Attributes:
        kept: int [m], their positions, in order.
        unit: int [m], the position of the first copy of each.
        notes: what was found, with counts.
    """

    kept: np.ndarray
    unit: np.ndarray
    notes: tuple[str, ...]


def among(places: Sequence[int], paths: Sequence[Path]) -> str:
    """The first of some files by name, in brackets."""
    shown = ", ".join(paths[place].name for place in places[:NAMED])
    return f" ({shown}{', ...' if len(places) > NAMED else ''})"
