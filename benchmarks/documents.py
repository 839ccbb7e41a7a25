"""Measures tokens per second of training on reviews, packed and padded.

    python benchmarks/documents.py

One process and one thread train tiny-llama in float32 on `synthetic/reviews`, single and joined by up to seven, in
batches of 32. The time covers forward and backward passes and the making of batches. Packed rows are as long as the
batch's longest review (as in `train.packing`), or twice or four times as long. Batches are those of this loop, which
groups reviews of similar length, and those of a plain shuffle. The variants take turns, `--rounds` times; times are
processor time, and ratios are of medians. Losses of packed batches are compared with those of padded ones.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from evenhand.data.synthetic_reviews import SyntheticReviews
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.training.batches import epoch_batches
from evenhand.training.prompted_texts import PromptedTexts, encode_whole_texts
from evenhand.training.sequence_packing import pack_texts

BATCH = 32
CPU = torch.device("cpu")
WAYS = {"padded": None, "packed": 1, "packed, rows twice as long": 2, "packed, rows 4 times as long": 4}


def losses(model: nn.Module, inputs: PromptedTexts, rows: np.ndarray, room: int | None) -> tuple[torch.Tensor, int]:
    """The reviews' mean losses [n], and the number of positions that the model computed."""
    lengths = torch.from_numpy(inputs.lengths[rows])
    batch = inputs.batch(rows, CPU)
    place = torch.arange(1, batch["input_ids"].shape[1])
    there = place < lengths[:, None]
    if room is None:
        logits, places = model(**batch).logits[:, :-1][there], batch["input_ids"].numel()
    else:
        together = pack_texts(inputs, rows, room * int(lengths.max()))
        logits = together.forward(model, CPU)[(torch.from_numpy(together.starts)[:, None] + place - 1)[there]]
        places = together.ids.size
    each = nn.functional.cross_entropy(logits, batch["input_ids"][:, 1:][there], reduction="none")
    return torch.zeros(there.shape).masked_scatter(there, each).sum(1) / there.sum(1), places


def turn(model: nn.Module, inputs: PromptedTexts, order: Sequence[np.ndarray], room: int | None) -> tuple[float, float]:
    """Tokens per second of processor time, and tokens per position."""
    started, tokens, places = time.process_time(), 0, 0
    for rows in order:
        each, count = losses(model, inputs, rows, room)
        each.mean().backward()
        model.zero_grad()
        tokens, places = tokens + int(inputs.lengths[rows].sum()), places + count
    return tokens / (time.process_time() - started), tokens / places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)

    base = find_model("tiny-llama")
    tokenizer, model = load_tokenizer(base), load_language_model(base).train()
    short = [str(text) for text in SyntheticReviews(n=2000).load().inputs]
    joined = [" ".join(short[row : row + 1 + row % 7]) for row in range(len(short) - 7)]
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread")
    for name, texts in (("reviews", short), ("joined reviews", joined)):
        inputs = encode_whole_texts(tokenizer, texts, 256)
        count = len(texts)
        shortest, mean, longest = inputs.lengths.min(), inputs.lengths.mean(), inputs.lengths.max()
        print(f"\n{name}: {count:,} of {mean:.0f} tokens ({shortest}–{longest})")
        rng = np.random.default_rng(0)
        shuffled = np.array_split(rng.permutation(count)[: options.steps * BATCH], options.steps)
        orders = {
            "by length": epoch_batches(count, inputs.lengths, BATCH, seed=0, epoch=0)[: options.steps],
            "shuffled": shuffled,
        }
        for how, order in orders.items():
            with torch.no_grad():
                off = [losses(model, inputs, order[0], way)[0] for way in WAYS.values()]
            worst = max(float((one - off[0]).abs().max()) for one in off)
            found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
            for _ in range(options.rounds):
                for way, room in WAYS.items():
                    found[way].append(turn(model, inputs, order, room))
            print(f"  batches {how}; losses differ by {worst:.0e} at most")
            plain = statistics.median(rate for rate, _ in found["padded"])
            for way, turns in found.items():
                rate, full = statistics.median(rate for rate, _ in turns), turns[0][1]
                print(
                    f"    {way:29} {rate:8,.0f} tokens/s   {rate / plain:.2f} times   {full:.0%} of places are tokens"
                )


if __name__ == "__main__":
    main()
