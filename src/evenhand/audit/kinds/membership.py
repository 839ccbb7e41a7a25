"""Estimates and compares how much methods leak about membership, from attack scores, by group.

Scores of several models of a method (seeds) are taken together, one threshold for all. A group's TPR has two
conditions: at the threshold of the group's non-members it measures how much the group leaks; at that of all non-members
it is the rate of an attacker who does not know the groups. Contrasts use the former. `docs/membership-derivations.md`
has the definitions and the simulated coverage of the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.comparisons import Evidence
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.estimands import EVERYONE, Comparison, Estimand, Subset, change, gap, gap_change
from evenhand.audit.evaluation import Groups, groups_of, unit_codes
from evenhand.audit.kinds.membership_evidence import membership_evidence
from evenhand.audit.kinds.membership_gaps import LeakGap, gap_change_evidence, gap_evidence, leaks_of
from evenhand.audit.measures import Kind, Measure
from evenhand.audit.measures.membership import CorrelationOf, LeakOf, LossOf, RangeOf
from evenhand.audit.membership.group_gaps import DRAWS, FEW_GROUPS, RATES, eligible, largest_gap, permuted
from evenhand.audit.membership.leakage import Leak, Targets, by_unit
from evenhand.audit.membership.pool import Attack
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import Family, pairs
from evenhand.metrics.membership.roc import LEAST
from evenhand.stats.null import noise_floor
from evenhand.stats.roc_point import pooled_tpr

SPLIT = "test"
OWN, POOLED = "group threshold", "pooled threshold"
ROC = "membership_roc"
PERMUTED = f"p of {DRAWS} permutations of the groups {{p:.3f}}, studentised, for these models"
POINTS = 24
"""The number of points on a drawn curve, evenly spaced in the logarithm of FPR."""
ONE_SEED = "one seed: the interval includes the noise of the examples only, not that of training"


@dataclass(frozen=True, eq=False)
class MembershipReading:
    """One setting's attacked models.

    Attributes:
        setting: its name.
        setting_design: its design.
        examples: its rows of the table.
        attacked: models by method.
        design: of the study.
    """

    setting: str
    setting_design: SettingDesign
    examples: pl.DataFrame
    attacked: Mapping[str, Targets]
    design: Design

    kind: Kind = field(default="membership", init=False)
    split: str = field(default=SPLIT, init=False)

    @property
    def methods(self) -> Sequence[str]:
        return list(self.attacked)

    @cached_property
    def groups(self) -> tuple[Groups, ...]:
        """The attributes of the examples."""
        return groups_of(self.examples)

    def masks(self, attribute: str | None) -> dict[str, np.ndarray]:
        """The groups of an attribute, bool [n]."""
        return {
            name: groups.masks[:, index]
            for groups in self.groups
            if groups.attribute == attribute
            for index, name in enumerate(groups.names)
        }

    def mask(self, subset: Subset) -> np.ndarray:
        """bool [n], the members of a group, its rest, or everyone."""
        if subset.group is None:
            return np.ones(len(self.examples), dtype=bool)
        member = self.masks(subset.attribute)[subset.group]
        return self._of(subset.attribute).defined & ~member if subset.complement else member

    def _of(self, attribute: str | None) -> Groups:
        """The groups of an attribute."""
        return next(groups for groups in self.groups if groups.attribute == attribute)

    def estimands(self, measure: Measure) -> Iterator[Estimand]:
        """Everyone and each group, at each threshold; for measures over groups together, each attribute."""
        influence = measure.influence
        if not isinstance(influence, LeakOf):
            yield from (Estimand(measure, Subset(groups.attribute)) for groups in self.groups)
            return
        yield Estimand(measure, EVERYONE)
        for groups in self.groups:
            for group in groups.names:
                for condition in (OWN, POOLED) if influence.thresholded else (None,):
                    yield Estimand(measure, Subset(groups.attribute, group), condition=condition)

    def estimates(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """Estimates of each model, and of all models of the method together.

        `noise_floor` and `noise_high` of a difference between groups are what permuted groups show, and its note has
        the p-value.
        """
        targets, influence = self.attacked[method], estimand.measure.influence
        if isinstance(influence, CorrelationOf):
            if targets.loss is not None:
                value, note, n = influence(targets, self.masks(estimand.subset.attribute), self.design.support)
                yield None, Estimate(None if math.isnan(value) else value, None, None, n, (note,))
            return
        if isinstance(influence, LossOf) and getattr(targets, influence.of) is None:
            return
        runs: dict[int | None, Targets] = {seed: targets.take([seed]) for seed in targets.seeds}
        runs[None] = targets
        for seed, models in runs.items():
            if isinstance(influence, RangeOf):
                yield seed, self._range(estimand, influence, models, seed is None)
            elif isinstance(influence, LeakOf):
                yield seed, self._leak(estimand, influence, models, _notes(targets) if seed is None else [])

    def _leak(self, estimand: Estimand, influence: LeakOf, targets: Targets, notes: Sequence[str]) -> Estimate:
        """The estimate of a measure of scores, of everyone or of a group."""
        rows = targets.known & self.mask(estimand.subset)
        leak = influence(targets, rows, targets.known if estimand.condition == POOLED else rows)
        if leak.reason:
            return Estimate(None, None, None, leak.examples, (leak.reason, *notes))
        low, high = leak.interval()
        leak_notes = [leak.note] if leak.note else []
        if influence.chance is not None and high < influence.chance:
            leak_notes.append(
                f"below {influence.chance:g}: a member's score should be the higher one".replace("0.", ".")
            )
        bounds = (None, None) if math.isnan(low) else (low, high)
        return Estimate(leak.pooled.estimate, *bounds, leak.examples, (*leak_notes, *notes))

    def _range(self, estimand: Estimand, influence: RangeOf, targets: Targets, floored: bool) -> Estimate:
        """The estimate of the largest difference between an attribute's groups, with its noise floor if `floored`."""
        masks = self.masks(estimand.subset.attribute)
        leaks = influence.of_groups(targets, targets.known, masks)
        names = eligible(leaks, self.design.support)
        left_out = [name for name in masks if name not in names]
        exclusion = [f"groups left out, undefined or too small: {', '.join(left_out)}"] if left_out else []
        if len(names) < 2:
            return Estimate(None, None, None, 0, (targets.absent or FEW_GROUPS, *exclusion))
        gap = largest_gap([leaks[name] for name in names])
        low, high = gap.interval()
        known = not math.isnan(gap.variance)
        bounds = (max(low, 0.0), min(high, 1.0)) if known else (None, None)
        n = sum(leaks[name].examples for name in names)
        notes, floor = [str(estimand.measure.note("attribute"))], None
        if floored and influence.alpha is not None:
            notes.append(RATES)
        elif floored:
            groups = self._of(estimand.subset.attribute)
            # Groups are permuted among examples of one label, where labels are known.
            strata = self.examples["label"].fill_null(-1).to_numpy() + 1
            group_masks = np.stack([masks[name] for name in names], axis=1)
            null = permuted(targets, group_masks, groups.defined, strata, [leaks[name] for name in names])
            floor = None if isinstance(null, str) else noise_floor(null.gaps)
            notes.append(null if isinstance(null, str) else PERMUTED.format(p=null.p))
        return Estimate(gap.estimate, *bounds, n, (*notes, *exclusion), floor=floor)

    def gaps(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """The gap between a group and its rest, each at its own threshold, of each model and of all together."""
        targets = self.attacked[method]
        if not self._has_gap(estimand) or targets.absent:
            return
        sides = [self.mask(subset) for subset in (estimand.subset, estimand.subset.rest)]
        runs: dict[int | None, Targets] = {seed: targets.take([seed]) for seed in targets.seeds}
        runs[None] = targets
        for seed, models in runs.items():
            leaks = leaks_of([models], (sides[0], sides[1]), estimand.measure.influence.of_side)
            notes = [*leaks.notes, *_notes(targets)] if seed is None else []
            if leaks.undefined:
                yield seed, Estimate(None, None, None, leaks.examples, (leaks.undefined, *notes))
                continue
            found = LeakGap.of(*leaks.by_method[0])
            low, high = gap(estimand, method, 1).within(found.interval.bounds((1 - LEVEL) / 2))
            known = not math.isnan(found.whole.variance)
            bounds = (low, high) if known else (None, None)
            yield seed, Estimate(found.whole.estimate, *bounds, found.examples, tuple(notes))

    def _has_gap(self, estimand: Estimand) -> bool:
        """Whether the estimand is about a group, at its own threshold, and is compared with its rest."""
        return estimand.measure.gaps and estimand.subset.level == "group" and estimand.condition != POOLED

    def comparisons(self, estimand: Estimand) -> Iterator[Comparison]:
        """Every method with every reference, at the groups' own thresholds: changes, and changes of gaps to the rest.

        Where there is no reference, or gaps are asked for, the gap of every method.
        """
        measure, references = estimand.measure, self.setting_design.references
        if not measure.direction or estimand.condition == POOLED:
            return
        has_gap = self._has_gap(estimand)
        mirrored = has_gap and self._of(estimand.subset.attribute).two_halves
        for method, reference in pairs(self.methods, references):
            yield change(estimand, method, reference, measure.direction, measure.decides)
            if has_gap:
                yield gap_change(estimand, method, reference, measure.direction, mirrored=mirrored)
        for method in self.methods if has_gap and (self.design.gaps or not references) else ():
            yield gap(estimand, method, measure.direction, mirrored=mirrored)

    def evidence(self, comparison: Comparison) -> Evidence:
        """The evidence from the models and examples for which both methods have scores."""
        estimand = comparison.estimand
        influence, subset = estimand.measure.influence, estimand.subset
        if comparison.kind != "change":
            return self._evidence_of_gap(comparison)
        groups = self.masks(subset.attribute) if isinstance(influence, RangeOf) else {}

        def leak_of(targets: Targets, rows: np.ndarray) -> Leak:
            if isinstance(influence, RangeOf):
                return influence(targets, rows, groups, self.design.support)
            return influence(targets, rows, rows)

        terms = sorted(comparison.terms, key=lambda term: -term.coefficient)
        first, second = (self.attacked[term.method] for term in terms)
        note = estimand.measure.note(subset.level)
        matched = self.design.paired != "none"
        return membership_evidence(first, second, self.mask(subset), leak_of, matched, [note] if note else [])

    def _evidence_of_gap(self, comparison: Comparison) -> Evidence:
        """The evidence on the gap of a method, or on its change against the reference."""
        estimand, targets = comparison.estimand, self.attacked[comparison.method]
        sides = (self.mask(estimand.subset), self.mask(estimand.subset.rest))
        leak_of = estimand.measure.influence.of_side
        if comparison.reference is None:
            return gap_evidence(targets, sides, leak_of)
        reference = self.attacked[comparison.reference]
        return gap_change_evidence(targets, reference, sides, leak_of, self.design.paired != "none", comparison.decides)

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterator[SettingContrast]:
        """None: leakage is not averaged over settings."""
        return iter(())

    def curves(self, judged: Sequence[Family]) -> Iterator[dict[str, Any]]:
        """ROC curves of all models of a method together: x is the expected FPR and y the TPR.

        They are drawn however few non-members there are, with 95% intervals where the TPR at that FPR is not refused.
        """
        group_subsets = [Subset(groups.attribute, name) for groups in self.groups for name in groups.names]
        for method, targets in self.attacked.items():
            for subset in (EVERYONE, *group_subsets):
                labels = {"attribute": subset.attribute, "group": subset.group, "method": method}
                for point in _points(targets, targets.known & self.mask(subset)):
                    yield {"setting": self.setting, "split": SPLIT, "measure": ROC, **labels, **point}


def readings(
    examples: pl.DataFrame,
    trials: pl.DataFrame,
    members: pl.DataFrame,
    scores: pl.DataFrame,
    design: Design,
    attacks: Mapping[str, Attack] | None = None,
) -> Iterator[MembershipReading]:
    """The reading of each setting that has membership scores.

    Args:
        examples, trials: the tables.
        members: which trial was trained on which example.
        scores: attack scores of the trials and examples in `members`.
        design: who is compared with whom.
        attacks: attacked models of settings whose scores rest on their pool's other models
            (`evenhand.audit.membership.pool`), for which `members` and `scores` are not read: intervals hold what a
            model does to the others' scores.
    """
    for setting, setting_design in design.settings.items():
        if attacks is not None and setting in attacks:
            setting_examples, attacked = attacks[setting].examples, attacks[setting].methods
        elif scores.is_empty():
            continue
        else:
            setting_examples = examples.filter(setting=setting)
            attacked = _targets(setting_examples, trials.filter(setting=setting), members, scores)
        if attacked:
            yield MembershipReading(setting, setting_design, setting_examples, attacked, design)


def _targets(
    examples: pl.DataFrame, trials: pl.DataFrame, members: pl.DataFrame, scores: pl.DataFrame
) -> dict[str, Targets]:
    """The models of each method, with the scores of the table."""
    placed = examples.select("example", row=pl.int_range(pl.len()))
    rows = scores.join(members, on=["trial", "example"]).join(placed, on="example")
    unit = unit_codes(examples)
    parts = {str(trial): part for (trial,), part in rows.partition_by("trial", as_dict=True).items()}
    targets = {}
    for (method,), method_trials in trials.partition_by("method", as_dict=True, maintain_order=True).items():
        scored_trials = method_trials.filter(pl.col("trial").is_in(list(parts))).sort("seed")
        shape = (len(scored_trials), len(examples))
        score, member, known = np.zeros(shape), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for model, trial in enumerate(scored_trials["trial"]):
            part = parts[trial]
            row = part["row"].to_numpy()
            score[model, row], member[model, row], known[model, row] = part["score"], part["member"], True
        if len(scored_trials):
            targets[str(method)] = Targets(tuple(scored_trials["seed"]), score, member, known, unit)
    return targets


def _notes(targets: Targets) -> list[str]:
    """The notes on all models of a method together."""
    return [*([ONE_SEED] if len(targets.seeds) == 1 else []), *targets.notes]


def _points(targets: Targets, rows: np.ndarray) -> Iterator[dict[str, Any]]:
    """Points of the ROC curve that a logarithmic scale can show, with 95% intervals where a rate is not refused."""
    non_members = int((rows & ~targets.member).sum())
    if not non_members or not (rows & targets.member).any():
        return
    distinct = int((rows & ~targets.member).any(axis=0).sum())
    for rank in np.unique(np.geomspace(1, non_members + 1, POINTS).round().astype(int)):
        alpha = float(rank) / (non_members + 1)
        point = by_unit(pooled_tpr(targets.score, targets.member, alpha, rows), targets, rows)
        low, high = point.interval() if distinct * alpha >= LEAST else (None, None)
        yield {"x": alpha, "y": point.estimate, "low": low, "high": high}
