"""Sentences on the gaps of one model: which group fares worst and by how much, or which gaps are excluded."""

from __future__ import annotations

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import known
from evenhand.report.amounts import bound, difference, span_of
from evenhand.report.contrast_panels import positive_is
from evenhand.report.wording import (
    Row,
    by_pair,
    main_split,
    measure_named,
    others,
    others_of,
    place,
    settings_of,
    title,
)

_NAMED = 3
"""The most groups that a sentence names."""

_FAR = 2
"""A group is named where the gap that is excluded for it is so many times that of every other group."""

_NOT_JUDGED = ": shown, not judged"
"""How a reason ends in the note of a row that has no interval."""

_WHOLE = 0.995
"""A bound above this share of the largest contrast that there can be excludes nothing."""


def gap_lines(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """The first sentences of a headline on single methods, for each setting and method, in the main split.

    The group that fares worst against others and by how much, with its interval; by accuracy where a group is worse
    in accuracy, else by the first measure in which one is. Where none is worse in accuracy: the gap that is excluded
    for every group, which is the largest upper bound of the simultaneous intervals. Where neither direction of any
    measure is worse: the group that differs most. Empty without gaps to judge.
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
            undirected = positive_is(first_measure(rows), design, setting) == "higher"
            said = _differences if undirected else _sentences
            lines.append(lead + " ".join(said(rows, method, under, level)))
    return lines


def _differences(rows: pl.DataFrame, method: str, under: str, level: int) -> list[str]:
    """The sentence on one method by a measure of which neither direction is worse; `under` as for `_sentences`."""
    of_first = rows.filter(measure=first_measure(rows))
    name = title(of_first["measure"][0])
    different = of_first.filter(verdict="different").sort(pl.col("contrast").abs(), descending=True)
    if different.is_empty():
        ending = excluded(of_first, either_way=True)
        return [f"No group is shown to differ from {others_of(of_first)} in {name}{under}{ending}."]
    row, way = different.row(0, named=True), "higher"
    if row["contrast"] < 0:
        row, way = row | {"contrast": -row["contrast"], "low": -row["high"], "high": -row["low"]}, "lower"
    said = f"{name} is {way} for {group_of(row)} than for {others(row['against'])}, by {difference(row, level)}"
    return [f"Under {method}, {said}; neither direction is declared worse."]


def _sentences(rows: pl.DataFrame, method: str, under: str, level: int) -> list[str]:
    """The sentences on one method; `under` names it in those that need not, where there are others."""
    first = first_measure(rows)
    of_first, worse = rows.filter(measure=first), rows.filter(verdict="worse")
    if worse.is_empty():
        return [f"No group is shown to fare worse than {others_of(rows)}{under}{excluded(of_first)}."]
    if first in worse["measure"]:
        return [_worst(worse.filter(measure=first), method, level)]
    other = worse.filter(measure=worse["measure"][0])
    beside = f"No group is shown to fare worse than {others_of(of_first)} in {title(first)}{excluded(of_first)}."
    return [_worst(other, method, level), beside]


def first_measure(rows: pl.DataFrame) -> str:
    """The measure that is the easiest to understand, else the first of the rows in which one direction is worse."""
    present = set(rows["measure"])
    easy = [name for name, measure in known().items() if measure.display.detectable and name in present]
    directed = (name for name in rows["measure"] if measure_named(name).direction)
    return easy[0] if easy else next(directed, rows["measure"][0])


def _worst(worse: pl.DataFrame, method: str, level: int) -> str:
    """The group that fares worst among rows of one measure, with its interval."""
    row = worse.sort("contrast", descending=True, maintain_order=True).row(0, named=True)
    worse_in = measure_named(row["measure"]).display.worse or f"has a worse {title(row['measure'])}"
    return f"{method} {worse_in} for {group_of(row)} than for {others(row['against'])}, by {difference(row, level)}."


def group_of(row: Row) -> str:
    """The group of a row, with its class: `age = old (class yes)`.

    Example:
        >>> group_of({"attribute": "age", "group": "old", "class": None})
        'age = old'
    """
    of_class = "" if row["class"] is None else f" (class {row['class']})"
    return f"{row['attribute']} = {row['group']}{of_class}"


def _why(unjudged: pl.DataFrame) -> str:
    """The reason for which rows are shown and not judged, in brackets; empty where they have several or none."""
    reasons = {
        part.removesuffix(_NOT_JUDGED)
        for note in unjudged["note"].drop_nulls()
        for part in note.split("; ")
        if part.endswith(_NOT_JUDGED)
    }
    return f" ({reasons.pop()})" if len(reasons) == 1 else ""


def excluded(rows: pl.DataFrame, noun: str = "gaps", *, either_way: bool = False) -> str:
    """The differences of one measure that are excluded, and the groups that nothing can be said of, as an ending.

    Bounds hold simultaneously, so the largest holds for every group; one that is far above the others is named. An
    interval without width excludes nothing: the values that it is from do not vary.

    Args:
        rows: about groups, or none of them.
        noun: what the differences are called: `gaps` between groups, `harms` of a method.
        either_way: whether both directions count, since neither is worse.
    """
    wide = (pl.col("high") != pl.col("low")).fill_null(value=False)
    if either_way:
        rows = rows.with_columns(high=pl.when(wide).then(pl.max_horizontal("high", -pl.col("low"))).otherwise("high"))
    judged = rows.filter(wide).sort("high", descending=True, maintain_order=True)
    without = [group_of(row) for row in rows.filter(~wide, pl.col("group").is_not_null()).iter_rows(named=True)]
    more = [f"{len(without) - _NAMED} more"] if len(without) > _NAMED else []
    unknown = ""
    if without:
        named = " and ".join([", ".join(without[:_NAMED]), *more])
        unknown = f"; {named} could not be judged{_why(rows.filter(~wide))}"
    if judged.is_empty():
        return unknown
    measure, bounds = judged["measure"][0], judged["high"].to_list()
    if bounds[0] <= 0:
        return f"; {noun} in {title(measure)} of any size are excluded{unknown}"
    possible = [bound for bound in bounds if bound > _WHOLE * span_of(measure)]
    if len(possible) == len(bounds):
        return f"; no {noun.removesuffix('s')} in {title(measure)} is excluded{unknown}"
    if possible:
        whole = bool(judged["group"].null_count())  # of questions, say, and not of groups
        kind, first = "comparison" if whole else "group", judged.row(0, named=True)
        named = place(first) if whole else group_of(first)
        several = str(len(possible)) if whole else f"{len(possible)} {kind}s"
        open_ones = named if len(possible) == 1 else several
        return (
            f"; only {noun} in {title(measure)} above {bound(measure, bounds[len(possible)])} are excluded for every "
            f"{kind} but {open_ones}, for which none is{unknown}"
        )
    # Where nearly anything is possible, "excluded" alone would sound like an answer.
    only = "only " if bounds[0] > span_of(measure) / 4 else ""
    text = f"; {only}{noun} in {title(measure)} above {bound(measure, bounds[0])} are excluded"
    if judged["group"].null_count():
        return text + unknown
    if len(bounds) > 1 and bounds[0] > _FAR * max(bounds[1], 0):
        text = (
            f"; {noun} in {title(measure)} above {bound(measure, bounds[1])} are excluded for every group but "
            f"{group_of(judged.row(0, named=True))}, for which only those above {bound(measure, bounds[0])} are"
        )
        return text + unknown
    return f"{text} for {'every group' if not without else 'every other group'}{unknown}"
