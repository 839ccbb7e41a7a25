"""Audits a study that adds seeds until its comparisons are decided: each planned look at its own level.

A look is an audit of the first seeds, whose families have the look's share of the level (`stats.group_sequential`). A
verdict that was given at a look stands, since the bounds of all looks hold together: the table `verdicts` has its row
as it was at that look, and the rows of the last look for what is not decided. The table `looks` has what each look said
of the comparisons that the study waits for, and `outcome` says why it then went on or stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.design import Design, LooksDesign
from evenhand.audit.reading import Assessment
from evenhand.audit.record_tables import BY_TRIAL, COMPUTED, LOOKS
from evenhand.audit.verdict_rows import SettingContrast, margin_left
from evenhand.audit.verdicts import Family
from evenhand.records.schemas import DECIDED, FUTILE, NOT_JUDGED, OPEN, TOO_FEW_RUNS
from evenhand.stats.differences import FewEvents
from evenhand.stats.group_sequential import FUTILE as FUTILE_BELOW
from evenhand.stats.group_sequential import chance_of_deciding, look_levels

Tables = Mapping[str, pl.DataFrame]
Key = tuple[Any, ...]

KEY = records.TABLES["verdicts"].key
DECIDED_EARLY = "an estimate taken when it decides is too extreme on average"
_MIRRORED = object()
"""Stands for either of two groups whose gaps are one number, of which one has a row."""


@dataclass(frozen=True)
class Look:
    """One planned look.

    Attributes:
        number: from 1; of: how many looks were planned.
        seeds: how many seeds it has.
        level: its one-sided share of alpha.
    """

    number: int
    of: int
    seeds: int
    level: float

    @property
    def note(self) -> str:
        """The note on rows that were decided at this look."""
        return f"decided at {self.seeds} seeds (look {self.number} of {self.of})"


def planned_looks(design: LooksDesign, alpha: float) -> list[Look]:
    """Every planned look with its level, in order."""
    levels = look_levels(design.seeds, alpha)
    size = len(design.seeds)
    return [
        Look(number, size, seeds, level)
        for number, (seeds, level) in enumerate(zip(design.seeds, levels, strict=True), 1)
    ]


def judged_by_look(
    audit: Callable[[Tables, Design, bool], Sequence[Assessment]], tables: Tables, design: Design
) -> dict[str, pl.DataFrame]:
    """The tables that follow from the records of a study that was looked at: those of an audit, and `looks`.

    Args:
        audit: the assessments of each kind of records; with True, without estimates and curves.
        tables: the record tables of all seeds.
        design: of the study, with its looks.
    """
    assert design.looks is not None
    planned = planned_looks(design.looks, design.alpha)
    looks = planned[: design.looks.taken]
    verdicts: list[list[dict[str, Any]]] = []
    said: list[dict[str, Any]] = []
    computed: dict[str, pl.DataFrame] = {}
    decided: dict[Key, dict[str, Any]] = {}
    for look in looks:
        last = look is looks[-1]
        at_level = design.model_copy(update={"alpha": look.level, "looks": None})
        assessments = audit(_seeds_below(tables, look.seeds), at_level, not last)
        rows = [row for assessment in assessments for row in assessment.verdicts.iter_rows(named=True)]
        rows = [_over_looks(row, look, design.alpha) for row in rows]
        for key, row in _keyed(rows):
            if row["verdict"] not in (None, "inconclusive"):
                decided.setdefault(key, {**row, "look": look})
        families = [family for assessment in assessments for family in assessment.families]
        said += _said(rows, families, decided, look, planned, design)
        verdicts.append(rows)
        if last:
            computed = {name: pl.concat([getattr(each, name) for each in assessments]) for name in COMPUTED}
    final = [_standing(row, decided.get(key)) for key, row in _keyed(verdicts[-1])]
    return {**computed, "verdicts": records.from_rows(final, "verdicts"), LOOKS: records.from_rows(said, LOOKS)}


@dataclass(frozen=True)
class Outcome:
    """What a look led to.

    Attributes:
        stops: whether the study stops there.
        reason: why it stops or goes on, as a sentence without its full stop.
    """

    stops: bool
    reason: str


def outcome(looks: pl.DataFrame, number: int, design: LooksDesign) -> Outcome:
    """What a look led to, from the table `looks`.

    A study goes on while a comparison that it waits for may still get a verdict: one whose chance to get one at a later
    look is .1 or more, or one that has fewer runs with a value than a contrast needs.

    Args:
        looks: the table.
        number: of the look.
        design: the planned looks.

    Example:
        >>> from evenhand import records
        >>> place = {"look": 1, "seeds": 3, "level": 0.01, "comparison": "change", "setting": "main", "split": "test"}
        >>> about = {"measure": "accuracy", "method": "lora", "reference": "full", "verdict": "worse", "decided": 1}
        >>> rows = records.from_rows([{**place, **about, "state": "decided"}], "looks")
        >>> plan = LooksDesign(seeds=(3, 20), taken=1, measures=("accuracy",), comparisons=("everyone",))
        >>> outcome(rows, 1, plan)
        Outcome(stops=True, reason='the comparison has a verdict')
    """
    states = Counter(looks.filter(look=number)["state"])
    waited, most = states.total() - states[NOT_JUDGED], design.seeds[-1]
    if not waited:
        return Outcome(True, "no comparison can be judged: groups are too small")
    apart = f"; {states[NOT_JUDGED]} cannot be judged" if states[NOT_JUDGED] else ""
    if states[DECIDED] == waited:
        every = "the comparison has a verdict" if waited == 1 else f"all {waited} comparisons have a verdict"
        return Outcome(True, every + apart)
    left = waited - states[DECIDED]
    undecided = f"{left} of {waited} comparisons {'has' if left == 1 else 'have'} no verdict"
    undecided = "the comparison has no verdict" if waited == 1 else undecided
    if number == len(design.seeds):
        return Outcome(True, f"{undecided}, and {most} seeds are the most{apart}")
    if going := states[OPEN] + states[TOO_FEW_RUNS]:
        return Outcome(
            False, f"{undecided} yet" + ("" if going == left else f", and {going} may still get one") + apart
        )
    return Outcome(
        True, f"{undecided}, and a chance below {FUTILE_BELOW:.0%} to get one by {most} seeds (futility){apart}"
    )


def _seeds_below(tables: Tables, seeds: int) -> dict[str, pl.DataFrame]:
    """The record tables of the first seeds."""
    trials = tables["trials"]
    kept = trials.filter((pl.col("role") != "study") | (pl.col("seed") < seeds))
    names = kept["trial"].unique().to_list()
    few = {name: frame.filter(pl.col("trial").is_in(names)) for name in BY_TRIAL if len(frame := tables[name])}
    return {**tables, **few, "trials": kept}


def _over_looks(row: dict[str, Any], look: Look, alpha: float) -> dict[str, Any]:
    """The row with a p-value that is adjusted for the looks, too: below alpha where it is below the look's level."""
    if row["p_adjusted"] is None:
        return row
    return {**row, "p_adjusted": min(row["p_adjusted"] * alpha / look.level, 1.0)}


