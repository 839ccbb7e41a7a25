"""Reads FairFace, photographs balanced over seven races. Karkkainen and Joo 2021, WACV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from evenhand.data.dataset import Attribute, Dataset
from evenhand.data.dataset_files import read_text_table, require_folder
from evenhand.data.faces import stand_in
from evenhand.data.faces.folder import FaceFolder
from evenhand.data.images import lazy_image_files
from evenhand.data.splits import provided_split
from evenhand.errors import InputError

GENDERS = ("Male", "Female")
RACES = ("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian", "White")
AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
WIDE = MappingProxyType({"0-19": AGES[:3], "20-39": AGES[3:5], "40 and over": AGES[5:]})

_KNOWN = MappingProxyType({"age": AGES, "gender": GENDERS, "race": RACES})
_LABELS = "*label*.csv"
_INSIDE = ("", "fair_face")
_PARTS = {"train": "train", "val": "test"}


class FairFace(FaceFolder):
    """Faces by gender or age, with the attribute `race` and its conjunctions.

    If the target is the gender, the conjunction is `race_age`; if it is the age, the conjunction is `race_gender`.

    Attributes:
        target: `gender`, male or female; or `age`, in nine bins.
        ages: age ranges in the groups of `race_age`: the data's nine bins, or three (0-19, 20-39, 40 and over), which
            gives larger groups.
    """

    folder_name: ClassVar[str | None] = "fairface"

    ages: Literal["nine", "three"] = "nine"

    def load(self, folder: Path | None) -> Dataset:
        """Read the label files, `*label*.csv` with the columns file, age, gender and race, and their images.

        Images are below the folder, or below `fair_face` in it. An example's id is the value of `file`. The published
        split has the parts `train` and `val`; `val` is the test part.

        Raises:
            InputError: a missing folder, label file, image or column; an unknown race, gender or age; a file that
                cannot be read, unless these are skipped.
        """
        folder = require_folder("fairface", folder)
        rows = _rows(folder)
        files = rows["file"].to_list()
        root = next((folder / inside for inside in _INSIDE if (folder / inside / files[0]).is_file()), folder)
        lazy_image_files(files, root, "fairface: file")
        paths = [root / name for name in files]
        selected = self.select_files(
            "fairface", paths, list(zip(rows["gender"], rows["age"], rows["race"], strict=True))
        )
        rows = rows[selected.kept]
        ids = np.array(files, dtype=object)
        parts = [name.partition("/")[0] for name in rows["file"]]
        split = provided_split([_PARTS.get(part, part) for part in parts], "fairface: the first folder of file")
        target, classes = ("gender", GENDERS) if self.target == "gender" else ("age", AGES)
        return Dataset(
            name=f"fairface/{self.target}",
            modality="image",
            inputs=lazy_image_files(rows["file"].to_list(), root, "fairface: file"),
            labels=np.array([classes.index(word) for word in rows[target]], dtype=np.int64),
            classes=tuple(name.lower() for name in classes),
            example=ids[selected.kept],
            attributes=self._attributes(rows),
            unit=ids[selected.unit],
            split=split,
            notes=selected.notes,
        )

    def _attributes(self, rows: pl.DataFrame) -> Mapping[str, Attribute]:
        """Return the attribute `race` and its conjunction with age or gender."""
        if self.target == "age":
            name, others = "race_gender", rows["gender"].to_list()
        else:
            name, others = "race_age", rows["age"].to_list()
            if self.ages == "three":
                wide = {age: name for name, ages in WIDE.items() for age in ages}
                others = [wide[age] for age in others]
        both = [f"{race} {other}" for race, other in zip(rows["race"], others, strict=True)]
        return {"race": Attribute.from_values(rows["race"].to_list()), name: Attribute.from_values(both)}

    def write_stand_in(self, folder: Path) -> None:
        """Write drawn faces: mouth and brows show the gender, the size the age, the outline the race.

        Some images occur twice.
        """
        people = stand_in.made_up_people("fairface", len(RACES), len(AGES))
        rows: dict[str, list[dict[str, str]]] = {part: [] for part in _PARTS}
        for number, (age, gender, race) in enumerate(zip(people.age, people.gender, people.race, strict=True)):
            part = "val" if number % 3 == 2 else "train"
            said = {"age": AGES[age - 1], "gender": GENDERS[gender], "race": RACES[race], "service_test": "False"}
            copies = 2 if number % 60 == 0 else 1
            for _ in range(copies):
                name = f"{part}/{len(rows[part]) + 1}.jpg"
                stand_in.write(people.images[number], folder / name)
                rows[part].append({"file": name, **said})
        for part, listed in rows.items():
            pl.DataFrame(listed).write_csv(folder / f"fairface_label_{part}.csv")


def _rows(folder: Path) -> pl.DataFrame:
    """Read the rows of all label files, in the order of the files' names."""
    files = sorted(folder.glob(_LABELS))
    if not files:
        raise InputError(f"fairface: {folder} holds no label file ({_LABELS}), such as fairface_label_train.csv")
    frames = []
    for path in files:
        frame = read_text_table("fairface", path, ("file", *_KNOWN)).select("file", *_KNOWN)
        for column, known in _KNOWN.items():
            wrong = frame.filter(pl.col(column).is_in(known).not_() | pl.col(column).is_null())
            if len(wrong):
                value = f'"{wrong[column][0]}"' if wrong[column][0] else "nothing"
                raise InputError(f"fairface: {path} says {value} as {column}; known: {', '.join(known)}")
        frames.append(frame)
    rows = pl.concat(frames)
    twice = rows.filter(pl.col("file").is_duplicated())
    if len(twice):
        raise InputError(
            f'fairface: {len(twice):,} rows name a file that another row names, the first "{twice["file"][0]}"'
        )
    return rows
