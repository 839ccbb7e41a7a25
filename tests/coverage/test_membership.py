"""Intervals of what a pool leaks hold the truth; null pools and honest promises raise few false alarms."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtri

import pool_records
from bounds import least, most
from evenhand import Results
from evenhand.audit.comparisons import conclude
from evenhand.audit.kinds.membership_evidence import membership_evidence
from evenhand.audit.membership.group_gaps import between
from evenhand.audit.membership.leakage import Leak, Targets, area
from evenhand.metrics import attack_pool
from evenhand.report.reportable import levels
from evenhand.report.wording import changes
from evenhand.stats.discrimination import exceeds_dp
from evenhand.stats.permuted_curves import permuted_areas
from pools import ATTACKS, REGIMES, World, coverage, draw

SIZE = 1000
"""Examples of a group, in the slow tests."""


LEVEL = 0.0014
"""Of each comparison: about three standard errors."""


@pytest.mark.parametrize("attack", ["difficulty calibration", "LiRA, online"])
def test_intervals_of_a_small_pool(attack):
    found = coverage(World(group=400), ATTACKS[attack], 40)
    for name in ("area", "area, groups", "rate"):
        assert found[name] >= least(0.95, 40, LEVEL), name


@pytest.mark.simulate
@pytest.mark.parametrize("models", [8, 16])
@pytest.mark.parametrize("regime", list(REGIMES))
@pytest.mark.parametrize("attack", list(ATTACKS))
def test_intervals_of_groups_of_a_thousand(models, regime, attack, repetitions):
    """Not below .93; above .98 where models are alike, since V_target then is small and its degrees of freedom few."""
    n = repetitions(1200 // models)
    found = coverage(World(models=models, group=SIZE, **REGIMES[regime]), ATTACKS[attack], n, seed=1)
    for name, held in found.items():
        if not name.startswith("plain"):
            assert held >= least(0.93, n, 0.067), name


@pytest.mark.simulate
def test_online_areas_need_the_jackknife(repetitions):
    """A model moves all scores of the others; the contributions of its own rows do not hold that."""
    n = repetitions(150)
    found = coverage(World(), ATTACKS["LiRA, online"], n)
    assert found["plain area"] < most(0.86, n)
    assert found["area"] >= least(0.95, n, 0.1)


@pytest.mark.simulate
def test_what_a_study_says_of_its_pool_holds_the_truth(repetitions):
    """From records: areas of everyone and of a group, and the lower bound of the contrast of methods, of level .05."""
    design = pool_records.design(measures=["membership_auc"])
    found: dict[str, list[tuple[float, float, float]]] = {}
    n = repetitions(150)
    for repetition in range(n):
        drawn = draw(World(group=300), np.random.default_rng([3, repetition]))
        table = pool_records.examples(600, (0.5, 0.5))
        records = pool_records.recorded(table, dict(zip(("full", "lora"), drawn.phi, strict=True)), drawn.member)
        results = Results.compute(*records, design)
        rows = levels(results).filter(pl.col("seed").is_null())
        for row in rows.iter_rows(named=True):
            key = f"{row['method']} {row['group']}"
            found.setdefault(key, []).append((row["value"], row["low"], row["high"]))
        for row in changes(results.verdicts).filter(pl.col("group").is_null()).iter_rows(named=True):
            found.setdefault("contrast", []).append((row["contrast"], row["low"], row["high"]))
    assert len(found) == 7
    for name, values in found.items():
        value, low, high = np.array(values).T
        truth = value.mean()
        held = ((low <= truth) & (high >= truth)).mean()
        level = 0.90 if name == "contrast" else 0.95
        assert held >= least(level, n, LEVEL), name
        assert (low > truth).mean() <= most(0.05, n, LEVEL), name


def gap_contrasts(world: World, groups: int, repetitions: int) -> np.ndarray:
    """Contrasts of two methods' gaps between groups, with 95% bounds and the lower one of 90%, [repetitions, 4]."""
    rows = []
    for repetition in range(repetitions):
        drawn = draw(world, np.random.default_rng([5, repetition]))
        group = drawn.second.astype(int) if groups == 2 else np.arange(len(drawn.second)) % groups
        everyone, member, unit = np.ones(len(group), dtype=bool), drawn.member, np.arange(len(group))
        ours, theirs = (
            Targets(tuple(range(len(phi))), attack_pool(phi, member, drawn.pairs), member, member | True, unit)
            for phi in drawn.phi
        )

        def gap(targets: Targets, where: np.ndarray, group: np.ndarray = group) -> Leak:
            return between({str(g): area(targets, where & (group == g)) for g in range(groups)}, 10)

        made = conclude(membership_evidence(ours, theirs, everyone, gap, True), 10)
        assert made.estimate is not None and made.interval is not None
        rows.append((made.estimate, *made.interval.bounds(0.025), made.interval.bounds(0.05)[0]))
    return np.array(rows)


