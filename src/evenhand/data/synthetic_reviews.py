"""Makes template reviews that show their author's gender as often as is asked for."""

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
"""What shows that the author is male, female, or nothing."""


class SyntheticReviews(ReviewSpec):
    """Short template reviews. One clause of each may show its author's gender; nothing else does.

    Reviews with the same seed differ between values of `shows` in that clause only, and a review that shows the gender
    for one value shows it for every larger one.

    Attributes:
        n: reviews.
        shows: share of reviews in which that clause shows the gender; in the others it shows nothing.
        women: share of reviews by women.
        seed: of the reviews. The same reviews are drawn for every trial, whatever its seed.
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
            example=example,
            attributes={"author": Attribute.from_values([GENDERS[int(code)] for code in female])},
            unit=np.array([first.setdefault(text, name) for text, name in zip(texts, example, strict=True)], object),
            notes=(f"planted: {self.shows:.0%} of the reviews show their author's gender",),
        )

    alterations: ClassVar[tuple[str, ...]] = ("shows", "women", "behind")

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingExamples:
        """Return the reviews at `index`, altered by the options of `data:` that `reviews` has, and by

            shows, women: as of the task, for the reviews that are learned only. What is asked about stays as it is.

        Raises:
            InputError: another option, or a value that the task would not take.
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
        """Whether each author is a woman, bool [n]; women at one share are women at every larger one."""
        return (np.arange(self.n) < round(self.women * self.n))[self._stream("author").permutation(self.n)]

    @property
    def _showing(self) -> np.ndarray:
        """Whether each review shows its author's gender, bool [n]."""
        return self._stream("shows").permutation(self.n) < round(self.shows * self.n)

    def _text(self, row: int, female: bool, shows: bool) -> str:
        """Write a review."""
        rng = self._stream("text", str(row))
        clauses = template_review(rng).removesuffix(".").split(". ")
        clause = SHOWN[int(rng.integers(len(SHOWN)))][int(female) if shows else 2]
        # Not behind the sign-off, which is the last.
        clauses.insert(int(rng.integers(len(clauses))), clause)
        return ". ".join(clauses) + "."

    def _stream(self, *names: str) -> np.random.Generator:
        """Return the generator of a named random stream."""
        return generator(self.seed, "synthetic/reviews", *names)
