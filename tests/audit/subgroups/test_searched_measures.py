"""Contrasts of every measure that is searched are those of a loop over subgroups with scikit-learn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

import evenhand
from evenhand.audit.measures import known
from evenhand.audit.subgroups.searchable import KINDS, why_not
from evenhand.errors import InputError
from evenhand.report.markdown import markdown

ROWS = 240
GROUPS = {"sex": ["f", "m"], "region": ["n", "s", "w"]}
WORSE = {"brier_score": 1, "log_loss": 1, "mean_absolute_error": 1}
"""The signs of measures of which more is worse; of all others less is."""


def log_loss(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    return float(metrics.log_loss(y, p, sample_weight=w, labels=[0, 1]))


ORACLES = {
    "brier_score": lambda y, p, w: float(metrics.brier_score_loss(y, p, sample_weight=w)),
    "log_loss": log_loss,
    "positive_predictive_value": lambda y, p, w: float(metrics.precision_score(y, p > 0.5, sample_weight=w)),
    "negative_predictive_value": lambda y, p, w: float(metrics.precision_score(1 - y, p <= 0.5, sample_weight=w)),
    "f1_score": lambda y, p, w: float(metrics.f1_score(y, p > 0.5, sample_weight=w)),
    "balanced_accuracy": lambda y, p, w: float(metrics.balanced_accuracy_score(y, p > 0.5, sample_weight=w)),
}


def people(seed: int, runs: int) -> pl.DataFrame:
    """Two methods' probabilities, with weights."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.choice(groups, ROWS) for name, groups in GROUPS.items()}
    label, weight = rng.integers(0, 2, ROWS), rng.uniform(0.5, 2, ROWS)
    parts = []
    for method in ("full", "lora"):
        for run in range(runs):
            p = 1 / (1 + np.exp(-rng.normal(1.6 * label - 0.8, 1.2)))
            own = {**columns, "id": np.arange(ROWS), "y": label, "w": weight, "p": p, "method": method, "seed": run}
            parts.append(pl.DataFrame(own))
    return pl.concat(parts)


