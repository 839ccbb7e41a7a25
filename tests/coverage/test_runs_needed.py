"""Studies that are told a number of runs, and make them, are then decided as often as the number promises.

A study of J seeds is drawn together with all that it would have if it went on. Where its verdict is inconclusive and a
number of runs is named, as many of its runs are audited again. The truths are spread like the margin: N(0, m²).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import bounds
from counting import compared
from evenhand.audit.evaluation import Evaluation
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.verdicts import families
from known_rates import KnownRates

MOST = 40
MARGIN = 0.03
WORLDS: dict[str, dict[str, Any]] = {
    "examples, fixed": {"sizes": (400,), "run": 0.0, "example": 0.5},
    "noise, fixed": {"sizes": (400,), "run": 0.002, "example": 0.2, "together": 1.0},
    "seeds, fixed": {"sizes": (400,), "run": 0.02, "example": 0.6, "together": 0.95},
    "new splits": {"sizes": (200,), "run": 0.005, "vary": True},
    "seeds, new splits": {"sizes": (200,), "run": 0.02, "vary": True, "together": 0.95},
    "three seeds": {"sizes": (300,), "run": 0.005, "vary": True, "runs": 3},
    "ten seeds": {"sizes": (200,), "run": 0.02, "vary": True, "runs": 10},
    "without a margin": {"sizes": (200,), "run": 0.01, "vary": True, "margin": False, "accuracy": 0.7},
    "hardly any discordant": {"sizes": (60,), "run": 0.0, "example": 0.9, "together": 0.99, "accuracy": 0.95},
}


@dataclass(frozen=True)
class Told:
    """What became of studies.

    Attributes:
        inconclusive: how many were.
        named: to how many of these a number of runs was named; decided: how many of them then were.
    """

    inconclusive: int
    named: int
    decided: int

    @property
    def share(self) -> float:
        return self.decided / self.named


def first(evaluation: Evaluation, runs: int) -> Evaluation:
    """The study after its first runs."""
    return replace(evaluation, runs={key: run for key, run in evaluation.runs.items() if key[1] < runs})


def row_of_everyone(evaluation: Evaluation, world: KnownRates) -> dict[str, Any]:
    """The verdict on accuracy over everyone."""
    reading = PredictionReading(evaluation, world.design)
    members = [one for one in compared(reading, ("accuracy",)) if one.comparison.estimand.subset.level == "everyone"]
    (row,) = (row for family in families(members, world.design) for row in family.rows())
    return row


def told(
    repetitions: int, seed: int = 0, accuracy: float = 0.8, runs: int = 5, margin: bool = True, **world: Any
) -> Told:
    """Studies whose truths are spread like the margin."""
    inconclusive = named = decided = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        truth = float(np.clip(MARGIN * rng.normal(), accuracy - 0.999, accuracy))
        drawn = KnownRates(
            {"reference": (accuracy,), "method": (accuracy - truth,)},
            margins={"accuracy": MARGIN} if margin else {},
            runs=MOST,
            **world,
        )
        whole = drawn.draw(rng)
        row = row_of_everyone(first(whole, runs), drawn)
        inconclusive += row["verdict"] == "inconclusive"
        if row["runs_needed"] is not None and row["runs_needed"] <= MOST:
            named += 1
            decided += row_of_everyone(first(whole, row["runs_needed"]), drawn)["verdict"] != "inconclusive"
    return Told(inconclusive, named, decided)


def share_decided(name: str, repetitions: int) -> Told:
    found = told(repetitions, **WORLDS[name])
    assert found.decided <= found.named <= found.inconclusive
    return found


@pytest.mark.parametrize("name", ["examples, fixed", "seeds, new splits"])
def test_most_studies_that_run_as_many_seeds_as_they_are_told_are_decided(name):
    found = share_decided(name, 60)
    assert found.named >= 10
    assert found.share >= bounds.least(0.75, found.named)


def test_identical_predictions_are_never_decided_by_more_seeds():
    """A group of 150 on a fixed split, at any number of seeds."""
    for runs in (3, 5, 10):
        drawn = KnownRates({"reference": (0.8,), "method": (0.8,)}, (150,), runs=runs, margins={"accuracy": 0.01})
        whole = drawn.draw(np.random.default_rng(runs))
        same = {(name, seed): whole.runs["reference", seed] for name, seed in whole.runs}
        row = row_of_everyone(replace(whole, runs=same), drawn)
        assert row["verdict"] == "inconclusive"
        assert row["runs_needed"] is None
        assert "more runs would not decide, only more test examples" in row["note"]


@pytest.mark.simulate
@pytest.mark.parametrize("name", WORLDS)
def test_the_number_of_seeds_keeps_its_promise_in_every_world(name, repetitions):
    found = share_decided(name, repetitions(600))
    if found.named >= 10:
        assert found.share >= bounds.least(0.75, found.named)
        assert found.share <= bounds.most(0.9, found.named, 0.0014)


if __name__ == "__main__":
    import sys

    for name, world in WORLDS.items():
        if len(sys.argv) < 3 or name in sys.argv[2:]:
            found = told(int(sys.argv[1]), **world)
            print(f"{name}: {found} {found.share if found.named else float('nan'):.3f}", flush=True)
