"""Simulates a study until decided before it is run: at which look it stops, and how many trials it trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.measures import known
from evenhand.seeds import generator
from evenhand.stats.group_sequential import look_levels, planned_paths
from evenhand.study.plan import Plan
from evenhand.study.power_plan import ACCURACY, ALPHA, SEED_CORRELATION, differing, tested_subsets
from evenhand.study.tuning import TuningSpec

MEASURE = "accuracy"
"""The only measure whose noise is known from sizes alone."""

HARMS = (0.0, 1.0, 2.0)
"""The true contrasts, in margins."""


@dataclass(frozen=True)
class PlannedLooks:
    """What becomes of a planned study under one truth.

    Attributes:
        contrast: the true contrast of each comparison.
        spread: standard deviation of runs beyond their examples.
        comparisons: how many comparisons are waited for.
        looks: seeds at each look.
        stops: the chance that the study stops at each look; at the last one whether decided or not.
        decided: the chance that each comparison has a verdict in the end.
        trials: the expected number of trials; most: that of all seeds.
    """

    contrast: float
    spread: float
    comparisons: int
    looks: tuple[int, ...]
    stops: tuple[float, ...]
    decided: float
    trials: float
    most: int


def planned_looks(plan: Plan, accuracy: float = ACCURACY) -> list[PlannedLooks]:
    """Return what becomes of a study under harms of 0, the margin and twice the margin; empty for fixed seeds.

    Methods reach an accuracy and agree as `detectable_effects` has it, each comparison of accuracy has the same true
    contrast and noise of its own, and runs differ by their examples alone, or by a standard deviation of the margin
    besides. Futility, which stops a study earlier, is left out. Only the accuracy of classifiers can be planned.

    Args:
        plan: of the study, with all its seeds.
        accuracy: of every method.
    """
    until = plan.study.until_decided
    margin = known()[MEASURE].margin(plan.study.margins)
    if until is None or MEASURE not in until.measures or margin is None:
        return []
    noises = list(_noises(plan, accuracy))
    if not noises:
        return []
    trained = [_trials(plan, seeds) for seeds in until.looks]
    found = []
    for spread in (0.0, margin):
        for harm in HARMS:
            rng = generator(0, "looks", int(harm), spread > 0)
            paths = [
                planned_paths(harm * margin, margin, looks, rng, noise=noise, common=common, spread=spread)
                for noise, common, looks in noises
            ]
            decided = np.logical_and.reduce(paths).mean(axis=0)
            stops = np.diff([0.0, *decided[:-1], 1.0])
            expected = float(stops @ np.array(trained))
            chances = tuple(float(chance) for chance in stops)
            found.append(
                PlannedLooks(
                    harm * margin, spread, len(paths), until.looks, chances, float(decided[-1]), expected, trained[-1]
                )
            )
    return found


Noise = tuple[float, float, Sequence[tuple[int, int, float]]]
"""Variance of one run's contrast, correlation of two runs', and the runs, units and level of each look."""


def _noises(plan: Plan, accuracy: float) -> Iterator[Noise]:
    """Yield the noise of each comparison of accuracy that is waited for and large enough to be judged."""
    until = plan.study.until_decided
    assert until is not None
    levels = look_levels(until.looks, ALPHA)
    differ = differing(accuracy)
    for prepared in plan.settings.values():
        if prepared.kind != "classification":
            continue
        everyone, *groups = tested_subsets(prepared)
        groups = [each for each in groups if each.judged]
        family, design = max(len(groups), 1), until.design(1)
        groups = [each for each in groups if design.waits_for(each.attribute, each.group)]
        pairs = len(prepared.spec.reference) * (len(prepared.spec.methods) - 1)
        for _ in range(pairs):
            if "everyone" in until.comparisons and everyone.judged:
                looks = [
                    (seeds, everyone.units(seeds), level) for seeds, level in zip(until.looks, levels, strict=True)
                ]
                yield differ / everyone.size, SEED_CORRELATION * everyone.overlap, looks
            for kind in ("groups", "gap changes"):
                for each in groups if kind in until.comparisons else ():
                    rest = everyone.size - each.size
                    if kind == "gap changes" and rest < 1:
                        continue
                    noise = differ / each.size + (differ / rest if kind == "gap changes" else 0.0)
                    looks = [
                        (seeds, each.units(seeds), level / family)
                        for seeds, level in zip(until.looks, levels, strict=True)
                    ]
                    yield noise, SEED_CORRELATION * each.overlap, looks


def _trials(plan: Plan, seeds: int) -> int:
    """Return how many trials the first seeds need, candidates of tuning included."""
    tried = {trial.hash for trial in plan.tried if _is_tried(trial.setting.spec.tuning, trial.seed, seeds)}
    return len(tried | {trial.hash for trial in plan.distinct if trial.seed < seeds})


def _is_tried(tuning: TuningSpec | None, seed: int, seeds: int) -> bool:
    """Return whether a candidate is trained for the first seeds: all of one choice, those of each seed by itself."""
    return tuning is None or tuning.seeds == "one" or seed < seeds


def look_lines(planned: Sequence[PlannedLooks], accuracy: float) -> list[str]:
    """Return planned looks as lines for a terminal, one for each truth."""
    if not planned:
        return []
    first = planned[0]
    counted = "the comparison" if first.comparisons == 1 else f"each of the {first.comparisons} comparisons"
    lines = [
        "",
        f"The chance to stop at each number of seeds, if methods reach {accuracy:.2f} and agree as fine-tuned",
        f"models do, and {counted} of accuracy that the study waits for has the same true contrast:",
        "0, the margin, or twice the margin (a study that is unlikely to be decided stops earlier):",
    ]
    for spread in dict.fromkeys(each.spread for each in planned):
        besides = "by their examples alone" if not spread else f"besides by a standard deviation of {spread:g}"
        lines.append(f"  if seeds differ {besides}:")
        for each in (each for each in planned if each.spread == spread):
            chances = ", ".join(f"{seeds}: {chance:.2f}" for seeds, chance in zip(each.looks, each.stops, strict=True))
            saved = f"{each.trials:.1f} of {each.most} trials expected"
            lines.append(f"    {each.contrast:<6g} {chances}   {saved}, decided in {each.decided:.2f}")
    return lines
