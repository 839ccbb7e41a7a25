"""Membership inference: who leaks how much, by method and group, and whether a method leaks more than its reference.

Scores of several models of a method (seeds) are taken together, one threshold for all. A group's TPR has two
conditions: at the threshold of the group's own non-members, what the group itself leaks, and at that of everybody's,
what an attacker finds who does not know the groups. Contrasts are of the former. `docs/membership.md` has the
definitions and the simulated coverage of the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.across_settings import Compared
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.groups import Groups, groups_of
from evenhand.audit.kinds.estimands import Case
from evenhand.audit.measures import RANGE_NOTE, Measure, select
from evenhand.audit.measures.influence import Level
from evenhand.audit.membership.contrasts import contrast
from evenhand.audit.membership.group_gaps import between, eligible, floored, gap, permuted
from evenhand.audit.membership.leakage import Leak, Targets, area, balanced_accuracy, by_unit, nothing, rate, unit_codes
from evenhand.audit.membership.losses import CORRELATIONS, LOSSES, correlations, difference_in
from evenhand.audit.membership.pool import Attack
from evenhand.audit.verdicts import judged, pairs
from evenhand.metrics.membership.roc import LEAST
from evenhand.stats.discrimination import pooled_tpr, threshold_at

SPLIT = "test"
OWN, POOLED = "group threshold", "pooled threshold"
ROC = "membership_roc"
AREA, BALANCED = "membership_auc", "membership_balanced_accuracy"
ALPHAS: Mapping[str, float] = {"membership_tpr_at_fpr_0.01": 0.01, "membership_tpr_at_fpr_0.001": 0.001}
GAPS: Mapping[str, str] = {f"{name}_difference": name for name in (AREA, "membership_tpr_at_fpr_0.01")}
POINTS = 24
"""Of a drawn curve, evenly spaced in the logarithm of FPR."""
ONE_SEED = "one seed: the interval holds the noise of the examples only, not that of training"
BELOW = "below .5: a member's score should be the higher one"


def leakage(
    examples: pl.DataFrame,
    trials: pl.DataFrame,
    members: pl.DataFrame,
    scores: pl.DataFrame,
    design: Design,
    settings: Mapping[str, Attack] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What membership scores say, as rows of the tables `estimates`, `verdicts` and `curves`, of the split `test`.

    Rows of `estimates` with a seed are one model's; those without one are of all models of the method together.
    `noise_floor` and `noise_high` of a difference between groups are what permuted groups show, and its note has the
    p-value. Curves (`membership_roc`) are of all models together: x is the realised FPR and y the TPR, however few
    non-members there are, with 95% intervals where the TPR at that FPR is not refused.

    Args:
        examples, trials: the tables.
        members: who was trained on what.
        scores: of trials and examples that `members` has.
        design: who is compared with whom.
        settings: attacked models of settings whose scores rest on their pool's other models (`membership.pool`),
            for which `members` and `scores` are not read: intervals hold what a model does to the others' scores.

    Raises:
        InputError: an unknown measure, or records that do not fit.
    """
    tables: tuple[list[dict[str, Any]], ...] = ([], [], [])
    measures = select(design.measures, "membership")
    for setting, setting_design in design.settings.items():
        if settings is not None and setting in settings:
            own, methods = settings[setting].examples, settings[setting].methods
        else:
            own = examples.filter(setting=setting)
            methods = _targets(own, trials.filter(setting=setting), members, scores)
        if methods:
            scene = Scene(setting, setting_design, own, methods, design.support)
            tables[0].extend(_estimates(scene, measures))
            tables[1].extend(_verdicts(scene, measures, design))
            tables[2].extend(_curves(scene))
    estimates, verdicts, curves = tables
    return (
        records.from_rows(estimates, "estimates"),
        records.from_rows(verdicts, "verdicts"),
        records.from_rows(curves, "curves"),
    )


