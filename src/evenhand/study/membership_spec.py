"""Defines the key `membership:` of a study: the models that membership inference needs, and its attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, PositiveInt, field_validator, model_validator

from evenhand.audit.design import MembershipDesign
from evenhand.audit.membership.attack import LEAST_POOL, LEAST_SHADOWS, TEXT_SCORES
from evenhand.data.canaries import CANARY, group_of_copies, with_canaries
from evenhand.data.dataset import Dataset
from evenhand.data.sft import Conversations
from evenhand.errors import InputError, did_you_mean
from evenhand.methods.method import Method
from evenhand.spec import Spec
from evenhand.study.loss_matching import MatchSpec
from evenhand.study.tuning import TuningSpec
from evenhand.tasks import kind_of


class CanarySpec(Spec):
    """Canaries of a pool (`membership: {canaries: …}`): random texts in half of its models' training sets.

    A plain number is read as `texts`.

    Attributes:
        texts: number of canaries for each number of copies.
        copies: how often a canary is in the training sets that it is in; each number is a group of canaries.
        length: number of random characters of a canary's response.
    """

    texts: int = Field(default=32, ge=2)
    copies: tuple[PositiveInt, ...] = Field(default=(1,), min_length=1)
    length: int = Field(default=8, ge=2)

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Read a plain number as `texts`."""
        return {"texts": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("copies", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        """Read a plain number as a list of one."""
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("copies")
    @classmethod
    def _different(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        """Refuse a number of copies that is given twice."""
        if len(set(value)) < len(value):
            raise ValueError(f"numbers of copies should all be different, not {list(value)}")
        return value

    def added(self, dataset: Dataset, seed: int) -> Dataset:
        """Return conversations with these canaries. Raises InputError as `with_canaries`."""
        assert isinstance(dataset, Conversations)
        return with_canaries(dataset, self.texts, self.copies, self.length, seed)

    def copies_by_group(self) -> dict[str, int]:
        """Return how often the canaries of each group are in a training set, by ATTRIBUTE=GROUP."""
        return {f"{CANARY}={group_of_copies(number)}": number for number in self.copies}


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
        canaries: random texts that half of the models are trained on, for language models; None: none.
        epochs: in the design `shadows`, the epochs of the shadows, whose method `shadows` names; None: those of the
            method.
    """

    models: PositiveInt = 16
    attribute: str | None = None
    groups: PositiveInt | tuple[str, ...] | None = None
    per_group: PositiveInt | None = None
    examples: PositiveInt | None = None
    seed: int = Field(default=0, ge=0)
    canaries: CanarySpec | None = Field(default=None, exclude_if=lambda value: value is None)
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
            if self.attack in TEXT_SCORES:
                raise InputError(f"membership.attack: {self.attack} belongs to a pool; set design: pool")
            least = LEAST_SHADOWS[self.attack]
            if self.models < least:
                raise InputError(f"membership.models is {self.models}; {self.attack} needs {least} shadows per target")
            wanted = [key for key in ("groups", "per_group", "examples", "canaries") if getattr(self, key) is not None]
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
        self,
        task: str,
        methods: Mapping[str, Method],
        seeds: Sequence[int],
        tuning: TuningSpec | None,
        match: MatchSpec | None,
    ) -> None:
        """Raise InputError if the rest of a setting rules out membership inference.

        Looks at the task's name, the methods by name, the seeds, `tuning:` and `match:`.
        """
        self._check_kind(task, seeds)
        if self.attack == "reference" and not any(method.kind == "base" for method in methods.values()):
            raise InputError(
                "membership.attack: reference compares with the base model, and no method is one; add a method such as "
                "base: {kind: base}, or choose another attack"
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

    def _check_kind(self, task: str, seeds: Sequence[int]) -> None:
        """Refuse tasks whose models are not attacked, and keys that the task's models have no use for."""
        kind = kind_of(task)
        if kind == "classification":
            if self.attack in TEXT_SCORES:
                raise InputError(
                    f"membership.attack: {self.attack} scores the tokens of a language model, and {task} trains "
                    "classifiers; choose loss, difficulty, lira or rmia"
                )
            if self.canaries is not None:
                raise InputError(f"membership.canaries are texts for a language model, and {task} trains classifiers")
            return
        if kind != "sft":
            raise InputError(
                f"membership: the attacks need a classifier, or a language model of pairs (sft), and the task {task} "
                "trains neither; audit the scores of another attack with evenhand audit --member"
            )
        if self.design == "shadows":
            raise InputError(f"membership.design: shadows is for classifiers; attack {task} with design: pool")
        if self.canaries is not None and seeds:
            raise InputError(
                "membership.canaries would be in the training and test sets of the study's own trials, too; set "
                "seeds: 0, so that only the pool is trained"
            )

    def audited(self) -> MembershipDesign:
        """Return what the audit needs to know about membership inference."""
        return MembershipDesign(**{key: getattr(self, key) for key in MembershipDesign.model_fields})
