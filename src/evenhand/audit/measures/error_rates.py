"""Defines the measures of predictions that are computed on request: error rates, predictive values, F1 and scores.

Of a rate and its complement one is judged: contrasts of both are one number with two signs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.influence import RateOf
from evenhand.audit.measures.measure import EVERYWHERE, Measure
from evenhand.audit.measures.scores import BalancedAccuracy, F1Score, MeanScoreOf, PredictiveValueOf


def _share(
    name: str,
    summary: str,
    direction: Literal[-1, 0, 1],
    influence: Callable[..., Any],
    complement: str = "",
    worse: str = "",
) -> Measure:
    return Measure(
        name,
        "predictions",
        summary,
        direction,
        EVERYWHERE,
        influence,
        proportion=True,
        by_class=True,
        gaps=True,
        decides=not complement and direction != 0,
        decided_by=f"the {complement}, 1 minus this" if complement else "",
        on_request=True,
        display=Display(question="error rates", worse=worse),
    )


def _score(
    name: str, summary: str, score: Literal["brier", "log_loss"], most: float, title: str, worse: str
) -> Measure:
    return Measure(
        name,
        "predictions",
        summary,
        1,
        EVERYWHERE,
        MeanScoreOf(score),
        title=title,
        digits=4,
        limits=(0.0, most),
        default_margin=False,
        gaps=True,
        on_request=True,
        display=Display(question="calibration", worse=worse),
    )


ERROR_RATES = (
    _share(
        "false_negative_rate",
        "share of the positives predicted negative: 1 minus the true positive rate, which is judged",
        1,
        RateOf("false_negative_rate"),
        complement="true positive rate",
    ),
    _share(
        "true_negative_rate",
        "share of the negatives predicted negative: 1 minus the false positive rate, which is judged",
        -1,
        RateOf("true_negative_rate"),
        complement="false positive rate",
    ),
    _share(
        "positive_predictive_value",
        "share of those predicted positive that are positive (precision)",
        -1,
        PredictiveValueOf("positive_predictive_value"),
        worse="is less often right about those it predicts positive",
    ),
    _share(
        "negative_predictive_value",
        "share of those predicted negative that are negative",
        -1,
        PredictiveValueOf("negative_predictive_value"),
        worse="is less often right about those it predicts negative",
    ),
    _share(
        "false_discovery_rate",
        "share of those predicted positive that are negative: 1 minus the positive predictive value, which is judged",
        1,
        PredictiveValueOf("false_discovery_rate"),
        complement="positive predictive value",
    ),
    _share(
        "false_omission_rate",
        "share of those predicted negative that are positive: 1 minus the negative predictive value, which is judged",
        1,
        PredictiveValueOf("false_omission_rate"),
        complement="negative predictive value",
    ),
    _share(
        "prevalence",
        "share of the examples that are positive: a property of the data, shown and never judged",
        0,
        RateOf("prevalence"),
    ),
    Measure(
        "balanced_accuracy",
        "predictions",
        "mean over classes of the share of a class's examples that are predicted right (macro-averaged recall)",
        -1,
        EVERYWHERE,
        BalancedAccuracy(),
        gaps=True,
        on_request=True,
        display=Display(question="accuracy", worse="is less accurate over classes of equal weight", points=True),
    ),
    Measure(
        "f1_score",
        "predictions",
        "F1 of the positive class, or of each class: 2 TP / (2 TP + FP + FN)",
        -1,
        EVERYWHERE,
        F1Score(),
        title="F1 score",
        by_class=True,
        gaps=True,
        on_request=True,
        display=Display(question="accuracy", worse="has a lower F1", points=True),
    ),
    _score(
        "brier_score",
        "mean squared distance between probabilities and outcome; summed over classes where there are more than two",
        "brier",
        2.0,
        "Brier score",
        "has a higher Brier score",
    ),
    _score(
        "log_loss",
        "mean of −log of the probability of the true class, in nats",
        "log_loss",
        math.inf,
        "log loss",
        "has a higher log loss",
    ),
)
