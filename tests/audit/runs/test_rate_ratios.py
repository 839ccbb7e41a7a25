"""Demographic parity ratios and the four-fifths rule in an audit: values by hand, units, weights, runs, nulls."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.stats import score_ratio

RATIO, RULE = "demographic_parity_ratio", "four_fifths_difference"


def people(sizes: dict[str, tuple[int, int]], **columns) -> pl.DataFrame:
    """So many selected of so many in each group."""
    rows = [(group, int(index < chosen)) for group, (chosen, n) in sizes.items() for index in range(n)]
    frame = pl.DataFrame(rows, schema=["group", "guess"], orient="row")
    return frame.with_columns(y=pl.int_range(len(rows)) % 2, **columns)


def rows_of(frame, measure=RATIO, seed=None, **how):
    """By group, the rows over runs (or of a seed)."""
    how = {"groups": "group", "measures": [RATIO], **how}
    found = evenhand.audit(frame, label="y", prediction="guess", **how).estimates.filter(measure=measure)
    found = found.filter(pl.col("seed").is_null() if seed is None else pl.col("seed") == seed)
    return {row["group"]: row for row in found.iter_rows(named=True)}


SIZES = {"a": (30, 100), "b": (40, 80), "c": (90, 120)}


def test_the_ratio_is_to_the_rest():
    rows = rows_of(people(SIZES))
    assert rows["a"]["value"] == pytest.approx(0.3 / (130 / 200), abs=1e-15)
    assert {(row["comparison"], row["against"], row["n"]) for row in rows.values()} == {(None, "rest", 300)}


def test_the_ratio_is_to_everybody():
    rows = rows_of(people(SIZES), against="overall")
    assert rows["a"]["value"] == pytest.approx(0.3 / (160 / 300), abs=1e-15)
    assert rows["a"]["low"] < rows["a"]["value"] < rows["a"]["high"]
    assert rows["a"]["against"] == "overall"


def test_the_ratio_is_to_the_declared_group_and_never_to_the_highest_rate():
    rows = rows_of(people(SIZES), against="b")
    assert set(rows) == {"a", "c"}
    assert (rows["a"]["value"], rows["c"]["value"]) == pytest.approx((0.6, 1.5), abs=1e-15)
    assert rows["a"]["n"] == 180


def test_one_run_has_koopmans_interval():
    """At sizes n − 1, which are the effective ones p(1 − p)/V, and t with Welch's degrees of freedom."""
    row = rows_of(people(SIZES), against="b")["a"]
    wide, narrow = (score_ratio(0.3, 99, 0.5, 79, quantile) for quantile in (1.99, 1.96))
    assert wide[0] < row["low"] < narrow[0] and narrow[1] < row["high"] < wide[1]


def test_the_rule_is_linear_and_asked_for_with_the_ratio():
    rows = rows_of(people(SIZES), RULE, against="b")
    assert rows["a"]["value"] == pytest.approx(0.3 - 0.8 * 0.5, abs=1e-15)
    assert rows["a"]["low"] < rows["a"]["value"] < rows["a"]["high"] < 0.1
    assert rows["c"]["low"] > 0  # passes


def test_weights_count():
    frame = people(SIZES).with_columns(w=1.0 + 2.0 * pl.col("guess") * (pl.col("group") == "a"))
    row = rows_of(frame, against="b", weight="w")["a"]
    assert row["value"] == pytest.approx((90 / 160) / 0.5, abs=1e-14)


def test_copies_as_units_leave_the_value_and_its_interval_as_they_were():
    once = people(SIZES).with_row_index("unit")
    copied = pl.concat([once] * 5)
    (first, again) = (rows_of(frame, against="b", unit="unit")["a"] for frame in (once, copied))
    assert again["value"] == pytest.approx(first["value"], abs=1e-14)
    assert (again["low"], again["high"]) == pytest.approx((first["low"], first["high"]), rel=0.02)
    alone = rows_of(copied, against="b")["a"]
    assert alone["high"] - alone["low"] < 0.6 * (first["high"] - first["low"])


