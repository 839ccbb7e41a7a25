"""The numbers behind the page's verdicts are those of the tables."""

from __future__ import annotations

import json

import polars as pl
import pytest

from evenhand.report import evidence, verdict_tables


def tables_of(results):
    return [
        *verdict_tables.across_tables(results.verdicts, results.design),
        *verdict_tables.verdict_tables(results.verdicts, results.design),
    ]


def four_digits(value):
    return None if value is None else float(f"{value:.4g}")


@pytest.fixture
def across(simulate):
    return simulate(methods=("full", "lora"), settings=("faces", "posts"), n=300, seeds=3)


@pytest.mark.parametrize("results", ["small", "across"])
def test_every_row_has_the_numbers_of_its_verdict(results, request):
    results = request.getfixturevalue(results)
    tables = tables_of(results)
    known = evidence.evidence(results, tables)
    records = [row for table in tables for row in table.records]
    assert len(known["rows"]) == len(records) == len(results.verdicts)
    short = {"c": "contrast", "l": "low", "h": "high", "d": "detectable", "p": "p", "q": "p_adjusted"}
    for row, record in zip(known["rows"], records, strict=True):
        assert {name: row.get(name) for name in short} == {
            name: four_digits(record[column]) for name, column in short.items()
        }
        assert (row.get("g"), row.get("r"), row.get("w")) == (record["margin"], record["runs"], record["runs_needed"])
        assert (known["families"][row["i"]] if "i" in row else None) == record["family"]
    json.dumps(known, allow_nan=False)


def test_a_change_stands_on_the_values_of_both_methods_run_by_run(small):
    tables = tables_of(small)
    known = evidence.evidence(small, tables)
    records = [row for table in tables for row in table.records]
    compared = 0
    for row, record in zip(known["rows"], records, strict=True):
        if record["measure"] == "accuracy" and record["comparison"] == "change" and record["contrast"] is not None:
            of, against = known["series"][row["a"]], known["series"][row["b"]]
            assert known["seeds"][of["s"]] == [0, 1, 2, 3, 4] == known["seeds"][against["s"]]
            runs = [a - b for a, b in zip(against["v"], of["v"], strict=True)]
            # Rounded to three digits; every run tested about as many examples of a group.
            assert sum(runs) / 5 == pytest.approx(record["contrast"], abs=0.02)
            compared += 1
    assert compared == 4


def test_a_gap_change_stands_on_the_gaps_of_both_methods(small):
    tables = tables_of(small)
    known = evidence.evidence(small, tables)
    records = [row for table in tables for row in table.records]
    gaps = small.estimates.filter(pl.col("seed").is_null(), comparison="gap", measure="accuracy")
    for row, record in zip(known["rows"], records, strict=True):
        if record["measure"] == "accuracy" and record["comparison"] == "gap change" and record["group"] is not None:
            for side, method in (("a", "lora"), ("b", "full")):
                value = gaps.filter(group=record["group"], method=method)["value"][0]
                assert known["series"][row[side]]["c"] == four_digits(value)


def test_a_mean_over_settings_stands_on_those_of_the_settings(across):
    tables = tables_of(across)
    known = evidence.evidence(across, tables)
    records = [row for table in tables for row in table.records]
    pooled = [(row, record) for row, record in zip(known["rows"], records, strict=True) if record["setting"] is None]
    assert pooled
    for row, record in pooled:
        if record["contrast"] is not None:
            assert {each[0] for each in row["z"]} <= {"faces", "posts"}
            assert len(row["z"]) == record["runs"]
            low, high = min(each[1] for each in row["z"]), max(each[1] for each in row["z"])
            assert low - 1e-3 <= record["contrast"] <= high + 1e-3


def test_the_page_can_be_narrowed_to_what_is_there(across):
    found = evidence.choices(across, tables_of(across))
    assert found["settings"] == ["faces", "posts"]
    assert found["methods"] == ["lora", "full"]
    assert found["attributes"] == {"shape": ["circle", "square", "triangle"]}
    assert found["measures"]["accuracy"] == "accuracy"
