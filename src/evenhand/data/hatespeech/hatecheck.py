"""Reads HateCheck, functional tests of hate speech classifiers made from templates. Röttger et al. 2021, ACL."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from evenhand.data import phrases
from evenhand.data.dataset import Attribute, Dataset, DataSpec
from evenhand.data.dataset_files import read_text_table, require_folder
from evenhand.data.hatespeech.villages import NICKNAMES, VILLAGES, person
from evenhand.errors import InputError
from evenhand.seeds import generator

_CASES = "test_suite_cases.csv"
_NEEDED = ("functionality", "case_id", "test_case", "label_gold", "target_ident", "templ_id")
_LABELS = {"non-hateful": 0, "hateful": 1}

GroupAttribute = Literal["identity", "functionality"]


class HateCheck(DataSpec):
    """Test cases, hateful or normal, to evaluate models trained on another task with these two classes.

    Attributes:
        cases: `all`; or `matched`, only the cases of templates that were filled in exactly once for every identity, so
            that each identity has the same sentences, and two groups differ only in the people that the sentences
            mention.
        labels: `all`; or only the `normal` cases, whose accuracy equals 1 − the false-positive rate, so that verdicts
            on accuracy are verdicts on this rate; or only the `hateful` cases, whose accuracy equals the true-positive
            rate.
        groups: the attributes: `identity`, the people that a case mentions (cases without a protected identity form the
            group `none`), and `functionality`, the ability that a case tests (each has one label only, so rates over
            the other label are undefined).
    """

    folder_name: ClassVar[str | None] = "hatecheck"
    test_only: ClassVar[bool] = True

    cases: Literal["all", "matched"] = "all"
    labels: Literal["all", "normal", "hateful"] = "all"
    groups: tuple[GroupAttribute, ...] = Field(default=("identity",), min_length=1)

    @field_validator("groups", mode="before")
    @classmethod
    def _groups(cls, value: Any) -> Any:
        """Turn a single attribute into a tuple."""
        return (value,) if isinstance(value, str) else value

    def load(self, folder: Path | None) -> Dataset:
        """Read the cases. Ids are those of the file; the cases of one template form one unit.

        Raises:
            InputError: the folder or the file is missing or malformed, or no template is filled in exactly once for
                every identity.
        """
        path = require_folder("hatecheck", folder) / _CASES
        frame = read_text_table("hatecheck", path, _NEEDED)
        for column in ("functionality", "case_id", "test_case", "label_gold", "templ_id"):
            if frame[column].null_count():
                raise InputError(
                    f"hatecheck: {path}: the column {column} is empty in row {frame[column].is_null().arg_max()}"
                )
        unknown = sorted(set(frame["label_gold"]) - _LABELS.keys())
        if unknown:
            raise InputError(f'hatecheck: {path} has a label "{unknown[0]}"; known: hateful, non-hateful')
        if frame["case_id"].is_duplicated().any():
            raise InputError(f"hatecheck: {path} repeats a case_id; it should have each case once")
        notes = []
        if self.cases == "matched":
            frame, notes = _matched(frame, path)
        if self.labels != "all":
            frame = frame.filter((pl.col("label_gold") == "hateful") == (self.labels == "hateful"))
            notes.append(f"only the {len(frame):,} {self.labels} cases are used")
            if len(frame) == 0:
                raise InputError(f"hatecheck: {path} has no {self.labels} cases that are left; use labels: all")
        none = frame["target_ident"].null_count()
        if none:
            notes.append(f"{none:,} cases mention no protected identity and form the group none")
        columns = {"identity": "target_ident", "functionality": "functionality"}
        return Dataset(
            name="hatecheck",
            modality="text",
            inputs=frame["test_case"].to_list(),
            labels=np.array([_LABELS[label] for label in frame["label_gold"]], dtype=np.int64),
            classes=("normal", "hateful"),
            example=np.array(frame["case_id"].to_list(), dtype=object),
            attributes={
                name: Attribute.from_values(frame[columns[name]].to_list(), none="none") for name in self.groups
            },
            unit=np.array([f"template {template}" for template in frame["templ_id"]], dtype=object),
            notes=(*notes, f"{frame['templ_id'].n_unique():,} templates; the cases of one template are one unit"),
        )

    def write_stand_in(self, folder: Path) -> None:
        """Write sentences that praise (non-hateful) or complain about (hateful) seven invented villages.

        As in the real file, most templates are filled in once for every identity, a few with several names for each,
        and some cases have a template of their own, with one identity or with none.
        """
        columns = ["", "functionality", "case_id", "test_case", "label_gold", "target_ident", "direction"]
        columns += ["focus_words", "focus_lemma", "ref_case_id", "ref_templ_id", "templ_id", "case_templ"]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _CASES).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, columns, restval="")
            table.writeheader()
            rows: list[dict[str, str]] = []
            for template, (values, filled) in enumerate(_made_up(), start=1):
                rows += [
                    {**values, "templ_id": str(template), "target_ident": name, "test_case": text}
                    for name, text in filled
                ]
            for number, row in enumerate(rows):
                # As in the real file, cases were left out after they were numbered.
                table.writerow({"": str(number), "case_id": str(number + 1 + number // 40), **row})


def _matched(frame: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Return the cases of templates with exactly one case per identity, and notes on what is left out."""
    identities = frame["target_ident"].drop_nulls().n_unique()
    identity = pl.col("target_ident")
    template = frame.group_by("templ_id").agg(identity.drop_nulls().n_unique().alias("identities"), pl.len().alias("n"))
    every = template.filter(pl.col("identities") == identities)
    once = every.filter(pl.col("n") == identities)
    if len(once) == 0:
        raise InputError(f"hatecheck: {path} has no template with one case for each identity; use cases: all")
    kept = frame.filter(pl.col("templ_id").is_in(once["templ_id"].to_list()))
    notes = [
        f"{len(kept):,} of {len(frame):,} cases are matched: {len(once):,} templates have one case for each of the "
        f"{identities} identities",
    ]
    several = len(every) - len(once)
    if several:
        notes.append(f"{several:,} templates are left out that name an identity in several ways, such as by slurs")
    return kept, notes


