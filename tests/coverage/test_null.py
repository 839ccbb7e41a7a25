"""How often a measure lies outside of its noise floor when there is nothing to see: about 5%, as the floor says.

And what other floors would do: permuting over all labels, or apart in every run, or groups where confidences differ.
"""

from __future__ import annotations

import numpy as np
import pytest

import bounds
from evenhand.stats.null import noise_floor, permuted_sums, pooled_curve, redraw_outcomes

GROUPS = 4
BASE = np.array([0.2, 0.4, 0.6, 0.8])
"""Share of positives by group: what makes permuting over all labels wrong for rates given the label."""


def widest(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Largest minus smallest rate over the last axis."""
    return np.ptp(sums / sizes, axis=-1)


def outside_of_odds(repetitions: int, per_group: int, draws: int) -> tuple[float, float]:
    """Share of null studies whose EOD is outside of the floor: permuted within labels, and over all labels."""
    within = over = 0
    n = GROUPS * per_group
    for repetition in range(repetitions):
        rng = np.random.default_rng([1, repetition])
        group = np.repeat(np.arange(GROUPS), per_group)
        label = (rng.random(n) < BASE[group]).astype(int)
        event = rng.random(n) < np.where(label == 1, 0.75, 0.25)  # depends on the label alone: the null of EOD
        members = group[:, None] == np.arange(GROUPS)
        sizes = np.array([members[label == code].sum(axis=0) for code in (0, 1)])
        counts = np.array([(members & event[:, None])[label == code].sum(axis=0) for code in (0, 1)])
        seen = widest(counts, sizes).max()
        sums = permuted_sums(members, label, event[None], draws, rng)[:, :, 0]
        within += seen > noise_floor(widest(sums, sizes).max(axis=1)).high
        amounts = np.stack([event & (label == 0), event & (label == 1), label == 0, label == 1])
        free = permuted_sums(members, np.zeros(n, dtype=int), amounts, draws, rng)[:, 0]
        over += seen > noise_floor(widest(free[:, :2], free[:, 2:]).max(axis=1)).high
    return within / repetitions, over / repetitions


def outside_of_runs(repetitions: int, per_group: int, draws: int, runs: int = 5) -> tuple[float, float]:
    """The same of DPD, the mean over runs on one test set: the same permutation in every run, or one for each."""
    together = apart = 0
    n = GROUPS * per_group
    members = np.repeat(np.arange(GROUPS), per_group)[:, None] == np.arange(GROUPS)
    for repetition in range(repetitions):
        rng = np.random.default_rng([2, repetition])
        events = rng.normal(size=n) + 0.5 * rng.normal(size=(runs, n)) > 0  # runs agree, as they do on hard examples
        seen = widest(events @ members.astype(int), members.sum(axis=0)).mean()
        one = np.zeros(n, dtype=int)
        sums = permuted_sums(members, one, events, draws, rng)[:, 0]
        together += seen > noise_floor(widest(sums, members.sum(axis=0)).mean(axis=1)).high
        alone = np.concatenate([permuted_sums(members, one, event[None], draws, rng)[:, 0] for event in events], axis=1)
        apart += seen > noise_floor(widest(alone, members.sum(axis=0)).mean(axis=1)).high
    return together / repetitions, apart / repetitions


def ece(confidence: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """Plug-in calibration error in 15 bins, by draw."""
    bins = np.minimum((confidence * 15).astype(int), 14)[:, None] == np.arange(15)
    return np.abs((confidence - outcomes) @ (bins / len(confidence))).sum(axis=1)


def outside_of_calibration(repetitions: int, n: int, draws: int) -> tuple[float, float, float]:
    """One calibrated group's ECE; then the gap of two groups that share a curve and not their confidences: redrawn
    from the pooled curve, and with permuted groups."""
    alone = curve = permuted = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([3, repetition])
        group = rng.random(n) < 0.3
        score = np.where(group, 1.5, 0.0) + rng.normal(size=n)
        confidence = 1 / (1 + np.exp(-score))
        calibrated = rng.random(n) < confidence
        floor = noise_floor(redraw_outcomes(confidence, lambda drawn, c=confidence: ece(c, drawn), draws, rng))
        alone += ece(confidence, calibrated[None])[0] > floor.high
        outcome = rng.random(n) < 1 / (1 + np.exp(-0.8 - score))

        def gap(outcomes: np.ndarray, c=confidence, g=group) -> np.ndarray:
            return np.abs(ece(c[g], outcomes[:, g]) - ece(c[~g], outcomes[:, ~g]))

        seen = gap(outcome[None])[0]
        curve += seen > noise_floor(redraw_outcomes(pooled_curve(confidence, outcome), gap, draws, rng)).high
        swapped = [gap(outcome[None], g=rng.permutation(group))[0] for _ in range(draws)]
        permuted += seen > noise_floor(np.array(swapped)).high
    return alone / repetitions, curve / repetitions, permuted / repetitions


def most(repetitions: int, share: float = 0.06) -> float:
    """Of 5%, with what discrete counts may add, at the level of three standard errors."""
    return bounds.most(share, repetitions, 0.0014)


def test_rates_given_the_label_are_permuted_within_labels():
    within, over = outside_of_odds(200, 150, 300)
    assert within <= most(200)
    assert over > within + 0.03


def test_the_same_permutation_in_every_run():
    together, apart = outside_of_runs(200, 100, 200)
    assert together <= most(200)
    assert apart > 0.12


def test_calibration_is_redrawn_and_not_permuted():
    alone, curve, permuted = outside_of_calibration(80, 500, 100)
    assert max(alone, curve) <= most(80)
    assert permuted > 0.3


@pytest.mark.simulate
def test_false_alarms_at_length(repetitions):
    n = repetitions(1500)
    within, over = outside_of_odds(n, 150, 500)
    assert bounds.least(0.045, n) <= within <= bounds.most(0.055, n) and over > bounds.least(0.1, n)
    together, apart = outside_of_runs(n, 150, 500)
    assert bounds.least(0.045, n) <= together <= bounds.most(0.06, n) and apart > bounds.least(0.14, n)
    n = repetitions(600)
    alone, curve, permuted = outside_of_calibration(n, 600, 200)
    assert bounds.least(0.045, n) <= alone <= bounds.most(0.055, n)
    assert curve <= bounds.most(0.055, n) and permuted > bounds.least(0.2, n)
