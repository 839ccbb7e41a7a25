"""Pools a contrast over the settings of a study (models, data sets), and gives a verdict on the mean.

Settings of one study often test the same examples, with several base models say, and then their contrasts share the
noise of those examples: units of one name are the same unit, and their influences on both contrasts give the
covariance. Where names coincide by accident, as row numbers of two data sets do, that covariance is 0 on average: it
costs a little width and no coverage. Effects of a seed that all settings share beyond the choice of its examples (the
order of training, say) are not included: from 3 to 10 seeds they cannot be distinguished from chance.

Settings may also have the same trials, where they differ in what is done with the trained models only (an attack, say).
Such settings say the same thing twice: of those that share a trial one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.group_rows import without_mirrors
from evenhand.audit.unseen_calibration import Unseen
from evenhand.audit.verdict_rows import NO_MARGIN, SettingContrast, pooled_row, scope_of
from evenhand.stats.heterogeneity import MetaAnalysis, pool

DIFFER = "settings differ by more than their noise"
ALIKE = "no sign that settings differ"
SHARED = "settings share test examples: the interval includes their covariance"
SAME_TRIALS = "settings that share trials count once"
ONE_SEED = "one seed in some setting: the differences between settings include the noise of seeds"

Codes = Mapping[str, np.ndarray]
"""The code in the study of each unit of a setting, int [U], by setting."""


Trials = Mapping[tuple[str, str], frozenset[str]]
"""The trials of each setting and method."""


def across_settings(
    contrasts: Sequence[SettingContrast], design: Design, trials: pl.DataFrame | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of the table `verdicts` whose setting is null: one per contrast that two settings or more have.

    `contrast` is the mean over the settings that judge it and `runs` their number. Bounds are simultaneous over the
    family: all rows of one measure, method, reference and split, of groups, attributes or everyone (Bonferroni); of
    contrasts that are pooled by themselves (benchmarks), of one of these. `predict_low` and `predict_high`, at the same
    level, hold the true contrast of a new setting and are null below three settings. The first note says how settings
    differ. Unpaired tables, whose units are not known, are not pooled.

    Args:
        contrasts: of all settings.
        design: of the study.
        trials: the table; None where no two settings share a trial.
    """
    if design.paired == "none" or len({contrast.setting for contrast in contrasts}) < 2:
        return
    codes = study_codes(contrasts)
    trials_of = {} if trials is None else _trials(trials)
    families: dict[tuple[str | None, ...], dict[tuple[str | None, ...], list[SettingContrast]]] = {}
    for contrast in contrasts:
        comparison = contrast.comparison
        estimand, subset = comparison.estimand, comparison.estimand.subset
        pair = (comparison.method, comparison.reference)
        family = (contrast.pooled_with, contrast.split, comparison.kind, estimand.measure.name, *pair, subset.level)
        members = families.setdefault(family, {})
        key = (estimand.class_name, subset.attribute, subset.group, estimand.condition, comparison.against)
        members.setdefault(key, []).append(contrast)
    order = {name: rank for rank, name in enumerate(dict.fromkeys(key[0] for key in families))}
    for key in sorted(families, key=lambda key: order[key[0]]):
        distinct = [count_once(settings, trials_of) for settings in families[key].values()]
        several = [settings for settings, _ in distinct if len(settings) > 1]
        same = [twins for settings, twins in distinct if len(settings) > 1]
        judged = [[contrast for contrast in settings if contrast.judged] for settings in several]
        means = [
            _mean(contrasts_of_mean, codes) if len(contrasts_of_mean) > 1 else None for contrasts_of_mean in judged
        ]
        size = max(sum(mean is not None for mean in means), 1)
        estimates = [None if mean is None else mean.estimate for mean in means]
        for place in without_mirrors([settings[0] for settings in several], estimates):
            settings, mean = several[place], means[place]
            judging = [contrast for contrast in settings if contrast.judged]
            runs = min((contrast.contrast.runs for contrast in judging), default=0)
            single = any(contrast.contrast.single for contrast in judging)
            scope = scope_of(settings[0].comparison.reference, runs, single)
            unseen = _unseen(judging)
            notes = [*_notes(settings, mean, design), *_once(same[place]), *(unseen.notes if unseen else [])]
            yield pooled_row(settings[0], mean, size, len(judging), scope, notes, design, unseen)


def study_codes(contrasts: Sequence[SettingContrast]) -> Codes:
    """The code in the study of each unit, by setting: units of one name have one code."""
    names = {contrast.setting: contrast.unit_names for contrast in contrasts if contrast.unit_names is not None}
    all_names = np.unique(np.concatenate(list(names.values())))
    return {setting: np.searchsorted(all_names, setting_names) for setting, setting_names in names.items()}


