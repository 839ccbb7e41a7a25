"""Defines the key `membership:` of a study: the models that membership inference needs, and its attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, PositiveInt, field_validator, model_validator

from evenhand.audit.design import MembershipDesign
from evenhand.audit.membership.attack import LEAST_POOL, LEAST_SHADOWS
from evenhand.errors import InputError, did_you_mean
from evenhand.methods.method import Method
from evenhand.study.loss_matching import MatchSpec
from evenhand.study.tuning import TuningSpec
from evenhand.tasks import kind_of


class MembershipSpec(MembershipDesign):
    """Membership inference (`membership:` in a study); a plain number is read as `models`.

    Besides the attack (see `evenhand.audit.design.MembershipDesign`):

    Attributes:
        models: number of models: in a pool, of complementary pairs, for each method; in the design `shadows`, for each
            target.
        attribute: the attribute to which the next two keys refer; by default the first.
        groups: restricts the pool to the examples of these groups, or to this number of largest groups; None: all.
        per_group: largest number of examples of each group, drawn by label.
        examples: largest number of examples in the pool, drawn by label and group.
        seed: seed of the draws.
        epochs: in the design `shadows`, the epochs of the shadows, whose method `shadows` names; None: those of the
            method.
    """

    models: PositiveInt = 16
    attribute: str | None = None
    groups: PositiveInt | tuple[str, ...] | None = None
    per_group: PositiveInt | None = None
    examples: PositiveInt | None = None
    seed: int = Field(default=0, ge=0)
    epochs: PositiveInt | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Read a plain number as `models`."""
        return {"models": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("groups", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        """Read a plain name as a list of one."""
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_be_attacked(self) -> MembershipSpec:
        """Refuse a number of models that the attack cannot use, and keys of a pool in a shadow design."""
        if self.design == "shadows":
            least = LEAST_SHADOWS[self.attack]
            if self.models < least:
                raise InputError(f"membership.models is {self.models}; {self.attack} needs {least} shadows per target")
            wanted = [key for key in ("groups", "per_group", "examples") if getattr(self, key) is not None]
            if wanted:
                raise InputError(f"membership.{wanted[0]} belongs to a pool; leave it out with design: shadows")
            if self.epochs is not None and self.shadows is None:
                raise InputError(
                    "membership.epochs is for the shadows of one method, and membership.shadows names none; name it, "
                    "or set the epochs of the methods"
                )
            return self
        if self.epochs is not None:
            raise InputError(
                "membership.epochs is for design: shadows; the models of a pool are targets, too, and train as long as "
                "their method says"
            )
        if self.models % 2:
            raise InputError(
                f"membership.models is {self.models}; a pool needs an even number of models, since each has a twin "
                "that is trained on the other half"
            )
        if self.models < LEAST_POOL[self.attack]:
            raise InputError(
                f"membership.models is {self.models}; {self.attack} needs a pool of {LEAST_POOL[self.attack]}, since "
                "neither a target nor its twin are among the models that it is compared with"
            )
        return self

    def check(
        self, task: str, methods: Mapping[str, Method], tuning: TuningSpec | None, match: MatchSpec | None
    ) -> None:
        """Raise InputError if the rest of a setting rules out membership inference.

        Looks at the task's name, the methods by name, `tuning:` and `match:`.
        """
        if kind_of(task) != "classification":
            raise InputError(
                f"membership: the attacks need a classifier, and the task {task} trains none; audit the "
                "scores of another attack with evenhand audit --member"
            )
        if self.shadows is not None and self.shadows not in methods:
            raise InputError(
                f'membership.shadows: "{self.shadows}" is not a method; {did_you_mean(self.shadows, methods)}'
            )
        if self.shadows is not None and methods[self.shadows].epochs == 0:
            raise InputError(f"membership.shadows: {self.shadows} trains nothing; name a method that trains")
        if all(method.epochs == 0 for method in methods.values()):
            raise InputError("membership: no method trains anything, so there are no members")
        if tuning is not None and tuning.seeds == "each":
            raise InputError("membership needs one choice of hyperparameters for all its models; set tuning.seeds: one")
        if self.design == "pool" and match is not None and match.by != "train_loss":
            raise InputError(
                f"match.by is {match.by}, and the models of a pool have no validation examples; match by train_loss"
            )

    def audited(self) -> MembershipDesign:
        """Return what the audit needs to know about membership inference."""
        return MembershipDesign(**{key: getattr(self, key) for key in MembershipDesign.model_fields})
