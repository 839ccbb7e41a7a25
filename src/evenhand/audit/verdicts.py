"""Judges comparisons family by family, with simultaneous bounds, and returns the table `verdicts`.

A family answers one question: all contrasts of one measure, method and reference, of one setting and split, over all
groups (or over all attributes) and classes; everyone is a family of its own. Each bound has the one-sided
level at which a family without any harm has a verdict `worse` with probability alpha: that of max T, which knows how
contrasts share examples, and alpha over the family's size (Bonferroni) where they share none or are unpaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from evenhand.audit.comparisons import Contrast
from evenhand.audit.design import Design
from evenhand.audit.group_rows import between_groups, named_first, without_mirrors
from evenhand.audit.verdict_rows import BY, FamilyBounds, SettingContrast, counted, kind_of, pair_of, setting_row
from evenhand.seeds import generator
from evenhand.stats.multiplicity import MaxT, correlations, max_t


@dataclass(frozen=True)
class Family(FamilyBounds):
    """Contrasts of one measure, method and reference that are judged together.

    Attributes:
        members: of one level; some may be shown and not judged.
    """

    members: Sequence[SettingContrast]

    @classmethod
    def of(cls, members: Sequence[SettingContrast], design: Design) -> Self:
        """The family of these contrasts."""
        contrasts = [member.contrast for member in members]
        joint = _joint(contrasts)
        first = members[0].comparison
        size, one_sided = joint.size, joint.level(design.alpha)
        level = joint.level(design.alpha / 2) if first.two_sided else one_sided
        estimand = first.estimand
        by = BY[estimand.subset.level] if estimand.family is None else f"by {estimand.family}"
        method_note = ", max T" if one_sided > design.alpha / size else ""
        corrected = "" if estimand.correction is None else f" after {estimand.correction}"
        name = (
            f"{kind_of(first)}{estimand.measure.name}{corrected} {by}, {pair_of(first)} ({counted(size)}{method_note})"
        )
        # The upper bound of a one-sided measure excludes nothing.
        excludes = first.decides and not first.two_sided and not estimand.measure.one_sided
        jointly = _jointly(contrasts, members[0].margin, design.alpha) if excludes else None
        return cls(joint, level, name, jointly, design.alpha, one_sided, members)

    @property
    def settled(self) -> Self:
        """The family without what its units contribute, which takes memory and is not needed again."""
        members = [replace(one, contrast=replace(one.contrast, totals=None, gram=None)) for one in self.members]
        return replace(self, members=members)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the table `verdicts`: one for each question, and for gap changes one for an attribute's groups."""
        indices = without_mirrors(self.members, [member.contrast.estimate for member in self.members])
        kept = [(self.members[index], setting_row(self.members[index], self)) for index in indices]
        kind = self.members[0].comparison.kind
        ordered = kept if kind == "change" else named_first(kept)
        yield from (row for _, row in ordered)
        if kind == "gap change":
            yield from between_groups(ordered, self)


def families(contrasts: Sequence[SettingContrast], design: Design) -> list[Family]:
    """The contrasts of one reading, family by family, in the order of the pairs of methods."""
    members: dict[tuple[str | None, ...], list[SettingContrast]] = {}
    for contrast in contrasts:
        comparison = contrast.comparison
        estimand = comparison.estimand
        level = estimand.family or estimand.subset.level
        key = (
            comparison.kind,
            comparison.reference,
            comparison.method,
            estimand.measure.name,
            level,
            estimand.correction,
        )
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
    if not all(contrast.not_worse(margin, alpha) for contrast in contrasts):
        return None
    return f"jointly: not worse by the margin in any of the {len(contrasts)} contrasts"
