"""Checks, before anything is trained, that the examples of a study have the groups of its losses and thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evenhand.data.dataset import Dataset
from evenhand.data.groups import example_groups
from evenhand.errors import InputError
from evenhand.study.expansion import Trial
from evenhand.study.loaded_setting import LoadedSetting


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
