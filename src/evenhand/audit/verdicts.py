"""Verdicts: contrasts judged family by family, with simultaneous bounds.

A family answers one question: all contrasts of one measure, method and reference, of one setting and split, over all
groups (or over all attributes) and classes; everyone is a family of its own. Each bound has the one-sided
level at which a family without any harm has a verdict `worse` with probability alpha: that of max T, which knows how
contrasts share examples, and alpha over the family's size (Bonferroni) where they share none or are unpaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from evenhand.audit.comparisons import ONE_SEED, Contrast
from evenhand.audit.design import Design
from evenhand.audit.estimands import Comparison
from evenhand.seeds import generator
from evenhand.stats.equivalence import verdict
from evenhand.stats.heterogeneity import MetaAnalysis
from evenhand.stats.multiplicity import MaxT, correlations, max_t
from evenhand.stats.power import POWER, Repeated, runs_needed

NO_MARGIN = "no margin was declared, so the verdict cannot be equivalent or not worse"
NO_WIDTH = "the interval has no width: nothing that the measure rests on differs between the two"
_BY = {"everyone": "everyone", "group": "by group", "attribute": "by attribute"}


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
class Family:
    """Contrasts of one measure, method and reference that are judged together.

    Attributes:
        members: of one level; some may be shown and not judged.
        joint: the null distribution of the largest statistic (the smallest p-value).
        level: one-sided, of each bound.
        name: the measure and the pair of methods, the number of contrasts and how they are corrected.
        jointly: the claim about all of them, where it holds.
    """

    members: Sequence[SettingContrast]
    joint: MaxT
    level: float
    name: str
    jointly: str | None

    @classmethod
    def of(cls, members: Sequence[SettingContrast], design: Design) -> Self:
        """The family of these contrasts."""
        contrasts = [member.contrast for member in members]
        joint = _joint(contrasts)
        size, level = joint.size, joint.level(design.alpha)
        first = members[0].comparison
        estimand = first.estimand
        by = _BY[estimand.subset.level] if estimand.family is None else f"by {estimand.family}"
        method_note = ", max T" if level > design.alpha / size else ""
        corrected = "" if estimand.correction is None else f" after {estimand.correction}"
        name = f"{estimand.measure.name}{corrected} {by}, {_pair(first)} ({_counted(size)}{method_note})"
        jointly = _jointly(contrasts, members[0].margin, design.alpha) if first.decides else None
        return cls(members, joint, level, name, jointly)

    @property
    def settled(self) -> Self:
        """The family without what its units contribute, which takes memory and is not needed again."""
        members = [replace(one, contrast=replace(one.contrast, totals=None, gram=None)) for one in self.members]
        return replace(self, members=members)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the table `verdicts`."""
        for member in self.members:
            yield setting_row(member, self)


def families(contrasts: Sequence[SettingContrast], design: Design) -> list[Family]:
    """The contrasts of one reading, family by family, in the order of the pairs of methods."""
    members: dict[tuple[str | None, ...], list[SettingContrast]] = {}
    for contrast in contrasts:
        comparison = contrast.comparison
        estimand = comparison.estimand
        level = estimand.family or estimand.subset.level
        key = (comparison.reference, comparison.method, estimand.measure.name, level, estimand.correction)
        members.setdefault(key, []).append(contrast)
    return in_order([Family.of(own, design) for own in members.values()])


def in_order(families: Sequence[Family]) -> list[Family]:
    """Families in the order of the pairs of methods that they are about."""
    compared = [family.members[0].comparison for family in families]
    pairs = [(comparison.reference, comparison.method) for comparison in compared]
    order = {pair: rank for rank, pair in enumerate(dict.fromkeys(pairs))}
    ranked = sorted(zip(pairs, families, strict=True), key=lambda each: order[each[0]])
    return [family for _, family in ranked]


