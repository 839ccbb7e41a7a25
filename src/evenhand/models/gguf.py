"""Reads base models in the format GGUF: dequantised once into a folder of safetensors, which is read as any other.

Nothing is ever trained on quantised weights here: the base is what the file's numbers say, in float32.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evenhand.atomic_files import aside_of, remove
from evenhand.errors import InputError, first_line
from evenhand.models.quiet import quiet

SUFFIX = ".gguf"


def cache_folder() -> Path:
    """Return the folder of dequantised models: `evenhand/gguf` below `XDG_CACHE_HOME`, or below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evenhand" / "gguf"


def dequantised_folder(file: Path, model: str, content: str) -> Path:
    """Return the folder that holds a GGUF file's configuration, float32 weights and tokenizer; write it if need be.

    Args:
        file: the GGUF file.
        model: its name in messages.
        content: hash of the file, which names the folder.

    Raises:
        InputError: the package gguf is missing, the file is no GGUF file, transformers does not read its architecture
            or tokenizer, or the file lacks weights or scales positions in a way that transformers does not read.
    """
    folder = cache_folder() / content
    if folder.is_dir():
        return folder
    if find_spec("gguf") is None:
        raise InputError(f"{model}: a GGUF file is read with the package gguf; try: pip install 'evenhand[gguf]'")
    header = _header(file, model)
    logging.getLogger("evenhand").warning("%s is dequantised once, into %s", model, folder)
    aside = aside_of(folder)
    remove(aside)
    try:
        _dequantise(file, aside, model, header)
        try:
            aside.rename(folder)
        except OSError:
            # Another process was faster; what it wrote is the same.
            if not folder.is_dir():
                raise
    finally:
        remove(aside)
    return folder


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of its model beside the weights.

    Attributes:
        architecture: its name in llama.cpp.
        scaling: how positions are scaled, as the metadata name it, such as yarn; None: they are not.
        factors: the tensor that scales the frequency of each rotary dimension; None if there is none.
        split: number of files that the model is split into.
    """

    architecture: str
    scaling: str | None
    factors: str | None
    split: int


def _header(file: Path, model: str) -> Header:
    """Return what a GGUF file says of its model beside the weights."""
    from gguf import GGUFReader  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

    def value(key: str) -> Any:
        """Return the bytes or the array of a key's value; None if the file lacks it."""
        field = reader.fields.get(key)
        return None if field is None else field.parts[field.data[0]]

    try:
        reader = GGUFReader(file)
        architecture = bytes(value("general.architecture")).decode()
        scaling = value(f"{architecture}.rope.scaling.type")
        # Before there was a type, a linear scaling had a key of its own.
        linear = value(f"{architecture}.rope.scale_linear")
        named = "linear" if linear is not None and float(linear[0]) != 1 else "none"
        named = named if scaling is None else bytes(scaling).decode()
        factors = [
            tensor.name for tensor in reader.tensors if tensor.name.startswith("rope_f") and (tensor.data != 1).any()
        ]
        count = value("split.count")
    # Any exception: the reader checks little of a file and fails in many ways.
    except Exception as error:
        raise InputError(f"{model}: {file.name} is no complete GGUF file ({first_line(error)})") from None
    return Header(
        architecture,
        None if named == "none" else named,
        factors[0] if factors else None,
        1 if count is None else int(count[0]),
    )


def _dequantise(file: Path, folder: Path, model: str, header: Header) -> None:
    """Write a GGUF file's model and tokenizer into a folder as transformers does, without a trace of quantisation."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet(), torch.random.fork_rng():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                file.parent,
                gguf_file=file.name,
                dtype=torch.float32,
                trust_remote_code=False,
                output_loading_info=True,
            )
            read, loading = loaded
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    # Any exception: an architecture that transformers does not know fails in many ways.
    except Exception as error:
        raise InputError(
            f'{model}: transformers does not read GGUF files of the architecture "{header.architecture}" as language '
            f"models ({first_line(error)}); give the folder of the model's safetensors instead"
        ) from None
    # Tied output weights are not among them.
    if absent := sorted(loading["missing_keys"]):
        parts = (
            f"it is one of the {header.split} files of a split model; merge them (llama-gguf-split --merge)"
            if header.split > 1
            else "it is incomplete, or one file of a split model; give the whole model in one file"
        )
        raise InputError(
            f"{model}: {file.name} lacks {len(absent)} of the model's weights, such as {absent[0]}: {parts}, or give "
            "the folder of the model's safetensors"
        )
    _check_positions(header, read.config, file, model)
    values = {key: value for key, value in read.config.to_dict().items() if key not in ("quantization_config", "dtype")}
    config = type(read.config).from_dict(values)
    # transformers does not save a model that it has dequantised, so its weights move into a model that it will save.
    with torch.random.fork_rng():
        plain: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict())
    with quiet():
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _check_positions(header: Header, config: Any, file: Path, model: str) -> None:
    """Raise InputError if the file scales rotary positions, and the configuration that was read does not say so."""
    rotary = getattr(config, "rope_parameters", None) or {}
    # Models with two kinds of attention have parameters for each.
    kinds = [rotary, *(each for each in rotary.values() if isinstance(each, dict))]
    read = {str(each.get("rope_type")) for each in kinds}
    if header.factors is None and (header.scaling is None or header.scaling in read):
        return
    how = f"the tensor {header.factors}" if header.factors else f"the method {header.scaling} (rope.scaling.type)"
    raise InputError(
        f"{model}: {file.name} scales the model's rotary positions by {how}, which transformers does not read from "
        "GGUF files, so it would be another model; give the folder of the model's safetensors instead"
    )
