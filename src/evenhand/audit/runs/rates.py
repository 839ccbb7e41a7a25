"""Computes rates, and their gaps between a group and the rest, in all groups of an evaluation at once.

The influences that `measures.influence` gives example by example have a closed form for all groups (`stats.subsets`).
It does not cover groups in which a rate is undefined in some run or few units are discordant, nor examples that are
resampled together: here each example is its own unit. `measures.influence` serves these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evenhand.audit.design import OVERALL
from evenhand.audit.estimands import EVERYONE, Comparison, Estimand, Subset
from evenhand.audit.evaluation import Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import GapOf, RateOf
from evenhand.audit.measures.run_data import BASE, Rate
from evenhand.audit.reading import LEVEL
from evenhand.audit.runs.gains_and_losses import GainsAndLosses
from evenhand.audit.runs.group_gaps import Gaps, gaps_to_rest
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.proportion import FEW, proportion_intervals
from evenhand.stats.rate_changes import RateChange
from evenhand.stats.student_t import quantiles
from evenhand.stats.subset_rows import Rows
from evenhand.stats.subsets import RatioSums, TwoWays, changes, levels


@dataclass(frozen=True, eq=False)
class Levels:
    """A rate or a gap in each subset, of each run and over runs.

    Attributes:
        mean: over runs, with its variance, and of each run.
        low, high: float [S, J + 1], 95% intervals of each run, and last of the mean; nan where there is none.
        counts: int [S, J], examples that each run's value rests on; smallest: the smaller side of a gap.
        smallest: int [S], the fewest examples in a denominator of any run.
        exact: bool [S], where this stands for what is computed example by example.
    """

    mean: TwoWays
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    smallest: np.ndarray
    exact: np.ndarray


@dataclass(frozen=True, eq=False)
class Changes:
    """A change between two methods in each subset.

    Attributes:
        whole: its variance.
        smallest: as of `Levels`.
        exact: bool [S], where this stands for what is computed example by example: it is defined, and at least `FEW`
            units are discordant.
        totals: computes by subset what each unit contributes over all runs: codes and float [U].
        gains: of a rate, what each subset gained and lost.
    """

    whole: TwoWays
    smallest: np.ndarray
    exact: np.ndarray
    totals: Callable[[int], tuple[np.ndarray, np.ndarray]]
    gains: GainsAndLosses | None = None

    def adjusted(self, index: int) -> RateChange | None:
        """The interval of one change of a rate; None of a gap."""
        return None if self.gains is None else RateChange(self.whole.at(index), (self.gains.at(index),))


@dataclass(eq=False)
class SubsetRates:
    """The rates of one evaluation; remembers those of the last measure and class.

    Attributes:
        reader: the evaluation's runs.
    """

    reader: RunInfluences
    _last: tuple[object, ...] = ()
    _levels: dict[str, Levels] = field(default_factory=dict)
    _changes: dict[tuple[str, str | None], Changes] = field(default_factory=dict)

    @cached_property
    def rows(self) -> np.ndarray:
        """int [R], the examples that some run tested."""
        tested = np.zeros(len(self.reader.evaluation.population.label), dtype=bool)
        for sample in self.reader.evaluation.samples:
            tested[sample] = True
        return np.flatnonzero(tested)

    @cached_property
    def able(self) -> bool:
        """Whether each example is a unit of its own, and all count alike."""
        return not self.reader.uneven

    @cached_property
    def places(self) -> dict[Subset, int]:
        """The position of each subset."""
        groups = [Subset(own.attribute, name) for own in self.reader.evaluation.groups for name in own.names]
        return {subset: place for place, subset in enumerate([EVERYONE, *groups])}

    @cached_property
    def sides(self) -> np.ndarray:
        """[2S, R], 1 for everyone and for each group's members; then for its rest, where its attribute is defined."""
        everyone = np.ones((1, len(self.rows)), dtype=bool)
        groups = [(own.masks[self.rows].T, own.defined[self.rows]) for own in self.reader.evaluation.groups]
        rests = [defined & ~members for members, defined in groups]
        return _fast(np.concatenate([everyone, *(members for members, _ in groups), ~everyone, *rests]))

    @property
    def masks(self) -> np.ndarray:
        """[S, R], the first half of `sides`: everyone and the members of each group."""
        return self.sides[: len(self.places)]

    @property
    def rests(self) -> np.ndarray:
        """[S, R], the second half of `sides`: those outside of each group."""
        return self.sides[len(self.places) :]

    @cached_property
    def overall(self) -> np.ndarray:
        """bool [S], the groups that are compared with everybody."""
        against = self.reader.evaluation.design.against
        return np.array([against.get(str(subset.attribute)) == OVERALL for subset in self.places])

    @cached_property
    def opposites(self) -> np.ndarray:
        """[S, R], 1 for whom each group is compared with: its rest, everybody, or another group."""
        against = self.reader.evaluation.design.against
        if not against:
            return self.rests
        opposites = self.rests.copy()
        for groups in self.reader.evaluation.groups:
            named = against.get(groups.attribute)
            if named is None:
                continue
            everybody = groups.defined if named == OVERALL else groups.mask(named)
            for name in groups.names:  # a group is not compared with itself
                row = self.places[Subset(groups.attribute, name)]
                opposites[row] = 0 if name == named else everybody[self.rows]
        return opposites

    @cached_property
    def apart(self) -> np.ndarray:
        """[S, R], as `opposites`, without the group itself: of everybody the rest."""
        if not self.overall.any():
            return self.opposites
        return np.where(self.overall[:, None], self.rests, self.opposites)

    def levels(self, estimand: Estimand, method: str) -> tuple[Levels, int] | None:
        """The estimand in a method's runs, and where its subset stands; None where it has no closed form here."""
        runs = self.reader.runs_of(method)
        kept = self._kept_for(estimand, self._levels)
        if kept is None or not runs:
            return None
        if method not in kept:
            kept[method] = self.table(estimand, [runs]).levels()
        return kept[method], self.places[estimand.subset]

    def changes(self, comparison: Comparison, pairs: Sequence[tuple[Run, Run]]) -> tuple[Changes, int] | None:
        """The comparison over pairs of runs, and where its subset stands; None where it has no closed form here."""
        estimand, key = comparison.estimand, (comparison.method, comparison.reference)
        kept = self._kept_for(estimand, self._changes)
        if kept is None or not pairs:
            return None
        if key not in kept:
            order = (0, 1) if comparison.signs[0] > 0 else (1, 0)
            sides = [[pair[side] for pair in pairs] for side in order]
            kept[key] = self.table(estimand, sides).changes()
        return kept[key], self.places[estimand.subset]

    def _kept_for(self, estimand: Estimand, kept: dict) -> dict | None:
        """The cached results for the estimand's measure and class; None where there is no closed form."""
        influence = estimand.measure.influence
        of_groups = isinstance(influence, GapOf) and estimand.subset.level == "group"
        if not (self.able and (of_groups or isinstance(influence, RateOf))):
            return None
        about = (estimand.measure.name, estimand.class_code)
        if about != self._last:
            self._last = about
            self._levels.clear()
            self._changes.clear()
        return kept

    def table(self, estimand: Estimand, sides: Sequence[Sequence[Run]]) -> _Table:
        """What the runs of one method, or of two, say of each example."""
        return _Table.of(self, estimand.measure, self.reader.positive(estimand), sides)


