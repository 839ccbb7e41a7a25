"""Calibration errors of many outcomes at once are those of one run after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evenhand.audit.measures.calibration import CalibrationError
from evenhand.audit.measures.influence import RunData, RunSubset
from evenhand.audit.redrawn_calibration import Redrawn


@pytest.mark.parametrize("size", [12, 400])
def test_the_errors_of_redrawn_outcomes_are_those_of_runs_with_these_labels(size):
    """With weights, overlapping groups, an empty one, and examples of the population that the run did not test."""
    rng = np.random.default_rng(size)
    positive = rng.uniform(size=size)
    view = RunData(
        np.zeros(size, dtype=int),
        (positive > 0.5).astype(int),
        np.stack([1 - positive, positive], axis=1),
        rng.uniform(0.5, 2.0, size),
        1,
    )
    masks = rng.uniform(size=(size, 4)) < [1.0, 0.5, 0.3, 0.0]
    masks[:, 0] = True
    rows = np.sort(rng.choice(2 * size, size, replace=False))
    outcomes = rng.uniform(size=(5, 2 * size)) < 0.5
    found = Redrawn.of(view, masks, rows, 2 * size).errors(outcomes)
    assert found.shape == (5, 2, 4)
    for drawn, errors in zip(outcomes, found, strict=True):
        labelled = replace(view, label=drawn[rows].astype(int))
        for group in range(4):
            place = RunSubset("group", np.flatnonzero(masks[:, group]))
            alone = [CalibrationError(squared)(labelled, place).value for squared in (False, True)]
            assert errors[:, group] == pytest.approx(alone, nan_ok=True, abs=1e-12)
