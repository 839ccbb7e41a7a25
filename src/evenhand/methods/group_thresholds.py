"""Defines thresholds per group by which a trained classifier predicts (`thresholds:` of a method)."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt, model_validator

from evenhand.errors import InputError
from evenhand.spec import Spec

Constraint = Literal[
    "demographic_parity",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
    "true_negative_rate_parity",
    "false_negative_rate_parity",
    "equalized_odds",
]

Objective = Literal[
    "accuracy_score", "balanced_accuracy_score", "selection_rate", "true_positive_rate", "true_negative_rate"
]


class GroupThresholds(Spec):
    """Thresholds per group, chosen on the validation examples after training (Hardt et al. 2016, arXiv:1610.02413).

    They are those of `fairlearn.postprocessing.ThresholdOptimizer`: among the thresholds, and the random choices
    between two of them, that give every group the same rate on the validation examples, those with the best objective.

    Attributes:
        attribute: the attribute whose groups have thresholds. Missing values are a group of their own.
        constraint: the rate that is made equal; with `equalized_odds` the true and the false positive rate.
        objective: what is maximized, over all validation examples; with `equalized_odds` one of the two accuracies.
        grid_size: the number of steps between 0 and 1 at which the rate is tried.
        flip: whether scores below a threshold may be predicted as positive, too.

    Example:
        >>> GroupThresholds(attribute="race").constraint
        'equalized_odds'
    """

    attribute: str
    constraint: Constraint = "equalized_odds"
    objective: Objective = "accuracy_score"
    grid_size: PositiveInt = 1000
    flip: bool = False

    @model_validator(mode="after")
    def _objective_fits(self) -> GroupThresholds:
        """Refuse an objective that equalized odds cannot maximize."""
        if self.constraint == "equalized_odds" and self.objective not in ("accuracy_score", "balanced_accuracy_score"):
            raise InputError(
                f"objective should be accuracy_score or balanced_accuracy_score with equalized_odds, not "
                f"{self.objective}"
            )
        return self
