"""Sentences on models that learned nothing, and on runs that look collapsed beside others that do not."""

from __future__ import annotations

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.verdict_rows import COLLAPSED, WITHOUT
from evenhand.report.wording import Row, by_pair, claims, compared, heading, main_split, place, settings_of

_NAMED = 3


def constant_lines(estimates: pl.DataFrame, design: Design) -> list[str]:
    """A sentence for each setting and class that methods predict for everybody in all runs, in the main split.

    What they all do is no collapse of single runs, so that no verdict seems to depend on it.

    Args:
        estimates: the table.
        design: of the study.
    """
    rows = estimates.filter(
        pl.col("comparison").is_null() & pl.col("seed").is_null() & pl.col("group").is_null(),
        measure="selection_rate",
        split=main_split(estimates["split"]) or "",
    )
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows.iter_rows(named=True):
        setting = design.settings.get(row["setting"] or "")
        # Of two classes the rate is about one, and a rate of 0 is the other class for everybody.
        if setting is None or row["value"] not in ((1.0,) if row["class"] else (0.0, 1.0)):
            continue
        positive = row["class"] or setting.classes[setting.positive if row["value"] else 1 - setting.positive]
        methods = found.setdefault((row["setting"], positive), [])
        if row["method"] not in methods:
            methods.append(row["method"])
    lines = []
    for (name, label), methods in found.items():
        lead = f"{name}: " if len(design.settings) > 1 else ""
        who = " and ".join([", ".join(methods[:-1]), methods[-1]] if len(methods) > 1 else methods)
        verb = "predicts" if len(methods) == 1 else "predict"
        lines.append(
            f"{lead}{who} {verb} the class {label} for everybody: rates and accuracy are those of a constant, and say "
            "nothing about models that have learned."
        )
    return lines


def collapsed_lines(verdicts: pl.DataFrame, design: Design, *, named: bool = True) -> list[str]:
    """A sentence for each setting, method and reference with such runs, in the main split; empty where there are none.

    Verdicts stand in the rows as the runs are, and those without the runs in their notes.

    Args:
        verdicts: the table.
        design: of the study.
        named: whether the first verdicts that would differ are named, and not only counted.
    """
    split, lines = main_split(verdicts["split"]), []
    about = claims(verdicts).filter(
        pl.col("note").str.contains(COLLAPSED, literal=True), pl.col("setting").is_not_null(), split=split or ""
    )
    settings = settings_of(about, design)
    for setting in settings:
        lead = f"{setting}: " if len(settings_of(verdicts, design)) > 1 else ""
        for method, reference, rows in by_pair(about.filter(setting=setting), design, setting):
            reasons = dict.fromkeys(_part(row, COLLAPSED) for row in rows.iter_rows(named=True))
            judged = rows.drop_nulls("verdict")
            changed = [row for row in judged.iter_rows(named=True) if _verdict_without(row) != row["verdict"]]
            shown = [
                f"{heading(row['measure'], row['comparison'])}, {place(row)}: {_verdict_without(row)} instead of "
                f"{row['verdict']}"
                for row in changed[:_NAMED]
            ]
            shown += [f"and {len(changed) - _NAMED} more"] if len(changed) > _NAMED else []
            differ = f" ({'; '.join(shown)})" if named and shown else ""
            lines.append(
                f"{lead}{compared(method, reference)}: some runs look collapsed ({', '.join(reasons)}). Without them "
                f"{len(changed)} of {len(judged)} verdicts differ{differ}."
            )
    return lines


def _part(row: Row, lead: str) -> str:
    """What one of the notes says after its first words; empty where there is no such note."""
    return next((part.removeprefix(lead) for part in (row["note"] or "").split("; ") if part.startswith(lead)), "")


def _verdict_without(row: Row) -> str:
    """The verdict without the runs; that of a comparison without an interval is inconclusive."""
    word = _part(row, WITHOUT).partition(",")[0]
    return "inconclusive" if word == "no verdict" else word
