"""Self-consistency and flip rates through the audit, against predictions that are compared one by one."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand.audit.comparisons import DISCORDANT
from evenhand.audit.measures import known, select
from evenhand.audit.runs.evidence import SKEWED
from evenhand.audit.runs.run_pairs import FEW_SHARED, TWO_RUNS
from evenhand.errors import InputError
from evenhand.metrics import prediction_flip_rate, self_consistency

MEASURES = ("self_consistency", "prediction_flip_rate")


def table(
    n: int = 120,
    seeds: int = 4,
    methods: tuple[str, ...] = ("full", "lora"),
    share: float = 1.0,
    classes: int = 2,
    seed: int = 0,
    unstable: str = "",
    alone: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Predictions of several methods and seeds; group c flips more under the last method.

    Args:
        share: of the examples that each seed tests; the methods of a seed test the same.
        unstable: a method whose runs hardly agree.
        alone: methods with one run.
    """
    rng = np.random.default_rng(seed)
    group, label, weight = rng.choice(list("abc"), n), rng.integers(0, classes, n), rng.choice([1.0, 2.0], n)
    usual = np.where(rng.random(n) < 0.8, label, rng.integers(0, classes, n))
    parts = []
    for run in range(seeds):
        rows = np.sort(rng.permutation(n)[: round(share * n)])
        for place, method in enumerate(methods):
            if method in alone and run:
                continue
            often = 0.1 + 0.4 * ((group[rows] == "c") & (place == len(methods) - 1)) + 0.5 * (method == unstable)
            guess = np.where(rng.random(len(rows)) < often, rng.integers(0, classes, len(rows)), usual[rows])
            columns = {"id": rows, "y": label[rows], "yhat": guess, "g": group[rows], "w": weight[rows]}
            parts.append(pl.DataFrame({**columns, "unit": rows // 3}).with_columns(method=pl.lit(method), seed=run))
    return pl.concat(parts)


def audited(frame: pl.DataFrame, **how: Any) -> eh.Results:
    how = {"reference": "full", "measures": MEASURES, "example": "id", **how}
    return eh.audit(frame, label="y", prediction="yhat", groups="g", method="method", seed="seed", **how)


def level(results: eh.Results, **where: Any) -> dict[str, Any]:
    """The one row of the estimates over seeds that is no gap."""
    rows = results.estimates.filter(pl.col("comparison").is_null())
    for name, value in {"seed": None, "group": None, **where}.items():
        rows = rows.filter(pl.col(name).is_null() if value is None else pl.col(name) == value)
    return rows.row(0, named=True) if len(rows) == 1 else pytest.fail(f"{len(rows)} rows")


def predicted(frame: pl.DataFrame, method: str, group: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of a method's runs on a group, int [J, n], −1 where there is none; and weights [n]."""
    members = frame if group is None else frame.filter(g=group)
    ids = members["id"].unique().sort()
    weight = members.group_by("id").agg(pl.first("w")).sort("id")["w"].to_numpy()
    runs = [
        ids.to_frame().join(run.select("id", "yhat"), on="id", how="left", maintain_order="left")["yhat"]
        for run in members.filter(method=method).partition_by("seed", maintain_order=True)
    ]
    return np.stack([run.fill_null(-1).to_numpy() for run in runs]), weight


@pytest.mark.parametrize(("share", "classes", "weight"), [(1.0, 2, None), (0.5, 2, "w"), (1.0, 4, "w"), (0.5, 4, None)])
def test_self_consistency_is_that_of_the_predictions(share, classes, weight):
    frame = table(share=share, classes=classes, seeds=5)
    results = audited(frame, weight=weight)
    for method in ("full", "lora"):
        for group in (None, "a", "b", "c"):
            runs, weights = predicted(frame, method, group)
            row = level(results, measure="self_consistency", method=method, group=group)
            expected = self_consistency(runs, tested=runs >= 0, sample_weight=weights if weight else None)
            assert row["value"] == pytest.approx(expected)
            assert row["low"] < row["value"] < row["high"]
            assert row["n"] == ((runs >= 0).sum(axis=0) >= 2).sum()
    assert results.estimates.filter(measure="self_consistency")["seed"].is_null().all()


@pytest.mark.parametrize(("share", "weight"), [(1.0, "w"), (0.5, None)])
def test_flip_rates_are_those_of_the_predictions_seed_by_seed(share, weight):
    frame = table(share=share, seeds=5)
    results = audited(frame, weight=weight)
    for group in (None, "a", "b", "c"):
        (ours, weights), (theirs, _) = predicted(frame, "lora", group), predicted(frame, "full", group)
        rates = []
        for run, other, seed in zip(ours, theirs, range(5), strict=True):
            tested = run >= 0
            own = weights[tested] if weight else None
            rates.append(prediction_flip_rate(run[tested], other[tested], sample_weight=own))
            row = level(results, measure="prediction_flip_rate", method="lora", group=group, seed=seed)
            assert row["value"] == pytest.approx(rates[-1])
        row = level(results, measure="prediction_flip_rate", method="lora", group=group)
        assert row["value"] == pytest.approx(np.mean(rates))
        assert row["condition"] == "full"


def test_the_references_own_row_is_what_its_seeds_flip_among_themselves():
    frame = table()
    results = audited(frame)
    for group in (None, "c"):
        row = level(results, measure="prediction_flip_rate", method="full", group=group)
        consistency = level(results, measure="self_consistency", method="full", group=group)
        runs, _ = predicted(frame, "full", group)
        pairs = [prediction_flip_rate(one, other) for one, other in combinations(runs, 2)]
        assert row["value"] == pytest.approx(np.mean(pairs))
        assert row["value"] == pytest.approx(1 - consistency["value"])
        assert (row["low"], row["high"]) == pytest.approx((1 - consistency["high"], 1 - consistency["low"]))


def verdict(results: eh.Results, **where: Any) -> dict[str, Any]:
    rows = results.verdicts.filter(**where)
    return rows.row(0, named=True) if len(rows) == 1 else pytest.fail(f"{len(rows)} rows")


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_change_is_what_a_method_flips_beyond_the_seeds_of_its_reference(share):
    results = audited(table(share=share, seeds=6))
    row = verdict(results, measure="prediction_flip_rate", comparison="change", group="c")
    ours, theirs = (level(results, measure=row["measure"], method=name, group="c") for name in ("lora", "full"))
    assert row["contrast"] == pytest.approx(ours["value"] - theirs["value"])
    assert row["low"] < row["contrast"] < row["high"]
    assert (row["method"], row["reference"], row["condition"]) == ("lora", "full", "full")


def test_a_method_that_flips_one_group_more_is_found():
    results = audited(table(n=600, seeds=5))
    for comparison in ("gap", "gap change"):
        row = verdict(results, measure="prediction_flip_rate", comparison=comparison, group="c")
        assert row["verdict"] == "worse"
        assert row["reference"] == (None if comparison == "gap" else "full")
    row = verdict(results, measure="self_consistency", comparison="change", group="c")
    assert row["verdict"] == "worse"
    assert row["contrast"] > 0  # less consistent
    assert results.verdicts.filter(measure="self_consistency", comparison="gap").is_empty()


def test_a_less_consistent_group_has_a_gap_of_its_own():
    frame = table(n=600, seeds=5).filter(method="lora")
    results = audited(frame, reference=None, measures=["self_consistency"])
    row = verdict(results, comparison="gap", group="c")
    assert row["verdict"] == "worse"


def test_a_new_split_per_seed_says_how_many_examples_count():
    frame = table(share=0.4, seeds=5)
    results = audited(frame)
    row = level(results, measure="self_consistency", method="full", group="a")
    runs, _ = predicted(frame.filter(g="a"), "full")
    tested, counted = ((runs >= 0).sum(axis=0) >= least for least in (1, 2))
    note = f"{counted.sum()} of {tested.sum()} tested examples were predicted by two runs or more, and count"
    assert note in row["note"]


def test_two_runs_have_values_and_no_verdict():
    results = audited(table(seeds=2))
    row = level(results, measure="self_consistency", method="full")
    assert row["value"] is not None and row["low"] is not None and TWO_RUNS in row["note"]
    row = verdict(results, measure="self_consistency", comparison="change", group="a")
    assert row["contrast"] is not None and row["low"] is None and TWO_RUNS in row["note"]
    flips = results.verdicts.filter(measure="prediction_flip_rate", comparison="gap")
    assert flips["low"].is_not_null().all()  # a flip needs no second run


def test_one_run_each_has_flips_without_a_baseline_and_no_consistency():
    results = audited(table(n=400, seeds=1))
    row = level(results, measure="self_consistency", method="full")
    assert row["value"] is None and "two runs" in row["note"]
    assert set(results.verdicts["measure"]) == {"prediction_flip_rate"}
    assert set(results.verdicts["comparison"]) == {"gap"}
    assert set(results.estimates.filter(measure="prediction_flip_rate")["method"]) == {"lora"}
    gap = verdict(results, group="c")
    assert gap["verdict"] == "worse" and gap["scope"] == "this model"


def test_one_model_is_compared_with_each_run_of_the_reference():
    frame = table(alone=("lora",))
    results = audited(frame)
    theirs, _ = predicted(frame, "full")
    (ours,), _ = predicted(frame, "lora")
    rates = [prediction_flip_rate(ours, run) for run in theirs]
    row = level(results, measure="prediction_flip_rate", method="lora")
    assert row["value"] == pytest.approx(np.mean(rates))
    assert level(results, measure="self_consistency", method="lora")["value"] is None
    assert results.verdicts.filter(measure="self_consistency").is_empty()


def test_each_reference_has_rows_of_its_own():
    results = audited(table(methods=("full", "head", "lora"), n=200), reference=["full", "head"])
    flips = results.estimates.filter(pl.col("seed").is_null(), pl.col("group").is_null(), measure=MEASURES[1])
    assert set(flips.select("method", "condition").iter_rows()) == {
        ("full", "full"),
        ("head", "full"),
        ("lora", "full"),
        ("head", "head"),
        ("lora", "head"),
    }
    gaps = results.verdicts.filter(measure=MEASURES[1], comparison="gap", method="lora")
    families = {(row["condition"], row["family"].split(", lora")[0]) for row in gaps.iter_rows(named=True)}
    assert families == {(name, f"gap of prediction_flip_rate by group, flips from {name}") for name in ("full", "head")}


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_units_are_resampled_together(share):
    frame = table(share=share, n=240, seeds=5)
    alone, together = audited(frame), audited(frame, unit="unit")
    for measure in MEASURES:
        first, second = (level(results, measure=measure, method="lora") for results in (alone, together))
        assert first["value"] == pytest.approx(second["value"])
        assert (first["low"], first["high"]) != (second["low"], second["high"])


def test_rows_that_nothing_pairs_are_in_common_to_no_two_runs():
    frame = table(seeds=3).sample(fraction=1, shuffle=True, seed=0).with_columns(id=pl.int_range(pl.len()))
    results = audited(frame)
    assert results.estimates.filter(measure="self_consistency")["value"].is_null().all()
    assert results.estimates.filter(measure="prediction_flip_rate", method="lora")["value"].is_null().all()


def test_a_run_that_collapsed_is_named_with_the_answer_without_it():
    frame = table(n=400, seeds=6)
    frame = frame.with_columns(
        yhat=pl.when((pl.col("method") == "lora") & (pl.col("seed") == 2)).then(1).otherwise("yhat")
    )
    row = verdict(audited(frame), measure="self_consistency", comparison="change", group="a")
    assert "looks collapsed: lora at seed 2" in row["note"] and "without collapsed runs: " in row["note"]


def test_where_some_run_leaves_no_pair_behind_nothing_is_judged():
    frame = table(n=40, seeds=3).filter(~((pl.col("g") == "a") & (pl.col("seed") == 2)))
    results = audited(frame)
    row = level(results, measure="self_consistency", method="full", group="a")
    assert row["value"] is not None and FEW_SHARED in row["note"]
    change = verdict(results, measure="self_consistency", comparison="change", group="a")
    assert change["contrast"] is not None and change["low"] is None and FEW_SHARED in change["note"]


def test_the_note_on_a_change_says_why_its_interval_is_wider():
    row = verdict(audited(table(n=400, seeds=5)), measure="self_consistency", comparison="change", group="b")
    assert (SKEWED in row["note"]) != (DISCORDANT in row["note"])


def test_methods_that_are_the_same_are_not_called_equivalent_without_a_width():
    frame = table(n=400, seeds=5).filter(method="full")
    frame = pl.concat([frame, frame.with_columns(method=pl.lit("copy"))])
    row = verdict(audited(frame, margins={"default": 0.05}), measure="self_consistency", comparison="change", group="a")
    assert row["contrast"] == 0 and row["low"] < 0 < row["high"]


def test_both_are_computed_on_request_only():
    assert not {*MEASURES} & {measure.name for measure in select([], "predictions")}
    assert {*MEASURES} <= {measure.name for measure in select(["all"], "predictions")}
    plain = audited(table(), measures=None)
    assert not {*MEASURES} & {*plain.estimates["measure"]}


def test_a_flip_rate_without_a_reference_is_refused():
    with pytest.raises(InputError, match="prediction_flip_rate compares each method with a reference"):
        audited(table(methods=("lora",)), reference=None)
    everything = audited(table(methods=("lora",)), reference=None, measures=["all"])
    assert "prediction_flip_rate" not in everything.estimates["measure"]
    assert "self_consistency" in everything.estimates["measure"]


def test_a_margin_and_a_policy_can_name_them():
    results = audited(table(n=600, seeds=5), margins={"self_consistency": 0.3})
    row = verdict(results, measure="self_consistency", comparison="change", group="a")
    assert row["margin"] == 0.3 and row["verdict"] == "equivalent"
    assert {known()[name].question for name in MEASURES} == {"stability"}
