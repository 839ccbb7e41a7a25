"""Finds runs that look collapsed: failed training that a mean over runs hides (Mosbach et al. 2021).

A mean over runs with such a run in it is about a mixture of trainings that worked and did not. Whether that is the
question is for the reader to say, so the run is named, and the verdict without it stands beside the verdict.
"""

from __future__ import annotations

import numpy as np

from evenhand.audit.evaluation import Run
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.student_t import t_quantile

AT_CHANCE = 0.02
"""A loss is at chance within this share of the entropy of the labels."""
FAR_BELOW = 5
"""So many standard errors, of an accuracy of .5, lie between a run at chance and its method's median."""
FAR = 0.01
"""The chance that some run of a comparison without collapsed runs is taken for far from the others."""


def collapsed_runs(reader: RunInfluences, method: str, reference: str) -> dict[int, str]:
    """The seeds at which a run of either method looks collapsed, each with the reason.

    A run has one class for everybody, an accuracy or a loss that is that of guessing, or a difference in accuracy
    between the methods that is far from those of the other seeds. What all runs of a method share is what the
    method does, and no collapse.

    Example:
        `{3: "full at seed 3 predicts one class for everybody"}`
    """
    shared = sorted(set(reader.evaluation.seeds(method)) & set(reader.evaluation.seeds(reference)))
    paired = {seed: reader.pair(method, reference, seed, seed) for seed in shared}
    # Methods whose ids never match have runs without an example in common.
    pairs = {seed: pair[:2] for seed, pair in paired.items() if pair is not None and len(pair[0].rows)}
    if len(pairs) < 2:
        return {}
    reasons: dict[int, list[str]] = {}
    label = reader.evaluation.population.label
    for side, name in enumerate((method, reference)):
        usual = float(np.median([(pair[side].predicted == label[pair[side].rows]).mean() for pair in pairs.values()]))
        found = {seed: reason for seed, pair in pairs.items() if (reason := _reason(reader, pair[side], usual))}
        for seed, reason in found.items() if len(found) < len(pairs) else ():
            reasons.setdefault(seed, []).append(f"{name} at seed {seed} {reason}")
    for seed in _far(reader, pairs):
        if seed not in reasons:
            reasons[seed] = [f"at seed {seed} the difference in accuracy is far from those of the other seeds"]
    return {seed: ", ".join(reasons[seed]) for seed in sorted(reasons)}


def _reason(reader: RunInfluences, run: Run, usual: float) -> str | None:
    """Why a run looks collapsed by itself; `usual` is the median accuracy of its method's runs."""
    label = reader.evaluation.population.label[run.rows]
    shares = np.bincount(label[label >= 0]) / max(int((label >= 0).sum()), 1)
    shares = shares[shares > 0]
    if len(shares) < 2:
        return None
    if (run.predicted == run.predicted[0]).all():
        return "predicts one class for everybody"
    error = 0.5 / np.sqrt(len(label))
    accuracy = float((run.predicted == label).mean())
    if accuracy > shares.max() + 2 * error:
        return None
    if usual - accuracy > FAR_BELOW * error:
        return "is right no more often than guessing"
    if run.probabilities is None or (label < 0).any():
        return None
    with np.errstate(divide="ignore"):
        loss = -float(np.log(run.probabilities[np.arange(len(label)), label]).mean())
    entropy = -float(shares @ np.log(shares))
    return "has a loss at chance" if abs(loss - entropy) <= AT_CHANCE * entropy else None


def _far(reader: RunInfluences, pairs: dict[int, tuple[Run, Run]]) -> list[int]:
    """The seeds whose difference in accuracy lies outside of the prediction interval of the other seeds."""
    runs = len(pairs)
    if runs < 3:
        return []
    label = reader.evaluation.population.label
    changes = [
        (ours.predicted == label[ours.rows]) * 1.0 - (theirs.predicted == label[theirs.rows])
        for ours, theirs in pairs.values()
    ]
    values = np.array([change.mean() for change in changes])
    quantile = t_quantile(1 - FAR / (2 * runs), runs - 2)
    far = []
    for place, seed in enumerate(pairs):
        others = np.delete(values, place)
        # Other runs may agree by chance: a run's own examples give the least spread that can be meant.
        variance = max(others.var(ddof=1), changes[place].var() / len(changes[place]))
        if abs(values[place] - others.mean()) > quantile * np.sqrt(variance * (1 + 1 / (runs - 1))):
            far.append(seed)
    return far
