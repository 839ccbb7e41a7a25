"""Every place where a measure is taken, and the measure's effect there for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evenhand.audit.evaluation import Evaluation, Run
from evenhand.audit.groups import Groups
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import Base, Effect, Level, Place, View, undefined
from evenhand.records.probes import named


@dataclass(frozen=True)
class Case:
    """One measure at one place.

    Attributes:
        measure: what.
        code, name: the class taken against the rest, with more than two classes; None for all classes at once.
        level: everyone, group or attribute.
        attribute, group: which.
        condition, correction: of options, the question or the kind of question (None: all), and what was done to the
            answers (None: raw); of benchmarks, which; of probes, the target and the layer.
    """

    measure: Measure
    code: int | None
    name: str | None
    level: Level
    attribute: str | None = None
    group: str | None = None
    condition: str | None = None
    correction: str | None = None

    @property
    def asked(self) -> str:
        """Which contrasts it is judged with. Of options: those of all questions, of kinds of question, or of questions;
        of benchmarks, those of all or of all groups of their documents; of probes, those of one target."""
        if self.condition is None:
            return self.level
        if self.measure.kind == "benchmarks":
            return "benchmark" if self.level == "everyone" else "group of a benchmark"
        if self.measure.kind == "probes":
            return f"layer of {named(self.condition)[0]}"
        return "question" if "/" in self.condition else "kind of question"


def cases(evaluation: Evaluation, measures: Sequence[Measure]) -> list[Case]:
    """Every case of an evaluation: by measure, class, then everyone, attributes, groups."""
    found = []
    for measure in measures:
        classes: list[tuple[int | None, str | None]] = [(None, None)]
        if measure.by_class and not evaluation.binary:
            classes = list(enumerate(evaluation.classes))
        for code, name in classes:
            if "everyone" in measure.levels:
                found.append(Case(measure, code, name, "everyone"))
            for groups in evaluation.groups:
                if "attribute" in measure.levels:
                    found.append(Case(measure, code, name, "attribute", groups.attribute))
                if "group" in measure.levels:
                    found += [Case(measure, code, name, "group", groups.attribute, group) for group in groups.names]
    return found


@dataclass(eq=False)
class Reader:
    """Effects of cases in the runs of one evaluation; remembers views, places, and the effects of the last case.

    Attributes:
        evaluation: whose.
        support: groups with fewer examples of a rate's base in some run are not eligible for max − min.
    """

    evaluation: Evaluation
    support: int
    _views: dict = field(default_factory=dict)
    _places: dict = field(default_factory=dict)
    _eligible: dict = field(default_factory=dict)
    _effects: dict = field(default_factory=dict)
    _pairs: dict = field(default_factory=dict)
    _case: Case | None = None

    def effect(self, run: Run, case: Case) -> Effect:
        """The case's measure in one run."""
        if case != self._case:  # effects are as long as the sample: those of one case at a time are kept
            self._case, self._effects = case, {}
        if id(run) not in self._effects:
            # The run is kept beside its effect, so that its id is not given to another.
            self._effects[id(run)] = (run, self._effect(run, case))
        return self._effects[id(run)][1]

    def pair(self, method: str, reference: str, seed: int) -> tuple[Run, Run, int] | None:
        """The two runs of a seed on the examples that both predicted, and how many predictions that leaves out."""
        key = (method, reference, seed)
        if key not in self._pairs:
            ours, theirs = (self.evaluation.runs.get((name, seed)) for name in (method, reference))
            self._pairs[key] = None if ours is None or theirs is None else _common(ours, theirs)
        return self._pairs[key]

    def units(self, run: Run, effect: Effect) -> np.ndarray:
        """The resampling unit of each row of an effect."""
        return self.evaluation.population.unit[run.rows[effect.rows]]

    def left_out(self, case: Case) -> list[str]:
        """Groups of the case's attribute that lack the support for max − min in some run."""
        groups = self.groups(case.attribute)
        eligible = self.eligible(groups, self.positive(case))
        bases: list[Base] = ["positive", "negative"] if case.measure.name == "equalized_odds_difference" else ["all"]
        return [name for place, name in enumerate(groups.names) if any(place not in eligible[b] for b in bases)]

    def _effect(self, run: Run, case: Case) -> Effect:
        place = self._place(run, case)
        if not len(place.rows):
            return undefined("no test examples")
        return case.measure.influence(self.view(run, self.positive(case)), place)

    def positive(self, case: Case) -> int | None:
        """The class that the case takes against the rest; None where all classes are taken at once."""
        if case.code is not None:
            return case.code
        return self.evaluation.design.positive if self.evaluation.binary else None

    def view(self, run: Run, positive: int | None) -> View:
        """A run as measures see it."""
        key = (id(run), positive)
        if key not in self._views:
            population = self.evaluation.population
            view = View(
                population.label[run.rows],
                run.predicted,
                run.probabilities,
                population.weight[run.rows],
                positive,
                run.texts,
            )
            self._views[key] = (run, view)
        return self._views[key][1]

    def _place(self, run: Run, case: Case) -> Place:
        positive = self.positive(case) if case.level == "attribute" else None
        key = (id(run.rows), case.level, case.attribute, case.group, positive)
        if key not in self._places:
            self._places[key] = (run.rows, self._find(run.rows, case, positive))
        return self._places[key][1]

    def _find(self, rows: np.ndarray, case: Case, positive: int | None) -> Place:
        if case.level == "everyone":
            return Place("everyone", np.arange(len(rows)))
        groups = self.groups(case.attribute)
        defined = groups.defined[rows]
        if case.level == "group":
            member = groups.masks[rows, groups.names.index(str(case.group))]
            return Place(
                "group", np.flatnonzero(member), np.flatnonzero(defined & ~member), np.flatnonzero(defined | member)
            )
        members = [np.flatnonzero(column) for column in groups.masks[rows].T]
        return Place("attribute", np.flatnonzero(defined), members=members, eligible=self.eligible(groups, positive))

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
                counts: dict[Base, np.ndarray] = {
                    "all": masks.sum(axis=0),
                    "positive": masks[actual].sum(axis=0),
                    "negative": masks[~actual].sum(axis=0),
                }
                least = {base: np.minimum(least.get(base, found), found) for base, found in counts.items()}
            need = max(self.support, 1)
            self._eligible[key] = {base: np.flatnonzero(found >= need).tolist() for base, found in least.items()}
        return self._eligible[key]


def _common(ours: Run, theirs: Run) -> tuple[Run, Run, int]:
    if ours.rows is theirs.rows or ours.key == theirs.key:
        return ours, theirs, 0
    rows = np.intersect1d(ours.rows, theirs.rows, assume_unique=True)
    return ours.take(rows), theirs.take(rows), len(ours.rows) + len(theirs.rows) - 2 * len(rows)
