"""Claims about IMDB."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from evenhand import Study
from evenhand.data.imdb import Imdb
from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.errors import InputError
from evenhand.study.tiny import shrink


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two reviews of each part and label in the published layout, one text in both parts."""
    for part in ("train", "test"):
        for label, word in (("pos", "good"), ("neg", "bad")):
            (tmp_path / part / label).mkdir(parents=True)
            for number, text in enumerate((f"{word}", f"{word} {part}")):
                (tmp_path / part / label / f"{number}_{7 if label == 'pos' else 2}.txt").write_text(text)
    (tmp_path / "train" / "unsup").mkdir()
    (tmp_path / "train" / "unsup" / "0_0.txt").write_text("neither")
    return tmp_path


def test_parts_labels_and_ids_are_those_of_the_folders(folder):
    data = Imdb().load(folder)
    assert len(data) == 8 and data.classes == ("negative", "positive") and not data.attributes
    assert data.example[0] == "train/neg/0_2" and data.example[-1] == "test/pos/1_7"
    assert [str(name).split("/")[1] == "pos" for name in data.example] == data.labels.astype(bool).tolist()
    assert [str(name).split("/")[0] for name in data.example] == data.split.tolist()


def test_copies_of_a_review_are_one_unit_and_the_own_split_tests_it_only(folder):
    data = Imdb().load(folder)
    assert len(set(data.unit)) == 6 and data.notes == ("texts that repeat another row's: 2; copies are one unit",)
    parts = split(data, SplitSpec(column=True, validation=0), LimitSpec(), 0)
    assert len(parts.test) == 4 and len(parts.train) == 2


@pytest.mark.parametrize("labels", [("neg", "pos"), (0, 1)])
def test_a_table_is_read_as_well_without_its_unlabelled_reviews(tmp_path, labels):
    rows = [
        {"text": f"{part} {label}", "label": label, "split": part} for part in ("train", "test") for label in labels
    ]
    rows.append({"text": "neither", "label": -1 if labels[0] == 0 else None, "split": "unsupervised"})
    pl.DataFrame(rows).write_parquet(tmp_path / "reviews.parquet")
    data = Imdb().load(tmp_path)
    assert data.labels.tolist() == [0, 1, 0, 1] and data.split.tolist() == ["train", "train", "test", "test"]
    assert (
        data.example.tolist() == ["0", "1", "2", "3"]
        and data.notes[0] == "reviews without a label, or of other parts, that are left out: 1"
    )


def test_a_folder_of_the_hub_keeps_its_splits_and_the_names_of_its_labels(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    kinds = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    parts = {
        part: datasets.Dataset.from_dict({"text": [f"{part} a", f"{part} b"], "label": label}, features=kinds)
        for part, label in (("train", [0, 1]), ("test", [1, 0]), ("unsupervised", [-1, -1]))
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "imdb")
    data = Imdb().load(tmp_path / "imdb")
    assert data.labels.tolist() == [0, 1, 1, 0] and data.split.tolist() == ["train", "train", "test", "test"]
    assert data.notes[0].endswith("left out: 2")


def test_a_folder_without_reviews_or_a_file_that_is_no_text_is_named(folder):
    (folder / "test" / "pos" / "0_7.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=r"0_7\.txt is not UTF-8 text"):
        Imdb().load(folder)
    for file in (folder / "test" / "pos").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="test/pos holds no reviews"):
        Imdb().load(folder)


def test_a_table_without_a_part_or_a_column_is_refused(tmp_path):
    pl.DataFrame({"text": ["a", "b"], "label": [0, 1], "split": ["train", "train"]}).write_csv(tmp_path / "r.csv")
    with pytest.raises(InputError, match="and the splits train and test; it lacks some"):
        Imdb().load(tmp_path)
    pl.DataFrame({"text": ["a", "b"], "label": [0, 1]}).write_csv(tmp_path / "r.csv")
    with pytest.raises(InputError, match='no column "split"; it should have text, label, split'):
        Imdb().load(tmp_path)


@pytest.mark.usefixtures("unreported")
def test_the_stand_in_has_the_published_layout_and_a_study_without_groups_runs_on_it(tmp_path):
    methods = {"full": {"kind": "full", "lr": 1e-3}, "head": {"kind": "head", "lr": 3e-2}}
    study = Study(
        task="imdb",
        model="tiny-bert",
        methods=methods,
        reference="full",
        seeds=1,
        split={"column": True},
        margins={"default": 0.1},
    )
    small, data, _ = shrink(study, tmp_path / "data")
    assert sorted(path.name for path in (tmp_path / "data" / "imdb" / "train").iterdir()) == ["neg", "pos", "unsup"]
    results = small.run(tmp_path / "out", data)
    accuracy = results.estimates.filter(measure="accuracy", method="full", split="test")
    assert accuracy["group"].null_count() == len(accuracy) > 0 and accuracy["value"].min() > 0.75
    assert not results.verdicts.is_empty()
    assert any("copies are one unit" in note for note in results.design.settings["main"].notes)