def pairs(methods: Sequence[str], references: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The pairs of methods that are compared: every method with every reference, two references once."""
    present = [name for name in references if name in methods]
    for rank, reference in enumerate(present):
        for method in methods:
            if method != reference and method not in present[:rank]:
                yield method, reference


def setting_row(member: SettingContrast, family: Family) -> dict[str, Any]:
    """The row of a setting's contrast, with bounds that hold simultaneously over its family."""
    contrast, comparison = member.contrast, member.comparison
    notes = [*contrast.notes, *([NO_MARGIN] if comparison.decides and member.margin is None else [])]
    values: dict[str, Any] = {"contrast": contrast.estimate, "runs": contrast.runs}
    interval, whole = contrast.interval, contrast.whole
    if interval is None or whole is None:
        return verdict_row(member, member.setting, family.name, notes, values)
    low, high = interval.bounds(family.level)
    values |= {"low": low, "high": high}
    if not comparison.decides:
        return verdict_row(member, member.setting, family.name, notes, values)
    if contrast.runs < 2:
        return verdict_row(member, member.setting, family.name, [ONE_SEED, *notes], values)
    if not high > low:
        return verdict_row(member, member.setting, family.name, [*notes, NO_WIDTH], values)
    p = interval.p_greater()
    values |= {
        "verdict": verdict(low, high, member.margin),
        "p": p,
        "p_adjusted": float(family.joint.adjusted(p)),
        "detectable": Repeated.of(interval, family.level).smallest(),
    }
    if values["verdict"] == "inconclusive":
        # What an adjusted interval adds is noise of the examples.
        extra = max(interval.variance - whole.variance, 0.0)
        spread = replace(whole, variance=interval.variance, v_example=whole.v_example + extra)
        needed = runs_needed(spread, family.level, member.margin)
        values["runs_needed"] = needed.runs
        notes += [needed.reason] if needed.reason else []
    notes += [family.jointly] if family.jointly else []
    return verdict_row(member, member.setting, family.name, notes, values)


def pooled_row(
    member: SettingContrast, pooled: MetaAnalysis | None, size: int, settings: int, notes: Sequence[str], design: Design
) -> dict[str, Any]:
    """The row of a mean over settings, with bounds that hold simultaneously over `size` such means.

    Args:
        member: one of the settings' contrasts.
        pooled: the mean; None where there is none.
        size: the number of means in the family.
        settings: the number of settings that the mean is over.
        notes: of the row.
        design: the study's.
    """
    comparison = member.comparison
    estimand = comparison.estimand
    pair = f"{estimand.measure.name} {_BY[estimand.subset.level]}, {_pair(comparison)}"
    family = f"{pair}, across settings ({_counted(size)})"
    values: dict[str, Any] = {"runs": settings}
    if pooled is not None:
        level = design.alpha / size
        low, high = pooled.bounds(level)
        values |= {"contrast": pooled.estimate, "low": low, "high": high}
        if pooled.settings > 2:
            values["predict_low"], values["predict_high"] = pooled.prediction(1 - 2 * level)
        if comparison.decides:
            p = pooled.p_greater()
            values |= {
                "verdict": verdict(low, high, member.margin),
                "p": p,
                "p_adjusted": min(size * p, 1.0),
                "detectable": pooled.half_width(level) + pooled.half_width(1 - POWER),
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
    return {
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
        "note": "; ".join(dict.fromkeys(notes)) or None,
    }


def _pair(comparison: Comparison) -> str:
    return f"{comparison.method} vs {comparison.reference}"


def _counted(size: int) -> str:
    return f"{size} contrast{'' if size == 1 else 's'}"


def _joint(contrasts: Sequence[Contrast]) -> MaxT:
    """The joint null distribution of the judged contrasts of a family."""
    size = max(sum(contrast.interval is not None for contrast in contrasts), 1)
    judged = [
        (contrast, contrast.interval.variance, contrast.whole.df)
        for contrast in contrasts
        if contrast.interval and contrast.whole and contrast.whole.variance > 0 and contrast.totals is not None
    ]
    if size < 2 or len(judged) < size:  # nothing to correct, or contrasts with unknown correlations
        return MaxT(np.empty(0), size)
    variances, df = (np.array(part) for part in zip(*(rest for _, *rest in judged), strict=True))
    return max_t(_correlations([contrast for contrast, *_ in judged], variances), df, generator(0, "max T"))


def _correlations(contrasts: Sequence[Contrast], variances: np.ndarray) -> np.ndarray:
    """The correlations of contrasts, float [m, m]."""
    grams = [contrast.gram for contrast in contrasts if contrast.gram is not None]
    if len(grams) == len(contrasts) and all(gram is grams[0][0] for gram, _ in grams):
        indices = [index for _, index in grams]
        spread = np.sqrt(variances)
        found = grams[0][0][np.ix_(indices, indices)] / np.outer(spread, spread)
        np.fill_diagonal(found, 1.0)
        return found
    units, totals = zip(*(contrast.totals() for contrast in contrasts if contrast.totals), strict=True)
    return correlations(units, totals, variances)


def _jointly(contrasts: Sequence[Contrast], margin: float | None, alpha: float) -> str | None:
    """The joint claim "not worse anywhere", an intersection–union test, which needs no correction."""
    if margin is None or len(contrasts) < 2:
        return None
    for contrast in contrasts:
        if contrast.interval is None or contrast.runs < 2:
            return None
        low, high = contrast.interval.bounds(alpha)
        if not (low < high < margin):
            return None
    return f"jointly: not worse by the margin in any of the {len(contrasts)} contrasts"
