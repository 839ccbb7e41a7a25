"""The looks at a study that adds seeds until it is decided: what each said, and why the study went on or stopped."""

from __future__ import annotations

from collections import Counter

import polars as pl

from evenhand.audit.design import Design, LooksDesign
from evenhand.audit.looks import Outcome, outcome
from evenhand.records.schemas import DECIDED, FUTILE, NOT_JUDGED, OPEN, TOO_FEW_RUNS
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.reportable import Reportable
from evenhand.report.tables import Grid
from evenhand.report.wording import Row, by_setting_and_split, compared, digits, heading, place

INFLATED = (
    "a verdict stands from the look that gave it, and its estimate, taken when it decided, is too extreme on average"
)

ABOUT = (
    "This study added seeds until the comparisons below were decided. Each look judged all seeds so far at its own "
    "share of the error, so that all looks together call a harmless method worse, or a harm of the margin harmless, no "
    "more often than one look would. A verdict stands from the look that gave it: the tables of verdicts have its row "
    "as it was then, and of what is undecided the row of the last look. The level that is given for their intervals is "
    "that of all looks together. <em>Estimates that decided early are too extreme on average</em>, since a comparison "
    "is decided where they happen to be far out: compare them with those of later looks, and with the tables of "
    "values, which have all seeds."
)

_STATES = {
    OPEN: "open",
    FUTILE: "unlikely to be decided",
    TOO_FEW_RUNS: "too few runs",
    NOT_JUDGED: "cannot be judged",
}
"""The states of comparisons without a verdict, in words."""


def look_lines(results: Reportable) -> list[str]:
    """The sentence on where a study until decided stopped, why, and what its estimates are; empty for other studies."""
    design = results.design.looks
    if design is None or results.looks.is_empty():
        return []
    last = outcome(results.looks, design.taken, design)
    seeds, early = design.seeds[design.taken - 1], design.taken < len(design.seeds)
    stopped = f"stopped at {seeds} of {design.seeds[-1]} seeds" if early else f"trained all {seeds} seeds"
    doubt = f"; {INFLATED}" if _decided_early(results.looks, design) else ""
    return [f"The study added seeds look by look and {stopped}: {last.reason}{doubt}."]


def look_grids(results: Reportable) -> list[tuple[str, str, list[Grid]]]:
    """The looks, and what each said of the comparisons that the study waited for, as (setting, split, tables)."""
    design = results.design.looks
    if design is None or results.looks.is_empty():
        return []
    outcomes = {look: outcome(results.looks, look, design) for look in range(1, design.taken + 1)}
    return [
        (setting, split, [_looks(rows, design, outcomes), _paths(rows, design)])
        for setting, split, rows in by_setting_and_split(results.looks, results.design)
    ]


def _decided_early(looks: pl.DataFrame, design: LooksDesign) -> bool:
    """Whether a look before the last planned one decided anything."""
    return bool((looks["decided"].drop_nulls() < len(design.seeds)).any())


def _looks(rows: pl.DataFrame, design: LooksDesign, outcomes: dict[int, Outcome]) -> Grid:
    """A row for each planned look: its seeds, its level, what it decided, and why the study went on or stopped."""
    cells = []
    for look, seeds in enumerate(design.seeds, 1):
        here = rows.filter(look=look)
        if here.is_empty():
            cells.append([str(look), str(seeds), NONE, NONE, NONE, "not taken"])
            continue
        fresh = Counter(here.filter(decided=look)["verdict"])
        waiting = Counter(here.filter(pl.col("state") != DECIDED)["state"])
        ended = "stopped" if outcomes[look].stops else "went on"
        cells.append(
            [
                str(look),
                str(seeds),
                f"{here['level'][0]:.4f}",
                ", ".join(f"{count} {word}" for word, count in fresh.items()) or "none",
                ", ".join(f"{waiting[state]} {word}" for state, word in _STATES.items() if waiting[state]) or "none",
                f"{ended}: {outcomes[look].reason}",
            ]
        )
    head = ["look", "seeds", "one-sided level", "decided then", "without a verdict", "the study"]
    return Grid("Looks", head, cells)


def _paths(rows: pl.DataFrame, design: LooksDesign) -> Grid:
    """A row for each comparison, with its estimate and interval at each look; a star marks the look that decided it."""
    taken = range(1, design.taken + 1)
    paths: dict[tuple[str, str, str], dict[int, str]] = {}
    for row in rows.iter_rows(named=True):
        # Of two mirrored groups, either may have the row at a look.
        key = (compared(row["method"], row["reference"]), heading(row["measure"], row["comparison"]), place(row))
        paths.setdefault(key, {})[row["look"]] = _cell(row)
    cells = [[*key, *(path.get(look, NONE) for look in taken)] for key, path in paths.items()]
    head = ["compared", "measure", "of", *(f"{design.seeds[look - 1]} seeds" for look in taken)]
    return Grid(
        "What each look said; a star marks the look that decided, whose estimate is too extreme on average", head, cells
    )


def _cell(row: Row) -> str:
    """The estimate of a look with its interval, and the verdict where it is the look that decided."""
    decimals = digits(row["measure"])
    text = number(row["contrast"], decimals, signed=True)
    if row["low"] is not None:
        text += f" {interval(row['low'], row['high'], decimals, signed=True)}"
    if row["decided"] == row["look"]:
        return f"{text} {row['verdict']}*"
    return text if row["chance"] is None else f"{text} (chance to be decided {row['chance']:.2f})"


def level_in_words(design: Design) -> str:
    """The one-sided level of a family: 5%, or where a study was looked at, that all looks share it."""
    level = f"{100 * design.alpha:g}%"
    return level if design.looks is None else f"each look's share of {level}"
