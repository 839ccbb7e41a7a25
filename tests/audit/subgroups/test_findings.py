"""What an audit finds: the planted subgroup, what adds nothing to it, and what drives it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand import records
from evenhand.audit.verification import verify
from evenhand.errors import InputError


def table(rng: np.random.Generator, n: int, harm: float, seeds: int = 1, methods: tuple[str, ...] = ("full", "lora")):
    """Predictions that are right in 85%, by the last method in `harm` less where sex is f and region is north."""
    sex, region, age = rng.choice(["f", "m"], n), rng.choice(["north", "south", "west"], n), rng.integers(18, 80, n)
    label = rng.integers(0, 2, n)
    rate = 0.85 - harm * ((sex == "f") & (region == "north"))
    parts = []
    common = rng.random(n)
    for method in methods:
        for seed in range(seeds):
            drawn = np.where(rng.random(n) < 0.7, common, rng.random(n))
            right = drawn < (rate if method == methods[-1] else 0.85)
            columns = {"id": np.arange(n), "sex": sex, "region": region, "age": age, "y": label}
            guess = np.where(right, label, 1 - label)
            parts.append(pl.DataFrame({**columns, "guess": guess, "method": method, "seed": seed}))
    return pl.concat(parts)


def audited(frame: pl.DataFrame, subgroups: dict | None = None, **options):
    """An audit of accuracy alone."""
    keywords = {"label": "y", "prediction": "guess", "groups": ["sex", "region", "age"], "measures": ["accuracy"]}
    return evenhand.audit(frame, **keywords, subgroups=subgroups or {"depth": 2, "support": 30}, **options)


@pytest.fixture(scope="module")
def gaps():
    """One model that is less accurate where two attributes meet."""
    return audited(table(np.random.default_rng(0), 3000, 0.2, methods=("full",)))


@pytest.fixture(scope="module")
def changes():
    """Two methods with three runs each, of which one loses accuracy where two attributes meet."""
    frame = table(np.random.default_rng(1), 1500, 0.3, seeds=3)
    return audited(frame, method="method", seed="seed", example="id", reference="full")


def test_the_planted_subgroup_is_the_worst_and_survives(gaps):
    worst = gaps.findings.filter(selection="max T").row(0, named=True)
    assert worst["subgroup"] == "sex=f & region=north"
    assert worst["p_adjusted"] <= 0.01 and worst["low"] > 0
    assert worst["value"] == pytest.approx(0.2, abs=0.06) and worst["low"] < worst["value"] < worst["high"]
    assert worst["noise_high"] < worst["value"]
    assert (worst["comparison"], worst["against"], worst["scope"]) == ("gap", "rest", "this model")


def test_the_other_half_confirms_it(gaps):
    (row,) = gaps.findings.filter(selection="halves").iter_rows(named=True)
    assert row["subgroup"] == "sex=f & region=north" and row["p_adjusted"] < 0.05
    assert "on the half where it was found" in row["note"]


def test_a_planted_change_is_found_as_change_and_as_change_of_the_gap(changes):
    for comparison in ("change", "gap change"):
        found = changes.findings.filter(comparison=comparison, selection="max T").row(0, named=True)
        assert found["subgroup"] == "sex=f & region=north" and found["p_adjusted"] <= 0.01
        assert (found["method"], found["reference"], found["scope"]) == ("lora", "full", "the methods")
        assert found["value"] == pytest.approx(0.3, abs=0.1)


def test_shares_of_drivers_add_up_to_one(gaps):
    for row in gaps.findings.filter(pl.col("drivers").is_not_null()).head(20).iter_rows(named=True):
        shares = [float(driver.rpartition(": ")[2]) for driver in row["drivers"]]
        assert sum(shares) == pytest.approx(1, abs=0.02)
        assert {driver.rpartition(": ")[0] for driver in row["drivers"]} == set(row["subgroup"].split(" & "))


def test_two_groups_that_matter_alike_share_the_contrast_alike():
    n = 4000
    sex, region = np.tile(["f", "f", "m", "m"], n // 4), np.tile(["n", "s"], n // 2)
    right = np.ones(n, dtype=bool)
    right[(sex == "f") & (region == "n")] = np.tile([True, False], n // 8)
    frame = pl.DataFrame({"sex": sex, "region": region, "y": np.tile([0, 1], n // 2)})
    frame = frame.with_columns(guess=np.where(right, frame["y"], 1 - frame["y"]))
    keywords = {"label": "y", "prediction": "guess", "groups": ["sex", "region"], "measures": ["accuracy"]}
    found = evenhand.audit(frame, **keywords, subgroups={"depth": 2}).findings.row(0, named=True)
    assert found["subgroup"] == "sex=f & region=n" and sorted(found["drivers"]) == ["region=n: 0.50", "sex=f: 0.50"]


def test_a_subgroup_that_adds_nothing_folds_under_the_larger_one():
    rng = np.random.default_rng(3)
    n = 6000
    frame = pl.DataFrame(
        {"sex": rng.choice(["f", "m"], n), "eyes": rng.choice(["b", "g"], n), "y": rng.integers(0, 2, n)}
    )
    wrong = rng.random(n) < np.where(frame["sex"] == "f", 0.4, 0.1)
    frame = frame.with_columns(guess=np.where(wrong, 1 - frame["y"], frame["y"]))
    keywords = {"label": "y", "prediction": "guess", "groups": ["sex", "eyes"], "measures": ["accuracy"]}
    found = evenhand.audit(frame, **keywords, subgroups={"depth": 2}).findings.filter(selection="max T")
    parent = dict(found.filter(pl.col("p_adjusted") <= 0.05).select("subgroup", "parent").iter_rows())
    assert parent == {"sex=f": None, "sex=f & eyes=b": "sex=f", "sex=f & eyes=g": "sex=f"}


def test_the_order_of_a_table_decides_nothing(gaps):
    frame = table(np.random.default_rng(0), 3000, 0.2, methods=("full",))
    again = audited(frame.sample(fraction=1.0, shuffle=True, seed=1))
    key = ["selection", "subgroup"]
    numbers = [results.findings.select(*key, "value", "p_adjusted").sort(key) for results in (gaps, again)]
    assert numbers[0].select(key).equals(numbers[1].select(key))
    np.testing.assert_allclose(numbers[0]["p_adjusted"], numbers[1]["p_adjusted"])


def test_findings_are_saved_loaded_and_verified(gaps, tmp_path):
    gaps.save(tmp_path)
    assert records.read(tmp_path / "findings.parquet", "findings").equals(gaps.findings)
    assert evenhand.Results.load(tmp_path).findings.equals(gaps.findings)
    assert verify(tmp_path).differences == ()


def test_an_audit_that_searches_nothing_has_no_findings_and_no_file(tmp_path):
    frame = table(np.random.default_rng(4), 200, 0.0, methods=("full",))
    results = evenhand.audit(frame, label="y", prediction="guess", groups=["sex"], out=tmp_path)
    assert results.findings.is_empty() and not (tmp_path / "findings.parquet").exists()
    assert "findings" not in results.to_json()


@pytest.mark.parametrize(
    ("subgroups", "sentence"),
    [
        ({"depth": 0}, "depth"),
        ({"deep": 3}, 'has no key "deep"; did you mean "depth"'),
        ({"cuts": {"height": 3}}, 'there is no attribute "height" to cut'),
        ({"cuts": {"sex": 3}}, "sex has cuts and is not numeric"),
        ({"cuts": {"age": [50, 30]}}, "the ends of classes ascend"),
        ({"cuts": {"age": 1}}, "a number of classes is 2 or more"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(subgroups, sentence):
    with pytest.raises(InputError, match=sentence):
        audited(table(np.random.default_rng(5), 200, 0.0, methods=("full",)), subgroups)


def test_a_search_without_groups_is_refused():
    frame = table(np.random.default_rng(6), 200, 0.0, methods=("full",))
    with pytest.raises(InputError, match="name at least one column of groups"):
        evenhand.audit(frame, label="y", prediction="guess", subgroups={})


def test_a_larger_group_that_suffers_only_through_the_planted_one_says_so(changes):
    found = changes.findings.filter(selection="max T", comparison="change")
    notes = dict(found.select("subgroup", "note").iter_rows())
    assert notes["sex=f"] == notes["region=north"] == "it does not fare worse without sex=f & region=north"
    assert notes["sex=f & region=north"] is None


def test_a_gap_that_one_method_opens_widens(changes):
    found = changes.findings.filter(selection="max T", comparison="gap change")
    assert found.row(0, named=True)["disparity"] == "widens"
    assert set(found.filter(verdict="inconclusive")["disparity"]) == {"undecided"}
    assert changes.findings.filter(comparison="change")["disparity"].null_count() == len(
        changes.findings.filter(comparison="change")
    )
