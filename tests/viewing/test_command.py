"""`evenhand view` as a process: its address, Ctrl-C, bad input, and a real study that is viewed while it runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
import yaml

from evenhand.processes import process_runs


@contextmanager
def view(*arguments):
    """The process of the command, with its address; killed at the end if it still runs."""
    command = [sys.executable, "-m", "evenhand", "view", *map(str, arguments), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        yield process, said["url"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def status_of(url):
    with urllib.request.urlopen(url.replace("/?", "/status?"), timeout=30) as answer:
        return json.load(answer)


def children(process):
    """The processes that a process has started."""
    with open(f"/proc/{process}/task/{process}/children") as file:  # noqa: PTH123
        return [int(word) for word in file.read().split()]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_the_process_that_follows_the_folder(audited, tree, number, code):
    before = tree(audited)
    with view(audited) as (process, url):
        deadline = time.monotonic() + 60
        while status_of(url)["state"] != "finished":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        started = children(process.pid)
        assert started
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
        assert process.returncode == code and error == ""
        deadline = time.monotonic() + 10  # the tracker of multiprocessing notices a moment later
        while any(map(process_runs, started)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert tree(audited) == before


def test_bad_input_is_one_sentence_and_exit_2(evenhand, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    other = evenhand("view", tmp_path)
    assert other.returncode == 2 and other.stderr.count("\n") == 1 and "neither a study nor results" in other.stderr
    file = evenhand("view", tmp_path / "notes.txt")
    assert file.returncode == 2 and "is a file" in file.stderr
    data = evenhand("view", tmp_path / "study", "--data", tmp_path / "none")
    assert data.returncode == 2 and "should hold one folder per data set" in data.stderr
    assert evenhand("view", tmp_path / "study", "--port", 70000).returncode == 2


def follow(url, true, seconds=300):
    """The statuses until something is true of one."""
    seen, deadline = [], time.monotonic() + seconds
    while not seen or not true(seen[-1]):
        assert time.monotonic() < deadline, seen[-1]
        seen.append(status_of(url))
        time.sleep(0.2)
    return seen


def has_report(version):
    return lambda status: status["report"] is not None and status["report"]["version"] >= version


@pytest.mark.slow
def test_a_study_is_viewed_while_it_runs_when_it_stops_and_at_its_end(small_study, tmp_path, tree):
    study = {**small_study, "seeds": 60, "train": {"replicas": 1}}
    study["methods"] = {name: {**method, "epochs": 8} for name, method in study["methods"].items()}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "evenhand", "run", str(tmp_path / "study.yaml"), "--out", str(out)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with view(out) as (_, url):
        assert status_of(url)["state"] in ("reading", "waiting")
        run = subprocess.Popen(command, **quiet)
        seen = follow(url, has_report(2))
        done = [status["trials"]["done"] for status in seen if status["trials"]]
        assert done == sorted(done) and len(set(done)) > 2, "trials are counted as they finish"
        at_work = [row for status in seen for row in status["at_work"]]
        assert at_work and all(0 <= row["share"] <= 1 for row in at_work)
        first, last = (report for report in (seen[-2]["report"], seen[-1]["report"]))
        assert last["preliminary"] and last["of"] == 120 and last["trials"] > first["trials"]

        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=60) == 130
        stopped = follow(url, lambda status: status["state"] == "stopped" and not status["at_work"])[-1]
        assert stopped["trials"]["running"] == 0 and stopped["trials"]["missing"] > 0
        before = tree(out)
        follow(url, lambda status: (status["report"] or {}).get("trials") == stopped["trials"]["done"])
        assert tree(out) == before, "looking changes nothing"

        assert subprocess.run([*command, "--set", "seeds=1"], check=False, timeout=300, **quiet).returncode == 0
        report = follow(url, lambda status: status["state"] == "finished" and not status["report"]["preliminary"])
        assert report[-1]["report"]["version"] > last["version"]
        finished = tree(out)
        with urllib.request.urlopen(url.replace("/?", "/report?"), timeout=30) as answer:
            assert answer.read() == (out / "report.html").read_bytes()
        assert tree(out) == finished and not (out / "claims").exists()
