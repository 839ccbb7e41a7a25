"""Searches of made-up examples whose disparities are known: rates, runs and attributes drawn from simple models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.measures import Measure, measure_named
from evenhand.audit.subgroups.asked import Asked
from evenhand.audit.subgroups.attributes import SearchedAttribute
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import ComparisonKind
from evenhand.audit.subgroups.findings import adjusted
from evenhand.audit.subgroups.null import null_maxima
from evenhand.audit.subgroups.questions import Outcome
from evenhand.audit.subgroups.search import ask

SUPPORT = 10


@dataclass(frozen=True, eq=False)
class Searched:
    """A search with its p-values.

    Attributes:
        conjunctions: that were searched.
        asked: the questions.
        p: by question float [S], over all of them.
    """

    conjunctions: Conjunctions
    asked: Sequence[Asked]
    p: Sequence[np.ndarray]

    @property
    def smallest(self) -> float:
        """The smallest p-value of all."""
        return float(min(one.min() for one in self.p))

    @property
    def worst(self) -> str:
        """The name of the subgroup with the largest contrast of all."""
        best = max(self.asked, key=lambda one: one.z.max())
        return self.conjunctions.name(int(best.z.argmax()))


def attributes(rng: np.random.Generator, rows: int, count: int, groups: int) -> list[SearchedAttribute]:
    """Attributes with independent groups of unequal size, named a0, a1, … with the groups 0, 1, …"""
    shares = np.arange(groups, 0, -1) / np.arange(1, groups + 1).sum() if groups > 1 else np.ones(1)
    names = tuple(map(str, range(groups)))
    return [SearchedAttribute(f"a{place}", names, rng.choice(groups, rows, p=shares)) for place in range(count)]


def outcome(
    numerator: np.ndarray,
    comparisons: tuple[ComparisonKind, ...],
    weight: np.ndarray | None = None,
    measure: str | Measure = "accuracy",
    terms: tuple[float, ...] = (1.0,),
) -> Outcome:
    """What examples add to a measure, or to its change: float [R, K·J]."""
    weight = np.ones_like(numerator) if weight is None else weight
    reference = None if comparisons == ("gap",) else "full"
    named = measure_named(measure) if isinstance(measure, str) else measure
    sums = numerator * weight, weight
    return Outcome(named, None, None, "lora", reference, comparisons, *sums, terms=terms)


def searched(
    found: Sequence[SearchedAttribute],
    made: Sequence[Outcome],
    rng: np.random.Generator,
    depth: int = 3,
    support: int = 30,
    draws: int = 199,
    unit: np.ndarray | None = None,
) -> Searched:
    """Search outcomes of R rows."""
    conjunctions = Conjunctions(found, len(made[0].weight), depth, support, unit)
    asked = [each for one in made for each in ask(conjunctions, one, SUPPORT)]
    maxima = np.sort(null_maxima(conjunctions, asked, rng, draws))
    return Searched(conjunctions, asked, [adjusted(one.z, maxima) for one in asked])


def rights(
    rng: np.random.Generator,
    rate: np.ndarray,
    runs: int,
    agreement: float,
    seeds: Sequence[np.ndarray] = (),
    spread: float = 0.0,
) -> np.ndarray:
    """Which examples each run gets right, float [R, J].

    Args:
        rate: float [R], the probability of being right.
        runs: J.
        agreement: the share of an example's chance that all runs have in common.
        seeds: masks of groups, bool [R], whose rate a run shifts at random.
        spread: the standard deviation of that shift.
    """
    rows = len(rate)
    own = rng.random((rows, runs)) < agreement
    drawn = np.where(own, rng.random(rows)[:, None], rng.random((rows, runs)))
    shifted = rate[:, None] + sum(np.outer(mask, rng.normal(scale=spread, size=runs)) for mask in seeds)
    return (drawn < shifted).astype(float)
