"""UTK-Face: photographs whose file names say age, gender and race. Zhang, Song and Qi 2017, CVPR, arXiv:1702.08423."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np

from evenhand.data.dataset import Attribute, Dataset
from evenhand.data.dataset_files import needed_folder
from evenhand.data.faces import stand_in
from evenhand.data.faces.folder import FaceFolder, among
from evenhand.data.images import Images
from evenhand.errors import InputError

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
OLDEST = 200
EDGES = (0, 10, 20, 30, 40, 50, 60, 70, 80, OLDEST)
"""Age bins are (0, 10], (10, 20], ..., (80, 200]."""
AGES = (*(f"{low + 1}-{high}" for low, high in pairwise(EDGES[:-1])), "81 and over")

_FIELDS = ("age", "gender", "race", "timestamp")
_NAMED = "AGE_GENDER_RACE_TIMESTAMP.jpg.chip.jpg"


class UTKFace(FaceFolder):
    """Faces by gender or age, with the attribute `race`.

    Attributes:
        target: `gender`, male or female; or `age`, in nine bins.
    """

    folder_name: ClassVar[str | None] = "utkface"

    def load(self, folder: Path | None) -> Dataset:
        """Read the folder and those in it, `AGE_GENDER_RACE_TIMESTAMP.jpg.chip.jpg`, in the order of their names.

        An example's id is its path below the folder. Names that lack a field are left out and counted.

        Raises:
            InputError: no folder, or no such images in it; a gender, race or age that a name cannot say; a file that
                cannot be read, unless these are skipped.
        """
        folder = needed_folder("utkface", folder)
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*.jpg") if path.is_file())
        if not files:
            raise InputError(
                f"utkface: {folder} holds no images; it should hold AGE_GENDER_RACE_TIMESTAMP.jpg.chip.jpg"
            )
        read = [_fields(Path(name).name) for name in files]
        nameless = [place for place, fields in enumerate(read) if fields is None]
        described = [fields for fields in read if fields is not None]
        paths = [folder / name for name, fields in zip(files, read, strict=True) if fields is not None]
        if not paths:
            raise InputError(f"utkface: none of the {len(files):,} images in {folder} is named {_NAMED}")
        for path, fields in zip(paths, described, strict=True):
            _check(path, *fields)
        chosen = self.chosen("utkface", paths, described)
        ages, genders, races = np.array(described, dtype=np.int64)[chosen.kept].T
        notes = chosen.notes
        if nameless:
            lacking = f"lack one of {', '.join(_FIELDS)}{among(nameless, [Path(name) for name in files])}"
            notes = (f"{len(nameless):,} of {len(files):,} file names {lacking}: they are left out", *notes)
        ids = np.array([path.relative_to(folder).as_posix() for path in paths], dtype=object)
        kept = [paths[place] for place in chosen.kept]
        return Dataset(
            name=f"utkface/{self.target}",
            modality="image",
            inputs=Images(kept.__getitem__, len(kept)),
            labels=genders if self.target == "gender" else np.searchsorted(EDGES[1:], ages).astype(np.int64),
            classes=GENDERS if self.target == "gender" else AGES,
            example=ids[chosen.kept],
            attributes={"race": Attribute.from_values([RACES[code] for code in races])},
            unit=ids[chosen.unit],
            notes=notes,
        )

    def write_stand_in(self, folder: Path) -> None:
        """Drawn faces: mouth and brows say the gender, the size the age, the outline the race.

        As in the real folder, some names lack a field, and some images occur twice, with other fields too.
        """
        people = stand_in.people("utkface", len(RACES), OLDEST // 2)
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
    """Age, gender and race as a file name says them; None where one is lacking, or is no number."""
    fields = name.partition(".")[0].split("_")
    if len(fields) != len(_FIELDS) or not all(field.isdecimal() for field in fields[:3]):
        return None
    return int(fields[0]), int(fields[1]), int(fields[2])


def _check(path: Path, age: int, gender: int, race: int) -> None:
    if race >= len(RACES):
        known = ", ".join(f"{code} {name}" for code, name in enumerate(RACES))
        raise InputError(f"utkface: {path} has the race code {race}; known: {known}")
    if gender >= len(GENDERS):
        raise InputError(f"utkface: {path} has the gender code {gender}; known: 0 male, 1 female")
    if not 0 < age <= OLDEST:
        raise InputError(f"utkface: {path} has the age {age}; ages go from 1 to {OLDEST}")
