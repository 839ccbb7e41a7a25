"""Checks the losses and thresholds by group of a study's methods before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.data.splits import SplitSpec
from evenhand.errors import InputError
from evenhand.methods.method import Method
from evenhand.study.loss_matching import MatchSpec
from evenhand.tasks import Kind
from evenhand.training.recipe import TrainSpec

if TYPE_CHECKING:
    from evenhand.study.expansion import Trial
    from evenhand.study.loaded_setting import LoadedSetting

NO_GROUP = "(no group)"
"""The group of examples that are in no group of an attribute."""


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


def check_groups(trials: Iterable[Trial], where: Mapping[str, str]) -> None:
    """Raise InputError for a loss by group that the training examples of some trial rule out.

    Args:
        trials: of a study; those whose data are only stated are not checked.
        where: by setting, the text before `methods.` in errors.
    """
    from evenhand.training.group_objectives import group_objective

    for trial in trials:
        if trial.spec.loss is None or trial.setting.stated:
            continue
        try:
            group_objective(trial.spec.loss, trial.examples)
        except InputError as error:
            raise InputError(f"{where[trial.setting.name]}methods.{trial.method}.loss: {error}") from None


def check_validation_groups(prepared: LoadedSetting, where: str) -> None:
    """Raise InputError for thresholds by group that the validation examples of some seed cannot determine."""
    for name in prepared.spec.methods:
        spec = prepared.spec.method(name).thresholds
        if spec is None or prepared.stated:
            continue
        try:
            if len(prepared.dataset.classes) != 2:
                count = len(prepared.dataset.classes)
                raise InputError(f"they are for two classes, and the task has {count}")
            for seed in prepared.spec.seeds:
                sample = prepared.sample(seed)
                if sample.validation is None:
                    raise InputError("the split of these data has no validation examples to choose them on")
                _check_seed(sample.validation, sample.evaluations, spec.attribute, seed)
        except InputError as error:
            raise InputError(f"{where}methods.{name}.thresholds: {error}") from None


def _check_seed(validation: Dataset, evaluations: Mapping[str, Dataset], attribute: str, seed: int) -> None:
    """Raise InputError if a group of some split has no validation examples of both classes."""
    from evenhand.tasks.threshold_optimizer import check_labels

    known = example_groups(validation, attribute)
    try:
        check_labels(validation.labels, known)
    except InputError as error:
        raise InputError(f"at seed {seed} {error}; raise split.validation, or merge small groups") from None
    for split, dataset in evaluations.items():
        unknown = sorted(set(example_groups(dataset, attribute)) - set(known))
        if unknown:
            raise InputError(
                f"at seed {seed} the group {unknown[0]} of the {split} examples has no validation examples, so that "
                "no threshold can be chosen for it; raise split.validation, or merge small groups"
            )


def example_groups(dataset: Dataset, attribute: str) -> np.ndarray:
    """Return the group of each example, names [n]; `(no group)` for examples that are in none.

    Raises:
        InputError: the examples lack the attribute, or its groups overlap.
    """
    if attribute not in dataset.attributes:
        raise InputError(
            f'{dataset.name} has no attribute "{attribute}"; it has: {", ".join(dataset.attributes) or "none"}'
        )
    groups = dataset.attributes[attribute]
    if (groups.masks.sum(axis=1) > 1).any():
        raise InputError(
            f"the groups of {attribute} overlap in {dataset.name}, so that an example would have several thresholds; "
            "name an attribute whose groups do not overlap"
        )
    names = np.array([*groups.groups, NO_GROUP], dtype=object)
    return names[np.where(groups.masks.any(axis=1), groups.masks.argmax(axis=1), len(groups.groups))]


def hash_of_groups(examples: TrainingExamples | Dataset, attribute: str) -> str:
    """Return a hash of who is in which group, whatever the groups' names; of no groups where examples have none."""
    held = examples.attributes.get(attribute)
    masks = np.empty((0, 0), dtype=bool) if held is None else held.masks
    digest = hashlib.blake2b(str(masks.shape).encode(), digest_size=16)
    digest.update(np.packbits(masks).tobytes())
    return digest.hexdigest()