MOST = 2**24
"""Masks are kept as floats up to so many numbers."""


def _fast(masks: np.ndarray) -> np.ndarray:
    """Masks as floats, which matrix products take as they are, unless they are too large for that."""
    return np.ascontiguousarray(masks, dtype=float if masks.size <= MOST else bool)


@dataclass(frozen=True, eq=False)
class _Table:
    """The outcomes of each example in the runs of one method, or of two.

    Attributes:
        rates: which; a gap may be the largest of several.
        sides: of one method, or of the first and the second.
        weight: float [R, J]; 0 where the run did not test the example.
        bases: by rate float [R, J], the weights of its denominator.
        events: by side and rate float [R, J], weights of the examples with the outcome.
        predicted: by side int [R, J].
    """

    subsets: SubsetRates
    measure: Measure
    rates: tuple[Rate, ...]
    weight: np.ndarray
    bases: Sequence[np.ndarray]
    events: Sequence[Sequence[np.ndarray]]
    predicted: Sequence[np.ndarray]

    @classmethod
    def of(cls, subsets: SubsetRates, measure: Measure, positive: int | None, sides: Sequence[Sequence[Run]]) -> _Table:
        influence = measure.influence
        rates = (influence.rate,) if isinstance(influence, RateOf) else influence.rates
        population = subsets.reader.evaluation.population
        shape = (len(subsets.rows), len(sides[0]))
        weight = np.zeros(shape)
        events = [[np.zeros(shape) for _ in rates] for _ in sides]
        predicted = [np.full(shape, -1, dtype=np.int32) for _ in sides]
        for run, pair in enumerate(zip(*sides, strict=True)):
            rows = pair[0].rows
            place = slice(None) if len(rows) == len(subsets.rows) else np.searchsorted(subsets.rows, rows)
            own = population.weight[pair[0].rows]
            weight[place, run] = own
            for side, one in enumerate(pair):
                view = subsets.reader.view(one, positive)
                predicted[side][place, run] = one.predicted
                for rate, event in zip(rates, events[side], strict=True):
                    event[place, run] = own * view.outcome(rate)
        label = population.label[subsets.rows] == positive
        kept = {"all": np.ones(len(label), dtype=bool), "positive": label, "negative": ~label}
        bases = [weight * kept[BASE[rate]][:, None] for rate in rates]
        events = [[event * (base > 0) for event, base in zip(side, bases, strict=True)] for side in events]
        return cls(subsets, measure, rates, weight, bases, events, predicted)

    def levels(self) -> Levels:
        """A rate, or the gap of each group to its rest."""
        if not isinstance(self.measure.influence, RateOf):
            gaps = self._gaps(softened=False)
            mean = gaps.whole
            half = quantiles(1 - (1 - LEVEL) / 2, gaps.df_of_all) * np.sqrt(gaps.variance_of_all)
            middle = np.hstack([mean.values, mean.estimate[:, None]])
            low, high = (np.clip(middle + sign * half, *self.measure.limits) for sign in (-1, 1))
            return Levels(mean, low, high, mean.units_of_runs, gaps.smallest, gaps.moving)
        masks, (base,) = self.subsets.masks, self.bases
        mean = levels(RatioSums(self.events[0][0], base), masks)
        rows = Rows.of([base], base > 0, np.ones(len(base), dtype=bool), None)
        size, squares = rows.sums(masks, [base, base**2])
        counts = mean.units_of_runs
        with np.errstate(divide="ignore", invalid="ignore"):
            each = squares / size**2
            cells = np.hstack([1 / each, base.shape[1] ** 2 / each.sum(axis=1, keepdims=True)])
        low, high = proportion_intervals(
            np.hstack([mean.values, mean.estimate[:, None]]),
            np.hstack([mean.of_runs, mean.variance[:, None]]),
            cells,
            np.hstack([counts, mean.units[:, None]]),
            quantiles(1 - (1 - LEVEL) / 2, np.hstack([np.maximum(counts - 1, 1), mean.df[:, None]])),
        )
        defined = np.logical_and.reduce(np.isfinite(mean.values), axis=1)
        return Levels(mean, low, high, counts, counts.min(axis=1), defined)

    def changes(self) -> Changes:
        """A change of a rate, or of the gap of each group to its rest."""
        units = self.subsets.reader.evaluation.population.unit[self.subsets.rows]
        if not isinstance(self.measure.influence, RateOf):
            fixed = len(self.subsets.reader.evaluation.samples) == 1
            gaps = self._gaps(softened=not fixed)

            def of_gap(place: int) -> tuple[np.ndarray, np.ndarray]:
                rows, total = gaps.totals(place)
                return units[rows], total

            return Changes(gaps.whole, gaps.smallest, gaps.discordant, of_gap)
        masks, (base,) = self.subsets.masks, self.bases
        first, second = (RatioSums(side[0], base) for side in self.events)
        whole = changes(first, second, masks)
        differ = (first.numerator != second.numerator).any(axis=1)
        discordant = np.rint(masks.astype(float, copy=False) @ differ.astype(float))
        exact = np.where(discordant >= FEW, np.isfinite(whole.values).all(axis=1), False)

        def of_rate(place: int) -> tuple[np.ndarray, np.ndarray]:
            rows = np.flatnonzero((masks[place] > 0) & (base > 0).any(axis=1))
            moves = first.numerator[rows] - second.numerator[rows] - whole.estimate[place] * base[rows]
            return units[rows], (moves / base[rows].sum(axis=0)).mean(axis=1)

        gains = GainsAndLosses(first, second, masks)
        return Changes(whole, whole.units_of_runs.min(axis=1), exact, of_rate, gains)

    def _gaps(self, softened: bool) -> Gaps:
        subsets = self.subsets
        differ = None if len(self.predicted) < 2 else self.predicted[0] != self.predicted[1]
        return gaps_to_rest(subsets.sides, self.weight, self.bases, self.events, differ, softened)
