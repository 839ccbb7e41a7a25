"""Defines linear probing: only the classification head is trained, which equals LoRA of rank 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat

from evenhand.methods.partial import Partial

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Head(Partial):
    """Trains the classification head over a frozen base; saved as a safetensors file of the head.

    Example:
        >>> import evenhand
        >>> evenhand.Head()
        Head(lr=0.001, epochs=3, train={}, data={}, resources={}, loss=None, thresholds=None)
    """

    kind: ClassVar[str] = "head"
    summary: ClassVar[str] = "the classification head over a frozen base model"
    file: ClassVar[str] = "head.safetensors"

    lr: NonNegativeFloat = 1e-3

    def chosen(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return no parameter of the base."""
        return ()
