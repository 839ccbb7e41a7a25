"""Tables of ratios of selection rates between groups, with the answer of the four-fifths rule."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from evenhand.audit.measures import shown_in
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.reportable import Reportable, levels
from evenhand.report.tables import Footnotes, Grid
from evenhand.report.wording import Row, by_setting_and_split, digits, methods_of, place, title

_SAME = ("attribute", "group", "class", "method")
"""The columns that the rows of a ratio and of its rule agree in, within a setting and split."""


def rule_in_words(low: float | None, high: float | None) -> str:
    """The answer of a rule that a linear form is at least 0, from its interval.

    Example:
        >>> rule_in_words(0.01, 0.2), rule_in_words(-0.2, -0.01), rule_in_words(-0.1, 0.1)
        ('passes', 'fails', 'inconclusive')
    """
    if low is None or high is None:
        return NONE
    if low > 0:
        return "passes"
    return "fails" if high < 0 else "inconclusive"


def ratio_grids(results: Reportable) -> list[tuple[str, str, list[Grid]]]:
    """A table for each setting and split: a row for each group and method, with ratio, linear form and the answer."""
    measures = {measure.name: measure for measure in shown_in("ratios")}
    over = levels(results).filter(pl.col("seed").is_null(), pl.col("measure").is_in(list(measures)))
    grids = []
    for setting, split, here in by_setting_and_split(over, results.design):
        order = {method: rank for rank, method in enumerate(methods_of(here, results.design, setting))}
        for name, measure in measures.items():
            rows = here.filter(measure=name)
            if measure.tested_by is None or rows.is_empty():
                continue
            rule = measure.tested_by[1]
            tests = {_key(row): row for row in here.filter(measure=rule).iter_rows(named=True)}
            notes, cells = Footnotes(), []
            for row in sorted(rows.iter_rows(named=True), key=lambda row: order[row["method"]]):
                test = tests.get(_key(row), {})
                ratio = _value(row)
                if row["value"] is None:
                    ratio += "".join(f" ({mark})" for mark in notes.mark(row["note"]))
                answer = rule_in_words(test.get("low"), test.get("high"))
                linear = _value(test, signed=True) if test else NONE
                cells.append([place(row), row["method"], str(row["n"] or 0), ratio, linear, answer])
            head = ["", "method", "examples compared", title(name), title(rule), "answer"]
            grids.append((setting, split, [Grid(title(name), head, cells, notes.texts)]))
    return grids


def _key(row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row[column] for column in _SAME)


def _value(row: Row, signed: bool = False) -> str:
    """A value with its interval, where there is one."""
    decimals = digits(row["measure"])
    text = number(row["value"], decimals, signed)
    return text if row["low"] is None else f"{text} {interval(row['low'], row['high'], decimals, signed)}"
