"""Builds rows of the table `verdicts` from intervals: direction, margin, verdict, detectable harm, runs needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenhand.audit.comparisons import ONE_MODEL, ONE_SEED, Contrast
from evenhand.audit.design import Design
from evenhand.audit.disparities import LEVELLED_DOWN, OTHERS_LEVELLED_DOWN
from evenhand.audit.estimands import Comparison
from evenhand.audit.unseen_calibration import Unseen
from evenhand.records import schemas
from evenhand.records.schemas import ONE_AGAINST_SEVERAL, THE_METHODS, TWO_MODELS
from evenhand.stats.differences import FewEvents
from evenhand.stats.equivalence import two_sided_verdict, verdict
from evenhand.stats.heterogeneity import MetaAnalysis
from evenhand.stats.multiplicity import MaxT
from evenhand.stats.power import POWER, Repeated
from evenhand.stats.runs_needed import runs_needed

NO_MARGIN = "no margin was declared, so the verdict cannot be equivalent or not worse"
NO_WIDTH = "the interval has no width: the two do the same on every example that the measure rests on"
COLLAPSED = "looks collapsed: "
WITHOUT = "without collapsed runs: "
BY = {"everyone": "everyone", "group": "by group", "attribute": "by attribute"}


@dataclass(frozen=True, eq=False)
class SettingContrast:
    """A contrast of one setting.

    Attributes:
        setting, split: whose records it is made of.
        comparison: the methods and the estimand that are compared.
        contrast: its interval.
        margin: declared for it; None where there is none.
        unit_names: by code, the names of the setting's units, ascending; needed to pool it over settings.
        pooled_with: pooled contrasts that share this name are a family; None: those of one level.
    """

    setting: str
    split: str
    comparison: Comparison
    contrast: Contrast
    margin: float | None
    unit_names: np.ndarray | None = None
    pooled_with: str | None = None

    @property
    def judged(self) -> bool:
        """Whether its setting judges it, so that its variance and the influences of its units are known."""
        return self.contrast.interval is not None and self.contrast.totals is not None


@dataclass(frozen=True)
class FamilyBounds:
    """The simultaneous bounds of contrasts that are judged together.

    Attributes:
        joint: the null distribution of the largest statistic (the smallest p-value).
        level: of each bound; of two-sided verdicts half as large as of others.
        name: the measure and the pair of methods, the number of contrasts and how they are corrected.
        jointly: the claim about all of them, where it holds.
        alpha: the one-sided level of the whole family.
        one_sided: the level of each bound of one-sided verdicts, which disparities have whatever the measure.
    """

    joint: MaxT
    level: float
    name: str
    jointly: str | None
    alpha: float
    one_sided: float


def setting_row(member: SettingContrast, family: FamilyBounds) -> dict[str, Any]:
    """The row of a setting's contrast, with bounds that hold simultaneously over its family."""
    contrast, comparison = member.contrast, member.comparison
    notes = [
        *_on_collapsed_runs(member, family),
        *contrast.notes,
        *([NO_MARGIN] if comparison.decides and member.margin is None else []),
    ]
    values: dict[str, Any] = {
        "contrast": contrast.estimate,
        "runs": contrast.runs,
        "scope": scope_of(comparison.reference, contrast.runs or contrast.planned, contrast.single),
    }
    interval, bounds = contrast.interval, contrast.bounds(family.level)
    if interval is None or bounds is None:
        return verdict_row(member, member.setting, family.name, notes, values)
    low, high = bounds
    values["low"], values["high"] = comparison.within((low, high))
    if contrast.gaps is not None:
        values["disparity"] = contrast.gaps.disparity(interval, family.one_sided)
        notes += _on_levelling(member, family, str(values["disparity"]))
    if not comparison.decides:
        return verdict_row(member, member.setting, family.name, notes, values)
    if contrast.runs < 2:
        notes.insert(0, ONE_MODEL if comparison.reference is None else ONE_SEED)
    if not high > low:
        return verdict_row(member, member.setting, family.name, [*notes, NO_WIDTH], values)
    p = contrast.p_greater()
    adjusted = family.joint.adjusted
    values |= {
        "verdict": decided(low, high, member, contrast.unseen, contrast.lowest(family.level)),
        "p": 2 * min(p, 1 - p) if comparison.two_sided else p,
        "p_adjusted": min(2 * float(adjusted(min(p, 1 - p))), 1.0) if comparison.two_sided else float(adjusted(p)),
        "detectable": Repeated.of(interval, family.level).smallest(),
    }
    # An interval for few events that stands alone is of one run, which shows no spread between runs.
    undecided = values["verdict"] == "inconclusive" and not comparison.estimand.measure.one_sided
    if undecided and contrast.runs > 1 and not isinstance(interval, FewEvents):
        needed = runs_needed(
            interval, family.level, margin_left(member.margin, contrast.unseen), two_sided=comparison.two_sided
        )
        values["runs_needed"] = needed.runs
        notes += [needed.reason] if needed.reason else []
    notes += [family.jointly] if family.jointly else []
    return verdict_row(member, member.setting, family.name, notes, values)


