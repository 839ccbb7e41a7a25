"""Defines the task WinoMT, Turkish to English: trains on pro or anti lines, tests on held-out anti lines."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from evenhand.data.translation import Translations, TranslationSpec
from evenhand.data.winomt import NAME, UnitKind, load_winomt
from evenhand.data.winomt_stand_in import write_stand_in


class WinoMTTask(TranslationSpec):
    """Lines of `en_tr_general.txt`; with a method's `data: {part: pro}` (or `anti`), only that part is used for
    training.

    The test examples are the anti lines of the pair groups in the test part, whose Turkish seldom shows a gender: see
    `evenhand.data.winomt`.

    Attributes:
        units: the units, which are never split: `pair_groups`, or `occupations`, all pair groups about the same two
            occupations.
    """

    folder_name: ClassVar[str | None] = NAME

    units: UnitKind = "pair_groups"

    def load(self, folder: Path | None) -> Translations:
        """Read the lines; the official file is in the folder `winomt` beside `folder`. Raises: as `load_winomt`."""
        lines = load_winomt(folder, units=self.units)
        plain = lines.dataset()
        everything = np.arange(len(lines))
        asked = np.zeros(len(lines), dtype=bool)
        asked[lines.tested(everything)] = True
        return Translations(
            name=plain.name,
            modality="text",
            inputs=plain.inputs,
            labels=plain.labels,
            classes=plain.classes,
            example=plain.example,
            attributes=plain.attributes,
            unit=plain.unit,
            notes=plain.notes,
            targets=lines.sentence,
            part=lines.part,
            part_inputs=lines.part_source,
            asked=asked,
            about=lines.occupation,
        )

    def write_stand_in(self, folder: Path) -> None:
        """Write a small made-up WinoMT in its own file format, the official file beside it."""
        write_stand_in(folder)
