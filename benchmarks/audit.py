"""Measures the seconds and memory of `evenhand audit` on tables of several shapes, against fairlearn's point estimates.

    python benchmarks/audit.py [--only SHAPE ...] [--rounds N] [--json PATH]
    python benchmarks/audit.py --axes [--json PATH]

A table has binary labels, probabilities, ids of examples, methods with similar scores, seeds on one fixed test set, and
attributes of random groups. Evenhand reads the file, computes every measure with intervals, noise floors and verdicts
against a reference, and writes the tables and the report; the time is that of the whole process, including imports. The
peer reads the same file and computes a `fairlearn.metrics.MetricFrame` (accuracy, selection rate, true and false
positive rates) for each method, seed and attribute, without intervals or comparisons; its imports are not counted. The
shape `one` is a single model, whose groups are compared. In the shape `python` both read the table from memory and
write nothing, and a second call is timed.

Seconds are processor time, user and system, of all threads together; OMP_NUM_THREADS is 1 unless it is set. Each
measurement runs in a new process, and each table is made in a new process, too, because Linux includes the memory of a
parent in the peak of its child. `--axes` varies one thing at a time and times only Evenhand.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

COLUMNS = ("label", "prediction", "probability", "method", "seed", "example")
MARGINS = {"default": 0.02, "calibration_error_squared": 0.001}
REFERENCE = "full"
MOST_NUMBERS = 50
"""Largest number of groups named by numbers; an audit treats more as a quantity, so larger sets are named by words."""


@dataclass(frozen=True)
class Shape:
    """The size of a table, and what its audit may cost: seconds, GiB, and seconds as a share of the peer's."""

    name: str
    examples: int
    methods: int
    seeds: int
    groups: tuple[int, ...]
    seconds: float | None = None
    memory: float | None = None
    ratio: float | None = None
    from_python: bool = False

    @property
    def rows(self) -> int:
        return self.examples * self.methods * self.seeds

    @property
    def attributes(self) -> dict[str, int]:
        """The number of groups of each attribute."""
        return {f"attribute_{place}": count for place, count in enumerate(self.groups, 1)}


