"""Defines the measures of agreement between models: self-consistency over seeds, and predictions that a method flips.

Both look at pairs of runs. A pair of runs of one method, at two seeds, says how far its predictions depend on chance in
training; a pair of a run of a method and a run of its reference says how many predictions the method changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.influence import Influence, undefined
from evenhand.audit.measures.measure import EVERYWHERE, Measure, by_name
from evenhand.stats.agreement import RunAgreement

ALONE = "no example was predicted by two runs"
NOT_IN_COMMON = "no example was predicted by both"


@dataclass(frozen=True)
class RunPairs:
    """Computes the share of examples on which two runs agree, or on which they differ.

    Attributes:
        differ: whether predictions that differ are counted, and not those that agree.
        with_reference: whether a run is paired with that of a reference at the same seed; the reference itself with its
            own other runs. Else each run of a method is paired with all others of it.
    """

    differ: bool
    with_reference: bool

    def __call__(
        self, agreement: RunAgreement, weight: np.ndarray, tested: np.ndarray, rows: np.ndarray, units: Sequence[int]
    ) -> list[Influence]:
        """The share in pairs of runs of one method, as the influence in each run; only their mean is meant.

        Args:
            agreement: of the runs of the method, on n examples.
            weight: float [n].
            tested: float [J, n], the examples' weights in each run, by which units are weighed; 0 where it has none.
            rows: int [k], the examples of the subset.
            units: by run, how many distinct units are among those that count.
        """
        agreement, weight, tested = agreement.take(rows), weight[rows], tested[:, rows]
        if np.isnan(agreement.share).all():
            return [undefined(ALONE)] * len(tested)
        totals = tested.sum(axis=1, keepdims=True)
        shares = np.divide(tested, totals, out=np.zeros(tested.shape), where=totals > 0)
        values, moves = agreement.linear(weight, shares)
        own = np.nan_to_num(agreement.share)
        if self.differ:
            values, moves, own = 1 - values, -moves, np.where(np.isnan(agreement.share), 0.0, 1 - own)
        counted: Literal["agree", "differ"] = "differ" if self.differ else "agree"
        every, largest = np.ones(len(rows), dtype=bool), float((weight / weight.sum()).max())
        runs = zip(values.tolist(), moves, shares, units, totals[:, 0] > 0, strict=True)
        return [
            Influence(value, rows, influence, share, every, smallest, largest, parts=own, of_pairs=counted)
            if present
            else undefined(NOT_IN_COMMON)
            for value, influence, share, smallest, present in runs
        ]

    def of_flips(self, flipped: np.ndarray, weight: np.ndarray, rows: np.ndarray, smallest: int) -> Influence:
        """The share that a run and that of its reference predict differently.

        Args:
            flipped: bool [n].
            weight: float [n]; 0 where one of both has no prediction.
            rows: int [k], the examples of the subset.
            smallest: the number of units among them.
        """
        total = weight[rows].sum()
        if not total > 0:
            return undefined(NOT_IN_COMMON)
        shares, outcome = weight[rows] / total, flipped[rows].astype(float)
        value = float(weight[rows][flipped[rows]].sum() / total)
        every = np.ones(len(rows), dtype=bool)
        influence = shares * (outcome - value)
        return Influence(value, rows, influence, shares, every, smallest, float(shares.max()), parts=outcome)


def needs_reference(measure: Measure) -> bool:
    """Whether a measure is defined for a method beside its reference only."""
    return isinstance(measure.influence, RunPairs) and measure.influence.with_reference


STABILITY = by_name(
    Measure(
        "self_consistency",
        "predictions",
        "probability that two runs (seeds) of a method predict the same class for an example",
        -1,
        EVERYWHERE,
        RunPairs(differ=False, with_reference=False),
        title="self-consistency",
        proportion=True,
        gaps=True,
        on_request=True,
        display=Display(fitted=True, worse="is less consistent from run to run", question="stability"),
    ),
    Measure(
        "prediction_flip_rate",
        "predictions",
        "share of examples whose prediction differs between a method and its reference",
        1,
        EVERYWHERE,
        RunPairs(differ=True, with_reference=True),
        proportion=True,
        gaps=True,
        on_request=True,
        display=Display(worse="flips more predictions", condition="from {}", question="stability"),
    ),
)