def _trials(trials: pl.DataFrame) -> Trials:
    """The trials of each setting and method, from the table."""
    by_method = trials.group_by("setting", "method").agg("trial")
    return {(setting, method): frozenset(names) for setting, method, names in by_method.iter_rows()}


def count_once(settings: Sequence[SettingContrast], trials: Trials) -> tuple[list[SettingContrast], dict[str, str]]:
    """The settings of a contrast of which no two share a trial, and what each other setting counts as.

    A setting that judges the contrast goes before one that does not, then the order is that of the study. One that
    shares some of its trials is left out as well: their common noise of training is not in the influences of examples.
    """
    kept: list[SettingContrast] = []
    same: dict[str, str] = {}
    used: dict[str, frozenset[str]] = {}
    for contrast in sorted(settings, key=lambda contrast: not contrast.judged):
        methods = {term.method for term in contrast.comparison.terms}
        own = frozenset().union(*(trials.get((contrast.setting, method), frozenset()) for method in methods))
        twin = next((setting for setting, theirs in used.items() if own & theirs), None)
        if twin is None:
            kept.append(contrast)
            used[contrast.setting] = own
        else:
            same[contrast.setting] = twin
    return [contrast for contrast in settings if contrast in kept], same


def _once(same: Mapping[str, str]) -> list[str]:
    """The note on settings that are left out since others have their trials."""
    pairs = ", ".join(f"{setting} as {twin}" for setting, twin in same.items())
    return [f"{SAME_TRIALS}: {pairs}"] if pairs else []


def _mean(judged: Sequence[SettingContrast], codes: Codes) -> MetaAnalysis | None:
    """The mean of contrasts that are judged; None where one has no spread, so that it cannot be pooled."""
    contrasts = [member.contrast for member in judged]
    intervals = [contrast.interval for contrast in contrasts if contrast.interval]
    variances = np.array([interval.variance for interval in intervals])
    if not (variances > 0).all():
        return None
    estimates = np.array([contrast.estimate for contrast in contrasts], dtype=float)
    totals_by_setting = [contrast.totals() for contrast in contrasts if contrast.totals]
    units = [
        codes[member.setting][setting_units]
        for member, (setting_units, _) in zip(judged, totals_by_setting, strict=True)
    ]
    tested = np.bincount(np.concatenate(units))
    common = int((tested > 1).sum())
    if not common:
        return pool(estimates, variances, intervals=intervals)
    totals = np.zeros((len(judged), len(tested)))
    for row, columns, (_, contributed) in zip(totals, units, totals_by_setting, strict=True):
        row[columns] = contributed
    samples = [min(place for place, theirs in enumerate(units) if np.isin(own, theirs).any()) for own in units]
    shared, shared_df = totals @ totals.T, max(common - 1, 1)
    return pool(estimates, variances, shared=shared, shared_df=shared_df, intervals=intervals, samples=samples)


def _unseen(judged: Sequence[SettingContrast]) -> Unseen | None:
    """The most that any of the contrasts cannot see, which bounds what their mean cannot."""
    parts = [member.contrast.unseen for member in judged if member.contrast.unseen is not None]
    return reduce(Unseen.larger, parts) if parts else None


def _notes(settings: Sequence[SettingContrast], mean: MetaAnalysis | None, design: Design) -> list[str]:
    """The notes on a mean over settings; the first one says how settings differ."""
    first = settings[0]
    comparison = first.comparison
    judged = [contrast for contrast in settings if contrast.judged]
    notes = []
    if len(judged) < len(settings):
        absent = ", ".join(contrast.setting for contrast in settings if not contrast.judged)
        notes.append(f"settings left out, where the contrast is not judged: {absent}")
    if comparison.decides and first.margin is None:
        notes.append(NO_MARGIN)
    if mean is None:
        reason = "a setting's contrast has no spread" if len(judged) > 1 else "judged in fewer than two settings"
        return [f"not pooled: {reason}", *notes]
    notes = [_differ(mean, design.alpha), *([mean.reason] if mean.reason else []), *notes]
    note = comparison.estimand.measure.note(comparison.estimand.subset.level)
    notes += [note] if note else []
    notes += [SHARED] if mean.shared > 0 else []
    notes += [ONE_SEED] if any(contrast.contrast.runs < 2 for contrast in judged) else []
    return notes


def _differ(mean: MetaAnalysis, alpha: float) -> str:
    """The note on how settings differ."""
    p = "below .001" if mean.q_p < 0.001 else f"{mean.q_p:.3f}".removeprefix("0")
    conclusion = DIFFER if mean.q_p < alpha else ALIKE
    return f"{mean.settings} settings, I² {100 * mean.i_squared:.0f}%, p of Q {p}: {conclusion}"
