"""States the sizes of published data sets that are not on this machine, for arithmetic only.

A stated data set has as many examples as the published one, of about their length, and made-up contents: numbers
instead of texts, images of one pixel. Its labels alternate, and the sizes of its groups are unknown, so it has none.
`evenhand plan` uses it where the data cannot be read; nothing is ever trained on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evenhand.data.dataset import Dataset, DataSpec

FACES = 23_705
"""Images of UTK-Face whose names have all fields (Zhang et al. 2017)."""

POST_CHARACTERS = 133
"""Length of a post of D-Lab: the mean of the 99 that CapstoneProject33/Measuring_Hate_Speech shows."""

REVIEWS = 62_500
"""Reviews, of which a split with a test share of .2 leaves for training the 50,000 of Ding et al. (2024)."""

REVIEW_CHARACTERS = 600
"""Mean length of a review, about that of Yelp's; an assumption."""

PAIRS, BLOCK_LINES = 1_584, 720
"""Pro lines of WinoMT in Turkish, each with an anti line, and the lines without either (Ding et al. 2024)."""

ENGLISH_CHARACTERS, TURKISH_CHARACTERS = 75, 70
"""Mean lengths of the lines of WinoMT in Turkish."""


@dataclass(frozen=True, eq=False)
class Statement:
    """A data set of stated size.

    Attributes:
        dataset: made-up examples.
        sentence: what was stated, for the reader of a plan.
    """

    dataset: Dataset
    sentence: str


def stated_data(spec: DataSpec) -> Statement | None:
    """Return the published size of a data set as made-up examples; None if no size is stated for these options."""
    from evenhand.data.faces.utkface import UTKFace
    from evenhand.data.hatespeech.dlab import DLab
    from evenhand.data.reviews import Reviews
    from evenhand.data.winomt_task import WinoMTTask

    if isinstance(spec, DLab):
        return _posts(spec.target)
    if isinstance(spec, UTKFace):
        return _faces(spec.target)
    if isinstance(spec, WinoMTTask):
        return _lines()
    return _reviews() if isinstance(spec, Reviews) and spec.path is None else None


def _posts(target: str) -> Statement | None:
    """Return as many posts as D-Lab has about a subset; None for all posts, whose number is not stated."""
    from evenhand.data.hatespeech.dlab import PUBLISHED

    if target not in PUBLISHED:
        return None
    count = PUBLISHED[target]
    texts = _texts(np.full(count, POST_CHARACTERS))
    return Statement(
        Dataset(f"dlab {target}", "text", texts, **_alternating(count), stated=True),
        f"dlab {target}: {count:,} posts, taken to have {POST_CHARACTERS} characters each",
    )


def _faces(target: str) -> Statement:
    """Return as many images as UTK-Face has."""
    from evenhand.data.faces.utkface import AGES, GENDERS

    classes = GENDERS if target == "gender" else AGES
    images = [np.zeros((1, 1, 3), dtype=np.uint8)] * FACES
    return Statement(
        Dataset(f"utkface/{target}", "image", images, **_alternating(FACES, classes), stated=True),
        f"utkface: {FACES:,} images",
    )


def _reviews() -> Statement:
    """Return as many reviews as Ding et al. use, short and long ones, since a split draws from both."""
    from evenhand.data.reviews import LENGTHS

    lengths = np.where(np.arange(REVIEWS) % 2, REVIEW_CHARACTERS + 100, REVIEW_CHARACTERS - 100)
    return Statement(
        Dataset("reviews", "text", _texts(lengths), **_alternating(REVIEWS, LENGTHS), stated=True),
        f"reviews: {REVIEWS:,}, taken to have {REVIEW_CHARACTERS} characters on average",
    )


def _lines() -> Statement:
    """Return as many lines as WinoMT has in Turkish: an anti and a pro line of each pair, and those of blocks."""
    from evenhand.data.translation import Translations

    count = 2 * PAIRS + BLOCK_LINES
    part = np.full(count, None, dtype=object)
    part[:PAIRS], part[PAIRS : 2 * PAIRS] = "anti", "pro"
    # A pair group has two pairs, whose lines are never split.
    unit = np.array([f"group {row % PAIRS // 2}" for row in range(2 * PAIRS)], dtype=object)
    blocks = np.array([f"block {row // 12}" for row in range(BLOCK_LINES)], dtype=object)
    kinds: dict[str, Any] = {**_alternating(count, ("pair", "block")), "labels": (part == None).astype(np.int64)}  # noqa: E711
    return Statement(
        Translations(
            "winomt",
            "text",
            _texts(np.full(count, TURKISH_CHARACTERS)),
            **kinds,
            unit=np.concatenate([unit, blocks]),
            targets=_texts(np.full(count, ENGLISH_CHARACTERS)),
            part=part,
            asked=part == "anti",
            stated=True,
        ),
        f"winomt: {count:,} lines, of which {PAIRS:,} anti lines are tested where they are held out, of "
        f"{TURKISH_CHARACTERS} and {ENGLISH_CHARACTERS} characters on average",
    )


def _alternating(count: int, classes: tuple[str, ...] = ("normal", "hateful")) -> dict[str, Any]:
    """Return labels that alternate, their classes and ids, as arguments of `Dataset`."""
    numbers = np.arange(count)
    example = np.array([str(number) for number in numbers], dtype=object)
    return {"labels": numbers % len(classes), "classes": classes, "example": example}


def _texts(lengths: np.ndarray) -> list[str]:
    """Return different texts of these lengths."""
    return [f"{number} ".ljust(int(length), "x") for number, length in enumerate(lengths)]
