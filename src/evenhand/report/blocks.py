"""Groups the report's figures into blocks, one per setting and split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.report import vega
from evenhand.report.wording import by_setting_and_split

MOST_ROWS = 3000
"""With more contrasts than this, single classes are not drawn: a page is to stay below 6 MB. The tables have them."""


@dataclass(frozen=True)
class Figure:
    """A chart with a description for readers who cannot see it.

    Attributes:
        stem: its picture file's name without suffix (`evenhand.report.figures`); empty for charts of the page only.
        measure: the one that it shows; empty for a chart of several.
    """

    chart: vega.Chart
    description: str
    stem: str = ""
    measure: str = ""


@dataclass(frozen=True)
class Block:
    """The figures under one heading, of one setting, split, attribute and method where these are known."""

    heading: str
    figures: Sequence[Figure]
    setting: str | None = None
    split: str | None = None
    attribute: str | None = None
    method: str | None = None

    @property
    def size(self) -> int:
        """The number of rows of data that its charts draw."""
        return sum(len(rows) for figure in self.figures for rows in figure.chart.spec["datasets"].values())


@dataclass(frozen=True)
class Spot:
    """A setting, a split and a part (an attribute, say) that is drawn separately, as keyword arguments of charts."""

    setting: str
    split: str
    part: Mapping[str, str | None]

    @property
    def where(self) -> dict[str, Any]:
        """The keyword arguments for a chart of this setting, split and part."""
        return {"setting": self.setting, "split": self.split, **self.part}

    @property
    def heading(self) -> str:
        """The heading in words; the split is named unless it is `test`."""
        words = [self.setting, *([] if self.split == "test" else [f"split {self.split}"])]
        return ", ".join(
            [*words, *(_WORDS[key].format(value) for key, value in self.part.items() if value is not None)]
        )


_WORDS = {
    "attribute": "{}",
    "method": "{}",
    "target": "{}",
    "reference": "against {}",
    "name": "class {}",
    "group": "the group of the largest calibration error, {}",
}
"""The words for a part in headings."""


def blocks_of(
    frame: pl.DataFrame,
    design: Design,
    draw: Callable[[pl.DataFrame, Spot], Iterable[Figure]],
    parts: Callable[[pl.DataFrame], Iterable[Mapping[str, str | None]]] = lambda rows: [{}],
) -> list[Block]:
    """One block for each setting, split and part, in the design's order, `test` before other splits.

    Args:
        frame: a table with settings and splits.
        design: of the study.
        draw: returns the figures for the rows of a setting and split.
        parts: returns the parts that are drawn separately.
    """
    blocks = []
    for setting, split, rows in by_setting_and_split(frame, design):
        for part in parts(rows):
            spot = Spot(setting, split, part)
            figures = list(draw(rows, spot))
            if figures:
                blocks.append(Block(spot.heading, figures, setting, split, part.get("attribute"), part.get("method")))
    return blocks


def attributes_of(frame: pl.DataFrame) -> list[str | None]:
    """The attributes of a table; `[None]` for a table without groups."""
    return list(frame["attribute"].drop_nulls().unique(maintain_order=True)) or [None]


def by_attribute(frame: pl.DataFrame) -> list[dict[str, str | None]]:
    """One part for each attribute."""
    return [{"attribute": attribute} for attribute in attributes_of(frame)]


def stem(name: str, part: str | None) -> str:
    """The name of a picture: the chart's, then its attribute or target; empty for a chart without a picture file."""
    return "" if not name else name if part is None else f"{name}-{part}"
