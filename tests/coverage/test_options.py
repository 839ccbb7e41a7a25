"""Intervals of effects of content, identifier and position cover what a scripted model was given."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bounds import least, most
from evenhand.arrangements import balanced_arrangements
from evenhand.metrics.options.scores import option_choices
from evenhand.metrics.options.token_bias import option_effects
from scripted import Scripted, centred
from template_means import lean_over_templates, mean_over_templates

CONTENT, IDENTIFIER, POSITION = (0.6, 0.1, -0.4), (1.2, -0.2, 0.0), (0.5, 0.0, -0.3)
WORLDS = {
    "examples vary": {"template": 0.02, "example": 0.8},
    "templates vary": {"template": 0.5, "example": 0.3},
    "mixed": {"template": 0.15, "example": 0.8, "both": 0.8},
}


def model(world: str) -> Scripted:
    return Scripted(CONTENT, IDENTIFIER, POSITION, noise=0.7, **WORLDS[world])


def coverage(world: str, repetitions: int, templates: int = 5, n: int = 40) -> dict[str, float]:
    """How often 95% intervals hold the truth: the difference of the first two contents, and the first identifier."""
    arrangements, script = balanced_arrangements(3), model(world)
    truth = {"content": CONTENT[0] - CONTENT[1], "identifier": centred(IDENTIFIER)[0]}
    held = dict.fromkeys(truth, 0)
    for repetition in range(repetitions):
        rng = np.random.default_rng([templates, repetition])
        found = option_effects(script.log_prob(arrangements, templates, n, rng), arrangements)
        values = {"content": found.content[..., 0] - found.content[..., 1], "identifier": found.identifier[..., 0]}
        for name, value in values.items():
            low, high = mean_over_templates(value).interval()
            held[name] += low <= truth[name] <= high
    return {name: count / repetitions for name, count in held.items()}


def guesses(world: str, templates: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of two contents is chosen, float [templates, n, 2]."""
    arrangements = balanced_arrangements(2)
    script = Scripted(CONTENT[:2], IDENTIFIER[:2], POSITION[:2], noise=0.7, **WORLDS[world])
    return option_choices(script.log_prob(arrangements, templates, n, rng), arrangements).mean(axis=-2)


@cache
def true_lean(world: str) -> float:
    """From 4,000 templates and 20,000 examples; every guess is of one of the two, so that no ratio is biased."""
    rng = np.random.default_rng(0)
    return float(np.mean([guesses(world, 20, 100, rng)[..., 0].mean() for _ in range(200)])) - 0.5


def lean_coverage(world: str, repetitions: int, templates: int = 5, n: int = 40) -> float:
    """How often 95% intervals hold the lean towards the first content in what is chosen."""
    held = 0
    for repetition in range(repetitions):
        found = guesses(world, templates, n, np.random.default_rng([templates, repetition]))
        low, high = lean_over_templates(found[..., 0], found[..., 1]).interval()
        held += low <= true_lean(world) <= high
    return held / repetitions


@pytest.mark.parametrize("world", list(WORLDS))
def test_effects_of_five_templates_are_covered(world):
    found = coverage(world, 150)
    assert all(least(0.94, 150) <= share <= most(0.98, 150) for share in found.values()), found


def test_the_lean_of_five_templates_is_covered():
    assert least(0.94, 150) <= lean_coverage("mixed", 150) <= most(0.98, 150)


@pytest.mark.simulate
@pytest.mark.parametrize("templates", [3, 5, 10])
@pytest.mark.parametrize("world", list(WORLDS))
def test_effects_are_covered_with_any_number_of_templates(world, templates, repetitions):
    n = repetitions(2000)
    found = coverage(world, n, templates)
    assert all(least(0.94, n) <= share <= most(0.983, n) for share in found.values()), found


@pytest.mark.simulate
@pytest.mark.parametrize("templates", [3, 5, 10])
@pytest.mark.parametrize("world", list(WORLDS))
def test_the_lean_is_covered_with_any_number_of_templates(world, templates, repetitions):
    n = repetitions(2000)
    assert least(0.94, n) <= lean_coverage(world, n, templates) <= most(0.983, n)
