"""Claims about reviews: of any origin, and made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.hub import serving
from evenhand.data.reviews import GENDERED, Reviews
from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.data.synthetic_reviews import SHOWN, SyntheticReviews
from evenhand.errors import InputError


def folder_of(place: Path, text: str) -> Path:
    folder = place / "reviews"
    folder.mkdir()
    (folder / "mine.txt").write_text(text, encoding="utf-8")
    return folder


# Files


def test_a_text_file_has_a_review_a_line_and_says_what_is_left_out(tmp_path):
    lines = ["Good soup.", "", "Her soup.", "Good soup.", " He’s rude, she is not. ", "Theme: there, shed, human"]
    data = Reviews().load(folder_of(tmp_path, "\n".join(lines) + "\n"))
    assert list(data.inputs) == ["Good soup.", "Good soup.", "Theme: there, shed, human"]
    assert data.example.tolist() == ["0", "3", "5"] and data.unit.tolist() == ["0", "0", "5"]
    assert data.labels.tolist() == [0, 0, 1] and data.classes == ("short", "long") and not data.attributes
    assert data.notes == (
        "reviews without text that are left out: 1",
        "reviews with a gendered word that are left out: 2 of 5 (most often he 1, her 1, she 1)",
        "texts that repeat another row's: 1; copies are one unit",
    )


def test_gendered_reviews_can_be_kept_and_are_counted_all_the_same(tmp_path):
    data = Reviews(gendered="keep").load(folder_of(tmp_path, "My WIFE liked it.\nI did."))
    assert len(data) == 2
    assert data.notes == ("reviews with a gendered word that are kept: 1 of 2 (most often wife 1)",)


def test_further_words_are_left_out_too_and_as_whole_words_only(tmp_path):
    data = Reviews(words=("Beard",)).load(folder_of(tmp_path, "His soup.\nMy beard!\nBearded.\n"))
    assert list(data.inputs) == ["Bearded."]
    with pytest.raises(InputError, match='words: "two words" is not one word'):
        Reviews(words=("two words",))


@pytest.mark.parametrize("word", ["ma'am", "she", "Mr", "fiancee"])
def test_words_are_found_beside_punctuation_and_in_capitals(tmp_path, word):
    assert word.lower() in GENDERED
    text = f"So, {word}.\n({word.upper()})\n{word}x\nx{word}\n{word.replace(chr(39), '’')}\n"
    assert list(Reviews().load(folder_of(tmp_path, text)).inputs) == [f"{word}x", f"x{word}"]


def test_a_table_and_a_folder_of_the_hub_are_read_as_well(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    pl.DataFrame({"body": ["Good.", None, "Bad."]}).write_csv(tmp_path / "table.csv")
    data = Reviews(path="table.csv", column="body").load(tmp_path)
    assert list(data.inputs) == ["Good.", "Bad."] and data.notes == ("reviews without text that are left out: 1",)
    datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["Good."]})}).save_to_disk(tmp_path / "hub")
    assert list(Reviews().load(tmp_path / "hub").inputs) == ["Good."]


def test_a_table_may_say_to_which_group_an_author_belongs(tmp_path):
    rows = {"text": ["Good.", None, "Her soup.", "Bad."], "binary_label": ["M", "F", "F", None]}
    pl.DataFrame(rows).write_csv(tmp_path / "table.csv")
    data = Reviews(path="table.csv", groups=("author=binary_label",)).load(tmp_path)
    assert list(data.inputs) == ["Good.", "Bad."]
    assert data.group_mask("author", "M").tolist() == [True, False]
    assert data.group_mask("author", "(missing)").tolist() == [False, True]
    with pytest.raises(InputError, match='has no column "gender" for groups:'):
        Reviews(path="table.csv", groups=("gender",)).load(tmp_path)
    with pytest.raises(InputError, match=r"mine.txt holds texts only"):
        Reviews(groups=("gender",)).load(folder_of(tmp_path, "Good."))
    assert "groups" not in Reviews().model_dump()  # so that studies of before it existed are the same ones


def test_a_text_may_stand_behind_the_reviews_that_are_learned(tmp_path):
    data = Reviews().load(folder_of(tmp_path, "Good.\nBad.\nCold.\nHot.\n"))
    rows = np.array([3, 0, 1, 2])
    one = Reviews().training_examples(data, rows, {"behind": " Select One: A"}, 0).inputs
    assert list(one) == [f"{data.inputs[row]} Select One: A" for row in rows]
    several = Reviews().training_examples(data, rows, {"behind": [" A", " B"]}, 0).inputs
    assert sorted(text[-2:] for text in several) == [" A", " A", " B", " B"]
    for wrong in ("", [], [""], 3):
        with pytest.raises(InputError, match="data: behind is a text or a list of texts"):
            Reviews().training_examples(data, rows, {"behind": wrong}, 0)
    with pytest.raises(InputError, match=r'has no option "behnd"; did you mean "?behind'):
        Reviews().training_examples(data, rows, {"behnd": " A"}, 0)


LOAD = """
import json
from evenhand.data.reviews import Reviews
from evenhand.errors import InputError
try:
    data = Reviews(groups=("author=binary_label",)).load(None)
