"""A run that is killed at random points, again and again, ends in the tables of one that was not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from evenhand.audit.results import Results
from evenhand.errors import InputError
from faults.same_results import assert_same_results

pytestmark = [pytest.mark.slow, pytest.mark.fuzz]

KILLS = max(settings().max_examples // 10, 3)
"""A hundred in a full fuzz."""


def test_a_run_that_is_killed_again_and_again_ends_in_the_same_tables(commands, study, finished, tmp_path):
    """Kills come at random moments of the whole run, its tables and figures included.

    A finished trial stays as it is, and whatever lies in the folder in between is results that load, or one sentence.
    """
    whole, seconds = finished
    rng = np.random.default_rng(0)
    kills = runs = refused = 0
    trials: dict[Path, int] = {}
    out = tmp_path / "0"
    while kills < KILLS:
        status, _ = commands("run", study, "--out", out, kill_after=rng.uniform(0.1, 1.05) ** 2 * seconds)
        kept = {path: path.stat().st_mtime_ns for path in out.glob("trials/[!.]*/trial.json")}
        assert trials.items() <= kept.items(), "a complete trial was trained again"
        trials = kept
        if status == -9:
            kills += 1
            try:
                Results.load(out)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) <= 300
            continue
        assert status == 0, commands.stderr
        assert_same_results(whole, out)
        runs += 1
        # Afterwards the earlier results are complete and are replaced: by the next run of a folder that grew.
        out, trials = tmp_path / str(runs), {}
    status, _ = commands("run", study, "--out", out)
    assert status == 0, commands.stderr
    assert_same_results(whole, out)
    print(f"{kills} kills in {runs + 1} runs; {refused} times the folder was not yet one of results")


def test_a_kill_while_results_are_replaced_leaves_the_earlier_ones_or_a_sentence(commands, study, finished, tmp_path):
    """The folder of a finished study is audited again under another margin, and that is killed at random moments."""
    whole, _ = finished
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    rng = np.random.default_rng(1)
    margins = [0.05, 0.06]
    commands("run", study, "--out", out, "--set", "margins.default=0.06")
    _, seconds = commands("run", study, "--out", out, "--set", "margins.default=0.05")
    kills = 0
    while kills < KILLS:
        margin = margins[kills % 2]
        change = f"margins.default={margin}"
        status, _ = commands("run", study, "--out", out, "--set", change, kill_after=rng.uniform(0.3, 1.05) * seconds)
        kills += status == -9
        try:
            found = Results.load(out)
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) <= 300
            continue
        assert set(found.verdicts.filter(measure="accuracy")["margin"].drop_nulls()) == {
            found.design.margins["default"]
        }
    status, _ = commands("run", study, "--out", out, "--set", "margins.default=0.05")
    assert status == 0, commands.stderr
    assert_same_results(whole, out)
