"""Reads UTK-Face, photographs with age, gender and race in their names. Zhang, Song and Qi 2017, arXiv:1702.08423."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np

from evenhand.data.dataset import Attribute, Dataset
from evenhand.data.dataset_files import require_folder
from evenhand.data.faces import stand_in
from evenhand.data.faces.folder import FaceFolder, first_file_names
from evenhand.data.images import LazyImages
from evenhand.errors import InputError

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
OLDEST = 200
EDGES = (0, 10, 20, 30, 40, 50, 60, 70, 80, OLDEST)
"""Age bins are (0, 10], (10, 20], ..., (80, 200]."""
AGES = (*(f"{low + 1}-{high}" for low, high in pairwise(EDGES[:-1])), "81 and over")

_FIELDS = ("age", "gender", "race", "timestamp")
_NAMED = "AGE_GENDER_RACE_TIMESTAMP.jpg.chip.jpg"

_IMAGES = (".jpg", ".jpeg", ".png")
"""Suffixes of images, in upper or lower case."""


class UTKFace(FaceFolder):
    """Faces by gender or age, with the attribute `race`.

    Attributes:
        target: `gender`, male or female; or `age`, in nine bins.
    """

    folder_name: ClassVar[str | None] = "utkface"

    def load(self, folder: Path | None) -> Dataset:
        """Read the images below the folder, `AGE_GENDER_RACE_TIMESTAMP.jpg.chip.jpg`, in the order of their names.

        An example's id is its path below the folder. Names that lack a field are left out and counted.

        Raises:
            InputError: no folder, or no such images in it; a name with an impossible gender, race or age; a file that
                cannot be read, unless these are skipped.
        """
        folder = require_folder("utkface", folder)
        files = sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("[!.]*")
            if path.suffix.lower() in _IMAGES and path.is_file()
        )
        if not files:
            raise InputError(
                f"utkface: {folder} holds no images; it should hold AGE_GENDER_RACE_TIMESTAMP.jpg.chip.jpg"
            )
        read = [_fields(Path(name).name) for name in files]
        nameless = [index for index, fields in enumerate(read) if fields is None]
        described = [fields for fields in read if fields is not None]
        paths = [folder / name for name, fields in zip(files, read, strict=True) if fields is not None]
        if not paths:
            raise InputError(f"utkface: none of the {len(files):,} images in {folder} is named {_NAMED}")
        for path, fields in zip(paths, described, strict=True):
            _check(path, *fields)
        selected = self.select_files("utkface", paths, described)
        ages, genders, races = np.array(described, dtype=np.int64)[selected.kept].T
        notes = selected.notes
        if nameless:
            lacking = f"lack one of {', '.join(_FIELDS)}{first_file_names(nameless, [Path(name) for name in files])}"
            notes = (f"{len(nameless):,} of {len(files):,} file names {lacking}: they are left out", *notes)
        ids = np.array([path.relative_to(folder).as_posix() for path in paths], dtype=object)
        kept = [paths[index] for index in selected.kept]
        return Dataset(
            name=f"utkface/{self.target}",
            modality="image",
            inputs=LazyImages(kept.__getitem__, len(kept)),
            labels=genders if self.target == "gender" else np.searchsorted(EDGES[1:], ages).astype(np.int64),
            classes=GENDERS if self.target == "gender" else AGES,
            example=ids[selected.kept],
            attributes={"race": Attribute.from_values([RACES[code] for code in races])},
            unit=ids[selected.unit],
            notes=notes,
        )

    def write_stand_in(self, folder: Path) -> None:
        """Write drawn faces: mouth and brows show the gender, the size the age, the outline the race.

        As in the real folder, some names lack a field, and some images occur twice, some of them with different fields.
        """
        people = stand_in.made_up_people("utkface", len(RACES), OLDEST // 2)
        folder.mkdir(parents=True, exist_ok=True)
        for number, (age, gender, race) in enumerate(zip(people.age, people.gender, people.race, strict=True)):
            said = f"{age}_{gender}_{race}"
            if number % 90 == 89:
                said = f"{age}_{gender}"  # the race is lacking
            elif number % 150 == 149:
                said = f"{age}__{race}"
            path = folder / f"{said}_{20170100000000000 + number}.jpg.chip.jpg"
            stand_in.write(people.images[number], path)
            if number % 40 == 0:
                # A copy; every other one with another gender and race.
                other = (
                    f"{age}_{1 - gender}_{(race + 1) % len(RACES)}" if number % 80 == 0 else f"{age}_{gender}_{race}"
                )
                (folder / f"{other}_{20170200000000000 + number}.jpg.chip.jpg").write_bytes(path.read_bytes())


def _fields(name: str) -> tuple[int, int, int] | None:
    """Return age, gender and race from a file name; None if one is missing or not a number."""
    fields = name.partition(".")[0].split("_")
    if len(fields) != len(_FIELDS) or not all(field.isdecimal() for field in fields[:3]):
        return None
    return int(fields[0]), int(fields[1]), int(fields[2])


def _check(path: Path, age: int, gender: int, race: int) -> None:
    """Raise InputError for an age, gender or race that a file name cannot have."""
    if race >= len(RACES):
        known = ", ".join(f"{code} {name}" for code, name in enumerate(RACES))
        raise InputError(f"utkface: {path} has the race code {race}; known: {known}")
    if gender >= len(GENDERS):
        raise InputError(f"utkface: {path} has the gender code {gender}; known: 0 male, 1 female")
    if not 0 < age <= OLDEST:
        raise InputError(f"utkface: {path} has the age {age}; ages go from 1 to {OLDEST}")
