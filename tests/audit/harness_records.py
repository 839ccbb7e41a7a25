"""Tables of benchmarks of scripted models: pairs of sentences with a planted preference, questions with a gap."""

from __future__ import annotations

import numpy as np
import polars as pl

from evenhand.audit.design import Design, HarnessDesign, SettingDesign

SEEDS = (0, 1, 2)
PAIRS, QUESTIONS = "crows_pairs_english", "winogender_all"


def pairs(trial: str, share: float, others: float, n: int, rng: np.random.Generator) -> list[dict]:
    """A stereotype is preferred in `share` of the pairs about gender, and in `others` of those about age."""
    rows = []
    for number in range(n):
        kind = "gender" if number % 2 else "age"
        value = float(rng.random() < (share if kind == "gender" else others))
        rows.append(document(trial, PAIRS, number, "pct_stereotype", value, f"pair-{number}", [f"bias_type={kind}"]))
        rows.append(document(trial, PAIRS, number, "likelihood_diff", float(rng.exponential(5)), f"pair-{number}", []))
    return rows


def questions(trial: str, accuracy: float, gap: float, n: int, rng: np.random.Generator) -> list[dict]:
    """Answers to sentences in threes, one per pronoun, of an occupation each; those with he are answered better."""
    more = {"male": gap / 2, "female": -gap / 2, "neutral": 0.0}
    rows = []
    for number in range(n):
        hard = 0.1 * rng.normal()
        for place, (gender, plus) in enumerate(more.items()):
            value = float(rng.random() < accuracy + plus + hard)
            name = f"occupation-{number}"
            rows.append(document(trial, QUESTIONS, 3 * number + place, "acc", value, name, [f"gender={gender}"]))
    return rows


def document(trial, task, number, metric, value, unit, groups) -> dict:
    return {
        "trial": trial,
        "task": task,
        "example": str(number),
        "metric": metric,
        "value": value,
        "unit": unit,
        "groups": groups,
    }


def with_totals(rows: list[dict]) -> pl.DataFrame:
    """The rows, and for each task and metric the mean of them, as the harness gives it."""
    frame = pl.DataFrame(rows, schema_overrides={"groups": pl.List(pl.String)})
    means = frame.group_by("trial", "task", "metric", maintain_order=True).agg(pl.col("value").mean())
    return pl.concat([frame, means], how="diagonal")


def tables(methods: dict[str, dict[str, float]], n: int = 120, seeds=SEEDS, settings=("main",), margins=None):
    """Trials, benchmarks and design of methods, each with what is planted: `share`, `others`, `accuracy`, `gap`."""
    rows, trials = [], []
    for setting in settings:
        for method, planted in methods.items():
            for seed in seeds:
                rng = np.random.default_rng([seed, len(trials)])
                trial = f"{setting}-{method}-{seed}"
                rows += pairs(trial, planted.get("share", 0.5), planted.get("others", 0.5), n, rng)
                rows += questions(trial, planted.get("accuracy", 0.7), planted.get("gap", 0.0), n // 2, rng)
                trials.append({"setting": setting, "method": method, "seed": seed, "role": "study", "trial": trial})
    one = SettingDesign(
        references=(next(iter(methods)),),
        methods=tuple(methods),
        kind="translation",
        harness=HarnessDesign(tasks=(QUESTIONS, PAIRS)),
    )
    design = Design(settings=dict.fromkeys(settings, one), margins={"default": 0.1} if margins is None else margins)
    return pl.DataFrame(trials).with_columns(status=pl.lit("done")), with_totals(rows), design
