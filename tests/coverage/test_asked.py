"""Contrasts of answers over questions, runs and reviews cover what they are about; nothing is worse by chance.

A model's guess about a review is of the first content with probability ½ + lean + question + run + review, and the
method differs from its reference by a lean of its own, by question, by run and by review.
"""

from __future__ import annotations

import numpy as np
import pytest

from bounds import least, most
from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.estimands import Estimand
from evenhand.audit.measures import measure_named
from given_items import contrast_of, estimate_of, given

LEAN, DISTANCE = Estimand(measure_named("guess_lean")), Estimand(measure_named("distance_from_equal"))
QUESTIONS = 0.08
"""Standard deviation of a question's lean; of what it differs by between two methods half of that."""


def guesses(lean: float, rng: np.random.Generator, question: np.ndarray, review: np.ndarray, runs: int) -> np.ndarray:
    """Guesses of the first content [J, T, n]: the mean of four orders of the options."""
    own = question + QUESTIONS / 2 * rng.normal(size=len(question))
    chance = 0.5 + lean + own[:, None] + review + 0.03 * rng.normal(size=(runs, 1, 1))
    return rng.binomial(4, np.clip(chance, 0, 1)) / 4


def lean_of(guess: np.ndarray) -> LinearEstimate:
    value, n = float(guess.mean()) - 0.5, len(guess)
    return LinearEstimate(value, (guess - guess.mean()) / n, np.full(n, 1 / n), 1 / n)


def rates(base: float, lean: float, absolute: bool, repetitions: int, runs: int, questions: int, n: int = 60):
    """How often the 90% interval holds the difference, and how often it lies above 0."""
    held = above = 0
    truth = abs(lean) - abs(base) if absolute else lean - base
    for repetition in range(repetitions):
        rng = np.random.default_rng([runs, questions, repetition])
        question, review = QUESTIONS * rng.normal(size=questions), 0.1 * rng.normal(size=n)
        sides = [guesses(one, rng, question, review, runs) for one in (lean, base)]
        leans = [[[lean_of(guess) for guess in run] for run in side] for side in sides]
        reading = given(dict(zip(("method", "reference"), leans, strict=True)))
        found = contrast_of(reading, DISTANCE if absolute else LEAN)
        assert found.interval is not None
        low, high = found.interval.bounds(0.05)
        held += low <= truth <= high
        above += low > 0
    return held / repetitions, above / repetitions


@pytest.mark.simulate
@pytest.mark.parametrize(("runs", "questions"), [(3, 3), (3, 6), (5, 5), (5, 12)])
def test_a_difference_of_means_is_covered(runs, questions, repetitions):
    n = repetitions(300)
    held, _ = rates(0.05, 0.15, False, n, runs, questions)
    assert least(0.9, n) <= held <= most(0.97, n)
    _, above = rates(0.1, 0.1, False, n, runs, questions)
    assert above <= most(0.05, n)


@pytest.mark.simulate
@pytest.mark.parametrize(("runs", "questions"), [(3, 3), (3, 6), (5, 5), (5, 12)])
@pytest.mark.parametrize("lean", [0.0, 0.2])
def test_equal_distances_are_seldom_called_worse(runs, questions, lean, repetitions):
    n = repetitions(300)
    _, above = rates(lean, lean, True, n, runs, questions)
    assert above <= most(0.05, n)


@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize(("base", "other"), [(0.97, 0.97), (0.95, 0.85), (0.99, 0.9)])
def test_answers_that_are_nearly_all_the_same_are_covered(runs, base, other):
    """A single question that most of 40 reviews get the same answer to; a run changes one answer in a hundred."""
    n, repetitions, flips = 40, 200, 0.01
    truths = [chance * (1 - flips) + (1 - chance) * flips - 0.5 for chance in (base, other)]
    held = found = above = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([runs, int(100 * base), int(100 * other), repetition])
        drawn = [rng.random(n) < chance for chance in (base, other)]
        sides = [[[lean_of((own ^ (rng.random(n) < flips)).astype(float))] for _ in range(runs)] for own in drawn]
        reading = given(dict(zip(("method", "reference"), sides, strict=True)))
        interval, mean = contrast_of(reading, LEAN).interval, estimate_of(reading, LEAN)
        assert interval is not None and mean.low is not None and mean.high is not None
        low, high = interval.bounds(0.05)
        held += low <= truths[0] - truths[1] <= high
        above += base == other and low > 0
        found += mean.low <= truths[0] <= mean.high
    assert held / repetitions >= 0.87, "90% of a contrast"
    assert found / repetitions >= 0.93, "95% of a mean"
    assert above / repetitions <= 0.06
