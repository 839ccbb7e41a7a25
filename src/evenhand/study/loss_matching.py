"""`match:` in a study: methods are compared at about equal training loss, or validation loss or accuracy.

Of every other method's training the checkpoint is taken that comes nearest, at the same seed, to what the first
reference reached; how near is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import PositiveInt, model_validator

from evenhand.spec import Spec
from evenhand.training.checkpoints import By

MATCHED: Mapping[By, str] = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy",
}


class MatchSpec(Spec):
    """On what methods are made equal (`match:` in a study); a bare word says by what.

    Attributes:
        by: the training loss is the mean since the checkpoint before, of each example when it was trained on; for the
            reference, that of its last epoch.
        every: steps between two checkpoints, or at the ends of epochs; the last step is always one.
    """

    by: By
    every: Literal["epoch"] | PositiveInt = "epoch"

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value


@dataclass(frozen=True)
class Match:
    """What a trial is made equal to.

    Attributes:
        spec: by what.
        method: the reference's name.
        trial: the hash of the reference's trial, which is trained first.
    """

    spec: MatchSpec
    method: str
    trial: str

    def identity(self) -> dict[str, Any]:
        """What training depends on; the reference's trial decides its value."""
        return {**self.spec.model_dump(mode="json"), "trial": self.trial}


def matching_note(match: Match, reached: float, wanted: float, step: int) -> str:
    """How near a trial came, for the report."""
    return (
        f"matched to {match.method} by {MATCHED[match.spec.by]}: {reached:.4g} at step {step}, against {wanted:.4g} "
        f"(a gap of {abs(reached - wanted):.2g})"
    )
