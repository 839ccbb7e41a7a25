"""The sentences behind the headline: patterns, counts of verdicts, widening gaps, power, and false alarms."""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from evenhand.audit.across_settings import ALIKE, DIFFER
from evenhand.audit.design import Design
from evenhand.audit.measures import known
from evenhand.audit.strictness import expected_false_alarms
from evenhand.report.amounts import within_range
from evenhand.report.chart_parts import capital
from evenhand.report.contrast_panels import positive_is
from evenhand.report.number_text import interval, number, span
from evenhand.report.wording import (
    EVERYONE,
    Row,
    able_to_answer,
    by_pair,
    changes,
    claims,
    compared,
    digits,
    main_split,
    measure_in_place,
    measure_named,
    others_of,
    place,
    settings_of,
    single_part,
    tally,
    title,
)

_LISTED = 3
"""The most `worse` comparisons that a line names, and the most lines that each add the smallest detectable harm."""

NOTHING_TO_COMPARE = (
    "There is nothing to compare: a comparison needs a reference method or groups, and values of single examples. "
    "There are estimates and no verdicts."
)


def nothing_judged(verdicts: pl.DataFrame) -> str:
    """The sentence on why there is no verdict: nothing to compare, measures that others decide for, or no contrast."""
    if verdicts.is_empty():
        return NOTHING_TO_COMPARE
    if verdicts["verdict"].count():
        return "Nothing could be judged."
    reasons = []
    for name in verdicts["measure"].unique(maintain_order=True):
        measure = measure_named(name)
        by = measure.decided_by or measure.gaps_decided_by
        reasons += [f"for {measure.title}, what decides is {by}"] if by else []
    return f"There are estimates and no verdicts{': ' if reasons else ''}{'; '.join(reasons)}."


