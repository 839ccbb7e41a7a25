"""The processes of a launch say where the memory of one runs out; `end_to_end/test_launch.py` runs whole launches."""

from __future__ import annotations

import pytest
import torch

from evenhand.errors import InputError
from evenhand.tasks import workers


def test_a_process_without_memory_says_which_it_is_and_what_helps(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = "memory of process 2 of 2 ran out, and the others cannot train without it; set train.tokens_per_pass"
    with pytest.raises(InputError, match=said), workers._memory_errors_explained():
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_other_errors_of_a_process_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shape"), workers._memory_errors_explained():
        raise RuntimeError("shape")
