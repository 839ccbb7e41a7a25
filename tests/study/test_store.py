"""The folder of a study: one process at a time, whole trials or none, and what may stand under one name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from evenhand import Study
from evenhand.atomic_files import write_text
from evenhand.errors import InputError
from evenhand.study.accepted_study import accepted
from evenhand.study.damaged_trials import set_damaged_aside
from evenhand.study.execution import pending
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from finished_trials import finish


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "out")


@pytest.fixture
def planned(small_study):
    return make_plan(Study(**small_study), None)


def run(store, study, **changes):
    """A run without its training."""
    planned = make_plan(Study(**{**study, **changes}), None)
    with store.lock(), accepted(store, planned):
        return finish(store, planned)


def test_a_folder_is_held_by_one_process_at_a_time(store):
    code = (
        "import sys\nfrom pathlib import Path\nfrom evenhand.study.store import Store\n"
        "with Store(Path(sys.argv[1])).lock(lambda text: print(text, flush=True)): print('held')"
    )
    with store.lock():
        other = subprocess.Popen([sys.executable, "-c", code, str(store.out)], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == f"Waiting for another process, which is writing to {store.out}\n"
        assert other.poll() is None
    assert other.communicate(timeout=60)[0] == "held\n" and other.returncode == 0


def test_what_a_killed_process_left_half_written_is_cleared(store, planned):
    with store.lock():
        finish(store, planned)
    trials = store.out / "trials"
    whole = sorted(path.name for path in trials.iterdir())
    (trials / ".abc.12" / "adapter").mkdir(parents=True)
    (trials / ".abd.0123456789ab-12").mkdir()
    (trials / whole[0] / ".12-predictions.parquet").write_text("half")
    (store.out / ".12-report.html").write_text("half")
    (store.out / ".mine").write_text("not ours")
    store.clear_leftovers()
    assert sorted(path.name for path in trials.iterdir()) == whole
    assert not list((trials / whole[0]).glob(".*"))
    assert {path.name for path in store.out.glob(".*")} == {".lock", ".mine"}
    assert pending(planned, store) == []


@pytest.mark.parametrize("content", ["{}", "[]", '{"status": "done"}', '{"status": null}', '{"stat'])
def test_a_trial_whose_facts_are_damaged_is_trained_again(store, planned, content):
    with store.lock():
        finish(store, planned)
    (store.folder(planned.distinct[0].hash) / "trial.json").write_text(content)
    assert pending(planned, store) == [planned.distinct[0]]


def test_files_of_others_in_the_folder_of_trials_block_nothing(store, planned, tmp_path):
    with store.lock():
        finish(store, planned)
    trials = store.out / "trials"
    (trials / ".DS_Store").write_text("Finder's")
    (trials / "notes.txt").write_text("mine")
    (trials / ".notes").mkdir()
    (trials / "elsewhere").symlink_to(tmp_path)
    (trials / "broken").symlink_to(tmp_path / "nowhere")
    store.clear_leftovers()
    assert pending(planned, store) == []
    assert {".DS_Store", "notes.txt", ".notes", "elsewhere", "broken"} < {path.name for path in trials.iterdir()}


def test_a_trial_replaces_a_link_under_its_name_and_not_what_it_points_to(store, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    (store.out / "trials").mkdir(parents=True)
    for target in (elsewhere, tmp_path / "nowhere"):
        store.folder("abc").symlink_to(target)
        with store.writing("abc") as folder:
            (folder / "new").write_text("new")
        assert not store.folder("abc").is_symlink()
        assert [path.name for path in store.folder("abc").iterdir()] == ["new"]
        shutil.rmtree(store.folder("abc"))
    assert (elsewhere / "kept").read_text() == "kept"


def test_a_trial_whose_replacement_never_came_is_put_back(store, planned):
    with store.lock():
        finish(store, planned)
    trial = store.folder(planned.distinct[0].hash)
    trial.rename(trial.with_name(f".{trial.name}.12.earlier"))
    (trial.with_name(f".{trial.name}.12")).mkdir()
    store.clear_leftovers()
    assert pending(planned, store) == []
    assert not list(trial.parent.glob(".*"))


def test_the_lock_is_never_written_through_a_link(store, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    store.out.mkdir(parents=True, exist_ok=True)
    (store.out / ".lock").symlink_to(precious)
    with pytest.raises(InputError, match=r"\.lock is a link"), store.lock():
        pass
    assert precious.read_text() == "precious"


def test_a_trial_that_cannot_be_written_leaves_nothing(store):
    with pytest.raises(OSError, match="No space left"), store.writing("abc") as folder:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")
    assert list((store.out / "trials").iterdir()) == []


def test_a_trial_that_is_written_again_replaces_the_earlier_one_whole(store):
    for text in ("first", "second"):
        with store.writing("abc") as folder:
            (folder / text).write_text(text)
    assert [path.name for path in (store.out / "trials").rglob("*")] == ["abc", "second"]


def test_a_path_that_can_hold_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file; it should be a folder"), Store(tmp_path / "file").lock():
        pass
    with pytest.raises(InputError, match="cannot be written to: Not a dir"), Store(tmp_path / "file" / "in").lock():
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written to: Permission denied"), Store(tmp_path / "out").lock():
        pass


@pytest.mark.parametrize("name", ["trial.json", "predictions.parquet"])
def test_a_trial_whose_files_were_cut_off_is_not_complete(store, planned, name):
    with store.lock():
        finish(store, planned)
    trial = planned.distinct[0]
    path = store.folder(trial.hash) / name
    path.write_bytes(path.read_bytes()[:40])
    assert pending(planned, store) == [trial]


def test_a_trial_is_complete_when_its_records_hold_every_split_that_is_asked_for(store, small_study):
    run(store, small_study)
    assert pending(make_plan(Study(**small_study), None), store) == []
    more = make_plan(Study(**small_study, evaluate=["synthetic/posts"]), None)
    assert pending(more, store) == list(more.distinct)


def test_a_trial_that_failed_for_good_is_complete(store, planned):
    trial = planned.distinct[0]
    with store.writing(trial.hash) as folder:
        kept = {"identity": {}, "environment": {}, "status": "failed", "reason": "the loss is no number"}
        write_text(folder / "trial.json", json.dumps(kept))
    assert trial not in pending(planned, store)


def test_a_method_that_is_removed_keeps_its_trials_and_leaves_the_report(store, small_study):
    first = run(store, small_study)
    trials = sorted((store.out / "trials").iterdir())
    methods = {"full": small_study["methods"]["full"], "head": {"kind": "head"}}
    grown = run(store, small_study, methods=methods)
    assert set(trials) < set((store.out / "trials").iterdir())
    assert set(first.trials["method"]) == {"full", "lora"} and set(grown.trials["method"]) == {"full", "head"}
    assert set(grown.verdicts["method"]) == {"head"} and set(grown.estimates["method"]) == {"full", "head"}


def test_another_split_or_limit_grows_trials_and_the_records_follow(store, small_study):
    run(store, small_study)
    results = run(store, small_study, split={"test": 0.4}, limit={"train": 50})
    assert len(list((store.out / "trials").iterdir())) == 8
    design = results.design.settings["main"]
    assert design.test_share == pytest.approx(0.4, abs=0.01)
    assert any(note.startswith("limit: 50 of ") for note in design.notes)
    assert results.trials["trial"].n_unique() == 4
    tests = results.predictions.filter(split="test").group_by("trial").len()
    assert set(tests["len"]) == {120}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": {"name": "synthetic/faces", "n": 200}, "model": "tiny-vit"}, "the task synthetic/posts, not"),
        ({"task": {"name": "synthetic/posts", "n": 400}}, "the task synthetic/posts and n: 300, not 400"),
        (
            {"task": {"name": "synthetic/posts", "n": 300, "shortcut": {"food": 0.5}}},
            "the task synthetic/posts and shortcut: {}, not {'food': 0.5}",
        ),
        ({"model": "tiny-llama"}, "the base model tiny-bert, not tiny-llama"),
    ],
)
def test_another_task_or_base_model_under_the_same_name_is_refused(store, small_study, change, sentence):
    run(store, small_study)
    before = store.study_file.read_text()
    other = make_plan(Study(**{**small_study, **change}), None)
    with pytest.raises(InputError) as caught, store.lock(), accepted(store, other):
        pass
    assert f"holds the setting main with {sentence}" in str(caught.value) and "another --out" in str(caught.value)
    assert store.study_file.read_text() == before
    elsewhere = {"settings": {"other": {**small_study, **change}}}
    elsewhere["settings"]["other"].pop("margins")
    with store.lock(), accepted(store, make_plan(Study(**elsewhere), None)):
        pass


def test_a_moved_file_and_another_attribute_are_the_same_task(store, small_study, tmp_path):
    frame = pl.DataFrame({"text": [f"text {i}" for i in range(90)], "label": [0, 1] * 45, "who": ["a", "b", "c"] * 30})
    frame = frame.with_columns(where=pl.lit("here"))
    task = {"name": "table", "path": str(tmp_path / "t.csv"), "text": "text", "label": "label", "groups": ["who"]}
    frame.write_csv(tmp_path / "t.csv")
    run(store, small_study, task=task)
    (tmp_path / "t.csv").rename(tmp_path / "u.csv")
    moved = {**task, "path": str(tmp_path / "u.csv"), "groups": ["who", "where"]}
    results = run(store, small_study, task=moved)
    assert {"attribute.who", "attribute.where"} <= set(results.examples.columns)
    assert len(list((store.out / "trials").iterdir())) == 4


def test_a_changed_margin_is_appended_and_a_repeated_one_is_not(store, small_study):
    for margin in (0.05, 0.05, 0.1):
        planned = make_plan(Study(**{**small_study, "margins": {"default": margin}}), None)
        with store.lock(), accepted(store, planned) as study:
            pass
    assert [change.margins for change in study.declared] == [{"default": 0.05}, {"default": 0.1}]
    written = Study(**yaml.safe_load(store.study_file.read_text()))
    assert written == study


@pytest.mark.parametrize("text", ["task: [", "tsak: x", "- a", "", "methods: {a: {kind: bitfit}}\ntask: x\nmodel: y"])
def test_an_earlier_study_that_cannot_be_read_any_more_is_named(store, planned, text):
    store.out.mkdir()
    store.study_file.write_text(text)
    with pytest.raises(InputError, match=r"study\.yaml is from an earlier run and no longer"), accepted(store, planned):
        pass
    assert store.study_file.read_text() == text


def test_a_study_that_turns_out_to_be_unusable_leaves_the_earlier_study_file(store, small_study):
    other = make_plan(Study(**{**small_study, "margins": {"default": 0.3}}), None)
    with pytest.raises(InputError, match="does not fit"), store.lock(), accepted(store, other):
        raise InputError("a method does not fit")
    assert not store.study_file.exists()
    run(store, small_study)
    before = store.study_file.read_bytes()
    with pytest.raises(InputError, match="does not fit"), store.lock(), accepted(store, other):
        assert store.study_file.read_bytes() != before
        raise InputError("a method does not fit")
    assert store.study_file.read_bytes() == before


def test_the_study_file_holds_no_path_that_the_study_did_not_give(store, planned):
    with store.lock(), accepted(store, planned):
        assert str(store.out) not in store.study_file.read_text() and ": /" not in store.study_file.read_text()


def test_settings_that_share_trials_keep_them_once_and_report_them_twice(store, small_study):
    others = {"name": "synthetic/posts", "n": 60, "seed": 9}
    results = run(store, small_study, settings={"a": {"evaluate": {"others": others}}, "b": {}})
    assert len(list((store.out / "trials").iterdir())) == 4 and len(results.trials) == 8
    assert set(results.estimates.filter(setting="a")["split"]) == {"test", "others"}
    assert set(results.estimates.filter(setting="b")["split"]) == {"test"}
    same = [results.estimates.filter(setting=name, split="test").drop("setting") for name in "ab"]
    assert same[0].equals(same[1])


def test_settings_of_different_numbers_of_classes_are_gathered_into_one_table(store, small_study, tmp_path):
    frame = pl.DataFrame({"text": [f"text {i}" for i in range(90)], "label": [0, 1, 2] * 30, "who": ["a", "b"] * 45})
    frame.write_csv(tmp_path / "t.csv")
    task = {"name": "table", "path": str(tmp_path / "t.csv"), "text": "text", "label": "label", "groups": ["who"]}
    results = run(store, small_study, settings={"two": {}, "three": {"task": task}})
    logits = results.predictions.join(results.trials.select("setting", "trial"), on="trial")
    wide = {name: logits.filter(setting=name)["logits"].to_numpy() for name in ("two", "three")}
    assert wide["two"].shape[1] == wide["three"].shape[1] == 3
    assert np.isneginf(wide["two"][:, 2]).all() and np.isfinite(wide["three"]).all()


def test_what_is_trained_together_is_remembered_by_what_it_shares(store):
    assert store.chosen("replicas") == {}
    store.keep_chosen("replicas", "one", 4)
    store.keep_chosen("replicas", "other", 1)
    assert Store(store.out).chosen("replicas") == {"one": 4, "other": 1}
    (store.out / "replicas.json").write_text('{"one": ')
    assert store.chosen("replicas") == {}, "a file that a power failure cut off holds nothing"


def flip(path: Path) -> None:
    """Flip bits in the middle of a file."""
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 4, len(content) // 2):
        content[place] ^= 0xFF
    path.write_bytes(content)


def test_a_trial_that_cannot_be_read_is_refused_and_set_aside_on_request(store, planned):
    with store.lock():
        finish(store, planned)
    trial = planned.distinct[0]
    flip(store.folder(trial.hash) / "predictions.parquet")
    assert store.complete(trial), "its footer is whole"
    with pytest.raises(InputError) as refused:
        set_damaged_aside(planned.distinct, store, repair=False)
    assert str(store.folder(trial.hash)) in str(refused.value) and "--repair" in str(refused.value)
    for turn in ("", "-2"):
        (said,) = set_damaged_aside(planned.distinct, store, repair=True)
        assert "set aside" in said
        assert (store.out / "damaged" / f"{trial.hash}{turn}" / "predictions.parquet").is_file()
        assert pending(planned, store) == [trial]
        with store.lock():
            finish(store, planned)
        assert set_damaged_aside(planned.distinct, store, repair=False) == []
        flip(store.folder(trial.hash) / "predictions.parquet")
