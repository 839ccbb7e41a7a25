"""How the report says things: numbers, names of measures and places, verdicts, the headline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.across_settings import DIFFER
from evenhand.audit.design import Design
from evenhand.audit.measures import known, measure_named, of_kind
from evenhand.records import VERDICTS
from evenhand.records.probes import LAST, UNTRAINED, named

NONE = "—"
"""Stands for a quantity that could not be computed; the reason is beside it."""

_LISTED = 3

ASKED: Mapping[str | None, str] = {
    None: "all questions",
    "cloze": "cloze",
    "yes_no": "yes/no",
    "multiple_choice": "multiple choice",
}
"""What a row about several questions is about; one question has its own name."""


def title(measure: str) -> str:
    """A measure's name as a reader sees it."""
    found = known().get(measure)
    return measure.replace("_", " ") if found is None else found.title


def digits(measure: str) -> int:
    """Decimals that a measure is shown with: five for squared errors and rare events, which are small, else three."""
    found = known().get(measure)
    return 3 if found is None else found.digits


def number(value: float | None, decimals: int = 3, signed: bool = False) -> str:
    """A number with a true minus sign; an em dash for null."""
    if value is None:
        return NONE
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", "−")


def interval(low: float | None, high: float | None, decimals: int = 3, signed: bool = False) -> str:
    """`[low, high]`; an em dash when there is none."""
    if low is None or high is None:
        return NONE
    return f"[{number(low, decimals, signed)}, {number(high, decimals, signed)}]"


def place(row: Mapping[str, Any]) -> str:
    """Whom a row of estimates or verdicts is about, with its class and condition."""
    kind = measure_named(row["measure"]).kind
    asked = kind in ("options", "benchmarks", "probes")
    if kind == "benchmarks":
        group = [] if row["group"] is None else [f"{row['attribute']} = {row['group']}"]
        who = " · ".join([row["condition"], *group])
    elif kind == "probes":
        target, layer = named(row["condition"])
        who = f"{target}, {layer_name(layer)}"
    elif asked:
        who = ASKED.get(row["condition"], row["condition"])
    elif row["group"] is not None:
        who = f"{row['attribute']} = {row['group']}"
    elif row["attribute"] is not None:
        who = f"over the groups of {row['attribute']}"
    else:
        who = "everyone"
    further = [] if row["class"] is None else [f"class {row['class']}"]
    further += [] if row["condition"] is None or asked else [f"condition {row['condition']}"]
    further += [] if row["correction"] is None else [f"correction {row['correction']}"]
    return " · ".join([who, *further])


def layer_name(layer: str) -> str:
    """A layer of a model as a reader sees it."""
    return {"0": "embeddings", LAST: "last layer"}.get(layer, f"layer {layer}")


def single_question() -> pl.Expr:
    """Whether a row is about one question of many, or one group of a benchmark's documents, which tables have and
    charts of verdicts do not."""
    question = pl.col("measure").is_in(of_kind("options")) & pl.col("condition").fill_null("").str.contains(
        "/", literal=True
    )
    return question | (pl.col("measure").is_in(of_kind("benchmarks")) & pl.col("group").is_not_null())


def main_split(splits: Iterable[str]) -> str | None:
    """The split that a headline is about: `test` where there is one, else the first."""
    found = list(dict.fromkeys(splits))
    return "test" if "test" in found else (found[0] if found else None)


def settings_of(frame: pl.DataFrame, design: Design) -> list[str]:
    """The settings of a table, in the design's order."""
    present = set(frame["setting"].drop_nulls().unique())
    return [name for name in design.settings if name in present]


def methods_of(frame: pl.DataFrame, design: Design, setting: str | None = None) -> list[str]:
    """The methods of a table, in the design's order; those that the design does not name follow by name."""
    present = set(frame["method"].unique())
    chosen = [design.settings[setting]] if setting is not None else list(design.settings.values())
    named = dict.fromkeys(name for one in chosen for name in (*one.references, *one.methods))
    order = [name for one in chosen for name in one.methods]
    order += [name for name in named if name not in order]
    known = [name for name in dict.fromkeys(order) if name in present]
    return known + sorted(present - set(known))


def trained(trials: pl.DataFrame) -> list[str]:
    """How many methods, seeds and pool models there are: `2 methods`, `5 seeds`, `16 pool models each`."""
    audited = trials.filter(pl.col("role") != "tuning")
    methods, seeds = audited["method"].n_unique(), audited.filter(role="study")["seed"].n_unique()
    pool = audited.filter(role="pool").group_by("setting", "method").len()["len"]
    said = [f"{methods} method{'' if methods == 1 else 's'}"]
    if seeds or pool.is_empty():
        said.append(f"{seeds} seed{'' if seeds == 1 else 's'}")
    if len(pool):
        low, high = pool.min(), pool.max()
        said.append(f"{low if low == high else f'{low} to {high}'} pool models each")
    return said


