"""Draws faces that stand in for photographs of people (`--tiny`), as JPEG files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evenhand.data import drawings
from evenhand.seeds import generator

COUNT = 900
"""Number of faces of a stand-in."""
AMBIGUOUS = 0.08
"""The share of faces whose mouth and brows show the other gender, so that no model is perfect."""
OUTLINES = ("circle", "square", "hexagon", "triangle")


@dataclass(frozen=True, eq=False)
class People:
    """Ages, genders, races and images of made-up people.

    Attributes:
        age, gender, race: int [n]; ages from 1.
        images: uint8 [n, 32, 32, 3].
    """

    age: np.ndarray
    gender: np.ndarray
    race: np.ndarray
    images: np.ndarray


def made_up_people(name: str, races: int, oldest: int) -> People:
    """Draw made-up people: mouth and brows show the gender (down: 0), the face's size the age, the outline the race.

    Later races are rarer. If there are more races than named outlines, the others get bent outlines.

    Args:
        name: name of the data set, from which the random numbers are drawn.
        races: number of races.
        oldest: the highest age.
    """
    rng = generator(0, name, "stand-in")
    shares = 1 / (1.5 + np.arange(races))
    race = rng.choice(races, COUNT, p=shares / shares.sum())
    gender = rng.integers(0, 2, COUNT)
    # Few children, fewer old people.
    age = 1 + np.rint((oldest - 1) * rng.beta(1.6, 3.0, COUNT)).astype(np.int64)
    faces = drawings.random_faces(rng, COUNT)
    sign = np.where((gender == 1) != (rng.random(COUNT) < AMBIGUOUS), 1.0, -1.0)
    corners = np.array([drawings.CORNERS[outline] for outline in OUTLINES])
    waves = np.zeros_like(faces.waves)
    for code in range(len(OUTLINES), races):
        waves[race == code] = rng.normal(0, 0.08, faces.waves.shape[1:])
    faces = replace(
        faces,
        smile=sign * rng.uniform(0.5, 1, COUNT),
        brow=sign * rng.uniform(0.5, 1, COUNT),
        size=0.8 + 0.35 * age / oldest,
        corners=np.where(race < len(OUTLINES), corners[race % len(OUTLINES)], 0),
        waves=waves,
    )
    return People(age, gender, race, drawings.draw(faces))


def write(image: np.ndarray, path: Path) -> None:
    """Write one image as a JPEG file."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=95, subsampling=0)