def _on_levelling(member: SettingContrast, family: FamilyBounds, disparity: str) -> list[str]:
    """The note on a gap that closes because somebody got worse and nobody better."""
    gaps, opposite = member.contrast.gaps, member.comparison.opposite
    interval = member.contrast.interval
    if gaps is None or interval is None:
        return []
    others = opposite.group if opposite.group is not None and not opposite.complement else "the rest"
    if disparity == "narrows" and gaps.levelled_down(family.one_sided):
        return [LEVELLED_DOWN.format(others)]
    lost_less = interval.bounds(family.level)[1] < 0
    return [OTHERS_LEVELLED_DOWN.format(others)] if lost_less and gaps.others_levelled_down(family.one_sided) else []


def _on_collapsed_runs(member: SettingContrast, family: FamilyBounds) -> list[str]:
    """The notes on runs that look collapsed: their names, and the verdict without them at the family's level."""
    contrast, comparison = member.contrast.without, member.comparison
    if contrast is None:
        return []
    named = [COLLAPSED + ", ".join(member.contrast.collapsed)]
    if contrast.estimate is None or contrast.interval is None:
        return [*named, f"{WITHOUT}no verdict"]
    low, high = contrast.bounds(family.level) or contrast.interval.bounds(family.level)
    word = decided(low, high, member, contrast.unseen, contrast.lowest(family.level))
    word = f"{word}, " if comparison.decides else ""
    low, high = comparison.within((low, high))
    return [*named, f"{WITHOUT}{word}{contrast.estimate:+.4f} [{low:+.4f}, {high:+.4f}] in {contrast.runs} runs"]


def decided(low: float, high: float, member: SettingContrast, unseen: Unseen | None, lowest: float) -> str:
    """The verdict of an interval; a one-sided measure has none but `worse`.

    Args:
        low, high: the bounds.
        member: the contrast, or one of those that a mean is over.
        unseen: what the contrast cannot see, if anything.
        lowest: the lower bound that `equivalent` rests on; below `low` where something is not seen.
    """
    if member.comparison.two_sided:
        return two_sided_verdict(low, high, member.margin)
    few = unseen is not None and unseen.few
    margin = None if few else member.margin
    word = verdict(low, high, margin)
    if margin is not None and word == "equivalent" and not -margin < lowest:
        word = verdict(low, high, None)
        word = "not worse" if word == "inconclusive" else word
    if few and word == "better":
        word = "inconclusive"
    return "inconclusive" if word != "worse" and member.comparison.estimand.measure.one_sided else word


def margin_left(margin: float | None, unseen: Unseen | None) -> float | None:
    """What a margin leaves for the noise of the estimate; None where no verdict of harmlessness can be reached."""
    if margin is None or unseen is None:
        return margin
    left = margin - unseen.above.share
    return left if left > 0 and not unseen.few else None


