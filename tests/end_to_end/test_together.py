"""Two runs of one study in one folder share its trials, and either may be lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from evenhand import Study
from faults.same_results import assert_same_results


@pytest.fixture
def started(small_study, tmp_path):
    """Starts one more run of a study of twelve trials in the same folder."""
    study = {**small_study, "seeds": 6, "train": {"replicas": 1}, "resources": {"cpus": 1}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, "-m", "evenhand", "run", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out")]
    Study(**study).run(tmp_path / "alone")
    return lambda: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_runs_share_the_trials(started, tmp_path):
    said = [run.communicate(timeout=300)[1] for run in [started(), started()]]
    assert_same_results(tmp_path / "alone", tmp_path / "out")
    trained = [set(re.findall(r"\] (.+): trained in", text)) for text in said]
    elsewhere = [set(re.findall(r"\] (.+): completed by another process", text)) for text in said]
    assert len(trained[0] | trained[1]) == 12 and not trained[0] & trained[1], "each trial is trained once"
    assert elsewhere[0] <= trained[1] and elsewhere[1] <= trained[0]
    assert min(map(len, trained)) > 0, "both of them work"
    assert sum("Auditing the predictions" in text for text in said) >= 1
    assert "which also works on this study" in said[0] + said[1]


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_its_trials_to_the_other(started, tmp_path):
    first, second = started(), started()
    while len(list(tmp_path.glob("out/trials/[!.]*/trial.json"))) < 3:
        assert first.poll() is None and second.poll() is None
        time.sleep(0.05)
    complete = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/trials/[!.]*/trial.json")}
    first.send_signal(signal.SIGKILL)
    first.communicate()
    _, said = second.communicate(timeout=300)
    assert second.returncode == 0, said
    assert_same_results(tmp_path / "alone", tmp_path / "out")
    assert all(path.stat().st_mtime_ns == when for path, when in complete.items()), "trained twice"
