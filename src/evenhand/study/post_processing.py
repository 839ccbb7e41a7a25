"""Predicts by thresholds per group: from a trained trial's predictions, without training again.

The thresholds are chosen on the validation examples alone (`evenhand.tasks.threshold_optimizer`). Where a rule chooses
between two thresholds at random, the seed's stream "thresholds" draws. The trial has a folder of its own: its
predictions hold the chosen classes, beside the logits of the trained trial, which thresholds do not change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.atomic_files import write_text
from evenhand.audit.results_folder import content_hash
from evenhand.data.dataset import Dataset
from evenhand.data.groups import example_groups
from evenhand.methods.group_thresholds import GroupThresholds
from evenhand.seeds import generator
from evenhand.study.expansion import Trial
from evenhand.study.store import WEIGHTS, Store
from evenhand.tasks.threshold_optimizer import RandomizedThreshold, Threshold, optimize_thresholds

NOTE = "note"
"""Key of `trial.json`: the sentence of the report on the thresholds."""

SOURCE = "source_predictions"
"""Key of `trial.json`: hash of the file of predictions from which a trial's own were made."""


def post_process(trials: Sequence[Trial], store: Store, say: Callable[[str], None]) -> None:
    """Complete the folders of trials whose predictions are made from those of a trained trial.

    A trial is kept if it was made from the trained trial's present predictions.

    Args:
        trials: with a `source` that is complete.
        store: where all are kept.
        say: called with a sentence on what is done.
    """
    todo = [trial for trial in trials if not _complete(trial, store)]
    if todo:
        say(f"Choosing thresholds per group for {len(todo)} trials")
    for trial in todo:
        with store.lock(say):
            _write(trial, store)


def _complete(trial: Trial, store: Store) -> bool:
    """Return whether a trial was made from the present predictions of its source."""
    kept = store.read(trial.hash)
    return kept is not None and kept.get(SOURCE) == _source_hash(trial, store) and store.complete(trial)


def _source_hash(trial: Trial, store: Store) -> str | None:
    """Return the hash of the predictions that a trial is made from; None if training failed."""
    assert trial.source is not None
    path = store.folder(trial.source.hash) / "predictions.parquet"
    return content_hash(path) if path.is_file() else None


def _write(trial: Trial, store: Store) -> None:
    """Write the folder of a trial from that of its source."""
    assert trial.source is not None and trial.spec.thresholds is not None
    trained = store.read(trial.source.hash)
    assert trained is not None, "a source is trained first"
    facts = {key: value for key, value in trained.items() if key != WEIGHTS}
    facts |= {"trial": trial.hash, "identity": dict(trial.identity), "source": trial.source.hash}
    facts |= {"finished": datetime.now(UTC).isoformat(timespec="seconds"), SOURCE: _source_hash(trial, store)}
    with store.writing(trial.hash) as folder:
        if trained["status"] == "done":
            rows = records.read(store.folder(trial.source.hash) / "predictions.parquet", "predictions")
            processed = threshold_predictions(rows, trial.evaluations, trial.spec.thresholds, trial.seed)
            store.write_predictions(folder, trial, processed.rows)
            facts |= {NOTE: processed.note, "thresholds": {name: _json(rule) for name, rule in processed.rules.items()}}
        write_text(folder / "trial.json", json.dumps(facts, indent=1))


@dataclass(frozen=True, eq=False)
class ThresholdPredictions:
    """Predictions by thresholds per group.

    Attributes:
        rows: of the table `predictions`, without the column `trial`.
        rules: by group.
        note: a sentence on the choice, and on the share of test predictions that two random draws disagree on.
    """

    rows: pl.DataFrame
    rules: Mapping[str, RandomizedThreshold]
    note: str


def threshold_predictions(
    rows: pl.DataFrame, evaluations: Mapping[str, Dataset], spec: GroupThresholds, seed: int
) -> ThresholdPredictions:
    """Choose thresholds per group on the validation examples, and predict all splits by them.

    Args:
        rows: predictions of a trained trial of two classes.
        evaluations: the examples by split, `validation` among them.
        spec: what is chosen.
        seed: determines the random choices.

    Raises:
        InputError: see `optimize_thresholds` and `example_groups`.
    """
    of_split = {name: _in_order(rows, name, data) for name, data in evaluations.items()}
    scores = {name: positive_probability(frame["logits"].to_numpy()) for name, frame in of_split.items()}
    groups = {name: example_groups(data, spec.attribute) for name, data in evaluations.items()}
    chosen_on = evaluations["validation"]
    rules = optimize_thresholds(spec, scores["validation"], chosen_on.labels, groups["validation"])
    frames, redrawn = [], 0.0
    for name, frame in of_split.items():
        positive = np.zeros(len(frame))
        for group, rule in rules.items():
            inside = groups[name] == group
            positive[inside] = rule.probability(scores[name][inside])
        predicted = positive >= generator(seed, "thresholds", name).random(len(frame))
        frames.append(frame.with_columns(predicted=pl.Series(predicted.astype(np.int64))))
        if name == "test":
            redrawn = float((2 * positive * (1 - positive)).mean())
    note = (
        f"thresholds per group of {spec.attribute} ({spec.constraint}, {spec.objective}), chosen on {len(chosen_on)} "
        f"validation examples; another random draw would change {redrawn:.1%} of the test predictions"
    )
    return ThresholdPredictions(pl.concat(frames).drop("trial"), rules, note)


def positive_probability(logits: np.ndarray) -> np.ndarray:
    """Return the probability of the second of two classes, float64 [n]."""
    margin = logits[:, 1].astype(np.float64) - logits[:, 0].astype(np.float64)
    return 1 / (1 + np.exp(-margin))


def _in_order(rows: pl.DataFrame, split: str, data: Dataset) -> pl.DataFrame:
    """Return the rows of a split in the order of its examples."""
    order = pl.DataFrame({"example": [str(example) for example in data.example]})
    return order.join(rows.filter(split=split), on="example", how="left", maintain_order="left").select(rows.columns)


def _json(rule: RandomizedThreshold) -> dict[str, Any]:
    """Return a rule as JSON; an infinite threshold is a text."""

    def plain(threshold: Threshold) -> dict[str, Any]:
        value = threshold.value if math.isfinite(threshold.value) else str(threshold.value)
        return {"threshold": value, "above": threshold.above}

    return {
        "first": plain(rule.first),
        "second": plain(rule.second),
        "share_of_first": rule.share,
        "ignored": rule.ignored,
        "constant": rule.constant,
    }
