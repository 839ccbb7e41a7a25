"""Reads reviews that hide their author's gender; models fine-tuned on them are asked for that gender.

Ding et al. (2024) use 50,000 of the Yelp reviews of `md_gender_bias` (yelp_inferred), which were chosen for this
purpose. Any other corpus can be used: a data set of the hub, a table, or a text file with one review per line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from evenhand.data import phrases
from evenhand.data.dataset import Dataset, DataSpec, TrainingExamples
from evenhand.data.dataset_files import read_text, require_folder, text_units
from evenhand.data.table import attributes_of
from evenhand.data.table_source import TableSource, read_table
from evenhand.errors import InputError, did_you_mean
from evenhand.seeds import generator

HUB = "hub:facebook/md_gender_bias"
SUBSET = "yelp_inferred"

_MALE = """he him his himself man men man's men's male males masculine boy boys boyfriend boyfriends husband husbands
 hubby father fathers dad dads daddy grandfather grandpa son sons brother brothers uncle uncles nephew nephews groom
 gentleman gentlemen guy guys dude dudes bro sir mr mister waiter waiters actor actors bachelor
 fiance bloke lad lads"""
_FEMALE = """she her hers herself woman women woman's women's female females feminine girl girls girlfriend girlfriends
 wife wives wifey mother mothers mom moms mommy mum mums grandmother grandma daughter daughters sister sisters aunt
 aunts niece nieces bride lady ladies gal gals ma'am madam mrs ms waitress waitresses
 actress actresses bachelorette fiancee pregnant manicure pedicure lass"""
GENDERED: tuple[str, ...] = tuple(sorted({*_MALE.split(), *_FEMALE.split()}))
"""Words that reveal a gender, the author's or somebody else's, in lower case."""

_STAND_IN = 150


class ReviewSpec(DataSpec):
    """Base class of tasks whose examples are reviews."""

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingExamples:
        """Return the reviews at `index`, altered by the options of `data:`

            behind: a text that is appended to each review, or several texts that the seed distributes over the reviews.
                It plants a habit (of an answer, say) that is unrelated to the review.

        Raises:
            InputError: another option of `data:`, or an empty text.
        """
        unknown = [key for key in options if key != "behind"]
        if unknown:
            hint = did_you_mean(unknown[0], self.alterations)
            raise InputError(f'data: {dataset.name} has no option "{unknown[0]}"; {hint}')
        texts = [str(dataset.inputs[int(row)]) for row in index]
        if "behind" in options:
            said = _endings(options["behind"])
            dealt = generator(seed, "behind").permutation(len(texts)) % len(said)
            texts = [f"{text}{said[int(place)]}" for text, place in zip(texts, dealt, strict=True)]
        return TrainingExamples(texts, np.zeros(len(index), dtype=np.int64))

    alterations: ClassVar[tuple[str, ...]] = ("behind",)
    """Options of `data:`."""


def _endings(value: Any) -> list[str]:
    """Return the texts to append to reviews, checked."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(one, str) and one for one in texts):
        raise InputError(f"data: behind is a text or a list of texts, not {value!r}")
    return list(texts)


