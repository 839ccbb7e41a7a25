"""Whether a method widens or narrows the gap between a group and the rest.

With D = gap(method) − gap(reference) and S = gap(method) + gap(reference),

    |gap(method)| − |gap(reference)| = sign(D·S) · min(|D|, |S|)

so that the signs of D and S say whether a gap widens, and neither is biased by groups that are merely noisy, as
differences of absolute values are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from evenhand.audit.rounding import side

Disparity = Literal["reversed", "widens", "narrows", "undecided"]

LEVELLED_DOWN = "levelled down: the gap narrows because the group got worse, not because {} got better"
OTHERS_LEVELLED_DOWN = "levelled down: {} got worse, and the group did not get better"
"""Notes; the place is for whom the group is compared with, of everybody the rest."""


class Bounded(Protocol):
    """Bounds at any one-sided level."""

    def bounds(self, tail: float) -> tuple[float, float]: ...


@dataclass(frozen=True)
class GapIntervals:
    """The intervals that stand beside a gap change; all are positive where the group, or the method, fares worse.

    Attributes:
        total: of the method's gap plus the reference's.
        of_method, of_reference: of each gap.
        inside, outside: of the change in the group, and in the rest.
        tolerance: the distance below which a bound is at 0, but for rounding.
    """

    total: Bounded
    of_method: Bounded
    of_reference: Bounded
    inside: Bounded
    outside: Bounded
    tolerance: float = 0.0

    def disparity(self, change: Bounded, level: float) -> Disparity:
        """The word for a gap change.

        Args:
            change: its interval.
            level: one-sided, of the family; each bound here is at half of it, since both signs are claimed.

        Returns:
            `reversed` where both gaps exclude 0 with opposite signs; `widens` where gap change and sum of gaps exclude
            0 on the same side, `narrows` where on opposite sides; else `undecided`.
        """
        changed, total, ours, theirs = (
            side(interval.bounds(level / 2), self.tolerance)
            for interval in (change, self.total, self.of_method, self.of_reference)
        )
        if ours * theirs < 0:
            return "reversed"
        if changed * total > 0:
            return "widens"
        return "narrows" if changed * total < 0 else "undecided"

    def levelled_down(self, level: float) -> bool:
        """Whether the group got worse and the rest did not get better, at the family's one-sided level."""
        return self._only_first_got_worse(self.inside, self.outside, level)

    def others_levelled_down(self, level: float) -> bool:
        """Whether the group fared worse before, the rest got worse and the group did not get better, at that level."""
        behind = side(self.of_reference.bounds(level), self.tolerance) > 0
        return behind and self._only_first_got_worse(self.outside, self.inside, level)

    def _only_first_got_worse(self, first: Bounded, second: Bounded, level: float) -> bool:
        """Whether the first of two changes is shown to be a loss, and the second not to be a gain."""
        lost, gained = (side(change.bounds(level), self.tolerance) for change in (first, second))
        return lost > 0 and not gained < 0