@dataclass(frozen=True, eq=False)
class Scene:
    """One setting's attacked models.

    Attributes:
        setting, design: its name and design.
        examples: its rows of the table.
        methods: attacked models by method.
        support: groups with fewer distinct members or non-members are left out of max − min.
    """

    setting: str
    design: SettingDesign
    examples: pl.DataFrame
    methods: Mapping[str, Targets]
    support: int

    @cached_property
    def groups(self) -> tuple[Groups, ...]:
        return groups_of(self.examples)

    @cached_property
    def strata(self) -> np.ndarray:
        """int [n], the label where it is known: groups are permuted among examples of one label."""
        return self.examples["label"].fill_null(-1).to_numpy() + 1

    @cached_property
    def places(self) -> dict[tuple[str | None, str | None], np.ndarray]:
        """By attribute and group, bool [n]: everyone, and the members of each group."""
        found: dict[tuple[str | None, str | None], np.ndarray] = {(None, None): np.ones(len(self.examples), dtype=bool)}
        for groups in self.groups:
            found |= {(groups.attribute, name): groups.masks[:, place] for place, name in enumerate(groups.names)}
        return found

    def row(self, method: str, measure: str, attribute: str | None, group: str | None) -> dict[str, Any]:
        """The columns that say what a row is about."""
        place = {"attribute": attribute, "group": group}
        return {"setting": self.setting, "split": SPLIT, "measure": measure, **place, "method": method}


def _targets(
    examples: pl.DataFrame, trials: pl.DataFrame, members: pl.DataFrame, scores: pl.DataFrame
) -> dict[str, Targets]:
    placed = examples.select("example", row=pl.int_range(pl.len()))
    rows = scores.join(members, on=["trial", "example"]).join(placed, on="example")
    unit = unit_codes(examples)
    parts = {str(trial): part for (trial,), part in rows.partition_by("trial", as_dict=True).items()}
    found = {}
    for (method,), uses in trials.partition_by("method", as_dict=True, maintain_order=True).items():
        uses = uses.filter(pl.col("trial").is_in(list(parts))).sort("seed")
        shape = (len(uses), len(examples))
        score, member, known = np.zeros(shape), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for place, trial in enumerate(uses["trial"]):
            part = parts[trial]
            row = part["row"].to_numpy()
            score[place, row], member[place, row], known[place, row] = part["score"], part["member"], True
        if len(uses):
            found[str(method)] = Targets(tuple(uses["seed"]), score, member, known, unit)
    return found


def _taken(targets: Targets, measure: str, rows: np.ndarray, setting: np.ndarray) -> Leak:
    """A measure on some rows, where its threshold is that of other rows, [T, n] both."""
    if targets.absent:
        return nothing(targets, targets.absent)
    if measure in LOSSES:
        return difference_in(targets, measure, rows)
    if measure in ALPHAS:
        return rate(targets, rows, setting, ALPHAS[measure])
    return balanced_accuracy(targets, rows, setting) if measure != AREA else area(targets, rows)


def condition(measure: str, group: str | None) -> str | None:
    """Which threshold decides: of everyone there is one, and an area and a loss have none."""
    return None if group is None or measure == AREA or measure in LOSSES else OWN


def _estimates(scene: Scene, measures: Sequence[Measure]) -> Iterator[dict[str, Any]]:
    for method, targets in scene.methods.items():
        runs: dict[int | None, Targets] = {seed: targets.take([seed]) for seed in targets.seeds}
        runs[None] = targets
        for measure in measures:
            if measure.name in GAPS:
                yield from _gaps(scene, method, runs, measure)
                continue
            if measure.name in CORRELATIONS or (measure.name in LOSSES and targets.loss is None):
                continue
            for place, mask in scene.places.items():
                for how in (OWN, POOLED) if condition(measure.name, place[1]) else (None,):
                    for seed, one in runs.items():
                        rows = one.known & mask
                        leak = _taken(one, measure.name, rows, one.known if how == POOLED else rows)
                        notes = _notes(targets) if seed is None else []
                        row = scene.row(method, measure.name, *place)
                        yield {**row, "condition": how, "seed": seed, **_values(measure.name, leak, notes)}
        if targets.loss is not None:
            yield from _correlations(scene, method, targets, [measure.name for measure in measures])


def _correlations(scene: Scene, method: str, targets: Targets, measures: Sequence[str]) -> Iterator[dict[str, Any]]:
    wanted = [name for name in CORRELATIONS if name in measures]
    for groups in scene.groups if wanted else ():
        places = {name: scene.places[groups.attribute, name] for name in groups.names}
        leaks = {name: area(targets, targets.known & mask) for name, mask in places.items()}
        large = {name: places[name] for name in eligible(leaks, scene.support)}
        for measure, row in correlations(targets, large).items():
            if measure in wanted:
                yield {**scene.row(method, measure, groups.attribute, None), "seed": None, **row}


def _values(measure: str, leak: Leak, notes: Sequence[str]) -> dict[str, Any]:
    if leak.reason:
        note = "; ".join([leak.reason, *notes])
        return {"value": None, "low": None, "high": None, "n": leak.examples, "note": note}
    value, (low, high) = leak.pooled.estimate, leak.interval()
    notes = [*([leak.note] if leak.note else []), *([BELOW] if measure == AREA and high < 0.5 else []), *notes]
    bounds = {"low": None, "high": None} if math.isnan(low) else {"low": low, "high": high}
    return {"value": value, **bounds, "n": leak.examples, "note": "; ".join(notes) or None}