except InputError as error:
    print(json.dumps({"refused": str(error)}))
else:
    print(json.dumps({"texts": list(data.inputs), "authors": list(data.attributes["author"].groups)}))
"""


def from_hub(folder: Path, converted: Path | None, home: Path) -> dict:
    """What a process of its own finds on a hub on this machine: the library reads once where its hub is."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    with serving("facebook/md_gender_bias", folder, converted) as url:
        environment = {**kept, "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        process = subprocess.run(
            [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_of_a_data_set_that_a_script_makes_the_hubs_copy_is_read(tmp_path):
    """As `facebook/md_gender_bias` is: a script, and with it nothing that a library of today reads."""
    pytest.importorskip("datasets")
    hub, copy = tmp_path / "hub", tmp_path / "copy"
    hub.mkdir()
    (hub / "md_gender_bias.py").write_text("raise AssertionError('never run')\n")
    for subset, texts in (("yelp_inferred", ["Good.", "Her soup.", "Bad."]), ("wizard", ["A wizard."])):
        for part, rows in (("train", texts), ("test", ["Late."])):
            (copy / subset / part).mkdir(parents=True)
            labels = ["M", "F", "F"][: len(rows)]
            frame = pl.DataFrame({"text": rows, "binary_label": labels})
            frame.write_parquet(copy / subset / part / "0000.parquet")
    found = from_hub(hub, copy, tmp_path / "home")
    assert sorted(found["texts"]) == ["Bad.", "Good.", "Late."] and found["authors"] == ["F", "M"]


def test_without_a_copy_it_is_said_what_to_give_instead(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "md_gender_bias.py").write_text("raise AssertionError('never run')\n")
    refused = from_hub(tmp_path / "hub", None, tmp_path / "home")["refused"]
    assert refused == (
        'reviews: "hub:facebook/md_gender_bias" is made by a script, which the library datasets no longer runs, and '
        "the hub has no Parquet copy of it (yelp_inferred in its branch refs/convert/parquet); give its rows as a "
        "file: path: a CSV, Parquet or JSONL table"
    )
    with pytest.raises(InputError, match="is made by a script"):
        folder = tmp_path / "md_gender_bias"
        (tmp_path / "hub").rename(folder)
        Reviews(path=str(folder)).load(None)


def test_bad_corpora_are_refused_in_a_sentence(tmp_path):
    folder = folder_of(tmp_path, "\n \n")
    with pytest.raises(InputError, match=r"mine.txt has no review; at least one is needed"):
        Reviews().load(folder)
    (folder / "mine.txt").write_text("She said no.")
    with pytest.raises(InputError, match="has no review without a gendered word"):
        Reviews().load(folder)
    (folder / "mine.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        Reviews().load(folder)
    with pytest.raises(InputError, match=r"none.txt is missing"):
        Reviews(path="none.txt").load(folder)
    with pytest.raises(InputError, match="--data DIR must name a folder"):
        Reviews(path="none.txt").load(None)
    pl.DataFrame({"text": [1]}).write_csv(folder / "numbers.csv")
    with pytest.raises(InputError, match="holds 2 files; give it one"):
        Reviews().load(folder)
    with pytest.raises(InputError, match=r"the column text of numbers.csv holds no texts"):
        Reviews(path="numbers.csv").load(folder)
    with pytest.raises(InputError, match=r'numbers.csv has no column "body"'):
        Reviews(path="numbers.csv", column="body").load(folder)


def test_the_stand_in_is_read_by_the_real_loader(tmp_path):
    Reviews().write_stand_in(tmp_path / "reviews")
    data = Reviews().load(tmp_path / "reviews")
    assert len(data) == 147 and len(set(data.unit)) == 146
    assert (
        data.notes[1]
        == "reviews with a gendered word that are left out: 2 of 149 (most often husband 1, she 1, waiter 1)"
    )
    parts = split(data, SplitSpec(test=0.2, validation=0.1), LimitSpec(), 0)
    assert len(parts.test) and not set(data.unit[parts.train]) & set(data.unit[parts.test])


# Made up


def test_no_made_up_review_shows_a_gender_unless_it_is_asked_to(tmp_path):
    data = SyntheticReviews(n=400).load()
    again = Reviews().load(folder_of(tmp_path, "\n".join(data.inputs)))
    assert len(again) == 400 and not any("gendered" in note for note in again.notes)
    assert data.notes == ("planted: 0% of the reviews show their author's gender",)


def test_a_share_of_reviews_shows_the_gender_of_its_author_and_no_other():
    data = SyntheticReviews(n=400, shows=0.3, women=0.25).load()
    male, female = (data.group_mask("author", group) for group in ("male", "female"))
    assert female.sum() == 100 and (male ^ female).all()
    shown = np.array([[any(kind[place] in text for kind in SHOWN) for place in (0, 1, 2)] for text in data.inputs])
    assert (shown.sum(axis=1) == 1).all() and (~shown[:, 2]).sum() == 120
    assert not shown[male, 1].any() and not shown[female, 0].any()


def test_what_shows_differs_between_shares_and_nothing_else_does():
    less, more = (SyntheticReviews(n=100, shows=share).load().inputs for share in (0.2, 0.6))
    differing = [(one, other) for one, other in zip(less, more, strict=True) if one != other]
    assert len(differing) == 40
    for one, other in differing:
        (kind,) = [kind for kind in SHOWN if kind[2] in one]
        assert other in (one.replace(kind[2], kind[0]), one.replace(kind[2], kind[1]))


def test_made_up_reviews_are_the_same_bytes_again_and_others_with_another_seed():
    assert list(SyntheticReviews(n=50).load().inputs) == list(SyntheticReviews(n=50).load().inputs)
    assert list(SyntheticReviews(n=50).load().inputs) != list(SyntheticReviews(n=50, seed=1).load().inputs)


def test_what_the_learned_reviews_show_is_an_option_of_a_method_and_what_is_asked_about_stays():
    spec = SyntheticReviews(n=200)
    data = spec.load()
    rows = np.arange(20, 180)
    learned = spec.training_examples(data, rows, {"shows": 0.5, "women": 0.9}, 0).inputs
    whole = SyntheticReviews(n=200, shows=0.5, women=0.9).load()
    assert list(learned) == [whole.inputs[row] for row in rows]
    assert list(data.inputs) == list(spec.load().inputs)
    assert list(spec.training_examples(data, rows, {}, 0).inputs) == [data.inputs[row] for row in rows]
    assert spec.training_examples(data, rows, {"shows": 1, "behind": " A"}, 0).inputs[0].endswith(". A")
    with pytest.raises(InputError, match=r"data\.women"):
        spec.training_examples(data, rows, {"women": 2}, 0)
    with pytest.raises(InputError, match='has no option "part"'):
        spec.training_examples(data, rows, {"part": "pro"}, 0)
