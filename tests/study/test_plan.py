"""From a study to its trials: identity, what settings share, and what the report is told of the data."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from evenhand import Study
from evenhand.data.dataset import Dataset
from evenhand.data.images import LazyImages
from evenhand.errors import InputError
from evenhand.study.loaded_dataset import LoadedDataset, input_keys
from evenhand.study.plan import make_plan


def planned(study: dict, **changes):
    return make_plan(Study(**{**study, **changes}), None)


def hashes(study: dict, **changes) -> set[str]:
    return {trial.hash for trial in planned(study, **changes).trials}


@pytest.fixture
def table(tmp_path, small_study):
    """A study of a CSV file whose texts come in pairs, with a split of its own in which one pair is torn."""
    path = tmp_path / "t.csv"
    rows = [(f"text {row // 2}", row // 2 % 2, "abc"[row % 3], row // 2, "train") for row in range(120)]
    frame = pl.DataFrame(rows, schema=["text", "label", "who", "pair", "part"], orient="row")
    parts = ["test" if row % 10 in (2, 3, 4) else "train" for row in range(120)]
    frame.with_columns(part=pl.Series(parts)).write_csv(path)
    task = {"name": "table", "path": str(path), "text": "text", "label": "label", "groups": ["who"], "unit": "pair"}
    return {**small_study, "task": task}


@pytest.mark.parametrize(
    "change",
    [
        {"evaluate": ["synthetic/posts"]},
        {"limit": {"test": 20}},
        {"measures": ["accuracy"]},
        {"margins": {"default": 0.5}},
        {"reference": "lora"},
        {"against": "food", "comparison": "gap"},
        {"keep": "none"},
        {"train": {"replicas": 4}},
        {"methods": {"mine": {"kind": "lora", "rank": 4, "alpha": 8, "lr": 5e-3, "epochs": 1}}, "reference": "mine"},
        {"seeds": [1]},
    ],
)
def test_what_is_evaluated_afterwards_and_names_are_no_part_of_a_trial(small_study, change):
    assert hashes(small_study, **change) <= hashes(small_study)


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [5, 6]},
        {"limit": 100},
        {"split": {"test": 0.3}},
        {"split": {"validation": 0.2}},
        {"split": {"vary": False, "seed": 8}},
        {"data": {"noise": {"topic=food": 0.5}}},
        {"train": {"warmup": 0.2}},
        {"task": {"name": "synthetic/posts", "n": 300, "seed": 1}},
    ],
)
def test_what_training_depends_on_is_all_of_a_trials_identity(small_study, change):
    assert not hashes(small_study, **change) & hashes(small_study)


def test_data_of_one_method_alters_its_own_trials_only(small_study):
    noised = {
        **small_study["methods"],
        "full": {**small_study["methods"]["full"], "data": {"noise": {"topic=food": 1}}},
    }
    before, after = planned(small_study), planned(small_study, methods=noised)
    same = [one.hash == other.hash for one, other in zip(before.trials, after.trials, strict=True)]
    assert same == [trial.method == "lora" for trial in before.trials]


def test_options_that_alter_nothing_are_no_part_of_a_trial(small_study):
    assert hashes(small_study, data={"noise": {}}) == hashes(small_study)


def test_the_same_training_under_two_names_is_one_trial(small_study):
    twice = {"methods": {**small_study["methods"], "again": small_study["methods"]["lora"]}}
    found = planned(small_study, **twice)
    assert (len(found.trials), len(found.distinct)) == (6, 4)


def test_settings_that_share_a_trial_have_it_tested_for_both(small_study):
    others = {"name": "synthetic/posts", "n": 60, "seed": 9}
    settings = {"a": {"evaluate": {"ours": others}, "keep": "weights"}, "b": {"evaluate": {"theirs": others}}}
    found = planned(small_study, settings=settings)
    assert (len(found.trials), len(found.distinct)) == (8, 4)
    for trial in found.distinct:
        assert set(trial.evaluations) == {"validation", "test", "ours", "theirs"} == set(trial.fingerprints)
        assert trial.keep == "weights"
    assert found.settings["a"].dataset is found.settings["b"].dataset, "settings load a data set once"


@pytest.mark.parametrize(
    ("here", "there", "split"),
    [
        ({"limit": {"test": 20}}, {}, "test"),
        (
            {"evaluate": {"others": {"name": "synthetic/posts", "n": 60, "seed": 9}}},
            {"evaluate": {"others": {"name": "synthetic/posts", "n": 60, "seed": 8}}},
            "others",
        ),
    ],
)
def test_settings_that_share_a_trial_but_not_its_test_examples_are_refused(small_study, here, there, split):
    with pytest.raises(InputError, match=f"settings a and b share .* but their {split} examples differ"):
        planned(small_study, settings={"a": here, "b": there})


def test_a_label_names_the_setting_where_there_are_several(small_study):
    assert planned(small_study).trials[0].label == "full · seed 0"
    assert planned(small_study, settings={"posts": {}}).trials[0].label == "posts · full · seed 0"


def test_what_a_limit_leaves_out_is_noted_once(small_study):
    notes = planned(small_study, limit={"train": 100, "test": 40}).design("").settings["main"].notes
    limits = [note for note in notes if note.startswith("limit:")]
    assert len(limits) == 2
    assert limits[0].startswith("limit: 100 of ") and limits[1].startswith("limit: 40 of ")


def test_what_the_datas_own_split_leaves_out_of_training_is_noted(table):
    found = planned(table, split={"column": "part"})
    notes = found.design("").settings["main"].notes
    assert [note for note in notes if note.startswith("left out of train:")] == [
        "left out of train: 12 whose unit is also in test or validation"
    ]
    assert not found.design("").settings["main"].vary


def test_notes_that_differ_by_seed_are_said_of_the_first_one(table):
    notes = planned(table, limit={"train": 31}, seeds=9).design("").settings["main"].notes
    limits = [note for note in notes if note.startswith("limit:")]
    assert len(limits) == 1


def test_notes_of_an_extra_test_set_name_it(small_study):
    planted = {"name": "synthetic/posts", "n": 60, "noise": {"food": 0.5}}
    notes = planned(small_study, evaluate={"noisy": planted}).design("").settings["main"].notes
    assert [note for note in notes if note.startswith("noisy: planted")]


def test_a_fixed_split_is_drawn_once_for_all_seeds(small_study):
    samples = planned(small_study, split={"vary": False}, seeds=3).settings["main"].samples
    assert len(samples) == 3 and len({id(sample) for sample in samples.values()}) == 1


def test_examples_of_settings_and_test_sets_stand_in_one_table(small_study):
    settings = {"posts": {"evaluate": ["synthetic/posts"]}, "faces": {"task": "synthetic/faces", "model": "tiny-vit"}}
    examples = planned(small_study, settings=settings).examples()
    sizes = dict(examples.group_by("setting").len().iter_rows())
    assert sizes == {"posts": 300 + 2400, "faces": 2400}
    assert {"attribute.topic", "attribute.shape"} <= set(examples.columns)


def test_a_test_set_of_other_classes_is_refused(small_study):
    with pytest.raises(
        InputError, match="the test set synthetic/faces has the classes frowning, smiling, the task has"
    ):
        planned(small_study, evaluate=["synthetic/faces"])


def test_a_model_that_reads_something_else_is_refused(small_study):
    with pytest.raises(InputError, match="tiny-vit reads images, but the task synthetic/posts has texts"):
        planned(small_study, model="tiny-vit")


def test_a_data_folder_that_is_none_is_refused(small_study, tmp_path):
    with pytest.raises(InputError, match="none is not a folder; it should hold one folder per data set"):
        make_plan(Study(**small_study), tmp_path / "none")


def test_an_image_that_is_a_file_is_read_once_for_all_hashes(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "face.png")
    read: list[int] = []

    def source(position: int) -> Path:
        read.append(position)
        return tmp_path / "face.png"

    labels, ids = np.arange(40) % 2, np.array([str(number) for number in range(40)], dtype=object)
    loaded = LoadedDataset(Dataset("faces", "image", LazyImages(source, 40), labels, ("no", "yes"), ids))
    for start in range(5):
        loaded.contents(np.arange(start, 30 + start))
        loaded.fingerprint(np.arange(30 + start, 40))
    assert sorted(read) == list(range(40))


def test_a_text_stands_for_itself_and_an_image_for_its_bytes():
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    assert input_keys(["a", "b"]) == ["a", "b"]
    assert input_keys([image]) == input_keys([image.copy()]) != input_keys([image.reshape(3, 2, 3)])


def test_five_seeds_of_four_methods_on_twenty_thousand_texts_are_planned_in_about_a_second(small_study, tmp_path):
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(2000)])
    texts = [" ".join(row) for row in words[rng.integers(0, 2000, (20_000, 25))]]
    frame = pl.DataFrame({"text": texts, "label": rng.integers(0, 2, 20_000), "who": rng.choice(list("abcd"), 20_000)})
    frame.write_csv(tmp_path / "t.csv")
    task = {"name": "table", "path": str(tmp_path / "t.csv"), "text": "text", "label": "label", "groups": ["who"]}
    methods = {f"lora {rank}": {"kind": "lora", "rank": rank} for rank in (1, 2, 4, 8)}
    study = Study(task=task, model="tiny-bert", methods=methods, reference="lora 1")
    began = time.perf_counter()
    found = make_plan(study, None)
    assert len(found.distinct) == 20
    # Half a second on two busy cores; what is hashed again for every method takes three times as long.
    assert time.perf_counter() - began < 4


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"delta": 1 / 216}, r"^methods\.private: dp_lora: delta .* choose one below 1/216, or leave it out$"),
        (
            {"epsilon": 1e-3, "delta": 1e-5},
            r"^methods\.private: epsilon 0\.001 with delta 1e-05 cannot be guaranteed with any",
        ),
    ],
)
def test_a_budget_that_the_training_examples_cannot_keep_is_refused(small_study, values, sentence):
    methods = {**small_study["methods"], "private": {"kind": "dp_lora", **values}}
    with pytest.raises(InputError, match=sentence):
        planned(small_study, methods=methods)
    assert planned(small_study, methods={**methods, "private": {"kind": "dp_lora", "delta": 1 / 217}})


def test_a_budget_that_only_a_candidate_asks_for_is_refused_too(small_study):
    methods = {**small_study["methods"], "private": {"kind": "dp_lora"}}
    with pytest.raises(InputError, match=r"^methods\.private \(delta 0\.1\): dp_lora: delta 0\.1 would let a whole"):
        planned(small_study, methods=methods, tuning={"grid": {"private": {"delta": [1e-3, 0.1]}}})


def test_a_further_test_set_that_models_learn_from_is_named(small_study):
    """The same posts again: those of the training and the validation part are no new ones."""
    task = small_study["task"]
    of = planned(small_study, evaluate={"again": task}).settings["main"]
    sample = next(iter(of.samples.values()))
    learned = len(sample.parts.train) + len(sample.parts.validation)
    (warning,) = of.design().warnings
    ending = "of the test set again are among those that models are trained or tuned on: it does not show how they do"
    assert ending in warning
    assert int(warning.partition(" of the ")[0].replace(",", "")) >= learned
    others = planned(small_study, evaluate={"others": {"name": "synthetic/posts", "n": 60, "seed": 9}})
    assert "test set again" not in "".join(others.settings["main"].design().warnings)