SHAPES = (
    Shape("one", 100_000, 1, 1, (2, 5, 4), seconds=5),
    Shape("100k", 10_000, 2, 5, (2, 4, 8), ratio=1),
    Shape("1M", 100_000, 2, 5, (2, 4, 8), ratio=0.3),
    Shape("methods", 2_000, 50, 2, (4,), seconds=8),
    Shape("attributes", 20_000, 2, 2, (4,) * 40, seconds=25),
    Shape("groups", 20_000, 2, 2, (100,), seconds=6),
    Shape("rows", 2_500_000, 2, 1, (2, 4, 8), seconds=35, memory=2.5e9 / 2**30, ratio=0.3),
    Shape("mixed", 20_000, 5, 10, (20,) * 5, seconds=15, ratio=0.3),
    Shape("python", 400, 2, 5, (4,), seconds=0.2, from_python=True),
)
BASE = Shape("base", 20_000, 2, 2, (4,))
AXES = {
    "rows": {rows: replace(BASE, examples=rows // 4) for rows in (10_000, 30_000, 100_000, 300_000, 1_000_000)},
    "methods": {methods: replace(BASE, methods=methods) for methods in (2, 5, 10, 20, 50)},
    "seeds": {seeds: replace(BASE, seeds=seeds) for seeds in (1, 2, 5, 10, 20)},
    "groups": {groups: replace(BASE, groups=(groups,)) for groups in (2, 4, 10, 30, 100)},
    "attributes": {count: replace(BASE, groups=(4,) * count) for count in (1, 2, 5, 10, 40)},
}
"""Shapes by what varies and its value."""

TITLES = ("shape", "rows", "evenhand s", "budget", "peak GiB", "budget", "fairlearn s", "ratio", "budget")
WIDTHS = (10, 9, 10, 9, 8, 9, 11, 6, 9)


@dataclass(frozen=True)
class Spent:
    """Processor seconds, peak GiB and output of a process."""

    seconds: float
    peak: float
    said: str


def process(*words: str) -> Spent:
    """Run a process, and return its time, its own peak memory and its output.

    Raises:
        RuntimeError: it failed.
    """
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        started = subprocess.Popen([sys.executable, *words], stdout=said, stderr=complaints, env=environment)
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        complaints.seek(0)
        if started.returncode:
            raise RuntimeError(f"{' '.join(words)} ended with {started.returncode}:\n{complaints.read()}")
        return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, said.read())


def step(name: str, shape: Shape, path: Path) -> Spent:
    """Run one of `STEPS` as a process, and return its costs."""
    return process(__file__, "--step", name, json.dumps(asdict(shape)), str(path))


def named(group: np.ndarray) -> np.ndarray:
    """Numbers as words."""
    return np.array([f"group {place}" for place in range(group.max() + 1)])[group]


def write_table(shape: Shape, path: Path) -> None:
    """Write predictions of methods whose scores agree in most examples."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, shape.examples)
    drawn = {name: rng.integers(0, count, shape.examples) for name, count in shape.attributes.items()}
    groups = {name: named(group) if group.max() >= MOST_NUMBERS else group for name, group in drawn.items()}
    common = rng.normal(size=shape.examples)
    frames = []
    for method in (REFERENCE, *(f"lora_{place}" for place in range(1, shape.methods))):
        for seed in range(shape.seeds):
            score = 1.2 * (2 * label - 1) + common + 0.5 * rng.normal(size=shape.examples)
            probability = 1 / (1 + np.exp(-1.5 * score))
            columns = {"method": method, "seed": seed, "example": np.arange(shape.examples), "label": label}
            columns |= {"prediction": (score > 0).astype(int), "probability": probability.round(6), **groups}
            frames.append(pl.DataFrame(columns))
    pl.concat(frames).write_parquet(path)


def evenhand(shape: Shape, path: Path) -> tuple[float, float]:
    """Seconds and peak GiB of the audit."""
    if shape.from_python:
        spent = step("python", shape, path)
        return float(spent.said), spent.peak
    if shape.methods == shape.seeds == 1:
        words = ["--label", "label", "--probability", "probability"]
    else:
        words = [word for name in COLUMNS for word in (f"--{name}", name)] + ["--reference", REFERENCE]
    words += [word for name, margin in MARGINS.items() for word in ("--margin", f"{name}={margin}")]
    words += [word for name in shape.attributes for word in ("--group", name)]
    with tempfile.TemporaryDirectory() as out:
        spent = process("-m", "evenhand", "audit", str(path), *words, "--out", out)
        assert (Path(out) / "report.html").is_file()
    return spent.seconds, spent.peak


def print_python_seconds(shape: Shape, path: Path) -> None:
    """Print the seconds of a second audit of a table in memory."""
    import evenhand

    frame = pl.read_parquet(path)
    columns: dict[str, Any] = {name: name for name in COLUMNS}
    taken = 0.0
    for _ in range(2):
        started = time.process_time()
        evenhand.audit(frame, **columns, groups=list(shape.attributes), reference=REFERENCE, margins=MARGINS)
        taken = time.process_time() - started
    print(taken)


def print_peer_seconds(shape: Shape, path: Path) -> None:
    """Print the seconds of the peer's point estimates, reading included, importing not."""
    import pandas as pd
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    metrics = {
        "accuracy": accuracy_score,
        "selection rate": selection_rate,
        "tpr": true_positive_rate,
        "fpr": false_positive_rate,
    }

    def estimate(frame: pd.DataFrame) -> None:
        for _, run in frame.groupby(["method", "seed"]):
            for name, count in shape.attributes.items():
                found = MetricFrame(
                    metrics=metrics, y_true=run["label"], y_pred=run["prediction"], sensitive_features=run[name]
                )
                assert len(found.by_group) == count

    held = pd.read_parquet(path) if shape.from_python else None
    if held is not None:
        estimate(held)
    started = time.process_time()
    estimate(pd.read_parquet(path) if held is None else held)
    print(time.process_time() - started)


STEPS = {"table": write_table, "python": print_python_seconds, "peer": print_peer_seconds}


def measured(shape: Shape, rounds: int, peer: bool = True) -> dict[str, Any]:
    """The size of a shape, with the median costs of its audit and of the peer, measured in turns."""
    turns = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        step("table", shape, path)
        for _ in range(rounds):
            theirs = float(step("peer", shape, path).said) if peer else float("nan")
            turns.append((*evenhand(shape, path), theirs))
    ours, peak, theirs = (statistics.median(one) for one in zip(*turns, strict=True))
    found = {"shape": shape.name, "rows": shape.rows, "seconds": ours, "peak_gib": peak}
    return found | ({"fairlearn_seconds": theirs, "ratio": ours / theirs} if peer else {})


def line(*cells: str) -> str:
    """Cells in columns, the first flush left."""
    first, *others = (
        f"{cell:<{width}}" if not place else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
    return "  ".join((first, *others))


def against(value: float, budget: float | None) -> str:
    """A budget, and whether a value is within it."""
    return "" if budget is None else f"{budget:.3g} {'kept' if value <= budget else 'OVER'}"


def compare(shapes: list[Shape], rounds: int) -> list[dict[str, Any]]:
    """Measure the shapes, and print each as a line with its budgets."""
    print(line(*TITLES), flush=True)
    everything = []
    for shape in shapes:
        found = measured(shape, rounds)
        ours, peak, ratio = found["seconds"], found["peak_gib"], found["ratio"]
        cells = (f"{ours:.2f}", against(ours, shape.seconds), f"{peak:.2f}", against(peak, shape.memory))
        cells += (f"{found['fairlearn_seconds']:.2f}", f"{ratio:.2f}", against(ratio, shape.ratio))
        print(line(shape.name, f"{shape.rows:,}", *cells), flush=True)
        everything.append(found)
    return everything


def vary(rounds: int) -> list[dict[str, Any]]:
    """Measure the points of all axes, and print them as a Markdown table."""
    print("| | | | | | |\n|---|---|---|---|---|---|")
    everything = []
    for axis, shapes in AXES.items():
        found = [
            measured(shape, rounds, peer=False) | {"shape": axis, "value": value} for value, shape in shapes.items()
        ]
        for title, cells in (
            (f"**{axis}**", [f"**{value:,}**" for value in shapes]),
            ("seconds", [f"{one['seconds']:.1f}" for one in found]),
            ("peak, GiB", [f"{one['peak_gib']:.2f}" for one in found]),
        ):
            print("| " + " | ".join((title, *cells)) + " |", flush=True)
        everything += found
    return everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[shape.name for shape in SHAPES],
        metavar="SHAPE",
        help="all, unless given: %(choices)s",
    )
    parser.add_argument("--axes", action="store_true", help="cost against rows, methods, seeds, groups and attributes")
    parser.add_argument("--rounds", type=int, default=1, help="the median counts")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write what was measured there")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, shape, path = options.step
        return STEPS[name](Shape(**json.loads(shape)), Path(path))
    chosen = [shape for shape in SHAPES if not options.only or shape.name in options.only]
    found = vary(options.rounds) if options.axes else compare(chosen, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
