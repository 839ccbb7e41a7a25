"""Locates base models (built in, in a package, in a folder or on the hub) and identifies them by a fingerprint.

A base model is a folder with a configuration and safetensors weights. Code from the hub is never run, and formats that
could contain code are never read.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from evenhand.data.dataset import Modality
from evenhand.errors import InputError, did_you_mean
from evenhand.models.classifier_parts import CheckpointContents, checkpoint_contents, has_classifier
from evenhand.models.gguf import SUFFIX, dequantised_folder
from evenhand.models.hub import INDEX, READS_IMAGES, READS_TEXT, WEIGHTS, download

TINY = ("tiny-vit", "tiny-bert", "tiny-swinv2", "tiny-llama", "tiny-mistral")
"""Built-in checkpoints, below `evenhand/assets/`."""

ASSETS = Path(__file__).parents[1] / "assets"

_OLD_WEIGHTS = ("pytorch_model*.bin", "tf_model.h5", "flax_model.msgpack")


@dataclass(frozen=True)
class BaseModel:
    """A base model on this machine: its folder, its fingerprint and its modality.

    Attributes:
        name: the requested name.
        folder: the folder with `config.json` and safetensors weights.
        fingerprint: hash of the contents of configuration, weights, tokenizer and preprocessor; no names or paths
            beyond those of the files themselves. Part of a trial's identity.
        model_type: transformers' name of the architecture: bert, vit, swinv2, llama, mistral, ...
        modality: type of its inputs.
        commit: the commit of the requested revision on the hub; None for a model from elsewhere. Provenance.
        contents: the parts of a classifier in its weights.
    """

    name: str
    folder: Path
    fingerprint: str
    model_type: str
    modality: Modality
    commit: str | None = None
    contents: CheckpointContents = field(default_factory=CheckpointContents)

    @property
    def public_name(self) -> str:
        """The name without folders of this machine, as adapters carry it: a hub id, or a folder's own name."""
        local = self.commit is None and self.name not in TINY and not self.name.startswith("package:")
        if local and self.name.endswith(SUFFIX):
            return Path(self.name).name
        return self.folder.resolve().name if local else self.name

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the report's readers, one sentence each."""
        notes = [] if self.commit is None else [f"{self.name} is commit {self.commit} of the hub"]
        if self.contents.head is not None:
            notes.append(
                f"{self.name} brings a classification head of {self.contents.head} classes, which is left out: every "
                "trial starts with a head drawn under its seed"
            )
        if self.contents.fresh:
            notes.append(
                f"{self.name} has no weights for {', '.join(self.contents.fresh)}, which its classifier reads: it is "
                "drawn under the seed and learns with the head, whatever the method"
            )
        return tuple(notes)


def find_model(model: str) -> BaseModel:
    """Find a base model, downloading it from the hub if needed.

    Args:
        model: a built-in `tiny-*`, `package:NAME/FOLDER` in an installed package, a local folder, or a hub id,
            optionally with a revision (`org/name@revision`): a branch, a tag, or a commit. A local file or one of a
            package that ends in `.gguf` is dequantised once, and identified by its own contents.

    Raises:
        InputError: there is no such model, it is gated, the hub cannot be reached, the folder has no configuration or
            no safetensors weights, or the architecture neither continues a text nor classifies texts or images.
    """
    gguf = _gguf_file(model)
    content = None if gguf is None else _content_of(gguf)
    folder, commit = _folder(model) if gguf is None else (dequantised_folder(gguf, model, str(content)), None)
    model_type = configuration(folder, model).get("model_type")
    weights = _weights(folder, model, commit)
    modality = _modality(model_type, folder, model)
    fingerprint = content or _fingerprint(folder, weights)
    base = BaseModel(
        name=model,
        folder=folder,
        fingerprint=fingerprint,
        model_type=str(model_type),
        modality=modality,
        commit=commit,
        contents=_contents(folder, model_type, modality, tuple(weights), fingerprint),
    )
    if base.contents.fresh:
        # A plan has no report that could show it.
        _warn_once(base.notes[-1])
    return base


def configuration(folder: Path, model: str) -> dict[str, Any]:
    """Return the contents of `config.json`. Raises InputError if it is missing or no JSON object."""
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


