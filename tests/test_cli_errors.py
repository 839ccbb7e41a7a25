"""Claims about commands that end early: one sentence, the exit status, and no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAIT = """
import sys, time
from evenhand.cli_errors import one_sentence
with one_sentence():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_with_a_sentence_and_its_status(number, status):
    process = subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert out == "cleaned up\n"
    assert error == "evenhand: interrupted; what is complete is kept, and the same command continues from there\n"
    assert process.returncode == status


def test_signals_are_as_before_after_a_command(evenhand):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert evenhand("list", "tasks").returncode == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("out", ["file.csv/sub", "dangling", "x" * 300, ""])
def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(evenhand, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.csv").write_text("g,y,h\n" + "a,1,1\nb,0,0\na,0,1\nb,1,1\n" * 20)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "sub")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = evenhand("audit", "file.csv", "--label", "y", "--prediction", "h", "--group", "g", "--out", out)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [
        ("demo", "--out", ""),
        ("run", "demo", "--data", ""),
        ("audit", "", "--label", "y"),
        ("check", ""),
        ("report", ""),
        ("verify", ""),
        ("compare", "a", ""),
        ("view", ""),
    ],
)
def test_an_empty_path_as_of_an_unset_variable_is_refused(evenhand, tmp_path, monkeypatch, command):
    """Path("") is the working folder, which a gate must not judge in silence."""
    monkeypatch.chdir(tmp_path)
    done = evenhand(*command)
    assert done.returncode == 2 and "the path is empty; name a file or a folder" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_program_has_a_traceback_and_is_no_answer_of_a_gate(tmp_path):
    """Python ends with 1 after a traceback, which a gate says where results fail it."""
    failing = "from evenhand.cli_errors import one_sentence\nwith one_sentence():\n    {}[0]\n"
    done = subprocess.run([sys.executable, "-c", failing], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.endswith("KeyError: 0\n") and "Traceback" in done.stderr


@pytest.mark.parametrize("target", ["junit", "summary"])
def test_a_gate_that_cannot_write_its_answer_does_not_say_that_it_failed(evenhand, tmp_path, monkeypatch, target):
    (tmp_path / "table.csv").write_text("g,y,h\n" + "a,1,1\nb,0,0\na,0,1\nb,1,1\n" * 40)
    asked = ("--label", "y", "--prediction", "h", "--group", "g", "--out", tmp_path / "out")
    assert evenhand("audit", tmp_path / "table.csv", *asked).returncode == 0
    (tmp_path / "taken").mkdir()
    if target == "summary":
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "taken"))
    junit = ("--junit", tmp_path / "taken") if target == "junit" else ()
    done = evenhand("check", tmp_path / "out", "--fail-on", "worse", *junit)
    assert done.returncode == 2 and "taken: Is a directory" in done.stderr


def test_one_margin_for_each_measure(evenhand, tmp_path):
    asked = ("--label", "y", "--prediction", "h", "--group", "g", "--margin", "accuracy=.1", "--margin", "accuracy=.2")
    (tmp_path / "table.csv").write_text("g,y,h\na,1,1\n")
    done = evenhand("audit", tmp_path / "table.csv", *asked)
    assert (done.returncode, done.stderr) == (
        2,
        "evenhand: --margin names accuracy twice; give one margin for each measure\n",
    )


def test_the_value_of_an_option_is_refused_without_the_words_of_a_validator(evenhand):
    done = evenhand("list", "measurs")
    assert done.returncode == 2 and ": 'measurs' is not one of 'tasks', 'methods', 'measures'" in done.stderr
