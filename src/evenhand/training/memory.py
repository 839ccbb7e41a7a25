"""Recognises errors that say that memory ran out, and frees what a given-up computation held."""

from __future__ import annotations

import gc

import torch


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of the machine, or of its GPU, ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def free_memory() -> None:
    """Free what a computation held that was given up."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
