"""Seconds to make and to open the page of a large study: 10 methods × 10 seeds × 100 groups, and its size.

    python benchmarks/page.py [--methods 10 --seeds 10 --groups 100]

Predictions are drawn at random and audited (not timed). The page is made three times, and the median counts; Chromium,
where there is one, opens it until the choices and the visible charts are drawn. There is no peer that makes such a
page, so the numbers are compared with budgets: 20 s to make, 3 s to open.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import evenhand as eh
from evenhand.audit.results import Results

MOST_TO_MAKE, MOST_TO_OPEN = 20, 3
DRAWN = "document.querySelector('form.explore select') && document.querySelector('.chart[data-drawn]')"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--examples", type=int, default=3000)
    options = parser.parse_args()
    started = time.perf_counter()
    results = audited(options.methods, options.seeds, options.groups, options.examples)
    print(f"{len(results.verdicts):,} verdicts, audited in {time.perf_counter() - started:.0f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            results.report(path)
            taken.append(time.perf_counter() - started)
        seconds = statistics.median(taken)
        size = path.stat().st_size / 1e6
        print(f"made in {seconds:.1f} s (at most {MOST_TO_MAKE}): {seconds <= MOST_TO_MAKE}; {size:.1f} MB")
        opened = opening(path)
        if opened is None:
            print("not opened: there is no Chromium, or no Playwright")
        else:
            print(f"opened in {opened:.1f} s (at most {MOST_TO_OPEN}): {opened <= MOST_TO_OPEN}")


def audited(methods: int, seeds: int, groups: int, examples: int) -> Results:
    """Return the audit of predictions that are right four times in five, whatever the method."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, examples)
    group = np.array([f"group {code}" for code in rng.integers(0, groups, examples)])
    parts = []
    for method in range(methods):
        for seed in range(seeds):
            right = rng.random(examples) < 0.8
            part = {"id": np.arange(examples), "y": label, "guess": np.where(right, label, 1 - label), "target": group}
            parts.append(pl.DataFrame(part).with_columns(method=pl.lit(f"m{method}"), seed=pl.lit(seed)))
    return eh.audit(
        pl.concat(parts),
        label="y",
        prediction="guess",
        groups="target",
        example="id",
        method="method",
        seed="seed",
        reference="m0",
        margins={"default": 0.05},
    )


def opening(path: Path) -> float | None:
    """Return the median seconds of three openings in Chromium; None where there is none."""
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if browser is None:
        return None
    taken = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(3):
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            started = time.perf_counter()
            page.goto(path.as_uri())
            page.wait_for_function(DRAWN, timeout=60_000)
            taken.append(time.perf_counter() - started)
            page.close()
        chromium.close()
    return statistics.median(taken)


if __name__ == "__main__":
    main()
