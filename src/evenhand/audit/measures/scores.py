"""Predictive values, F1, balanced accuracy and scores of probabilities, with the influence of each example.

All are ratios of weighted sums, or means of such ratios. Of predictive values and F1 the denominator depends on the
predictions, so that two methods on the same examples count other examples: `influence.aligned` puts them side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from evenhand.audit.measures.influence import Influence, absent, as_influence, share_of, undefined
from evenhand.audit.measures.run_data import BASE, NO_PROBABILITIES, PredictiveValue, RunData, RunSubset
from evenhand.audit.measures.steps import LabelScores, Steps
from evenhand.metrics.scores import brier_scores, log_losses

NO_EXAMPLES = "no test examples"


@dataclass(frozen=True)
class PredictiveValueOf:
    """Computes a share of the examples predicted positive, or predicted negative."""

    rate: PredictiveValue

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        share = share_of(data, data.outcome(self.rate), data.base(subset.rows, BASE[self.rate]))
        if share is None:
            return undefined(absent(self.rate))
        most = share.max_unit_change
        return replace(as_influence(share), steps=Steps(most * (1 - share.value), most * share.value))


@dataclass(frozen=True)
class F1Score:
    """Computes 2·TP / (2·TP + FP + FN), in which a true positive counts twice."""

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        counted = data.actual.astype(float) + data.selected
        rows = subset.rows[counted[subset.rows] > 0]
        weight = data.weight[rows]
        shares = weight * counted[rows]
        total = float(shares.sum())
        if not total > 0:
            return undefined("no positive examples, true or predicted")
        both = 2 * (data.actual & data.selected)[rows]
        value = float((weight * both).sum() / total)
        influence = (weight * both - value * shares) / total
        most = float(weight.max()) / total
        steps = Steps(most * 2 * (1 - value), most * value)
        return Influence(
            value, rows, influence, shares / total, np.ones(len(rows), dtype=bool), data.count(rows), steps=steps
        )


@dataclass(frozen=True)
class BalancedAccuracy:
    """Computes the mean over classes of the share of a class's examples that are predicted right (recall)."""

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        label, classes = data.label[subset.rows], data.codes
        members = [subset.rows[label == code] for code in classes]
        recalls = [share_of(data, data.hit, rows) for rows in members]
        lacking = [code for code, recall in zip(classes, recalls, strict=True) if recall is None]
        if lacking:
            return undefined(_lacking(lacking, data))
        defined = [recall for recall in recalls if recall is not None]
        n, count = len(data.label), len(classes)
        influence, weights = np.zeros(n), np.zeros(n)
        for recall in defined:
            influence[recall.rows] = recall.influence / count
            weights[recall.rows] = recall.weights / count
        up, down = (
            max(recall.max_unit_change * share / count for recall, share in zip(defined, shares, strict=True))
            for shares in ([1 - recall.value for recall in defined], [recall.value for recall in defined])
        )
        return Influence(
            math.fsum(recall.value for recall in defined) / count,
            subset.rows,
            influence[subset.rows],
            weights[subset.rows],
            np.ones(len(subset.rows), dtype=bool),
            min(data.count(recall.rows) for recall in defined),
            steps=Steps(up, down),
        )


def _lacking(codes: list[int], data: RunData) -> str:
    """Why a balanced accuracy is undefined, from the classes that have no examples."""
    if len(codes) == len(data.codes):
        return NO_EXAMPLES
    if data.positive is None:
        return f"no examples of {len(codes)} of {len(data.codes)} classes"
    return f"no {'positive' if codes == [data.positive] else 'negative'} examples"


@dataclass(frozen=True)
class MeanScoreOf:
    """Computes the mean of a score of the predicted probabilities."""

    score: Literal["brier", "log_loss"]

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        rows, probabilities = subset.rows, data.probabilities
        if probabilities is None:
            return undefined(NO_PROBABILITIES, len(rows))
        weight = data.weight[rows]
        total = float(weight.sum())
        if not total > 0:
            return undefined(NO_EXAMPLES)
        own = probabilities[rows]
        scores_of = partial(brier_scores, positive=data.positive) if self.score == "brier" else log_losses
        scores = scores_of(own, data.label[rows])
        value, shares = float(weight @ scores / total), weight / total

        def of_labels() -> np.ndarray:
            return np.stack([scores_of(own, np.full(len(rows), code)) for code in data.codes], axis=1)

        active = np.ones(len(rows), dtype=bool)
        steps = LabelScores(of_labels)
        return Influence(value, rows, shares * (scores - value), shares, active, data.count(rows), steps=steps)
