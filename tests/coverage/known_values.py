"""Draws columns of numbers whose means are known, and reads intervals of their audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from evenhand.audit.comparisons import Contrast, conclude
from evenhand.audit.design import DeclaredMeasure, Design, SettingDesign
from evenhand.audit.kinds.numbers import NumberReading, readings
from evenhand.audit.measures import declaring, measure_named
from evenhand.audit.reading import Estimate

NAME = "score"


@dataclass(frozen=True)
class Law:
    """A distribution of numbers.

    Attributes:
        draw: numbers in a shape.
        mean: their expectation.
        range: declared; None: none is.
    """

    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    mean: float
    range: tuple[float, float] | None = None


def lognormal(sigma: float, factor: float = 1.0, zeros: float = 0.0) -> Law:
    """Lognormal numbers times a factor, a share of which is 0 instead."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return factor * rng.lognormal(0, sigma, shape) * (rng.random(shape) >= zeros)

    return Law(draw, factor * (1 - zeros) * float(np.exp(sigma**2 / 2)))


def beta(a: float, b: float) -> Law:
    """Numbers between 0 and 1."""
    return Law(lambda rng, shape: rng.beta(a, b, shape), a / (a + b), (0.0, 1.0))


def spikes(share: float) -> Law:
    """Numbers near .02, a share of which is near .9 instead: declared between 0 and 1."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.where(rng.random(shape) < share, rng.beta(18, 2, shape), rng.beta(2, 98, shape))

    return Law(draw, share * 0.9 + (1 - share) * 0.02, (0.0, 1.0))


def capped(law: Law, cap: float) -> Law:
    """Numbers cut at a cap, with a range from 0 to it; the mean is from ten million draws."""
    return Law(lambda rng, shape: np.minimum(law.draw(rng, shape), cap), _capped_mean(law, cap), (0.0, cap))


@cache
def _capped_mean(law: Law, cap: float) -> float:
    rng = np.random.default_rng(1)
    return float(np.mean([np.minimum(law.draw(rng, (10**6,)), cap).mean() for _ in range(10)]))


NORMAL = Law(lambda rng, shape: rng.normal(size=shape), 0.0)
T3 = Law(lambda rng, shape: rng.standard_t(3, shape), 0.0)
HALF_NORMAL = Law(lambda rng, shape: np.abs(rng.normal(size=shape)), float(np.sqrt(2 / np.pi)))
EXPONENTIAL = Law(lambda rng, shape: rng.exponential(size=shape), 1.0)


@dataclass(frozen=True)
class KnownValues:
    """A small group and the rest, in runs of two methods.

    Attributes:
        reference, method: the distributions of numbers under either method; the group's and the rest's.
        sizes: of the group and of the rest.
        runs: of each method.
        kept: with this probability a number of one run is that of the example's first run under the reference.
        run: standard deviation of what each run adds to all of its numbers.
        scale: on which they are compared.
    """

    reference: tuple[Law, Law]
    method: tuple[Law, Law]
    sizes: tuple[int, int]
    runs: int = 1
    kept: float = 0.5
    run: float = 0.0
    scale: str = "identity"

    @classmethod
    def alike(cls, law: Law, *sizes: int, **more: object) -> KnownValues:
        """Both groups and both methods have one distribution."""
        return cls((law, law), (law, law), sizes, **more)  # pyright: ignore[reportArgumentType]

    def gap(self, method: str = "method") -> float:
        """The true gap of a method."""
        of_group, of_rest = (self.mean(method, side) for side in (0, 1))
        return of_group - of_rest

    def mean(self, method: str, side: int) -> float:
        """The true mean of the group (0) or of the rest (1)."""
        own, first = getattr(self, method)[side].mean, self.reference[side].mean
        return own if method == "reference" else self.kept * first + (1 - self.kept) * own

    def values(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """By method float [J, n]."""
        found = {}
        first = self._fresh(self.reference, rng, 1)[0]
        for name in ("reference", "method"):
            fresh = self._fresh(getattr(self, name), rng, self.runs)
            numbers = np.where(rng.random(fresh.shape) < self.kept, first, fresh)
            found[name] = numbers + rng.normal(0, self.run, (self.runs, 1)) if self.run else numbers
        return found

    def _fresh(self, laws: tuple[Law, Law], rng: np.random.Generator, runs: int) -> np.ndarray:
        parts = [law.draw(rng, (runs, size)) for law, size in zip(laws, self.sizes, strict=True)]
        return np.concatenate(parts, axis=1)

    @property
    def design(self) -> Design:
        """The design that declares the numbers."""
        limits = self.reference[0].range if self.scale == "identity" else None
        declared = DeclaredMeasure(name=NAME, kind="values", more_is="worse", range=limits, scale=self.scale)
        setting = SettingDesign(references=("reference",), methods=("reference", "method"), vary=False)
        return Design(settings={"s": setting}, declared=(declared,), gaps=True)

    def reading(self, rng: np.random.Generator) -> NumberReading:
        """The audit's reading of one draw."""
        n = sum(self.sizes)
        ids = [str(number) for number in range(n)]
        groups = [["group"]] * self.sizes[0] + [["rest"]] * self.sizes[1]
        examples = pl.DataFrame(
            {"setting": "s", "example": ids, "weight": 1.0, "unit": ids, "attribute.side": groups}
        ).with_columns(label=pl.lit(None, pl.Int64))
        trials, parts = [], []
        for name, numbers in self.values(rng).items():
            for seed, of_run in enumerate(numbers):
                trial = f"{name}{seed}"
                trials.append({"setting": "s", "method": name, "seed": seed, "role": "study", "trial": trial})
                parts.append(pl.DataFrame({"trial": trial, "example": ids, "value": of_run}))
        values = pl.concat(parts).with_columns(split=pl.lit("test"), name=pl.lit(NAME), step=pl.lit(None, pl.Int64))
        frame = pl.DataFrame(trials).with_columns(status=pl.lit("done"), reason=pl.lit(None, pl.String))
        (reading,) = readings(examples, frame, values, self.design)
        return reading


