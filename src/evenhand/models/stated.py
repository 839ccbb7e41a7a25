"""Describes base models that are not on this machine by their published configuration, for arithmetic only.

`evenhand plan --on` needs a model's shape and none of its weights. Models that are on this machine are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evenhand.errors import UnavailableError
from evenhand.models.find import ASSETS, BaseModel, configuration, find_model
from evenhand.models.hub import INDEX, WEIGHTS

STATED: Mapping[str, str] = {
    "google/vit-base-patch16-224-in21k": "vit-base",
    "microsoft/swinv2-large-patch4-window12-192-22k": "swinv2-large",
    "meta-llama/Llama-2-7b-hf": "llama-2-7b",
    "meta-llama/Llama-2-7b-chat-hf": "llama-2-7b",
    "mistralai/Mistral-7B-v0.1": "mistral-7b",
    "mistralai/Mistral-7B-Instruct-v0.2": "mistral-7b",
}
"""The base models of the presets, by hub id, with the folder of their configuration below `assets/stated/`.

Sources: Dosovitskiy et al. 2020 (arXiv:2010.11929, table 1), Liu et al. 2021 (arXiv:2111.09883, section 4),
Touvron et al. 2023 (arXiv:2307.09288) and Jiang et al. 2023 (arXiv:2310.06825, table 1), with the sizes of their
vocabularies and feed-forward layers.
"""


def find_or_state_model(model: str) -> BaseModel:
    """Return a base model of this machine, or of the hub; for a stated one that is not here, its configuration alone.

    A stated model is never downloaded.

    Args:
        model: as `evenhand.models.find.find_model` takes it.

    Raises:
        InputError: as `find_model`.
    """
    if model.partition("@")[0] not in STATED or Path(model).expanduser().is_dir() or _downloaded(model):
        return find_model(model)
    return state_model(model)


def find_else_state_model(model: str) -> BaseModel:
    """Return a base model, downloaded if needed; one that cannot be downloaded as its stated configuration.

    Raises:
        InputError: as `find_model`; UnavailableError if no configuration of the model is stated.
    """
    try:
        return find_model(model)
    except UnavailableError:
        if model.partition("@")[0] not in STATED:
            raise
        return state_model(model)


def state_model(model: str) -> BaseModel:
    """Return a model of `STATED` as its configuration alone."""
    folder = STATED[model.partition("@")[0]]
    values = configuration(ASSETS / "stated" / folder, model)
    return BaseModel(
        name=model,
        folder=ASSETS / "stated" / folder,
        fingerprint=f"stated {model}",
        model_type=str(values["model_type"]),
        modality="text" if "vocab_size" in values else "image",
    )


def is_stated(base: BaseModel) -> bool:
    """Return whether a base model is stated, so that it has neither weights nor a tokenizer."""
    return base.folder.parent == ASSETS / "stated"


def _downloaded(model: str) -> bool:
    """Return whether the weights of a hub model are in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = model.partition("@")
    cached = (try_to_load_from_cache(name, file, revision=revision or None) for file in (WEIGHTS, INDEX))
    return any(isinstance(path, str) for path in cached)
