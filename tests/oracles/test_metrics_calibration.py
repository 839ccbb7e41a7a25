"""Calibration errors against torchmetrics and against their formulas, written out, on random problems."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand import metrics
from evenhand.metrics.bins import Norm

PROBLEMS = 500
NORMS: tuple[Norm, ...] = ("l1", "l2", "max")


def problem(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that are more or less right; for two classes those of the second."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 150))
    probability = rng.dirichlet(np.full(classes, rng.uniform(0.3, 2)), n)
    reached = np.cumsum(probability ** rng.uniform(0.5, 2), axis=1)
    label = (rng.uniform(size=(n, 1)) * reached[:, -1:] < reached).argmax(axis=1)
    return label, probability[:, 1].copy() if classes == 2 else probability


def test_errors_agree_with_torchmetrics():
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchmetrics.functional.classification")
    for seed in range(PROBLEMS):
        label, probability = problem(seed, 2)
        several, each = problem(seed, 4)
        n_bins, norm = 1 + seed % 20, NORMS[seed % 3]
        options = {"n_bins": n_bins, "norm": norm, "validate_args": False}
        top = torch.from_numpy(each.max(axis=1)), torch.from_numpy((each.argmax(axis=1) == several).astype(int))
        expected = [
            float(theirs.binary_calibration_error(torch.from_numpy(probability), torch.from_numpy(label), **options)),
            float(theirs.binary_calibration_error(*top, **options)),
        ]
        found = [
            metrics.expected_calibration_error(label, probability, n_bins=n_bins, norm=norm),
            metrics.expected_calibration_error(several, each, form="top_label", n_bins=n_bins, norm=norm),
        ]
        assert found == pytest.approx(expected, abs=1e-9)
        if seed % 10:
            continue
        # Their top-label form by its own name is in float32.
        single = theirs.multiclass_calibration_error(
            torch.from_numpy(each), torch.from_numpy(several), num_classes=4, **options
        )
        assert found[1] == pytest.approx(float(single), abs=1e-6)


def test_their_bins_hold_their_lower_edge():
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchmetrics.functional.classification")
    label, probability = np.array([0, 1, 1]), np.array([0.25, 0.5, 0.5])
    # (0, .5] holds all three here; there .5 opens the second bin.
    assert metrics.expected_calibration_error(label, probability, n_bins=2) == pytest.approx(0.25)
    found = theirs.binary_calibration_error(torch.from_numpy(probability), torch.from_numpy(label), n_bins=2)
    assert float(found) == pytest.approx(0.25 / 3 + 0.5 * 2 / 3)


def written_out(
    confidence: list[float], outcome: list[float], weight: list[float], edges: list[float]
) -> tuple[float, float, float, float, float, float]:
    """l1, l2, max, debiased square, over- and underconfidence, example by example."""
    total = sum(weight)
    l1 = l2 = largest = squared = over = under = 0.0
    kept = False
    for place in range(len(edges) - 1):
        members = [
            (w, c - y)
            for c, y, w in zip(confidence, outcome, weight, strict=True)
            if (edges[place] < c or place == 0) and c <= edges[place + 1]
        ]
        if not members:
            continue
        mass = sum(w for w, _ in members)
        gap = sum(w * g for w, g in members) / mass
        l1 += mass / total * abs(gap)
        l2 += mass / total * gap**2
        largest = max(largest, abs(gap))
        over, under = over + mass / total * max(gap, 0), under + mass / total * max(-gap, 0)
        if len(members) > 1:
            # The mean product of the gaps of two different examples; a bin of one has none and adds nothing.
            pairs = [(w * v, g * h) for i, (w, g) in enumerate(members) for j, (v, h) in enumerate(members) if i != j]
            product = sum(weight * gaps for weight, gaps in pairs) / sum(weight for weight, _ in pairs)
            squared, kept = squared + mass / total * product, True
    return l1, math.sqrt(l2), largest, squared if kept else math.nan, over, under


@pytest.mark.parametrize("form", ["positive", "top_label", "classwise"])
def test_errors_are_their_formulas_written_out(form):
    for seed in range(PROBLEMS):
        label, probability = problem(seed, 2 if form == "positive" else 3)
        n, n_bins = len(label), 1 + seed % 20
        weight = np.random.default_rng(seed).uniform(0.1, 3, n) if seed % 2 else np.ones(n)
        edges = [step / n_bins for step in range(n_bins + 1)]
        if form == "positive":
            pairs = [(probability, label)]
        elif form == "top_label":
            pairs = [(probability.max(axis=1), probability.argmax(axis=1) == label)]
        else:
            pairs = [(probability[:, c], label == c) for c in range(3)]
        rows = [written_out(values.tolist(), event.tolist(), weight.tolist(), edges) for values, event in pairs]
        l1, l2, largest, squared, over, under = np.array(rows).T
        options = {"form": form, "n_bins": n_bins, "sample_weight": weight}
        found = [metrics.expected_calibration_error(label, probability, norm=norm, **options) for norm in NORMS]
        assert found == pytest.approx([l1.mean(), math.sqrt((l2**2).mean()), largest.max()], abs=1e-9)
        others = (metrics.calibration_error_squared, metrics.overconfidence, metrics.underconfidence)
        assert [metric(label, probability, **options) for metric in others] == pytest.approx(
            [squared.mean(), over.mean(), under.mean()], abs=1e-9, nan_ok=True
        )


def test_errors_over_bins_of_equal_mass_are_those_of_the_sorted_examples_in_equal_parts():
    for seed in range(PROBLEMS):
        rng = np.random.default_rng(seed)
        n_bins, size = int(rng.integers(1, 16)), int(rng.integers(1, 12))
        probability = rng.uniform(size=n_bins * size)
        label = (rng.uniform(size=len(probability)) < probability).astype(int)
        gaps = (probability - label)[np.argsort(probability)].reshape(n_bins, size).mean(axis=1)
        found = [
            metrics.expected_calibration_error(label, probability, n_bins=n_bins, strategy="quantile", norm=norm)
            for norm in NORMS
        ]
        expected = [np.abs(gaps).mean(), math.sqrt((gaps**2).mean()), np.abs(gaps).max()]
        assert found == pytest.approx(expected, abs=1e-9)
