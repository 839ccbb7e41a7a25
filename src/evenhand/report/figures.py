"""The report's charts as picture files, for papers, slides and READMEs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from evenhand.audit.kinds.membership import ROC
from evenhand.audit.measures import of_kind
from evenhand.audit.planted_harm import MEASURE
from evenhand.report import charts, paper
from evenhand.report.group_charts import PARITY
from evenhand.report.harness import drawn_rows
from evenhand.report.paper import Figured
from evenhand.report.probes import probed_for
from evenhand.report.verdict_tables import pooled_pairs
from evenhand.report.wording import settings_of

FORMATS = ("png", "svg", "pdf")


def write(results: Figured, folder: Path, format: str = "png") -> list[Path]:
    """Write the charts of the split `test`: verdicts, harm that would have been seen, group accuracy, each disparity,
    shares of translations, guesses about authors (of whatever reviews were asked about), benchmarks, what probes find
    over layers, and ROC curves of membership inference, by setting and attribute; of several settings the contrasts
    across them, by method and reference; and the figures that the design names, in all formats.

    Args:
        results: of a run or an audit.
        folder: made if it does not exist. Pictures of the same names are replaced, each whole.
        format: png, svg or pdf.

    Returns:
        The files, `[SETTING-]CHART-ATTRIBUTE.FORMAT`, the setting named where there are several, and
        `across-settings-METHOD-REFERENCE.FORMAT`. The figures come first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in results.design.figure:
        chart = paper.draw(results, figure)
        written += [_saved(chart, folder / f"{figure.name}.{ending}") for ending in FORMATS]
    return written + [_saved(chart, folder / f"{name}.{format}") for name, chart in _charts(results)]


def _saved(chart: Any, path: Path) -> Path:
    """A chart as a file that is there whole or not at all."""
    aside = path.with_name(f".{os.getpid()}-{path.name}")
    charts.save(chart, aside)
    aside.replace(path)
    return path


def _charts(results: Figured) -> Iterator[tuple[str, Any]]:
    design = results.design
    estimates = results.estimates.filter(pl.col("split") == "test")
    verdicts = results.verdicts.filter(pl.col("split") == "test")
    pooled = verdicts.filter(pl.col("setting").is_null(), pl.col("class").is_null()).drop_nulls(["verdict", "contrast"])
    for pair in pooled_pairs(pooled, design):
        chart = charts.across_chart(verdicts, design, split="test", method=pair["method"], reference=pair["reference"])
        yield _named(f"across-settings-{pair['method']}-{pair['reference']}"), chart
    for setting in settings_of(results.estimates, design):
        first = f"{setting}-" if len(design.settings) > 1 else ""
        own = estimates.filter(setting=setting)
        scored = own.filter(pl.col("measure").is_in(of_kind("benchmarks")))
        own = own.filter(~pl.col("measure").is_in(of_kind("benchmarks")))
        for attribute in own["attribute"].drop_nulls().unique(maintain_order=True):
            where = {"setting": setting, "split": "test", "attribute": attribute}
            decided = verdicts.filter(setting=setting, attribute=attribute).drop_nulls("verdict")
            if len(decided.filter(pl.col("class").is_null())):
                whole = verdicts.filter(pl.col("class").is_null())
                yield _named(f"{first}verdicts-{attribute}"), charts.verdict_chart(whole, design, **where)
            harm = results.curves.filter(measure=MEASURE, setting=setting, split="test", attribute=attribute)
            if len(harm):
                yield _named(f"{first}harm-{attribute}"), charts.harm_chart(results.curves, design, **where)
            if len(own.filter(measure="accuracy")):
                yield _named(f"{first}accuracy-{attribute}"), charts.group_accuracy_chart(estimates, design, **where)
            for measure in PARITY:
                rows = own.filter(pl.col("class").is_null(), attribute=attribute, measure=measure)
                if rows["value"].count():
                    chart = charts.disparity_chart(estimates, design, measure=measure, **where)
                    yield _named(f"{first}{measure.removesuffix('_difference')}-{attribute}"), chart
        if len(own.filter(measure="pro_share")):
            yield _named(f"{first}translations"), charts.shares_chart(estimates, design, setting=setting, split="test")
        guessed = results.estimates.filter(setting=setting, measure="guess_lean").drop_nulls("value")
        if len(guessed):
            yield _named(f"{first}answers"), charts.answers_chart(results.estimates, design, setting=setting)
        if len(drawn_rows(scored)):
            yield _named(f"{first}benchmarks"), charts.harness_chart(scored, design, setting=setting, split="test")
        for target in probed_for(own):
            chart = charts.probes_chart(estimates, design, setting=setting, split="test", target=target)
            yield _named(f"{first}probes-{target}"), chart
        leaks = results.curves.filter(measure=ROC, setting=setting, split="test")
        named = leaks["attribute"].drop_nulls().unique(maintain_order=True).to_list()
        for attribute in named or ([None] if len(leaks) else []):
            chart = charts.roc_chart(leaks, design, setting=setting, split="test", attribute=attribute)
            yield _named(f"{first}membership" + (f"-{attribute}" if attribute else "")), chart


def _named(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", name).replace("_", "-")
