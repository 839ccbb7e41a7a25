"""Reads WinoMT in Turkish: English sentences about two occupations with a pronoun, and genderless Turkish sources.

The general file has three kinds of lines: h anti-stereotypical ones, h pro-stereotypical ones in the same order, and
blocks of 12 about the same two people with he, she and they. Lines 2i, 2i + 1, 2i + h and 2i + 1 + h form a pair group:
both pronouns for both of its occupations, mostly with the same Turkish. Therefore a group is never split.

Stanovsky et al. 2019, ACL, arXiv:1906.00591; in Turkish: Ding et al. 2024, arXiv:2405.17512.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from evenhand.data.dataset import Attribute, Dataset
from evenhand.data.dataset_files import read_text, require_folder
from evenhand.data.splits import LimitSpec, Split, SplitSpec, split
from evenhand.data.translation import STEREOTYPE_PARTS, StereotypePart
from evenhand.errors import InputError, did_you_mean

UnitKind = Literal["pair_groups", "occupations"]

NAME = "winomt_turkish"
GOLD = "winomt"
"""The folder beside it with the official file, `en.txt`: gender, index, sentence and occupation per line."""

_BLOCK = 12
_OPPOSITE = {"male": "female", "female": "male"}
_GENDERS = ("male", "female", "neutral")


@dataclass(frozen=True, eq=False)
class WinoMT:
    """The lines of the general file, in its order.

    Attributes:
        sentence: [n] English.
        source: [n] its Turkish in the general file.
        part_source: [n] its Turkish in the pro or anti file, which differs in a few lines; for other lines as `source`.
        part: object [n], `anti`, `pro`, or None for lines of blocks.
        gold: object [n], the referent's gender in the sentence: `male`, `female` or `neutral`.
        occupation: object [n], the referent.
        stereotype: object [n], the stereotypical gender of the referent's occupation: gold in the pro part, the
            opposite in the anti part, None in blocks. In even lines it is `male`, in odd lines `female`, except for
            corrupt lines.
        corrupt: bool [n], anti lines that are not the counterpart of their pro line.
        unit: object [n], the unit, which is never split: `pair-17` or `block-3`; or `accountant, janitor`, all pair
            groups about these two.
        block: int64 [n], the number of the block, −1 in pair groups.
        notes: facts that a reader of the report must know.
    """

    sentence: list[str] = field(repr=False)
    source: list[str] = field(repr=False)
    part_source: list[str] = field(repr=False)
    part: np.ndarray
    gold: np.ndarray
    occupation: np.ndarray
    stereotype: np.ndarray
    corrupt: np.ndarray
    unit: np.ndarray
    block: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sentence)

    def lines(self, part: StereotypePart) -> np.ndarray:
        """Return the lines of a file in its order, int64; for `general`, all of them.

        Raises:
            InputError: another name.
        """
        if part not in STEREOTYPE_PARTS:
            raise InputError(f'{NAME} has no part "{part}"; {did_you_mean(part, STEREOTYPE_PARTS)}')
        return np.arange(len(self)) if part == "general" else np.flatnonzero(self.part == part)

    def examples(self, part: StereotypePart, among: np.ndarray) -> list[tuple[str, str]]:
        """Return Turkish and English of the part's lines in `among`, for training. Raises: as `lines`."""
        sources = self.source if part == "general" else self.part_source
        return [(sources[line], self.sentence[line]) for line in np.intersect1d(self.lines(part), among)]

    def tested(self, among: np.ndarray) -> np.ndarray:
        """Return the lines in `among` that are translated and scored: the anti part's, without corrupt ones.

        A model sees only the Turkish, so the pro lines would mostly repeat the same sources. Half of the lines are
        about stereotypically male occupations, half about stereotypically female ones.
        """
        return among[(self.part[among] == "anti") & ~self.corrupt[among]]

    def varying_source(self, source: list[str] | None = None) -> np.ndarray:
        """Return the lines of pairs whose Turkish differs between the pronouns, and may show the gender, bool [n].

        Args:
            source: the Turkish to compare; None: that of the pro and the anti file.
        """
        compared = self.part_source if source is None else source
        differs = np.zeros(len(self), dtype=bool)
        for anti, pro in zip(self.lines("anti"), self.lines("pro"), strict=True):
            differs[[anti, pro]] = compared[anti] != compared[pro]
        return differs

    def dataset(self) -> Dataset:
        """Return the lines as examples, with their units and the attribute `stereotype` of the referent.

        Lines of blocks are in no group. Labels mark whether a line belongs to a pair group or to a block, so that each
        part of a split has its share of both.
        """
        return Dataset(
            name=NAME,
            modality="text",
            inputs=self.source,
            labels=(self.block >= 0).astype(np.int64),
            classes=("pair", "block"),
            example=np.array([str(line) for line in range(len(self))], dtype=object),
            attributes={"stereotype": Attribute.from_lists([[one] if one else [] for one in self.stereotype])},
            unit=self.unit,
            notes=self.notes,
        )

    def split(self, spec: SplitSpec, seed: int) -> Split:
        """Split the lines into training, validation and test by whole units. As `evenhand.data.splits.split`."""
        return split(self.dataset(), spec, LimitSpec(), seed)


