"""Noise floors: how large each disparity and calibration error gets by chance alone, at these group sizes.

For a disparity, whole membership patterns are permuted over the examples, the same permutation in every run: freely
for rates of all, within the classes of the label for equalized odds. An example's weight goes with its groups. For the
calibration of everyone or of a group, outcomes are redrawn from the predicted probabilities, an example's outcome being
shared by the runs that test it. The arithmetic is that of `evenhand.stats.null`; here an estimand is turned into the
sums that it needs, and back into its measure. Rows are drawn in an order that their contents decide: a table that is
shuffled has the same floors.

Generators depend on the attribute and the rate alone, so methods have their draws in common, and one pass serves all
methods, and all groups of an attribute. Its results are cached until an estimand needs another attribute or measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from evenhand.audit.estimands import Estimand
from evenhand.audit.evaluation import Groups, Run
from evenhand.audit.measures.influence import eligible_for
from evenhand.audit.measures.run_data import BASE, Rate
from evenhand.audit.redrawn_calibration import Draws, Members, Redrawn, divided, redrawn_errors, redrawn_runs
from evenhand.audit.runs.influences import RunInfluences
from evenhand.seeds import generator
from evenhand.stats.bootstrap import distinct
from evenhand.stats.contrast import compact
from evenhand.stats.null import NoiseFloor, noise_floor, noise_floors, permuted_alike

DRAWS = 1000
"""The number of draws, unless a study has many predictions."""
LEAST_DRAWS = 200
"""The number of draws of the largest studies."""
CELLS = 10_000_000
"""The number of predictions, times draws, up to which there are more than `LEAST_DRAWS`."""

ERRORS = 2
"""The number of calibration errors that are computed together: the plug-in one, and the debiased squared one."""


@dataclass(eq=False)
class Null:
    """The null distribution of one measure of one method: its values in draws without disparity or miscalibration.

    Attributes:
        draws: float [draws, J, K] for K subsets, which are an attribute and then its groups, or everyone and then all
            groups; nan where the measure is undefined.
    """

    draws: np.ndarray

    @cached_property
    def runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and quantile of each run, [J, K] each."""
        return noise_floors(self.draws)

    @cached_property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and quantile of the mean over all runs, [K] each."""
        return noise_floors(self.draws.mean(axis=1))

    def of(self, runs: Sequence[int], position: int) -> list[NoiseFloor]:
        """The floors of these runs for the subset at a position, and last that of their mean."""
        mean, high = self.runs
        floors = [NoiseFloor(float(mean[run, position]), float(high[run, position])) for run in runs]
        if list(runs) == list(range(len(mean))):
            return [*floors, NoiseFloor(float(self.means[0][position]), float(self.means[1][position]))]
        return [*floors, noise_floor(self.draws[:, list(runs), position].mean(axis=1))]


@dataclass(eq=False)
class Patterns:
    """The distinct combinations of an example's groups of one attribute, and its weight.

    Weights go with the groups: a weight that a group's examples have in common changes no rate, and no floor.

    Attributes:
        code: int [n], the pattern of each example.
        members: [P, G + 1], the weight of each pattern in its groups, bool where every weight is 1; everybody is in the
            last group.
    """

    code: np.ndarray
    members: np.ndarray

    @classmethod
    def of(cls, groups: Groups, weight: np.ndarray) -> Patterns:
        """The patterns of the groups of an attribute."""
        members = np.concatenate([groups.masks, np.ones((len(weight), 1), dtype=bool)], axis=1)
        if (weight == 1).all():
            code, first_row = distinct([*np.packbits(members, axis=1).T])
        else:
            members = members * weight[:, None]
            code, first_row = distinct([*members.T])
        return cls(code.astype(np.min_scalar_type(len(first_row))), members[first_row])


@dataclass(eq=False)
class Floors:
    """The noise floors of one evaluation. Draws depend on the records only, so that an audit repeats itself.

    Attributes:
        reader: the influences of the evaluation's runs.
    """

    reader: RunInfluences
    _patterns: dict[str, Patterns] = field(default_factory=dict)
    _amounts: dict[tuple[Rate, int | None], dict[str, tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    _disparities: dict[tuple[object, ...], dict[str, Null]] = field(default_factory=dict)
    _errors: dict[tuple[bool, int | None], dict[str, Null]] = field(default_factory=dict)

    def floors(self, estimand: Estimand, method: str, seeds: Sequence[int]) -> dict[int | None, NoiseFloor]:
        """The floor of each of these seeds, and under None that of their mean.

        Args:
            estimand: of a measure that has a floor.
            method: whose runs.
            seeds: those with predictions, where the measure is defined.
        """
        run_of_seed = {seed: run for run, seed in enumerate(self._runs[method])}
        runs = [run_of_seed[seed] for seed in seeds]
        if estimand.measure.floor == "redrawn":
            null, position = self._calibration(estimand)[method], self._position(estimand)
        else:
            null, position = self._disparity(estimand)[method], 0
            if estimand.subset.level == "group":
                position = 1 + self.reader.groups(estimand.subset.attribute).names.index(str(estimand.subset.group))
        return dict(zip([*seeds, None], null.of(runs, position), strict=True))

    @cached_property
    def count(self) -> int:
        """The number of draws: the more, the fewer predictions there are, since a floor of few draws is rough."""
        predictions = sum(len(run.rows) for run in self.reader.evaluation.runs.values())
        return min(max(CELLS // max(predictions, 1), LEAST_DRAWS), DRAWS)

    @cached_property
    def _runs(self) -> dict[str, dict[int, Run]]:
        """The runs by seed, for each method that has any."""
        evaluation = self.reader.evaluation
        by_method: dict[str, dict[int, Run]] = {}
        for method in evaluation.methods:
            for seed in evaluation.seeds(method):
                if (method, seed) in evaluation.runs:
                    by_method.setdefault(method, {})[seed] = evaluation.runs[method, seed]
        return by_method

    def _disparity(self, estimand: Estimand) -> dict[str, Null]:
        """The null distribution of a disparity by method; its subsets are the attribute and its groups."""
        key = (estimand.measure.name, self.reader.positive(estimand), estimand.subset.attribute)
        if key not in self._disparities:
            rates = estimand.measure.influence.rates
            self._disparities = {}
            needed = [(rate, key[1]) for rate in rates]
            self._amounts = {rate: kept for rate, kept in self._amounts.items() if rate in needed}
            parts = [self._differences(estimand, rate) for rate in rates]
            # nan where either is
            nulls = {method: Null(np.max([part[method] for part in parts], axis=0)) for method in parts[0]}
            self._disparities[key] = nulls
        return self._disparities[key]

    def _differences(self, estimand: Estimand, rate: Rate) -> dict[str, np.ndarray]:
        """Draws by method of max − min over the eligible groups, and of |group − complement|, [draws, J, 1 + G]."""
        groups, by_method = self.reader.groups(estimand.subset.attribute), {}
        kept = self.reader.eligible(groups, self.reader.positive(estimand))
        eligible = eligible_for(kept, estimand.measure.influence.rates)
        for method, sums in self._sums(estimand, rate, groups).items():
            tested, events = np.split(sums, 2, axis=1)
            shares = divided(events, tested)
            differences = np.full(
                shares.shape if "group" in estimand.measure.levels else (*shares.shape[:2], 1), np.nan
            )
            if len(eligible) > 1:
                differences[..., 0] = np.ptp(shares[..., eligible], axis=-1)
            if "group" in estimand.measure.levels:
                outside = divided(events[..., -1:] - events[..., :-1], tested[..., -1:] - tested[..., :-1])
                differences[..., 1:] = np.abs(shares[..., :-1] - outside)
            by_method[method] = differences
        return by_method

    def _sums(self, estimand: Estimand, rate: Rate, groups: Groups) -> dict[str, np.ndarray]:
        """Sums over each group by method: the tested weights of the runs, then their weights of events.

        Float [draws, 2·J, G + 1]; the last group is everybody for whom the attribute is defined.
        """
        if groups.attribute not in self._patterns:
            self._patterns[groups.attribute] = Patterns.of(groups, self.reader.evaluation.population.weight)
        known = groups.defined if groups.defined.all() else groups.defined | groups.masks.any(axis=1)
        same_examples: dict[bytes, tuple[np.ndarray, dict[str, np.ndarray]]] = {}
        for method, (inside, amounts) in self._tested(estimand, rate).items():
            used = inside & known
            same_examples.setdefault(np.packbits(used).tobytes(), (used, {}))[1][method] = amounts
        by_method = {}
        for used, parts in same_examples.values():
            code, amounts = self._together(used, self._patterns[groups.attribute], list(parts.values()))
            members = self._patterns[groups.attribute].members
            sums = permuted_alike(
                code, members, amounts, self.count, lambda: generator(0, "floor", groups.attribute, rate)
            )
            by_method |= dict(zip(parts, sums, strict=True))
        return by_method

    def _tested(self, estimand: Estimand, rate: Rate) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By method, the examples that are permuted, bool [n], and whether each run tests them, and has the event, bool
        [2·J, n]."""
        key = (rate, self.reader.positive(estimand))
        if key not in self._amounts:
            size, base = len(self.reader.evaluation.population.label), BASE[rate]
            by_method = {}
            for method, runs in self._runs.items():
                tested, events = amounts = np.zeros((2, len(runs), size), dtype=bool)
                inside = np.zeros(size, dtype=bool)
                for index, run in enumerate(runs.values()):
                    data = self.reader.view(run, self.reader.positive(estimand))
                    counted = (
                        np.ones(len(run.rows), dtype=bool) if base == "all" else data.actual == (base == "positive")
                    )
                    tested[index, run.rows] = counted
                    events[index, run.rows] = counted & data.outcome(rate)
                    # The other class has no part in the rate: its permutation changes nothing.
                    inside[run.rows] |= counted
                by_method[method] = inside, amounts.reshape(-1, size)
            self._amounts[key] = by_method
        return self._amounts[key]

    def _together(
        self, used: np.ndarray, patterns: Patterns, parts: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """The patterns [R] and amounts [M, R] that are permuted.

        These are examples, in an order that does not follow the table; where units have several, all examples of a unit
        with one pattern are permuted together.
        """
        order = self.reader.evaluation.by_content
        order = order[used[order]]
        code, unit = patterns.code[order], self.reader.evaluation.population.unit[order]
        parts = [amounts[:, order] for amounts in parts]
        if len(compact(unit)[0]) == len(unit):
            return code, list(parts)
        whole, pattern_of_row = np.unique(unit * len(patterns.members) + code, return_inverse=True)
        sums = [np.stack([np.bincount(pattern_of_row, amount, len(whole)) for amount in amounts]) for amounts in parts]
        return whole % len(patterns.members), [amounts.astype(np.int64) for amounts in sums]

    def _position(self, estimand: Estimand) -> int:
        """The position of everyone or a group among the subsets of a calibration error."""
        if estimand.subset.level != "group":
            return 0
        names = [(groups.attribute, name) for groups in self.reader.evaluation.groups for name in groups.names]
        return 1 + names.index((str(estimand.subset.attribute), str(estimand.subset.group)))

    def _calibration(self, estimand: Estimand) -> dict[str, Null]:
        """The null distribution of a calibration error by method; its subsets are everyone and all groups."""
        key = (estimand.measure.influence.squared, self.reader.positive(estimand))
        if key not in self._errors:
            # Estimands come measure by measure, and both errors are worked out together: the second waits for its turn.
            self._errors = {other: kept for other, kept in self._errors.items() if other[0]}
            for method, draws in self._calibration_errors(estimand).items():
                for squared in (False, True):
                    self._errors.setdefault((squared, key[1]), {})[method] = Null(draws[:, int(squared)])
        return self._errors[key]

    def _calibration_errors(self, estimand: Estimand) -> dict[str, np.ndarray]:
        """The errors of calibrated outcomes by method: plug-in and debiased squared, [draws, 2, J, 1 + groups]."""
        evaluation, positive = self.reader.evaluation, self.reader.positive(estimand)
        everyone = np.ones((len(evaluation.population.label), 1), dtype=bool)
        masks = np.concatenate([everyone, *(groups.masks for groups in evaluation.groups)], axis=1)
        members, draws = Members.of(masks), Draws.of(evaluation, self.count)
        by_method: dict[str, np.ndarray] = {}
        known: list[tuple[str, int]] = []
        redrawn: list[Redrawn] = []
        for method, by_seed in self._runs.items():
            by_method[method] = np.full((self.count, ERRORS, len(by_seed), masks.shape[1]), np.nan)
            runs = [(index, run) for index, run in enumerate(by_seed.values()) if run.probabilities is not None]
            if runs:
                known += [(method, index) for index, _ in runs]
                data = [self.reader.view(run, positive) for _, run in runs]
                redrawn += redrawn_runs(data, [run.rows for _, run in runs], draws, masks, members)
        errors = redrawn_errors(redrawn, draws, partial(generator, 0, "floor", "calibration"))
        for (method, index), values in zip(known, errors, strict=True):
            by_method[method][:, :, index] = values
        return by_method
