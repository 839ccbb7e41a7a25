"""What sections of the report are made of: blocks of figures, and tables, by setting and split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.report import vega
from evenhand.report.wording import by_setting_and_split

MOST_ROWS = 3000
"""With more contrasts than this, single classes are not drawn: a page is to stay below 5 MB. The tables have them."""


@dataclass(frozen=True)
class Figure:
    """A chart with what a reader who cannot see it is told.

    Attributes:
        stem: of its file among the pictures, see `evenhand.report.figures`; none for a chart of the page alone.
    """

    chart: vega.Chart
    description: str
    stem: str = ""


@dataclass(frozen=True)
class Block:
    """Figures under one heading."""

    heading: str
    figures: Sequence[Figure]
    setting: str | None = None


@dataclass(frozen=True)
class Spot:
    """A setting, a split and what is drawn apart there, such as an attribute, by the names of charts' arguments."""

    setting: str
    split: str
    part: Mapping[str, str | None]

    @property
    def where(self) -> dict[str, Any]:
        """What a chart of it is called with."""
        return {"setting": self.setting, "split": self.split, **self.part}

    @property
    def heading(self) -> str:
        """In words; the split is named unless it is `test`."""
        words = [self.setting, *([] if self.split == "test" else [f"split {self.split}"])]
        return ", ".join(
            [*words, *(_WORDS[key].format(value) for key, value in self.part.items() if value is not None)]
        )


_WORDS = {
    "attribute": "{}",
    "target": "{}",
    "reference": "against {}",
    "name": "class {}",
    "group": "the group of the largest calibration error, {}",
}
"""How headings name a part."""


def blocks_of(
    frame: pl.DataFrame,
    design: Design,
    draw: Callable[[pl.DataFrame, Spot], Iterable[Figure]],
    parts: Callable[[pl.DataFrame], Iterable[Mapping[str, str | None]]] = lambda rows: [{}],
) -> list[Block]:
    """A block per setting, split and part, in the design's order, `test` before other splits.

    Args:
        frame: a table with settings and splits.
        design: of the study.
        draw: figures of the rows of a setting and split.
        parts: what is drawn apart there.
    """
    blocks = []
    for setting, split, rows in by_setting_and_split(frame, design):
        for part in parts(rows):
            spot = Spot(setting, split, part)
            figures = list(draw(rows, spot))
            if figures:
                blocks.append(Block(spot.heading, figures, setting))
    return blocks


def attributes_of(frame: pl.DataFrame) -> list[str | None]:
    """The attributes of a table; None alone where nothing has groups."""
    return list(frame["attribute"].drop_nulls().unique(maintain_order=True)) or [None]


def by_attribute(frame: pl.DataFrame) -> list[dict[str, str | None]]:
    """A part per attribute."""
    return [{"attribute": attribute} for attribute in attributes_of(frame)]


def stem(name: str, part: str | None) -> str:
    """The name of a picture: of a chart, and of the attribute or target that it shows; none for a chart without."""
    return "" if not name else name if part is None else f"{name}-{part}"
