"""Reads base models in the format GGUF: dequantised once into a folder of safetensors, which is read as any other.

Nothing is ever trained on quantised weights here: the base is what the file's numbers say, in float32.
"""

from __future__ import annotations

import logging
import os
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
        InputError: the package gguf is missing, the file is no GGUF file, or transformers does not read its
            architecture or tokenizer.
    """
    folder = cache_folder() / content
    if folder.is_dir():
        return folder
    if find_spec("gguf") is None:
        raise InputError(f"{model}: a GGUF file is read with the package gguf; try: pip install 'evenhand[gguf]'")
    architecture = _architecture(file, model)
    logging.getLogger("evenhand").warning("%s is dequantised once, into %s", model, folder)
    aside = aside_of(folder)
    remove(aside)
    try:
        _dequantise(file, aside, model, architecture)
        try:
            aside.rename(folder)
        except OSError:
            # Another process was faster; what it wrote is the same.
            if not folder.is_dir():
                raise
    finally:
        remove(aside)
    return folder


def _architecture(file: Path, model: str) -> str:
    """Return the architecture that a GGUF file names."""
    from gguf import GGUFReader  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]

    try:
        field = GGUFReader(file).fields["general.architecture"]
        return bytes(field.parts[field.data[0]]).decode()
    # Any exception: the reader checks little of a file and fails in many ways.
    except Exception as error:
        raise InputError(f"{model}: {file.name} is no complete GGUF file ({first_line(error)})") from None


def _dequantise(file: Path, folder: Path, model: str, architecture: str) -> None:
    """Write a GGUF file's model and tokenizer into a folder as transformers does, without a trace of quantisation."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet(), torch.random.fork_rng():
            read: Any = AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, dtype=torch.float32, trust_remote_code=False
            )
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    # Any exception: an architecture that transformers does not know fails in many ways.
    except Exception as error:
        raise InputError(
            f'{model}: transformers does not read GGUF files of the architecture "{architecture}" as language models '
            f"({first_line(error)}); give the folder of the model's safetensors instead"
        ) from None
    values = {key: value for key, value in read.config.to_dict().items() if key not in ("quantization_config", "dtype")}
    config = type(read.config).from_dict(values)
    # transformers does not save a model that it has dequantised, so its weights move into a model that it will save.
    with torch.random.fork_rng():
        plain: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict())
    with quiet():
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
