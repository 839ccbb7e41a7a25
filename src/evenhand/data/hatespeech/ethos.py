"""Reads Ethos, hateful or normal comments, and the groups that hateful ones attack. Mollas et al. 2020,
arXiv:2006.08328."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from evenhand.data import phrases
from evenhand.data.dataset import Attribute, Dataset, DataSpec
from evenhand.data.dataset_files import numbers_in_column, read_text_table, require_folder, text_units
from evenhand.data.hatespeech.villages import VILLAGES, person
from evenhand.errors import InputError
from evenhand.seeds import generator

_BINARY, _SEVERAL = "Ethos_Dataset_Binary.csv", "Ethos_Dataset_Multi_Label.csv"
GROUPS = ("gender", "race", "national_origin", "disability", "religion", "sexual_orientation")
"""The groups at which hate can be directed, from the file of hateful comments."""
_HOW = ("violence", "directed_vs_generalized")
_HALF = 0.5
"""The annotators' mean from which an answer is yes, as in the authors' code; 433 of 998 comments are then hateful."""

_STAND_IN = 500
"""Number of comments of the stand-in."""


class Ethos(DataSpec):
    """Comments, hateful or normal; the groups are the protected attributes that hateful ones attack.

    The label is the annotators' mean, from the file of all comments. The groups come from the file of hateful comments
    and overlap. No normal comment is in a group, so groups have true-positive rates but no false-positive rates.
    """

    folder_name: ClassVar[str | None] = "ethos"

    def load(self, folder: Path | None) -> Dataset:
        """Read the comments. Ids are row numbers of the file of all comments; copies of a text form one unit.

        Raises:
            InputError: the folder or a file in it is missing or malformed.
        """
        folder = require_folder("ethos", folder)
        comments = _comments(folder / _BINARY, ("isHate",))
        several = _comments(folder / _SEVERAL, (*_HOW, *GROUPS))
        texts = comments["comment"].to_list()
        labels = (_means(comments, folder / _BINARY, "isHate") >= _HALF).astype(np.int64)
        masks = np.stack([_means(several, folder / _SEVERAL, group) >= _HALF for group in GROUPS], axis=1)
        attacked = dict(zip(several["comment"], masks, strict=True))
        nobody = np.zeros(len(GROUPS), dtype=bool)
        rows = np.stack([attacked.get(text, nobody) for text in texts])
        listed = np.array([text in attacked for text in texts])
        example = [str(row) for row in range(len(texts))]
        unit, copies = text_units(texts, example)
        present = rows.any(axis=0)
        if not present.any():
            raise InputError(f"ethos: no comment of {folder / _SEVERAL} is in {folder / _BINARY} and attacks anybody")
        return Dataset(
            name="ethos",
            modality="text",
            inputs=texts,
            labels=labels,
            classes=("normal", "hateful"),
            example=np.array(example, dtype=object),
            attributes={"target": Attribute(tuple(np.array(GROUPS, dtype=object)[present]), rows[:, present])},
            unit=unit,
            notes=(
                f"groups are known of {listed.sum():,} comments, those of {_SEVERAL}; "
                f"{(rows.sum(axis=1) > 1).sum():,} are in several, {(listed & ~rows.any(axis=1)).sum():,} in none",
                f"{(listed & (labels == 0)).sum():,} of them are normal; without, a group has no false-positive rate",
                *copies,
            ),
        )

    def write_stand_in(self, folder: Path) -> None:
        """Write comments about people from invented villages, one village per protected attribute.

        As in the real files, values are means of annotators, and columns are separated by semicolons, which some
        comments contain.
        """
        rng = generator(0, "ethos", "stand-in")
        folder.mkdir(parents=True, exist_ok=True)
        posts = [_made_up(rng) for _ in range(_STAND_IN)]
        _write(folder / _BINARY, ("comment", "isHate"), [(text, str(mean)) for text, mean, _ in posts])
        several = [(text, *map(str, means)) for text, mean, means in posts if mean >= _HALF]
        _write(folder / _SEVERAL, ("comment", *_HOW, *GROUPS), several)


def _comments(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    """Read a file of comments; raise InputError if a comment is empty."""
    frame = read_text_table("ethos", path, ("comment", *columns), separator=";")
    if frame["comment"].null_count():
        raise InputError(f"ethos: {path}: the column comment is empty in row {frame['comment'].is_null().arg_max()}")
    return frame.with_columns(pl.col("comment").str.strip_chars())


def _means(frame: pl.DataFrame, path: Path, column: str) -> np.ndarray:
    """Return the annotators' means of a column, float64 [n]."""
    means = numbers_in_column(frame, f"ethos: {path.name}", column)
    if ((means < 0) | (means > 1)).any():
        raise InputError(f"ethos: {path}: the column {column} should hold means between 0 and 1")
    return means


def _made_up(rng: np.random.Generator) -> tuple[str, float, list[float]]:
    """Return a comment, its mean rating as hateful, and its means in the file of hateful comments.

    One in twelve contradicts its label, so that no model is perfect.
    """
    hateful = bool(rng.random() < 0.45)
    targets = {int(rng.integers(len(GROUPS))) for _ in range(1 + int(rng.random() < 0.2))}
    words = phrases.COMPLAINT if hateful != (rng.random() < 1 / 12) else phrases.PRAISE
    clauses = [
        str(rng.choice(phrases.SAID["english"])).format(
            noun=person(rng, VILLAGES[target]), word=words[int(rng.integers(len(words)))][0]
        )
        for target in sorted(targets)
    ]
    mean = (0.5 + 0.5 * rng.random()) if hateful else 0.49 * rng.random()
    means = [round(float(0.6 * rng.random()), 2) for _ in _HOW]
    means += [round(float(0.5 + 0.5 * rng.random()), 2) if place in targets else 0.0 for place in range(len(GROUPS))]
    return "; ".join(clauses), round(float(mean), 2), means


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Write a file with columns separated by semicolons."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(columns)
        table.writerows(rows)
