"""Reads IMDB, negative and positive film reviews. Maas et al. 2011, ACL."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from evenhand.data import phrases
from evenhand.data.dataset import Dataset, DataSpec
from evenhand.data.dataset_files import read_published_table, read_text, text_units
from evenhand.data.splits import provided_split
from evenhand.errors import InputError
from evenhand.seeds import generator

HUB = "stanfordnlp/imdb"
_PARTS = ("train", "test")
_LABELS = {"neg": 0, "pos": 1}
_REVIEWS = 120
"""Number of reviews of each part and label in the stand-in."""


class Imdb(DataSpec):
    """Film reviews, negative or positive, without groups: the data do not describe people.

    Attributes:
        path: a table in `imdb/` of `--data`, or `hub:ORG/NAME`; None: the folder's own files (`train/pos/*.txt` and so
            on), else the hub's.
    """

    folder_name: ClassVar[str | None] = "imdb"

    path: str | None = None

    def load(self, folder: Path | None) -> Dataset:
        """Read the reviews. Ids are the names of files, or row numbers of a table; copies of a text form one unit.

        The published split has a training and a test part; reviews without a label (`unsup`) are left out.

        Raises:
            InputError: no reviews, a missing folder or column, or a file that is not text.
        """
        if self.path is None and folder is not None and any((folder / part / "pos").is_dir() for part in _PARTS):
            texts, labels, parts, example = _from_files(folder)
            notes = []
        else:
            texts, labels, parts, example, notes = _from_table(self.path, folder)
        unit, copies = text_units(texts, example)
        return Dataset(
            name="imdb",
            modality="text",
            inputs=texts,
            labels=np.array([_LABELS[label] for label in labels], dtype=np.int64),
            classes=("negative", "positive"),
            example=np.array(example, dtype=object),
            unit=unit,
            split=provided_split(parts, "imdb: split"),
            notes=(*notes, *copies),
        )

    def write_stand_in(self, folder: Path) -> None:
        """Write praise and complaints in the published layout.

        Like the real reviews, they have line breaks. One review is unlabeled, and one is in both parts.
        """
        rng = generator(0, "imdb", "stand-in")
        for part in _PARTS:
            for label in _LABELS:
                (folder / part / label).mkdir(parents=True, exist_ok=True)
                for number in range(_REVIEWS):
                    rating = int(rng.integers(1, 5)) + (6 if label == "pos" else 0)
                    topic = str(rng.choice(list(phrases.NOUNS)))
                    text = phrases.post(rng, topic, label == "pos", int(rng.integers(2))).replace(
                        ". ", ".<br /><br />", 1
                    )
                    (folder / part / label / f"{number}_{rating}.txt").write_text(text, encoding="utf-8")
        first = next((folder / "train" / "pos").glob("0_*.txt")).read_text(encoding="utf-8")
        next((folder / "test" / "pos").glob("0_*.txt")).write_text(first, encoding="utf-8")
        (folder / "train" / "unsup").mkdir(exist_ok=True)
        (folder / "train" / "unsup" / "0_0.txt").write_text(first, encoding="utf-8")


def _from_files(folder: Path) -> tuple[list[str], list[str], list[str], list[str]]:
    """Read texts, labels, parts and ids, sorted by file name, so that the order is the same on every machine."""
    rows = []
    for part in _PARTS:
        for label in _LABELS:
            files = sorted((folder / part / label).glob("*.txt"))
            if not files:
                raise InputError(f"imdb: {folder / part / label} holds no reviews (*.txt)")
            rows += [(read_text("imdb", file), label, part, f"{part}/{label}/{file.stem}") for file in files]
    texts, labels, parts, example = map(list, zip(*rows, strict=True))
    return texts, labels, parts, example


def _from_table(path: str | None, folder: Path | None) -> tuple[list[str], list[str], list[str], list[str], list[str]]:
    """Read texts, labels, parts and ids, and a note on the rows left out. Labels are 0, 1 or neg, pos."""
    frame = read_published_table("imdb", HUB, path, folder, ("text", "label", "split")).with_row_index("row")
    words = frame["label"].cast(pl.String).replace({"0": "neg", "1": "pos"})
    known = frame["split"].is_in(_PARTS) & words.is_in(list(_LABELS)) & frame["text"].is_not_null()
    kept, labels = frame.filter(known), words.filter(known)
    missing = Counter(_PARTS) - Counter(kept["split"])
    if missing or labels.n_unique() < 2:
        raise InputError(
            "imdb: the table should have both labels, neg and pos (or 0 and 1), and the splits train and test; it "
            "lacks some"
        )
    left = len(frame) - len(kept)
    notes = [f"reviews without a label, or of other parts, that are left out: {left:,}"] if left else []
    return kept["text"].to_list(), labels.to_list(), kept["split"].to_list(), [str(row) for row in kept["row"]], notes
