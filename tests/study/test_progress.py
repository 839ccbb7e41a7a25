"""What people are told while a study runs."""

from __future__ import annotations

import pytest

from evenhand import Study
from evenhand.study import progress
from evenhand.study.plan import make_plan
from evenhand.study.progress import Terminal, duration, outcome_text
from evenhand.study.trial_runner import TrialOutcome


def lines(capsys, planned, *finished, kept=0):
    with Terminal() as watcher:
        watcher.start(len(finished), kept)
        for trial, (done, seconds) in zip(planned.distinct, finished, strict=False):
            watcher.share([trial], 0.5)
            watcher.finish(trial, done, seconds)
    told = capsys.readouterr()
    assert told.out == "", "standard output is for results"
    return told.err.splitlines()


@pytest.fixture
def planned(small_study):
    return make_plan(Study(**small_study), None)


def test_every_trial_has_a_line(capsys, planned):
    assert lines(capsys, planned, (TrialOutcome("trained"), 2.34), (TrialOutcome("predicted"), 0.4)) == [
        "trials to train: 2",
        "[1/2] full · seed 0: trained in 2.3 s",
        "[2/2] lora · seed 0: predicted from kept weights in 0.4 s",
    ]


def test_what_is_complete_is_told_first(capsys, planned):
    assert lines(capsys, planned, (TrialOutcome("trained"), 1.0), kept=3)[0] == "3 of 4 trials are complete"
    assert lines(capsys, planned, kept=4) == ["all 4 trials are complete"]


def test_a_long_run_says_how_long_it_still_takes(capsys, planned, monkeypatch):
    """By the time that has passed, since several trials may be trained at the same time."""
    now = iter([0.0, 500.0, 600.0, 630.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    told = lines(
        capsys,
        planned,
        (TrialOutcome("trained"), 500.0),
        (TrialOutcome("trained"), 600.0),
        (TrialOutcome("trained"), 30.0),
    )
    assert [line.partition(" in ")[2] for line in told[1:]] == [
        "8 min (about 17 min left)",
        "10 min (about 5 min left)",
        "30.0 s",
    ]


def test_the_bar_adds_up_packs_that_are_trained_at_the_same_time(planned):
    first, second, *_ = planned.distinct
    with Terminal() as terminal:
        terminal.start(3, 0)
        terminal.share((first,), 0.5)
        terminal.share((second,), 0.25)
        (task,) = terminal._bar.tasks
        assert task.completed == 0.75 and task.description == f"{second.label} and 1 more"
        terminal.finish(first, TrialOutcome("trained"), 1.0)
        assert task.completed == 1.25


def test_a_failed_trial_says_why():
    assert outcome_text(TrialOutcome("failed", "the loss is nan"), 1.0) == "failed after 1.0 s: the loss is nan"


def test_training_again_says_why():
    done = TrialOutcome("trained", "its weights were not kept")
    assert outcome_text(done, 75.0) == "trained again in 1 min, since its weights were not kept"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.4, "59.4 s"), (90, "2 min"), (3570, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_a_duration_reads_as_people_say_it(seconds, text):
    assert duration(seconds) == text
