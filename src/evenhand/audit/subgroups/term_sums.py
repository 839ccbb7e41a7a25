"""What each example adds to a measure in each run: numerators and weights of one ratio, or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.evaluation import Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import RateOf
from evenhand.audit.measures.numbers import MeanOfValues
from evenhand.audit.measures.regression import MeanError
from evenhand.audit.measures.run_data import BASE, RunData
from evenhand.audit.measures.scores import BalancedAccuracy, F1Score, MeanScoreOf, PredictiveValueOf
from evenhand.audit.runs.influences import RunInfluences
from evenhand.metrics.scores import brier_scores, log_losses

MOST_CLASSES = 4
"""The most classes whose balanced accuracy is searched: the products of all recalls are kept for each conjunction."""


@dataclass(frozen=True, eq=False)
class TermSums:
    """Numerators and weights of the terms of a value: Σ_k a_k · Σ numerator_k / Σ weight_k in each run.

    Attributes:
        numerator, weight: float [R, K·J], term by term, run by run. Of a change whose denominators are those of labels
            and groups, numerators are differences (method − reference); else the reference has terms of its own.
        terms: a, the coefficients.
        second: float [R, K·J], of such differences the numerators of the reference.
    """

    numerator: np.ndarray
    weight: np.ndarray
    terms: tuple[float, ...]
    second: np.ndarray | None = None


def term_sums(
    reader: RunInfluences, measure: Measure, positive: int | None, rows: np.ndarray, runs: Sequence[tuple[Run, ...]]
) -> TermSums | None:
    """The sums of runs, or of pairs of runs on the same examples; None where runs lack what the measure needs.

    Args:
        reader: of the runs.
        measure: one that is searched.
        positive: the class against the rest; None for all at once.
        rows: int [R], the examples.
        runs: J runs, or J pairs of a method's and a reference's.
    """
    places = np.empty(len(reader.evaluation.population.label), dtype=np.int64)
    places[rows] = np.arange(len(rows))
    sides = [_side(reader, measure, positive, places, len(rows), own) for own in zip(*runs, strict=True)]
    known = [side for side in sides if side is not None]
    if len(known) < len(sides):
        return None
    if len(known) == 1:
        return known[0]
    ours, theirs = known
    if isinstance(measure.influence, PredictiveValueOf | F1Score):
        numerator, weight = (
            np.hstack(pair) for pair in ((ours.numerator, theirs.numerator), (ours.weight, theirs.weight))
        )
        return TermSums(numerator, weight, (*ours.terms, *(-term for term in theirs.terms)))
    return TermSums(ours.numerator - theirs.numerator, ours.weight, ours.terms, theirs.numerator)


def _side(
    reader: RunInfluences,
    measure: Measure,
    positive: int | None,
    places: np.ndarray,
    count: int,
    runs: Sequence[Run],
) -> TermSums | None:
    """The sums of one method's runs."""
    parts = []
    for run in runs:
        of_run = _of_run(measure, reader.view(run, positive))
        if of_run is None:
            return None
        parts.append((places[run.rows], of_run))
    terms = len(parts[0][1])
    numerator, weight = np.zeros((2, count, terms * len(runs)))
    for run, (place, of_run) in enumerate(parts):
        for term, (own, value) in enumerate(of_run):
            column = term * len(runs) + run
            weight[place, column] = own
            numerator[place, column] = own * value
    return TermSums(numerator, weight, (1 / terms,) * terms)


def _of_run(measure: Measure, data: RunData) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Weight and value of each example in each term of one run, float [n] each; None where the run lacks them."""
    compute, weight = measure.influence, data.weight
    if isinstance(compute, RateOf | PredictiveValueOf):
        counted = np.zeros(len(weight))
        rows = data.base(np.arange(len(weight)), BASE[compute.rate])
        counted[rows] = weight[rows]
        return [(counted, data.outcome(compute.rate))]
    if isinstance(compute, F1Score):  # a true positive counts twice, and a mistake once
        return [(weight * (data.actual.astype(float) + data.selected), data.actual & data.selected)]
    if isinstance(compute, BalancedAccuracy):
        if len(data.codes) > MOST_CLASSES:
            return None
        return [(weight * (data.label == code), data.hit) for code in data.codes]
    if isinstance(compute, MeanScoreOf):
        if data.probabilities is None:
            return None
        if compute.score == "brier":
            return [(weight, brier_scores(data.probabilities, data.label, positive=data.positive))]
        return [(weight, log_losses(data.probabilities, data.label))]
    if isinstance(compute, MeanOfValues):
        return [(weight, np.log(data.predicted) if compute.logarithms else data.predicted)]
    assert isinstance(compute, MeanError)
    errors = data.predicted - data.label
    return [(weight, np.abs(errors) if compute.absolute else errors)]
