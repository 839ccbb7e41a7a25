"""Reads HateXplain, posts with the communities that they target. Mathew et al. 2021, AAAI, arXiv:2012.10289."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, field_validator

from evenhand.data import phrases
from evenhand.data.dataset import Attribute, Dataset, DataSpec
from evenhand.data.dataset_files import read_text, require_folder
from evenhand.data.hatespeech.villages import VILLAGES, person
from evenhand.data.splits import provided_split, row_codes
from evenhand.errors import InputError
from evenhand.seeds import generator

_ALL = "hate_dataset.json"
_TARGETED = ("train", "val", "test")
_NOBODY = "None"
"""The data's word for a post that mentions no community."""
_NONE, _SMALLER = "none", "smaller communities"
"""Groups that are not communities."""

Label = Literal["hatespeech", "offensive"]

_STAND_IN = 900
"""Number of posts of the stand-in."""
_VILLAGES, _RARE = VILLAGES[:4], VILLAGES[4]


class HateXplain(DataSpec):
    """Posts, hateful or normal, with the communities that they mention as groups.

    Attributes:
        hateful: the labels that count as hateful; the other posts are the class `normal`. `hatespeech` alone makes
            offensive posts normal.
        groups: `domain`, every post with its one community (attribute `domain`; posts without one form the group
            `none`); or `targets`, only the posts for which all communities are listed (attribute `target`;
            overlapping; a post that targets nobody is in no group). The two are never mixed: about half of the listed
            posts are normal, of the others about a quarter.
        smallest: communities of fewer posts than this are merged into the group `smaller communities`.
    """

    folder_name: ClassVar[str | None] = "hatexplain"

    hateful: tuple[Label, ...] = ("hatespeech", "offensive")
    groups: Literal["domain", "targets"] = "domain"
    smallest: NonNegativeInt = 0

    @field_validator("hateful", mode="before")
    @classmethod
    def _hateful(cls, value: Any) -> Any:
        """Turn a single label into a tuple, and refuse sets without `hatespeech`."""
        value = (value,) if isinstance(value, str) else value
        if isinstance(value, list | tuple) and "hatespeech" not in value:
            raise ValueError("hateful is hatespeech, or [hatespeech, offensive]")
        return value

    def load(self, folder: Path | None) -> Dataset:
        """Read the posts. Ids are row numbers of `hate_dataset.json`; posts with the same text form one unit.

        Raises:
            InputError: the folder or a file in it is missing or malformed.
        """
        folder = require_folder("hatexplain", folder)
        rows = _rows(folder / _ALL)
        first: dict[str, int] = {}
        units = [first.setdefault(row["text"], number) for number, row in enumerate(rows)]
        if self.groups == "domain":
            kept = list(range(len(rows)))
            domains = [row["domain"] for row in rows]
            name, attribute = "domain", Attribute.from_values([_community(name) for name in domains], none=_NONE)
            notes = [f"{sum(_community(name) is None for name in domains):,} posts of no community form the group none"]
        else:
            targets = _targets(folder, rows)
            kept = sorted(targets)
            lists = [sorted({name for name in targets[number] if _community(name)}) for number in kept]
            name, attribute = "target", Attribute.from_lists(lists)
            notes = [
                f"{len(kept):,} of {len(rows):,} posts have a list of targets; only they are used",
                f"{sum(not names for names in lists):,} of them target nobody and are in no group",
                f"{sum(len(names) > 1 for names in lists):,} of them target several communities",
            ]
        shown, said = _merged(attribute, self.smallest)
        notes += said
        sizes = Counter(units[number] for number in kept)
        repeated = sum(size for size in sizes.values() if size > 1)
        notes.append(
            f"{len(kept):,} posts have {len(sizes):,} different texts: {repeated:,} posts share theirs with another, "
            "and copies are one unit"
        )
        return Dataset(
            name="hatexplain",
            modality="text",
            inputs=[rows[number]["text"] for number in kept],
            labels=np.array([rows[number]["label"] in self.hateful for number in kept], dtype=np.int64),
            classes=("normal", "hateful"),
            example=np.array([str(number) for number in kept], dtype=object),
            attributes={name: shown},
            unit=np.array([str(units[number]) for number in kept], dtype=object),
            split=provided_split([rows[number]["split"] for number in kept], f"{_ALL}: split"),
            strata=row_codes(attribute.masks),
            notes=tuple(notes),
        )

    def write_stand_in(self, folder: Path) -> None:
        """Write posts that praise (normal), complain about (offensive) or berate (hatespeech) invented villagers.

        As in the real files, a third of the posts mention no community; half are listed with all their communities, and
        these are more often normal; a few texts occur twice with another label or part; and one community is rare.
        """
        rng = generator(0, "hatexplain", "stand-in")
        posts = [_made_up(rng, _RARE if number < 2 else None) for number in range(_STAND_IN)]
        for copy in range(49, _STAND_IN, 50):
            posts[copy]["text"] = posts[copy - 1]["text"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ALL).write_text(json.dumps(posts), encoding="utf-8")
        for part in _TARGETED:
            listed = [post for post in posts if rng.random() < (0.65 if post["label"] == "normal" else 0.4)]
            lines = [json.dumps(_listed(rng, post)) + "\n" for post in listed if post["split"] == part]
            (folder / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")


def _made_up(rng: np.random.Generator, village: str | None) -> dict[str, str]:
    """Return a row of `hate_dataset.json`: clauses about a villager (or a thing, if `None`), and a neutral one.

    One post in twelve contradicts its label, so that no model is perfect.
    """
    label = str(rng.choice(["normal", "hatespeech", "offensive"], p=[0.4, 0.3, 0.3]))
    village = village or str(rng.choice([_NOBODY, *_VILLAGES], p=[0.34, 0.28, 0.2, 0.12, 0.06]))
    words = phrases.PRAISE if (label == "normal") != (rng.random() < 1 / 12) else phrases.COMPLAINT
    thing = str(rng.choice([noun for nouns in phrases.NOUNS.values() for noun, _ in nouns]))
    noun = thing if village == _NOBODY else person(rng, village)
    clauses = [
        str(rng.choice(phrases.SAID["english"])).format(noun=noun, word=words[int(rng.integers(len(words)))][0])
        for _ in range(3 if label == "hatespeech" else 1)
    ]
    others = {name: str(rng.choice(choices)) for name, choices in phrases.OTHERS["english"].items()}
    clauses.append(str(rng.choice(phrases.FILLERS["english"])).format(noun=thing, **others))
    return {
        "text": " ".join(f"{clause}." for clause in clauses),
        "split": str(rng.choice(_TARGETED, p=[0.8, 0.1, 0.1])),
        "label": label,
        "domain": village,
    }


def _listed(rng: np.random.Generator, post: dict[str, str]) -> dict[str, Any]:
    """Return a line of a part's file: usually one target, otherwise several (with repeats or `None`), or none."""
    more = rng.choice([post["domain"], _NOBODY, *_VILLAGES], int(rng.choice(4, p=[0.7, 0.15, 0.1, 0.05])))
    targets = [] if rng.random() < 0.02 else [post["domain"], *map(str, more)]
    return {"sentence": post["text"], "gold_label": post["label"], "uid": 0, "target": targets}


def _merged(attribute: Attribute, smallest: int) -> tuple[Attribute, list[str]]:
    """Return the attribute with communities of fewer than `smallest` posts merged, and a note that names them."""
    sizes = dict(zip(attribute.groups, attribute.masks.sum(axis=0).tolist(), strict=True))
    small = {group: size for group, size in sizes.items() if size < smallest and group != _NONE}
    if not small:
        return attribute, []
    merged = attribute.merged(small, _SMALLER)
    named = ", ".join(
        f"{group} ({size})" for group, size in sorted(small.items(), key=lambda item: (-item[1], item[0]))
    )
    return merged, [
        f"communities of fewer than {smallest} posts form the group {_SMALLER} ({merged.masks[:, -1].sum():,} posts): "
        f"{named}"
    ]


def _community(name: str | None) -> str | None:
    """Return the community, or None if the data say that there is none."""
    return None if name is None or name == _NOBODY else name


def _rows(path: Path) -> list[dict[str, Any]]:
    """Read the posts: text, split, label, domain."""
    text = read_text("hatexplain", path)
    try:
        rows = json.loads(text)
    except ValueError:
        raise InputError(f"hatexplain: {path} is not JSON") from None
    needed = ("text", "split", "label", "domain")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() >= set(needed) for row in rows):
        raise InputError(f"hatexplain: {path} should be a list of posts, each with {', '.join(needed)}")
    labels = sorted({str(row["label"]) for row in rows} - {"normal", "hatespeech", "offensive"})
    if labels:
        raise InputError(f'hatexplain: {path} has a label "{labels[0]}"; known: hatespeech, normal, offensive')
    return rows


def _targets(folder: Path, rows: list[dict[str, Any]]) -> dict[int, list[str]]:
    """Return the listed communities by row number.

    A listed post is matched to the first unmatched row with its text, label and split, since a text can occur several
    times with different labels.
    """
    waiting: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for number in reversed(range(len(rows))):
        waiting[rows[number]["text"], rows[number]["label"], rows[number]["split"]].append(number)
    targets = {}
    for part in _TARGETED:
        path = folder / f"{part}.jsonl"
        for line_number, line in enumerate(read_text("hatexplain", path).split("\n"), start=1):
            if not line.strip():
                continue
            try:
                post = json.loads(line)
                key, listed = (post["sentence"], post["gold_label"], part), post["target"]
            except (ValueError, KeyError, TypeError):
                raise InputError(
                    f"hatexplain: line {line_number} of {path} should be JSON with sentence, gold_label and target"
                ) from None
            if not waiting[key]:
                raise InputError(f"hatexplain: the post in line {line_number} of {path} is not in {_ALL}")
            targets[waiting[key].pop()] = listed or []
    return targets
