"""Chooses how many threads compute on the CPU for a base model, by a short timing."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evenhand.models.find import BaseModel
from evenhand.training import launch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LARGE_BYTES = 80_000_000
"""A base model with larger weight files uses every thread, untimed: its products are large enough to share."""

MIN_GAIN = 1.25
"""How many times faster a step must be with more threads; otherwise they leave the core to other work."""

TIMED_STEPS = 5
"""Number of steps whose median is used, after a warm-up step."""

TIMED_EXAMPLES, TIMED_TOKENS = 32, 32
"""The size of the batch of a timed step."""


def threads_that_pay(base: BaseModel) -> int:
    """Return the number of threads that trials of this base model train and predict with on this machine.

    The number starts at one and doubles as long as this makes a training step of the base model `MIN_GAIN` times as
    fast. Nothing is timed, and torch's current number is returned, if `OMP_NUM_THREADS` is set, in a launch of several
    processes, on a GPU, and for a large model.
    """
    import torch

    most = torch.get_num_threads()
    chosen_already = "OMP_NUM_THREADS" in os.environ or torch.cuda.is_available() or launch.this_process().shared
    if most == 1 or chosen_already or _bytes_of_weights(base) > LARGE_BYTES:
        return most
    with kept_threads():
        seconds = _seconds_per_step(base, list(_doublings(most)))
    best, *more = seconds
    for count in more:
        if seconds[best] < MIN_GAIN * seconds[count]:
            break
        best = count
    return best


@contextmanager
def kept_threads() -> Iterator[None]:
    """Context manager that restores torch's current number of threads at the end."""
    import torch

    count = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(count)


def _doublings(most: int) -> Iterator[int]:
    """Yield 1, 2, 4, … and finally the largest number."""
    count = 1
    while count < most:
        yield count
        count *= 2
    yield most


def _bytes_of_weights(base: BaseModel) -> int:
    """Return the size of the base model's files of weights."""
    return sum(path.stat().st_size for path in base.folder.glob("*.safetensors"))


def _seconds_per_step(base: BaseModel, counts: list[int]) -> dict[int, float]:
    """Return the median seconds of a forward and a backward pass by number of threads, timed in turns."""
    import torch

    from evenhand.models.load import load_classifier

    model = load_classifier(base, ("0", "1"), seed=0)
    inputs = _any_inputs(model)
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(1 + TIMED_STEPS):
        for count, taken in seconds.items():
            torch.set_num_threads(count)
            started = time.perf_counter()
            model(**inputs).logits.sum().backward()
            taken.append(time.perf_counter() - started)
    return {count: statistics.median(taken[1:]) for count, taken in seconds.items()}


def _any_inputs(model: PreTrainedModel) -> dict[str, object]:
    """Return a batch of the shape that the model reads: blank images, or one token repeated."""
    import torch

    if model.main_input_name == "pixel_values":
        side = model.config.image_size
        height, width = (side, side) if isinstance(side, int) else side
        return {"pixel_values": torch.zeros(TIMED_EXAMPLES, model.config.num_channels, height, width)}
    tokens = min(TIMED_TOKENS, getattr(model.config, "max_position_embeddings", TIMED_TOKENS) - 2)
    ids = torch.ones(TIMED_EXAMPLES, tokens, dtype=torch.long)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
