"""Tables at the edge of what can be judged: runs of one side only, groups of one, methods without a common example."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.errors import InputError

COLUMNS = {"label": "y", "prediction": "yhat", "groups": "g", "method": "method", "seed": "seed", "reference": "full"}


def rows(rng: np.random.Generator, method: str, seed: int, n: int, *, ids: str | None = None) -> pl.DataFrame:
    """A run that is right about 90 of 100 examples."""
    label = rng.integers(0, 2, n)
    said = np.where(rng.random(n) < 0.9, label, 1 - label)
    frame = pl.DataFrame({"y": label, "yhat": said, "g": rng.choice(["a", "b"], n), "h": rng.choice(["c", "d"], n)})
    frame = frame.with_columns(method=pl.lit(method), seed=pl.lit(seed))
    return frame if ids is None else frame.with_columns(id=pl.Series([f"{ids}{row}" for row in range(n)]))


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("size", [30, 150])
def test_one_unpaired_model_against_several_runs_is_about_that_model(size, seed):
    rng = np.random.default_rng(size)
    table = pl.concat([*(rows(rng, "full", run, 2 * size) for run in range(3)), rows(rng, "lora", seed, size)])
    results = evenhand.audit(table, **COLUMNS)
    scopes = results.verdicts.filter(measure="accuracy", comparison="change")["scope"]
    assert results.design.paired == "none" and set(scopes) == {"this model against the mean of N runs"}


def test_methods_of_different_seeds_are_not_said_to_be_matched():
    rng = np.random.default_rng(0)
    results = evenhand.audit(pl.concat([rows(rng, "full", 0, 200), rows(rng, "lora", 1, 150)]), **COLUMNS)
    assert results.design.paired == "none"
    assert results.verdicts.filter(measure="accuracy", comparison="change")["contrast"].null_count() == 0


@pytest.mark.parametrize("seeds", [2, 3])
def test_where_a_run_of_every_seed_looks_collapsed_the_audit_says_so(seeds):
    rng = np.random.default_rng(seeds)
    label, group, ids = rng.integers(0, 2, 200), rng.choice(["a", "b"], 200), np.arange(200)
    runs = []
    for seed in range(seeds):
        for method in ("full", "lora"):
            said = np.where(rng.random(200) < 0.9, label, 1 - label)
            if (method == "lora") == (seed == 0):
                said = np.ones(200, dtype=int)
            runs.append(pl.DataFrame({"y": label, "yhat": said, "g": group, "id": ids, "method": method, "seed": seed}))
    verdicts = evenhand.audit(pl.concat(runs), **COLUMNS, example="id").verdicts
    note = verdicts.filter(measure="accuracy", comparison="change")["note"][0]
    assert "look" in note and "no verdict" in note


def test_a_search_where_two_methods_share_no_example_says_that_there_is_nothing_to_search():
    rng = np.random.default_rng(1)
    table = pl.concat([rows(rng, method, 0, 300, ids=method) for method in ("full", "lora")])
    options = {**COLUMNS, "groups": ["g", "h"], "example": "id"}
    evenhand.audit(table, **options)
    with pytest.raises(InputError, match="subgroups"):
        evenhand.audit(table, **options, subgroups={})


def test_a_gap_of_membership_without_a_value_in_a_group_is_null_with_the_reason():
    rng = np.random.default_rng(1)
    runs = []
    for seed in range(3):
        member = rng.random(200) < 0.5
        member[100:] = True
        member[:100] |= seed == 2
        group = np.repeat(["a", "b"], 100)
        runs.append(
            pl.DataFrame({"g": group, "m": member, "s": rng.normal(size=200), "id": np.arange(200), "seed": seed})
        )
    results = evenhand.audit(pl.concat(runs), groups="g", member="m", score="s", seed="seed", example="id")
    gaps = results.verdicts.filter(pl.col("group").is_not_null())
    assert len(gaps) and gaps["contrast"].null_count() == len(gaps) and gaps["note"].null_count() == 0


@pytest.mark.parametrize("measures", ["all", ["positive_predictive_value"], ["negative_predictive_value"]])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("against", ["overall", "rest"])
def test_gaps_of_groups_of_a_few_are_shown_without_bounds(against, size, measures):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 500)
    said = np.where(rng.random(500) < 0.9, label, 1 - label)
    # Of those who are selected, or of those who are not, the group or everybody else has one example.
    group = np.where(np.arange(500) < size, "b", "a")
    table = pl.DataFrame({"y": label, "yhat": said, "g": group})
    evenhand.audit(table, label="y", prediction="yhat", groups="g", against=against, measures=measures)
    others = np.flatnonzero(said == 1)[:30]
    group = np.full(500, "a")
    group[[*others, *np.flatnonzero(said == 0)[:size]]] = "b"
    table = table.with_columns(g=pl.Series(group))
    evenhand.audit(table, label="y", prediction="yhat", groups="g", against=against, measures=measures)


def test_a_share_of_a_group_of_one_has_no_bounds():
    table = pl.DataFrame({"v": [0, 1] * 50, "g": ["b"] + ["a"] * 99})
    gaps = evenhand.audit(table, value="v", groups="g", against="overall", more_is="worse").estimates
    one = gaps.filter(group="b", comparison="gap")
    assert one["value"].null_count() == 0 and one["low"].null_count() == len(one)


def test_weights_a_million_times_apart_leave_bounds_that_exclude_nothing():
    table = {
        "y": [2, 0, 0, 1, 1],
        "yhat": [2, 0, 0, 1, 1],
        "g": ["g5", "g4", "g2", "g1", "g2"],
        "unit": [0, 0, 1, 1, 0],
        "w": [1e-6, 1e-6, 1e-6, 1e-6, 1.0],
        "method": ["lora", "full", "full", "full", "full"],
        "seed": [2, 0, 0, 0, 0],
    }
    evenhand.audit(pl.DataFrame(table), **COLUMNS, weight="w", unit="unit")


def test_a_pattern_of_groups_that_matches_the_label_is_refused():
    table = {"is_hired": [0, 1] * 20, "said": [0, 1] * 20, "is_f": [0, 0, 1, 1] * 10, "is_m": [1, 1, 0, 0] * 10}
    with pytest.raises(InputError, match=r'"is_hired" \(label\) is used as group too'):
        evenhand.audit(pl.DataFrame(table), label="is_hired", prediction="said", groups=["sex=is_*"])


@pytest.mark.parametrize(
    ("given", "own", "sentence"),
    [
        ({"p": (0, 1)}, (0, 1), None),
        ({"t": (0, 1), "v": (0, 9)}, (0, 1), None),
        ({"v": (0, 9)}, None, None),
        ({"tt": (0, 1)}, None, 'range: "tt" is no column of numbers here'),
        ({"t": (0, 1), "p": (0, 2)}, None, "label and prediction have one range"),
    ],
)
def test_ranges_by_column_are_known_in_a_regression(given, own, sentence):
    rng = np.random.default_rng(0)
    table = pl.DataFrame({name: rng.random(60) for name in ("t", "p", "v")} | {"g": ["a", "b"] * 30})
    options = {"label": "t", "prediction": "p", "value": "v", "groups": "g", "task": "regression", "range": given}
    if sentence is not None:
        with pytest.raises(InputError, match=sentence):
            evenhand.audit(table, **options)
        return
    regression = evenhand.audit(table, **options).design.settings["table"].regression
    assert regression is not None and regression.range == own


def weighted(weights: np.ndarray) -> evenhand.Results:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, len(weights))
    rows = {"y": label, "h": np.where(rng.random(len(weights)) < 0.8, label, 1 - label)}
    groups = rng.choice(["a", "b"], len(weights))
    frame = pl.DataFrame({**rows, "g": groups, "w": weights})
    return evenhand.audit(frame, label="y", prediction="h", groups="g", weight="w")


def test_an_example_that_outweighs_all_others_is_one_unit():
    rows = weighted(np.where(np.arange(200) == 0, 1e12, 1.0)).verdicts
    assert not rows.is_empty() and "worse" not in rows["verdict"]


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_weights_that_cannot_be_computed_with_are_refused(scale):
    with pytest.raises(InputError, match="too small or too large to compute with; only the ratios of weights matter"):
        weighted(np.full(200, scale))


def test_a_margin_that_serves_no_measure_is_named():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"y": rng.normal(size=200), "h": rng.normal(size=200), "g": ["a", "b"] * 100})
    given = {"label": "y", "prediction": "h", "groups": "g", "task": "regression"}
    said = evenhand.audit(frame, **given, margins={"default": 0.5}).summary()
    assert "The margin of default serves no measure of this audit: it is for measures between 0 and 1" in said
    assert "serves no measure" not in evenhand.audit(frame, **given, margins={"mean_absolute_error": 0.5}).summary()
