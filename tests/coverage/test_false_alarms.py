"""A study of many families has no more false alarms than its headline says are to be expected."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import small_records
from evenhand.audit.strictness import expected_false_alarms

METHODS = ("full", "lora", "adapter")


def null_study(seed: int, seeds: int, attributes: int) -> pl.DataFrame:
    """Verdicts on the accuracy of methods that do not differ but by noise, for groups of several attributes."""
    rng = np.random.default_rng(seed)
    n, uses, frames = 300, [], []
    label, ease = rng.integers(0, 2, n), rng.normal(size=n)
    groups = {f"by{k}": [[name] for name in rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2])] for k in range(attributes)}
    for run in range(seeds):
        for method in METHODS:
            score = 2 * label - 1 + ease + rng.normal(size=n) + 0.2 * rng.normal()
            uses.append((method, run))
            frames.append(small_records.predictions(f"{method}-{run}", range(n), (score > 0).astype(int)))
    tables = small_records.examples(list(label), groups), small_records.trials(uses), pl.concat(frames)
    return small_records.verdicts(*tables, small_records.design(METHODS, measures=["accuracy"]))


def false_alarms(repetitions: int, seeds: int, attributes: int) -> tuple[np.ndarray, np.ndarray]:
    """The number of families that say `worse` in each study, and how many are expected at most."""
    alarms, expected = np.zeros(repetitions), np.zeros(repetitions)
    for repetition in range(repetitions):
        table = null_study(repetition, seeds, attributes)
        alarms[repetition] = table.filter(verdict="worse")["family"].n_unique()
        expected[repetition] = expected_false_alarms(table, 0.05)[1]
    return alarms, expected


def check(alarms: np.ndarray, expected: np.ndarray) -> None:
    """The one-sided 99% bound of the mean number of false alarms does not exclude the expected one."""
    slack = 2.33 * alarms.std(ddof=1) / np.sqrt(len(alarms))
    assert (expected > 0.05).all(), "more than one family"
    assert alarms.mean() <= expected.mean() + slack


def test_three_methods_and_two_attributes():
    check(*false_alarms(40, seeds=3, attributes=2))


@pytest.mark.simulate
@pytest.mark.parametrize(("seeds", "attributes"), [(3, 2), (5, 3)])
def test_more_studies(seeds, attributes, repetitions):
    check(*false_alarms(repetitions(400), seeds, attributes))
