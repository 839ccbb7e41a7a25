"""Real studies until decided: they train look by look, resume where they were killed, and keep to their plan."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from evenhand import InputError, Results, Study
from evenhand.audit.verification import verify
from evenhand.study.watcher import SilentWatcher
from faults.same_results import assert_same_results


class Heard(SilentWatcher):
    """A watcher that remembers what is said, and how many trials were trained."""

    def __init__(self) -> None:
        object.__setattr__(self, "said", [])
        object.__setattr__(self, "trained", [])

    def say(self, text: str) -> None:
        self.said.append(text)

    def finish(self, trial, outcome, seconds) -> None:
        self.trained.append((trial.method, trial.seed))


@pytest.fixture(scope="module")
def values() -> dict:
    """Methods that differ little, under a margin that only the last look can decide, or none."""
    return {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {
            "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
            "lora": {"kind": "lora", "rank": 4, "alpha": 8, "lr": 5e-3, "epochs": 1},
        },
        "reference": "full",
        "seeds": {"until": "decided", "looks": [2, 3, 4], "comparisons": "everyone"},
        "margins": {"default": 0.05},
    }


@pytest.fixture(scope="module")
def finished(values, tmp_path_factory) -> tuple[Path, Results, Heard]:
    heard, out = Heard(), tmp_path_factory.mktemp("until") / "out"
    return out, Study(**values).run(out, watcher=heard), heard


def test_a_study_trains_only_the_seeds_that_it_needs(values, tmp_path, unreported):
    """Under a margin that nothing exceeds, the first look decides."""
    heard = Heard()
    results = Study(**{**values, "margins": {"default": 0.99}}).run(tmp_path, watcher=heard)
    assert sorted(heard.trained) == [(method, seed) for method in ("full", "lora") for seed in (0, 1)]
    assert results.design.looks is not None and results.design.looks.taken == 1
    assert json.loads((tmp_path / "looks.json").read_text()) == {"looks": [2, 3, 4], "taken": 1}
    assert any("the comparison has a verdict: the study stops" in text for text in heard.said)


def test_a_study_goes_on_to_its_most_seeds_where_nothing_decides(finished):
    out, results, heard = finished
    assert results.trials.filter(role="study")["seed"].n_unique() == 4 and len(heard.trained) == 8
    assert [text for text in heard.said if text.startswith("Look ")] == [
        "Look 1 of 3: auditing 2 seeds",
        "Look 2 of 3: auditing 3 seeds",
        "Look 3 of 3: auditing 4 seeds",
    ]
    assert set(results.looks["look"]) == {1, 2, 3}
    assert "too extreme" in (out / "report.html").read_text()


def test_a_finished_study_is_the_same_study_when_it_is_run_again(finished, values):
    out, results, _ = finished
    heard = Heard()
    again = Study(**values).run(out, watcher=heard)
    assert heard.trained == [] and again.verdicts.equals(results.verdicts) and again.looks.equals(results.looks)


def test_its_folder_verifies_reports_and_passes_the_same_gate(finished, evenhand):
    out, results, _ = finished
    assert verify(out).differences == ()
    loaded = Results.load(out)
    assert loaded.verdicts.equals(results.verdicts) and loaded.looks.equals(results.looks)
    for strict in (False, True):
        passed = results.gate(strict=strict).passed
        assert evenhand("check", out, *(["--strict"] if strict else [])).returncode == (0 if passed else 1)
    assert evenhand("verify", out).returncode == 0
    shown = json.loads(evenhand("report", out, "--json").stdout)
    assert len(shown["looks"]) == len(results.looks)
    assert evenhand("compare", out, f"again={out}").returncode == 0


@pytest.mark.parametrize(
    "seeds",
    [
        {"until": "decided", "looks": [2, 4], "comparisons": "everyone"},
        {"until": "decided", "looks": [2, 3, 5], "comparisons": "everyone"},
        4,
    ],
)
def test_other_looks_after_the_first_are_refused_with_the_reason(finished, values, seeds):
    out, _, _ = finished
    before = (out / "study.yaml").read_text()
    with pytest.raises(InputError, match="was looked at with 2 and 3 and 4 seeds under the planned looks") as refused:
        Study(**{**values, "seeds": seeds}).run(out)
    assert "would divide it anew after verdicts were seen" in str(refused.value)
    assert (out / "study.yaml").read_text() == before


@pytest.mark.slow
def test_what_is_waited_for_may_change_since_any_rule_may_stop_a_study(finished, values):
    out, results, _ = finished
    seeds = {**values["seeds"], "comparisons": ["everyone", "groups"]}
    again = Study(**{**values, "seeds": seeds}).run(out)
    assert len(again.looks) > len(results.looks)
    Study(**values).run(out)


@pytest.mark.slow
def test_a_folder_of_fixed_seeds_has_no_level_left_for_looks(values, tmp_path, unreported):
    Study(**{**values, "seeds": 2}).run(tmp_path)
    with pytest.raises(InputError, match="audited with a fixed number of seeds, which used up the level"):
        Study(**values).run(tmp_path)


@pytest.mark.slow
def test_hyperparameters_may_be_chosen_for_each_seed_of_a_look(values, tmp_path, unreported):
    tuning = {"grid": {"lora": {"lr": [1e-3, 5e-3]}}, "seeds": "each"}
    study = Study(**{**values, "tuning": tuning, "split": {"validation": 0.2}, "margins": {"default": 0.99}})
    results = study.run(tmp_path)
    assert results.design.looks is not None
    seeds = results.design.looks.seeds[results.design.looks.taken - 1]
    assert results.trials.filter(role="tuning").height == 2 * seeds
    assert results.trials.filter(role="study").height == 2 * seeds


def killed_at(line: str, *arguments: object) -> str:
    """Run the command line in a process of its own, kill it once it has said a line, and return what it said."""
    command = [sys.executable, "-m", "evenhand", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        said = []
        assert process.stderr is not None
        for text in process.stderr:
            said.append(text)
            if line in text:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    return "".join(said)


@pytest.mark.slow
def test_a_run_that_is_killed_at_a_look_ends_in_the_same_verdicts(finished, values, tmp_path, evenhand_process):
    """Before a look is taken, while it is audited, after what it said, and in the training that follows it."""
    whole, results, _ = finished
    study, out = tmp_path / "study.yaml", tmp_path / "out"
    study.write_text(yaml.safe_dump(values))
    for line in ("[4/4]", "Look 1 of 3", "At 2 seeds", "[1/2]", "Look 2 of 3", "At 3 seeds", "Look 3 of 3"):
        said = killed_at(line, "run", study, "--out", out)
        assert line in said, said
        assert not (out / "design.json").exists()
    assert json.loads((out / "looks.json").read_text())["taken"] == 3
    ended = evenhand_process("run", study, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert_same_results(whole, out)
    assert pl.read_parquet(out / "looks.parquet").equals(results.looks)
