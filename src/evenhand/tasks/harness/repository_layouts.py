"""Reads benchmarks as they lie in their authors' repositories, and writes them as the hub keeps them for the harness.

The columns, the order of documents and the texts are those of the repository. They may differ from the hub's: its
English CrowS-Pairs is a revision of the authors' file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from evenhand.errors import InputError
from evenhand.tasks.harness.hub_layout import STEREOSET_FORMS, write_card, write_split, write_stereoset

Convert = Callable[[list[Path], Path], None]
"""Writes the documents of some files into a folder in the hub's layout."""

_PRONOUNS = {
    "male": {"he", "him", "his"},
    "female": {"she", "her", "hers"},
    "neutral": {"they", "them", "their", "theirs"},
}


@dataclass(frozen=True)
class RepositoryLayout:
    """How the authors of a benchmark published it.

    Attributes:
        folders: names that the folder below `--data` may have, besides that of the hub's data set.
        files: pattern of the files with the documents, in the folder or in its folder `data`.
        convert: writes them as the hub has them.
    """

    folders: tuple[str, ...]
    files: str
    convert: Convert

    def found(self, folder: Path) -> list[Path]:
        """Return the files of the repository in a folder, in order; none if it has none."""
        places = (folder, folder / "data")
        return next((files for place in places if (files := sorted(place.glob(self.files)))), [])


def _crows_pairs(files: list[Path], folder: Path) -> None:
    """Write the pairs of `crows_pairs_anonymized.csv`, whose first column has no name."""
    (file,) = files
    rows = []
    with file.open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            names = ("sent_more", "sent_less", "stereo_antistereo", "bias_type")
            rows.append({"id": int(row[""]), **{name: row[name] for name in names}})
    write_split(folder, "english", "test", _frame(rows))
    write_card(folder, {"english": {"test": "english/test-*.parquet"}})


def _winogender(files: list[Path], folder: Path) -> None:
    """Write the sentences of `all_sentences.tsv`, whose ids are OCCUPATION.PARTICIPANT.ANSWER.GENDER.txt."""
    (file,) = files
    rows = []
    with file.open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE):
            occupation, participant, answer, gender, _ = row["sentid"].split(".")
            words = [word for word in re.findall(r"[A-Za-z]+", row["sentence"]) if word.lower() in _PRONOUNS[gender]]
            (pronoun,) = words  # each sentence has one
            rows.append(
                {
                    "sentid": row["sentid"],
                    "sentence": row["sentence"],
                    "pronoun": pronoun,
                    "occupation": occupation,
                    "participant": participant,
                    "gender": gender,
                    "target": (occupation, participant)[int(answer)],
                    "label": int(answer),
                }
            )
    write_split(folder, "all", "test", _frame(rows))
    write_card(folder, {"all": {"test": "all/test-*.parquet"}})


def _bbq(files: list[Path], folder: Path) -> None:
    """Write the questions of `data/CATEGORY.jsonl`, all categories together and each alone."""
    kept = ("example_id", "question_index", "question_polarity", "context_condition", "category", "context", "question")
    rows = []
    for file in files:
        for row in _lines(file):
            known = row["additional_metadata"]
            rows.append(
                {
                    **{name: row[name] for name in kept},
                    "question_index": str(row["question_index"]),
                    "answer_info": {name: [str(part) for part in row["answer_info"][name]] for name in _ANSWERS},
                    "additional_metadata": {
                        "stereotyped_groups": [str(group) for group in known["stereotyped_groups"]],
                        **{name: str(known.get(name, "")) for name in ("subcategory", "version", "source")},
                    },
                    **{name: str(row[name]) for name in _ANSWERS},
                    "label": int(row["label"]),
                }
            )
    frame = _frame(rows)
    write_split(folder, "All", "test", frame)
    for (category,), part in frame.partition_by("category", as_dict=True).items():
        write_split(folder, str(category), "test", part)
    names = ["All", *frame["category"].unique().sort()]
    write_card(folder, {name: {"test": f"{name}/test-*.parquet"} for name in names})


_ANSWERS = ("ans0", "ans1", "ans2")


def _stereoset(files: list[Path], folder: Path) -> None:
    """Write the documents of `dev.json`, whose sentences are lists of structures with labels as words."""
    (file,) = files
    parts = json.loads(file.read_text(encoding="utf-8"))["data"]
    code = {name: number for number, name in enumerate((*STEREOSET_FORMS, "related"))}
    of_hub: dict[str, list[dict[str, Any]]] = {}
    for name in ("intrasentence", "intersentence"):
        of_hub[name] = []
        for row in parts[name]:
            said = row["sentences"]
            votes = [one["labels"] for one in said]
            labels = [
                {"label": [code[vote["label"]] for vote in each], "human_id": [vote["human_id"] for vote in each]}
                for each in votes
            ]
            of_hub[name].append(
                {
                    **{key: row[key] for key in ("id", "target", "bias_type", "context")},
                    "sentences": {
                        "sentence": [one["sentence"] for one in said],
                        "id": [one["id"] for one in said],
                        "labels": labels,
                        "gold_label": [code[one["gold_label"]] for one in said],
                    },
                }
            )
        _frame(of_hub[name])
    write_stereoset(folder, of_hub)


def _lines(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a file of JSON lines."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return documents as a table. Raises ValueError if there are none."""
    if not rows:
        raise ValueError("it has no documents")
    return pl.DataFrame(rows)


LAYOUTS: Mapping[str, RepositoryLayout] = MappingProxyType(
    {
        "jannalu/crows_pairs_multilingual": RepositoryLayout(
            ("crows_pairs", "crows-pairs"), "crows_pairs_anonymized.csv", _crows_pairs
        ),
        "oskarvanderwal/winogender": RepositoryLayout(("winogender-schemas",), "all_sentences.tsv", _winogender),
        "oskarvanderwal/bbq": RepositoryLayout(("BBQ",), "*.jsonl", _bbq),
        "McGill-NLP/stereoset": RepositoryLayout(("StereoSet",), "dev.json", _stereoset),
    }
)
"""The repositories' layouts, by data set of the hub."""


def converted(layout: RepositoryLayout, folder: Path, target: Path) -> None:
    """Write a repository's documents into `target` as the hub has them.

    Raises:
        InputError: files that are not in the repository's layout, or have no documents.
    """
    files = layout.found(folder)
    try:
        layout.convert(files, target)
    except (KeyError, TypeError, ValueError, IndexError, csv.Error, pl.exceptions.PolarsError) as error:
        said = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        names = ", ".join(file.name for file in files[:3])
        raise InputError(f"{names} is not as in the repository of the benchmark: {said}") from None
