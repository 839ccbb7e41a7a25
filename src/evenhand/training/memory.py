"""Recognises errors that say that memory ran out, and frees what a given-up computation held."""

from __future__ import annotations

import errno
import gc

import torch

_WORDS = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "can't start new thread",
    "could not create a primitive",
)
"""Parts of what PyTorch, oneDNN and Python say in errors of no kind of their own."""

_OTHER_WORDS = ("primitive descriptor",)
"""Parts of what oneDNN says in the same words of what it cannot compute at all."""

SHORT = (RuntimeError, MemoryError, OSError)
"""The kinds of errors among which `out_of_memory` finds some."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of the machine, or of its GPU, ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error) if isinstance(error, RuntimeError) else ""
    return any(words in said for words in _WORDS) and not any(words in said for words in _OTHER_WORDS)


def free_memory() -> None:
    """Free what a computation held that was given up."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
