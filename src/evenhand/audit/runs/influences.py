"""Computes the influence of every example on a measure, run by run, in any subset of one evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from evenhand.audit.comparisons import OVERLAP, clustering_note, overlapping_training
from evenhand.audit.design import REST
from evenhand.audit.estimands import Estimand, Subset
from evenhand.audit.evaluation import Evaluation, Groups, Run
from evenhand.audit.measures.calibration import CalibrationError, Pooled, pool_runs
from evenhand.audit.measures.influence import Influence, RateOf, undefined
from evenhand.audit.measures.run_data import BASE, Base, RunData, RunSubset
from evenhand.audit.measures.scores import BalancedAccuracy, F1Score, MeanScoreOf, PredictiveValueOf
from evenhand.audit.trial_records import seed_pairs
from evenhand.stats.contrast import count_distinct

OF_MEMBERS = (RateOf, CalibrationError, PredictiveValueOf, F1Score, BalancedAccuracy, MeanScoreOf)
"""What asks for a group's members only: positions of its rest, which are many, are not kept for these."""
KEPT = 200_000
"""Predictions of a method up to which the parts of calibration errors are kept: 40 bytes each, for each subset."""


@dataclass(eq=False)
class RunInfluences:
    """The influence of each estimand in each run of one evaluation; those of the last estimand are cached.

    Attributes:
        evaluation: its runs, examples and groups.
        support: groups with fewer examples of a rate's base in some run are not eligible for max − min.
    """

    evaluation: Evaluation
    support: int
    _data: dict = field(default_factory=dict)
    _subsets: dict = field(default_factory=dict)
    _eligible: dict = field(default_factory=dict)
    _influences: dict = field(default_factory=dict)
    _pairs: dict = field(default_factory=dict)
    _common_runs: dict = field(default_factory=dict)
    _kept_pools: dict = field(default_factory=dict)
    _estimand: Estimand | None = None

    @cached_property
    def clustered(self) -> bool:
        """Whether some resampling unit holds several of the tested examples."""
        tested = np.zeros(len(self.evaluation.population.label), dtype=bool)
        for sample in self.evaluation.samples:
            tested[sample] = True
        unit = self.evaluation.population.unit[tested]
        return count_distinct([unit]) < len(unit)

    @cached_property
    def uneven(self) -> bool:
        """Whether some resampling unit counts for more than another: units of several examples, or unequal weights."""
        if self.clustered:
            return True
        weights = [self.evaluation.population.weight[sample] for sample in self.evaluation.samples]
        return any(len(own) > 0 and own.max() > own.min() for own in weights)

    def closing(self, runs: int) -> tuple[str, ...]:
        """The last notes of a comparison over so many runs: how its interval was made, and what that may miss."""
        design = self.evaluation.design
        notes = clustering_note(design.vary, runs)
        pool = int(self.evaluation.universe.sum())
        return (*notes, OVERLAP) if design.vary and overlapping_training(pool, design.test_share, runs) else notes

    @property
    def sample(self) -> str:
        """What supports a value: the word for notes on too few of them."""
        return "units" if self.clustered else "examples"

    def influence(self, run: Run, estimand: Estimand) -> Influence:
        """The estimand in one run."""
        if estimand != self._estimand:  # influences are as long as the sample: those of one estimand are kept
            self._estimand, self._influences = estimand, {}
        if id(run) not in self._influences:
            # A run is kept beside its influence, so that its id is not given to another.
            pairs = self._influence(run, estimand)
            self._influences |= {id(of): (of, self._supported(of, influence)) for of, influence in pairs}
        return self._influences[id(run)][1]

    def opposite(self, subset: Subset) -> Subset | None:
        """Whom a group is compared with: its rest, everybody, or another group; None where that is the group itself."""
        named = subset.against(self.evaluation.design.against.get(str(subset.attribute), REST))
        return None if named == subset else named

    def by_seed(self, method: str) -> dict[int, Run]:
        """The runs of a method that have predictions, by seed."""
        runs = self.evaluation.runs
        return {seed: runs[method, seed] for seed in self.evaluation.seeds(method) if (method, seed) in runs}

    def runs_of(self, method: str) -> list[Run]:
        """The runs of a method that have predictions, in the order of their seeds."""
        return list(self.by_seed(method).values())

    def together(self, method: str) -> bool:
        """Whether a value belongs to all runs of a method together, so that no run has one of its own."""
        return False

    def comparable(self, method: str) -> bool:
        """Whether a method has enough runs to be compared at all."""
        return True

    def caveats(self, estimand: Estimand, method: str) -> list[str]:
        """What the estimates of a method leave out."""
        return []

    def doubts(self, estimand: Estimand, method: str) -> list[str]:
        """Why an estimand of a method is shown and not judged."""
        return []

    def pairs(self, method: str, reference: str) -> tuple[list[tuple[Run, Run]], int]:
        """The runs of each pair of seeds on the examples that both predicted, and how many predictions that omits."""
        compared, _ = seed_pairs(self.evaluation.seeds(method), self.evaluation.seeds(reference))
        by_seed = [self.pair(method, reference, *seeds) for seeds in compared]
        pairs = [(ours, theirs) for ours, theirs, _ in filter(None, by_seed)]
        for runs in zip(*pairs, strict=True):
            distinct = tuple({id(run): run for run in runs}.values())  # one model may stand in every pair
            self._common_runs |= {id(run): distinct for run in runs}
        return pairs, sum(dropped for _, _, dropped in filter(None, by_seed))

    def pair(self, method: str, reference: str, seed: int, other: int) -> tuple[Run, Run, int] | None:
        """A run of each method on the examples that both predicted, and how many predictions that leaves out."""
        key = (method, reference, seed, other)
        if key not in self._pairs:
            runs = self.evaluation.runs
            ours, theirs = runs.get((method, seed)), runs.get((reference, other))
            self._pairs[key] = None if ours is None or theirs is None else _common(ours, theirs)
        return self._pairs[key]

    def units(self, runs: Sequence[Run], influences: Sequence[Influence]) -> list[np.ndarray]:
        """The resampling unit of each row of some runs' influences; one array for those on the same rows."""
        unit, known = self.evaluation.population.unit, {}
        for run, influence in zip(runs, influences, strict=True):
            key = (id(run.rows), id(influence.rows))
            if key not in known:
                known[key] = unit[run.rows[influence.rows]]
        return [known[id(run.rows), id(influence.rows)] for run, influence in zip(runs, influences, strict=True)]

    def left_out(self, estimand: Estimand) -> dict[str, list[str]]:
        """The groups of the estimand's attribute without the support in some run, with the rates that lack it.

        Such a group is left out as a whole.
        """
        groups = self.groups(estimand.subset.attribute)
        eligible = self.eligible(groups, self.positive(estimand))
        rates = estimand.measure.influence.rates
        lacking = {
            name: [rate.replace("_", " ") for rate in rates if index not in eligible[BASE[rate]]]
            for index, name in enumerate(groups.names)
        }
        return {name: missing for name, missing in lacking.items() if missing}

    def subset(self, run: Run, estimand: Estimand) -> RunSubset:
        """The members of the estimand's subset in a run; cached for runs on the same examples."""
        positive = self.positive(estimand) if estimand.subset.level == "attribute" else None
        members_only = isinstance(estimand.measure.influence, OF_MEMBERS)
        key = (id(run.rows), estimand.subset, positive, members_only)
        if key not in self._subsets:
            self._subsets[key] = (run.rows, self._locate(run.rows, estimand, positive, members_only))
        return self._subsets[key][1]

    def _influence(self, run: Run, estimand: Estimand) -> Iterator[tuple[Run, Influence]]:
        """The run with its influence; for a calibration error, which pools runs, all runs of its method with theirs."""
        compute = estimand.measure.influence
        if isinstance(compute, CalibrationError):
            runs = self._pooled_with(run)
            subsets = [self.subset(other, estimand) for other in runs]
            influences = compute.of_pooled(subsets, self._pooled(runs, subsets, estimand))
            # Whole runs that stand beside such as are cut to common examples pool with all runs of their method.
            yield from (
                (other, influence)
                for other, influence in zip(runs, influences, strict=True)
                if other is run or self._pooled_with(other) is runs
            )
            return
        subset = self.subset(run, estimand)
        if not len(subset.rows):
            yield run, undefined("no test examples")
        else:
            yield run, compute(self.view(run, self.positive(estimand)), subset)

    def _pooled(
        self, runs: Sequence[Run], subsets: Sequence[RunSubset], estimand: Estimand
    ) -> Sequence[Pooled | Influence]:
        """The runs as calibration errors pool them; kept for the other error where that takes little memory."""
        positive = self.positive(estimand)
        data = [self.view(run, positive) for run in runs]
        if sum(len(run.rows) for run in runs) > KEPT:
            return pool_runs(data, subsets)
        key = (estimand.subset, positive, *map(id, runs))
        if key not in self._kept_pools:
            # The runs are kept beside, so that their ids are not given to others.
            self._kept_pools[key] = (tuple(runs), pool_runs(data, subsets))
        return self._kept_pools[key][1]

    def _pooled_with(self, run: Run) -> Sequence[Run]:
        """The runs of a run's method; if it was cut to the examples of two methods, those of the comparison."""
        if id(run) in self._method_runs:
            return self._method_runs[id(run)]
        return self._common_runs.get(id(run), (run,))

    @cached_property
    def _method_runs(self) -> dict[int, list[Run]]:
        """The runs of the same method, by the id of a run."""
        by_method = [self.runs_of(method) for method in self.evaluation.methods]
        return {id(run): runs for runs in by_method for run in runs}

    def _supported(self, run: Run, influence: Influence) -> Influence:
        """The influence whose smallest sample counts resampling units: rows of one unit support nothing twice."""
        if not (self.clustered and len(influence.rows)):
            return influence
        units = count_distinct([self.evaluation.population.unit[run.rows[influence.rows]]])
        return replace(influence, smallest=min(influence.smallest, units))

    def positive(self, estimand: Estimand) -> int | None:
        """The class that the estimand sets against the rest; None where it is about all classes at once."""
        if estimand.class_code is not None:
            return estimand.class_code
        return self.evaluation.design.positive if self.evaluation.binary else None

    def view(self, run: Run, positive: int | None) -> RunData:
        """The labels, predictions and weights of a run, as measures read them."""
        key = (id(run), positive)
        if key not in self._data:
            population = self.evaluation.population
            data = RunData(
                population.label[run.rows],
                run.predicted,
                run.probabilities,
                population.weight[run.rows],
                positive,
                run.texts,
                population.unit[run.rows],
                self._classes,
            )
            self._data[key] = (run, data)
        return self._data[key][1]

    @cached_property
    def _classes(self) -> np.ndarray:
        """The codes of the classes that labels have; of two classes both, though labels may have one."""
        return np.arange(2) if self.evaluation.binary else np.unique(self.evaluation.population.label)

    def _locate(self, rows: np.ndarray, estimand: Estimand, positive: int | None, members_only: bool) -> RunSubset:
        """The members of the estimand's subset as positions among these rows of the population, and unless they alone
        are asked for those of a group's rest."""
        if estimand.subset.level == "everyone":
            return RunSubset("everyone", np.arange(len(rows)))
        groups = self.groups(estimand.subset.attribute)
        defined = groups.defined[rows]
        if estimand.subset.level == "group":
            member = groups.mask(str(estimand.subset.group))[rows]
            sides = (defined & ~member, member) if estimand.subset.complement else (member, defined & ~member)
            if members_only:
                return RunSubset("group", np.flatnonzero(sides[0]))
            inside, outside = (np.flatnonzero(side) for side in sides)
            return RunSubset("group", inside, outside, np.flatnonzero(defined | member))
        members = [np.flatnonzero(column) for column in groups.masks[rows].T]
        return RunSubset(
            "attribute", np.flatnonzero(defined), members=members, eligible=self.eligible(groups, positive)
        )

    def groups(self, attribute: str | None) -> Groups:
        """The groups of an attribute of the evaluation."""
        return next(groups for groups in self.evaluation.groups if groups.attribute == attribute)

    def eligible(self, groups: Groups, positive: int | None) -> Mapping[Base, list[int]]:
        """By base, the groups with enough examples of it in every run."""
        key = (groups.attribute, positive)
        if key not in self._eligible:
            label = self.evaluation.population.label
            least: dict[Base, np.ndarray] = {}
            for rows in self.evaluation.samples:
                masks, actual = groups.masks[rows], label[rows] == positive
                of: dict[Base, np.ndarray] = {"all": np.ones_like(actual), "positive": actual, "negative": ~actual}
                counts: dict[Base, np.ndarray] = {
                    base: self._counts(rows[kept], masks[kept]) for base, kept in of.items()
                }
                least = {base: np.minimum(least.get(base, count), count) for base, count in counts.items()}
            need = max(self.support, 1)
            self._eligible[key] = {base: np.flatnonzero(count >= need).tolist() for base, count in least.items()}
        return self._eligible[key]

    def _counts(self, rows: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """The number of resampling units in each group, int [G], among these rows of the population."""
        if not self.clustered:
            return masks.sum(axis=0)
        unit = self.evaluation.population.unit[rows]
        return np.array([count_distinct([unit[member]]) for member in masks.T])


def _common(ours: Run, theirs: Run) -> tuple[Run, Run, int]:
    """Both runs on the examples that both predicted, and how many predictions that leaves out."""
    if ours.rows is theirs.rows or ours.key == theirs.key:
        return ours, theirs, 0
    rows = np.intersect1d(ours.rows, theirs.rows, assume_unique=True)
    return ours.take(rows), theirs.take(rows), len(ours.rows) + len(theirs.rows) - 2 * len(rows)