def load_winomt(folder: Path | None, gold: Path | None = None, units: UnitKind = "pair_groups") -> WinoMT:
    """Read WinoMT in Turkish.

    Args:
        folder: holds `en_tr_general.txt`, `en_tr_pro.txt` and `en_tr_anti.txt`, lines `English ||| Turkish`.
        gold: the folder of the official `en.txt`; None: `winomt` beside `folder`. It is joined on the English sentence,
            because its lines are in another order.
        units: `pair_groups`, or `occupations`: the 792 pair groups are about only 393 pairs of occupations, and
            knowledge about a pair from one sentence helps in another.

    Raises:
        InputError: a missing or malformed folder or file; a sentence without gold gender; a general file that does not
            consist of the anti file, the pro file and blocks of 12.
    """
    if units not in get_args(UnitKind):
        raise InputError(f'{NAME}: units are "{units}"; {did_you_mean(units, get_args(UnitKind))}')
    folder = require_folder(NAME, folder)
    general, anti, pro = (_pairs(folder / _file_name(part)) for part in ("general", "anti", "pro"))
    half = _count_anti_lines(general, anti, pro)
    official = _referents((folder.parent / GOLD if gold is None else gold) / "en.txt")
    gender, occupation = np.empty((2, len(general)), dtype=object)
    for line, (sentence, _) in enumerate(general):
        if sentence not in official:
            raise InputError(
                f"{NAME}: the sentence in line {line + 1} of {_file_name('general')} is not in {GOLD}/en.txt"
            )
        gender[line], occupation[line] = official[sentence]
        if line < 2 * half and gender[line] == "neutral":
            raise InputError(
                f"{NAME}: line {line + 1} of {_file_name('general')} is in a pair group, but gender-neutral"
            )
    stereotype = np.full(len(general), None, dtype=object)
    stereotype[:half] = [_OPPOSITE[gold_gender] for gold_gender in gender[:half]]
    stereotype[half : 2 * half] = gender[half : 2 * half]
    part = np.full(len(general), None, dtype=object)
    part[:half], part[half : 2 * half] = "anti", "pro"
    corrupt = np.zeros(len(general), dtype=bool)
    for pair_values in (stereotype, occupation):
        corrupt[:half] |= pair_values[:half] != pair_values[half : 2 * half]
    block = np.full(len(general), -1)
    block[2 * half :] = np.arange(len(general) - 2 * half) // _BLOCK
    lines = WinoMT(
        sentence=[english for english, _ in general],
        source=[turkish for _, turkish in general],
        part_source=[turkish for _, turkish in (*anti, *pro, *general[2 * half :])],
        part=part,
        gold=gender,
        occupation=occupation,
        stereotype=stereotype,
        corrupt=corrupt,
        unit=_unit_names(units, occupation, half, block),
        block=block,
    )
    return replace(lines, notes=_notes(lines))


def _unit_names(units: UnitKind, occupation: np.ndarray, half: int, block: np.ndarray) -> np.ndarray:
    """Return the unit of each line."""
    names = np.array([f"block-{number}" for number in block], dtype=object)
    for first in range(0, half, 2):
        group = [first, first + 1, first + half, first + half + 1]
        # Uses all four lines, because the anti lines of a corrupt group are about a single occupation.
        about = ", ".join(sorted(set(occupation[group])))
        names[group] = f"pair-{first // 2}" if units == "pair_groups" else about
    return names