def pattern_lines(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """Sentences on whether a method is consistently worse than a reference over the settings of a study.

    A pattern is consistent where the mean over settings is worse than 0 and so is the whole interval in which the
    contrast of a new setting would lie; two settings are too few to say so. The sentence has every measure that gets
    verdicts, of everyone and between groups: the mean over settings, its interval, and how settings differ. About the
    main split; empty where nothing was pooled.
    """
    whole = changes(verdicts).filter(pl.col("class").is_null(), pl.col("group").is_null())
    decided = whole.drop_nulls(["verdict", "contrast"])
    pooled = decided.filter(
        pl.col("setting").is_null(), pl.col("split").eq_missing(pl.lit(main_split(decided["split"])))
    )
    level = round(100 * (1 - 2 * design.alpha))
    return [_pattern(rows, method, str(reference), level) for method, reference, rows in by_pair(pooled, design)]


def _pattern(rows: pl.DataFrame, method: str, reference: str, level: int) -> str:
    counted = sorted(set(rows["runs"]))
    many = f"{counted[0]} settings" if len(counted) == 1 else f"{counted[0]} to {counted[-1]} settings"
    clauses = [_clause(row, several=len(counted) > 1) for row in rows.iter_rows(named=True)]
    worse = rows.filter(pl.col("low") > 0)
    everywhere = worse.filter(pl.col("predict_low") > 0)
    if len(everywhere):
        answer = f"{method} is consistently worse than {reference} in {len(everywhere)} of {len(rows)} comparisons"
    elif len(worse):
        answer = f"{method} is worse than {reference} on average in {len(worse)} of {len(rows)} comparisons, but "
        answer += "none of these results generalizes to a new setting"
    else:
        answer = f"there is no consistent pattern of {method} being worse than {reference}"
        unclear = len(rows.filter(verdict="inconclusive"))
        many_of = f"all {unclear}" if 1 < unclear == len(rows) else f"{unclear} of {len(rows)}"
        answer += f", though {many_of} comparisons are inconclusive" if unclear else ""
    read = f"mean over settings, positive: {method} worse; simultaneous {level}% intervals"
    return f"Across {many} {answer} ({read}): {'; '.join(clauses)}; {_differing(rows)}."


def _clause(row: Row, several: bool) -> str:
    """One pooled row in words: `accuracy −0.003 [−0.010, +0.004] (I² 12%, p .345)`; I² comes from its first note."""
    decimals, who = digits(row["measure"]), place(row)
    contrast = number(row["contrast"], decimals, signed=True)
    bounds = interval(row["low"], row["high"], decimals, signed=True)
    counted, _, differ = (row["note"] or "").partition("; ")[0].partition(": ")[0].partition(", ")
    parts = [*([counted] if several else []), differ.replace("p of Q", "p")]
    about = "" if who == EVERYONE else f", {who}"
    return f"{title(row['measure'])}{about} {contrast} {bounds} ({', '.join(parts)})"


def _differing(pooled: pl.DataFrame) -> str:
    """The number of comparisons in which settings differ by more than noise, in words."""
    differ = int(pooled["note"].str.contains(DIFFER, literal=True).sum())
    return f"{DIFFER} in {differ} of them" if differ else ALIKE


def verdict_lines(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """A line for each setting, method and reference that counts the verdicts of the main split.

    Single questions of many appear in the table only. Where contrasts were pooled over settings, lines about these come
    first. The smallest detectable harm is said in each line, or once at the end where there are many.
    """
    split = main_split(verdicts["split"])
    if split is None:
        return [NOTHING_TO_COMPARE]
    here = claims(verdicts).filter(~single_part(design), split=split)
    settings = settings_of(here, design)
    outcomes: list[tuple[str, pl.DataFrame]] = []
    for setting in settings:
        lead = f"{setting}: " if len(settings) > 1 else ""
        for method, reference, rows in by_pair(here.filter(setting=setting), design, setting):
            # Nobody is judged against an untrained model, nor by measures that others decide for.
            if rows["verdict"].count():
                outcomes.append((f"{_opening(lead, method, reference)}: {_outcome(rows)}.", rows))
    lines = []
    for method, reference, rows in by_pair(here.filter(pl.col("setting").is_null()), design):
        decided = rows.drop_nulls(["verdict", "contrast"])
        differ = f"; {_differing(decided)}" if len(decided) else ""
        lines.append(f"Across settings, {compared(method, reference)}: {_outcome(rows)}{differ}.")
    if len(outcomes) <= _LISTED:
        return [*lines, *(f"{line} {smallest_harm(rows, design)}" for line, rows in outcomes)]
    return [*lines, *(line for line, _ in outcomes), smallest_harm(here, design)]


def _opening(lead: str, method: str, reference: str | None) -> str:
    """The beginning of a line on a pair; a method's name keeps its case."""
    words = compared(method, reference)
    return lead + (capital(words) if reference is None and not lead else words)


def false_alarm_lines(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """A sentence on how many families of verdicts may say `worse` by chance; none below two families."""
    families, expected = expected_false_alarms(verdicts, design, design.subgroups is not None)
    if families < 2:
        return []
    return [
        f"There are {families} families of verdicts: where nothing is worse, up to {number(expected, 1)} of them are "
        "expected to say worse by chance; evenhand check --strict allows for that."
    ]


def _outcome(rows: pl.DataFrame) -> str:
    """The counts of the verdicts, with the names of the worse comparisons."""
    decided = able_to_answer(rows.drop_nulls("verdict"))
    judged = decided.drop_nulls("contrast")
    absent = len(decided) - len(judged)
    if absent and judged.is_empty():
        return f"no comparison could be made ({decided['note'].drop_nulls().first() or 'no reason was recorded'})"
    worse = judged.filter(verdict="worse")
    listed = [f"{measure_in_place(row)}, {place(row)}" for row in worse.head(_LISTED).iter_rows(named=True)]
    listed += [f"and {len(worse) - _LISTED} more"] if len(worse) > _LISTED else []
    outcome = tally(judged, f" ({'; '.join(listed)})" if listed else "")
    return f"{outcome}, and {absent} more could not be made" if absent else outcome


def disparity_lines(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """A line per setting, method and reference on gaps that widen or are reversed against a group, in the main split.

    Of a measure without direction either sign is against the group.
    """
    undirected = [name for name in verdicts["measure"].unique() if not measure_named(name).direction]
    against = (pl.col("contrast") > 0) | pl.col("measure").is_in(undirected)
    moved = verdicts.filter(pl.col("disparity").is_in(["widens", "reversed"]), pl.col("group").is_not_null(), against)
    lines = []
    settings = settings_of(moved.filter(split=main_split(verdicts["split"]) or ""), design)
    for setting in settings:
        lead = f"{setting}: " if len(settings_of(verdicts, design)) > 1 else ""
        here = moved.filter(setting=setting, split=main_split(verdicts["split"]) or "")
        for method, reference, rows in by_pair(here, design, setting):
            by_group: dict[str, list[str]] = {}
            for row in rows.iter_rows(named=True):
                of_class = "" if row["class"] is None else f" of class {row['class']}"
                word = "" if row["disparity"] == "widens" else ": reversed"
                named = by_group.setdefault(f"{row['attribute']} = {row['group']}", [])
                named.append(f"{title(row['measure'])}{of_class}{word}")
            groups = [f"{who} ({', '.join(measures)})" for who, measures in by_group.items()]
            more = [f"and {len(groups) - _LISTED} more"] if len(groups) > _LISTED else []
            shown = "; ".join([*groups[:_LISTED], *more])
            lines.append(
                f"{lead}Compared with {reference}, {method} widens the gap between {others_of(rows)} and {shown}."
            )
    return lines


def smallest_harm(verdicts: pl.DataFrame, design: Design | None = None) -> str:
    """A sentence on the smallest detectable harm: in the accuracy of groups, else in any judged measure.

    Where only groups of one method are compared with others, on the smallest detectable gap. In single settings;
    means over settings, and single questions of many, appear in the table only.
    """
    gaps = verdicts.filter(comparison="gap")
    noun, verdicts = ("harm", changes(verdicts)) if gaps.is_empty() else ("gap", gaps)
    if noun == "harm" and design is not None and len(verdicts):
        undirected = (positive_is(name, design, *design.settings) == "higher" for name in verdicts["measure"].unique())
        noun = "difference" if all(undirected) else noun
    verdicts = verdicts.drop_nulls("setting").filter(~single_part(design))
    for where, whom, rows in _harms(verdicts):
        # An interval beside which nothing is detectable: no harm is found reliably.
        shown = rows.filter(pl.col("detectable").is_not_null() | (pl.col("low") < pl.col("high")))
        known_harms = shown.select("measure", pl.col("detectable").fill_null(math.inf)).rows()
        # Nothing gets worse by more than its whole range.
        possible = [harm for measure, harm in known_harms if within_range(measure, harm)]
        if known_harms and not possible:
            return f"With so few runs or examples this study reliably detects no {noun} {where}, however large."
        if possible:
            rest = "" if len(possible) == len(known_harms) else f"; in some {whom} no {noun} is reliably detectable"
            points = all(measure_named(measure).in_points for measure, _ in known_harms)
            size = f"{span([100 * harm for harm in possible], 1)} points" if points else span(possible)
            return f"The smallest {noun} {where} that this study detects with 80% power is {size}{rest}."
    return f"The smallest {noun} that this study detects is unknown."


def _harms(verdicts: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Candidates for that sentence, the easiest to understand first: a measure, whom it is about, and its contrasts."""
    for measure in known().values():
        if measure.display.detectable:
            rows = verdicts.filter(measure=measure.name)
            gaps = rows.filter(comparison="gap")
            yield f"in {measure.display.detectable} between a group and {others_of(gaps)}", "groups", gaps
            yield f"in the {measure.display.detectable} of a group", "groups", rows.drop_nulls("group")
            yield f"in {measure.display.detectable}", "comparisons", rows
    served = [measure.name for measure in known().values() if measure.default_margin]
    rows = verdicts.filter(pl.col("measure").is_in(served))
    names = rows["measure"].unique().to_list()
    yield f"in {title(names[0]) if len(names) == 1 else 'any measure on a 0–1 scale'}", "comparisons", rows
    for (name,), rows in verdicts.drop_nulls("detectable").group_by("measure", maintain_order=True):
        yield f"in {title(str(name))}", "comparisons", rows