def _standing(row: dict[str, Any], decided: dict[str, Any] | None) -> dict[str, Any]:
    """The row of the look that decided a comparison, with a note; that of the last look where none did."""
    if decided is None:
        return row
    look: Look = decided["look"]
    notes = [look.note, *([DECIDED_EARLY] if look.number < look.of else []), decided["note"]]
    kept = {name: value for name, value in decided.items() if name != "look"}
    # The family's name says how many contrasts it has and how they were corrected, which may differ between looks.
    return {**kept, "family": row["family"], "note": "; ".join(filter(None, notes))}


def _said(
    rows: Sequence[dict[str, Any]],
    families: Sequence[Family],
    decided: Mapping[Key, Mapping[str, Any]],
    look: Look,
    planned: Sequence[Look],
    design: Design,
) -> Iterator[dict[str, Any]]:
    """Rows of the table `looks`: what a look says of each comparison that is waited for."""
    assert design.looks is not None
    members = {_key_of(member): (member, family) for family in families for member in family.members}
    split = "test" if any(row["split"] == "test" for row in rows) else None
    groups: dict[tuple[str | None, str | None], set[str | None]] = {}
    for row in rows:
        groups.setdefault((row["setting"], row["attribute"]), set()).add(row["group"])
    for key, row in _keyed(rows):
        about = groups[row["setting"], row["attribute"]] if _MIRRORED in key else {row["group"]}
        if not _is_waited_for(row, about, design.looks) or (split is not None and row["split"] != split):
            continue
        first = decided.get(key)
        member, family = members[tuple(row[name] for name in KEY)]
        state, chance = (DECIDED, None) if first is not None else _undecided(member, family, look, planned)
        yield {
            "look": look.number,
            "seeds": look.seeds,
            "level": look.level,
            **{name: row[name] for name in (*KEY, "contrast", "low", "high", "verdict")},
            "decided": None if first is None else first["look"].number,
            "state": state,
            "chance": chance,
        }


