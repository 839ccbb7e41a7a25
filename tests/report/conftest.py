"""Results computed by the audit from simulated predictions, small and of several shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import Design, MarginChange, SettingDesign
from evenhand.audit.kinds.prediction_tables import readings
from evenhand.audit.reading import assess


@dataclass(frozen=True, eq=False)
class Simulated:
    """Has what the report reads of `evenhand.audit.results.Results`."""

    examples: pl.DataFrame
    trials: pl.DataFrame
    predictions: pl.DataFrame
    design: Design
    estimates: pl.DataFrame
    verdicts: pl.DataFrame
    curves: pl.DataFrame
    provenance: Mapping[str, str] = field(default_factory=dict)
    values: pl.DataFrame = field(default_factory=records.TABLES["values"].empty)
    looks: pl.DataFrame = field(default_factory=records.TABLES["looks"].empty)
    findings: pl.DataFrame = field(default_factory=records.TABLES["findings"].empty)


Simulate = Callable[..., Simulated]


@cache
def _simulate(
    methods: Sequence[str] = ("full", "lora"),
    groups: tuple[tuple[str, tuple[str, ...]], ...] = (("shape", ("circle", "square", "triangle")),),
    settings: Sequence[str] = ("faces",),
    classes: int = 2,
    n: int = 600,
    seeds: int = 5,
    harmed: Mapping[str, float] | None = None,
    margins: tuple[tuple[str, float], ...] = (("default", 0.05),),
    failed: int = 0,
    logits: bool = True,
    references: tuple[str, ...] = ("full",),
) -> Simulated:
    """Random labels, groups and predictions put through the audit.

    Args:
        methods: the last one is harmed: half of its predictions for the first group of the first attribute are wrong.
        groups: attributes with their groups; the first group of each is the smallest.
        failed: how many trials of the last method failed.
        logits: whether probabilities are known.
    """
    rng = np.random.default_rng(7)
    examples, trials, predictions, designs = [], [], [], {}
    for setting in settings:
        label = rng.integers(0, classes, n)
        row: dict[str, object] = {
            "setting": setting,
            "example": [f"{setting}{i}" for i in range(n)],
            "label": label,
            "weight": 1.0,
            "unit": [f"{setting}{i}" for i in range(n)],
        }
        codes = {}
        for attribute, names in groups:
            share = np.linspace(1, 3, len(names))
            codes[attribute] = rng.choice(len(names), n, p=share / share.sum())
            row[f"attribute.{attribute}"] = [[names[code]] for code in codes[attribute]]
        examples.append(pl.DataFrame(row))
        easy = rng.random(n)
        for seed in range(seeds):
            test = np.sort(rng.choice(n, n // 2, replace=False))
            shared = rng.random(n)
            for method in methods:
                trial = f"{setting}-{method}-{seed}"
                broken = method == methods[-1] and seed < failed
                trials.append(_trial(setting, method, seed, trial, broken, rng))
                if broken:
                    continue
                wrong = (0.6 * easy + 0.4 * np.where(rng.random(n) < 0.8, shared, rng.random(n)))[test] > 0.62
                if method == methods[-1] and groups:
                    first = codes[groups[0][0]][test] == 0
                    wrong |= first & (rng.random(len(test)) < 0.4)
                shift = np.where(wrong, rng.integers(1, classes, len(test)), 0)
                predicted = (label[test] + shift) % classes
                score = rng.normal(0, 0.7, (len(test), classes))
                score[np.arange(len(test)), predicted] = score.max(axis=1) + rng.exponential(1.2, len(test))
                frame: dict[str, object] = {
                    "trial": trial,
                    "split": "test",
                    "example": [f"{setting}{i}" for i in test],
                    "predicted": predicted,
                }
                if logits:
                    frame["logits"] = pl.Series(score.astype(np.float32), dtype=pl.Array(pl.Float32, classes))
                predictions.append(pl.DataFrame(frame))
        designs[setting] = SettingDesign(
            references=references,
            methods=tuple(methods),
            classes=("no", "yes") if classes == 2 else tuple(f"age {code}" for code in range(classes)),
            test_share=0.2,
            task="synthetic/faces",
            model="tiny-vit",
            notes=("Drawn at random.",),
        )
    history = (MarginChange(date="2026-11-20", margins=dict(margins)),) if margins else ()
    design = Design(alpha=0.05, settings=designs, margins=dict(margins), margin_history=history, source="simulated")
    tables = (
        records.validate(pl.concat(examples), "examples"),
        records.validate(pl.DataFrame(trials, infer_schema_length=None), "trials"),
        records.validate(pl.concat(predictions), "predictions"),
    )
    environment = json.dumps({"python": "3.11.9", "torch": "2.13.0"})
    found = assess(readings(*tables, design), design)
    return Simulated(
        *tables,
        design,
        found.estimates,
        found.verdicts,
        found.curves.filter(~pl.col("measure").is_in(["detected_harm", "harm_above_zero"])),
        {"study": "task: {name: synthetic/faces}\nmodel: tiny-vit\n", "environment": environment},
    )


def _trial(setting: str, method: str, seed: int, trial: str, broken: bool, rng: np.random.Generator) -> dict:
    row = {"setting": setting, "method": method, "seed": seed, "role": "study", "trial": trial}
    if broken:
        return {**row, "status": "failed", "reason": "the loss at step 12 is not a number"}
    return {
        **row,
        "status": "done",
        "train_loss": float(rng.uniform(0.2, 0.4)),
        "validation_loss": float(rng.uniform(0.4, 0.6)),
        "parameters": 5_000 if method != "full" else 200_000,
        "parameters_total": 200_000,
        "seconds": float(rng.uniform(2, 9)),
    }


@pytest.fixture(scope="session")
def simulate() -> Simulate:
    """`simulate(methods=…, groups=…, …)`: see `_simulate`."""
    return _simulate


@pytest.fixture(scope="session")
def small() -> Simulated:
    """Two methods, three groups, the smallest harmed."""
    return _simulate()