def counts(verdicts: pl.DataFrame) -> dict[str, int]:
    """How often each verdict was given, those that occur only, in the order of `records.VERDICTS`."""
    found = dict(verdicts.drop_nulls("verdict").group_by("verdict").len().iter_rows())
    return {verdict: found[verdict] for verdict in VERDICTS if verdict in found}


def headline(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """One line per setting, method and reference, in plain words, computed from the verdicts of the main split.

    Single questions of many are left to the table. Where contrasts were pooled over settings, lines about these come
    first. What could have been seen is said in each
    line, or once at the end where there are many.
    """
    split = main_split(verdicts["split"])
    if split is None:
        return ["There is nothing to compare: no reference method was named, so there are estimates and no verdicts."]
    here = verdicts.filter(~single_question(), split=split)
    several = len(settings_of(here, design)) > 1
    found: list[tuple[str, pl.DataFrame]] = []
    for setting in settings_of(here, design):
        own = here.filter(setting=setting)
        for method in methods_of(own, design, setting):
            compared = own.filter(method=method)
            for reference in compared["reference"].unique(maintain_order=True):
                if reference == UNTRAINED and compared.filter(reference=reference)["verdict"].is_null().all():
                    continue  # a baseline, which nobody is judged against
                lead = f"{setting}: " if several else ""
                found.append((f"{lead}{method} against {reference}", compared.filter(reference=reference)))
    across = _across(here.filter(pl.col("setting").is_null()), design)
    if len(found) <= _LISTED:
        return [*across, *(f"{lead}: {_said(rows)}. {seen(rows)}" for lead, rows in found)]
    return [*across, *(f"{lead}: {_said(rows)}." for lead, rows in found), seen(here)]


def _across(pooled: pl.DataFrame, design: Design) -> list[str]:
    """A line per method and reference about the means over settings."""
    lines = []
    for method in methods_of(pooled, design):
        for reference in pooled.filter(method=method)["reference"].unique(maintain_order=True):
            rows = pooled.filter(method=method, reference=reference)
            decided = rows.drop_nulls(["verdict", "contrast"])
            differing = int(decided["note"].str.contains(DIFFER, literal=True).sum())
            differ = f"{DIFFER} in {differing} of them" if differing else "in none is there a sign that settings differ"
            more = f"; {differ}" if len(decided) else ""
            lines.append(f"Across settings, {method} against {reference}: {_said(rows)}{more}.")
    return lines


def _said(rows: pl.DataFrame) -> str:
    decided = rows.drop_nulls("verdict")
    judged = decided.drop_nulls("contrast")
    absent = len(decided) - len(judged)
    if absent and judged.is_empty():
        return f"no comparison could be made ({decided['note'].drop_nulls().first() or 'no reason was recorded'})"
    worse = judged.filter(verdict="worse")
    named = ""
    if len(worse):
        shown = [f"{title(row['measure'])}, {place(row)}" for row in worse.head(_LISTED).iter_rows(named=True)]
        more = f"; and {len(worse) - _LISTED} more" if len(worse) > _LISTED else ""
        named = f" ({'; '.join(shown)}{more})"
    plural = "" if len(judged) == 1 else "s"
    parts = [f"worse in {len(worse)} of {len(judged)} comparison{plural}{named}"]
    parts += [
        f"{'undecided' if verdict == 'inconclusive' else verdict} in {count}"
        for verdict, count in counts(judged).items()
        if verdict != "worse"
    ]
    parts += [f"and {absent} more could not be made"] if absent else []
    return ", ".join(parts)


def seen(verdicts: pl.DataFrame) -> str:
    """The smallest harm that could have been seen, in a sentence: of groups' accuracy, else of whatever was judged.

    In one setting; means over settings, and single questions of many, are left to the table.
    """
    verdicts = verdicts.drop_nulls("setting").filter(~single_question())
    accuracy = pl.col("measure") == "accuracy"
    candidates = (
        ("in the accuracy of a group", verdicts.filter(accuracy & pl.col("group").is_not_null())),
        ("in accuracy", verdicts.filter(accuracy)),
        ("in the distance from guessing both equally", verdicts.filter(measure="distance_from_equal")),
        ("in any measure", verdicts),
    )
    for where, found in candidates:
        values = found["detectable"].drop_nulls().to_list()
        most = 1.0 if "accuracy" in where else 0.5 if "distance" in where else math.inf  # nothing gets worse by more
        possible = [value for value in values if value < most]
        if values and not possible:
            return f"With so few runs or examples this study could have seen no harm {where}, however large."
        if values:
            whom = "group" if "accuracy" in where else "comparison"
            rest = "" if len(possible) == len(values) else f", and in some {whom} none is large enough"
            return f"The smallest harm this study could have seen {where} is {span(possible)}{rest}."
    return "How small a harm this study could have seen cannot be said."


def span(values: Sequence[float]) -> str:
    """The range of some numbers in words: `between 0.03 and 0.12`, or one number where they are alike."""
    ends = (min(values), max(values))
    low, high = (number(value, 2 if value >= 0.01 else 3 if value >= 0.001 else 5) for value in ends)
    return low if low == high else f"between {low} and {high}"
