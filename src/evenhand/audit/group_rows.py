"""Chooses, orders and sums up the verdict rows on how groups' gaps to the rest change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from evenhand.audit.comparisons import Contrast
from evenhand.audit.design import OVERALL, REST
from evenhand.audit.estimands import Subset
from evenhand.audit.verdict_rows import FamilyBounds, SettingContrast, scope_of, verdict_row


def without_mirrors(members: Sequence[SettingContrast], estimates: Sequence[float | None]) -> list[int]:
    """The indices of the contrasts that get a row: of two mirrored groups the one whose gap change is against it."""
    chosen: dict[tuple[object, ...], int] = {}
    for index, member in enumerate(members):
        estimand = member.comparison.estimand
        apart = estimand.subset.attribute if member.comparison.mirrored else index
        key = (apart, estimand.class_name, estimand.condition, member.comparison.mirrored)
        kept = chosen.setdefault(key, index)
        if (estimates[index] or 0.0) > (estimates[kept] or 0.0):
            chosen[key] = index
    return list(chosen.values())


_CONTAINING = {REST: ("its rest contains", "the rest"), OVERALL: ("everybody includes", "everybody")}
"""In words, what a group is compared with that contains others."""

Judged = tuple[SettingContrast, dict[str, Any]]
"""A contrast and its row."""


def by_attribute(judged: Sequence[Judged]) -> list[list[Judged]]:
    """The rows of groups, attribute by attribute and class by class."""
    parts: dict[tuple[object, ...], list[Judged]] = {}
    for member, row in judged:
        parts.setdefault((row["attribute"], row["class"], row["condition"], row["correction"]), []).append(
            (member, row)
        )
    return list(parts.values())


def named_first(judged: Sequence[Judged]) -> list[Judged]:
    """The rows with, in each attribute, the groups first that lost more, or have less, than others; notes name them.

    A group whose rest contains such a group seems to have gained against it, or to fare better.
    """
    ordered = []
    for part in by_attribute(judged):
        worse = [(member, row) for member, row in part if row["verdict"] == "worse"]
        harmed = ", ".join(row["group"] for _, row in worse)
        for _, row in part:
            against = row["disparity"] not in (None, "undecided") or row["verdict"] == "better"
            # Whoever is compared with one group has no harmed one on the other side.
            if worse and row["verdict"] != "worse" and against and row["against"] in _CONTAINING:
                contains, others = _CONTAINING[row["against"]]
                how = "fares worse" if row["comparison"] == "gap" else f"lost more than {others}"
                note = f"{contains} {harmed}, which {how}"
                row["note"] = "; ".join(filter(None, [note, row["note"]]))
        ordered += [*worse, *(each for each in part if each not in worse)]
    return ordered


def between_groups(judged: Sequence[Judged], family: FamilyBounds) -> Iterator[dict[str, Any]]:
    """A row for each attribute of more than two groups: does any of its gaps widen, or are all changes harmless?

    `worse` where a group's gap widens at the family's level; `equivalent` where each gap change lies inside the margin
    at the level of a single one (an intersection–union test); else `inconclusive`. Of a measure without direction a gap
    that widens is `different`. There is none where gap changes get no verdict.
    """
    for part in by_attribute(judged):
        member = part[0][0]
        if member.comparison.mirrored or not member.comparison.decides or len(part) < 2:
            continue
        contrasts = [each.contrast for each, _ in part]
        widening = [row["group"] for _, row in part if row["disparity"] == "widens"]
        apart = [row["group"] for (each, row) in part if each.contrast.interval is None]
        notes = [f"widens for {', '.join(widening)}"] if widening else []
        notes += [f"not judged: {', '.join(apart)}"] if apart else []
        widens = "different" if member.comparison.two_sided else "worse"
        word = widens if widening else "inconclusive"
        if not widening and not apart and _all_inside(contrasts, member.margin, family.alpha):
            word = "equivalent"
            notes.append(f"inside the margin in each of {len(part)} groups")
        if word == "inconclusive":
            harmless = (
                "without a margin nothing is equivalent" if member.margin is None else "some may exceed the margin"
            )
            notes.append(f"no gap of {len(part)} groups is shown to widen, and {harmless}")
        estimand = replace(member.comparison.estimand, subset=Subset(member.comparison.estimand.subset.attribute))
        about = replace(member, comparison=replace(member.comparison, estimand=estimand))
        runs = max(contrast.runs for contrast in contrasts)
        values: dict[str, Any] = {
            "runs": runs,
            "scope": scope_of(about.comparison.reference, runs, any(contrast.single for contrast in contrasts)),
            "verdict": word,
            "disparity": "widens" if widening else "undecided",
        }
        yield verdict_row(about, member.setting, family.name, notes, values)


def _all_inside(contrasts: Sequence[Contrast], margin: float | None, alpha: float) -> bool:
    """Whether every interval, at the one-sided level alpha, lies inside the margin."""
    if margin is None:
        return False
    return all(contrast.inside(margin, alpha) for contrast in contrasts)
