"""Computes measures of pairs of runs: agreement between the runs of a method, and predictions that it flips.

Neither belongs to single runs as rates do. The agreement of the runs of a method is one number, whose jackknife over
runs takes the place of values by run; a flip belongs to a run and to the run of the reference at the same seed. Both
are given here as runs with influences, so that everything that is done with runs is done with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from evenhand.audit.estimands import Estimand
from evenhand.audit.evaluation import Run
from evenhand.audit.measures.influence import Influence, undefined
from evenhand.audit.measures.stability import ALONE
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.trial_records import seed_pairs
from evenhand.stats.agreement import RunAgreement

TWO_RUNS = "two runs: the interval includes the noise of the examples only, not that of training"
FEW_SHARED = "the variation over seeds is not known: without some run, no example was predicted by two"


@dataclass(frozen=True, eq=False)
class RunsTogether:
    """The runs of a method on the same examples.

    Attributes:
        rows: int [m], positions in the population.
        agreement: of the runs on these examples.
        weight: float [m], of the examples.
        tested: float [J, m], the weights by which an example's part in each run is measured.
    """

    rows: np.ndarray
    agreement: RunAgreement
    weight: np.ndarray
    tested: np.ndarray


@dataclass(frozen=True, eq=False)
class RunAmongOthers(Run):
    """A run of a method, to be paired with its other runs.

    Attributes:
        others: all of them.
        index: which of them it is.
    """

    others: RunsTogether | None = None
    index: int = 0


@dataclass(frozen=True, eq=False)
class RunBesideReference(Run):
    """A run and that of the reference at the same seed; `predicted` is 1 where they differ.

    Attributes:
        weight: float [m], of the examples; 0 where one of both has no prediction.
    """

    weight: np.ndarray = field(default_factory=lambda: np.empty(0))


@dataclass(eq=False)
class RunPairInfluences(RunInfluences):
    """The influences of measures of pairs of runs.

    Attributes:
        reference: of flips, the method that others are compared with; None for the agreement of each method's runs.
    """

    reference: str | None = None
    _by_seed: dict[str, dict[int, Run]] = field(default_factory=dict)
    _siblings: dict[int, Sequence[Run]] = field(default_factory=dict)
    _compared: dict[tuple[str, str], tuple[list[tuple[Run, Run]], int]] = field(default_factory=dict)

    def by_seed(self, method: str) -> dict[int, Run]:
        """The runs of a method, each among its others or beside that of the reference."""
        if method not in self._by_seed:
            own = super().by_seed(method)
            if self.together(method):
                self._by_seed[method] = dict(zip(own, self._among(list(own.values())), strict=True))
            else:
                self._by_seed[method] = self._beside(method)
        return self._by_seed[method]

    def together(self, method: str) -> bool:
        """Whether the runs of a method are paired with each other."""
        return self.reference is None or method == self.reference

    def comparable(self, method: str) -> bool:
        """Whether a method has the two runs that its agreement is of, where that is meant."""
        return not self.together(method) or len(super().by_seed(method)) > 1

    def pairs(self, method: str, reference: str) -> tuple[list[tuple[Run, Run]], int]:
        """The runs of both methods at the seeds that they share, on the same examples."""
        key = (method, reference)
        if key not in self._compared:
            pairs, dropped = super().pairs(method, reference)
            sides = [[pair[side] for pair in pairs] for side in (0, 1)]
            if self.reference is None:
                ours, theirs = (self._among(side) for side in sides)
            else:
                rows = np.unique(np.concatenate([run.rows for run in sides[1]])) if pairs else None
                theirs = self._among(sides[1], rows)
                ours = [self._flips(*pair, rows) for pair in pairs]
            self._compared[key] = list(zip(ours, theirs, strict=True)), dropped
        return self._compared[key]

    def caveats(self, estimand: Estimand, method: str) -> list[str]:
        """How many of the tested examples count, where not all do; what the interval leaves out."""
        if not self.together(method):
            return []
        runs = super().by_seed(method).values()
        tested = np.zeros(len(self.evaluation.population.label), dtype=bool)
        for run in runs:
            tested[run.rows] = True
        counted = np.zeros(len(tested), dtype=bool)
        counted[_shared(list(runs))] = True
        members = np.ones(len(tested), dtype=bool)
        if estimand.subset.group is not None:
            members = self.groups(estimand.subset.attribute).mask(estimand.subset.group)
        of, among = int((counted & members).sum()), int((tested & members).sum())
        notes = [f"{of} of {among} tested examples were predicted by two runs or more, and count"] if of < among else []
        return notes + (self.doubts(estimand, method) if of else [])

    def doubts(self, estimand: Estimand, method: str) -> list[str]:
        """The reason where the variation over seeds is not known."""
        if not self.together(method):
            return []
        runs = self.runs_of(method)
        first = next((run for run in runs if isinstance(run, RunAmongOthers) and run.others is not None), None)
        if first is None or first.others is None or len(runs) < 2:
            return []
        if len(runs) == 2:
            return [TWO_RUNS]
        rows = self.subset(first, estimand).rows
        weight = np.zeros(len(first.rows))
        weight[rows] = first.others.weight[rows]
        return [] if first.others.agreement.known_over_runs(weight) else [FEW_SHARED]

    def _among(self, runs: Sequence[Run], rows: np.ndarray | None = None) -> list[Run]:
        """Each run among the others, on the examples that two of them predicted, or on those that are given.

        Given examples have in a run the weight with which it predicted them, so that they are compared with its own.
        """
        every = rows is not None
        rows = _shared(runs) if rows is None else rows
        population = self.evaluation.population
        predicted = np.full((len(runs), len(rows)), -1, dtype=np.int64)
        for own, run in zip(predicted, runs, strict=True):
            place = np.searchsorted(run.rows, rows)
            place[place == len(run.rows)] = 0
            found = run.rows[place] == rows if len(run.rows) else np.zeros(len(rows), dtype=bool)
            own[found] = run.predicted[place[found]]
        weight = population.weight[rows]
        tested = np.where(predicted >= 0, weight, 0.0) if every else np.tile(weight, (len(runs), 1))
        others = RunsTogether(rows, RunAgreement.of(predicted), weight, tested)
        found = [RunAmongOthers(rows, own, None, None, others, index) for index, own in enumerate(predicted)]
        self._siblings |= {id(run): found for run in found}
        return list(found)

    def _beside(self, method: str) -> dict[int, Run]:
        """By seed, the runs of a method beside those of the reference; by the reference's seeds for a single run."""
        reference = str(self.reference)
        own, theirs = self.evaluation.seeds(method), self.evaluation.seeds(reference)
        found: dict[int, Run] = {}
        for seed, other in seed_pairs(own, theirs)[0]:
            pair = self.pair(method, reference, seed, other)
            if pair is not None:
                found[seed if len(own) > 1 else other] = self._flips(pair[0], pair[1])
        return found

    def _flips(self, ours: Run, theirs: Run, rows: np.ndarray | None = None) -> RunBesideReference:
        """Which predictions differ between two runs on the same examples, among further ones where `rows` are given."""
        flipped, weight = ours.predicted != theirs.predicted, self.evaluation.population.weight[ours.rows]
        if rows is None or len(rows) == len(ours.rows):
            return RunBesideReference(ours.rows, flipped.astype(np.int64), None, weight=weight)
        place = np.searchsorted(rows, ours.rows)
        every, all_weights = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
        every[place], all_weights[place] = flipped, weight
        return RunBesideReference(rows, every, None, weight=all_weights)

    def _influence(self, run: Run, estimand: Estimand) -> Iterator[tuple[Run, Influence]]:
        """The run with its influence; of runs that are paired with each other, all of them with theirs."""
        subset, compute = self.subset(run, estimand), estimand.measure.influence
        if isinstance(run, RunBesideReference):
            units = self.view(run, None).count(subset.rows[run.weight[subset.rows] > 0])
            yield run, compute.of_flips(run.predicted == 1, run.weight, subset.rows, units)
            return
        if not isinstance(run, RunAmongOthers) or run.others is None:
            yield run, undefined(ALONE)
            return
        others, data = run.others, self.view(run, None)
        rows = subset.rows[~np.isnan(others.agreement.share[subset.rows])]
        counts = [data.count(rows[tested[rows] > 0]) for tested in others.tested]
        influences = compute(others.agreement, others.weight, others.tested, subset.rows, counts)
        yield from zip(self._siblings[id(run)], influences, strict=True)

    def _supported(self, run: Run, influence: Influence) -> Influence:
        """The influence itself, which counts the units that support it."""
        return influence


def _shared(runs: Sequence[Run]) -> np.ndarray:
    """int [m], ascending, the examples that two runs or more predicted."""
    if not runs:
        return np.empty(0, dtype=np.int64)
    rows, counts = np.unique(np.concatenate([run.rows for run in runs]), return_counts=True)
    return rows[counts >= 2]
