"""Checks a policy against the results that it is about: names that they lack, and limits that no value can miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.policy import Limit, Policy, Waiver, Where, check_names
from evenhand.errors import InputError

SUBGROUP = "subgroup"
"""What policies call the attribute of a conjunction of groups."""


def check_policy(
    policy: Policy, verdicts: pl.DataFrame, estimates: pl.DataFrame, findings: pl.DataFrame | None
) -> None:
    """Raise InputError for names that the results lack, and for parts of the policy that are about nothing.

    Where subgroups were searched, each conjunction of groups is known, whether or not it fares worse.
    """
    from evenhand.audit.measures import known

    names = {column: {*verdicts[column].drop_nulls(), *estimates[column].drop_nulls()} for column in Where.model_fields}
    names["measure"] |= set(known())
    found = [] if findings is None else [as_verdict(row) for row in findings.iter_rows(named=True)]
    for column in Where.model_fields:
        names[column] |= {row[column] for row in found} - {None}
    if findings is not None:
        names["attribute"].add(SUBGROUP)
        named = [group for _, part in _parts(policy) for group in part.group]
        names["group"] |= {group for group in named if _is_conjunction(group, verdicts, estimates)}
    for place, part in _parts(policy):
        check_names(part, names, place)
        if isinstance(part, Limit):
            _check_bounds(part, place)
        if isinstance(part, Waiver) or (findings is not None and SUBGROUP in part.attribute):
            continue
        table = estimates if isinstance(part, Limit) else verdicts.drop_nulls("verdict")
        rows = (*table.iter_rows(named=True), *(() if isinstance(part, Limit) else found))
        if not any(part.covers(row) for row in rows):
            raise InputError(f"{place}: these results have no {_lacking(part, table)}")


def _lacking(part: Where, table: pl.DataFrame) -> str:
    """What a part of a policy is about and the results lack, in words, and what there is or how to get it."""
    what = "estimates" if isinstance(part, Limit) else "verdicts"
    absent = [name for name in part.measure if name not in table["measure"]]
    if absent or not part.measure:
        named = "".join(f" --measure {name}" for name in absent)
        return f"{what} on {part.about}; audit the table again with{named or ' it'}"
    own = [row for row in table.iter_rows(named=True) if row["measure"] in part.measure]
    for column in Where.model_fields:
        asked = getattr(part, column)
        there = sorted({str(row[column]) for row in own if row[column] is not None})
        if asked and not {*asked} & {*there}:
            names = ", ".join(part.measure)
            return f"{what} on {part.about}; of {names} there is {column} {', '.join(there) or 'none'}"
    return f"{what} on {part.about}, although each of these names is there"


def as_verdict(finding: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of the table `findings` as a row of verdicts."""
    return {**finding, "attribute": SUBGROUP, "group": finding["subgroup"], "contrast": finding["value"]}


def _parts(policy: Policy) -> list[tuple[str, Where]]:
    """The rules, limits and waivers of a policy, with their places in it."""
    return [
        *((f"rules.{rank}", rule) for rank, rule in enumerate(policy.rules)),
        *((f"limits.{rank}", limit) for rank, limit in enumerate(policy.limits)),
        *((f"waivers.{rank}", waiver) for rank, waiver in enumerate(policy.waivers)),
    ]


def _check_bounds(limit: Limit, place: str) -> None:
    """Refuse a limit that no value of its measure can miss, or meet, such as 25 where 25% are meant."""
    from evenhand.audit.measures import known

    for name in limit.measure:
        low, high = known()[name].limits if name in known() else (-np.inf, np.inf)
        if "gap" in limit.comparison:
            low, high = min(low, low - high), max(high, high - low)
        for words, bound in (("at least", limit.at_least), ("at most", limit.at_most)):
            if bound is not None and not low <= bound <= high:
                raise InputError(
                    f"{place}.{words}: {bound:g} is outside of what {name} can be, from {low:g} to {high:g}"
                )


def _is_conjunction(name: str, *tables: pl.DataFrame) -> bool:
    """Whether a name is `attribute=group & …` of groups in the tables."""
    known = {
        f"{attribute}={group}"
        for table in tables
        for attribute, group in table.select("attribute", "group").unique().iter_rows()
    }
    return all(part in known for part in name.split(" & "))
