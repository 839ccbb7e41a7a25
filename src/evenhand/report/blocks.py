"""Which charts the page shows, in which order, and what each is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds.membership import ROC
from evenhand.audit.planted_harm import MEASURE
from evenhand.report import charts
from evenhand.report.group_charts import PARITY
from evenhand.report.harness import drawn_rows
from evenhand.report.probes import probed_for, probes_of
from evenhand.report.sizes import group_sizes
from evenhand.report.verdict_chart import panel_of
from evenhand.report.verdict_tables import pooled_pairs
from evenhand.report.wording import settings_of, single_question, title

MOST_ROWS = 3000
"""With more contrasts than this, single classes are not drawn: a page is to stay below 5 MB. The tables have them."""


@dataclass(frozen=True)
class Figure:
    """A chart with what a reader who cannot see it is told."""

    chart: Any
    description: str


@dataclass(frozen=True)
class Block:
    """Figures under one heading."""

    heading: str
    figures: Sequence[Figure]


def verdict_blocks(verdicts: pl.DataFrame, design: Design) -> list[Block]:
    """One block per setting, split, reference and attribute; a class of a measure has a block of its own."""
    blocks = []
    for setting, split, own in _places(verdicts.filter(~single_question()), design):
        for reference in own["reference"].unique(maintain_order=True):
            for attribute in _attributes(own):
                about = pl.col("attribute").eq_missing(pl.lit(attribute, pl.String)) | pl.col("attribute").is_null()
                rows = own.filter(about & (pl.col("reference") == reference))
                where = {"setting": setting, "split": split, "attribute": attribute, "reference": reference}
                heading = _heading(setting, split, attribute, f"against {reference}")
                drawn = rows.filter(pl.col("class").is_null()) if len(verdicts) > MOST_ROWS else rows
                blocks += _by_class(drawn, design, where, heading)
    return blocks


def _by_class(rows: pl.DataFrame, design: Design, where: dict[str, Any], heading: str) -> Iterator[Block]:
    decided = rows.drop_nulls("verdict")
    for name in decided["class"].unique(maintain_order=True):
        own = decided.filter(pl.col("class").eq_missing(pl.lit(name, pl.String)))
        figures = []
        for measure in dict.fromkeys(panel_of(measure) for measure in own["measure"]):
            chart = charts.verdict_chart(rows, design, measures=[measure], name=name, legend=False, **where)
            about = f"{title(measure)}: {_heading(where['setting'], where['split'], where['attribute'], '')}"
            figures.append(
                Figure(chart, f"Contrasts with intervals and margin, {about}. The table above has the numbers.")
            )
        if figures:
            yield Block(heading if name is None else f"{heading}, class {name}", figures)


def across_blocks(verdicts: pl.DataFrame, design: Design) -> list[Block]:
    """One block per split, method and reference that were pooled over settings, with a figure per measure."""
    decided = verdicts.filter(pl.col("class").is_null()).drop_nulls("verdict")
    pooled = decided.filter(pl.col("setting").is_null()).drop_nulls("contrast")
    blocks = []
    for pair in pooled_pairs(pooled, design):
        where: dict[str, Any] = dict(pair)
        heading = f"{pair['method']} against {pair['reference']}"
        figures = []
        for measure in dict.fromkeys(panel_of(measure) for measure in pooled.filter(**pair)["measure"]):
            chart = charts.across_chart(decided, design, measures=[measure], legend=False, **where)
            about = f"{title(measure)}: {heading} in each setting, and the mean. The tables have the numbers."
            figures.append(Figure(chart, about))
        blocks.append(Block(heading if pair["split"] == "test" else f"{heading}, split {pair['split']}", figures))
    return blocks


def harm_blocks(curves: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of the loss of accuracy that would have been seen per setting, split and attribute."""
    rows = curves.filter(pl.col("measure") == MEASURE)
    blocks = []
    for setting, split, own in _places(rows, design):
        for attribute in _attributes(own):
            chart = charts.harm_chart(own, design, setting=setting, split=split, attribute=attribute)
            heading = _heading(setting, split, attribute, "")
            blocks.append(Block(heading, [Figure(chart, f"Loss of accuracy that would have been seen, {heading}.")]))
    return blocks


