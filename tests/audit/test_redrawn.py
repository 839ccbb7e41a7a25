"""Calibration errors of many outcomes at once are those of one run after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evenhand.audit import redrawn_calibration
from evenhand.audit.measures.calibration import CalibrationError
from evenhand.audit.measures.run_data import RunData, RunSubset
from evenhand.audit.redrawn_calibration import Members, Redrawn, redrawn_errors
from evenhand.seeds import generator
from evenhand.stats.redrawn import redraw_outcomes

DRAWS = 5


def view(size: int, weighted: bool, seed: int) -> RunData:
    """A run of `size` examples."""
    rng = np.random.default_rng(seed)
    positive = rng.uniform(size=size)
    return RunData(
        np.zeros(size, dtype=int),
        (positive > 0.5).astype(int),
        np.stack([1 - positive, positive], axis=1),
        rng.uniform(0.5, 2.0, size) if weighted else np.ones(size),
        1,
    )


def labelled(run: RunData, masks: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """Both errors of each group, [2, 1 + G], of the run with these labels."""
    run = replace(run, label=outcomes.astype(int))
    places = [RunSubset("group", np.flatnonzero(column)) for column in masks.T]
    return np.array([[effect(run, place).value for place in places] for effect in map(CalibrationError, (False, True))])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("size", [12, 400])
def test_the_errors_of_redrawn_outcomes_are_those_of_runs_with_these_labels(size, step, weighted, monkeypatch):
    """With weights, overlapping groups, small ones, an empty one, and examples of the population that a run did not
    test; in one go and in many pieces."""
    rng = np.random.default_rng(size)
    masks = rng.uniform(size=(3 * size, 6)) < [1.0, 0.5, 0.05, 0.3, 0.0, 0.04]
    masks[:, 0] = True
    tested = np.sort(rng.choice(3 * size, 2 * size, replace=False))  # by either of two runs
    places = [np.sort(rng.choice(2 * size, size, replace=False)) for _ in range(2)]
    views = [view(size, weighted, seed) for seed in range(2)]
    members = Members.of(masks)
    runs = [Redrawn.of(run, members, tested[place], place) for run, place in zip(views, places, strict=True)]

    probability = np.full((2, 2 * size), np.nan)
    for run, place, row in zip(views, places, probability, strict=True):
        assert run.probabilities is not None
        row[place] = run.probabilities[:, 1]
    monkeypatch.setattr("evenhand.stats.null.BATCH", step * probability.size)
    outcomes = redraw_outcomes(probability, lambda drawn: drawn, DRAWS, generator(0, "redrawn"))

    def errors() -> list[np.ndarray]:
        return list(redrawn_errors(runs, 2 * size, step, DRAWS, lambda: generator(0, "redrawn")))

    whole = errors()
    monkeypatch.setattr(redrawn_calibration, "NUMBERS", 37 * DRAWS)
    monkeypatch.setattr(redrawn_calibration, "PIECE", 7)
    for found in (whole, errors()):
        assert len(found) == 2
        for place, (run, errors_of) in enumerate(zip(views, found, strict=True)):
            assert errors_of.shape == (DRAWS, 2, 6)
            own = masks[tested[places[place]]]
            expected = np.array([labelled(run, own, drawn[place, places[place]]) for drawn in outcomes])
            assert errors_of == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_of_no_examples_there_are_no_errors():
    assert list(redrawn_errors([], 0, 1, DRAWS, lambda: generator(0, "redrawn"))) == []
