"""Seconds for bootstrap draws of group accuracy, DPD and EOD against fairlearn's `MetricFrame`.

    python benchmarks/bootstrap.py

Both run in one process on the same rows. Evenhand makes one multinomial draw of the contingency cells per sample;
`MetricFrame(n_boot=...)` resamples rows. Evenhand's time includes making the cells. fairlearn is timed at
`--peer-draws` and extrapolated linearly to `--draws`; work that it does only once is scaled, too, but is small. The
standard errors of both are printed, because a fast wrong answer is worth nothing.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from typing import Any

import numpy as np

from evenhand.stats.bootstrap import Cells, bootstrap_counts, cell_shares, contingency

NAMES = ("accuracy of the smallest group", "DPD", "EOD")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--peer-draws", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="of ours; the median counts")
    options = parser.parse_args()

    group, label, predicted = table(options.rows, options.groups)
    print(f"{options.rows:,} rows, {options.groups} groups, {platform.processor() or platform.machine()}")
    taken = []
    found = np.empty(0)
    for _ in range(options.rounds):
        started = time.perf_counter()
        found = ours(group, label, predicted, options.draws)
        taken.append(time.perf_counter() - started)
    seconds = statistics.median(taken)
    peer_seconds, peer = fairlearn(group, label, predicted, options.peer_draws)
    whole = peer_seconds * options.draws / options.peer_draws
    print(f"evenhand   {options.draws:,} draws {seconds:10.3f} s ({', '.join(f'{one:.3f}' for one in taken)})")
    print(f"fairlearn  {options.peer_draws:,} draws {peer_seconds:10.3f} s")
    print(f"fairlearn  {options.draws:,} draws {whole:10.0f} s, extrapolated")
    print(f"evenhand is {whole / seconds:,.0f} times as fast")
    for name, one, other in zip(NAMES, found.std(axis=0), peer, strict=True):
        print(f"standard error of {name:<30} {one:.5f}   fairlearn {other:.5f} ({options.peer_draws} draws)")


def table(rows: int, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of falling size, a label and a prediction that agree in about 80% of the rows."""
    rng = np.random.default_rng(0)
    size = 0.7 ** np.arange(groups)
    group = rng.choice(groups, rows, p=size / size.sum())
    label = (rng.random(rows) < 0.3 + 0.03 * group).astype(int)
    return group, label, np.where(rng.random(rows) < 0.8 - 0.01 * group, label, 1 - label)


def ours(group: np.ndarray, label: np.ndarray, predicted: np.ndarray, draws: int) -> np.ndarray:
    """The three measures over bootstrap samples, [draws, 3]."""
    cells = contingency(group[:, None] == np.arange(group.max() + 1), label, predicted[None])
    return bootstrap_counts(cells.counts, lambda counts: measures(cells, counts), draws, np.random.default_rng(1))


def measures(cells: Cells, counts: np.ndarray) -> np.ndarray:
    """Accuracy of the last group, DPD and EOD from tables of counts [B, C]."""
    counts = counts.astype(float)  # once for all four
    selected, actual = cells.predicted[0] == 1, cells.label == 1
    right = cell_shares(counts, cells.predicted[0] == cells.label, cells.members)
    chosen = cell_shares(counts, selected, cells.members)
    true = cell_shares(counts, selected, cells.members & actual[:, None])
    false = cell_shares(counts, selected, cells.members & ~actual[:, None])
    odds = np.maximum(np.ptp(true, axis=-1), np.ptp(false, axis=-1))
    return np.stack([right[:, -1], np.ptp(chosen, axis=-1), odds], axis=-1)


def fairlearn(group: np.ndarray, label: np.ndarray, predicted: np.ndarray, draws: int) -> tuple[float, list[float]]:
    """Seconds, and the standard errors: half the widths of fairlearn's 68% intervals."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    started = time.perf_counter()
    frame: Any = MetricFrame(
        metrics={
            "accuracy": accuracy_score,
            "selection": selection_rate,
            "true": true_positive_rate,
            "false": false_positive_rate,
        },
        y_true=label,
        y_pred=predicted,
        sensitive_features=group,
        n_boot=draws,
        ci_quantiles=[0.1587, 0.8413],
        random_state=0,
    )
    low, high = frame.difference_ci()
    seconds = time.perf_counter() - started
    groups_low, groups_high = frame.by_group_ci
    odds = "true" if high["true"] > high["false"] else "false"
    last = group.max()
    errors = [float(groups_high["accuracy"][last] - groups_low["accuracy"][last]) / 2]
    errors += [float(high[name] - low[name]) / 2 for name in ("selection", odds)]
    return seconds, errors


if __name__ == "__main__":
    main()
