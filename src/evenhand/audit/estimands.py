"""Names what is estimated: a rate in a subset of examples, or a difference of such rates (gap, change, gap change)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evenhand.audit.design import OVERALL, REST
from evenhand.audit.measures import Measure
from evenhand.audit.measures.run_data import Level


@dataclass(frozen=True)
class Subset:
    """The subset of examples that an estimand is about; without an attribute everyone.

    Attributes:
        attribute: the attribute of the group. Without a group: all groups of the attribute together.
        group: one group of the attribute.
        complement: everyone outside of the group for whom the attribute is defined (the rest).
        also: further groups; the subset is the conjunction of all of them.
    """

    attribute: str | None = None
    group: str | None = None
    complement: bool = False
    also: tuple[Subset, ...] = ()

    @property
    def level(self) -> Level:
        """Everyone, a group, or an attribute's groups together."""
        if self.attribute is None:
            return "everyone"
        return "attribute" if self.group is None else "group"

    @property
    def rest(self) -> Subset:
        """The complement of a group."""
        return Subset(self.attribute, self.group, not self.complement, self.also)

    @property
    def name_against(self) -> str:
        """What tables call it where a group is compared with it: `rest`, `overall`, or a group."""
        if self.complement:
            return REST
        return OVERALL if self.group is None else self.group

    def against(self, name: str) -> Subset:
        """What a group is compared with, from the name that tables have for it.

        Everybody are all for whom the attribute is defined.
        """
        if name == REST:
            return self.rest
        return Subset(self.attribute) if name == OVERALL else Subset(self.attribute, name)


EVERYONE = Subset()


@dataclass(frozen=True)
class Estimand:
    """One measure of one subset.

    Attributes:
        measure: the measure that is estimated.
        subset: the examples that it is computed over.
        class_code, class_name: the class against the rest, with more than two classes; None for all at once.
        condition: of options the question or the kind of question (None: all), of benchmarks which, of probes the
            target and the layer, of membership which threshold.
        correction: what was done to the answers (None: raw).
        family: whose contrasts are judged together with its own, beside measure, methods and correction; None: those of
            its level.
    """

    measure: Measure
    subset: Subset = EVERYONE
    class_code: int | None = None
    class_name: str | None = None
    condition: str | None = None
    correction: str | None = None
    family: str | None = None


@dataclass(frozen=True)
class Term:
    """One summand of a comparison: coefficient · (the estimand of a method, of a subset)."""

    coefficient: float
    method: str
    subset: Subset


@dataclass(frozen=True)
class Comparison:
    """A linear combination of estimands, positive where the method is less fair or less useful.

    Its value is Σ coefficient·value and its influence Σ coefficient·influence, unit by unit and seed by seed, so that
    one variance formula serves every kind of comparison.

    Attributes:
        kind: `change` (method − reference), `gap` (group − rest of one method), or `gap change` (the method's gap
            − the reference's).
        estimand: what is compared.
        method: the method that gets the verdict.
        reference: the method that it is compared with; None for a gap.
        terms: the summands, with the measure's sign in their coefficients.
        decides: whether it gets a verdict.
        two_sided: whether neither direction is worse, so that its verdict is two-sided.
        mirrored: whether the rest is the attribute's only other group, whose gap change is minus this one: both are one
            number, and get one row.
    """

    kind: Literal["change", "gap", "gap change"]
    estimand: Estimand
    method: str
    reference: str | None
    terms: tuple[Term, ...]
    decides: bool
    mirrored: bool = False
    two_sided: bool = False

    @property
    def against(self) -> str | None:
        """What a gap is measured against, as tables name it; None of a change."""
        return None if self.kind == "change" else self.opposite.name_against

    @property
    def opposite(self) -> Subset:
        """The subset that a group is compared with in a gap: its rest, everybody, or another group."""
        return self.terms[1].subset

    @property
    def decided_by(self) -> str:
        """Where it gets no verdict, what decides in its place, in words; empty where nothing does."""
        measure = self.estimand.measure
        return measure.decided_by or ("" if self.kind == "change" else measure.gaps_decided_by)

    def within(self, bounds: tuple[float, float]) -> tuple[float, float]:
        """Bounds cut at what the comparison can be: ±(hi − lo) of its measure, ±2(hi − lo) for a gap change."""
        least, most = self.estimand.measure.limits
        largest = (most - least) * (2 if self.kind == "gap change" else 1)
        low, high = (min(max(bound, -largest), largest) for bound in bounds)
        return low, high

    @property
    def signs(self) -> tuple[float, ...]:
        """The coefficients of the terms."""
        return tuple(term.coefficient for term in self.terms)


def change(estimand: Estimand, method: str, reference: str, direction: int, decides: bool = True) -> Comparison:
    """The estimand of a method minus that of its reference, in the same subset.

    Args:
        estimand: what is compared.
        method, reference: the two methods.
        direction: +1 where more of the measure is worse, −1 where less is, 0 where neither (then as +1).
        decides: whether it gets a verdict.
    """
    terms = _signed(direction, (1, method, estimand.subset), (-1, reference, estimand.subset))
    return Comparison("change", estimand, method, reference, terms, decides, two_sided=not direction)


def gap(
    estimand: Estimand, method: str, direction: int, against: Subset | None = None, mirrored: bool = False
) -> Comparison:
    """The estimand of a group minus that of the rest (or of everybody, or another group): one model is enough.

    Args: see `change` and `Comparison`.
    """
    rest = against or estimand.subset.rest
    terms = _signed(direction, (1, method, estimand.subset), (-1, method, rest))
    return Comparison("gap", estimand, method, None, terms, _gaps_decide(estimand), mirrored, not direction)


def gap_change(
    estimand: Estimand,
    method: str,
    reference: str,
    direction: int,
    against: Subset | None = None,
    mirrored: bool = False,
) -> Comparison:
    """The gap of a method minus the gap of its reference: does the method hurt this group more than the others?

    Args: see `change` and `Comparison`.
    """
    rest = against or estimand.subset.rest
    group = estimand.subset
    terms = _signed(direction, (1, method, group), (-1, method, rest), (-1, reference, group), (1, reference, rest))
    decides = _gaps_decide(estimand)
    return Comparison("gap change", estimand, method, reference, terms, decides, mirrored, not direction)


def _gaps_decide(estimand: Estimand) -> bool:
    """Whether gaps of the estimand, and their changes, get a verdict."""
    return estimand.measure.decides and not estimand.measure.gaps_decided_by


def _signed(direction: int, *terms: tuple[int, str, Subset]) -> tuple[Term, ...]:
    """The terms with the measure's sign: the one place where it is applied."""
    sign = -1.0 if direction < 0 else 1.0
    return tuple(Term(sign * coefficient, method, subset) for coefficient, method, subset in terms)