def matching_files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Return the files of a folder that match one of the patterns, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _folder(model: str) -> tuple[Path, str | None]:
    """Return the model's folder, and its commit if it comes from the hub."""
    if model in TINY:
        return ASSETS / model, None
    if model.startswith("package:"):
        return _package_path(model), None
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder, None
    if model.startswith("tiny-"):
        raise InputError(f'there is no built-in model "{model}"; {did_you_mean(model, TINY)}')
    # A revision may have slashes of its own.
    name = model.partition("@")[0]
    if folder.is_absolute() or model.startswith((".", "~")) or name.count("/") > 1 or not name:
        raise InputError(f'there is no model folder "{model}"; it should hold config.json and {WEIGHTS}')
    folder = download(model)
    return folder, folder.name


def _gguf_file(model: str) -> Path | None:
    """Return the GGUF file that a model's name means; None if it means a folder."""
    if not model.endswith(SUFFIX) or Path(model).expanduser().is_dir():
        return None
    file = _package_path(model) if model.startswith("package:") else Path(model).expanduser()
    if not file.is_file():
        raise InputError(f"there is no GGUF file {model}; a file of the hub has to be downloaded first")
    return file


def _package_path(model: str) -> Path:
    """Return the folder, or the GGUF file, of a model in an installed package."""
    from importlib.util import find_spec

    name, _, inside = model.removeprefix("package:").partition("/")
    if not name.isidentifier():
        raise InputError(f'"{model}" does not name a package; write package:NAME/FOLDER')
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f'the model "{model}" needs the package {name}, which is not installed; try: pip install {name}'
        )
    for location in spec.submodule_search_locations:
        found = Path(location) / inside
        if found.is_file() if inside.endswith(SUFFIX) else found.is_dir():
            return found
    what = "file" if inside.endswith(SUFFIX) else "folder"
    raise InputError(f'the package {name} has no {what} "{inside}"')


def _weights(folder: Path, model: str, commit: str | None) -> list[Path]:
    """Return the safetensors files that transformers would read: one file, or an index and its shards."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        try:
            names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{model}: {folder / INDEX} is not an index of safetensors shards") from None
        absent = [name for name in names if not (folder / name).is_file()]
        if absent:
            raise InputError(f"{model}: {INDEX} names {absent[0]}, which {folder} does not hold")
        return [folder / INDEX, *(folder / name for name in names)]
    if old := matching_files(folder, _OLD_WEIGHTS):
        raise InputError(
            f"{model}: {old[0].name} is an older format that can run code when it is read; convert it once, where you "
            "trust it: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER) writes model.safetensors "
            "(then copy the tokenizer or preprocessor files beside it)"
        )
    wanted = f"{WEIGHTS} or its shards with {INDEX}"
    if commit is not None:
        raise InputError(
            f"{model}: its commit {commit} has no {wanted}, and no other format is downloaded; choose a revision that "
            "has, or convert it once, where you trust it, and give the local folder"
        )
    raise InputError(f"{model}: {folder} has no weights; it should hold {wanted}")


def _modality(model_type: object, folder: Path, model: str) -> Modality:
    """Return whether the architecture reads texts or images; raise InputError if neither."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as LANGUAGE_MODELS

    image = has_classifier(model_type, "image")
    if has_classifier(model_type, "text") and (not image or matching_files(folder, READS_TEXT)):
        return "text"
    if image:
        return "image"
    # Some language models have no classifier; a task that needs one refuses them, see `classifier_parts`.
    if model_type in LANGUAGE_MODELS:
        return "text"
    raise InputError(
        f"{model}: transformers has no text or image classifier, and no language model, for the model type "
        f'"{model_type}" of its config.json (code from the hub is never run)'
    )


def _fingerprint(folder: Path, weights: list[Path]) -> str:
    """Return a hash of the contents of the configuration, weights, tokenizer and preprocessor files."""
    files = {folder / "config.json", *weights, *matching_files(folder, (*READS_TEXT, *READS_IMAGES))}
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(files, key=lambda path: path.name):
        digest.update(f"{path.name}\0{_content_of(path)}\0".encode())
    return digest.hexdigest()


def _content_of(path: Path) -> str:
    """Return a hash of a file's bytes, which are read once as long as its size and time are the same."""
    status = path.stat()
    return _content(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _content(path: Path, size: int, changed: int) -> str:
    """Return a hash of a file's bytes; `size` and `changed` are cache keys, so that a changed file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@lru_cache(maxsize=64)
def _contents(
    folder: Path, model_type: str, modality: Modality, weights: tuple[Path, ...], fingerprint: str
) -> CheckpointContents:
    """Return the checkpoint's contents; the fingerprint is a cache key, so that changed files are read again."""
    return checkpoint_contents(folder, model_type, modality, weights)


@cache
def _warn_once(text: str) -> None:
    """Log a warning, once per text."""
    logging.getLogger("evenhand").warning(text)
