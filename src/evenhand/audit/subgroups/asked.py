"""A question to all conjunctions and the contrasts that answer it, whatever these are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from evenhand.audit.estimands import Comparison, Estimand, change
from evenhand.audit.measures import Measure
from evenhand.audit.subgroups.contrasts import ComparisonKind, Contrasts
from evenhand.audit.verdict_rows import scope_of


@dataclass(frozen=True, eq=False)
class Question:
    """A measure of a method, or its change between two methods; a subclass has what each row adds to it.

    Attributes:
        measure: with the direction that follows from the design.
        class_code, class_name: the class against the rest; None for all at once, or with two classes.
        method, reference: a change is of the method minus the reference; None: the value of one method.
        comparisons: what is asked of it.
        single: whether one model is compared with several.
    """

    measure: Measure
    class_code: int | None
    class_name: str | None
    method: str
    reference: str | None
    comparisons: tuple[ComparisonKind, ...]
    single: bool = field(default=False, kw_only=True)

    @property
    def runs(self) -> int:
        """J; none as long as it is not known what rows add."""
        return 0

    def part(self, rows: np.ndarray) -> Question:
        """The question of some rows, bool [R]; the others count nothing."""
        return self

    @property
    def scope(self) -> str:
        """What an answer is about: these models, or the methods."""
        return scope_of(self.reference, self.runs, self.single)

    @cached_property
    def compared(self) -> Comparison:
        """The comparison of everyone, whose sign is that of every conjunction."""
        return change(Estimand(self.measure), self.method, str(self.reference), self.measure.direction)

    @property
    def sign(self) -> int:
        """+1 where more is worse, or where neither direction is; −1 where less is worse."""
        return int(self.compared.signs[0])

    @property
    def two_sided(self) -> bool:
        """Whether neither direction is worse."""
        return self.compared.two_sided


@dataclass(frozen=True, eq=False)
class Asked(ABC):
    """One question to all conjunctions.

    Attributes:
        outcome: the question.
        kind: of comparison.
        contrasts: before their sign.
        judged: bool [S], the conjunctions that are compared: of enough units, with a standard error.
    """

    outcome: Question
    kind: ComparisonKind
    contrasts: Contrasts
    judged: np.ndarray

    @cached_property
    def z(self) -> np.ndarray:
        """The contrasts on the scale of one-sided normal values, more is worse, float [S]; −∞ where not judged."""
        return np.where(self.judged, self.oriented(self.contrasts.z), -np.inf)

    def oriented(self, z: np.ndarray) -> np.ndarray:
        """With its sign; where neither direction is worse, the normal value of twice the tail."""
        if not self.outcome.two_sided:
            return self.outcome.sign * z
        return -ndtri_exp(np.minimum(np.log(2) + log_ndtr(-np.abs(z)), 0.0))

    def largest(self, z: np.ndarray) -> np.ndarray:
        """The largest of drawn contrasts, from [S, D] (before their sign) to float [D]."""
        return self.largest_of(z[self.judged])

    def largest_of(self, own: np.ndarray) -> np.ndarray:
        """The largest of drawn contrasts of conjunctions that are judged."""
        if not len(own):
            return np.full(own.shape[1], -np.inf)
        if not self.outcome.two_sided:
            return (self.outcome.sign * own).max(axis=0)
        return self.oriented(np.abs(own).max(axis=0))

    @abstractmethod
    def within(self, inner: np.ndarray, outer: np.ndarray) -> Contrasts:
        """Smaller conjunctions against the others of larger ones, int [K] each; nan where there are no others."""

    @abstractmethod
    def without(self, inner: np.ndarray, outer: np.ndarray) -> Contrasts:
        """The contrasts of larger conjunctions without smaller ones, int [K] each; nan of nobody."""

    @abstractmethod
    def gaps(self) -> Mapping[str, Contrasts] | None:
        """Of a change the gaps `of_method`, `of_reference` and their `total`, in all conjunctions."""
