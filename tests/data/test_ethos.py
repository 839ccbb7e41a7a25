"""Claims about Ethos. No assertion here compares texts, so that none is ever printed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evenhand import Study
from evenhand.data.hatespeech import Ethos
from evenhand.data.hatespeech.ethos import GROUPS
from evenhand.errors import InputError
from evenhand.study.tiny import shrink

BINARY, SEVERAL = "Ethos_Dataset_Binary.csv", "Ethos_Dataset_Multi_Label.csv"
HEADER = ["comment", "violence", "directed_vs_generalized", *GROUPS]


def written(folder: Path, comments: list[tuple], several: list[tuple]) -> Path:
    for name, header, rows in ((BINARY, ["comment", "isHate"], comments), (SEVERAL, HEADER, several)):
        with (folder / name).open("w", newline="") as file:
            table = csv.writer(file, delimiter=";")
            table.writerows([header, *rows])
    return folder


COMMENTS = [("a", 1), ("b;c", 0.5), ("d", 0.49), ("e", 0), ("f", 0.8), ("a", 1)]
TARGETS = [("a", 0, 0, 1, 0.5, 0, 0, 0, 0), ("b;c ", 1, 0, 0, 0, 0, 0, 0.2, 0.75), ("f", 0, 0, 0, 0, 0.4, 0, 0, 0)]


def test_a_comment_is_hateful_from_a_mean_of_one_half(tmp_path):
    data = Ethos().load(written(tmp_path, COMMENTS, TARGETS))
    assert data.labels.tolist() == [1, 1, 0, 0, 1, 1] and data.classes == ("normal", "hateful")


def test_groups_are_what_the_other_file_says_of_the_same_text_and_overlap(tmp_path):
    data = Ethos().load(written(tmp_path, COMMENTS, TARGETS))
    assert data.attributes["target"].lists() == [
        ["gender", "race"],
        ["sexual_orientation"],
        [],
        [],
        [],
        ["gender", "race"],
    ]
    assert data.unit.tolist() == ["0", "1", "2", "3", "4", "0"]
    assert "groups are known of 4 comments" in data.notes[0] and "2 are in several, 1 in none" in data.notes[0]


def test_no_normal_comment_of_the_stand_in_is_in_a_group_as_the_notes_say(tmp_path):
    Ethos().write_stand_in(tmp_path)
    data = Ethos().load(tmp_path)
    masks = data.attributes["target"].masks
    assert data.attributes["target"].groups == GROUPS and masks.sum(axis=1).max() > 1
    assert masks[data.labels == 0].sum() == int(data.notes[1].split()[0]) or masks[data.labels == 0].sum() == 0
    assert 0.35 < data.labels.mean() < 0.55 and any(";" in text for text in data.inputs)


def test_the_stand_in_is_the_same_every_time(tmp_path):
    for name in ("one", "two"):
        Ethos().write_stand_in(tmp_path / name)
    assert all(
        (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in (BINARY, SEVERAL)
    )


@pytest.mark.parametrize(
    ("comments", "several", "sentence"),
    [
        ([("SECRET", 2)], TARGETS, "the column isHate should hold means between 0 and 1"),
        ([("SECRET", "")], TARGETS, "isHate is not a number in 1 of 1 rows"),
        ([("", 1)], TARGETS, "the column comment is empty in row 0"),
        ([("SECRET", 1)], TARGETS, "attacks anybody"),
        (COMMENTS, [], f"{SEVERAL} has no rows"),
    ],
)
def test_files_that_read_otherwise_are_refused_without_their_texts(tmp_path, comments, several, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        Ethos().load(written(tmp_path, comments, several))
    assert "SECRET" not in str(caught.value)


def test_a_folder_or_a_file_or_a_column_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="--data DIR must name a folder that holds ethos/"):
        Ethos().load(None)
    with pytest.raises(InputError, match=f"{BINARY} is missing"):
        Ethos().load(tmp_path)
    (written(tmp_path, COMMENTS, TARGETS) / BINARY).write_text("comment,isHate\nSECRET,1\n")
    with pytest.raises(InputError, match='has no column "comment"; it should have comment, isHate') as caught:
        Ethos().load(tmp_path)
    assert "SECRET" not in str(caught.value)


@pytest.mark.usefixtures("unreported")
def test_a_study_of_it_has_true_positive_rates_by_group_and_no_false_positive_ones(tmp_path):
    methods = {"full": {"kind": "full", "lr": 1e-3}, "head": {"kind": "head", "lr": 3e-2}}
    study = Study(
        task="ethos",
        model="tiny-bert",
        methods=methods,
        reference="full",
        seeds=1,
        measures=["accuracy", "true_positive_rate", "false_positive_rate"],
    )
    small, data, _ = shrink(study, tmp_path / "data")
    estimates = small.run(tmp_path / "out", data).estimates.filter(pl.col("seed").is_not_null(), method="full")
    of_groups = estimates.filter(pl.col("group").is_in(GROUPS))
    assert np.isfinite(of_groups.filter(measure="true_positive_rate")["value"].drop_nulls().to_numpy()).all()
    false_positives = of_groups.filter(measure="false_positive_rate")
    assert false_positives["value"].null_count() == len(false_positives) > 0
    assert (false_positives["note"] != "").all()
    assert estimates.filter(pl.col("group").is_null(), measure="accuracy")["value"].min() > 0.7
