"""Checks that methods fit a base model before anything is trained, on a skeleton that needs no memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evenhand.errors import InputError
from evenhand.methods.language import check_is_generative
from evenhand.methods.method import Method
from evenhand.models import classifier_parts, language

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from evenhand.models.find import BaseModel


def model_skeleton(base: BaseModel, classes: int | None) -> PreTrainedModel:
    """Return a classifier over the base, or a language model if `classes` is None, on the meta device without weights.

    Raises InputError: the base is no language model, or transformers has no classifier over it.
    """
    if classes is None:
        return language.language_model_skeleton(base)
    if not classifier_parts.has_classifier(base.model_type, base.modality):
        raise InputError(
            f'{base.name}: transformers has no {base.modality} classifier for the model type "{base.model_type}", '
            "which classification needs; choose another model, or a task in which a language model writes, such as sft"
        )
    return classifier_parts.classifier_skeleton(base.folder, base.modality, classes, base.contents.fresh)


def check_methods(base: BaseModel, classes: int | None, methods: Mapping[str, Method], where: str = "") -> None:
    """Raise InputError for the first method that cannot be trained over the base.

    Args:
        base: from `find`.
        classes: number of classes; None: a language model is trained, which only some methods can do, see
            `evenhand.methods.language`.
        methods: by their name in the study.
        where: the text before the method's name in an error, such as `settings.faces.`.

    Raises:
        InputError: the first method that does not fit, with the reason.
    """
    model = model_skeleton(base, classes)
    for name, method in methods.items():
        try:
            if classes is None:
                check_is_generative(method)
            method.check(model)
        except InputError as error:
            raise InputError(f"{where}methods.{name}: {error}") from None
