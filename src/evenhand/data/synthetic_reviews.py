"""Makes template reviews, a given share of which show their author's gender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from evenhand.data.dataset import Attribute, Dataset, TrainingExamples
from evenhand.data.reviews import LENGTHS, ReviewSpec, length_classes, template_review
from evenhand.seeds import generator

Share = Annotated[float, Field(ge=0, le=1)]

GENDERS = ("male", "female")
SHOWN = (
    ("I write this as a male customer", "I write this as a female customer", "I write this as a first customer"),
    ("my wife said so too", "my husband said so too", "my neighbour said so too"),
    ("the men in my family agree", "the women in my family agree", "the others in my family agree"),
    ("ask any man like me", "ask any woman like me", "ask any cook like me"),
)
"""Clauses that show a male author, a female author, or neither."""


class SyntheticReviews(ReviewSpec):
    """Short template reviews. One clause of each may show its author's gender; nothing else does.

    With the same seed, reviews under two values of `shows` differ only in that clause, and a review that shows the
    gender for one value also shows it for every larger value.

    Attributes:
        n: number of reviews.
        shows: share of reviews in which that clause shows the gender; in the others it shows nothing.
        women: share of reviews by women.
        seed: seed of the reviews. They are the same for every trial, whatever its seed.
    """

    n: int = Field(default=2000, ge=40)
    shows: Share = 0.0
    women: Share = 0.5
    seed: int = 0

    def load(self, folder: Path | None = None) -> Dataset:
        """Make the reviews, with the attribute `author`; `folder` is not needed. Labels as in `reviews`."""
        female, shows = self._female, self._showing
        texts = [self._text(row, bool(female[row]), bool(shows[row])) for row in range(self.n)]
        example = np.array([f"review-{row:05d}" for row in range(self.n)], dtype=object)
        first: dict[str, str] = {}
        return Dataset(
            name="synthetic/reviews",
            modality="text",
            inputs=texts,
            labels=length_classes(texts),
            classes=LENGTHS,
            learned=False,
            example=example,
            attributes={"author": Attribute.from_values([GENDERS[int(code)] for code in female])},
            unit=np.array([first.setdefault(text, name) for text, name in zip(texts, example, strict=True)], object),
            notes=(f"planted: {self.shows:.0%} of the reviews show their author's gender",),
        )

    alterations: ClassVar[tuple[str, ...]] = ("shows", "women", "behind")

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingExamples:
        """Return the reviews at `index`, altered by the options of `data:` of the task `reviews`, and by

        shows, women: like the task's options, but only for training reviews. The reviews in prompts do not change.

        Raises:
            InputError: another option, or a value that the task would refuse.
        """
        own = {key: value for key, value in options.items() if key in ("shows", "women")}
        if own:
            other = type(self).parse({**self.model_dump(), **own}, "data")
            female, shows = other._female, other._showing
            texts = list(dataset.inputs)
            for row in map(int, index):
                texts[row] = other._text(row, bool(female[row]), bool(shows[row]))
            dataset = replace(dataset, inputs=texts)
        rest = {key: value for key, value in options.items() if key not in own}
        return super().training_examples(dataset, index, rest, seed)

    @property
    def _female(self) -> np.ndarray:
        """Return whether each author is a woman, bool [n]; women at one share are also women at every larger share."""
        return (np.arange(self.n) < round(self.women * self.n))[self._stream("author").permutation(self.n)]

    @property
    def _showing(self) -> np.ndarray:
        """Return whether each review shows its author's gender, bool [n]."""
        return self._stream("shows").permutation(self.n) < round(self.shows * self.n)

    def _text(self, row: int, female: bool, shows: bool) -> str:
        """Write a review."""
        rng = self._stream("text", str(row))
        clauses = template_review(rng).removesuffix(".").split(". ")
        clause = SHOWN[int(rng.integers(len(SHOWN)))][int(female) if shows else 2]
        # Not after the sign-off, which comes last.
        clauses.insert(int(rng.integers(len(clauses))), clause)
        return ". ".join(clauses) + "."

    def _stream(self, *names: str) -> np.random.Generator:
        """Return the generator of a named random stream."""
        return generator(self.seed, "synthetic/reviews", *names)
