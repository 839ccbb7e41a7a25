"""The values of an audit's measures are those of `evenhand.metrics`: several classes, weights, overlapping groups."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from evenhand import metrics
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.audit.measures.ratios import Between
from evenhand.audit.measures.run_data import RunData, RunSubset
from evenhand.metrics.counts import Rate
from evenhand.stats.extremes import SOFTNESS

OF_ONE_SUBSET = [name for name, measure in PREDICTIONS.items() if not isinstance(measure.influence, Between)]
"""Measures with an influence in one subset; ratios are between two."""

PROBLEMS = 150
SUPPORT = 3


class Problem:
    """A run of two to four classes with overlapping groups, some of them small, and weights in one of two."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        classes, n = int(rng.integers(2, 5)), int(rng.integers(30, 120))
        self.label = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
        self.probability = rng.dirichlet(np.full(classes, 0.7), n)
        self.predicted = np.concatenate([np.arange(classes), self.probability[classes:].argmax(axis=1)])
        self.weight = rng.uniform(0.2, 3, n) if seed % 2 else np.ones(n)
        self.masks = rng.uniform(size=(n, 4)) < [0.5, 0.4, 0.2, 0.08]
        self.classes = range(classes) if classes > 2 else (1,)
        self.binary = classes == 2

    def view(self, positive: int | None) -> RunData:
        return RunData(self.label, self.predicted, self.probability, self.weight, positive)

    @property
    def everyone(self) -> RunSubset:
        return RunSubset("everyone", np.arange(len(self.label)))

    def group(self, index: int) -> RunSubset:
        member = self.masks[:, index]
        return RunSubset("group", np.flatnonzero(member), np.flatnonzero(~member), np.arange(len(member)))

    def attribute(self, positive: int) -> RunSubset:
        actual = self.label == positive
        bases = {
            "all": self.masks.sum(axis=0),
            "positive": self.masks[actual].sum(axis=0),
            "negative": self.masks[~actual].sum(axis=0),
        }
        eligible = {base: np.flatnonzero(counts >= SUPPORT).tolist() for base, counts in bases.items()}
        members = [np.flatnonzero(mask) for mask in self.masks.T]
        return RunSubset("attribute", np.arange(len(self.label)), members=members, eligible=eligible)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return [Problem(seed) for seed in range(PROBLEMS)]


def same(ours: float, theirs: float) -> bool:
    return math.isclose(ours, theirs, rel_tol=0, abs_tol=1e-12) or (math.isnan(ours) and math.isnan(theirs))


@pytest.mark.parametrize("name", [name for name in get_args(Rate) if name in PREDICTIONS])
def test_rates(problems, name):
    effect = PREDICTIONS[name].influence
    for one in problems:
        for positive in one.classes:
            options = {"sensitive_features": one.masks, "sample_weight": one.weight}
            if name != "accuracy":
                options["pos_label"] = positive
            values = metrics.rate_by_group(name, one.label, one.predicted, **options).values
            for index, value in enumerate(values):
                assert same(effect(one.view(positive), one.group(index)).value, value)


def test_f1_of_each_class(problems):
    effect = PREDICTIONS["f1_score"].influence
    for one in problems:
        for positive in one.classes:
            options = {"sensitive_features": one.masks, "sample_weight": one.weight, "pos_label": positive}
            values = metrics.rate_by_group("f1", one.label, one.predicted, **options).values
            for index, value in enumerate(values):
                assert same(effect(one.view(positive), one.group(index)).value, value)


@pytest.mark.parametrize("name", ["balanced_accuracy", "brier_score", "log_loss"])
def test_scores_of_all_classes(problems, name):
    """Of two classes the Brier score is that of the positive class, half the sum over both."""
    effect, metric = PREDICTIONS[name].influence, getattr(metrics, name)
    for one in problems:
        probability = one.probability[:, 1] if one.binary and name == "brier_score" else one.probability
        said = one.predicted if name == "balanced_accuracy" else probability
        view = one.view(1 if one.binary else None)
        assert same(effect(view, one.everyone).value, metric(one.label, said, sample_weight=one.weight))
        each = metrics.by_group(metric, one.label, said, groups=one.masks, sample_weight=one.weight).values
        for index, value in enumerate(each):
            assert same(effect(view, one.group(index)).value, value)


