"""FairFace: label files, folders, the data's own split, and groups that are conjunctions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenhand.data.faces.fairface import AGES, FairFace
from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.errors import InputError

LABELS = """file,age,gender,race,service_test
train/1.jpg,20-29,Male,East Asian,True
train/2.jpg,more than 70,Female,White,False
val/1.jpg,0-2,Female,White,False
"""


def write(folder: Path, labels: str = LABELS, images: str = "") -> Path:
    """A label file and one-shade images for its rows, below `images` in the folder."""
    (folder / "some_labels.csv").write_text(labels)
    for shade, line in enumerate(labels.splitlines()[1:]):
        path = folder / images / line.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (shade, 90, 80)).save(path)
    return folder


@pytest.mark.parametrize("images", ["", "fair_face"])
def test_labels_groups_and_parts_come_from_the_label_files(tmp_path, images):
    data = FairFace().load(write(tmp_path, images=images))
    assert list(data.example) == ["train/1.jpg", "train/2.jpg", "val/1.jpg"]
    assert (data.classes, data.labels.tolist()) == (("male", "female"), [0, 1, 1])
    assert data.split is not None and data.split.tolist() == ["train", "train", "test"]
    assert data.attributes["race"].lists() == [["East Asian"], ["White"], ["White"]]
    assert data.attributes["race_age"].lists() == [["East Asian 20-29"], ["White more than 70"], ["White 0-2"]]
    assert np.asarray(data.inputs[0]).shape == (20, 20, 3)


def test_wide_age_groups_are_three(tmp_path):
    data = FairFace(ages="three").load(write(tmp_path))
    assert data.attributes["race_age"].lists() == [["East Asian 20-39"], ["White 40 and over"], ["White 0-19"]]


def test_the_age_is_predicted_in_nine_bins_over_race_and_gender(tmp_path):
    data = FairFace(target="age").load(write(tmp_path))
    assert (data.classes, data.labels.tolist()) == (AGES, [3, 8, 0])
    assert list(data.attributes) == ["race", "race_gender"]
    assert data.attributes["race_gender"].lists()[1] == ["White Female"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("East Asian", "Martian", 'says "Martian" as race; known: Black, East Asian'),
        ("20-29", "Sep-03", 'says "Sep-03" as age; known: 0-2, 3-9'),
        ("Male", "", "says nothing as gender; known: Male, Female"),
        ("file,age", "name,age", 'no column "file"'),
        ("train/2.jpg", "train/1.jpg", 'name a file that another row names, the first "train/1.jpg"'),
        ("val/1.jpg", "extra/1.jpg", "the first folder of file says .extra. in row 2"),
    ],
)
def test_what_a_label_file_cannot_say_is_refused(tmp_path, before, after, message):
    write(tmp_path, LABELS.replace(before, after))
    with pytest.raises(InputError, match=message):
        FairFace().load(tmp_path)


def test_missing_files_and_images_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no label file"):
        FairFace().load(tmp_path)
    (tmp_path / "some_labels.csv").write_text(LABELS)
    with pytest.raises(InputError, match="3 of 3 image files are missing"):
        FairFace().load(tmp_path)


def test_a_damaged_image_is_skipped_where_that_is_asked_for(tmp_path):
    write(tmp_path)
    (tmp_path / "train" / "2.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 of 3 image files cannot be read \(2.jpg\)"):
        FairFace().load(tmp_path)
    data = FairFace(unreadable="skip").load(tmp_path)
    assert list(data.example) == ["train/1.jpg", "val/1.jpg"]


def test_the_stand_in_is_read_and_split_by_its_own_parts(tmp_path):
    FairFace().write_stand_in(tmp_path)
    data = FairFace().load(tmp_path)
    assert len(data.attributes["race"].groups) == 7 and "copies are one unit" in data.notes[0]
    parts = split(data, SplitSpec(column=True), LimitSpec(), seed=0)
    assert all(str(name).startswith("val/") for name in data.example[parts.test])
    assert len(set(data.unit[parts.train]) & set(data.unit[parts.test])) == 0


def test_the_real_subset_is_balanced_over_race_gender_and_part(shared_data):
    data = FairFace().load(shared_data / "fairface")
    assert len(data) == 3850 and data.split is not None
    races = data.attributes["race"]
    for column in range(7):
        for part, each in (("train", 185), ("test", 90)):
            rows = races.masks[:, column] & (data.split == part)
            assert np.bincount(data.labels[rows]).tolist() == [each, each]
