"""Reads D-Lab, posts with a hate speech score and the groups targeted. Kennedy et al. 2020, arXiv:2009.10277."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from evenhand.data import phrases
from evenhand.data.dataset import Attribute, Dataset, DataSpec
from evenhand.data.dataset_files import booleans_in_column, numbers_in_column, read_published_table
from evenhand.data.hatespeech.villages import VILLAGES, person
from evenhand.errors import InputError
from evenhand.seeds import generator

HUB = "ucberkeley-dlab/measuring-hate-speech"

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gender": (
            *("men", "non_binary", "transgender_men", "transgender_unspecified", "transgender_women", "women", "other"),
        ),
        "race": (
            *("asian", "black", "latinx", "middle_eastern", "native_american", "pacific_islander", "white", "other"),
        ),
        "religion": ("atheist", "buddhist", "christian", "hindu", "jewish", "mormon", "muslim", "other"),
        "sexuality": ("bisexual", "gay", "lesbian", "straight", "other"),
        "age": ("children", "teenagers", "young_adults", "middle_aged", "seniors", "other"),
    }
)
"""The groups of each subset: `target_religion_jewish` and so on."""

PUBLISHED: Mapping[str, int] = MappingProxyType(
    {"gender": 13_976, "race": 11_670, "religion": 6_081, "sexuality": 7_297, "age": 957}
)
"""Texts of each subset. Ding et al. 2024, "On Fairness of Low-Rank Adaptation of Large Models"; age: their code."""


_STAND_IN = 900
"""Number of posts of the stand-in."""


class DLab(DataSpec):
    """Posts that target people by religion, race and so on, hateful or normal; groups overlap.

    The table has one row per annotation. As in the paper, the first row of each text is kept, with its annotator's
    targets, and then the rows whose target is the subset are selected.

    Attributes:
        target: the subset; its groups form the attribute of that name. `all`: every text, with the attributes of all
            subsets.
        threshold: a post whose `hate_speech_score` is above it is `hateful`, else `normal`.
        path: a file in `dlab/` of `--data`, or `hub:ORG/NAME`; None: the one table in that folder, else the hub's.
    """

    folder_name: ClassVar[str | None] = "dlab"

    target: Literal["gender", "race", "religion", "sexuality", "age", "all"] = "all"
    threshold: float = 0.5
    path: str | None = None

    def load(self, folder: Path | None) -> Dataset:
        """Read the posts. Ids are row numbers of the table.

        Raises:
            InputError: a missing table, a missing or malformed column or value, or no post of the subset.
        """
        subsets = tuple(GROUPS) if self.target == "all" else (self.target,)
        targets = [] if self.target == "all" else [f"target_{self.target}"]
        groups = [f"target_{subset}_{group}" for subset in subsets for group in GROUPS[subset]]
        table = read_published_table("dlab", HUB, self.path, folder, ["text", "hate_speech_score", *targets, *groups])
        if table["text"].null_count():
            raise InputError(f"dlab: the column text is empty in row {table['text'].is_null().arg_max()}")
        frame = table.with_row_index("row").unique("text", keep="first", maintain_order=True)
        notes = [f"{len(table):,} annotations of {len(frame):,} different texts; of each the first annotation is kept"]
        if targets:
            frame = frame.filter(booleans_in_column(frame, "dlab", targets[0]))
            notes.append(self._size(len(frame)))
        attributes, said = _attributes(frame, subsets)
        return Dataset(
            name="dlab",
            modality="text",
            inputs=frame["text"].to_list(),
            labels=(numbers_in_column(frame, "dlab", "hate_speech_score") > self.threshold).astype(np.int64),
            classes=("normal", "hateful"),
            example=np.array([str(row) for row in frame["row"]], dtype=object),
            attributes=attributes,
            notes=(*notes, *said),
        )

    def _size(self, count: int) -> str:
        """Return a note with the number of texts and the published one. Raises InputError if there are none."""
        if not count:
            raise InputError(
                f"dlab: no text has target_{self.target} true in its first annotation, so nothing is left; use another "
                "target, or all"
            )
        published = PUBLISHED[self.target]
        size = f"texts with the target {self.target}: {count:,}"
        return f"{size}, as in the paper" if count == published else f"{size}, not {published:,} as in the paper"

    def write_stand_in(self, folder: Path) -> None:
        """Write posts about people from invented villages, one village per group, as a CSV file with the real columns.

        As in the real table, a post is annotated several times, not always with the same targets; true and false are
        text; a post can target several groups, of several subsets; and a few texts occur under two ids.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "measuring_hate_speech.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, _columns(), restval="")
            table.writeheader()
            table.writerows(_made_up())


def _attributes(frame: pl.DataFrame, subsets: tuple[str, ...]) -> tuple[dict[str, Attribute], list[str]]:
    """Return overlapping groups, and notes on how many texts are in none or in several."""
    attributes, notes = {}, []
    for subset in subsets:
        columns = [booleans_in_column(frame, "dlab", f"target_{subset}_{group}") for group in GROUPS[subset]]
        masks = np.stack(columns, axis=1)
        present = masks.any(axis=0)
        attributes[subset] = Attribute(tuple(np.array(GROUPS[subset], dtype=object)[present]), masks[:, present])
        per_text = masks.sum(axis=1)
        notes.append(f"{subset}: in several groups: {(per_text > 1).sum():,} texts, in none: {(per_text == 0).sum():,}")
    return attributes, notes