@pytest.mark.parametrize("unit", [None, "id"])
def test_over_runs_it_is_the_ratio_of_mean_rates(unit):
    """Also where units are named, and rates are computed example by example."""
    rng = np.random.default_rng(0)
    n, frames = 300, []
    group, label = rng.choice(["a", "b"], n), rng.integers(0, 2, n)
    for seed in range(3):
        guess = (rng.random(n) < np.where(group == "a", 0.2 + 0.1 * seed, 0.5)).astype(int)
        frames.append(
            pl.DataFrame({"id": np.arange(n), "y": label, "guess": guess, "group": group, "seed": [seed] * n})
        )
    frame = pl.concat(frames)
    rates = frame.group_by("group", "seed").agg(pl.col("guess").mean()).group_by("group").agg(pl.col("guess").mean())
    rate = dict(rates.iter_rows())
    how = {"against": "b", "example": "id", "unit": unit}
    found = evenhand.audit(frame, label="y", prediction="guess", groups="group", seed="seed", measures=[RATIO], **how)
    (row,) = found.estimates.filter(pl.col("seed").is_null(), measure=RATIO).iter_rows(named=True)
    assert row["value"] == pytest.approx(rate["a"] / rate["b"], abs=1e-14)
    assert row["low"] < row["value"] < row["high"]
    of_runs = found.estimates.filter(pl.col("seed").is_not_null(), measure=RATIO)
    assert len(of_runs) == 3 and of_runs["low"].null_count() == 0


def test_all_groups_at_once_is_example_by_example(monkeypatch):
    from evenhand.audit.runs.rates import SubsetRates

    for against in (None, "overall", "b"):
        closed = [rows_of(people(SIZES), name, against=against) for name in (RATIO, RULE)]
        with monkeypatch.context() as patched:
            patched.setattr(SubsetRates, "able", False)
            slow = [rows_of(people(SIZES), name, against=against) for name in (RATIO, RULE)]
        for ours, theirs in zip(closed, slow, strict=True):
            assert ours.keys() == theirs.keys()
            for group, row in ours.items():
                for part in ("value", "low", "high"):
                    assert theirs[group][part] == pytest.approx(row[part], rel=1e-9), (against, group, part)


def test_a_ratio_to_a_rate_of_0_is_undefined_with_the_reason():
    rows = rows_of(people({"a": (5, 50), "b": (0, 60)}), against="b")
    assert rows["a"]["value"] is None and rows["a"]["low"] is None
    assert "the selection rate of b is 0" in rows["a"]["note"]
    rule = rows_of(people({"a": (15, 50), "b": (0, 60)}), RULE, against="b")["a"]
    assert rule["value"] == pytest.approx(0.3) and rule["low"] > 0


def test_nobody_selected_anywhere_is_no_crash():
    rows = rows_of(people({"a": (0, 50), "b": (0, 60)}))
    assert {row["value"] for row in rows.values()} == {None}
    assert "the selection rate of the rest is 0" in rows["a"]["note"]


def test_a_group_without_members_in_a_run_has_the_reason():
    frame = people(SIZES).with_row_index("id").with_columns(seed=pl.lit(0))
    later = frame.filter(pl.col("group") != "a").with_columns(seed=pl.lit(1))
    found = evenhand.audit(pl.concat([frame, later]), label="y", prediction="guess", groups="group", seed="seed",
                           example="id", against="b", measures=[RATIO], split="fixed").estimates  # fmt: skip
    rows = {row["seed"]: row for row in found.filter(measure=RATIO, group="a").iter_rows(named=True)}
    assert rows[1]["value"] is None and "no test examples in the group" in rows[1]["note"]
    assert rows[0]["value"] == rows[None]["value"] == pytest.approx(0.6)


def test_a_group_of_one_has_a_value_and_no_interval():
    rows = rows_of(people({"a": (1, 1), "b": (30, 60)}), against="b")
    assert rows["a"]["value"] == 2.0 and rows["a"]["low"] is None


def test_of_several_classes_each_is_a_selection():
    frame = people(SIZES).with_columns(guess=pl.Series(["x", "y", "z"] * 100), y=pl.Series(["z", "x", "y"] * 100))
    how = {"groups": "group", "measures": [RATIO], "against": "b"}
    found = evenhand.audit(frame, label="y", prediction="guess", **how).estimates.filter(measure=RATIO, group="a")
    assert set(found["class"]) == {"x", "y", "z"}


def test_where_the_positive_prediction_is_not_wanted_a_note_says_so():
    note = "the positive prediction is not the favourable one, which the four-fifths rule is about"
    assert note in rows_of(people(SIZES), favourable="negative")["a"]["note"]
    assert note not in (rows_of(people(SIZES), favourable="positive")["a"]["note"] or "")