def scope_of(reference: str | None, runs: int, single: bool = False) -> str:
    """What a comparison of so many runs is about; `single` where one model is compared with each of them."""
    if single:
        return ONE_AGAINST_SEVERAL
    if runs != 1:
        return THE_METHODS
    return schemas.ONE_MODEL if reference is None else TWO_MODELS


def pooled_row(
    member: SettingContrast,
    pooled: MetaAnalysis | None,
    size: int,
    settings: int,
    scope: str,
    notes: Sequence[str],
    design: Design,
    unseen: Unseen | None = None,
) -> dict[str, Any]:
    """The row of a mean over settings, with bounds that hold simultaneously over `size` such means.

    Args:
        member: one of the settings' contrasts.
        pooled: the mean; None where there is none.
        size: the number of means in the family.
        settings: the number of settings that the mean is over.
        scope: what their contrasts are about.
        notes: of the row.
        design: the study's.
        unseen: what the contrasts cannot see, if anything.
    """
    comparison = member.comparison
    estimand = comparison.estimand
    pair = f"{kind_of(comparison)}{estimand.measure.name} {BY[estimand.subset.level]}, {pair_of(comparison)}"
    family = f"{pair}, across settings ({counted(size)})"
    values: dict[str, Any] = {"runs": settings, "scope": scope}
    if pooled is not None:
        level = design.alpha / size / (2 if comparison.two_sided else 1)
        low, high = pooled.bounds(level)
        lowest = low
        if unseen is not None:
            lowest = unseen.lowest(pooled, low)
            low, high = unseen.bounds(pooled, low, high)
        values["contrast"] = pooled.estimate
        values["low"], values["high"] = comparison.within((low, high))
        if pooled.settings > 2:
            values["predict_low"], values["predict_high"] = pooled.prediction(1 - 2 * level)
        if comparison.decides:
            p = pooled.p_greater(unseen.below.squares if unseen else 0.0)
            p = 2 * min(p, 1 - p) if comparison.two_sided else p
            values |= {
                "verdict": decided(low, high, member, unseen, lowest),
                "p": p,
                "p_adjusted": min(size * p, 1.0),
                "detectable": pooled.half_widths(level)[0] + pooled.half_widths(1 - POWER)[0],
            }
    return verdict_row(member, None, family, notes, values)


def verdict_row(
    member: SettingContrast, setting: str | None, family: str, notes: Sequence[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """A row of the table `verdicts`: the one place where such rows are made.

    Columns without a value are null; a missing verdict is `inconclusive` where the measure decides, so that a gate does
    not take it for an answer.
    """
    comparison = member.comparison
    estimand = comparison.estimand
    by = comparison.decided_by
    notes = [*notes, estimand.measure.on_contrasts, *([f"no verdict: what decides is {by}"] if by else [])]
    return {
        "comparison": comparison.kind,
        "scope": THE_METHODS,
        "disparity": None,
        "setting": setting,
        "split": member.split,
        "measure": estimand.measure.name,
        "class": estimand.class_name,
        "attribute": estimand.subset.attribute,
        "group": estimand.subset.group,
        "condition": estimand.condition,
        "correction": estimand.correction,
        "method": comparison.method,
        "reference": comparison.reference,
        "against": comparison.against,
        "contrast": None,
        "low": None,
        "high": None,
        "predict_low": None,
        "predict_high": None,
        "margin": member.margin,
        "verdict": "inconclusive" if comparison.decides else None,
        "family": family,
        "p": None,
        "p_adjusted": None,
        "detectable": None,
        "runs": None,
        "runs_needed": None,
        **values,
        "note": "; ".join(dict.fromkeys(filter(None, notes))) or None,
    }


def kind_of(comparison: Comparison) -> str:
    """What of a measure is compared, as the names of families begin: nothing, `gap of ` or `gap change of `."""
    return "" if comparison.kind == "change" else f"{comparison.kind} of "


def pair_of(comparison: Comparison) -> str:
    """The methods that a comparison is about."""
    return comparison.method if comparison.reference is None else f"{comparison.method} vs {comparison.reference}"


def counted(size: int) -> str:
    return f"{size} contrast{'' if size == 1 else 's'}"
