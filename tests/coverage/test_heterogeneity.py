"""Pooled means hold the mean over settings, prediction intervals a new setting, from few settings and few runs each.

The variances of the settings' contrasts are themselves estimates, with 4 degrees of freedom as five runs give them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

import small_records
from bounds import least, most
from evenhand.stats.heterogeneity import MetaAnalysis, Weights, pool

DF = 4
NOISE = {"alike": 1.0, "twofold": 2.0, "tenfold": 10.0}
"""Largest variance of a setting's contrast over its geometric mean."""


@dataclass(frozen=True)
class Found:
    """Coverage of the 95% interval of the mean, wrong lower bounds at 5%, coverage of the prediction interval."""

    mean: float
    wrong: float
    prediction: float


def simulate(settings: int, tau: float, noise: str, repetitions: int, weights: Weights = "equal") -> Found:
    """The truth is 0; settings differ by `tau` in units of their typical noise."""
    most = NOISE[noise]
    held = wrong = predicted = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([settings, repetition])
        variance = rng.permutation(np.geomspace(1 / most, most, settings))
        truth = tau * rng.normal(size=settings + 1)
        estimates = truth[:-1] + np.sqrt(variance) * rng.normal(size=settings)
        found = pool(estimates, variance * rng.chisquare(DF, size=settings) / DF, weights)
        low, high = found.interval()
        held += low <= 0 <= high
        wrong += found.bounds(0.05)[0] > 0
        low, high = found.prediction()
        predicted += low <= truth[-1] <= high
    return Found(held / repetitions, wrong / repetitions, predicted / repetitions)


LEVEL = 0.006
"""Of each comparison: about two and a half standard errors."""


def right(found: Found, repetitions: int, prediction: bool = True) -> bool:
    """Whether the mean is covered, few lower bounds are wrong, and a new setting is covered where that is asked."""
    return (
        found.mean >= least(0.94, repetitions, LEVEL)
        and found.wrong <= most(0.06, repetitions, LEVEL)
        and (not prediction or found.prediction >= least(0.93, repetitions, LEVEL))
    )


@pytest.mark.parametrize("settings", [2, 3, 5])
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_the_mean_of_few_settings(settings, tau):
    for noise in NOISE:
        found = simulate(settings, tau, noise, 400)
        assert right(found, 400, prediction=False), (noise, found)


@pytest.mark.parametrize("settings", [3, 6])
def test_a_new_setting(settings):
    for tau in (0.0, 1.0, 3.0):
        assert simulate(settings, tau, "twofold", 400).prediction >= least(0.94, 400, LEVEL), tau


def test_weighting_by_precision_covers_too_little_from_few_settings_of_unlike_precision():
    """Why equal weights are the default: two settings of which one is a hundred times as precise, and they differ."""
    weighted = simulate(2, 2.0, "tenfold", 600, "inverse-variance")
    assert weighted.wrong > 0.08
    assert simulate(2, 2.0, "tenfold", 600).wrong <= most(0.05, 600, LEVEL)


@pytest.mark.simulate
@pytest.mark.parametrize("settings", [2, 3, 4, 6, 10])
@pytest.mark.parametrize("noise", list(NOISE))
def test_every_number_of_settings(settings, noise, repetitions):
    n = repetitions(1500)
    for tau in (0.0, 0.5, 1.0, 3.0):
        found = simulate(settings, tau, noise, n)
        assert right(found, n, prediction=settings > 2), (tau, found)
        if noise != "tenfold":
            weighted = simulate(settings, tau, noise, n, "inverse-variance")
            assert weighted.mean >= least(0.92, n, LEVEL), tau


