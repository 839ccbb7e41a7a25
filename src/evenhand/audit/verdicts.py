"""Verdicts: each method against each reference, paired by seed and example, with simultaneous intervals.

A contrast is positive where the method is less fair or less useful. A family is what one question is asked of:
all contrasts of one measure, method and reference, of one setting and split, over all groups (or over all attributes),
and classes; everyone is a family of its own. Each bound has the one-sided level at which a family without any harm has
a verdict `worse` with probability alpha: that of max T, which knows how contrasts share examples, and alpha over the
family's size (Bonferroni) where they share none or are unpaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.across_settings import Compared, across_settings
from evenhand.audit.comparisons import NO_MARGIN, ONE_SEED, Contrast, contrast
from evenhand.audit.design import Design
from evenhand.audit.evaluation import evaluations
from evenhand.audit.kinds.estimands import Case, Reader, cases
from evenhand.audit.measures import known, select
from evenhand.errors import InputError, did_you_mean
from evenhand.seeds import generator
from evenhand.stats.equivalence import verdict
from evenhand.stats.multiplicity import MaxT, correlations, max_t
from evenhand.stats.power import Repeated, runs_needed


def verdicts(examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design) -> pl.DataFrame:
    """The table `verdicts`: a row per contrast.

    `low` and `high` are simultaneous bounds over the family, `p` is the one-sided p-value that the contrast is above
    0 and `p_adjusted` compares with alpha: it is below alpha exactly when `low` is above 0. `detectable` is the
    smallest true contrast that this study would find in 80% of its repetitions. A contrast that cannot be made is
    null with the reason; its verdict is `inconclusive`, so that a gate does not take it for an answer. Measures
    without a direction have no rows; those that do not decide have a null verdict and no p.

    Raises:
        InputError: records that do not fit each other or the design; an unknown measure, or a margin for one.
    """
    check_margins(design)
    measures = [measure for measure in select(design.measures, "predictions") if measure.direction]
    rows: list[dict[str, Any]] = []
    everywhere: list[Compared] = []
    for evaluation in evaluations(examples, trials, predictions, design):
        reader = Reader(evaluation, design.support)
        found = [one for case in cases(evaluation, measures) for one in compared(reader, case, design)]
        rows += [row for family in judged(found, design) for row in family.rows()]
        everywhere += pooled_later(found, design)
    return records.from_rows([*rows, *across_settings(everywhere, examples, design)], "verdicts")


def check_margins(design: Design) -> None:
    """Raises InputError for a margin of a measure that there is not."""
    for name in design.margins:
        if name not in ("default", *known()):
            raise InputError(f'margins: no measure "{name}"; {did_you_mean(name, ["default", *known()])}')


def compared(reader: Reader, case: Case, design: Design) -> Iterator[Compared]:
    """A case's contrasts, of every method with every reference."""
    evaluation = reader.evaluation
    for method, reference in pairs(evaluation.methods, evaluation.design.references):
        found = contrast(reader, case, method, reference, design)
        margin = case.measure.margin(design.margins)
        yield Compared(evaluation.setting, evaluation.split, method, reference, case, margin, found)


def judged(found: Sequence[Compared], design: Design) -> list[Family]:
    """The contrasts of all cases of an evaluation, family by family, in the order of the pairs."""
    members: dict[tuple[str, str, str, str, str, str | None], list[Compared]] = {}
    for one in found:
        case = one.case
        key = case.measure.name, case.level, case.asked, case.correction
        members.setdefault((one.reference, one.method, *key), []).append(one)
    order = {pair: place for place, pair in enumerate(dict.fromkeys(key[:2] for key in members))}
    return [Family.of(members[key], design) for key in sorted(members, key=lambda key: order[key[:2]])]


def pooled_later(found: Sequence[Compared], design: Design) -> Sequence[Compared]:
    """The contrasts where there are settings to pool them over: what units contribute takes memory."""
    return found if len(design.settings) > 1 else []


