"""Tests and corrections agree with scipy and statsmodels to 1e-9 on hundreds of random problems."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from evenhand.stats.contrast import two_way
from evenhand.stats.equivalence import tost_independent, tost_paired
from evenhand.stats.multiplicity import benjamini_hochberg, bonferroni, holm
from evenhand.stats.paired import mcnemar, t_over_runs
from evenhand.stats.proportion import wilson

PROBLEMS = 500
CLOSE = {"rel": 1e-9, "abs": 1e-9}


def problems(seed: int):
    """A generator per problem."""
    return (np.random.default_rng([seed, problem]) for problem in range(PROBLEMS))


def samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two samples of one length, of any scale and distance."""
    n = rng.integers(2, 30)
    scale = 10.0 ** rng.integers(-3, 3)
    return scale * rng.normal(size=n), scale * rng.normal(rng.normal(), rng.uniform(0.3, 3), size=n)


def test_independent_tost():
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    for rng in problems(1):
        first, second = samples(rng)
        second = np.append(second, second.mean())
        bound = abs(first.mean()) + rng.exponential() * first.std()
        theirs = weightstats.ttost_ind(first, second, -bound, 2 * bound)[0]
        assert tost_independent(first, second, -bound, 2 * bound) == pytest.approx(theirs, **CLOSE)


def test_paired_tost():
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    for rng in problems(2):
        first, second = samples(rng)
        bound = abs(first.mean()) + rng.exponential() * first.std()
        theirs = weightstats.ttost_paired(first, second, -bound, 2 * bound)[0]
        assert tost_paired(first, second, -bound, 2 * bound) == pytest.approx(theirs, **CLOSE)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh"), (bonferroni, "bonferroni")]
)
def test_corrections(ours, theirs):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    gc.freeze()  # statsmodels collects garbage in every call, and there is much that is none
    for rng in problems(3):
        p = rng.random(rng.integers(1, 60)) ** rng.uniform(0.5, 6)
        p[rng.random(len(p)) < 0.2] = p[0]  # ties
        assert ours(p) == pytest.approx(multitest.multipletests(p, method=theirs)[1], **CLOSE)
    gc.unfreeze()


def test_t_intervals_over_runs():
    stats = pytest.importorskip("scipy.stats")
    for rng in problems(4):
        values, _ = samples(rng)
        level = rng.uniform(0.5, 0.999)
        theirs = stats.t.interval(level, len(values) - 1, values.mean(), stats.sem(values))
        assert t_over_runs(values).interval(level) == pytest.approx(theirs, **CLOSE)
        expected = stats.ttest_1samp(values, 0.0, alternative="greater").pvalue
        assert t_over_runs(values).p_greater() == pytest.approx(expected, **CLOSE)


def test_the_two_way_interval_of_one_run_is_the_t_interval_of_its_examples():
    stats = pytest.importorskip("scipy.stats")
    for rng in problems(5):
        values, _ = samples(rng)
        n = len(values)
        mean = two_way(np.array([values.mean()]), ((values - values.mean()) / n)[None], np.full((1, n), 1 / n))
        level = rng.uniform(0.5, 0.999)
        theirs = stats.t.interval(level, n - 1, values.mean(), stats.sem(values))
        assert mean.interval(level) == pytest.approx(theirs, **CLOSE)


def test_exact_mcnemar():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for rng in problems(7):
        first, second = (int(count) for count in rng.integers(0, 10 ** rng.integers(1, 4), size=2))
        theirs = tables.mcnemar([[50, first], [second, 50]], exact=True).pvalue
        assert mcnemar(first, second) == pytest.approx(theirs, **CLOSE)


def test_one_sided_mcnemar_is_the_sign_test():
    stats = pytest.importorskip("scipy.stats")
    for rng in problems(8):
        first, second = (int(count) for count in rng.integers(0, 60, size=2))
        if first + second:
            for alternative in ("greater", "less"):
                theirs = stats.binomtest(first, first + second, 0.5, alternative=alternative).pvalue
                assert mcnemar(first, second, alternative) == pytest.approx(theirs, **CLOSE)


def test_wilsons_interval():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    stats = pytest.importorskip("scipy.stats")
    for rng in problems(9):
        n = int(rng.integers(1, 500))
        count, level = int(rng.integers(0, n + 1)), rng.uniform(0.5, 0.999)
        theirs = proportion.proportion_confint(count, n, 1 - level, method="wilson")
        quantile = float(stats.norm.ppf((1 + level) / 2))
        assert wilson(count / n, n, quantile) == pytest.approx(theirs, **CLOSE)
