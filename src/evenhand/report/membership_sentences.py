"""Who leaks more, in sentences: a method against its reference, and what a group's leak goes with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds.membership import AREA
from evenhand.audit.membership.losses import CORRELATIONS
from evenhand.report.wording import interval, main_split, methods_of, number, settings_of

_FOUND: Mapping[str, str] = {
    "worse": "{method} leaks more than {reference}",
    "better": "{method} leaks less than {reference}",
    "equivalent": "{method} leaks as much as {reference}, within the margin of {margin}",
    "not worse": "{method} leaks no more than {reference} beyond the margin of {margin}",
    "inconclusive": "whether {method} leaks more than {reference} is undecided",
}
_NAMED = 3
_GOES_WITH: Mapping[str, str] = {
    CORRELATIONS[0]: "size",
    CORRELATIONS[1]: "gap between test and train loss",
}


def leaking(estimates: pl.DataFrame, verdicts: pl.DataFrame, design: Design) -> list[str]:
    """A sentence per setting, method and reference about the area of everyone, and the groups that leak more.

    None where no membership was audited. Areas are those of each method's own models; the difference is that of the
    models and examples that both have, with its interval at the verdict's level.
    """
    everyone = verdicts.filter(pl.col("attribute").is_null(), measure=AREA).drop_nulls("verdict")
    split = main_split(everyone["split"])
    lines = []
    for setting in settings_of(everyone, design):
        own = everyone.filter(setting=setting, split=split)
        areas = estimates.filter(pl.col("seed").is_null(), measure=AREA, setting=setting, split=split)
        groups = verdicts.filter(pl.col("group").is_not_null(), measure=AREA, setting=setting, split=split)
        for method in methods_of(own, design, setting):
            for row in own.filter(method=method).iter_rows(named=True):
                lead = f"{setting}, membership: " if len(design.settings) > 1 else "Membership: "
                lines.append(lead + _said(row, areas, groups))
    return lines


def _said(row: Mapping[str, Any], areas: pl.DataFrame, groups: pl.DataFrame) -> str:
    method, reference = row["method"], row["reference"]
    if row["contrast"] is None:
        return f"{method} and {reference} could not be compared ({row['note'] or 'no reason was recorded'})."
    margin = number(row["margin"], 3).rstrip("0") if row["margin"] is not None else ""
    found = _FOUND[row["verdict"]].format(method=method, reference=reference, margin=margin)
    here = areas.filter(pl.col("attribute").is_null())
    value: dict[str, float | None] = dict(here.select("method", "value").iter_rows())
    bounds = interval(row["low"], row["high"], 2, signed=True)
    by = f"{number(row['contrast'], 2, signed=True)}{f' {bounds}' if row['low'] is not None else ''}"
    said = f"{found}: AUC {number(value[method], 2)} against {number(value[reference], 2)} ({by})"
    pair = groups.filter(method=method, reference=reference)
    worse = [f"{one['attribute']} = {one['group']}" for one in pair.filter(verdict="worse").iter_rows(named=True)]
    if not worse:
        return f"{said}."
    named = ", ".join(worse[:_NAMED]) + (f" and {len(worse) - _NAMED} more" if len(worse) > _NAMED else "")
    return f"{said}; it leaks more in {len(worse)} of {len(pair)} groups ({named})."


def going_with(estimates: pl.DataFrame, design: Design, setting: str, split: str) -> list[str]:
    """What the leak of an attribute's groups goes with, a sentence per attribute and measure; none below 4 groups."""
    own = estimates.filter(pl.col("seed").is_null(), setting=setting, split=split).drop_nulls("value")
    return list(_correlated(own.filter(pl.col("measure").is_in(CORRELATIONS)), methods_of(own, design, setting)))


def _correlated(rows: pl.DataFrame, methods: Sequence[str]) -> Iterator[str]:
    for attribute in rows["attribute"].unique(maintain_order=True):
        for measure, of in _GOES_WITH.items():
            here = rows.filter(attribute=attribute, measure=measure)
            found = {row["method"]: row for row in here.iter_rows(named=True)}
            if found:
                values = [f"{number(found[one]['value'], 2)} for {one}" for one in methods if one in found]
                n = " or ".join(str(count) for count in sorted({row["n"] for row in found.values()}))
                yield (
                    f"Over the {n} groups of {attribute}, the rank correlation of a group's AUC with its {of} is "
                    f"{', '.join(values)}. So few groups give no interval."
                )
