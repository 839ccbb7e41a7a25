"""Pictures of the tested differences between folders: one for each measure and attribute."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from evenhand.report.blocks import attributes_of
from evenhand.report.chart_parts import capital, choose_attribute
from evenhand.report.charts import to_svg
from evenhand.report.comparison.paired import Pair
from evenhand.report.verdict_chart import drawn, panels_of, verdict_chart
from evenhand.report.wording import claims, single_part, title

MOST = 24
"""The most pictures of a page; tables hold the rest."""


@dataclass(frozen=True)
class Picture:
    """A picture that a page holds.

    Attributes:
        uri: the SVG as a data URI.
        about: what it shows, for those who do not see it.
        pair: the position of its pair among the comparison's.
    """

    uri: str
    about: str
    pair: int


def pictures(pairs: Sequence[Pair]) -> list[Picture]:
    """Return pictures of the differences, the first `MOST`: one for each measure and attribute, without classes."""
    made: list[Picture] = []
    for position, pair in enumerate(pairs):
        rows = drawn(claims(pair.verdicts).filter(~single_part(), pl.col("class").is_null())).drop_nulls("contrast")
        for split in rows["split"].unique(maintain_order=True):
            for attribute in attributes_of(rows.filter(split=split)):
                here, _ = choose_attribute(rows.filter(split=split), attribute)
                for measure in dict.fromkeys(panels_of(here["measure"])):
                    if len(made) == MOST:
                        return made
                    chart = verdict_chart(here, pair.design, split=split, attribute=attribute, measures=[measure])
                    of = "everyone" if attribute is None else f"the groups of {attribute}"
                    about = f"{capital(title(measure))} of {of}, {pair.label} against {pair.reference} ({split})"
                    uri = "data:image/svg+xml;base64," + base64.b64encode(to_svg(chart).encode()).decode()
                    made.append(Picture(uri, about, position))
    return made