def accuracy_blocks(estimates: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of group accuracy per setting, split and attribute."""
    rows = estimates.filter(pl.col("seed").is_null() & (pl.col("measure") == "accuracy"))
    blocks = []
    for setting, split, own in _places(rows, design):
        for attribute in _attributes(own):
            chart = charts.group_accuracy_chart(rows, design, setting=setting, split=split, attribute=attribute)
            heading = _heading(setting, split, attribute, "")
            blocks.append(Block(heading, [Figure(chart, f"Accuracy with 95% intervals, {heading}.")]))
    return blocks


def disparity_blocks(estimates: pl.DataFrame, design: Design) -> list[Block]:
    """Demographic parity and equalized odds per setting, split, attribute and class."""
    rows = estimates.filter(pl.col("seed").is_null() & pl.col("measure").is_in(PARITY))
    if len(rows) > MOST_ROWS:
        rows = rows.filter(pl.col("class").is_null())
    blocks = []
    for setting, split, own in _places(rows, design):
        for attribute in own["attribute"].drop_nulls().unique(maintain_order=True):
            here = own.filter(attribute=attribute)
            for name in here["class"].unique(maintain_order=True):
                heading = _heading(setting, split, attribute, "" if name is None else f"class {name}")
                present = [measure for measure in PARITY if measure in set(here["measure"])]
                figures = [
                    Figure(
                        charts.disparity_chart(
                            here, design, measure=measure, setting=setting, split=split, attribute=attribute, name=name
                        ),
                        f"{title(measure)} with 95% intervals, {heading}.",
                    )
                    for measure in present
                ]
                blocks.append(Block(heading, figures))
    return blocks


def reliability_blocks(curves: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of reliability per setting and split for everyone, and for the worst-calibrated group of attributes."""
    blocks = []
    for setting, split, own in _places(curves.filter(pl.col("measure") == "reliability"), design):
        for attribute, group in own.select("attribute", "group").unique(maintain_order=True).iter_rows():
            who = "" if group is None else f"the group of the largest calibration error, {group}"
            heading = _heading(setting, split, attribute, who)
            chart = charts.reliability_chart(
                curves, design, setting=setting, split=split, attribute=attribute, group=group
            )
            blocks.append(Block(heading, [Figure(chart, f"Observed share against confidence, {heading}.")]))
    return blocks


def privacy_blocks(curves: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of ROC curves of membership inference per setting, split and attribute."""
    blocks = []
    for setting, split, own in _places(curves.filter(measure=ROC), design):
        for attribute in _attributes(own):
            chart = charts.roc_chart(own, design, setting=setting, split=split, attribute=attribute)
            heading = _heading(setting, split, attribute, "")
            about = f"True positives against false ones of membership inference, {heading}. The tables have the rates."
            blocks.append(Block(heading, [Figure(chart, about)]))
    return blocks


def translation_blocks(estimates: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of what became of the stereotype per setting and split."""
    rows = estimates.filter(pl.col("seed").is_null(), pl.col("measure") == "pro_share").drop_nulls("value")
    blocks = []
    for setting, split, _ in _places(rows, design):
        chart = charts.shares_chart(estimates, design, setting=setting, split=split)
        heading = _heading(setting, split, None, "")
        blocks.append(Block(heading, [Figure(chart, f"Shares of pronouns by method, {heading}. Tables below.")]))
    return blocks


def answer_blocks(estimates: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of what was guessed per setting and split."""
    rows = estimates.filter(pl.col("seed").is_null(), pl.col("measure") == "guess_lean").drop_nulls("value")
    blocks = []
    for setting, split, _ in _places(rows, design):
        chart = charts.answers_chart(estimates, design, setting=setting, split=split)
        heading = _heading(setting, split, None, "")
        about = f"Which gender is guessed, by question and method, {heading}. Tables below."
        blocks.append(Block(heading, [Figure(chart, about)]))
    return blocks


def harness_blocks(estimates: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of what benchmarks say per setting and split."""
    blocks = []
    for setting, split, _ in _places(drawn_rows(estimates), design):
        chart = charts.harness_chart(estimates, design, setting=setting, split=split)
        heading = _heading(setting, split, None, "")
        blocks.append(Block(heading, [Figure(chart, f"Benchmarks by method, {heading}. Tables below.")]))
    return blocks


def probe_blocks(estimates: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of what probes find over the layers per setting, split and target."""
    blocks = []
    for setting, split, own in _places(probes_of(estimates), design):
        for target in probed_for(own):
            chart = charts.probes_chart(own, design, setting=setting, split=split, target=target)
            heading = _heading(setting, split, None, target)
            about = f"What probes for {target} find in each layer, by method, {heading}. Tables below."
            blocks.append(Block(heading, [Figure(chart, about)]))
    return blocks


def size_blocks(examples: pl.DataFrame, design: Design) -> list[Block]:
    """One chart of group sizes per setting and attribute."""
    blocks = []
    for setting in settings_of(examples, design):
        for attribute in group_sizes(examples, design, setting)["attribute"].unique(maintain_order=True):
            chart = charts.group_size_chart(examples, design, setting=setting, attribute=attribute)
            about = f"Examples in each group of {attribute} by class, {setting}."
            blocks.append(Block(f"{setting}: {attribute}", [Figure(chart, about)]))
    return blocks


def _places(frame: pl.DataFrame, design: Design) -> Iterator[tuple[str, str, pl.DataFrame]]:
    for setting in settings_of(frame, design):
        own = frame.filter(setting=setting)
        for split in sorted(own["split"].unique(), key=lambda name: (name != "test", name)):
            yield setting, split, own.filter(split=split)


def _attributes(frame: pl.DataFrame) -> list[str | None]:
    return list(frame["attribute"].drop_nulls().unique(maintain_order=True)) or [None]


def _heading(setting: str, split: str, attribute: str | None, further: str) -> str:
    parts = [setting, *([] if split == "test" else [f"split {split}"])]
    parts += [attribute] if attribute is not None else []
    parts += [further] if further else []
    return ", ".join(parts)
