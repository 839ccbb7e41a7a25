"""The runs that share a folder run the same study, and clear up after each other."""

from __future__ import annotations

import json
import os

import pytest

from evenhand import InputError, Study
from evenhand.study import claims
from evenhand.study import session as sessions
from evenhand.study.session import session
from evenhand.study.store import Store
from evenhand.study.watcher import SilentWatcher


class Heard(SilentWatcher):
    """A watcher that remembers what is said."""

    def __init__(self) -> None:
        object.__setattr__(self, "said", [])

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def study(small_study):
    return Study(**small_study)


def test_a_second_run_of_the_same_study_helps_and_the_last_one_clears_up(tmp_path, study):
    heard = Heard()
    with session(Store(tmp_path), study, SilentWatcher()) as first:
        first.store.features.mkdir()
        left = tmp_path / "trials" / ".abc.12"
        left.mkdir()
        with session(Store(tmp_path), study, heard) as second:
            (said,) = heard.said
            assert f"process {os.getpid()} on " in said and "which also works on this study" in said
            assert left.exists(), "it may be what the first one is writing"
            assert not first.audited
            second.mark_audited()
            assert first.audited
        assert first.store.features.exists() and first.audited
    assert not (tmp_path / "features").exists() and not (tmp_path / "claims").exists()
    with session(Store(tmp_path), study, SilentWatcher()) as alone:
        assert not left.exists() and not alone.audited
        alone.mark_audited()
        assert not alone.audited, "nobody else is there to be told"


def test_what_a_job_without_a_run_is_writing_stays(tmp_path, study):
    """A job of Slurm goes on when its run has ended; it has claimed its trial on behalf of that run."""
    store = Store(tmp_path)
    of_job = Store(tmp_path, store.run).claims
    left = tmp_path / "trials" / ".abc.12"
    with of_job.claimed(["abc"]):
        with session(store, study, SilentWatcher()):
            left.mkdir(parents=True)
        assert left.exists()
        with session(Store(tmp_path), study, SilentWatcher()):
            assert left.exists()
    with session(Store(tmp_path), study, SilentWatcher()):
        assert not left.exists()


def test_dates_of_margins_and_choices_make_no_other_study(tmp_path, study):
    again = study.model_copy(update={"declared": ({"date": "2026-01-01", "margins": {}},)})
    assert sessions.fingerprint(again) == sessions.fingerprint(study)


def test_another_study_in_the_same_folder_is_refused(tmp_path, study, small_study):
    other = Study(**{**small_study, "seeds": 3})
    with session(Store(tmp_path), study, SilentWatcher()):
        said = rf"process {os.getpid()} on .* is running another study in {tmp_path}; wait for it"
        with pytest.raises(InputError, match=said), session(Store(tmp_path), other, SilentWatcher()):
            pass


@pytest.mark.parametrize("alive", [True, False])
def test_a_run_of_another_study_on_another_machine_is_refused_while_it_lives(tmp_path, study, monkeypatch, alive):
    folder = tmp_path / "claims"
    folder.mkdir()
    beats = iter(range(1000))
    clock = iter(range(0, 10**6, 1))

    def later(seconds: float) -> None:
        known = {"machine": "elsewhere", "host": "far", "process": 7, "run": "theirs", "study": "other"}
        known["beat"] = next(beats) if alive else 0
        (folder / "run-theirs.0.json").write_text(json.dumps(known))

    later(0)
    monkeypatch.setattr(sessions.time, "sleep", later)
    monkeypatch.setattr(claims.time, "monotonic", lambda: next(clock))
    if not alive:
        with session(Store(tmp_path), study, SilentWatcher()) as ours:
            assert ours.store.claims.held().keys() == {f"run-{ours.store.run}"}
        return
    with pytest.raises(InputError, match="process 7 on far is running another study"):
        session(Store(tmp_path), study, SilentWatcher()).__enter__()
