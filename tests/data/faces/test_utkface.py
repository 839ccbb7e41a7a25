"""UTK-Face: what file names say, what is left out, and what copies do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenhand.data.faces.utkface import AGES, UTKFace
from evenhand.errors import InputError


def photograph(folder: Path, name: str, shade: int = 100) -> Path:
    """An image file of one shade under a name."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), (shade, 90, 80)).save(folder / name, format="JPEG")
    return folder / name


@pytest.fixture
def folder(tmp_path):
    """Four people, one of them in a folder of its own."""
    photograph(tmp_path, "26_1_3_20170116170000001.jpg.chip.jpg", 30)
    photograph(tmp_path, "10_0_0_20170116170000002.jpg.chip.jpg", 60)
    photograph(tmp_path, "11_1_1_20170116170000003.jpg.chip.jpg", 90)
    photograph(tmp_path / "part2", "116_0_4_20170116170000004.jpg.chip.jpg", 120)
    return tmp_path


def test_file_names_say_gender_and_race(folder):
    data = UTKFace().load(folder)
    assert list(data.example) == [
        "10_0_0_20170116170000002.jpg.chip.jpg",
        "11_1_1_20170116170000003.jpg.chip.jpg",
        "26_1_3_20170116170000001.jpg.chip.jpg",
        "part2/116_0_4_20170116170000004.jpg.chip.jpg",
    ]
    assert data.classes == ("male", "female")
    assert data.labels.tolist() == [0, 1, 1, 0]
    assert data.attributes["race"].lists() == [["White"], ["Black"], ["Indian"], ["Others"]]
    assert [int(np.asarray(image)[0, 0, 0]) for image in data.inputs] == pytest.approx([60, 90, 30, 120], abs=2)
    assert data.notes == ()


@pytest.mark.parametrize(
    ("age", "bin"), [(1, 0), (10, 0), (11, 1), (20, 1), (21, 2), (70, 6), (71, 7), (80, 7), (81, 8), (116, 8)]
)
def test_age_bins_are_open_below_and_closed_above(tmp_path, age, bin):
    photograph(tmp_path, f"{age}_0_0_20170116170000001.jpg.chip.jpg")
    data = UTKFace(target="age").load(tmp_path)
    assert (data.labels.tolist(), data.classes) == ([bin], AGES)
    assert (len(AGES), AGES[0], AGES[7], AGES[8]) == (9, "1-10", "71-80", "81 and over")


def test_names_that_lack_a_field_are_left_out_and_counted(folder):
    photograph(folder, "61_1_20170109142408075.jpg.chip.jpg")
    photograph(folder, "53__0_20170116184028385.jpg.chip.jpg")
    photograph(folder, "portrait.jpg")
    data = UTKFace().load(folder)
    assert len(data) == 4
    (note,) = data.notes
    assert note.startswith("3 of 7 file names lack one of age, gender, race, timestamp (53__0_")


def test_a_blank_or_a_missing_dot_after_the_timestamp_is_no_matter(tmp_path):
    photograph(tmp_path, "24_0_1_20170116220224657 .jpg.chip.jpg")
    photograph(tmp_path, "55_0_0_20170116232725357jpg.chip.jpg")
    assert len(UTKFace().load(tmp_path)) == 2


def test_suffixes_in_capital_letters_and_other_images_are_read(folder):
    before = len(UTKFace().load(folder))
    for shade, suffix in enumerate(("JPG", "jpeg", "Png")):
        photograph(folder, f"30_1_4_2017010100000000{shade}.{suffix}", 10 + 5 * shade)
    assert len(UTKFace().load(folder)) == before + 3


def test_copies_are_one_unit_and_contradictions_are_counted_or_dropped(folder):
    original = folder / "26_1_3_20170116170000001.jpg.chip.jpg"
    (folder / "26_1_3_20170116170000009.jpg.chip.jpg").write_bytes(original.read_bytes())
    agreeing = UTKFace().load(folder)
    assert len(agreeing) == 5 and len(set(agreeing.unit)) == 4
    assert agreeing.unit[3] == agreeing.unit[2] == original.name
    assert agreeing.notes == (
        "2 files are copies of one another, byte for byte (1 different images): copies are one unit",
    )
    (folder / "26_0_3_20170116170000009.jpg.chip.jpg").write_bytes(original.read_bytes())
    kept = UTKFace().load(folder)
    assert len(kept) == 6 and "3 copies contradict each other in their labels" in kept.notes[1]
    dropped = UTKFace(conflicting="drop").load(folder)
    assert len(dropped) == 3 and dropped.notes[1].endswith("they are left out")


def test_a_damaged_image_is_refused_by_name_or_skipped_and_counted(folder):
    whole = photograph(folder, "30_1_2_20170116170000007.jpg.chip.jpg")
    whole.write_bytes(whole.read_bytes()[:-200])
    (folder / "31_1_2_20170116170000007.jpg.chip.jpg").write_text("no image")
    with pytest.raises(InputError, match=r"2 of 6 image files cannot be read \(30_1_2_.*31_1_2_.*unreadable: skip"):
        UTKFace().load(folder)
    data = UTKFace(unreadable="skip").load(folder)
    assert len(data) == 4
    assert data.notes[0].startswith("2 of 6 image files cannot be read (30_1_2_")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("30_1_5_20170116170000007.jpg.chip.jpg", "race code 5; known: 0 White, 1 Black, 2 Asian, 3 Indian, 4 Others"),
        ("30_3_2_20170116170000007.jpg.chip.jpg", "gender code 3; known: 0 male, 1 female"),
        ("0_1_2_20170116170000007.jpg.chip.jpg", "the age 0; ages go from 1 to 200"),
        ("201_1_2_20170116170000007.jpg.chip.jpg", "the age 201; ages go from 1 to 200"),
    ],
)
def test_a_code_that_no_name_can_have_is_refused(folder, name, message):
    photograph(folder, name)
    with pytest.raises(InputError, match=message):
        UTKFace().load(folder)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no images; it should hold AGE_GENDER_RACE_TIMESTAMP"):
        UTKFace().load(tmp_path)
    photograph(tmp_path, "portrait.jpg")
    with pytest.raises(InputError, match=r"none of the 1 images in .* is named AGE_GENDER_RACE_TIMESTAMP"):
        UTKFace().load(tmp_path)
    with pytest.raises(InputError, match="--data DIR must name a folder that holds utkface/"):
        UTKFace().load(tmp_path / "nowhere")


@pytest.mark.parametrize("target", ["gender", "age"])
def test_the_stand_in_has_the_oddities_of_the_real_folder(tmp_path, target):
    spec = UTKFace(target=target)
    spec.write_stand_in(tmp_path)
    data = spec.load(tmp_path)
    assert len(data.attributes["race"].groups) == 5 and len(set(data.labels.tolist())) == len(data.classes)
    assert len(set(data.unit)) < len(data)
    for said in ("file names lack one of", "copies of one another", "contradict each other"):
        assert any(said in note for note in data.notes)
