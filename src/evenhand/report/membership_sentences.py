"""Sentences on membership inference: does a method leak more than its reference, and in which groups?"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.report.number_text import interval, number
from evenhand.report.wording import Row, main_split, methods_of, settings_of

_OUTCOMES: Mapping[str, str] = {
    "worse": "{method} leaks more than {reference}",
    "better": "{method} leaks less than {reference}",
    "equivalent": "{method} leaks as much as {reference}, within the margin of {margin}",
    "not worse": "{method} leaks no more than {reference} beyond the margin of {margin}",
    "inconclusive": "whether {method} leaks more than {reference} is inconclusive",
}
_NAMED = 3


def membership_lines(estimates: pl.DataFrame, verdicts: pl.DataFrame, design: Design) -> list[str]:
    """A sentence for each setting, method and reference: the area for everyone, and the groups that leak more.

    Empty where no membership was audited. Areas are those of each method's own models; the difference is that of the
    models and examples that both have, with its interval at the verdict's level.
    """
    lines = []
    for measure in shown_in("areas"):
        everyone = verdicts.filter(pl.col("attribute").is_null(), measure=measure.name).drop_nulls("verdict")
        split = main_split(everyone["split"])
        for setting in settings_of(everyone, design):
            here = {"measure": measure.name, "setting": setting, "split": split}
            areas = estimates.filter(pl.col("seed").is_null(), pl.col("attribute").is_null(), **here)
            groups = verdicts.filter(pl.col("group").is_not_null(), **here)
            value = dict(areas.select("method", "value").iter_rows())
            lead = f"{setting}, membership: " if len(design.settings) > 1 else "Membership: "
            rows = everyone.filter(setting=setting, split=split)
            for method in methods_of(rows, design, setting):
                for row in rows.filter(method=method).iter_rows(named=True):
                    lines.append(lead + _sentence(row, value, groups))
    return lines


def _sentence(row: Row, area: Mapping[str, float | None], groups: pl.DataFrame) -> str:
    method, reference = row["method"], row["reference"]
    if row["contrast"] is None:
        return f"{method} and {reference} could not be compared ({row['note'] or 'no reason was recorded'})."
    margin = number(row["margin"], 3).rstrip("0") if row["margin"] is not None else ""
    outcome = _OUTCOMES[row["verdict"]].format(method=method, reference=reference, margin=margin)
    bounds = "" if row["low"] is None else f" {interval(row['low'], row['high'], 2, signed=True)}"
    contrast = number(row["contrast"], 2, signed=True)
    values = f"AUC {number(area[method], 2)} against {number(area[reference], 2)} ({contrast}{bounds})"
    pair = groups.filter(method=method, reference=reference)
    changes = pair.filter(comparison="change")
    worse, unequal = (
        [f"{group['attribute']} = {group['group']}" for group in rows.filter(verdict="worse").iter_rows(named=True)]
        for rows in (changes, pair.filter(comparison="gap change"))
    )
    parts = [f"it leaks more in {len(worse)} of {len(changes)} groups ({_listed(worse)})"] if worse else []
    parts += [f"the leak grew by more than in the rest in {_listed(unequal)}"] if unequal else []
    return "; ".join([f"{outcome}: {values}", *parts]) + "."


def area_sentence(estimates: pl.DataFrame, verdicts: pl.DataFrame) -> str:
    """The area of a method beside that of its reference, for everyone; empty where no membership was audited.

    Args:
        estimates: of measures themselves.
        verdicts: of one method and reference, in one setting and split.
    """
    for measure in shown_in("areas"):
        everyone = verdicts.filter(pl.col("attribute").is_null(), measure=measure.name).drop_nulls("setting")
        for row in everyone.iter_rows(named=True):
            where = {"setting": row["setting"], "split": row["split"], "measure": measure.name}
            here = estimates.filter(pl.col("seed").is_null(), pl.col("attribute").is_null(), **where)
            value = dict(here.select("method", "value").iter_rows())
            if row["reference"] in value and row["method"] in value:
                areas = f"{number(value[row['method']], 2)} against {number(value[row['reference']], 2)}"
                return f"Overall {measure.title}: {areas} (0.5: nothing leaks)."
    return ""


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def correlation_lines(estimates: pl.DataFrame, design: Design, setting: str, split: str) -> list[str]:
    """Sentences on the properties of groups that correlate with their leakage; none for fewer than 4 groups."""
    known = estimates.filter(pl.col("seed").is_null(), setting=setting, split=split).drop_nulls("value")
    methods, lines = methods_of(known, design, setting), []
    measures = shown_in("correlations")
    rows = known.filter(pl.col("measure").is_in([measure.name for measure in measures]))
    for attribute in rows["attribute"].unique(maintain_order=True):
        for measure in measures:
            here = rows.filter(attribute=attribute, measure=measure.name)
            by_method = {row["method"]: row for row in here.iter_rows(named=True)}
            if by_method:
                values = [f"{number(by_method[name]['value'], 2)} for {name}" for name in methods if name in by_method]
                groups = " or ".join(str(count) for count in sorted({row["n"] for row in by_method.values()}))
                lines.append(
                    f"Over the {groups} groups of {attribute}, the rank correlation of a group's AUC with its "
                    f"{measure.display.heading} is {', '.join(values)}. So few groups give no interval."
                )
    return lines
