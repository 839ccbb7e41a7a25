"""Tells the head of a classifier from its base, and reads which of its parts a checkpoint contains."""

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
"""The attribute of a classifier that names the parts of its base that the checkpoint lacks."""

POOLER = "pooler"
"""How architectures call what lies between the last layer and the head, and was made for some task."""


@dataclass(frozen=True)
class CheckpointContents:
    """The parts of a classifier that a checkpoint contains, judged by the names of its weights.

    Attributes:
        fresh: full names of the parts of the base that they lack.
        head: classes of a classification head that they bring; None: they bring none.
    """

    fresh: tuple[str, ...] = ()
    head: int | None = None


def classifier_skeleton(folder: Path, modality: Modality, classes: int, fresh: Sequence[str] = ()) -> PreTrainedModel:
    """Return a classifier over a base on the meta device, with names and shapes but no weights.

    Args:
        folder: with a `config.json`.
        modality: what the base reads.
        classes: how many.
        fresh: of the base model, see `head_modules`.

    Raises:
        InputError: the configuration describes no model of its type.
    """
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    auto = AutoModelForSequenceClassification if modality == "text" else AutoModelForImageClassification
    # The padding token of its own may be one that only the tokenizer has.
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
    # Any kind: architectures check little of what they read, and stumble over the rest.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder / 'config.json'} describes no model ({type(error).__name__}: {reason})") from None


def checkpoint_contents(folder: Path, modality: Modality, weights: Sequence[Path]) -> CheckpointContents:
    """Return which parts of a classifier a checkpoint contains, from the names in its files.

    Args:
        folder: with a `config.json`.
        modality: what the base reads.
        weights: its safetensors files, and their index if there is path.

    Raises:
        InputError: a file that is no safetensors file, or a configuration that describes no model.
    """
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, Any] = {}
    for path in (path for path in weights if path.suffix == ".safetensors"):
        try:
            with safe_open(path, framework="numpy") as file:
                shapes |= {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise InputError(
                f"{path} is no whole safetensors file ({first_line(error)}); delete it and download or copy it again"
            ) from None
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

    Frozen at random these would stand between base and head under every method that does not train them, and learn
    under the others. So they are part of the head: whatever trains the head trains them. A language model has no head:
    its output layer comes with the checkpoint.
    """
    if model.can_generate():
        return []
    above = [
        child
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]
    return above + [model.get_submodule(name) for name in vars(model).get(FRESH, ())]
