"""Sentences on the gaps of one model: which group fares worst and by how much, or which gaps are excluded."""

from __future__ import annotations

import math

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import known
from evenhand.report.wording import (
    Row,
    by_pair,
    digits,
    main_split,
    measure_named,
    number,
    others,
    others_of,
    settings_of,
    title,
)

_NAMED = 3
"""The most groups that a sentence names."""

_FAR = 2
"""A group is named where the gap that is excluded for it is so many times that of every other group."""


def gap_lines(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """The first sentences of a headline on single methods, for each setting and method, in the main split.

    The group that fares worst against others and by how much, with its interval; by accuracy where a group is worse
    in accuracy, else by the first measure in which one is. Where none is worse in accuracy: the gap that is excluded
    for every group, which is the largest upper bound of the simultaneous intervals. Empty without gaps to judge.
    """
    gaps = verdicts.filter(comparison="gap").drop_nulls(["verdict", "setting"])
    gaps = gaps.filter(split=main_split(verdicts["split"]) or "")
    settings, level = settings_of(gaps, design), round(100 * (1 - 2 * design.alpha))
    lines = []
    for setting in settings:
        lead = f"{setting}: " if len(settings) > 1 else ""
        by_method = by_pair(gaps.filter(setting=setting), design, setting)
        for method, _, rows in by_method:
            under = f" under {method}" if len(by_method) > 1 else ""
            lines.append(lead + " ".join(_sentences(rows, method, under, level)))
    return lines


def _sentences(rows: pl.DataFrame, method: str, under: str, level: int) -> list[str]:
    """The sentences on one method; `under` names it in those that need not, where there are others."""
    first = _first_measure(rows)
    of_first, worse = rows.filter(measure=first), rows.filter(verdict="worse")
    if worse.is_empty():
        return [f"No group is shown to fare worse than {others_of(rows)}{under}{_excluded(of_first)}."]
    if first in worse["measure"]:
        return [_worst(worse.filter(measure=first), method, level)]
    other = worse.filter(measure=worse["measure"][0])
    beside = f"No group is shown to fare worse than {others_of(of_first)} in {title(first)}{_excluded(of_first)}."
    return [_worst(other, method, level), beside]


def _first_measure(rows: pl.DataFrame) -> str:
    """The measure that is the easiest to understand, else the first of the rows."""
    present = set(rows["measure"])
    easy = [name for name, measure in known().items() if measure.display.detectable and name in present]
    return easy[0] if easy else rows["measure"][0]


def _worst(worse: pl.DataFrame, method: str, level: int) -> str:
    """The group that fares worst among rows of one measure, with its interval."""
    row = worse.sort("contrast", descending=True, maintain_order=True).row(0, named=True)
    worse_in = measure_named(row["measure"]).display.worse or f"has a worse {title(row['measure'])}"
    by = _amount(row["measure"], row["contrast"], row["low"], row["high"], level)
    return f"{method} {worse_in} for {_group(row)} than for {others(row['against'])}, by {by}."


def _group(row: Row) -> str:
    of_class = "" if row["class"] is None else f" (class {row['class']})"
    return f"{row['attribute']} = {row['group']}{of_class}"


def in_points(measure: str) -> bool:
    """Whether differences of a measure are said in percentage points, as those of shares are."""
    return measure_named(measure).proportion


def _amount(measure: str, value: float, low: float, high: float, level: int) -> str:
    """A difference with its interval: `41 points (90% interval 38 to 44)`."""
    if not in_points(measure):
        value_, low_, high_ = (number(each, digits(measure)) for each in (value, low, high))
        return f"{value_} ({level}% interval {low_} to {high_})"
    decimals = 0 if min(abs(100 * low), 100 * (high - low)) >= 2 else 1
    value_, low_, high_ = (number(100 * each, decimals) for each in (value, low, high))
    return f"{value_} {'point' if float(value_) == 1 else 'points'} ({level}% interval {low_} to {high_})"


def _excluded(rows: pl.DataFrame) -> str:
    """The gaps of one measure that are excluded, and the groups that nothing can be said of, as the end of a sentence.

    Bounds hold simultaneously, so the largest holds for every group; one that is far above the others is named.
    """
    judged = rows.drop_nulls("high").sort("high", descending=True, maintain_order=True)
    without = [_group(row) for row in rows.filter(pl.col("high").is_null()).iter_rows(named=True)]
    more = [f"{len(without) - _NAMED} more"] if len(without) > _NAMED else []
    unknown = f"; {' and '.join([', '.join(without[:_NAMED]), *more])} could not be judged" if without else ""
    if judged.is_empty():
        return unknown
    measure, bounds = judged["measure"][0], judged["high"].to_list()
    every = "every group" if not without else "every other group"
    text = f"; gaps in {title(measure)} above {_bound(measure, bounds[0])} are excluded for {every}"
    if len(bounds) > 1 and bounds[0] > _FAR * max(bounds[1], 0):
        text = (
            f"; gaps in {title(measure)} above {_bound(measure, bounds[1])} are excluded for every group but "
            f"{_group(judged.row(0, named=True))}, for which only those above {_bound(measure, bounds[0])} are"
        )
    return text + unknown


def _bound(measure: str, bound: float) -> str:
    """An upper bound in words, rounded upward; not below 0, since a gap is against a group."""
    scale, decimals = (100, 0 if bound >= 0.1 else 1) if in_points(measure) else (1, digits(measure))
    upward = math.ceil(max(scale * bound, 0) * 10**decimals) / 10**decimals
    text = f"{upward:.{decimals}f}".removesuffix(".0" if in_points(measure) else "")
    return f"{text} {'point' if text == '1' else 'points'}" if in_points(measure) else text
