"""Writes a section of a model card for the Hugging Face hub: `model-index` metadata and a statement in plain words.

The statement says what was compared, what was found, which harm could have been missed and what was not tested. It
never says that a model is fair, which no audit can show.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import polars as pl
import yaml

from evenhand.audit.measures import known
from evenhand.report.card_metadata import model_index
from evenhand.report.detectable_harm import detectable_lines
from evenhand.report.headline import headline
from evenhand.report.markdown import escaped
from evenhand.report.reportable import Reportable
from evenhand.report.sizes import group_sizes
from evenhand.report.tables import margin_rows
from evenhand.report.untested import untested_lines
from evenhand.report.verdict_tables import detectable_grid
from evenhand.report.visible_names import with_visible_names
from evenhand.report.wording import claims, compared, counts, main_split, single_part, trained

_GROUPS = 12
"""The most groups of an attribute that are named with their sizes, and the most lines on detectable contrasts."""

_LIMITS = (
    "An interval that holds no harm above a margin excludes larger harms only for the data that were tested, and only "
    "with the probability that it states.",
    "Groups are those that the data name; people may see themselves otherwise, and labels may themselves be biased.",
    "Where no harm was found, there may still be one: this section does not certify the model for any use.",
)


def card(results: Reportable) -> str:
    """The card as Markdown with YAML front matter.

    The front matter is what `huggingface_hub` makes of the same values, and is written without it.
    """
    results = with_visible_names(results)
    front = {"tags": ["evenhand", "fairness-audit"], "model-index": model_index(results)}
    text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=100)
    lines = ["---", text.rstrip(), "---", "", "## Fairness audit", "", *_section(results)]
    return "\n".join(lines).rstrip() + "\n"


def _section(results: Reportable) -> Iterator[str]:
    """The lines of the statement."""
    design = results.design
    source = f" of {escaped(design.source)}" if design.source else ""
    yield (
        f"Written by Evenhand {_version()} from its audit{source}. It reports what was measured, with intervals; it "
        "does not show that a model is fair."
    )
    missed = list(_missed(results))
    found = [line for line in headline(results) if line not in missed]
    for title, bullets in (
        ("What was compared", map(escaped, _compared(results))),
        ("What was found", map(escaped, found)),
        ("What harm could have been missed", map(escaped, missed)),
        ("What was not tested", map(escaped, untested_lines(results))),
        ("Limits", _limits(results)),
        ("How to reproduce this", _reproduction(results)),
    ):
        yield from ["", f"### {title}", "", *(f"- {line}" for line in bullets)]


def _version() -> str:
    return metadata.version("evenhand")


def _compared(results: Reportable) -> Iterator[str]:
    """What was trained or given, which comparisons were made, and the groups with their sizes."""
    for name, setting in results.design.settings.items():
        trials, examples = results.trials.filter(setting=name), results.examples.filter(setting=name)
        what = f"{setting.task or 'predictions as given'}{f' on {setting.model}' if setting.model else ''}"
        yield f"{name}: {what}; {', '.join(trained(trials))}; {len(examples):,} examples."
        pairs = results.verdicts.filter(setting=name).select("method", "reference").unique(maintain_order=True)
        if len(pairs):
            words = [compared(method, reference) for method, reference in pairs.iter_rows()]
            yield f"Compared in {name}: {', '.join(words)}."
        sizes = group_sizes(results.examples, results.design, name)
        for (attribute,), rows in sizes.group_by("attribute", maintain_order=True):
            sized = rows.group_by("group", maintain_order=True).agg(pl.col("n").sum()).rows()
            named = ", ".join(f"{group} ({n:,})" for group, n in sized[:_GROUPS])
            more = f" and {len(sized) - _GROUPS} more" if len(sized) > _GROUPS else ""
            yield f"Groups by {attribute} in {name}, with their examples in the data: {named}{more}."


def _missed(results: Reportable) -> Iterator[str]:
    """The smallest harm that is detected, and how many comparisons could not be decided."""
    verdicts, design = results.verdicts, results.design
    yield from detectable_lines(results.curves, design) or _detectable(results)
    split = main_split(verdicts["split"])
    judged = claims(verdicts).filter(~single_part(design), split=split or "").drop_nulls("verdict")
    undecided = counts(judged).get("inconclusive", 0)
    if undecided:
        yield f"{undecided} of {len(judged)} comparisons are inconclusive: in them this study could not decide."


def _detectable(results: Reportable) -> Iterator[str]:
    """The smallest contrasts that are detected, of the measure that is the easiest to understand."""
    grid = detectable_grid(results.verdicts, results.design)
    easy = [measure.title for measure in known().values() if measure.display.detectable]
    rows = [] if grid is None else sorted(grid.rows, key=lambda row: row[2].partition(",")[0] not in easy)
    if not rows:
        yield "Which harm this study would have detected is unknown."
    for setting, pair, measure, taken_for, reach in [row for row in rows if row[2] == rows[0][2]][:_GROUPS]:
        what = f"the smallest contrast in {measure} that is detected with 80% power"
        yield f"{setting}, {pair}: {what} is {reach} ({taken_for})."


def _limits(results: Reportable) -> Iterator[str]:
    """What the verdicts can and cannot show."""
    level = f"{100 * (1 - 2 * results.design.alpha):g}%"
    yield (
        f"Intervals of verdicts have {level} coverage, simultaneously within each family of comparisons and not over "
        "all of them."
    )
    declared = margin_rows(results.design)
    if not declared:
        yield "No margin was declared: which contrasts would be harmless was not said."
    else:
        yield f"Contrasts up to these margins were declared harmless: {escaped(declared[-1][1])}."
    if len(declared) > 1:
        yield f"Margins were changed after they were first declared (first {declared[0][0]}, last {declared[-1][0]})."
    yield from _LIMITS


def _reproduction(results: Reportable) -> Iterator[str]:
    """How to repeat the audit."""
    if results.provenance.get("study", "").startswith("audit:"):
        yield f"Evenhand {_version()}: `evenhand audit`, with the arguments in `provenance.json` of the results."
    else:
        yield f"Evenhand {_version()}: `evenhand run study.yaml`, with the `study.yaml` in the folder of the results."
    yield "`evenhand verify DIR` checks that the tables of a folder of results follow from its records."