@pytest.mark.simulate
@pytest.mark.parametrize("groups", [2, 6])
@pytest.mark.parametrize("second_group", [1.0, 0.6])
def test_contrasts_of_gaps_between_groups_hold_their_expectation(groups, second_group, repetitions):
    """Two groups of which one leaks less; or six that are alike, whose gaps are noise: then the interval is wide."""
    n = repetitions(150)
    value, low, high, lower = gap_contrasts(World(group=400, second_group=second_group), groups, n).T
    truth = value.mean()
    assert ((low <= truth) & (high >= truth)).mean() >= least(0.93, n, 0.067)
    if second_group == 1.0:
        assert (lower > 0).mean() <= most(0.05, n, LEVEL)


def false_alarms(repetitions: int, group: int, draws: int) -> float:
    """How often groups that leak alike have a gap of areas with p ≤ .05."""
    alarms = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        pool = draw(World(group=group, second_group=1.0), rng)
        score = attack_pool(pool.phi[0], pool.member, pool.pairs)
        members, strata = np.stack([~pool.second, pool.second], axis=1), np.zeros(2 * group, dtype=int)
        alarms += permuted_areas(score, pool.member, members, strata, draws, rng).p <= 0.05
    return alarms / repetitions


def test_groups_that_leak_alike_are_told_apart_rarely():
    assert false_alarms(60, 150, 39) <= most(0.05, 60, LEVEL)


@pytest.mark.simulate
def test_groups_that_leak_alike_are_told_apart_in_one_of_twenty(repetitions):
    n = repetitions(400)
    found = false_alarms(n, 300, 99)
    assert least(0.05, n, LEVEL) <= found <= most(0.05, n, LEVEL)


@pytest.mark.simulate
def test_a_group_that_leaks_less_is_found(repetitions):
    found, n = 0, repetitions(40)
    for repetition in range(n):
        rng = np.random.default_rng(repetition)
        pool = draw(World(models=16, second_group=0.4, leak=1.5), rng)
        score = attack_pool(pool.phi[0], pool.member, pool.pairs)
        members = np.stack([~pool.second, pool.second], axis=1)
        found += permuted_areas(score, pool.member, members, np.zeros(2000, dtype=int), 99, rng).p <= 0.05
    assert found / n >= least(0.9, n)


def broken_promises(repetitions: int, epsilon: float) -> float:
    """How often scores that reach the bound exactly, TPR = e^ε·FPR, seem to exceed it."""
    alarms = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        member = np.concatenate([inside := rng.random((4, 1000)) < 0.5, ~inside])
        lasting = rng.normal(size=1000)
        called = np.where(member, np.exp(epsilon), 1.0) * 0.02
        # A common part of the example makes rows go together and leaves each one's rate as it is.
        score = np.sqrt(0.5) * lasting + np.sqrt(0.5) * rng.normal(size=member.shape) + ndtri(called)
        alarms += exceeds_dp(score, member, 0.0, epsilon, 0.0)
    return alarms / repetitions


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_a_promise_that_is_kept_is_rarely_called_broken(epsilon):
    assert broken_promises(100, epsilon) <= most(0.05, 100, LEVEL)
