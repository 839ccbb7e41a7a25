"""Noise floors: what each disparity and calibration error shows at these group sizes when there is none.

For a disparity, whole membership patterns are permuted over the examples, the same permutation in every run: freely
for rates of all, within the classes of the label for equalized odds. For the calibration of everyone or of a group,
outcomes are redrawn from the predicted probabilities, an example's outcome being shared by the runs that test it. The
arithmetic is that of `evenhand.stats.null`; here an estimand is turned into the sums that it needs, and back into its
measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evenhand.audit.estimands import Estimand
from evenhand.audit.evaluation import Groups, Run
from evenhand.audit.measures.calibration import confidence
from evenhand.audit.measures.influence import BASE, Rate
from evenhand.audit.redrawn_calibration import Redrawn, divided
from evenhand.audit.runs.influences import RunInfluences
from evenhand.seeds import generator
from evenhand.stats.contrast import compact
from evenhand.stats.null import NoiseFloor, noise_floor, permuted_sums, redraw_outcomes

DRAWS = 200


@dataclass(eq=False)
class Floors:
    """The noise floors of one evaluation. Draws depend on the records only, so that an audit repeats itself.

    Attributes:
        reader: of the evaluation.
    """

    reader: RunInfluences
    _drawn: dict[tuple[object, ...], np.ndarray] = field(default_factory=dict)

    def floors(self, estimand: Estimand, method: str, seeds: Sequence[int]) -> dict[int | None, NoiseFloor]:
        """The floor of each of these seeds, and under None that of their mean.

        Args:
            estimand: of a measure that has a floor.
            method: whose runs.
            seeds: those with predictions, where the measure is defined.
        """
        draws = self._draws(estimand, method)
        places = [self._seeds(method).index(seed) for seed in seeds]
        found: dict[int | None, NoiseFloor] = {
            seed: noise_floor(draws[:, place]) for seed, place in zip(seeds, places, strict=True)
        }
        found[None] = noise_floor(draws[:, places].mean(axis=1))
        return found

    def _seeds(self, method: str) -> list[int]:
        evaluation = self.reader.evaluation
        return [seed for seed in evaluation.seeds(method) if (method, seed) in evaluation.runs]

    def _runs(self, method: str) -> list[Run]:
        return [self.reader.evaluation.runs[method, seed] for seed in self._seeds(method)]

    def _draws(self, estimand: Estimand, method: str) -> np.ndarray:
        """The measure under its null, [draws, J]; nan where it is undefined."""
        if estimand.measure.floor == "redrawn":
            return self._calibration(estimand, method)
        rates = estimand.measure.influence.rates
        differences = [self._differences(estimand, method, rate) for rate in rates]
        return np.max(differences, axis=0)  # nan where either is

    def _differences(self, estimand: Estimand, method: str, rate: Rate) -> np.ndarray:
        """max − min over the eligible groups, or |group − complement|, [draws, J]."""
        groups = self.reader.groups(estimand.subset.attribute)
        base = BASE[rate]
        tested, events = self._sums(estimand, method, rate, groups)
        if estimand.subset.level == "attribute":
            eligible = self.reader.eligible(groups, self.reader.positive(estimand))[base]
            if len(eligible) < 2:
                return np.full(tested.shape[:2], np.nan)
            rates = divided(events[..., eligible], tested[..., eligible])
            return rates.max(axis=-1) - rates.min(axis=-1)
        place = groups.names.index(str(estimand.subset.group))
        inside = divided(events[..., place], tested[..., place])
        outside = divided(events[..., -1] - events[..., place], tested[..., -1] - tested[..., place])
        return np.abs(inside - outside)

    def _sums(self, estimand: Estimand, method: str, rate: Rate, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
        """Weights tested and weights of events, [draws, J, G + 1] each; everybody for whom the attribute is defined is
        the last group."""
        key = ("sums", method, groups.attribute, self.reader.positive(estimand), rate)
        if key not in self._drawn:
            stratum = BASE[rate]
            population = self.reader.evaluation.population
            runs = self._runs(method)
            tested, events = (np.zeros((len(runs), len(population.label))) for _ in range(2))
            inside = np.zeros(len(population.label), dtype=bool)
            for place, run in enumerate(runs):
                view = self.reader.view(run, self.reader.positive(estimand))
                rows = view.base(np.arange(len(run.rows)), stratum)
                tested[place, run.rows[rows]] = view.weight[rows]
                events[place, run.rows[rows]] = view.weight[rows] * view.outcome(rate)[rows]
                inside[run.rows] = True
            inside &= groups.defined | groups.masks.any(axis=1)
            if stratum != "all":  # the other class has no part in the rate: its permutation changes nothing
                inside &= tested.any(axis=0)
            used = np.flatnonzero(inside)
            tested, events = tested[:, used], events[:, used]
            members, amounts = _whole(population.unit[used], groups.masks[used], np.concatenate([tested, events]))
            members = np.concatenate([members, np.ones((len(members), 1), dtype=bool)], axis=1)
            rng = generator(0, "floor", groups.attribute, rate)
            one = np.zeros(len(members), dtype=np.int64)
            self._drawn[key] = permuted_sums(members, one, _integers(amounts), DRAWS, rng)[:, 0]
        sums = self._drawn[key]
        half = sums.shape[1] // 2
        return sums[:, :half], sums[:, half:]

    def _calibration(self, estimand: Estimand, method: str) -> np.ndarray:
        key = ("calibration", method, self.reader.positive(estimand))
        if key not in self._drawn:
            self._drawn[key] = self._calibration_errors(estimand, method)
        place = 0
        if estimand.subset.level == "group":
            names = [(groups.attribute, name) for groups in self.reader.evaluation.groups for name in groups.names]
            place = 1 + names.index((str(estimand.subset.attribute), str(estimand.subset.group)))
        return self._drawn[key][:, int(estimand.measure.influence.squared), :, place]

    def _calibration_errors(self, estimand: Estimand, method: str) -> np.ndarray:
        """The plug-in error and the debiased squared one, [draws, 2, J, 1 + groups], of outcomes that are as likely as
        predicted."""
        runs = self._runs(method)
        evaluation = self.reader.evaluation
        everyone = np.ones((len(evaluation.population.label), 1), dtype=bool)
        masks = np.concatenate([everyone, *(groups.masks for groups in evaluation.groups)], axis=1)
        tested = np.zeros(len(masks), dtype=bool)
        for run in runs:
            tested[run.rows] = True
        position, size = np.cumsum(tested) - 1, int(tested.sum())
        probability = np.full((len(runs), size), np.nan)
        tables = []
        for place, run in enumerate(runs):
            view = self.reader.view(run, self.reader.positive(estimand))
            if view.probabilities is None:
                tables.append(None)
                continue
            rows = position[run.rows]
            probability[place, rows] = confidence(view)[0]
            tables.append(Redrawn.of(view, masks[run.rows], rows, size))
        shape = (len(runs), masks.shape[1])

        def errors(outcomes: np.ndarray) -> np.ndarray:
            found = np.full((len(outcomes), 2, *shape), np.nan)
            for place, table in enumerate(tables):
                if table is not None:
                    found[:, :, place] = table.errors(outcomes[:, place])
            return found

        return redraw_outcomes(probability, errors, DRAWS, generator(0, "floor", "calibration"))


def _whole(unit: np.ndarray, masks: np.ndarray, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Memberships [R, G] and amounts [M, R] of what is permuted: examples, or where units have several, the examples of
    a unit with one membership pattern, together."""
    if len(compact(unit)[0]) == len(unit):
        return masks, amounts
    packed = np.concatenate([unit[:, None], np.packbits(masks, axis=1)], axis=1)
    _, first, row = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    row = row.reshape(-1)
    return masks[first], np.stack([np.bincount(row, amount, len(first)) for amount in amounts])


def _integers(amounts: np.ndarray) -> np.ndarray:
    """Counts as integers, for which tables can be drawn instead of permutations."""
    whole = amounts.astype(np.int64)
    return whole if (whole == amounts).all() else amounts
