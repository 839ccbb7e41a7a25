"""Defines training losses that mitigate disparities between groups (`loss:` of a method)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, PositiveFloat, model_validator

from evenhand.errors import InputError
from evenhand.spec import Spec

STEP_SIZE = 0.01
"""The step size of group DRO, as in the authors' code."""

_OF_KIND: Mapping[str, Mapping[str, Any]] = {
    "group_dro": {"step_size": STEP_SIZE},
    "reweighted": {"weights": "inverse_frequency"},
}
"""By kind, the keys that only this kind has, with their defaults."""


class GroupLoss(Spec):
    """A training loss in which groups of an attribute count otherwise than by their numbers of examples.

    Attributes:
        kind: `group_dro` minimizes the loss of the worst group, by online group weights (Sagawa et al. 2020,
            arXiv:1911.08731, algorithm 1); `reweighted` minimizes a weighted mean loss with fixed weights.
        attribute: the attribute whose groups count. Missing values are a group of their own, and so are examples that
            are in no group.
        by_label: whether the groups are the combinations of a group and a label.
        step_size: for `group_dro`, η of the exponentiated-gradient step of the group weights.
        weights: for `reweighted`: with `inverse_frequency` the loss is the mean of the groups' mean losses, so that
            each group counts alike; with `reweighing` an example of group g and label y has the weight
            P(g) P(y) / P(g, y) (Kamiran & Calders 2012), which makes group and label independent.

    Example:
        >>> GroupLoss(kind="group_dro", attribute="race").step_size
        0.01
        >>> GroupLoss(kind="reweighted", attribute="race").weights
        'inverse_frequency'
    """

    kind: Literal["group_dro", "reweighted"]
    attribute: str
    by_label: bool = False
    step_size: PositiveFloat | None = Field(default=None, exclude_if=lambda value: value is None)
    weights: Literal["inverse_frequency", "reweighing"] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_kind(cls, values: Any) -> Any:
        """Write out the defaults of the kind, and refuse the keys of the other kind."""
        if not isinstance(values, Mapping) or values.get("kind") not in _OF_KIND:
            return values
        kind = values["kind"]
        for other, keys in _OF_KIND.items():
            for key in keys if other != kind else ():
                if values.get(key) is not None:
                    raise InputError(f"{key} is for kind: {other}, and the loss is {kind}; leave it out")
        return {**_OF_KIND[kind], **{key: value for key, value in values.items() if value is not None}}

    @model_validator(mode="after")
    def _not_by_label_twice(self) -> GroupLoss:
        """Refuse `by_label` where the weights depend on labels in any case."""
        if self.by_label and self.weights == "reweighing":
            raise InputError("by_label is for other weights: reweighing looks at labels in any case; leave it out")
        return self