def pairs(methods: Sequence[str], references: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Who is compared with whom: every method with every reference, two references once."""
    present = [name for name in references if name in methods]
    for place, reference in enumerate(present):
        for method in methods:
            if method != reference and method not in present[:place]:
                yield method, reference


@dataclass(frozen=True)
class Family:
    """Contrasts of one measure, method and reference that are judged together.

    Attributes:
        members: of one level; some may be shown and not judged.
        joint: how small the smallest p-value is where nothing is there.
        level: one-sided, of each bound.
        name: what is asked, of how many contrasts and how they are corrected.
        jointly: the claim about all of them, where it holds.
    """

    members: Sequence[Compared]
    joint: MaxT
    level: float
    name: str
    jointly: str | None

    @classmethod
    def of(cls, members: Sequence[Compared], design: Design) -> Self:
        contrasts = [one.contrast for one in members]
        joint = _joint(contrasts)
        size, level = joint.size, joint.level(design.alpha)
        first = members[0]
        by = {"everyone": "everyone", "group": "by group", "attribute": "by attribute"}[first.case.level]
        plural = "contrast" if size == 1 else "contrasts"
        how = ", max T" if level > design.alpha / size else ""
        if first.case.condition is not None:
            by = f"by {first.case.asked}"
        corrected = "" if first.case.correction is None else f" after {first.case.correction}"
        name = f"{first.case.measure.name}{corrected} {by}, {first.method} vs {first.reference} ({size} {plural}{how})"
        jointly = _jointly(contrasts, first.margin, design.alpha) if first.case.measure.decides else None
        return cls(members, joint, level, name, jointly)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the table `verdicts`."""
        for one in self.members:
            yield {
                "setting": one.setting,
                "split": one.split,
                "measure": one.case.measure.name,
                "class": one.case.name,
                "attribute": one.case.attribute,
                "group": one.case.group,
                "condition": one.case.condition,
                "correction": one.case.correction,
                "method": one.method,
                "reference": one.reference,
                **_row(one, self),
            }


def _joint(contrasts: Sequence[Contrast]) -> MaxT:
    """How the judged contrasts of a family go together when nothing is there."""
    size = max(sum(found.interval is not None for found in contrasts), 1)
    known = [
        (found.units, found.totals, found.interval.variance, found.whole.df)
        for found in contrasts
        if found.interval and found.whole and found.whole.variance > 0
        if found.units is not None and found.totals is not None
    ]
    if size < 2 or len(known) < size:  # nothing to correct, or some that nobody knows how they go with the others
        return MaxT(np.empty(0), size)
    units, totals, variances, df = zip(*known, strict=True)
    return max_t(correlations(units, totals, variances), np.array(df), generator(0, "max T"))


def _jointly(contrasts: Sequence[Contrast], margin: float | None, alpha: float) -> str | None:
    """The joint claim "not worse anywhere", an intersection–union test, which needs no correction."""
    if margin is None or len(contrasts) < 2:
        return None
    for found in contrasts:
        if found.interval is None or found.runs < 2:
            return None
        low, high = found.interval.bounds(alpha)
        if not (low < high < margin):
            return None
    return f"jointly: not worse by the margin in any of the {len(contrasts)} contrasts"


def _row(one: Compared, family: Family) -> dict[str, Any]:
    measure, found, margin = one.case.measure, one.contrast, one.margin
    notes = list(found.notes)
    row: dict[str, Any] = {
        "contrast": found.estimate,
        "low": None,
        "high": None,
        "margin": margin,
        "verdict": "inconclusive" if measure.decides else None,
        "family": family.name,
        "p": None,
        "p_adjusted": None,
        "detectable": None,
        "runs": found.runs,
        "runs_needed": None,
    }
    if measure.decides and margin is None:
        notes.append(NO_MARGIN)
    if found.interval is None or found.whole is None:
        return {**row, "note": _join(notes)}
    row["low"], row["high"] = low, high = found.interval.bounds(family.level)
    if not measure.decides:
        return {**row, "note": _join(notes)}
    if found.runs < 2:
        notes.insert(0, ONE_SEED)
        return {**row, "note": _join(notes)}
    if not high > low:
        notes.append("the interval has no width: nothing that the measure rests on differs between the two")
        return {**row, "note": _join(notes)}
    p = found.interval.p_greater()
    row |= {
        "verdict": verdict(low, high, margin),
        "p": p,
        "p_adjusted": float(family.joint.adjusted(p)),
        "detectable": Repeated.of(found.interval, family.level).smallest(),
    }
    if row["verdict"] == "inconclusive":
        # What an adjusted interval adds is noise of the examples.
        extra = found.interval.variance - found.whole.variance
        spread = replace(
            found.whole, variance=found.interval.variance, v_example=found.whole.v_example + max(extra, 0.0)
        )
        needed = runs_needed(spread, family.level, margin)
        row["runs_needed"] = needed.runs
        if needed.reason:
            notes.append(needed.reason)
    if family.jointly:
        notes.append(family.jointly)
    return {**row, "note": _join(notes)}


def _join(notes: Sequence[str]) -> str | None:
    return "; ".join(dict.fromkeys(notes)) or None