def _made_up() -> Iterator[tuple[dict[str, str], list[tuple[str, str]]]]:
    """Yield the stand-in's templates: the values that its cases share, and each case's identity and text."""
    rng = generator(0, "hatecheck", "stand-in")

    def template(praise: bool) -> str:
        """Draw a template."""
        words = phrases.PRAISE if praise else phrases.COMPLAINT
        said = str(rng.choice(phrases.SAID["english"]))
        return said.format(noun="[IDENTITY]", word=words[int(rng.integers(len(words)))][0]) + "."

    def values(functionality: str, case_templ: str) -> dict[str, str]:
        """Return the values that a template's cases share."""
        hateful = functionality.endswith("_h")
        return {
            "functionality": functionality,
            "label_gold": "hateful" if hateful else "non-hateful",
            "direction": "general" if hateful else "-",
            "focus_words": "-",
            "focus_lemma": "-",
            "case_templ": case_templ,
        }

    for functionality in ("derog_neg_attrib_h", "derog_neg_emote_h", "ident_pos_nh", "ident_neutral_nh"):
        for _ in range(8):
            text = template(praise=functionality.endswith("_nh"))
            every = [(name, text.replace("[IDENTITY]", person(rng, name))) for name in VILLAGES]
            yield values(functionality, text), every
    for functionality in ("slur_h", "counter_quote_nh"):
        text = template(praise=functionality.endswith("_nh"))
        names = [(name, text.replace("[IDENTITY]", word)) for name, words in NICKNAMES.items() for word in words]
        yield values(functionality, text), names
    for place in range(10):
        text, name = template(praise=True), VILLAGES[place % len(VILLAGES)]
        yield values("slur_reclaimed_nh", text), [(name, text.replace("[IDENTITY]", NICKNAMES[name][0]))]
    things = [noun for nouns in phrases.NOUNS.values() for noun, _ in nouns]
    for _ in range(20):
        text = template(praise=True).replace("[IDENTITY]", str(rng.choice(things)))
        yield values("target_obj_nh", text), [("", text)]
