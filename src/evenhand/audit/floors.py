"""Noise floors: what each disparity and calibration error shows at these group sizes when there is none.

For a disparity, whole membership patterns are permuted over the examples, the same permutation in every run: freely
for rates of all, within the classes of the label for equalized odds. For the calibration of everyone or of a group,
outcomes are redrawn from the predicted probabilities, an example's outcome being shared by the runs that test it. The
arithmetic is that of `evenhand.stats.null`; here a case is turned into the sums that it needs, and back into its
measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evenhand.audit.cases import Case, Reader
from evenhand.audit.groups import Groups
from evenhand.audit.linear import BASE, Rate, View
from evenhand.audit.reliability import BINS, bin_of, confidence
from evenhand.audit.runs import Run
from evenhand.seeds import generator
from evenhand.stats.contrast import compact
from evenhand.stats.null import NoiseFloor, noise_floor, permuted_sums, redraw_outcomes

DRAWS = 200

RATES: Mapping[str, tuple[Rate, ...]] = {
    "accuracy_difference": ("accuracy",),
    "demographic_parity_difference": ("selection_rate",),
    "equalized_odds_difference": ("true_positive_rate", "false_positive_rate"),
}
"""The disparities that have a floor, and the rates whose differences they are."""

CALIBRATION = ("expected_calibration_error", "calibration_error_squared")


@dataclass(eq=False)
class Floors:
    """The noise floors of one evaluation. Draws depend on the records only, so that an audit repeats itself.

    Attributes:
        reader: of the evaluation.
    """

    reader: Reader
    _drawn: dict[tuple[object, ...], np.ndarray] = field(default_factory=dict)

    def has(self, case: Case) -> bool:
        """Whether the case's measure is one that shows something where there is nothing."""
        return case.measure.name in RATES or case.measure.name in CALIBRATION

    def floors(self, case: Case, method: str, seeds: Sequence[int]) -> dict[int | None, NoiseFloor]:
        """The floor of each of these seeds, and under None that of their mean.

        Args:
            case: one that `has` a floor.
            method: whose runs.
            seeds: those with predictions, where the measure is defined.
        """
        draws = self._draws(case, method)
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

    def _draws(self, case: Case, method: str) -> np.ndarray:
        """The measure under its null, [draws, J]; nan where it is undefined."""
        if case.measure.name in CALIBRATION:
            return self._calibration(case, method)
        rates = RATES[case.measure.name]
        differences = [self._differences(case, method, rate) for rate in rates]
        return np.max(differences, axis=0)  # nan where either is

    def _differences(self, case: Case, method: str, rate: Rate) -> np.ndarray:
        """max − min over the eligible groups, or |group − complement|, [draws, J]."""
        groups = self.reader.groups(case.attribute)
        base = BASE[rate]
        tested, events = self._sums(case, method, rate, groups)
        if case.level == "attribute":
            eligible = self.reader.eligible(groups, self.reader.positive(case))[base]
            if len(eligible) < 2:
                return np.full(tested.shape[:2], np.nan)
            rates = _divided(events[..., eligible], tested[..., eligible])
            return rates.max(axis=-1) - rates.min(axis=-1)
        place = groups.names.index(str(case.group))
        inside = _divided(events[..., place], tested[..., place])
        outside = _divided(events[..., -1] - events[..., place], tested[..., -1] - tested[..., place])
        return np.abs(inside - outside)

    def _sums(self, case: Case, method: str, rate: Rate, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
        """Weights tested and weights of events, [draws, J, G + 1] each; everybody for whom the attribute is defined is
        the last group."""
        key = ("sums", method, groups.attribute, self.reader.positive(case), rate)
        if key not in self._drawn:
            stratum = BASE[rate]
            runs = self._runs(method)
            population = self.reader.evaluation.population
            used = np.unique(np.concatenate([run.rows for run in runs]))
            used = used[(groups.defined | groups.masks.any(axis=1))[used]]
            views = [self.reader.view(run, self.reader.positive(case)) for run in runs]
            tested, events = (np.zeros((len(runs), len(used))) for _ in range(2))
            for place, (run, view) in enumerate(zip(runs, views, strict=True)):
                rows = view.base(np.arange(len(run.rows)), stratum)
                kept = rows[np.isin(run.rows[rows], used, assume_unique=True)]
                position = np.searchsorted(used, run.rows[kept])
                tested[place, position] = view.weight[kept]
                events[place, position] = view.weight[kept] * view.outcome(rate)[kept]
            if stratum != "all":  # the other class has no part in the rate: its permutation changes nothing
                inside = tested.any(axis=0)
                used, tested, events = used[inside], tested[:, inside], events[:, inside]
            members, amounts = _whole(population.unit[used], groups.masks[used], np.concatenate([tested, events]))
            members = np.concatenate([members, np.ones((len(members), 1), dtype=bool)], axis=1)
            rng = generator(0, "floor", groups.attribute, rate)
            one = np.zeros(len(members), dtype=np.int64)
            self._drawn[key] = permuted_sums(members, one, _integers(amounts), DRAWS, rng)[:, 0]
        sums = self._drawn[key]
        half = sums.shape[1] // 2
        return sums[:, :half], sums[:, half:]

    def _calibration(self, case: Case, method: str) -> np.ndarray:
        key = (case.measure.name, method, self.reader.positive(case))
        if key not in self._drawn:
            for name, values in self._calibration_errors(case, method).items():
                self._drawn[name, method, self.reader.positive(case)] = values
        place = 0
        if case.level == "group":
            names = [(groups.attribute, name) for groups in self.reader.evaluation.groups for name in groups.names]
            place = 1 + names.index((str(case.attribute), str(case.group)))
        return self._drawn[key][:, :, place]

    def _calibration_errors(self, case: Case, method: str) -> dict[str, np.ndarray]:
        """The plug-in error and the debiased squared one, [draws, J, 1 + groups], of outcomes that are as likely as
        predicted."""
        runs = self._runs(method)
        evaluation = self.reader.evaluation
        everyone = np.ones((len(evaluation.population.label), 1), dtype=bool)
        masks = np.concatenate([everyone, *(groups.masks for groups in evaluation.groups)], axis=1)
        used = np.unique(np.concatenate([run.rows for run in runs]))
        probability = np.full((len(runs), len(used)), np.nan)
        tables = []
        for place, run in enumerate(runs):
            view = self.reader.view(run, self.reader.positive(case))
            if view.probabilities is None:
                tables.append(None)
                continue
            position = np.searchsorted(used, run.rows)
            probability[place, position] = confidence(view)[0]
            tables.append(_Binned.of(view, masks[run.rows], position))
        shape = (len(runs), masks.shape[1])

        def errors(outcomes: np.ndarray) -> np.ndarray:
            found = np.full((len(outcomes), 2, *shape), np.nan)
            for place, table in enumerate(tables):
                if table is not None:
                    found[:, :, place] = table.errors(outcomes[:, place])
            return found

        drawn = redraw_outcomes(probability, errors, DRAWS, generator(0, "floor", "calibration"))
        return {name: drawn[:, place] for place, name in enumerate(CALIBRATION)}


@dataclass(frozen=True, eq=False)
class _Binned:
    """One run's examples sorted into cells, a cell being a membership pattern and a bin of the confidence.

    Attributes:
        order: int [n], positions among all examples, sorted by cell.
        starts: int [C], where each cell begins.
        bins: int [C], each cell's bin.
        members: float [C, 1 + G], whether a cell belongs to everyone (always) and to each group.
        weight, confidence: float [n], in that order.
    """

    order: np.ndarray
    starts: np.ndarray
    bins: np.ndarray
    members: np.ndarray
    weight: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, view: View, masks: np.ndarray, position: np.ndarray) -> _Binned:
        values = confidence(view)[0]
        bins = bin_of(values)
        packed = np.packbits(masks, axis=1)
        _, first, pattern = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        cell = pattern.reshape(-1) * BINS + bins
        order = np.argsort(cell, kind="stable")
        starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
        cells = cell[order][starts]
        members = masks[first[cells // BINS]].astype(float)
        return cls(position[order], starts, cells % BINS, members, view.weight[order], values[order])

    def errors(self, outcomes: np.ndarray) -> np.ndarray:
        """Plug-in and debiased squared error, [draws, 2, 1 + G], of outcomes, bool [draws, all examples]."""
        y = outcomes[:, self.order].astype(float)
        w, c = self.weight, self.confidence
        mass = self._binned(w[None])
        gap = self._binned((w * c)[None]) - self._binned(w * y)
        plug_in = _divided(np.abs(gap).sum(axis=1), np.broadcast_to(mass.sum(axis=1), gap[:, 0].shape))
        counts = self._binned(np.ones((1, len(w))))
        safe = np.where(mass > 0, mass, 1.0)
        mean = gap / safe
        # Σ w²(c − y − mean)², opened up.
        first = self._binned((w**2 * c)[None]) - self._binned(w**2 * y)
        second = self._binned((w**2 * c**2)[None]) - self._binned((2 * c - 1) * w**2 * y)
        spread = (second - 2 * mean * first + mean**2 * self._binned((w**2)[None])) / safe**2
        kept = counts > 1
        unbiased = np.where(kept, mean**2 - spread * counts / np.maximum(counts - 1, 1), 0.0)
        share = np.where(kept, mass, 0.0)
        squared = _divided((share * unbiased).sum(axis=1), np.broadcast_to(share.sum(axis=1), plug_in.shape))
        return np.stack([plug_in, squared], axis=1)

    def _binned(self, values: np.ndarray) -> np.ndarray:
        """Sums by bin and group, [draws, BINS, 1 + G], of values [draws, n]."""
        cells = np.add.reduceat(values, self.starts, axis=1)
        found = np.zeros((len(values), BINS, self.members.shape[1]))
        for index in np.unique(self.bins):
            inside = self.bins == index
            found[:, index] = cells[:, inside] @ self.members[inside]
        return found


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


def _divided(events: np.ndarray, tested: np.ndarray) -> np.ndarray:
    return np.divide(events, tested, out=np.full(np.shape(tested), np.nan), where=tested > 0)
