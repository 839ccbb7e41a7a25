"""Intervals of examples that count for very different weights: claims where there is nothing, and what they hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

import bounds
import evenhand as eh

Weights = Callable[[np.random.Generator, int], np.ndarray]


def one_heavy(weight: float) -> Weights:
    """One example counts for so many others."""

    def weights(rng: np.random.Generator, n: int) -> np.ndarray:
        found = np.ones(n)
        found[0] = weight
        return found

    return weights


WEIGHTS: dict[str, Weights] = {
    "equal": one_heavy(1),
    "one of 30": one_heavy(30),
    "one of 100": one_heavy(100),
    "one of 1000": one_heavy(1000),
    "lognormal, 1": lambda rng, n: np.exp(rng.normal(size=n)),
    "lognormal, 2": lambda rng, n: np.exp(2 * rng.normal(size=n)),
}
SIZE = 60
"""Examples of each of the two groups."""


def drawn(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two groups, of which 70% are predicted rightly by each of two methods."""
    label = rng.integers(0, 2, 2 * SIZE)
    right = rng.random((2, 2 * SIZE)) < 0.7
    return {
        "label": label,
        "group": np.repeat(["a", "b"], SIZE),
        "weight": WEIGHTS[name](rng, 2 * SIZE),
        **{f"of {method}": np.where(own, label, 1 - label) for method, own in zip(("old", "new"), right, strict=True)},
    }


def gap(table: dict[str, np.ndarray]) -> eh.Results:
    """The audit of one method."""
    return eh.audit(
        pl.DataFrame(table), label="label", prediction="of old", groups="group", weight="weight", measures=["accuracy"]
    )


def change(table: dict[str, np.ndarray]) -> eh.Results:
    """The audit of the new method against the old one."""
    frame = (
        pl.DataFrame(table)
        .with_row_index("id")
        .unpivot(
            ["of old", "of new"], index=["id", "label", "group", "weight"], variable_name="method", value_name="said"
        )
    )
    options = {"method": "method", "reference": "of old", "example": "id", "measures": ["accuracy"]}
    return eh.audit(frame, label="label", prediction="said", groups="group", weight="weight", **options)


AUDITS = {"gap": gap, "change": change}


def claims(name: str, audit: Callable[[dict[str, np.ndarray]], eh.Results], n: int) -> dict[str, float]:
    """The share of tables in which a family of comparisons has a verdict `worse` or `better`, by family."""
    found: dict[str, int] = {}
    for repetition in range(n):
        rows = audit(drawn(name, np.random.default_rng([7, repetition]))).verdicts
        for (kind, level), family in rows.with_columns(everyone=pl.col("group").is_null()).group_by(
            "comparison", "everyone"
        ):
            key = f"{kind}, {'everyone' if level else 'groups'}"
            for verdict in ("worse", "better"):
                found[f"{key}: {verdict}"] = found.get(f"{key}: {verdict}", 0) + (
                    verdict in family["verdict"].to_list()
                )
    return {key: count / n for key, count in found.items()}


@pytest.mark.parametrize("audit", AUDITS)
def test_a_few_tables_with_one_heavy_example_make_no_claim(audit):
    found = claims("one of 1000", AUDITS[audit], 8)
    assert found and not any(found.values()), found


@pytest.mark.simulate
@pytest.mark.parametrize("audit", AUDITS)
@pytest.mark.parametrize("name", WEIGHTS)
def test_claims_where_there_is_nothing_are_rare(name, audit, repetitions):
    n = repetitions(400)
    # Of one method, two groups are each other's rest, and either of them may be found worse.
    found = claims(name, AUDITS[audit], n)
    worse = {key: share for key, share in found.items() if key.endswith("worse")}
    assert max(worse.values()) <= bounds.most(0.1 if audit == "gap" else 0.05, n), found
