"""Small record tables for the tests of the audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.estimands import Estimand
from evenhand.audit.kinds.prediction_tables import readings
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.reading import Assessment, Estimate, assess
from evenhand.audit.verdicts import Family

Tables = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def examples(labels: Sequence[int], groups: Mapping[str, Sequence[list[str] | None]], **columns: Any) -> pl.DataFrame:
    """The table `examples` of a setting "s" with ids e0, e1, …"""
    n = len(labels)
    ids = [f"e{i}" for i in range(n)]
    base = {"setting": ["s"] * n, "example": ids, "label": labels, "weight": np.ones(n), "unit": ids}
    attributes = {
        f"attribute.{name}": pl.Series(list(values), dtype=pl.List(pl.String)) for name, values in groups.items()
    }
    return records.validate(pl.DataFrame({**base, **columns, **attributes}), "examples")


def predictions(trial: str, rows: Sequence[int], values: np.ndarray, split: str = "test") -> pl.DataFrame:
    """Predictions of one trial: classes (int [n]) or probabilities (float [n, C], kept as logarithms)."""
    base = {"trial": [trial] * len(rows), "split": [split] * len(rows), "example": [f"e{i}" for i in rows]}
    if values.ndim == 1:
        return records.validate(pl.DataFrame({**base, "predicted": values}), "predictions")
    with np.errstate(divide="ignore"):
        logits = np.log(values).astype(np.float32)
    column = pl.Series(logits, dtype=pl.Array(pl.Float32, values.shape[1]))
    return records.validate(pl.DataFrame({**base, "logits": column}), "predictions")


def trials(uses: Sequence[tuple[str, int]], failed: Mapping[tuple[str, int], str] | None = None) -> pl.DataFrame:
    """The table `trials` of (method, seed), with trial hashes "method-seed"."""
    failed = failed or {}
    rows = [
        {
            "setting": "s",
            "method": method,
            "seed": seed,
            "role": "study",
            "trial": f"{method}-{seed}",
            "status": "failed" if (method, seed) in failed else "done",
            "reason": failed.get((method, seed)),
        }
        for method, seed in uses
    ]
    return records.validate(pl.DataFrame(rows, infer_schema_length=None), "trials")


def design(methods: Sequence[str] = ("full", "lora"), **options: Any) -> Design:
    """A design of one binary setting with the first method as reference."""
    setting = {"references": methods[:1], "methods": tuple(methods), **options.pop("setting", {})}
    return Design(settings={"s": SettingDesign(**setting)}, **options)


def study(
    n: int = 600, seeds: int = 4, harm: Mapping[str, float] | None = None, probabilities: bool = True, seed: int = 0
) -> Tables:
    """Two methods on a fixed test set of n examples in the groups a, b, c; `harm` lowers lora's signal in a group."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    group = rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2])
    ease = rng.normal(size=n)
    lowered = np.array([(harm or {}).get(name, 0.0) for name in group])
    uses, frames = [], []
    for run in range(seeds):
        for method in ("full", "lora"):
            signal = 1.2 - (lowered if method == "lora" else 0)
            score = signal * (2 * label - 1) + ease + 0.3 * rng.normal(size=n) + 0.05 * rng.normal()
            positive = 1 / (1 + np.exp(-2 * score))
            values = np.stack([1 - positive, positive], axis=1) if probabilities else (score > 0).astype(int)
            uses.append((method, run))
            frames.append(predictions(f"{method}-{run}", range(n), values))
    return examples(list(label), {"who": [[name] for name in group]}), trials(uses), pl.concat(frames)


def renamed(tables: Tables, setting: str, prefix: str) -> Tables:
    """The tables of the setting "s" as those of another, its examples with a prefix."""
    examples, trials, predictions = tables
    example = pl.concat_str(pl.lit(prefix), pl.col("example"))
    trial = pl.concat_str(pl.lit(f"{setting}-"), pl.col("trial"))
    return (
        examples.with_columns(setting=pl.lit(setting), example=example, unit=example),
        trials.with_columns(setting=pl.lit(setting), trial=trial),
        predictions.with_columns(trial=trial, example=example),
    )


def several(parts: Sequence[Tables], names: Sequence[str], apart: bool = True, **options: Any) -> tuple[Tables, Design]:
    """A study of several settings; `apart` gives each examples of its own."""
    found = [renamed(part, name, f"{name}/" if apart else "") for part, name in zip(parts, names, strict=True)]
    tables = (pl.concat([one[0] for one in found]), pl.concat([one[1] for one in found]))
    predictions = pl.concat([one[2] for one in found])
    setting = SettingDesign(references=("full",), methods=("full", "lora"), task="t")
    return (*tables, predictions), Design(settings=dict.fromkeys(names, setting), **options)


def assessed(examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design) -> Assessment:
    """What an audit says of predictions."""
    return assess(readings(examples, trials, predictions, design), design, trials)


def estimates(examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design) -> pl.DataFrame:
    """The table `estimates` of predictions, quickly: no method is compared."""
    alone = {name: setting.model_copy(update={"references": ()}) for name, setting in design.settings.items()}
    return assessed(examples, trials, predictions, design.model_copy(update={"settings": alone})).estimates


class VerdictsOnly(PredictionReading):
    """Predictions of which methods are compared and nothing else is said."""

    def estimates(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """None."""
        return iter(())

    def gaps(self, estimand: Estimand, method: str) -> Iterator[tuple[int | None, Estimate]]:
        """None."""
        return iter(())

    def curves(self, judged: Sequence[Family]) -> Iterator[dict[str, Any]]:
        """None."""
        return iter(())


def verdicts(examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design) -> pl.DataFrame:
    """The table `verdicts` of predictions, quickly: there are no estimates and no curves."""
    made = readings(examples, trials, predictions, design)
    return assess((VerdictsOnly(one.evaluation, one.design) for one in made), design, trials).verdicts
