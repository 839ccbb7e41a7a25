"""The audit's predictive values, F1, balanced accuracy, Brier score and log loss against scikit-learn and fairlearn.

Of 500 problems each is a run with examples of its own, with weights in one of two, of two or three classes. Groups may
lack a class, or nobody in them may be predicted so: there scikit-learn is told to say nan, and the audit says null.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.audit.measures.error_rates import ERROR_RATES

sklearn = pytest.importorskip("sklearn.metrics")
fairlearn = pytest.importorskip("fairlearn.metrics")

PROBLEMS, TOGETHER, FEW = 500, 25, 50
EXACT = 1e-9
NAMES = [measure.name for measure in ERROR_RATES]
CLASSES = (2, 3)
Values = dict[tuple, float | None]
"""By measure, class, problem and group."""


@pytest.fixture(autouse=True, scope="module")
def quick_sklearn():
    """Without their checks of arguments, which take most of the time of a small problem."""
    from sklearn import config_context

    with config_context(skip_parameter_validation=True, assume_finite=True):
        yield


def problem(seed: int, classes: int) -> pl.DataFrame:
    """Labels, probabilities and predictions of three groups, of which the last is small."""
    rng = np.random.default_rng([classes, seed])
    n = int(rng.integers(40, 90))
    label = np.concatenate([np.arange(classes), rng.choice(classes, n - classes, p=rng.dirichlet(np.ones(classes)))])
    probability = rng.dirichlet(np.full(classes, 0.4), n)
    predicted = np.where(rng.random(n) < 0.5, probability.argmax(axis=1), label)
    group = rng.choice(list("abc"), n, p=[0.6, 0.32, 0.08])
    weight = rng.uniform(0.2, 3, n) if seed % 2 else np.ones(n)
    columns = {f"p{code}": probability[:, code] for code in range(classes)}
    base = {"label": label, "predicted": predicted, "group": group, "weight": weight, "problem": seed}
    return pl.DataFrame({**base, **columns, "id": [f"{seed}-{row}" for row in range(n)]})


@pytest.fixture(scope="module", params=[FEW, pytest.param(PROBLEMS, marks=pytest.mark.slow)])
def problems(request) -> dict[int, list[pl.DataFrame]]:
    """By number of classes; the problems that share a run of the audit have the same number."""
    return {classes: [problem(seed, classes) for seed in range(request.param // 2)] for classes in CLASSES}


@pytest.fixture(scope="module")
def audited(problems) -> Values:
    """What audits say of the problems, several as runs of one model."""
    found: Values = {}
    for classes, frames in problems.items():
        for start in range(0, len(frames), TOGETHER):
            results = evenhand.audit(
                pl.concat(frames[start : start + TOGETHER]),
                label="label",
                prediction="predicted",
                probability=[f"p{code}" for code in range(classes)],
                groups="group",
                weight="weight",
                seed="problem",
                example="id",
                measures=NAMES,
            )
            rows = results.estimates.filter(pl.col("seed").is_not_null(), pl.col("comparison").is_null())
            for row in rows.iter_rows(named=True):
                found[row["measure"], row["class"], classes, row["seed"], row["group"]] = row["value"]
                assert (row["value"] is not None) or row["note"]
    return found


def members(frame: pl.DataFrame) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """Everyone, then each group."""
    yield None, frame
    for (group,), rows in frame.group_by("group"):
        yield str(group), rows


def of_classes(rows: pl.DataFrame, classes: int) -> dict[str, np.ndarray]:
    """scikit-learn's values of each class against the rest, nan where undefined."""
    label, predicted, weight = (rows[name].to_numpy() for name in ("label", "predicted", "weight"))
    options = {"sample_weight": weight, "zero_division": np.nan}
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for code in range(classes):
        actual, selected = label == code, predicted == code
        precision, recall, f1, _ = sklearn.precision_recall_fscore_support(
            actual, selected, average="binary", pos_label=True, **options
        )
        npv, tnr, *_ = sklearn.precision_recall_fscore_support(
            actual, selected, average="binary", pos_label=False, **options
        )
        values = [1 - recall, tnr, precision, npv, 1 - precision, 1 - npv, np.average(actual, weights=weight)]
        for name, value in zip(NAMES, values, strict=False):
            found[name].append(value)
        found["f1_score"].append(f1)
    return {name: np.array(values) for name, values in found.items()}


def same(ours: float | None, theirs: float) -> bool:
    return ours is None if math.isnan(theirs) else ours is not None and abs(ours - theirs) <= EXACT


def test_rates_of_each_class_against_the_rest(audited, problems):
    undefined = 0
    for classes, frames in problems.items():
        for seed, frame in enumerate(frames):
            for group, rows in members(frame):
                for name, values in of_classes(rows, classes).items():
                    for code, value in enumerate(values):
                        if classes == 2 and code == 0:
                            continue
                        about = (name, None if classes == 2 else str(code), classes, seed, group)
                        assert same(audited[about], value), about
                        undefined += math.isnan(value)
    assert undefined > len(problems[2])


def test_balanced_accuracy_is_theirs_where_no_class_is_missing(audited, problems):
    missing = 0
    for classes, frames in problems.items():
        for seed, frame in enumerate(frames):
            for group, rows in members(frame):
                label, predicted, weight = (rows[name].to_numpy() for name in ("label", "predicted", "weight"))
                ours = audited["balanced_accuracy", None, classes, seed, group]
                if len(set(label)) < classes:
                    assert ours is None
                    missing += 1
                else:
                    assert same(ours, sklearn.balanced_accuracy_score(label, predicted, sample_weight=weight))
    assert missing > 0


def test_scores_of_probabilities(audited, problems):
    for classes, frames in problems.items():
        for seed, frame in enumerate(frames):
            for group, rows in members(frame):
                label, weight = rows["label"].to_numpy(), rows["weight"].to_numpy()
                each = rows.select(f"p{code}" for code in range(classes)).to_numpy()
                options = {"sample_weight": weight, "labels": list(range(classes))}
                about = (None, classes, seed, group)
                assert same(audited["log_loss", *about], sklearn.log_loss(label, each, **options))
                assert same(audited["brier_score", *about], sklearn.brier_score_loss(label, each, **options))


def test_error_rates_are_fairlearns(audited, problems):
    """fairlearn's are 0 where a group has no positives or no negatives."""
    for seed, frame in enumerate(problems[2]):
        label, predicted, group, weight = (frame[name].to_numpy() for name in ("label", "predicted", "group", "weight"))
        names = ("false_negative_rate", "true_negative_rate")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = fairlearn.MetricFrame(
                metrics={name: getattr(fairlearn, name) for name in names},
                y_true=label,
                y_pred=predicted,
                sensitive_features=group,
                sample_params={name: {"sample_weight": weight} for name in names},
            )
        for name in names:
            for one, value in theirs.by_group[name].items():
                ours = audited[name, None, 2, seed, one]
                assert value == 0 if ours is None else abs(ours - value) <= EXACT
