"""Verdicts across settings: the mean of a contrast over the settings of a study that have it.

Settings of one study often test the same examples, with several base models say, and then their contrasts share the
noise of those examples: units of one name are the same unit, and what they contribute to both contrasts is their
covariance. Where names coincide by accident, as row numbers of two data sets do, that covariance is 0 on average: it
costs a little width and no coverage. What a seed does alike in all settings beyond the choice of its examples (the
order of training, say) is not held: from 3 to 10 seeds it cannot be told from chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.comparisons import NO_MARGIN, Contrast
from evenhand.audit.design import Design
from evenhand.audit.kinds.estimands import Case
from evenhand.stats.equivalence import verdict
from evenhand.stats.heterogeneity import Pooled, pool
from evenhand.stats.power import POWER

DIFFER = "settings differ by more than their noise"
ALIKE = "no sign that settings differ"
SHARED = "settings share test examples, and the interval holds what that adds"
ONE_SEED = "one seed in some setting: how settings differ holds the noise of seeds"


@dataclass(frozen=True)
class Compared:
    """A contrast of one setting.

    Attributes:
        setting, split: where.
        method, reference: who with whom.
        case: what.
        margin: declared for it.
        contrast: the contrast.
    """

    setting: str
    split: str
    method: str
    reference: str
    case: Case
    margin: float | None
    contrast: Contrast

    @property
    def judged(self) -> bool:
        """Whether its setting judges it, so that its variance and what its units contribute are known."""
        return self.contrast.interval is not None and self.contrast.units is not None


def across_settings(compared: Sequence[Compared], examples: pl.DataFrame, design: Design) -> Iterator[dict[str, Any]]:
    """Rows of the table `verdicts` whose setting is null: one per contrast that two settings or more have.

    `contrast` is the mean over the settings that judge it and `runs` their number. Bounds are simultaneous over the
    family: all rows of one measure, method, reference and split, of groups, attributes or everyone (Bonferroni).
    `predict_low` and `predict_high`, at the same level, hold the true contrast of a new setting and are null below
    three settings. The first note says how settings differ. Unpaired tables, whose units are not known, are not pooled.

    Args:
        compared: the contrasts of all settings.
        examples: the table, for the names of units.
        design: of the study.
    """
    if design.paired == "none" or len({one.setting for one in compared}) < 2:
        return
    codes = unit_codes(examples)
    families: dict[tuple[str, ...], dict[tuple[str | None, ...], list[Compared]]] = {}
    for one in compared:
        case = one.case
        family = families.setdefault((one.split, case.measure.name, one.method, one.reference, case.level), {})
        family.setdefault((case.name, case.attribute, case.group, case.condition), []).append(one)
    for found in families.values():
        several = [places for places in found.values() if len(places) > 1]
        judged = [[one for one in places if one.judged] for places in several]
        pools = [_pooled(some, codes) if len(some) > 1 else None for some in judged]
        size = max(sum(pool is not None for pool in pools), 1)
        for places, pooled in zip(several, pools, strict=True):
            yield _row(places, pooled, size, design)


def unit_codes(examples: pl.DataFrame) -> dict[str, np.ndarray]:
    """By setting, int [U]: the code in the study of each of its units, in the order of the setting's own codes."""
    coded = examples.select("setting", code=pl.col("unit").rank("dense").cast(pl.Int64) - 1)
    return {
        str(setting): np.unique(part["code"].to_numpy())  # both kinds of codes follow the names
        for (setting,), part in coded.partition_by("setting", as_dict=True).items()
    }


def _pooled(judged: Sequence[Compared], codes: Mapping[str, np.ndarray]) -> Pooled | None:
    """The mean of contrasts that are judged; None where one has no spread, so that it cannot be pooled."""
    contrasts = [one.contrast for one in judged]
    variances = np.array([found.interval.variance for found in contrasts if found.interval])
    if not (variances > 0).all():
        return None
    estimates = np.array([found.estimate for found in contrasts], dtype=float)
    units = [codes[one.setting][one.contrast.units] for one in judged]
    tested = np.bincount(np.concatenate(units))
    common = int((tested > 1).sum())
    if not common:
        return pool(estimates, variances)
    totals = np.zeros((len(judged), len(tested)))
    for row, own, found in zip(totals, units, contrasts, strict=True):
        row[own] = found.totals
    return pool(estimates, variances, shared=totals @ totals.T, shared_df=max(common - 1, 1))


def _row(places: Sequence[Compared], pooled: Pooled | None, size: int, design: Design) -> dict[str, Any]:
    first = places[0]
    case, margin, decides = first.case, first.margin, first.case.measure.decides
    by = {"everyone": "everyone", "group": "by group", "attribute": "by attribute"}[case.level]
    plural = "contrast" if size == 1 else "contrasts"
    judged = [one for one in places if one.judged]
    row: dict[str, Any] = {
        "setting": None,
        "split": first.split,
        "measure": case.measure.name,
        "class": case.name,
        "attribute": case.attribute,
        "group": case.group,
        "condition": case.condition,
        "method": first.method,
        "reference": first.reference,
        "contrast": None,
        "low": None,
        "high": None,
        "predict_low": None,
        "predict_high": None,
        "margin": margin,
        "verdict": "inconclusive" if decides else None,
        "family": f"{case.measure.name} {by}, {first.method} vs {first.reference}, across settings ({size} {plural})",
        "p": None,
        "p_adjusted": None,
        "detectable": None,
        "runs": len(judged),
        "runs_needed": None,
    }
    notes = []
    if len(judged) < len(places):
        notes.append(f"left out, not judged there: {', '.join(one.setting for one in places if not one.judged)}")
    if decides and margin is None:
        notes.append(NO_MARGIN)
    if pooled is None:
        why = "a setting's contrast has no spread" if len(judged) > 1 else "judged in fewer than two settings"
        return {**row, "note": "; ".join([f"not pooled: {why}", *notes])}
    level = design.alpha / size
    low, high = pooled.bounds(level)
    row |= {"contrast": pooled.estimate, "low": low, "high": high}
    if pooled.settings > 2:
        row["predict_low"], row["predict_high"] = pooled.prediction(1 - 2 * level)
    if decides:
        p = pooled.p_greater()
        row |= {
            "verdict": verdict(low, high, margin),
            "p": p,
            "p_adjusted": min(size * p, 1.0),
            "detectable": pooled.half_width(level) + pooled.half_width(1 - POWER),
        }
    notes = [_differ(pooled, design.alpha), *([pooled.reason] if pooled.reason else []), *notes]
    note = case.measure.note(case.level)
    if note:
        notes.append(note)
    if pooled.shared > 0:
        notes.append(SHARED)
    if any(one.contrast.runs < 2 for one in judged):
        notes.append(ONE_SEED)
    return {**row, "note": "; ".join(notes)}


def _differ(pooled: Pooled, alpha: float) -> str:
    p = "below .001" if pooled.q_p < 0.001 else f"{pooled.q_p:.3f}".removeprefix("0")
    said = DIFFER if pooled.q_p < alpha else ALIKE
    return f"{pooled.settings} settings, I² {100 * pooled.i_squared:.0f}%, p of Q {p}: {said}"
