"""Refuses the losses and thresholds by group that a setting of a study rules out."""

from __future__ import annotations

from evenhand.data.splits import SplitSpec
from evenhand.errors import InputError
from evenhand.methods.method import Method
from evenhand.study.loss_matching import MatchSpec
from evenhand.tasks import Kind
from evenhand.training.recipe import TrainSpec


def check_loss(method: Method, train: TrainSpec, kind: Kind, match: MatchSpec | None) -> None:
    """Raise InputError if a setting rules out the loss by group of one of its methods.

    Args:
        method: the method.
        train: hyperparameters with the method's overrides.
        kind: kind of the task.
        match: how methods are matched, if they are.
    """
    loss = method.loss
    if loss is None:
        return
    if kind != "classification":
        raise InputError(f"loss: {loss.kind} is for classifiers, and this task trains none; leave it out")
    if method.epochs == 0:
        raise InputError(f"loss: the method trains nothing, so there is no loss; leave {loss.kind} out")
    if "epsilon" in type(method).model_fields:
        raise InputError(
            f"loss: ε counts a loss in which each example has its own gradient and equal weight, which {loss.kind} "
            f"changes by the groups of other examples; leave it out of {method.kind}"
        )
    if type(method).pack is not Method.pack:
        raise InputError(
            f"loss: a {method.kind} computes its own loss, so that {loss.kind} has no effect; leave it out"
        )
    if match is not None and match.by == "train_loss":
        raise InputError(
            f"loss: match.by is train_loss, and that of {loss.kind} is another quantity than the reference's; match by "
            "validation_loss or validation_accuracy"
        )
    if loss.kind == "group_dro" and (train.accumulate > 1 or train.tokens_per_pass is not None):
        key = "accumulate" if train.accumulate > 1 else "tokens_per_pass"
        raise InputError(
            f"loss: group_dro weighs the groups of a whole step, which {key} would split; leave train.{key} out and "
            "set train.batch_size"
        )


def check_thresholds(method: Method, kind: Kind, split: SplitSpec, *, membership: bool, probing: bool) -> None:
    """Raise InputError if a setting rules out the thresholds by group of one of its methods.

    Args:
        method: the method.
        kind: kind of the task.
        split: how examples are split.
        membership, probing: whether the setting asks for them.
    """
    if method.thresholds is None:
        return
    if kind != "classification":
        raise InputError("thresholds: they are for classifiers, and this task trains none; leave them out")
    if not split.validation and split.column is None:
        raise InputError(
            "thresholds: they are chosen on validation examples, and split.validation is 0: there are none; set it "
            "above 0, such as 0.2"
        )
    for wanted, name in ((membership, "membership"), (probing, "probing")):
        if wanted:
            raise InputError(
                f"thresholds: {name} reads what the model computes, which thresholds leave as it is; put them in a "
                f"study without {name}"
            )