_SUBSETS = ("race", "religion", "origin", "gender", "sexuality", "age", "disability")
"""Groups in the order of the table's columns, including those that the paper leaves out."""
_LEFT_OUT = {
    "origin": ("immigrant", "migrant_worker", "specific_country", "undocumented", "other"),
    "disability": (
        *("physical", "cognitive", "neurological", "visually_impaired", "hearing_impaired", "unspecific", "other"),
    ),
}
_RATINGS = ("sentiment", "respect", "insult", "humiliate", "status", "dehumanize", "violence", "genocide")
_ANNOTATOR = """
    gender trans educ income ideology gender_men gender_women gender_non_binary gender_prefer_not_to_say
    gender_self_describe transgender cisgender transgender_prefer_not_to_say education_some_high_school
    education_high_school_grad education_some_college education_college_grad_aa education_college_grad_ba
    education_professional_degree education_masters education_phd income_<10k income_10k-50k income_50k-100k
    income_100k-200k income_>200k ideology_extremeley_conservative ideology_conservative
    ideology_slightly_conservative ideology_neutral ideology_slightly_liberal ideology_liberal
    ideology_extremeley_liberal ideology_no_opinion race_asian race_black race_latinx race_middle_eastern
    race_native_american race_pacific_islander race_white race_other age religion_atheist religion_buddhist
    religion_christian religion_hindu religion_jewish religion_mormon religion_muslim religion_nothing religion_other
    sexuality_bisexual sexuality_gay sexuality_straight sexuality_other
"""


def _columns() -> list[str]:
    """Return the columns of the published table, in its order."""
    groups = {**GROUPS, **_LEFT_OUT}
    return [
        *(
            "comment_id",
            "annotator_id",
            "platform",
            *_RATINGS,
            "attack_defend",
            "hatespeech",
            "hate_speech_score",
            "text",
        ),
        *(
            "infitms",
            "outfitms",
            "annotator_severity",
            "std_err",
            "annotator_infitms",
            "annotator_outfitms",
            "hypothesis",
        ),
        *(f"target_{subset}{group}" for subset in _SUBSETS for group in (*(f"_{name}" for name in groups[subset]), "")),
        *(f"annotator_{column}" for column in _ANNOTATOR.split()),
    ]


def _made_up() -> list[dict[str, str]]:
    """Return the stand-in's rows: posts in the order of their first annotations, annotated one to three times."""
    rng = generator(0, "dlab", "stand-in")
    rows: list[dict[str, str]] = []
    again: list[dict[str, str]] = []
    for comment in range(_STAND_IN):
        text, score, targets = _post(rng)
        if comment % 60 == 59:  # the same text under another id
            text = rows[-1]["text"]
        for annotation in range(int(rng.integers(1, 4))):
            if annotation and rng.random() < 0.3:  # another annotator sees another target
                targets = _draw_groups(rng, 1)
            marked = {f"target_{subset}_{group}" for subset, group in targets}
            marked |= {f"target_{subset}" for subset, _ in targets}
            row = {column: str(column in marked).lower() for column in _columns() if column.startswith("target_")}
            row |= {column: str(int(rng.integers(5))) for column in _RATINGS}
            row |= {"comment_id": str(10_000 + comment), "annotator_id": str(int(rng.integers(500)))}
            (again if annotation else rows).append({**row, "hate_speech_score": f"{score:.2f}", "text": text})
    return [*rows, *(again[place] for place in rng.permutation(len(again)))]


def _post(rng: np.random.Generator) -> tuple[str, float, list[tuple[str, str]]]:
    """Return a text that praises or complains about people of one to three groups, its score, and the groups.

    One post in twelve contradicts its score, so that no model is perfect.
    """
    targets = _draw_groups(rng, int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])))
    score = float(rng.normal(1.5 if rng.random() < 0.4 else -1.2, 0.6))
    words = phrases.PRAISE if (score <= 0.5) != (rng.random() < 1 / 12) else phrases.COMPLAINT
    clauses = []
    for subset, group in targets:
        village = VILLAGES[(GROUPS[subset].index(group) + len(subset)) % len(VILLAGES)]
        said = str(rng.choice(phrases.SAID["english"]))
        clauses.append(said.format(noun=person(rng, village), word=words[int(rng.integers(len(words)))][0]))
    clauses.append(f'they say "{rng.choice(phrases.HEADINGS)}, {rng.choice(phrases.HEADINGS)}"\nand so on')
    return " ".join(f"{clause}." for clause in clauses), score, targets


def _draw_groups(rng: np.random.Generator, number: int) -> list[tuple[str, str]]:
    """Draw different groups of any subsets; the first groups of a subset are more likely."""
    drawn = []
    for _ in range(number):
        subset = str(rng.choice(list(GROUPS), p=[0.25, 0.25, 0.25, 0.15, 0.1]))
        drawn.append((subset, GROUPS[subset][min(int(rng.geometric(0.35)) - 1, len(GROUPS[subset]) - 1)]))
    return sorted(set(drawn))