@dataclass(frozen=True)
class Shared:
    """Settings that test the same units, a share `correlation` of whose noise is common to all.

    Attributes:
        settings: k.
        correlation: of two settings' noise.
        tau: how much settings differ, in units of their noise.
        unlike: largest noise over the geometric mean.
        units: tested in every setting.
        groups: contrasts of a family, each of units of its own.
        known: whether the pooling is told what is shared.
    """

    settings: int
    correlation: float
    tau: float = 0.0
    unlike: float = 1.0
    units: int = 150
    groups: int = 1
    known: bool = True

    def draw(self, rng: np.random.Generator) -> tuple[MetaAnalysis, float]:
        """One contrast and the truth of a new setting; variances and covariances are estimated from the units."""
        own = rng.normal(size=(self.settings, self.units))
        noise = np.sqrt(self.correlation) * rng.normal(size=self.units) + np.sqrt(1 - self.correlation) * own
        noise *= rng.permutation(np.geomspace(1 / self.unlike, self.unlike, self.settings))[:, None]
        truth = self.tau / np.sqrt(self.units) * rng.normal(size=self.settings + 1)
        totals = (noise - noise.mean(axis=1, keepdims=True)) / self.units
        covariance = totals @ totals.T
        estimates = noise.mean(axis=1) + truth[:-1]
        shared = covariance if self.known else None
        return pool(estimates, np.diag(covariance), shared=shared, shared_df=self.units - 1), truth[-1]

    def coverage(self, repetitions: int) -> Found:
        """As `simulate`; `wrong` is the share of families with a lower bound above 0 at 5% over their size."""
        held = wrong = predicted = 0.0
        for repetition in range(repetitions):
            rng = np.random.default_rng([self.settings, repetition])
            family = [self.draw(rng) for _ in range(self.groups)]
            found, new = family[0]
            low, high = found.interval()
            held += low <= 0 <= high
            wrong += any(one.bounds(0.05 / self.groups)[0] > 0 for one, _ in family)
            low, high = found.prediction()
            predicted += low <= new <= high
        return Found(held / repetitions, wrong / repetitions, predicted / repetitions)


def test_settings_on_the_same_examples_are_not_as_many_independent_ones():
    """Four base models on one test set: taken for independent, their mean misses the truth twice in ten."""
    for correlation in (0.3, 0.7):
        assert Shared(4, correlation).coverage(400).mean >= least(0.94, 400, LEVEL)
    assert Shared(4, 0.7, known=False).coverage(400).mean < 0.82


@pytest.mark.parametrize("settings", [2, 3])
def test_few_settings_on_the_same_examples(settings):
    for tau in (0.0, 1.0):
        found = Shared(settings, 0.7, tau).coverage(300)
        assert right(found, 300, prediction=settings > 2), (tau, found)


def test_a_pooled_family_without_harm_is_called_worse_at_most_alpha():
    for correlation in (0.0, 0.7):
        assert Shared(3, correlation, units=60, groups=5).coverage(400).wrong <= most(0.05, 400, LEVEL)


def test_names_that_coincide_by_accident_cost_little():
    """Covariances of settings that share nothing are noise: half-widths grow by a few per cent."""
    rng = np.random.default_rng(0)
    told = [Shared(3, 0.0).draw(rng)[0].half_widths(0.05)[0] for _ in range(400)]
    rng = np.random.default_rng(0)
    untold = [Shared(3, 0.0, known=False).draw(rng)[0].half_widths(0.05)[0] for _ in range(400)]
    assert 1.0 <= np.mean(told) / np.mean(untold) < 1.03


@pytest.mark.simulate
@pytest.mark.parametrize("settings", [2, 3, 4, 6])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.7, 0.95])
def test_every_correlation(settings, correlation, repetitions):
    n = repetitions(1000)
    for unlike in (1.0, 3.0):
        for tau in (0.0, 1.0, 3.0):
            found = Shared(settings, correlation, tau, unlike).coverage(n)
            assert right(found, n, prediction=settings > 2), (unlike, tau, found)
    if settings > 2 and correlation == 0.95:
        n = repetitions(400)
        assert Shared(settings, correlation, known=False).coverage(n).mean < most(0.75, n)