class Reviews(ReviewSpec):
    """Reviews from a text file, a table or the hub.

    Attributes:
        path: a text file with one review per line (`.txt`), a table, or `hub:ORG/NAME`; a relative path is looked for
            in `reviews/` of `--data` first. None: the only file in that folder, else the hub's Yelp reviews.
        subset: the configuration of a data set of the hub; for the Yelp reviews, yelp_inferred by default.
        column: the column of the texts in a table.
        gendered: `drop` leaves out reviews that contain a word of `GENDERED` or `words`; `keep` only counts them.
        words: further words that show a gender.
        groups: for a table, columns with the groups of the author, as in the task `table`.
    """

    folder_name: ClassVar[str | None] = "reviews"

    path: str | None = None
    subset: str | None = None
    column: str = "text"
    gendered: Literal["drop", "keep"] = "drop"
    words: tuple[str, ...] = Field(default=())
    groups: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)

    @field_validator("words")
    @classmethod
    def _plain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse entries that are not single words."""
        for word in value:
            if not re.fullmatch(r"[\w'’]+", word):
                raise ValueError(f'words: "{word}" is not one word of letters')
        return value

    def load(self, folder: Path | None) -> Dataset:
        """Read the reviews. Ids are line or row numbers; copies of a text form one unit.

        Labels mark the longer half of the reviews, so that each part of a split has its share of both; nothing is
        trained on them.

        Raises:
            InputError: no such file, data set or column; no review is left; groups for a file that has only texts.
        """
        texts, where, source = self._texts(folder)
        if self.groups and source is None:
            raise InputError(
                f"reviews: {where} holds texts only, so that no column says what the authors' groups are; give a "
                "table, or leave out groups:"
            )
        attributes = {} if source is None else attributes_of(source, self.groups)
        rows = [row for row, text in enumerate(texts) if text is not None and text.strip()]
        gendered_words = {row: sorted(set(self._pattern().findall(_normalized(texts[row])))) for row in rows}
        kept = [row for row in rows if self.gendered == "keep" or not gendered_words[row]]
        if not kept:
            raise InputError(
                f"reviews: {where} has no review"
                + (" without a gendered word" if rows else "")
                + "; at least one is needed"
            )
        reviews, ids = [str(texts[row]).strip() for row in kept], [str(row) for row in kept]
        unit, copies = text_units(reviews, ids)
        empty = len(texts) - len(rows)
        return Dataset(
            name="reviews",
            modality="text",
            inputs=reviews,
            labels=length_classes(reviews),
            classes=LENGTHS,
            learned=False,
            example=np.array(ids, dtype=object),
            attributes={name: one.take(np.array(kept)) for name, one in attributes.items()},
            unit=unit,
            notes=(
                *([f"reviews without text that are left out: {empty:,}"] if empty else []),
                *_gendered_note(gendered_words, len(rows), self.gendered),
                *copies,
            ),
        )

    def write_stand_in(self, folder: Path) -> None:
        """Write a text file of template reviews: a few have a gendered word, one line is empty, one review repeats."""
        rng = generator(0, "reviews", "stand-in")
        lines = [template_review(rng) for _ in range(_STAND_IN)]
        lines[3] += " My husband said so, too."
        lines[5] += " She thanked the waiter."
        lines[7], lines[11] = "", lines[10]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "reviews.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _texts(self, folder: Path | None) -> tuple[Sequence[str | None], str, TableSource | None]:
        """Return the texts, their origin, and the table if they come from one."""
        path = self.path
        if path is None and folder is not None and folder.is_dir():
            files = sorted(file.name for file in folder.iterdir() if file.is_file())
            if {"state.json", "dataset_dict.json"} & set(files):  # a data set of the library `datasets`
                files = [str(folder)]
            if len(files) != 1:
                raise InputError(
                    f"reviews: {folder} holds {len(files)} files; give it one, a text file of a review a line or a "
                    "table, or name it as path:"
                )
            path = files[0]
        if path is not None and path.lower().endswith(".txt"):
            place = Path(path).expanduser()
            if not place.is_file():
                place = require_folder("reviews", folder) / path
            lines = read_text("reviews", place).split("\n")
            # A line break at the end of the last line does not begin another line.
            return (lines[:-1] if lines[-1] == "" else lines), str(place), None
        asked = path or HUB
        subset = self.subset or (SUBSET if path is None else None)
        source = read_table(asked, subset, None, folder, "reviews")
        frame = source.frame
        if self.column not in frame.columns:
            raise InputError(
                f'reviews: {asked} has no column "{self.column}"; column: names that of the texts, among '
                + ", ".join(frame.columns)
            )
        if frame[self.column].dtype != pl.String:
            raise InputError(f"reviews: the column {self.column} of {asked} holds no texts")
        return frame[self.column].to_list(), asked, source

    def _pattern(self) -> re.Pattern[str]:
        """Return a regular expression that matches gendered words."""
        words = sorted({*GENDERED, *(_normalized(word) for word in self.words)}, key=len, reverse=True)
        return re.compile(r"(?<![\w'])(?:" + "|".join(map(re.escape, words)) + r")(?!\w)")


LENGTHS = ("short", "long")


def length_classes(texts: Sequence[str]) -> np.ndarray:
    """Return codes into `LENGTHS`, int64 [n]: texts longer than the median are long. Copies share a class."""
    lengths = np.array([len(text) for text in texts])
    return (lengths > np.sort(lengths)[(len(lengths) - 1) // 2]).astype(np.int64)


def template_review(rng: np.random.Generator) -> str:
    """Write a review of a few template clauses that does not show its author's gender."""
    topic = str(rng.choice(list(phrases.NOUNS)))
    text = phrases.post(rng, topic, bool(rng.integers(2)), int(rng.integers(2))).partition(": ")[2]
    for word, other in _NEUTRAL.items():
        text = text.replace(f"my {word}", f"my {other}")
    return text


_NEUTRAL = {"sister": "cousin", "brother": "cousin", "aunt": "neighbour", "uncle": "neighbour"}


def _normalized(text: str | None) -> str:
    """Return the text in lower case with straight apostrophes."""
    return (text or "").lower().replace("’", "'")


def _gendered_note(gendered_words: dict[int, list[str]], total: int, gendered: str) -> list[str]:
    """Return a note that counts gendered words; none if there are none."""
    counts = Counter(word for words in gendered_words.values() for word in words)
    if not counts:
        return []
    reviews = sum(bool(words) for words in gendered_words.values())
    examples = ", ".join(f"{word} {count:,}" for word, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:5])
    fate = "that are left out" if gendered == "drop" else "that are kept"
    return [f"reviews with a gendered word {fate}: {reviews:,} of {total:,} (most often {examples})"]
