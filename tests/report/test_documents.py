"""Markdown, LaTeX and model cards of results of every kind."""

from __future__ import annotations

import re
from functools import cache

import polars as pl
import pytest
import yaml

from evenhand import Results
from evenhand.report.card import card
from evenhand.report.document_tables import document_tables
from evenhand.report.latex import latex
from evenhand.report.markdown import markdown
from evenhand.report.page import html
from evenhand.report.verdict_matrix import matrices
from evenhand.report.wording import claims, main_split, single_part
from golden.golden_records import CASES

KINDS = (
    "three_classes",
    "one_seed",
    "a_method_that_failed",
    "an_extra_test_set",
    "translations_of_several_settings",
    "options",
    "benchmarks",
    "probes",
    "a_pool_attacked_by_lira",
)


@cache
def results_of(case: str) -> Results:
    return Results.compute(**CASES[case]())


@pytest.mark.parametrize("case", KINDS)
def test_every_table_has_a_title_of_its_own_and_rows_as_long_as_its_head(case):
    tables = list(document_tables(results_of(case)))
    titles = [table.title for table in tables if table.section != "training"]
    assert len(titles) > 2 and len(set(titles)) == len(titles)
    assert all(len(row) == len(table.grid.head) for table in tables for row in table.grid.rows)


@pytest.mark.parametrize("case", KINDS)
def test_latex_and_markdown_hold_every_judged_contrast(case):
    results = results_of(case)
    made = markdown(results)
    assert made.count("\n## ") > 3
    text = re.sub(r"\\[&%#$_{}]", "", latex(results))
    assert text.count(r"\begin{tabular}") + text.count(r"\begin{longtable}") >= 2
    assert text.count("{") == text.count("}")
    judged = results.verdicts.drop_nulls("verdict")
    assert all(verdict in made for verdict in judged["verdict"].unique())
    whole = claims(judged).filter(~single_part(), pl.col("class").is_null(), split=main_split(judged["split"]))
    rows = sum(len(rows) for matrix in matrices(results) for _, rows in matrix.parts)
    places = ["setting", "measure", "comparison", "attribute", "group", "condition", "correction", "against"]
    assert rows == len(whole.select(places).unique())
    assert all(verdict in text for verdict in whole["verdict"].unique())


@pytest.mark.parametrize("case", KINDS)
def test_a_card_has_metadata_and_the_words_of_the_page(case):
    results = results_of(case)
    text = card(results)
    entries = yaml.safe_load(text.split("---\n")[1])["model-index"]
    metrics = [metric for entry in entries for metric in entry["results"][0]["metrics"]]
    assert metrics and all(metric["value"] is not None for metric in metrics)
    assert "### What was not tested" in text
    hub = pytest.importorskip("huggingface_hub", reason="needs the train extra")
    assert hub.ModelCard(text).data.eval_results


def test_numbers_of_a_table_are_those_of_the_page():
    results = results_of("three_classes")
    page, cells = html(results), 0
    for table in document_tables(results):
        for cell in (cell for row in table.grid.rows for cell in row if "[" in cell):
            assert cell in page
            cells += 1
    assert cells > 30