@dataclass(frozen=True)
class Found:
    """What an audit says of the group in one draw: contrasts by (what is compared, method), and levels by method."""

    contrasts: dict[tuple[str, str], Contrast]
    levels: dict[str, Estimate]


def found(drawn: KnownValues, seed: int, repetition: int) -> Found:
    """The contrasts and levels of the group in one draw."""
    with declaring(drawn.design):
        reading = drawn.reading(np.random.default_rng([seed, repetition]))
        measure = measure_named(NAME)
        estimands = [one for one in reading.estimands(measure) if one.subset.group == "group"]
        contrasts, levels = {}, {}
        for estimand in estimands:
            for comparison in reading.comparisons(estimand):
                contrast = conclude(reading.evidence(comparison), reading.design.support)
                contrasts[comparison.kind, comparison.method] = contrast
            for method in reading.methods:
                levels[method] = next(one for run, one in reading.estimates(estimand, method) if run is None)
        return Found(contrasts, levels)


@dataclass
class Misses:
    """How often a truth lies below and above the bounds of contrasts that are judged, and how many are."""

    below: float
    above: float
    judged: float

    def __str__(self) -> str:
        return f"{self.below:.3f} {self.above:.3f} ({self.judged:.2f} judged)"


def misses(drawn: KnownValues, repetitions: int, seed: int = 0, tail: float = 0.05) -> dict[str, Misses]:
    """By what is compared, the shares of draws in which a judged contrast misses its truth.

    `gap` is that of the method, `change` and `gap change` are those of method and reference, `level` is the 95%
    interval of the reference's mean, at tails of .025.
    """
    truth = {
        "gap": drawn.gap(),
        "change": drawn.mean("method", 0) - drawn.mean("reference", 0),
        "gap change": drawn.gap() - drawn.gap("reference"),
    }
    counts = {kind: np.zeros(3) for kind in (*truth, "level")}
    for repetition in range(repetitions):
        one = found(drawn, seed, repetition)
        for kind, value in truth.items():
            contrast = one.contrasts.get((kind, "method"))
            bounds = None if contrast is None else contrast.bounds(tail)
            if bounds is not None:
                counts[kind] += (value < bounds[0], value > bounds[1], 1)
        level, mean = one.levels["reference"], drawn.mean("reference", 0)
        if level.low is not None and level.high is not None:
            counts["level"] += (mean < level.low, mean > level.high, 1)
    return {kind: Misses(*(count / repetitions)) for kind, count in counts.items()}


def lines(worlds: dict[str, KnownValues], repetitions: int) -> Iterator[str]:
    """The table of a run by hand."""
    for name, drawn in worlds.items():
        shown = ", ".join(f"{kind} {miss}" for kind, miss in misses(drawn, repetitions).items())
        yield f"{name}: {shown}"
