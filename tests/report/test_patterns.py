"""The paper's question, whether there is a consistent pattern, as a sentence that is computed."""

from __future__ import annotations

import json

import polars as pl
import pytest

from evenhand.audit.across_settings import ALIKE, DIFFER
from evenhand.audit.record_tables import RecordTables
from evenhand.audit.results import Results
from evenhand.report import page, terminal
from evenhand.report.detail_sentences import pattern_lines
from evenhand.report.markdown import markdown

SETTINGS = ("faces", "posts", "news")


@pytest.fixture(scope="module")
def several(simulate):
    return simulate(settings=SETTINGS)


def pooled(results, **values):
    """The verdicts with values of the pooled accuracy of everyone set, and the other pooled rows near nothing."""
    accuracy = pl.col("attribute").is_null() & (pl.col("measure") == "accuracy")
    none = {"contrast": 0.0, "low": -0.01, "high": 0.01, "predict_low": -0.02, "predict_high": 0.02}
    none |= {"verdict": "equivalent", "note": f"3 settings, I² 0%, p of Q .900: {ALIKE}"}
    over = pl.col("setting").is_null()
    set_to = [
        pl.when(over & accuracy)
        .then(pl.lit(values.get(key, value)))
        .when(over)
        .then(pl.lit(value))
        .otherwise(pl.col(key))
        .alias(key)
        for key, value in none.items()
    ]
    return results.verdicts.filter(pl.col("setting").is_not_null() | pl.col("verdict").is_not_null()).with_columns(
        set_to
    )


def test_no_pattern_is_said_with_mean_interval_and_heterogeneity_of_every_measure(several):
    (said,) = pattern_lines(pooled(several), several.design)
    assert said.startswith("Across 3 settings there is no consistent pattern of lora being worse than full (mean over")
    assert "accuracy 0.000 [−0.010, +0.010] (I² 0%, p .900)" in said
    assert "spread of accuracy, over the groups of shape 0.00000 [−0.01000, +0.01000]" in said
    assert said.endswith("; no sign that settings differ.")


def test_what_is_inconclusive_is_no_absence_of_a_pattern(several):
    (said,) = pattern_lines(pooled(several, verdict="inconclusive"), several.design)
    assert "worse than full, though 1 of " in said and "comparisons are inconclusive" in said


def test_worse_on_average_is_no_consistent_pattern(several):
    found = {"contrast": 0.05, "low": 0.01, "high": 0.09, "predict_low": -0.03, "predict_high": 0.13}
    (said,) = pattern_lines(pooled(several, verdict="worse", **found), several.design)
    assert (
        "lora is worse than full on average in 1 of " in said
        and "none of these results generalizes to a new setting" in said
    )


def test_a_pattern_is_consistent_where_a_new_setting_would_show_it_too(several):
    found = {"contrast": 0.05, "low": 0.03, "high": 0.07, "predict_low": 0.01, "predict_high": 0.09}
    differ = f"3 settings, I² 91%, p of Q .001: {DIFFER}"
    (said,) = pattern_lines(pooled(several, verdict="worse", note=differ, **found), several.design)
    assert "lora is consistently worse than full in 1 of " in said
    assert "(I² 91%, p .001)" in said and said.endswith(f"; {DIFFER} in 1 of them.")


def test_measures_of_different_numbers_of_settings_say_theirs(several):
    verdicts = pooled(several).with_columns(
        runs=pl.when(pl.col("setting").is_null() & (pl.col("measure") == "accuracy")).then(2).otherwise("runs")
    )
    (said,) = pattern_lines(verdicts, several.design)
    assert said.startswith("Across 2 to 3 settings ") and "(3 settings, I² 0%, p .900)" in said


def test_one_setting_has_no_pattern_across_settings(small):
    assert pattern_lines(small.verdicts, small.design) == []


def test_every_form_of_the_report_begins_with_it(several):
    (said,) = pattern_lines(several.verdicts, several.design)
    begins = said[:60]
    assert begins in page.html(several) and begins in markdown(several)
    names = ("examples", "trials", "predictions", "estimates", "verdicts", "curves")
    tables = RecordTables({name: getattr(several, name) for name in names})
    results = Results(tables, several.design, several.provenance)
    assert said in results.to_json()["details"] and json.dumps(said)
    first = results.to_json()["headline"][0]
    assert first.startswith("Across 3 settings lora is less accurate than full for shape = circle, by ")
    assert all(first in text for text in (page.html(several), markdown(several), terminal.text(several)))
