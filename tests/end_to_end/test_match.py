"""Methods compared at about equal training loss: trained after their reference, and put back to a checkpoint."""

from __future__ import annotations

import json

import pytest
import yaml

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.plan import make_plan
from evenhand.study.watcher import SilentWatcher

pytestmark = pytest.mark.usefixtures("unreported")


@pytest.fixture(scope="module")
def values():
    return {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {
            "lora": {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 4},
            "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
            "again": {"kind": "full", "lr": 1e-3, "epochs": 4, "train": {"schedule": "constant"}},
            "base": {"kind": "base"},
        },
        "reference": "full",
        "seeds": 2,
        "match": {"by": "train_loss", "every": 2},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory, values):
    out = tmp_path_factory.mktemp("matched")
    return out, Study(**values).run(out)


def test_each_trial_takes_the_checkpoint_that_is_nearest_to_its_seeds_reference(finished):
    out, results = finished
    for row in results.trials.iter_rows(named=True):
        kept = json.loads((out / "trials" / row["trial"] / "trial.json").read_text())
        if row["method"] in ("full", "base"):
            assert row["step"] is None and row["note"] is None and "match" not in kept["identity"]
            continue
        (reference,) = results.trials.filter(method="full", seed=row["seed"]).iter_rows(named=True)
        assert kept["identity"]["match"]["trial"] == reference["trial"]
        assert row["step"] % 2 == 0 and row["step"] <= 28
        assert row["train_loss"] == kept["reached"]
        gap = f"{abs(kept['reached'] - reference['train_loss']):.2g}"
        assert row["note"].startswith("matched to full by training loss: ") and row["note"].endswith(
            f"(a gap of {gap})"
        )


def test_a_matched_trial_is_compared_by_its_final_predictions(finished):
    _, results = finished
    assert results.predictions["step"].null_count() == len(results.predictions)
    assert set(results.verdicts["method"]) == {"lora", "again", "base"}


def test_the_report_says_how_near_each_came(finished):
    out, results = finished
    page = (out / "report.html").read_text()
    assert "methods are compared at the checkpoints that come nearest to the reference" in page
    assert results.trials.filter(method="lora")["note"][0] in page
    again = Study(**yaml.safe_load((out / "study.yaml").read_text()))
    assert again.settings["main"].match is not None


def test_running_again_trains_nothing(finished, values):
    out, results = finished

    class Refusing(SilentWatcher):
        def finish(self, trial, outcome, seconds) -> None:
            raise AssertionError(trial.label)

    assert Study(**values).run(out, watcher=Refusing()).verdicts.equals(results.verdicts)


def test_a_reference_that_failed_leaves_nothing_to_be_equal_to(tmp_path, values):
    methods = {
        "full": {"kind": "full", "lr": 1e30, "epochs": 1},
        "lora": values["methods"]["lora"],
        "base": {"kind": "base"},
    }
    results = Study(**{**values, "methods": methods, "seeds": 1, "match": "validation_accuracy"}).run(tmp_path)
    (row,) = results.trials.filter(method="lora").iter_rows(named=True)
    assert row["status"] == "failed" and row["reason"].startswith(
        "the reference full, which this trial is matched to, failed: the loss"
    )


def test_matching_by_accuracy_after_tuning(tmp_path, values):
    tuning = {"grid": {"full": {"lr": [1e-4, 1e-3]}}}
    methods = {name: values["methods"][name] for name in ("full", "lora")}
    study = Study(**{**values, "methods": methods, "seeds": 1, "match": "validation_accuracy", "tuning": tuning})
    planned = make_plan(study, None)
    assert planned.trials == (), "what is matched waits for a reference that is tuned"
    results = study.run(tmp_path)
    (row,) = results.trials.filter(role="study", method="lora").iter_rows(named=True)
    assert "validation accuracy" in row["note"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reference": ()}, "match compares the other methods with the first reference, and there is none"),
        ({"reference": "base"}, "the reference base trains nothing, so no method can be matched to it"),
        ({"match": "validation_loss", "split": {"validation": 0}}, "there are no validation examples"),
        ({"match": "test_accuracy"}, "match.by"),
        (
            {"methods": {"full": {"kind": "full"}, "dp": {"kind": "dp_lora"}}},
            "methods.dp is private, and choosing its checkpoint",
        ),
    ],
)
def test_what_cannot_be_matched_is_refused_in_a_sentence(values, change, said):
    with pytest.raises(InputError, match=said):
        Study(**{**values, **change})


def test_a_study_without_match_has_the_trials_that_it_had(values):
    def hashes(**changes):
        return {
            trial.method: trial.hash for trial in make_plan(Study(**{**values, "seeds": 1, **changes}), None).trials
        }

    matched, plain = hashes(), hashes(match=None)
    assert {method for method in plain if plain[method] == matched[method]} == {"full", "base"}
    assert hashes(match={"by": "train_loss", "every": 3})["lora"] != matched["lora"]
