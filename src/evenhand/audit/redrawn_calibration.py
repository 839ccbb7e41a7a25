"""The calibration errors of one run for many redrawn outcomes at once: everyone's and each group's.

Outcomes come into the errors only through sums over a bin and a group. They are taken over cells first, a cell being a
bin and a pattern of memberships, so that an example is added once for all groups that it is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evenhand.audit.measures.calibration import BINS, bin_of, confidence
from evenhand.audit.measures.influence import RunData
from evenhand.stats.bootstrap import distinct

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Redrawn:
    """One run's examples by bin of the confidence and by group: B·(1 + G) sums, of which the first is everyone's.

    An example has a weight w and a confidence c; the outcomes y are drawn.

    Attributes:
        events: sparse [3·C, all examples]; times y it is Σ wy, Σ w²y and Σ (2c − 1)w²y by cell.
        groups: sparse [B·(1 + G), C], which cells a sum is made of.
        count, mass, squares: float [B·(1 + G), 1], Σ 1, Σ w, Σ w².
        first, second, third: the same, Σ wc, Σ w²c, Σ w²c².
    """

    events: csr_array
    groups: csr_array
    count: np.ndarray
    mass: np.ndarray
    squares: np.ndarray
    first: np.ndarray
    second: np.ndarray
    third: np.ndarray

    @classmethod
    def of(cls, view: RunData, masks: np.ndarray, rows: np.ndarray, size: int) -> Redrawn:
        """Of a run on these of `size` examples, and its rows' memberships, bool [n, 1 + G]."""
        from scipy.sparse import csr_array

        w, c = view.weight, confidence(view)[0]
        bins = bin_of(c)
        cell, one = distinct([*np.packbits(masks, axis=1).T, bins])
        cells = len(one)
        place, group = np.nonzero(masks[one])
        width = masks.shape[1]
        groups = csr_array(
            (np.ones(len(place)), (bins[one][place] * width + group, place)), shape=(BINS * width, cells)
        )
        amounts = np.concatenate([w, w**2, (2 * c - 1) * w**2])
        by_cell = np.concatenate([cell + cells * part for part in range(3)])
        events = csr_array((amounts, (by_cell, np.tile(rows, 3))), shape=(3 * cells, size))
        fixed = (np.ones(len(w)), w, w**2, w * c, w**2 * c, w**2 * c**2)
        return cls(events, groups, *(groups @ np.bincount(cell, amount, cells)[:, None] for amount in fixed))

    def errors(self, outcomes: np.ndarray) -> np.ndarray:
        """Plug-in and debiased squared error, [draws, 2, 1 + G], of outcomes, bool [draws, all examples]."""
        weight, square, slope = (self.groups @ part for part in np.split(self.events @ outcomes.T.astype(float), 3))
        gap = self.first - weight
        some = np.where(self.mass > 0, self.mass, 1.0)
        mean = gap / some
        # Σ w²(c − y − mean)², opened up.
        spread = self.third - slope - 2 * mean * (self.second - square) + mean**2 * self.squares
        kept = self.count > 1
        variance = spread / some**2 * self.count / np.maximum(self.count - 1, 1)
        unbiased = np.where(kept, mean**2 - variance, 0.0)
        share = np.where(kept, self.mass, 0.0)
        plug_in = divided(_over_bins(np.abs(gap)), _over_bins(self.mass))
        return np.stack([plug_in, divided(_over_bins(share * unbiased), _over_bins(share))]).transpose(2, 0, 1)


def _over_bins(values: np.ndarray) -> np.ndarray:
    """Sums over bins, [1 + G, draws], of values [B·(1 + G), draws]."""
    return values.reshape(BINS, -1, values.shape[1]).sum(axis=0)


def divided(events: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The quotient, nan where nothing was tested."""
    return np.divide(events, tested, out=np.full(np.shape(events), np.nan), where=tested > 0)
