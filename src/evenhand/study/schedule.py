"""Schedules trials on equal accelerators, longest first, and returns when the last one ends."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

_ROUNDING = 1e-9


@dataclass(frozen=True)
class ScheduledTrial:
    """One trial to schedule.

    Attributes:
        seconds: time it takes.
        accelerators: how many it uses: a share of one, or one or more whole ones.
        after: index of the trial that must end before it starts; None: none.
    """

    seconds: float
    accelerators: float = 1.0
    after: int | None = None


def makespan(trials: Sequence[ScheduledTrial], count: int) -> float:
    """Return the seconds until the last trial ends, if each free accelerator takes the longest trial that can start.

    This is list scheduling in the order of "longest processing time first". Without trials that wait for others or
    use other than one accelerator, it takes at most 4/3 − 1/(3·count) times as long as the best schedule (Graham 1969,
    "Bounds on multiprocessing timing anomalies").

    Args:
        trials: in any order; `after` refers to their positions.
        count: number of accelerators.

    Returns:
        0 without trials.

    Raises:
        ValueError: a trial needs more accelerators than there are.

    Example:
        >>> makespan([ScheduledTrial(3.0), ScheduledTrial(2.0), ScheduledTrial(2.0)], 2)
        4.0
    """
    if any(trial.accelerators > count for trial in trials):
        raise ValueError(f"a trial needs more accelerators than {count}")
    waiting: dict[int, list[int]] = {}
    ready: list[int] = []
    for index, trial in enumerate(trials):
        (ready if trial.after is None else waiting.setdefault(trial.after, [])).append(index)
    free = [1.0] * count
    running: list[tuple[float, int, list[int]]] = []
    now = 0.0
    while ready or running:
        ready.sort(key=lambda index: -trials[index].seconds)
        left: list[int] = []
        for position, index in enumerate(ready):
            if not any(share > _ROUNDING for share in free):
                left += ready[position:]
                break
            places = _places(free, trials[index].accelerators)
            if places is None:
                left.append(index)
                continue
            for place in places:
                free[place] -= min(trials[index].accelerators, 1.0)
            heapq.heappush(running, (now + trials[index].seconds, index, places))
        ready = left
        now = running[0][0]
        while running and running[0][0] == now:
            _, index, places = heapq.heappop(running)
            for place in places:
                free[place] += min(trials[index].accelerators, 1.0)
            ready += waiting.pop(index, [])
    return now


def _places(free: Sequence[float], wanted: float) -> list[int] | None:
    """Return the accelerators that a trial may use now: the fullest that has room for a share, or whole free ones."""
    if wanted < 1:
        room = [place for place, share in enumerate(free) if share >= wanted - _ROUNDING]
        return [min(room, key=free.__getitem__)] if room else None
    whole = [place for place, share in enumerate(free) if share >= 1 - _ROUNDING]
    return whole[: round(wanted)] if len(whole) >= round(wanted) else None
