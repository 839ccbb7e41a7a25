"""Runs that collapse are named wherever they count, and without them `worse` is said as rarely as promised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bounds
from counting import compared
from evenhand.audit.evaluation import Evaluation
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.verdict_rows import COLLAPSED, WITHOUT
from evenhand.audit.verdicts import families
from evenhand.records import from_rows
from evenhand.report.collapsed_sentences import collapsed_lines
from known_rates import KnownRates

ALIKE = KnownRates({"reference": (0.85, 0.85), "method": (0.85, 0.85)}, (200, 100), run=0.005)


def collapse(drawn: Evaluation, kind: str, share: float, rng: np.random.Generator) -> tuple[Evaluation, set[int]]:
    """Each run of the reference collapses with that chance: one class for everybody, or right by a coin."""
    runs, seeds = dict(drawn.runs), set()
    for (name, seed), run in drawn.runs.items():
        if name == "reference" and rng.random() < share:
            seeds.add(seed)
            made = np.ones_like(run.predicted) if kind == "constant" else rng.integers(0, 2, len(run.predicted))
            runs[name, seed] = replace(run, predicted=made)
    return replace(drawn, runs=runs), seeds


def studied(kind: str, share: float, repetitions: int, runs: int = 5) -> dict[str, float]:
    """Over studies with some but not all runs collapsed, or without any.

    Returns:
        `named`: the share in which each row of accuracy names a run, and only collapsed ones; `better`: the share of
        rows of everyone that say `better` (the reference's mean is poor), `better without` and `worse without`.
    """
    world = replace(ALIKE, runs=runs)
    count, found = 0, dict.fromkeys(("named", "better", "better without", "worse without"), 0)
    for repetition in range(repetitions):
        rng = np.random.default_rng([5, repetition])
        evaluation, seeds = collapse(world.draw(rng), kind, share, rng)
        if share and not 0 < len(seeds) <= runs - 3:
            continue
        members = list(compared(PredictionReading(evaluation, world.design), ("accuracy",)))
        rows = [row for family in families(members, world.design) for row in family.rows()]
        count += 1
        found["named"] += all(COLLAPSED in (row["note"] or "") for row in rows)
        everyone = next(row for row in rows if row["attribute"] is None)
        found["better"] += everyone["verdict"] == "better"
        for word in ("better", "worse"):
            found[f"{word} without"] += f"{WITHOUT}{word}" in (everyone["note"] or "")
    return {name: one / max(count, 1) for name, one in found.items()} | {"studies": count}


@pytest.mark.parametrize("kind", ["constant", "coin"])
def test_a_collapsed_run_is_named_in_every_row(kind):
    found = studied(kind, 0.2, 40)
    assert found["studies"] >= 15
    assert found["named"] == 1


def test_runs_that_merely_vary_are_not_named():
    found = studied("constant", 0.0, 60)
    assert found["named"] <= bounds.most(0.01, 60, 0.001)


def test_the_headline_names_the_run_and_the_verdicts_that_differ():
    world = replace(ALIKE, runs=10)
    for repetition in range(20):
        rng = np.random.default_rng([5, repetition])
        evaluation, seeds = collapse(world.draw(rng), "constant", 0.3, rng)
        if not seeds:
            continue
        members = list(compared(PredictionReading(evaluation, world.design), ("accuracy",)))
        verdicts = from_rows([row for family in families(members, world.design) for row in family.rows()], "verdicts")
        (line,) = collapsed_lines(verdicts, world.design)
        assert all(f"reference at seed {seed} predicts one class for everybody" in line for seed in seeds)
        if "accuracy, everyone: inconclusive instead of better" in line.lower():
            return
    raise AssertionError("no study says better with its collapsed runs only")


def test_what_all_runs_of_a_method_do_is_no_collapse():
    rng = np.random.default_rng(0)
    evaluation, _ = collapse(ALIKE.draw(rng), "constant", 1.0, rng)
    assert PredictionReading(evaluation, ALIKE.design).collapsed("method", "reference") == {}


@pytest.mark.simulate
@pytest.mark.parametrize("kind", ["constant", "coin"])
@pytest.mark.parametrize("runs", [4, 5, 10])
def test_without_collapsed_runs_verdicts_are_as_rare_as_promised(kind, runs, repetitions):
    found = studied(kind, 0.2, repetitions(600), runs)
    n = int(found["studies"])
    assert found["named"] >= bounds.least(0.99, n, 0.001)
    for word in ("better without", "worse without"):
        assert found[word] <= bounds.most(0.05, n, 0.01)


if __name__ == "__main__":
    for kind, share in (("constant", 0.2), ("coin", 0.2), ("constant", 0.0)):
        for runs in (5, 10):
            print(kind, share, runs, studied(kind, share, 200, runs), flush=True)
