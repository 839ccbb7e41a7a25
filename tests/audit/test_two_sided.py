"""Verdicts on selection rates: two-sided, unless it is said which prediction is favourable."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.errors import InputError
from evenhand.report.headline import details, headline
from evenhand.stats import two_sided_verdict


def table(share: float, n: int = 6000, seed: int = 0) -> pl.DataFrame:
    """One model that selects half of everybody and another share of group b, a third of all."""
    rng = np.random.default_rng(seed)
    group, label = rng.choice(["a", "b"], n, p=[2 / 3, 1 / 3]), rng.integers(0, 2, n)
    guess = (rng.random(n) < np.where(group == "b", share, 0.5)).astype(int)
    return pl.DataFrame({"y": label, "guess": guess, "group": group})


def verdict_of(frame: pl.DataFrame, margin: float = 0.1, **how) -> dict:
    arguments = {"label": "y", "prediction": "guess", "groups": "group", "measures": ["selection_rate"]}
    results = evenhand.audit(frame, **arguments, margins={"default": margin}, **how)
    (row,) = results.verdicts.filter(comparison="gap").rows(named=True)
    return row


@pytest.mark.parametrize(("share", "word"), [(0.3, "different"), (0.7, "different"), (0.5, "equivalent")])
def test_without_a_favourable_prediction_neither_direction_is_worse(share, word):
    assert verdict_of(table(share))["verdict"] == word


@pytest.mark.parametrize(
    ("favourable", "share", "harmed"),
    [("positive", 0.3, "b"), ("positive", 0.7, "a"), ("negative", 0.3, "a"), ("negative", 0.7, "b")],
)
def test_with_one_the_group_that_gets_less_of_it_is_named(favourable, share, harmed):
    row = verdict_of(table(share), favourable=favourable)
    assert (row["verdict"], row["group"]) == ("worse", harmed) and row["contrast"] > 0


def test_a_two_sided_verdict_has_half_of_the_level_on_each_side():
    """Its p-value is twice the smaller tail, and both agree."""
    two, one = (verdict_of(table(0.46), 0.001, favourable=favourable) for favourable in (None, "positive"))
    assert two["p"] == pytest.approx(2 * one["p"])
    assert two["high"] - two["low"] > one["high"] - one["low"]
    assert (two["verdict"] == "different") == (two["p_adjusted"] <= 0.05)


def test_chance_alone_is_rarely_different():
    found = [verdict_of(table(0.5, n=300, seed=seed), 0.01)["verdict"] for seed in range(100)]
    assert found.count("different") <= 12  # 5 expected; more than 12 has a probability of .001


def test_methods_that_select_alike_have_changes_and_gap_changes():
    frame = pl.concat([table(0.5, seed=seed).with_columns(model=pl.lit(f"m{seed}")) for seed in (0, 1)])
    arguments = {"label": "y", "prediction": "guess", "groups": "group", "method": "model", "reference": "m0"}
    results = evenhand.audit(frame, **arguments, measures=["selection_rate"], margins={"default": 0.1})
    rows = results.verdicts
    assert set(rows["comparison"]) == {"change", "gap change"} and set(rows["verdict"]) <= {
        "equivalent",
        "inconclusive",
    }
    asked = evenhand.audit(frame, **arguments, measures=["selection_rate"], comparison="gap")
    assert set(asked.verdicts["comparison"]) == {"change", "gap", "gap change"}
    assert set(asked.verdicts.filter(comparison="gap")["method"]) == {"m0", "m1"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"favourable": "good"}, "positive or negative"), ({"comparison": "level"}, "gap, not 'level'")],
)
def test_a_word_that_means_nothing_is_refused(arguments, named):
    with pytest.raises(InputError, match=named):
        verdict_of(table(0.5, n=60), **arguments)


def test_a_favourable_prediction_needs_two_classes():
    frame = table(0.5, n=90).with_columns(y=pl.Series([0, 1, 2] * 30))
    with pytest.raises(InputError, match="two classes"):
        verdict_of(frame, favourable="positive")


@pytest.mark.parametrize(
    ("low", "high", "margin", "word"),
    [
        (0.01, 0.05, None, "different"),
        (-0.05, -0.01, 0.02, "different"),
        (0.001, 0.01, 0.02, "equivalent"),
        (-0.05, 0.05, 0.02, "inconclusive"),
        (-0.05, 0.01, 0.02, "inconclusive"),
        (0.0, 0.0, 0.02, "inconclusive"),
    ],
)
def test_the_rule(low, high, margin, word):
    assert two_sided_verdict(low, high, margin) == word


def three_groups(of_c: float) -> evenhand.Results:
    """Two models that select half of two groups; the second selects another share of the third."""
    rng = np.random.default_rng(0)
    groups, label = rng.choice(list("abc"), 900), rng.integers(0, 2, 900)
    parts = []
    for name, share in (("old", 0.5), ("new", of_c)):
        guess = (rng.random(900) < np.where(groups == "c", share, 0.5)).astype(int)
        parts.append(pl.DataFrame({"y": label, "guess": guess, "group": groups}).with_columns(model=pl.lit(name)))
    arguments = {"label": "y", "prediction": "guess", "groups": "group", "method": "model", "reference": "old"}
    return evenhand.audit(pl.concat(parts), **arguments, measures=["selection_rate"], margins={"default": 0.05})


def test_a_gap_that_widens_between_groups_is_different_and_closes_no_gate():
    """`worse` would say what nobody declared, and fail a gate while the headline says that nothing is worse."""
    results = three_groups(0.95)
    (row,) = results.verdicts.filter(pl.col("attribute").is_not_null() & pl.col("group").is_null()).to_dicts()
    assert (row["verdict"], row["disparity"]) == ("different", "widens")
    assert "worse" not in results.verdicts["verdict"] and results.gate().passed
    first = headline(results)[0]
    assert first.startswith("Different, with neither direction declared worse: selection rate, higher for group = c")
    assert "harm" not in first


def test_what_is_excluded_without_a_direction_is_a_difference_either_way():
    results = three_groups(0.5)
    of_groups = results.verdicts.filter(comparison="change").drop_nulls("group")
    reach = max(of_groups["high"].max(), -of_groups["low"].min())
    first = headline(results)[0]
    assert first.startswith("new is not shown to differ from old in selection rate for any group; differences in ")
    assert f"above {np.ceil(100 * reach):.0f} points are excluded" in first and "harm" not in first


@pytest.mark.parametrize(("share", "higher"), [(0.2, "a"), (0.8, "b"), (0.5, None)])
def test_the_sentences_on_one_model_say_who_differs_and_call_nobody_worse_off(share, higher):
    arguments = {"label": "y", "prediction": "guess", "groups": "group", "measures": ["selection_rate"]}
    results = evenhand.audit(table(share), **arguments, margins={"default": 0.05})
    text = " ".join(details(results))
    assert (f"selection rate is higher for group = {higher} than for the rest" in text) == (higher is not None)
    assert ("No group is shown to differ from the rest" in text) == (higher is None) and "fare worse" not in text
