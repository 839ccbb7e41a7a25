"""A folder is followed from before its study begins to its report, and nothing in it changes by that."""

from __future__ import annotations

import json
import sys
import time

import pytest

from evenhand import Study
from evenhand.atomic_files import write_text
from evenhand.study.accepted_study import accepted
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.viewing.folder_watcher import FolderWatcher
from finished_trials import finish, leave_trials


@pytest.fixture
def watching():
    """Makes watchers, and ends what they do."""
    made = []

    def watch(folder, data=None):
        made.append(FolderWatcher(folder, data))
        return made[-1]

    yield watch
    for watcher in made:
        watcher.close()


def until(watcher, true):
    """The first status and page of which something is true."""
    deadline = time.monotonic() + 90
    while True:
        status, page = watcher.look()
        if true(status):
            return status, page
        assert time.monotonic() < deadline, status
        time.sleep(0.05)


def reported(trials):
    return lambda status: status["report"] is not None and status["report"].get("trials") == trials


def test_a_folder_without_a_study_is_waited_for(watching, tmp_path):
    status, page = watching(tmp_path / "not there").look()
    assert status["state"] == "waiting" and page is None and status["trials"] is None
    (tmp_path / "trials").mkdir()
    status, _ = watching(tmp_path).look()
    assert status["state"] == "waiting" and status["notes"] == ["The run has not written its study yet."]


def test_a_report_is_made_as_trials_finish_and_is_marked_as_preliminary(begun, watching, tree):
    store, plan = begun
    watcher = watching(store.out)
    status, page = until(watcher, lambda status: status["trials"] and status["trials"]["planned"])
    assert status["trials"] == {"planned": 4, "done": 0, "running": 0, "failed": 0, "missing": 4}
    assert page is None and status["state"] == "stopped"

    leave_trials(store, plan.distinct[:1])
    before = tree(store.out)
    status, first = until(watcher, reported(1))
    assert status["trials"] == {"planned": 4, "done": 1, "running": 0, "failed": 0, "missing": 3}
    assert status["report"]["preliminary"] and status["report"]["of"] == 4
    text = first.decode()
    assert "Evenhand: a study (preliminary: 1 of 4 trials)" in text
    assert "Preliminary: 1 of 4 trials. Verdicts may change, and looking before the end does not hold" in text
    assert tree(store.out) == before, "nothing was written, and nothing locked"

    leave_trials(store, plan.distinct[1:3])
    status, second = until(watcher, reported(3))
    assert status["report"]["version"] == 2 and "preliminary: 3 of 4 trials" in second.decode()

    results = finish(store, plan)
    status, third = until(watcher, lambda status: status["state"] == "finished")
    assert "preliminary" not in third.decode().partition("</header>")[0] and len(results.verdicts)


def test_the_report_stays_the_same_object_until_a_trial_is_added(begun, watching):
    store, plan = begun
    leave_trials(store, plan.distinct[:2])
    watcher = watching(store.out)
    _, page = until(watcher, reported(2))
    for _ in range(5):
        assert watcher.look()[1] is page
        time.sleep(0.02)
    assert watcher.look()[0]["report"]["version"] == 1


def test_trials_at_work_show_their_share_and_their_last_loss(begun, watching):
    store, plan = begun
    (trial, failed, *_) = plan.distinct
    with store.claims.claimed([trial.hash]) as claim, store.writing(trial.hash) as folder:
        claim.share = 0.5
        rows = [{"epoch": 0, "step": 4, "loss": 0.75}, {"epoch": 0, "step": 5, "loss": None}]
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"epoch": 1, "lo')
        with store.writing(failed.hash) as aside:
            facts = {"status": "failed", "reason": "the loss was nan", "identity": {}, "environment": {}}
            write_text(aside / "trial.json", json.dumps({**facts, "finished": "2026-01-02T03:04:05+00:00"}))
        watcher = watching(store.out)
        status, _ = until(watcher, lambda status: status["trials"] and status["trials"]["planned"])
        assert status["state"] == "running"
        assert status["trials"] == {"planned": 4, "done": 0, "running": 1, "failed": 1, "missing": 2}
        (at_work,) = status["at_work"]
        assert (at_work["trial"], at_work["step"], at_work["loss"]) == (trial.label, 4, 0.75)
        (finished,) = status["finished"]
        assert finished["trial"] == failed.label and finished["failed"] == "the loss was nan"


def test_a_study_without_its_data_is_counted_and_the_page_says_what_is_missing(begun, watching, tmp_path):
    store, plan = begun
    leave_trials(store, plan.distinct[:1])
    text = store.study_file.read_text().replace("synthetic/posts", "hatexplain").replace("n: 300", "target: null")
    store.study_file.write_text(text)
    status, page = until(watching(store.out), lambda status: status["notes"])
    assert page is None and status["trials"]["done"] == 1 and status["trials"]["planned"] is None
    assert "cannot be counted" in status["notes"][0] and "--data DIR" in status["notes"][0]


def test_without_the_libraries_of_training_the_page_says_what_to_install(begun, watching, monkeypatch):
    store, _ = begun
    monkeypatch.setitem(sys.modules, "fsspec.implementations.local", None)
    status, page = watching(store.out).look()
    assert page is None and "fsspec is not installed: pip install 'evenhand[train]'" in status["notes"][0]


def test_trials_of_another_plan_are_named(begun, watching, small_study):
    store, plan = begun
    leave_trials(store, plan.distinct[:2])
    other = make_plan(Study(**{**small_study, "seeds": [7, 8]}), None)
    store.write_study(other.study)
    status, _ = until(watching(store.out), lambda status: status["notes"])
    assert "holds 2 trials, none of which is in the plan that this machine makes" in status["notes"][0]


def test_predictions_are_audited_before_any_pair_of_a_pool_is_complete(small_study, watching, tmp_path):
    plan = make_plan(Study(**small_study, membership=8), None)
    store = Store(tmp_path / "out")
    with store.lock(), accepted(store, plan):
        pass
    targets = [trial for trial in plan.distinct if trial.subset is None]
    models = [trial for trial in plan.distinct if trial.subset is not None]
    watcher = watching(store.out)
    leave_trials(store, models[:1])
    status, page = until(watcher, lambda status: status["trials"] and status["trials"]["planned"])
    time.sleep(0.2)
    status, page = watcher.look()
    assert page is None and status["notes"] == [], "half a pair is nothing to audit, and no fault"
    leave_trials(store, targets)
    status, page = until(watcher, reported(4))
    assert status["notes"] == [] and "No pair of models for membership inference is complete yet" in page.decode()
    pair = [trial for trial in models if models[0].hash in (trial.hash, trial.pair)]
    leave_trials(store, [trial for trial in models if trial.seed in {each.seed for each in pair}])
    status, page = until(watcher, lambda status: status["report"]["trials"] > 4)
    assert "is complete yet" not in page.decode()


def test_a_study_that_grows_is_audited_again_with_the_trials_it_has(begun, watching, small_study):
    store, plan = begun
    finish(store, plan)
    grown = make_plan(Study(**{**small_study, "seeds": 3}), None)
    with store.lock(), accepted(store, grown):
        pass
    status, page = until(watching(store.out), reported(4))
    assert status["report"]["of"] == 6 and "preliminary: 4 of 6 trials" in page.decode()
    assert status["notes"] == ["The results that are saved here are of an earlier form of this study."]
