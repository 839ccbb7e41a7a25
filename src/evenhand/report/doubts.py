"""Doubts that change how the numbers are read: about the data, margins, runs, and what verdicts are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from evenhand.audit.comparisons import OVERLAP
from evenhand.audit.design import Design
from evenhand.audit.measures import doubtful_margins
from evenhand.records.schemas import ONE_AGAINST_SEVERAL, TWO_MODELS
from evenhand.report.collapsed_sentences import collapsed_lines, constant_lines
from evenhand.report.looks import look_lines
from evenhand.report.method_pairs import Pair
from evenhand.report.reportable import Reportable
from evenhand.report.wording import by_pair, compared, main_split, measure_named

MOST_DOUBTS = 3
"""The most doubts that a headline has; the others are counted."""

_NAMED = 2
"""The most comparisons that one of its doubts names."""


@dataclass(frozen=True)
class Doubts:
    """The doubts of a headline.

    Attributes:
        before: what must be known before any answer: about the data, models that learned nothing, margins, intervals.
        after: doubts about what the answers are about, comparisons that could not be made, and looks at the study.
    """

    before: Sequence[str]
    after: Sequence[str]


def doubts(results: Reportable, pairs: Sequence[Pair]) -> Doubts:
    """The first doubt of each sort, of the sorts that matter most; the number of the others ends the last one.

    Args:
        results: of the audit.
        pairs: all pairs of the main split, also those that could not be judged.
    """
    verdicts, design = results.verdicts, results.design
    warnings = [warning for setting in design.settings.values() for warning in setting.warnings]
    failed = failed_lines(pairs, len(design.settings) > 1)
    scope = scope_lines(verdicts, results.trials, design, named=_NAMED)
    before = (
        warnings,
        constant_lines(results.estimates, design),
        doubtful_margins(design.margins, verdicts["measure"].unique()),
        overlap_lines(verdicts),
    )
    after = (failed, collapsed_lines(verdicts, design, named=False), scope, look_lines(results))
    # Warnings about the data may make everything else void; what verdicts are about concerns all of them.
    importance = (before[0], before[1], after[0], after[2], after[3], after[1], before[2], before[3])
    chosen = [sort for sort in importance if sort][:MOST_DOUBTS]
    lines = [[sort[0] for sort in side if any(sort is each for each in chosen)] for side in (before, after)]
    left = sum(map(len, importance)) - len(chosen)
    if left:
        side = lines[1] or lines[0]
        side[-1] += f" {left} more {'doubt is' if left == 1 else 'doubts are'} under Details."
    return Doubts(*lines)


def failed_lines(pairs: Sequence[Pair], several_settings: bool) -> list[str]:
    """A sentence for each pair and kind of records of which nothing could be compared, with the reason."""
    lines = []
    for pair in pairs:
        if pair.setting is None:
            continue
        lead = f"{pair.setting}: " if several_settings else ""
        pair_in_words = compared(pair.methods[0], pair.reference)
        for title, rows in _unjudged(pair):
            why = str(rows["note"].drop_nulls().first() or "no reason was recorded").partition("; ")[0]
            if pair.judged.is_empty():
                lines.append(f"{lead}{pair_in_words}: nothing could be judged ({why}).")
                break
            lines.append(f"{lead}{pair_in_words}: {title} could not be judged ({why}).")
    return lines


def _unjudged(pair: Pair) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each kind of records that has none with a contrast, after the title of its first measure."""
    by_kind: dict[str, list[str]] = {}
    for name in pair.rows["measure"].unique(maintain_order=True):
        by_kind.setdefault(measure_named(name).kind, []).append(name)
    for names in by_kind.values():
        rows = pair.rows.filter(pl.col("measure").is_in(names))
        if not rows["contrast"].count():
            yield measure_named(names[0]).title, rows


def overlap_lines(verdicts: pl.DataFrame) -> list[str]:
    """A sentence where runs share so much of a small pool that intervals are too short; none elsewhere."""
    if not verdicts["note"].fill_null("").str.contains(OVERLAP, literal=True).any():
        return []
    return [f"Intervals may be too short: {OVERLAP}. A larger pool, or fewer tested examples, would help."]


def scope_lines(verdicts: pl.DataFrame, trials: pl.DataFrame, design: Design, named: int | None = None) -> list[str]:
    """A sentence on verdicts about single models, which show nothing about the methods; empty where there are none.

    Where methods were compared with one run each, and where one run of a method was compared with several of another.

    Args:
        verdicts: the table.
        trials: the table.
        design: of the study.
        named: the most comparisons that a sentence names; None: all.
    """
    made = verdicts.drop_nulls(["verdict", "contrast", "reference", "setting"])
    made = made.filter(split=main_split(verdicts["split"]) or "")
    nothing = "show nothing about {}, whose other runs may differ."
    lines, models = [], made.filter(scope=TWO_MODELS)
    if len(models):
        pairs = [compared(method, reference) for method, reference, _ in by_pair(models, design)]
        more = [f"{len(pairs) - named} more"] if named is not None and len(pairs) > named else []
        shown = " and ".join([*pairs[:named], *more])
        where = "These verdicts" if len(models) == len(made) else f"Verdicts on {shown}"
        which = "these two models" if len(pairs) == models["setting"].n_unique() == 1 else "these models"
        lines.append(f"{where} are about {which}, with one run of each: they {nothing.format('the methods')}")
    for method, reference, rows in by_pair(made.filter(scope=ONE_AGAINST_SEVERAL), design):
        seeds = trials.filter(method=method, role="study")["seed"].n_unique()
        single, several = (method, reference) if seeds == 1 else (reference, method)
        lines.append(
            f"{single} is one model, compared with the mean of {rows['runs'].max()} runs of {several}: these verdicts "
            f"are about that model and {nothing.format('its method')}"
        )
    return lines
