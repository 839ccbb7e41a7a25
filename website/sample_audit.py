"""A simulated audit for the site's live report: three ways of training, one of which harms a group.

Labels, scores and groups are drawn; nobody is described. `python website/sample_audit.py` writes sample-report.html.
"""

from __future__ import annotations

import numpy as np
import polars as pl

import evenhand
from evenhand import Results

PEOPLE, SEEDS = 2000, 5
SHARES = {"sex": {"female": 0.5, "male": 0.5}, "age": {"under 30": 0.4, "30 to 50": 0.45, "over 50": 0.15}}


def predictions() -> pl.DataFrame:
    """A row per person, method and seed: `lora` is worse than `full` for people over 50, `adapter` for nobody."""
    rng = np.random.default_rng(2026)
    hired = rng.integers(0, 2, PEOPLE)
    groups = {name: rng.choice(list(shares), PEOPLE, p=list(shares.values())) for name, shares in SHARES.items()}
    ability = rng.normal(0, 1, PEOPLE)  # what makes a person easy to classify for every model
    parts = []
    for method in ("full", "lora", "adapter"):
        for seed in range(SEEDS):
            margin = 1.3 + 0.7 * ability + rng.normal(0, 0.4, PEOPLE)
            margin -= 0.6 * (groups["age"] == "over 50") if method == "lora" else 0
            probability = 1 / (1 + np.exp(-1.5 * np.where(hired == 1, margin, -margin)))
            columns = {"person": np.arange(PEOPLE), "hired": hired, "probability": probability, **groups}
            parts.append(pl.DataFrame(columns).with_columns(method=pl.lit(method), seed=pl.lit(seed)))
    return pl.concat(parts)


def sample() -> Results:
    """The audit of these predictions."""
    return evenhand.audit(
        predictions(),
        label="hired",
        probability="probability",
        groups=list(SHARES),
        favourable="positive",
        method="method",
        seed="seed",
        example="person",
        reference="full",
        margins={"default": 0.03},
        source="simulated hiring",
    )


if __name__ == "__main__":
    results = sample()
    print(results.summary())
    results.report("sample-report.html")
