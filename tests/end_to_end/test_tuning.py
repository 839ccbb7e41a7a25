"""A study that chooses its hyperparameters: trained, resumed, reported."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl
import pytest
import yaml

from evenhand import Study, records
from evenhand.errors import InputError
from evenhand.study.run import Silent

GRID = {"lora": {"lr": [1e-4, 5e-3, 1e30], "epochs": [1, 2]}}


pytestmark = pytest.mark.usefixtures("unreported")


@dataclass(frozen=True)
class Counted(Silent):
    """Remembers what was done for each trial, and what was said."""

    done: list = field(default_factory=list)
    said: list = field(default_factory=list)

    def finish(self, trial, done, seconds) -> None:
        self.done.append((trial.method, trial.candidate is not None, done.what))

    def say(self, text) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def values():
    return {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {"full": {"kind": "full", "lr": 1e-3, "epochs": 1}, "lora": {"kind": "lora", "rank": 4}},
        "reference": "full",
        "seeds": 2,
        "tuning": {"grid": GRID},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory, values):
    out, watcher = tmp_path_factory.mktemp("tuned"), Counted()
    return out, Study(**values).run(out, watcher=watcher), watcher


def tried(results) -> pl.DataFrame:
    return results.trials.filter(role="tuning")


def test_candidates_are_trials_and_the_best_of_them_trains_the_study(finished):
    out, results, watcher = finished
    assert len(tried(results)) == 6 and len(results.trials.filter(role="study")) == 4
    done = tried(results).filter(status="done")
    assert done["score"].to_list() == done["validation_loss"].to_list()
    (chosen,) = tried(results).filter("chosen").iter_rows(named=True)
    assert chosen["score"] == done["score"].min()
    identity = (
        out / "trials" / results.trials.filter(role="study", method="lora")["trial"][0] / "trial.json"
    ).read_text()
    values = yaml.safe_load(identity)["identity"]["method"]
    assert {"lr": values["lr"], "epochs": values["epochs"]} == yaml.safe_load(chosen["candidate"])
    assert any(line.startswith("lora: chose ") and "among 6 candidates" in line for line in watcher.said)


def test_a_candidate_whose_loss_stopped_being_a_number_is_kept_and_not_chosen(finished):
    _, results, _ = finished
    failed = tried(results).filter(pl.col("candidate").str.contains("1e\\+30"))
    assert failed["status"].to_list() == ["failed"] * 2
    assert failed["score"].null_count() == 2 and not failed["chosen"].any()


def test_no_candidate_has_predicted_the_test_split(finished):
    out, results, _ = finished
    for trial in tried(results).filter(status="done")["trial"]:
        rows = records.read(out / "trials" / trial / "predictions.parquet", "predictions")
        assert rows["split"].unique().to_list() == ["validation"]


def test_the_study_file_says_what_was_chosen_and_reads_back(finished, values):
    out, _, _ = finished
    again = Study(**yaml.safe_load((out / "study.yaml").read_text()))
    (choice,) = again.chosen
    assert (choice.method, choice.seed, choice.candidates, choice.failed) == ("lora", None, 6, 2)
    assert again.settings == Study(**values).settings


def test_the_report_shows_candidates_and_how_one_was_chosen(finished):
    out, results, _ = finished
    page = (out / "report.html").read_text()
    assert "hyperparameters that were tried, on validation examples only" in page
    assert "by the lowest validation loss (of equals, the one with fewer epochs" in page
    assert "None of 4." in page, "a candidate that failed is no failed trial of the study"
    assert results.provenance["tuning"] in page


def test_running_again_trains_nothing_and_a_larger_grid_only_what_is_new(finished, values):
    out, results, _ = finished
    watcher = Counted()
    again = Study(**values).run(out, watcher=watcher)
    assert watcher.done == [] and again.verdicts.equals(results.verdicts)
    more = {**values, "tuning": {"grid": {"lora": {**GRID["lora"], "epochs": [1, 2, 0]}}}}
    watcher = Counted()
    Study(**more).run(out, watcher=watcher)
    assert [entry for entry in watcher.done if entry[1]] == [("lora", True, "trained")] * 3


def test_each_seed_chooses_for_itself_by_accuracy(tmp_path, values):
    grid = {"lora": {"lr": [1e-4, 5e-3], "epochs": [1]}}
    watcher = Counted()
    results = Study(**{**values, "tuning": {"grid": grid, "seeds": "each", "score": "accuracy"}}).run(
        tmp_path, watcher=watcher
    )
    chosen = tried(results).filter("chosen")
    assert chosen["seed"].to_list() == [0, 1]
    assert tried(results)["score"].is_between(0, 1).all()
    assert watcher.done.count(("lora", False, "predicted")) == 2, "what was chosen is not trained twice"


def test_a_grid_whose_candidates_all_fail_is_one_sentence(tmp_path, values):
    study = Study(**{**values, "tuning": {"grid": {"lora": {"lr": [1e30]}}}})
    with pytest.raises(InputError, match=r"tuning\.grid\.lora: every candidate failed on seed 1000, so there is"):
        study.run(tmp_path)
