"""The `model-index` of a model card: the values of each method as metadata that the Hugging Face hub reads."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from evenhand.audit.design import SettingDesign
from evenhand.audit.measures import known
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import Row, digits, main_split, methods_of, place, settings_of, title

_MOST = 40
"""With more groups than this their values are left out; the report's tables have them."""

_TASKS = {
    "classification": {"type": "other", "name": "classification"},
    "translation": {"type": "translation"},
    "sft": {"type": "text-generation"},
    "reviews": {"type": "text-generation"},
    "benchmarks": {"type": "text-generation"},
}
"""The tasks of the hub by kind of setting; the records do not say whether images, texts or tables were classified."""


def model_index(results: Reportable) -> list[dict[str, Any]]:
    """One entry for each method in each setting, as `huggingface_hub` writes it.

    Values are means over seeds, of the main split and without corrections: of everyone and between groups for the
    measures that have charts, of each group for the one that is the easiest to understand. Their 95% intervals are
    arguments of the metric.
    """
    charted = [name for name, measure in known().items() if measure.display.shown_in and measure.display.tabled]
    by_group = [name for name, measure in known().items() if measure.display.detectable]
    values = levels(results).filter(
        pl.col("seed").is_null(),
        pl.col("class").is_null(),
        pl.col("correction").is_null(),
        pl.col("measure").is_in(charted),
        pl.col("group").is_null() | pl.col("measure").is_in(by_group),
    )
    values = values.drop_nulls("value").filter(split=main_split(values["split"]) or "")
    settings = settings_of(values, results.design)
    entries = []
    for setting in settings:
        here = values.filter(setting=setting)
        for method in methods_of(here, results.design, setting):
            rows = here.filter(method=method)
            if rows["group"].count() > _MOST:
                rows = rows.filter(pl.col("group").is_null())
            name = method if len(settings) == 1 else f"{method} ({setting})"
            entries.append({"name": name, "results": [_result(rows, results.design.settings[setting], results)]})
    return entries


def _result(rows: pl.DataFrame, setting: SettingDesign, results: Reportable) -> dict[str, Any]:
    """The values of one method: the task, the data, and a metric each."""
    data = setting.task or results.design.source or "a table of predictions"
    return {
        "task": dict(_TASKS.get(setting.kind, _TASKS["classification"])),
        "dataset": {
            "name": data,
            "type": re.sub(r"[^a-z0-9/]+", "-", data.lower()).strip("-") or "table",
            "split": rows["split"][0],
        },
        "metrics": [_metric(row) for row in rows.iter_rows(named=True)],
    }


def _metric(row: Row) -> dict[str, Any]:
    """A value with its name, subject and interval."""
    decimals = digits(row["measure"]) + 1
    about = {name: row[name] for name in ("attribute", "group", "condition") if row[name] is not None}
    bounds = {name: round(row[name], decimals) for name in ("low", "high") if row[name] is not None}
    named = f"{title(row['measure'])} ({place(row)})"
    metric = {"type": row["measure"], "value": round(row["value"], decimals), "name": named}
    args = about | bounds | ({"level": 0.95} if bounds else {})
    return metric | ({"args": args} if args else {})
