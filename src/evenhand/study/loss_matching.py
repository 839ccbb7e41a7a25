"""Defines the key `match:` of a study, which compares methods at about equal loss or accuracy.

For every other method, the study uses the checkpoint whose value is nearest to the value that the first reference
reached at the same seed, and reports the distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import PositiveInt, model_validator

from evenhand.data.splits import SplitSpec
from evenhand.errors import InputError
from evenhand.methods.method import Method
from evenhand.spec import Spec
from evenhand.tasks import kind_of
from evenhand.training.checkpoints import MatchedQuantity

MATCHED: Mapping[MatchedQuantity, str] = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy",
}


class MatchSpec(Spec):
    """The quantity at which methods are made equal (`match:` in a study); a plain word is read as `by`.

    Attributes:
        by: the quantity to match. The training loss is the mean over the examples since the previous checkpoint, each
            at the time when it was trained on; for the reference, it is that of the last epoch.
        every: steps between two checkpoints, or `epoch` for the ends of epochs; the last step is always a checkpoint.
    """

    by: MatchedQuantity
    every: Literal["epoch"] | PositiveInt = "epoch"

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Read a plain word as `by`."""
        return {"by": value} if isinstance(value, str) else value

    def check(self, task: str, methods: Mapping[str, Method], references: Sequence[str], split: SplitSpec) -> None:
        """Raise InputError if the rest of a setting rules out matching.

        Looks at the task's name, the methods by name, the references and `split:`.
        """
        if self.by == "validation_accuracy" and kind_of(task) != "classification":
            raise InputError(f"match.by: {task} has no accuracy to match by; use validation_loss")
        if not references:
            raise InputError(
                "match compares the other methods with the first reference, and there is none; set reference"
            )
        reference = references[0]
        if methods[reference].epochs == 0:
            raise InputError(f"match: the reference {reference} trains nothing, so no method can be matched to it")
        if self.by != "train_loss" and not split.validation and split.column is None:
            raise InputError(
                f"match.by is {self.by}, and split.validation is 0: there are no validation examples; set it above 0, "
                "such as 0.1, or match by train_loss"
            )
        for name, method in methods.items():
            if name != reference and "epsilon" in type(method).model_fields:
                raise InputError(
                    f"match: methods.{name} is private, and choosing its checkpoint by a loss reveals more of the "
                    "examples than its ε covers; leave out match, or this method"
                )


@dataclass(frozen=True)
class Match:
    """The reference trial that a trial is matched to.

    Attributes:
        spec: the quantity to match.
        method: the reference's name.
        trial: the hash of the reference's trial, which is trained first.
    """

    spec: MatchSpec
    method: str
    trial: str

    def identity(self) -> dict[str, Any]:
        """Return the part of a trial's identity that matching adds; the reference's trial decides the value."""
        return {**self.spec.model_dump(mode="json"), "trial": self.trial}


def matching_note(match: Match, reached: float, wanted: float, step: int) -> str:
    """Return the sentence of the report that says how near a trial came to its reference."""
    return (
        f"matched to {match.method} by {MATCHED[match.spec.by]}: {reached:.4g} at step {step}, against {wanted:.4g} "
        f"(a gap of {abs(reached - wanted):.2g})"
    )