def three_settings(rng: np.random.Generator, n: int = 240, seeds: int = 3, common: float = 0.8) -> pl.DataFrame:
    """The pooled verdicts of three settings on the same test set, of two methods that are as good as each other.

    Each method has examples that it finds hard, in all settings to the share `common` of their variance.
    """
    label, groups = rng.integers(0, 2, n), rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2])
    ease = {method: rng.normal(size=n) for method in ("full", "lora")}
    parts = []
    for _ in range(3):
        frames, own = [], {method: rng.normal(size=n) for method in ease}
        for method in ease:
            hard = np.sqrt(common) * ease[method] + np.sqrt(1 - common) * own[method]
            for seed in range(seeds):
                score = 1.0 * (2 * label - 1) + hard + 0.3 * rng.normal(size=n) + 0.05 * rng.normal()
                frames.append(small_records.predictions(f"{method}-{seed}", range(n), (score > 0).astype(int)))
        uses = small_records.trials([(method, seed) for method in ease for seed in range(seeds)])
        parts.append(
            (small_records.examples(list(label), {"who": [[name] for name in groups]}), uses, pl.concat(frames))
        )
    tables, design = small_records.several(parts, "abc", apart=False, measures=("accuracy",))
    return small_records.verdicts(*tables, design).filter(pl.col("setting").is_null())


@pytest.mark.simulate
def test_through_the_audit_settings_on_one_test_set_are_called_worse_at_most_alpha(repetitions):
    worse = {"everyone": 0, "group": 0}
    held, n = 0, repetitions(400)
    for repetition in range(n):
        rows = three_settings(np.random.default_rng([11, repetition]))
        groups = rows.drop_nulls("group")
        everyone = rows.filter(pl.col("attribute").is_null()).row(0, named=True)
        held += everyone["low"] <= 0 <= everyone["high"]  # its bounds are those of 90%
        worse["everyone"] += everyone["verdict"] == "worse"
        worse["group"] += "worse" in groups["verdict"]
    assert max(worse.values()) / n <= most(0.05, n, LEVEL), worse
    assert held / n >= least(0.90, n, LEVEL), held


def rare_errors(rng: np.random.Generator, settings: int, n: int, rate: float) -> pl.DataFrame:
    """The pooled verdicts of settings with examples of their own, in which the reference makes no error, the method
    errs at a rate, and that rate is the margin."""
    parts = []
    for _ in range(settings):
        label = np.arange(n) % 2
        wrong = rng.random(n) < rate
        frames = [small_records.predictions("full-0", range(n), label)]
        frames.append(small_records.predictions("lora-0", range(n), np.where(wrong, 1 - label, label)))
        groups = {"who": [[name] for name in rng.permutation(np.array(list("ab") * n)[:n])]}
        uses = small_records.trials([("full", 0), ("lora", 0)])
        parts.append((small_records.examples(list(label), groups), uses, pl.concat(frames)))
    names = "abcdef"[:settings]
    tables, design = small_records.several(parts, names, measures=("accuracy",), margins={"default": rate})
    found = small_records.verdicts(*tables, design).filter(pl.col("setting").is_null(), comparison="change")
    return found.filter(pl.col("class").is_null())


def test_settings_without_an_error_exclude_no_more_than_all_their_examples_do():
    """Of 124 examples without an event an exact bound excludes rates above 1 − .05^(1/124)."""
    (row,) = rare_errors(np.random.default_rng(0), 2, 62, 0.0001).filter(pl.col("group").is_null()).to_dicts()
    assert row["contrast"] == 0
    assert 1 - 0.05 ** (1 / 124) < row["high"] < 1 - 0.05 ** (1 / 62)


@pytest.mark.simulate
@pytest.mark.parametrize(("settings", "n"), [(2, 62), (3, 52), (2, 142), (2, 250)])
def test_a_harm_of_the_margin_that_rarely_shows_is_rarely_cleared(settings, n, repetitions):
    count, cleared = repetitions(400), 0
    for repetition in range(count):
        rows = rare_errors(np.random.default_rng([12, repetition]), settings, n, 0.02)
        cleared += rows.filter(pl.col("group").is_null())["verdict"].item() in ("equivalent", "not worse")
    assert cleared / count <= most(0.05, count, LEVEL), cleared
