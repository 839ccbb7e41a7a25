"""Compares a pool of twins with shadows per target: trainings, time, and the leakage that each finds.

    python benchmarks/pool.py

The models are tiny BERTs, fully fine-tuned on built-in posts with a fifth of the labels wrong, for enough epochs to
memorize them. Both designs use LiRA to attack targets trained on the same number of examples.

In the pool, every model is the target in turn and is compared with all others except its twin, online. The peer is the
design of the paper: a target per seed on .8N, with 16 shadows of its own on .4N of the rest; .1N members and .1N
non-members are audited, offline. The shadows are trained for `--targets` of the 16 targets; the number of trainings for
all 16 comes from the study's plan, and the time is that of one target times 16.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import polars as pl

from evenhand import Study
from evenhand.audit.results import Results
from evenhand.study.plan import make_plan

TARGETS, SHADOWS = 16, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=int, default=400, help="examples that a target is trained on")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--targets", type=int, default=16, help="targets of the peer that are trained")
    options = parser.parse_args()
    pool = study(2 * options.trained, options.epochs, seeds=0, membership={"models": TARGETS, "mode": "online"})
    peer = {"membership": {"design": "shadows", "models": SHADOWS, "mode": "offline"}}
    split = {"test": 0.2, "validation": 0, "vary": True}
    published = study(round(options.trained / 0.8), options.epochs, seeds=TARGETS, split=split, **peer)
    trainings = [len(make_plan(one, None).distinct) for one in (pool, published)]
    some = study(round(options.trained / 0.8), options.epochs, seeds=options.targets, split=split, **peer)
    for name, one, targets in (("a pool of twins", pool, TARGETS), ("shadows per target", some, options.targets)):
        seconds, results = timed(one)
        per_target = [seconds_ / targets for seconds_ in seconds]
        rows = results.estimates.filter(
            pl.col("seed").is_null(), pl.col("attribute").is_null(), measure="membership_auc"
        )
        auc = rows.row(0, named=True)
        done = len(results.trials)
        print(
            f"{name}: {done} trainings for {targets} targets, {per_target[0]:.1f} s of processor time and "
            f"{per_target[1]:.1f} s of wall time a target; AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]"
        )
        if one is pool:
            ours = per_target
        else:
            print(
                f"for {TARGETS} targets {trainings[0]} trainings against {trainings[1]}: "
                f"{trainings[1] / trainings[0]:.1f} times fewer, {per_target[0] / ours[0]:.1f} times less processor "
                f"time, {per_target[1] / ours[1]:.1f} times less wall time"
            )


def study(examples: int, epochs: int, **changes: object) -> Study:
    """The study, in which models leak."""
    groups = ("food", "travel", "music", "garden")
    task = {"name": "synthetic/posts", "n": examples, "noise": dict.fromkeys(groups, 0.2)}
    return Study(
        task=task,
        model="tiny-bert",
        methods={"full": {"kind": "full", "lr": 1e-3, "epochs": epochs}},
        measures=["accuracy", "membership_auc"],
        keep="none",
        **changes,
    )


def timed(one: Study) -> tuple[tuple[float, float], Results]:
    """Processor and wall time of a run, including audit and report, and its results."""
    with tempfile.TemporaryDirectory() as place:
        started = time.process_time(), time.perf_counter()
        results = one.run(Path(place) / "out")
        return (time.process_time() - started[0], time.perf_counter() - started[1]), results


if __name__ == "__main__":
    main()