@pytest.mark.parametrize("name", ["demographic_parity_difference", "equalized_odds_difference"])
def test_parity_between_groups_and_against_the_complement(problems, name):
    effect, metric = PREDICTIONS[name].influence, getattr(metrics, name)
    for one in problems:
        for positive in one.classes:
            options = {"sensitive_features": one.masks, "sample_weight": one.weight, "pos_label": positive}
            found = effect(one.view(positive), one.attribute(positive)).value
            assert same(found, metric(one.label, one.predicted, **options, min_support=SUPPORT))
            each = metrics.against_complement(metric, one.label, one.predicted, **options).values
            for index, value in enumerate(each):
                assert same(effect(one.view(positive), one.group(index)).value, value)


def test_accuracy_across_groups(problems):
    for one in problems:
        options = {"sensitive_features": one.masks, "sample_weight": one.weight}
        place = one.attribute(1)
        found = PREDICTIONS["accuracy_difference"].influence(one.view(None), place).value
        theirs = metrics.accuracy_difference(one.label, one.predicted, **options, min_support=SUPPORT)
        assert same(found, theirs)
        rates = metrics.rate_by_group("accuracy", one.label, one.predicted, **options)
        worst = metrics.worst_group(rates.values, eligible=rates.support >= SUPPORT)
        assert same(PREDICTIONS["worst_group_accuracy"].influence(one.view(None), place).value, float(worst))


@pytest.mark.parametrize("name", ["expected_calibration_error", "calibration_error_squared"])
def test_calibration(problems, name):
    effect, metric = PREDICTIONS[name].influence, getattr(metrics, name)
    for one in problems:
        view = one.view(1 if one.binary else None)
        form = {"form": "positive" if one.binary else "top_label"}
        probability = one.probability[:, 1] if one.binary else one.probability
        assert same(effect(view, one.everyone).value, metric(one.label, probability, sample_weight=one.weight, **form))
        each = metrics.by_group(
            metric, one.label, probability, groups=one.masks, sample_weight=one.weight, **form
        ).values
        for index, value in enumerate(each):
            assert same(effect(view, one.group(index)).value, value)


DISPARITIES = ("accuracy_difference", "demographic_parity_difference", "equalized_odds_difference")


def two_groups(first: float, second: float, n: int = 200) -> tuple[RunData, RunSubset]:
    """Two groups of n positives, of which these shares are predicted positive."""
    label, half = np.ones(2 * n, dtype=int), np.arange(n) / n
    predicted = np.concatenate([half < first, half < second]).astype(int)
    rows = np.arange(2 * n)
    return RunData(label, predicted, None, np.ones(2 * n), 1), RunSubset("group", rows[:n], rows[n:], rows)


@pytest.mark.parametrize("name", OF_ONE_SUBSET)
def test_influences_on_the_expectation_sum_to_zero(problems, name):
    for one in problems[:40]:
        for level in PREDICTIONS[name].levels:
            place = {"everyone": one.everyone, "group": one.group(0), "attribute": one.attribute(1)}[level]
            effect = PREDICTIONS[name].influence(one.view(1 if one.binary else None), place)
            if math.isnan(effect.value):
                continue
            assert math.isclose(effect.softened.sum(), 0, abs_tol=1e-12)
            if name not in DISPARITIES:
                assert effect.softened is effect.influence


def test_far_from_a_tie_the_expectation_moves_as_the_value_does():
    effect = PREDICTIONS["demographic_parity_difference"].influence(*two_groups(0.8, 0.3))
    assert (effect.softened == effect.influence).all()


def test_at_a_tie_the_expectation_of_a_difference_does_not_move():
    effect = PREDICTIONS["demographic_parity_difference"].influence(*two_groups(0.5, 0.5))
    assert (effect.softened == 0).all()
    assert (effect.influence != 0).all()


def test_near_a_tie_it_moves_by_the_chance_of_either_sign():
    view, place = two_groups(0.52, 0.5)
    effect = PREDICTIONS["demographic_parity_difference"].influence(view, place)
    error = SOFTNESS * math.sqrt(2 * 0.25 / 200)
    slope = math.erf(0.02 / error / math.sqrt(2))
    assert effect.softened == pytest.approx(slope * effect.influence, abs=0.06 * np.abs(effect.influence).max())


def test_of_equalized_odds_both_rates_move_the_expectation(problems):
    """The value is that of one rate; the other may be the larger one in another sample."""
    effect = PREDICTIONS["equalized_odds_difference"].influence
    both = 0
    for one in problems[:40]:
        if one.binary:
            found = effect(one.view(1), one.group(0))
            if not math.isnan(found.value):
                moved = [found.softened[one.label[found.rows] == label].any() for label in (0, 1)]
                alone = [found.influence[one.label[found.rows] == label].any() for label in (0, 1)]
                assert sum(alone) == 1
                both += all(moved)
    assert both > 5
