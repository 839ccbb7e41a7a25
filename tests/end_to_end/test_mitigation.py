"""A study with mitigation: thresholds are made from the predictions of a trained trial, and audited like any method."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from evenhand import Study, records
from evenhand.audit.results import Results
from evenhand.methods.group_thresholds import GroupThresholds
from evenhand.seeds import generator
from evenhand.study.post_processing import positive_probability
from evenhand.study.watcher import SilentWatcher
from evenhand.tasks.threshold_optimizer import optimize_thresholds

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unreported")]
FULL = {"kind": "full", "lr": 1e-3, "epochs": 1}
FAIR = {"attribute": "topic", "constraint": "demographic_parity"}


class Heard(SilentWatcher):
    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.trained: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def finish(self, trial, outcome, seconds) -> None:
        self.trained.append(trial.label)


@pytest.fixture(scope="module")
def values():
    return {
        "task": {"name": "synthetic/posts", "n": 400},
        "model": "tiny-bert",
        "methods": {
            "full": FULL,
            "fair": {**FULL, "thresholds": FAIR},
            "dro": {**FULL, "loss": {"kind": "group_dro", "attribute": "topic"}},
            "even": {**FULL, "loss": {"kind": "reweighted", "attribute": "topic"}},
            "failing": {**FULL, "lr": 1e18, "thresholds": FAIR, "train": {"clip_norm": None}},
        },
        "reference": "full",
        "seeds": 2,
        "split": {"test": 0.3, "validation": 0.3},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory, values):
    out, heard = tmp_path_factory.mktemp("mitigated"), Heard()
    return out, Study(**values).run(out, watcher=heard), heard


def trial_of(results: Results, method: str, seed: int) -> dict:
    return results.trials.row(by_predicate=(pl.col("method") == method) & (pl.col("seed") == seed), named=True)


def test_nothing_is_trained_twice(finished):
    _, _, heard = finished
    assert len(heard.trained) == len(set(heard.trained)) == 8  # full, dro, even and failing, twice
    assert not any("fair" in label for label in heard.trained)
    assert "Choosing thresholds per group for 4 trials" in heard.sentences


def test_predictions_are_those_of_thresholds_chosen_on_the_validation_part(finished):
    out, results, _ = finished
    for seed in (0, 1):
        plain, fair = (trial_of(results, method, seed) for method in ("full", "fair"))
        rows = [records.read(out / "trials" / t["trial"] / "predictions.parquet", "predictions") for t in (plain, fair)]
        groups = results.examples.select("example", "label", group=pl.col("attribute.topic").list.first())
        trained, made = (frame.join(groups, on="example", maintain_order="left") for frame in rows)
        assert trained["logits"].to_list() == made["logits"].to_list()
        known = trained.filter(split="validation")
        rules = optimize_thresholds(
            GroupThresholds.parse(FAIR, ""),
            positive_probability(known["logits"].to_numpy()),
            known["label"].to_numpy(),
            known["group"].to_numpy(),
        )
        for split in ("validation", "test"):
            part = made.filter(split=split)
            scores = positive_probability(part["logits"].to_numpy())
            positive = [rules[g].probability(np.array([s]))[0] for g, s in zip(part["group"], scores, strict=True)]
            drawn = generator(seed, "thresholds", split).random(len(part))
            assert (part["predicted"].to_numpy() == (np.array(positive) >= drawn)).all()
        assert fair["note"].startswith("thresholds per group of topic (demographic_parity, accuracy_score), chosen on")
        kept = json.loads((out / "trials" / fair["trial"] / "trial.json").read_text())
        assert kept["source"] == plain["trial"] and set(kept["thresholds"]) == set(rules)
        assert fair["train_loss"] == plain["train_loss"]


def test_the_audit_judges_them_like_any_method(finished):
    _, results, _ = finished
    assert {"fair", "dro", "even"} <= set(results.verdicts["method"])
    accuracy = results.estimates.filter(measure="accuracy", method="fair", split="test").drop_nulls("seed")
    assert len(accuracy)
    calibration = results.verdicts.filter(measure="calibration_error_squared", method="fair", comparison="change")
    assert (calibration["contrast"].drop_nulls() == 0).all()  # scores are left as they are


def test_where_training_failed_there_are_no_thresholds(finished):
    _, results, _ = finished
    row = trial_of(results, "failing", 0)
    assert row["status"] == "failed" and "the loss was" in row["reason"] and row["note"] is None


def test_running_again_trains_nothing_and_gives_the_same(finished, values):
    out, results, _ = finished
    heard = Heard()
    again = Study(**values).run(out, watcher=heard)
    assert again.verdicts.equals(results.verdicts) and again.predictions.equals(results.predictions)
    assert not heard.trained and not any("thresholds" in sentence for sentence in heard.sentences)
    assert Results.load(out).verdicts.equals(results.verdicts)


def test_thresholds_follow_the_predictions_they_were_made_from(finished, values):
    out, results, _ = finished
    path = out / "trials" / trial_of(results, "full", 0)["trial"] / "predictions.parquet"
    before, made = path.read_bytes(), out / "trials" / trial_of(results, "fair", 0)["trial"] / "predictions.parquet"
    expected = made.read_bytes()
    covered = {key: value for key, value in records.metadata(path).items() if key.startswith("split:")}
    frame = records.read(path, "predictions")
    flipped = [[-a, -b] for a, b in frame["logits"].to_list()]
    records.write(
        frame.with_columns(logits=pl.Series(flipped, dtype=frame.schema["logits"])), path, "predictions", covered
    )
    heard = Heard()
    Study(**values).run(out, watcher=heard)
    assert "Choosing thresholds per group for 1 trials" in heard.sentences and made.read_bytes() != expected
    path.write_bytes(before)
    Study(**values).run(out)
    assert records.read(made, "predictions").equals(results.predictions.filter(trial=made.parent.name))


def test_a_study_with_thresholds_alone_has_one_method(tmp_path, values):
    methods = {"fair": {**FULL, "thresholds": FAIR}}
    heard = Heard()
    results = Study(**{**values, "methods": methods, "reference": [], "seeds": 1}).run(tmp_path, watcher=heard)
    assert len(heard.trained) == 1 and set(results.trials["method"]) == {"fair"}
    assert results.predictions["predicted"].null_count() == 0
