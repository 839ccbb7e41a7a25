"""Predicts the seconds of a trial on an accelerator from its operations and its bytes.

Where such a machine was measured, its share of the peak is that; everything else here is an assumption, which
`docs/scale.md` lists.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evenhand.study.arithmetic import TrialSize, TrialWork, memory_bytes, work_of_size
from evenhand.study.machines import Accelerator, Machines, Precision

UTILISATION: Sequence[tuple[int, float]] = ((2048, 0.35), (512, 0.20), (0, 0.05))
"""Share of the bfloat16 peak that a model reaches whose widest layer has at least this width: an assumption, where no
such machine was measured. Chowdhery et al. (2022, arXiv:2204.02311, table 3) list .2 to .46 for very large models."""

FLOAT32_FACTOR = 2.0
"""How many times that share float32 reaches: its products take many times as long, everything around them does not."""

START_SECONDS = 2.0
"""Of making a model and a trial's folder."""

LOADING = 1e9
"""Bytes of weights per second that are read from disk and moved to the accelerator."""

IMAGE_SECONDS = 0.0038
"""Of decoding and resizing a photograph on one core, for the first trial that needs it (docs/benchmarks.md, Images)."""

GENERATION_SECONDS = 0.0005
"""Of a layer, for each generated token of a batch: the time to start its kernels, below which no step falls."""


@dataclass(frozen=True)
class TrialForecast:
    """What one trial will take.

    Attributes:
        seconds: time on the accelerators that it uses.
        memory: bytes in all, before they are divided among accelerators.
        batch: examples in a forward pass, as many as its memory allows.
        accelerators: how many it uses: more than it asks for where even passes of one example do not fit, so that it
            is sharded.
        fits: whether the machines can hold it at all.
    """

    seconds: float
    memory: float
    batch: int
    accelerators: float
    fits: bool


def trial_forecast(
    size: TrialSize, machines: Machines, wanted: float = 1.0, processes: int = 1, decoding: float = 0.0
) -> TrialForecast:
    """Return what a trial takes on some machines.

    A trial that lacks memory is trained in smaller passes, as in a run, and here at the same speed; where even passes
    of one example do not fit, it is sharded over as many accelerators as hold it. Processes that share a trial lose no
    time. One process uses a single accelerator, however many it gets, and trials that share one do not slow each other.

    Args:
        size: of the trial.
        machines: where it will run.
        wanted: accelerators that it asks for.
        processes: processes that share its training.
        decoding: seconds to decode its images.
    """
    work, one = work_of_size(size), machines.accelerator
    used, room = wanted, one.memory * min(wanted, 1.0)
    least = memory_bytes(replace(size, batch=1))
    if least > room:
        shards = math.ceil(least / one.memory)
        used, room = max(math.ceil(wanted), shards), shards * one.memory
        processes = max(processes, shards)
    while size.batch > 1 and memory_bytes(size) > room:
        size = replace(size, batch=_smaller(size.batch))
    sharing = min(processes, math.ceil(used))
    seconds = START_SECONDS + decoding + work.loaded / LOADING + seconds_of_work(size, work, one) / sharing
    return TrialForecast(seconds, memory_bytes(size), size.batch, used, used <= machines.count)


def _smaller(batch: int) -> int:
    """Return the next smaller size of a pass, as `evenhand.study.memory_retries` chooses it."""
    return batch // next(divisor for divisor in range(2, batch + 1) if batch % divisor == 0)


def seconds_of_work(size: TrialSize, work: TrialWork, accelerator: Accelerator) -> float:
    """Return the seconds that a trial takes on one accelerator once it is loaded: training, predictions, texts."""
    width = max((layer.width for layer in size.shape.layers), default=0)
    computed: list[tuple[float, Precision]] = [(work.trained, size.precision), (work.predicted, "float32")]
    seconds = work.moved / accelerator.bandwidth + sum(
        operations / (accelerator.peak(precision) * utilisation(width, precision, accelerator))
        for operations, precision in computed
    )
    if size.answers is not None:
        # A step waits for its weights to be read, and for its kernels to be started.
        starting = size.answers.steps * len(size.shape.layers) * GENERATION_SECONDS
        seconds += max(work.read / accelerator.bandwidth, starting)
    return seconds


def utilisation(width: int, precision: Precision, accelerator: Accelerator) -> float:
    """Return the share of an accelerator's peak that a model reaches: measured where there was such a machine.

    Args:
        width: of the model's widest layer.
        precision: of the products; bfloat16 counts as float32 on an accelerator that lacks it.
        accelerator: the machine.
    """
    if accelerator.measured is not None:
        return accelerator.measured
    share = next(share for least, share in UTILISATION if width >= least)
    native = precision == "bfloat16" and accelerator.bfloat16 is not None
    return share if native else share * FLOAT32_FACTOR