def _is_waited_for(row: Mapping[str, Any], groups: Iterable[str | None], looks: LooksDesign) -> bool:
    """Whether a verdict row, which is about these groups, is of a comparison that the study waits for."""
    if row["setting"] is None or row["verdict"] is None or row["measure"] not in looks.measures:
        return False
    if row["attribute"] is None:
        return "everyone" in looks.comparisons and row["comparison"] == "change"
    names = {"change": "groups", "gap change": "gap changes", "gap": "gaps"}
    named = row["group"] is not None and names[row["comparison"]] in looks.comparisons
    return named and any(looks.waits_for(row["attribute"], group) for group in groups)


def _undecided(
    member: SettingContrast, family: Family, look: Look, planned: Sequence[Look]
) -> tuple[str, float | None]:
    """The state of a comparison without a verdict, and its chance to get one at a later look."""
    contrast, comparison = member.contrast, member.comparison
    if contrast.interval is None:
        may_come = contrast.estimate is None and contrast.runs > 0
        return (TOO_FEW_RUNS if may_come else NOT_JUDGED), None
    if contrast.runs < 2 or isinstance(contrast.interval, FewEvents):
        return OPEN, None
    share = 2 if comparison.two_sided else 1
    later = [
        (contrast.runs + each.seeds - look.seeds, family.joint.level(each.level / share))
        for each in planned[look.number :]
    ]
    chance = chance_of_deciding(
        contrast.interval,
        later,
        margin_left(member.margin, contrast.unseen),
        two_sided=comparison.two_sided,
        only_worse=comparison.estimand.measure.one_sided,
    )
    return (OPEN if chance >= FUTILE_BELOW else FUTILE), chance


def _keyed(rows: Sequence[dict[str, Any]]) -> list[tuple[Key, dict[str, Any]]]:
    """Each row with what identifies it at every look.

    Of two mirrored groups one has a row: that whose gap is against it, which may be another one at another look.
    """
    without_group = tuple(name for name in KEY if name != "group")
    of_attribute = Counter(tuple(row[name] for name in without_group) for row in rows if row["group"] is not None)
    keyed = []
    for row in rows:
        alone = of_attribute[tuple(row[name] for name in without_group)] == 1
        mirrored = row["group"] is not None and row["comparison"] != "change" and alone
        group = _MIRRORED if mirrored else row["group"]
        keyed.append((tuple(group if name == "group" else row[name] for name in KEY), row))
    return keyed


def _key_of(member: SettingContrast) -> Key:
    """What identifies the row of a contrast, in the order of `KEY`."""
    comparison, estimand = member.comparison, member.comparison.estimand
    places = {
        "comparison": comparison.kind,
        "against": comparison.against,
        "setting": member.setting,
        "split": member.split,
        "measure": estimand.measure.name,
        "class": estimand.class_name,
        "attribute": estimand.subset.attribute,
        "group": estimand.subset.group,
        "condition": estimand.condition,
        "correction": estimand.correction,
        "method": comparison.method,
        "reference": comparison.reference,
    }
    return tuple(places[name] for name in KEY)
