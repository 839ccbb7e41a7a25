"""Whether methods fit a base model, said before anything is trained: by its skeleton, which costs no memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evenhand.errors import InputError
from evenhand.methods.language import check_generates
from evenhand.methods.method import Method
from evenhand.models import classifier_parts, language

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from evenhand.models.find import BaseModel


def skeleton(base: BaseModel, classes: int | None) -> PreTrainedModel:
    """A classifier over the base, or a language model where there are no classes, on the meta device: names and shapes,
    and no weights. Raises InputError: the base is no language model."""
    return (
        language.skeleton(base)
        if classes is None
        else classifier_parts.skeleton(base.folder, base.modality, classes, base.contents.fresh)
    )


def check(base: BaseModel, classes: int | None, methods: Mapping[str, Method], where: str = "") -> None:
    """Refuse methods that cannot be trained over the base.

    Args:
        base: from `find`.
        classes: how many; None: a language model is trained, which `METHODS` of `evenhand.methods.language` can do.
        methods: by their name in the study.
        where: what stands before the method's name in an error, such as `settings.faces.`.

    Raises:
        InputError: the first that does not fit, with the reason.
    """
    model = skeleton(base, classes)
    for name, method in methods.items():
        try:
            if classes is None:
                check_generates(method)
            method.check(model)
        except InputError as error:
            raise InputError(f"{where}methods.{name}: {error}") from None
