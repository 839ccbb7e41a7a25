"""Errors that say that memory ran out, and those that do not."""

from __future__ import annotations

import errno

import pytest
import torch

from evenhand.training.memory import out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to …"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 40000000000 bytes."),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        RuntimeError("could not create a primitive"),
    ],
    ids=str,
)
def test_memory_ran_out(error):
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("could not create a primitive descriptor for a matmul primitive"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("not enough memory"),
    ],
    ids=str,
)
def test_something_else_went_wrong(error):
    assert not out_of_memory(error)
