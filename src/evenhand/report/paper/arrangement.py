"""Arranges the panels of a figure so that it can be printed on a page: settings in a grid, panels of one size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evenhand.report.paper import layout

TALL = layout.WIDE * 95 // 70
"""Pixels of a figure that fills a page of 7 × 9.5 inches, when it is printed as wide as the page."""

NARROW, LOW = 92, 70
"""The fewest pixels of a panel in each direction; some 18 letters of 10 pixels fit in a line then."""

APART = 16
"""Pixels between two settings beside each other."""

_MOST_ACROSS = 2


@dataclass(frozen=True)
class Room:
    """Pixels that a figure needs besides its panels.

    Attributes:
        axis: of the axis at the left of a setting.
        gap: between two panels of a line.
        line: above and below each line of panels.
        block: above and below the panels of a setting.
        rest: of the figure's title, key and note.
    """

    axis: int
    gap: int
    line: int
    block: int
    rest: int


@dataclass(frozen=True)
class Arrangement:
    """The places of a figure's panels.

    Attributes:
        across: settings beside each other.
        columns: panels in a line of a setting.
        width, height: pixels of a panel.
    """

    across: int
    columns: int
    width: int
    height: int


def arrange(counts: Sequence[int], columns: int, room: Room) -> Arrangement:
    """The arrangement that a design asks for, with square panels, or if a page is too short, one that fits on it.

    Of those that fit, the one whose panels are the largest in their shorter direction. Where none does, the one that
    takes the fewest pixels: the figure is then longer than a page.

    Args:
        counts: panels of each setting.
        columns: panels in a line, as the design asks.
        room: besides the panels.
    """
    asked = Arrangement(1, columns, _width(1, columns, room), _width(1, columns, room))
    if _total(asked, counts, room) <= TALL:
        return asked
    possible = list(_possible(counts, room))
    if fitting := [each for each in possible if _total(each, counts, room) <= TALL]:
        return max(fitting, key=lambda each: (min(each.width, each.height), each.width))
    return min(possible, key=lambda each: _total(each, counts, room), default=asked)


def _possible(counts: Sequence[int], room: Room) -> Iterator[Arrangement]:
    """Arrangements of panels that are wide enough, as high as a page permits, or else as low as may be."""
    for across in range(1, min(_MOST_ACROSS, len(counts)) + 1):
        for columns in range(1, max(counts) + 1):
            width = _width(across, columns, room)
            if width < NARROW:
                break
            lines = _lines(counts, across, columns)
            fixed = _total(Arrangement(across, columns, width, 0), counts, room)
            yield Arrangement(across, columns, width, max(min(width, (TALL - fixed) // lines), LOW))


def _width(across: int, columns: int, room: Room) -> int:
    """The pixels of a panel."""
    return ((layout.WIDE - APART * (across - 1)) // across - room.axis) // columns - room.gap


def _lines(counts: Sequence[int], across: int, columns: int) -> int:
    """The lines of panels above each other; settings that are beside each other have as many as the longer one."""
    starts = range(0, len(counts), across)
    return sum(-(-max(counts[start : start + across]) // columns) for start in starts)


def _total(arrangement: Arrangement, counts: Sequence[int], room: Room) -> int:
    """The pixels of the whole figure from top to bottom."""
    blocks = -(-len(counts) // arrangement.across)
    lines = _lines(counts, arrangement.across, arrangement.columns)
    return room.rest + blocks * room.block + lines * (room.line + arrangement.height)