def _notes(targets: Targets) -> list[str]:
    """What must be known of all models of a method together."""
    return [*([ONE_SEED] if len(targets.seeds) == 1 else []), *targets.notes]


def _gaps(scene: Scene, method: str, runs: Mapping[int | None, Targets], measure: Measure) -> Iterator[dict[str, Any]]:
    of = GAPS[measure.name]
    for groups in scene.groups:
        places = {name: scene.places[groups.attribute, name] for name in groups.names}
        for seed, one in runs.items():
            leaks = {name: _taken(one, of, one.known & mask, one.known & mask) for name, mask in places.items()}
            names = eligible(leaks, scene.support)
            row = gap([leaks[name] for name in names])
            if one.absent:
                row["note"] = one.absent
            if seed is None and row["value"] is not None:
                masks = np.stack([places[name] for name in names], axis=1)
                row = floored(row, permuted(one, masks, groups.defined, scene.strata, ALPHAS.get(of)))
            left = [name for name in groups.names if name not in names]
            if left:
                row["note"] = f"{row['note']}; left out, undefined or too small: {', '.join(left)}"
            yield {**scene.row(method, measure.name, groups.attribute, None), "seed": seed, **row}


def _verdicts(scene: Scene, measures: Sequence[Measure], design: Design) -> Iterator[dict[str, Any]]:
    compared = list(pairs(list(scene.methods), scene.design.references))
    found = [
        _compared(scene, measure, place, method, reference, design)
        for measure in measures
        if measure.direction
        for place in ([(groups.attribute, None) for groups in scene.groups] if measure.name in GAPS else scene.places)
        for method, reference in compared
    ]
    for family in judged(found, design):
        for row in family.rows():
            yield {**row, "condition": condition(row["measure"], row["group"])}


def _compared(
    scene: Scene, measure: Measure, place: tuple[str | None, str | None], method: str, reference: str, design: Design
) -> Compared:
    attribute, group = place
    between_groups = measure.name in GAPS
    level: Level = "attribute" if between_groups else "everyone" if group is None else "group"
    groups = {name[1]: mask for name, mask in scene.places.items() if name[0] == attribute and name[1] is not None}

    def taken(targets: Targets, rows: np.ndarray) -> Leak:
        if not between_groups:
            return _taken(targets, measure.name, rows, rows)
        # What a model does to all scores goes out of a difference of differences: without the jackknife over pairs,
        # which is far too wide for it, the interval covers (docs/membership.md).
        alone = replace(targets, pool=None)
        return between({name: area(alone, rows & mask) for name, mask in groups.items()}, scene.support)

    made = contrast(
        scene.methods[method],
        scene.methods[reference],
        scene.places[None, None] if between_groups else scene.places[place],
        taken,
        scene.support,
        design.paired != "none",
    )
    if between_groups and made.estimate is not None:
        made = replace(made, notes=(*made.notes, RANGE_NOTE))
    case = Case(measure, None, None, level, attribute, group)
    return Compared(scene.setting, SPLIT, method, reference, case, measure.margin(design.margins), made)


def _curves(scene: Scene) -> Iterator[dict[str, Any]]:
    for method, targets in scene.methods.items():
        for place, mask in scene.places.items():
            for point in _points(targets, targets.known & mask):
                yield {**scene.row(method, ROC, *place), **point}


def _points(targets: Targets, rows: np.ndarray) -> Iterator[dict[str, Any]]:
    """Points of the ROC curve that a logarithmic scale can show, with 95% intervals where a rate is not refused."""
    negatives = np.sort(targets.score[rows & ~targets.member])[::-1]
    if not len(negatives) or not (rows & targets.member).any():
        return
    distinct = int((rows & ~targets.member).any(axis=0).sum())
    allowed = np.unique(np.geomspace(1, len(negatives), POINTS).round().astype(int))
    drawn = 0.0
    for alpha in allowed / len(negatives):
        realised = float((negatives >= threshold_at(negatives, float(alpha))).mean())
        if realised > drawn:  # equal scores are called together
            found = by_unit(pooled_tpr(targets.score, targets.member, float(alpha), rows), targets, rows)
            low, high = found.interval() if distinct * alpha >= LEAST else (None, None)
            yield {"x": realised, "y": found.estimate, "low": low, "high": high}
            drawn = realised