def members(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Who is in each conjunction, by name."""
    groups = {f"{name}={group}": (frame[name] == group).to_numpy() for name in GROUPS for group in GROUPS[name]}
    made = {}
    for size in (1, 2):
        for names in combinations(groups, size):
            inside = np.logical_and.reduce([groups[name] for name in names])
            if inside.sum() >= 20:
                made[" & ".join(names)] = inside
    return made


def worth(measure: str, frame: pl.DataFrame, inside: np.ndarray, method: str) -> float:
    """The mean over runs of a measure, positive where more is worse."""
    values = []
    for seed in frame["seed"].unique():
        rows = ((frame["method"] == method) & (frame["seed"] == seed)).to_numpy() & inside
        values.append(ORACLES[measure](*(frame[column].to_numpy()[rows] for column in ("y", "p", "w"))))
    return WORSE.get(measure, -1) * float(np.mean(values))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_contrast_is_that_of_a_loop_with_scikit_learn(seed):
    frame = people(seed, runs=1 + 2 * (seed % 2))
    results = evenhand.audit(
        frame, label="y", probability="p", groups=list(GROUPS), weight="w", method="method", reference="full",
        example="id", seed="seed", comparison=None if seed < 2 else "gap", measures=list(ORACLES),
        subgroups={"depth": 2, "support": 20},
    )  # fmt: skip
    found = results.findings.filter(selection="max T")
    inside, seen = members(frame), set()
    for row in found.iter_rows(named=True):
        mask, measure = inside[row["subgroup"]], row["measure"]
        ours = [worth(measure, frame, side, row["method"]) for side in (mask, ~mask)]
        expected = ours[0] - ours[1]
        if row["comparison"] != "gap":
            theirs = [worth(measure, frame, side, row["reference"]) for side in (mask, ~mask)]
            changes = [mine - other for mine, other in zip(ours, theirs, strict=True)]
            expected = changes[0] if row["comparison"] == "change" else changes[0] - changes[1]
        assert row["value"] == pytest.approx(expected, abs=1e-9), row
        assert 0 < row["p_adjusted"] <= 1 and row["low"] <= row["value"] <= row["high"]
        seen.add((measure, row["comparison"]))
    kinds = {"gap"} if seed >= 2 else {"change", "gap change"}
    assert {measure for measure, _ in seen} == set(ORACLES)
    assert kinds <= {kind for _, kind in seen}
    assert set(found["subgroup"]) <= set(inside)


def numbers(seed: int, harm: float = 0.0) -> pl.DataFrame:
    """Predictions of numbers whose errors are larger where sex is f and region is n."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.choice(groups, 3000) for name, groups in GROUPS.items()}
    label = rng.normal(size=3000)
    spread = 1 + harm * ((columns["sex"] == "f") & (columns["region"] == "n"))
    return pl.DataFrame({**columns, "y": label, "guess": label + spread * rng.normal(size=3000)})


def test_errors_of_regression_are_searched_and_the_planted_subgroup_is_found():
    frame = numbers(0, harm=0.8)
    results = evenhand.audit(
        frame, label="y", prediction="guess", groups=list(GROUPS), task="regression", subgroups={"depth": 2}
    )
    found = results.findings.filter(selection="max T")
    assert set(found["measure"]) == {"mean_absolute_error", "mean_error"}
    errors = np.abs(frame["guess"].to_numpy() - frame["y"].to_numpy())
    for row in found.filter(measure="mean_absolute_error").iter_rows(named=True):
        mask = members(frame)[row["subgroup"]]
        assert row["value"] == pytest.approx(errors[mask].mean() - errors[~mask].mean())
    worst = found.filter(measure="mean_absolute_error").row(0, named=True)
    assert worst["subgroup"] == "sex=f & region=n" and worst["p_adjusted"] <= 0.01 and worst["verdict"] == "worse"
    text = markdown(results)
    assert "Searched by: mean absolute error, mean error." in text
    assert "root mean squared error (it is no ratio of sums over examples)" in text


def test_a_column_of_values_is_searched_on_its_scale():
    rng = np.random.default_rng(1)
    frame = numbers(1).with_columns(grade=pl.Series(np.exp(rng.normal(size=3000))))
    groups, mask = list(GROUPS), members(frame)["sex=f & region=s"]
    frame = frame.with_columns(grade=pl.when(pl.Series(mask)).then(pl.col("grade") * 2).otherwise(pl.col("grade")))
    options = {"groups": groups, "value": "grade", "more_is": "worse", "subgroups": {"depth": 2}}
    found = evenhand.audit(frame, **options, scale="log").findings.filter(selection="max T")
    logs = np.log(frame["grade"].to_numpy())
    worst = found.row(0, named=True)
    assert (worst["measure"], worst["subgroup"], worst["verdict"]) == ("grade", "sex=f & region=s", "worse")
    assert worst["value"] == pytest.approx(logs[mask].mean() - logs[~mask].mean())
    with pytest.raises(InputError, match="ranks of a subgroup among its rest are no means"):
        evenhand.audit(frame, **options, scale="rank")


def test_measures_none_of_which_can_be_searched_are_refused_with_the_reason():
    frame = people(0, 1).filter(pl.col("method") == "full")
    keywords = {"label": "y", "probability": "p", "groups": list(GROUPS), "subgroups": {"depth": 2}}
    with pytest.raises(InputError, match="calibration_error_squared: a search by it would find something"):
        evenhand.audit(frame, **keywords, measures=["average_precision", "calibration_error_squared"])


def test_the_report_says_what_is_not_searched():
    frame = people(0, 1).filter(pl.col("method") == "full")
    keywords = {"label": "y", "probability": "p", "groups": list(GROUPS), "subgroups": {"depth": 2, "support": 20}}
    text = markdown(evenhand.audit(frame, **keywords, measures=["log_loss", "calibration_error_squared"]))
    assert "Searched by: log loss." in text
    assert "(a search by it would find something where everybody is calibrated)." in text


def test_the_reason_is_known_for_every_measure_that_is_not_searched():
    for measure in known().values():
        reason = why_not(measure)
        if measure.kind not in KINDS:
            assert reason == f"records of {measure.kind} are not searched"
        else:
            assert reason is None or reason.strip()
