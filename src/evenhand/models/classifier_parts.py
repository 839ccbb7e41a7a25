"""Separates the head of a classifier from its base, and determines which of its parts a checkpoint contains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenhand.data.dataset import Modality
from evenhand.errors import InputError, first_line

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

FRESH = "fresh"
"""The attribute of a classifier that lists the parts of its base that the checkpoint lacks."""

POOLER = "pooler"
"""Names of the task-specific parts between the last layer and the head."""


@dataclass(frozen=True)
class CheckpointContents:
    """The parts of a classifier that a checkpoint contains, judged by the names of its weights.

    Attributes:
        fresh: full names of the parts of the base that the weights lack.
        head: number of classes of the checkpoint's classification head; None: it has no head.
    """

    fresh: tuple[str, ...] = ()
    head: int | None = None


def has_classifier(model_type: object, modality: Modality) -> bool:
    """Return whether transformers has a classifier of texts or images for a model type."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as IMAGES,
    )
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as TEXTS,
    )

    return model_type in (TEXTS if modality == "text" else IMAGES)


def classifier_skeleton(folder: Path, modality: Modality, classes: int, fresh: Sequence[str] = ()) -> PreTrainedModel:
    """Return a classifier over a base on the meta device, with names and shapes but no weights.

    Args:
        folder: a folder with a `config.json`.
        modality: type of the base's inputs.
        classes: number of classes.
        fresh: parts that the checkpoint lacks, see `head_modules`.

    Raises:
        InputError: the configuration describes no model of its type.
    """
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    auto = AutoModelForSequenceClassification if modality == "text" else AutoModelForImageClassification
    # Its own padding token may exist only in the tokenizer.
    values = {"pad_token_id": 0} if modality == "text" else {}
    return mark_fresh(model_from_config(folder, auto, num_labels=classes, **values), fresh)


def model_from_config(folder: Path, auto: Any, **values: Any) -> PreTrainedModel:
    """Return a model of an auto class on the meta device, built from a folder's `config.json` and these values.

    Raises:
        InputError: the configuration describes no model of its type.
    """
    import torch
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **values)
        with torch.device("meta"):
            return auto.from_config(config)
    # Any exception: architectures check little of their configuration and fail in many ways.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder / 'config.json'} describes no model ({type(error).__name__}: {reason})") from None


def checkpoint_contents(
    folder: Path, model_type: object, modality: Modality, weights: Sequence[Path]
) -> CheckpointContents:
    """Return which parts of a classifier a checkpoint contains, from the names in its files.

    Args:
        folder: a folder with a `config.json`.
        model_type: that of the `config.json`; without a classifier of transformers, nothing is said to be contained.
        modality: type of the base's inputs.
        weights: its safetensors files, and their index if there is one.

    Raises:
        InputError: a file that is not a safetensors file, or a configuration that describes no model.
    """
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, Any] = {}
    for path in (path for path in weights if path.suffix == ".safetensors"):
        try:
            with safe_open(path, framework="numpy") as file:
                shapes |= {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise InputError(
                f"{path} is not a complete safetensors file ({first_line(error)}); delete it and download or copy it "
                "again"
            ) from None
    if not has_classifier(model_type, modality):
        return CheckpointContents()
    model = classifier_skeleton(folder, modality, 2)
    prefix = model.base_model_prefix
    ends = {name.removeprefix(f"{prefix}.") for name in shapes}
    fresh = {
        f"{prefix}.{name.partition(POOLER)[0]}{POOLER}"
        for name, _ in model.base_model.named_parameters()
        if POOLER in name.split(".") and name not in ends
    }
    head_shapes = [
        shapes[name]
        for name, parameter in model.named_parameters()
        if not name.startswith(f"{prefix}.") and name in shapes and parameter.ndim == 2
    ]
    return CheckpointContents(tuple(sorted(fresh)), head_shapes[-1][0] if head_shapes else None)


def mark_fresh(model: PreTrainedModel, fresh: Sequence[str]) -> PreTrainedModel:
    """Record on the classifier which parts of its base the checkpoint lacks, and return it. The mark is never saved."""
    vars(model)[FRESH] = tuple(fresh)
    return model


def head_modules(model: PreTrainedModel) -> list[torch.nn.Module]:
    """Return the newly drawn modules of a classifier: those on top of the base, and those that the checkpoint lacks.

    A BERT for masked words, for instance, lacks a pooler.

    If these were part of the base, they would be random and frozen under some methods and trained under others. So they
    belong to the head: every method that trains the head trains them. A language model has no head, because its output
    layer comes with the checkpoint.
    """
    if model.can_generate():
        return []
    above = [
        child
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]
    return above + [model.get_submodule(name) for name in vars(model).get(FRESH, ())]
