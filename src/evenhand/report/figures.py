"""Writes the report's charts as picture files, for papers, slides and READMEs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from evenhand.atomic_files import remove_leftovers, replacing
from evenhand.report import charts, paper, vega
from evenhand.report.blocks import attributes_of
from evenhand.report.reportable import Reportable
from evenhand.report.sections import SECTIONS
from evenhand.report.visible_names import with_visible_names
from evenhand.report.wording import by_pair, claims, settings_of, single_part

FORMATS = ("png", "svg", "pdf")


def write(results: Reportable, folder: Path, format: str = "png") -> list[Path]:
    """Write the report's charts as pictures, one file each.

    Verdicts are those of the split `test`, by setting and attribute; of several settings also the contrasts across
    them, by method and reference. Sections give the charts that they name (`evenhand.report.blocks.Figure.stem`), of
    `test` or a setting's first split. The figures that the design names come first, in all formats.

    Args:
        results: of a run or an audit.
        folder: made if it does not exist. Pictures of the same names are replaced, each whole.
        format: png, svg or pdf.

    Returns:
        The files, `[SETTING-]CHART-ATTRIBUTE.FORMAT`, the setting named where there are several, and
        `across-settings-METHOD-REFERENCE.FORMAT`.
    """
    results = with_visible_names(results)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    written = []
    for figure in results.design.figure:
        chart = paper.draw(results, figure)
        written += [_saved(chart, folder / f"{figure.name}.{ending}") for ending in FORMATS]
    named = {_file_name(name): chart for name, chart in (*_verdicts(results), *_sections(results))}
    return written + [_saved(chart, folder / f"{name}.{format}") for name, chart in named.items()]


def _saved(chart: vega.Chart, path: Path) -> Path:
    with replacing(path) as aside:
        charts.save(chart, aside)
    return path


def _verdicts(results: Reportable) -> Iterator[tuple[str, vega.Chart]]:
    """Charts of verdicts that show all measures together; single classes are not drawn."""
    design = results.design
    verdicts = results.verdicts.filter(pl.col("split") == "test", pl.col("class").is_null())
    pooled = verdicts.filter(pl.col("setting").is_null()).drop_nulls(["verdict", "contrast"])
    for method, reference, _ in by_pair(pooled, design):
        chart = charts.across_chart(verdicts, design, split="test", method=method, reference=reference)
        yield f"across-settings-{method}-{reference}", chart
    for setting in settings_of(verdicts, design):
        whole = claims(verdicts).filter(~single_part(design), setting=setting)
        decided = whole.drop_nulls("verdict")
        for attribute in attributes_of(decided):
            if attribute is not None:
                chart = charts.verdict_chart(whole, design, setting=setting, split="test", attribute=attribute)
                yield f"{_lead(results, setting)}verdicts-{attribute}", chart


def _sections(results: Reportable) -> Iterator[tuple[str, vega.Chart]]:
    """The charts of the sections that have a file name, of the first split only."""
    seen = set()
    for section in SECTIONS:
        for block in section.blocks(results):
            for figure in block.figures:
                name = f"{_lead(results, block.setting)}{figure.stem}"
                if figure.stem and name not in seen:
                    seen.add(name)
                    yield name, figure.chart


def _lead(results: Reportable, setting: str | None) -> str:
    return f"{setting}-" if len(results.design.settings) > 1 else ""


def _file_name(name: str) -> str:
    """A name with only characters that every file system accepts."""
    return re.sub(r"[^\w.-]+", "_", name).replace("_", "-")