def _notes(data: WinoMT) -> tuple[str, ...]:
    """Return notes on counts, on sources that show a gender, and on corrupt lines."""
    anti, pro = data.lines("anti"), data.lines("pro")
    pairs, blocks = (len(set(data.unit[of])) for of in (data.block < 0, data.block >= 0))

    differing, in_general = (int(data.varying_source(source)[anti].sum()) for source in (None, data.source))
    unlike = [sum(data.source[line] != data.part_source[line] for line in lines) for lines in (anti, pro)]
    notes = [
        f"{len(anti):,} anti- and {len(pro):,} pro-stereotypical sentences in {pairs:,} units, "
        f"{(data.block >= 0).sum():,} others in {blocks:,} blocks",
        f"the source is not free of gender: the Turkish of {differing:,} of {len(anti):,} pairs "
        f"differs between the pro and the anti file ({in_general:,} in the general file)",
        f"{unlike[0]:,} anti and {unlike[1]:,} pro lines have another Turkish in the general file",
    ]
    if data.corrupt.any():
        lines = ", ".join(str(line) for line in np.flatnonzero(data.corrupt))
        notes.append(f"anti lines that are not the counterpart of their pro line and are not tested (from 0): {lines}")
    units: dict[str, set[str]] = {}
    for sentence, unit in zip(data.sentence, data.unit, strict=True):
        units.setdefault(sentence, set()).add(unit)
    shared = sum(len(names) > 1 for names in units.values())
    if shared:
        notes.append(f"sentences that occur in two units and may be in both training and test: {shared}")
    return tuple(notes)


def _count_anti_lines(general: list[tuple[str, str]], anti: list[tuple[str, str]], pro: list[tuple[str, str]]) -> int:
    """Return the number of anti lines; raise InputError if the general file is not anti, pro and blocks."""
    half = len(anti)
    if len(pro) != half or half % 2:
        raise InputError(
            f"{NAME}: {_file_name('anti')} has {half} lines and {_file_name('pro')} {len(pro)}; both should have the "
            "same even number"
        )
    if len(general) < 2 * half or (len(general) - 2 * half) % _BLOCK:
        raise InputError(
            f"{NAME}: {_file_name('general')} has {len(general)} lines; it should have {2 * half} and blocks "
            f"of {_BLOCK}"
        )
    for name, start, lines in (("anti", 0, anti), ("pro", half, pro)):
        for line, (sentence, _) in enumerate(lines):
            if general[start + line][0] != sentence:
                raise InputError(
                    f"{NAME}: line {start + line + 1} of {_file_name('general')} should be the sentence in line "
                    f"{line + 1} of {_file_name(name)}"
                )
    return half


def _file_name(part: str) -> str:
    """Return the name of a part's file."""
    return f"en_tr_{part}.txt"


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Read English and Turkish of each line."""
    pairs = []
    for number, line in enumerate(_lines(path), start=1):
        english, separator, turkish = (piece.strip() for piece in line.partition("|||"))
        if not separator or not english or not turkish or "|||" in turkish:
            raise InputError(f"{NAME}: line {number} of {path} should be English ||| Turkish")
        pairs.append((english, turkish))
    return pairs


def _referents(path: Path) -> dict[str, tuple[str, str]]:
    """Read gender and occupation of the referent, by sentence."""
    referents: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(_lines(path), start=1):
        fields = [piece.strip() for piece in line.split("\t")]
        if len(fields) != 4 or fields[0] not in _GENDERS or not fields[3]:
            raise InputError(
                f"{NAME}: line {number} of {path} should be gender (male, female, neutral), index, sentence and "
                "occupation, separated by tabs"
            )
        if referents.setdefault(fields[2], (fields[0], fields[3])) != (fields[0], fields[3]):
            raise InputError(f"{NAME}: line {number} of {path} has a sentence of an earlier line, but another referent")
    return referents


def _lines(path: Path) -> list[str]:
    """Return the lines of a file, without an empty last one."""
    text = read_text(NAME, path).rstrip("\r\n")
    if not text.strip():
        raise InputError(f"{NAME}: {path} has no lines")
    return text.split("\n")
