"""`evenhand audit` of a table of 1,000,000 predictions, as a whole process, against fairlearn's point estimates.

    python benchmarks/audit.py

100,000 examples, two methods, five seeds on one fixed test set, three attributes of 2, 4 and 8 groups, probabilities
known. Evenhand reads the file, computes every measure with intervals, noise floors and verdicts, and writes the tables
and the report. The peer reads the same file and computes three `fairlearn.metrics.MetricFrame`s (accuracy, selection
rate, true and false positive rates) for each method and seed: no intervals, no comparison. Tables of a tenth and of
three tenths of the rows show how the cost grows with them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

GROUPS = {"sex": 2, "age": 4, "race": 8}
AUDIT = ("--label", "label", "--prediction", "prediction", "--probability", "probability")
COMPARED = ("--method", "method", "--seed", "seed", "--example", "example", "--reference", "full")
MARGINS = ("--margin", "default=0.02", "--margin", "calibration_error_squared=0.001")


def table(examples: int, path: Path) -> None:
    """Write predictions of two methods whose scores agree in most examples."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, examples)
    groups = {name: rng.integers(0, count, examples) for name, count in GROUPS.items()}
    common = rng.normal(size=examples)
    frames = []
    for method in ("full", "lora"):
        for seed in range(5):
            score = 1.2 * (2 * label - 1) + common + 0.5 * rng.normal(size=examples)
            probability = 1 / (1 + np.exp(-1.5 * score))
            columns = {"method": method, "seed": seed, "example": np.arange(examples), "label": label}
            columns |= {"prediction": (score > 0).astype(int), "probability": probability.round(6), **groups}
            frames.append(pl.DataFrame(columns))
    pl.concat(frames).write_parquet(path)


def evenhand(path: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak GiB of the command as a process."""
    grouped = [word for name in GROUPS for word in ("--group", name)]
    command = [
        sys.executable,
        "-m",
        "evenhand",
        "audit",
        str(path),
        *AUDIT,
        *COMPARED,
        *MARGINS,
        *grouped,
        "--out",
        str(out),
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def fairlearn(path: Path) -> float:
    """Seconds of the peer's point estimates, reading included, importing not."""
    import pandas as pd
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    metrics = {
        "accuracy": accuracy_score,
        "selection rate": selection_rate,
        "tpr": true_positive_rate,
        "fpr": false_positive_rate,
    }
    started = time.perf_counter()
    frame = pd.read_parquet(path)
    for _, run in frame.groupby(["method", "seed"]):
        for name in GROUPS:
            found = MetricFrame(
                metrics=metrics, y_true=run["label"], y_pred=run["prediction"], sensitive_features=run[name]
            )
            assert len(found.by_group) == GROUPS[name]
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for examples in (options.examples // 10, 3 * options.examples // 10, options.examples):
            path = Path(folder) / f"{examples}.parquet"
            table(examples, path)
            turns = [
                (*evenhand(path, Path(folder) / f"out-{examples}-{place}"), fairlearn(path))
                for place in range(options.rounds)
            ]
            ours, peak, theirs = (float(np.median([turn[part] for turn in turns])) for part in range(3))
            print(
                f"{10 * examples:>9,} rows: evenhand audit {ours:.1f} s, peak {peak:.1f} GiB; "
                f"fairlearn's point estimates {theirs:.1f} s; ratio {ours / theirs:.2f}"
            )


if __name__ == "__main__":
    main()
