"""The tables of the report, as plain text cells for a page or for Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.wording import Row, by_setting_and_split, digits, heading, methods_of, place, settings_of, title


@dataclass(frozen=True)
class Footnotes:
    """The notes of a table, each once, numbered from 1 in order of appearance."""

    numbers: dict[str, int] = field(default_factory=dict)

    def mark(self, note: str | None) -> list[int]:
        """The numbers of a row's notes, which are separated by semicolons in records."""
        texts = [text for text in (note or "").split("; ") if text]
        return sorted(self.numbers.setdefault(text, len(self.numbers) + 1) for text in texts)

    @property
    def texts(self) -> list[str]:
        """The notes in the order of their numbers."""
        return list(self.numbers)


@dataclass(frozen=True)
class Grid:
    """A table of text cells with a head, a caption and footnotes.

    Attributes:
        measure, method: what all of it is about, if that is one measure, or one method.
        places: the attribute and the group of each row, to find it by; empty for a table of other things.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    measure: str = ""
    places: Sequence[tuple[str | None, str | None]] = ()
    method: str = ""


def estimate_grids(
    estimates: pl.DataFrame, design: Design, measures: Iterable[str] | None = None
) -> list[tuple[str, str, list[Grid]]]:
    """Tables of values with intervals over seeds, one per measure, a column per method, as (setting, split, tables).

    Args:
        estimates: the table.
        design: of the study.
        measures: which; all unless given.
    """
    over = estimates.filter(pl.col("seed").is_null())
    if measures is not None:
        over = over.filter(pl.col("measure").is_in(list(measures)))
    return [
        (setting, split, [_estimate_grid(rows, methods_of(here, design, setting)) for rows in _by_measure(here)])
        for setting, split, here in by_setting_and_split(over, design)
    ]


def _by_measure(rows: pl.DataFrame) -> list[pl.DataFrame]:
    return rows.partition_by("measure", "comparison", maintain_order=True)


def _estimate_grid(rows: pl.DataFrame, methods: Sequence[str]) -> Grid:
    measure = rows["measure"][0]
    decimals, notes = digits(measure), Footnotes()
    by_place: dict[str, dict[str, str]] = {}
    tested: dict[str, list[int]] = {}
    places: dict[str, tuple[str | None, str | None]] = {}
    for row in rows.iter_rows(named=True):
        who = place(row)
        text = number(row["value"], decimals)
        if row["low"] is not None:
            text += f" {interval(row['low'], row['high'], decimals)}"
        if row["value"] is None:
            text += "".join(f" ({mark})" for mark in notes.mark(row["note"]))
        by_place.setdefault(who, {})[row["method"]] = text
        tested.setdefault(who, []).append(row["n"] or 0)
        places[who] = (row["attribute"], row["group"])
    cells = [
        [who, _counted(tested[who]), *(values.get(method, NONE) for method in methods)]
        for who, values in by_place.items()
    ]
    head = ["of", "examples", *methods]
    return Grid(heading(measure, rows["comparison"][0]), head, cells, notes.texts, measure, list(places.values()))


def _counted(counts: Sequence[int]) -> str:
    """How many examples a measure is of; from fewest to most where methods differ, as in how many they select."""
    least, most = min(counts), max(counts)
    return f"{most:,}" if least in (0, most) else f"{least:,} to {most:,}"


AUDITED = ("study", "pool")
"""The roles of trials that are audited."""

_OUTCOMES = (
    ("train_loss", "training loss", 3),
    ("validation_loss", "validation loss", 3),
    ("seconds", "seconds", 1),
    ("epsilon", "ε", 2),
)


def training_grid(trials: pl.DataFrame, design: Design) -> Grid | None:
    """The table of training: losses, time, memory and ε by setting and method, as means over finished trials.

    Pools have separate rows. None without records of training, as for an audited table.
    """
    used = trials.filter(pl.col("role").is_in(AUDITED))
    known = [entry for entry in _OUTCOMES if used[entry[0]].null_count() < len(used)]
    trained = used["parameters"].null_count() < len(used)
    if not known and not trained:
        return None
    head = ["setting", "method", "trials", *(heading for _, heading, _ in known)]
    head += ["trained parameters", "of all", "peak memory"] if trained else []
    rows = []
    parts = used.partition_by("setting", "method", "role", as_dict=True, maintain_order=True)
    for setting in settings_of(used, design):
        for method in methods_of(used.filter(setting=setting), design, setting):
            for role, name in zip(AUDITED, (method, f"{method} (pool)"), strict=True):
                runs = parts.get((setting, method, role))
                if runs is not None:
                    done = runs.filter(status="done")
                    cells = [setting, name, f"{len(done)} of {len(runs)}"]
                    cells += [_mean(done[column], decimals) for column, _, decimals in known]
                    cells += [_count(done["parameters"]), _share(done), _memory(done["peak_bytes"])] if trained else []
                    rows.append(cells)
    return Grid("means over the trials that were done; in brackets: smallest and largest", head, rows)


def candidate_grids(trials: pl.DataFrame) -> list[Grid]:
    """Tables of the hyperparameters that were tried, one per setting.

    They show the results on validation examples, the choice, and the reasons of failures.
    """
    grids = []
    tried = trials.filter(role="tuning")
    for setting in tried["setting"].unique(maintain_order=True):
        candidates = tried.filter(setting=setting)
        keys = list(dict.fromkeys(key for text in candidates["candidate"] for key in json.loads(text)))
        rows = []
        for row in candidates.iter_rows(named=True):
            values = json.loads(row["candidate"])
            state = ("chosen" if row["chosen"] else "") if row["status"] == "done" else f"failed: {row['reason']}"
            reached = [number(row[name], 4) for name in ("score", "train_loss", "validation_loss")]
            tested = [_value(values.get(key)) for key in keys]
            rows.append([row["method"], str(row["seed"]), *tested, *reached, state])
        head = ["method", "seed", *keys, "chosen by", "training loss", "validation loss", ""]
        grids.append(Grid(f"{setting}: hyperparameters that were tried, on validation examples only", head, rows))
    return grids


def note_grids(trials: pl.DataFrame) -> list[Grid]:
    """The tables of matched trials, with the checkpoint taken from each, and of trials with thresholds per group.

    Empty where there are none.
    """
    noted = trials.filter(pl.col("role") == "study", pl.col("note").is_not_null())
    matched = pl.col("note").str.starts_with("matched to ")
    grids = []
    for rows, caption, last in (
        (
            noted.filter(matched),
            "methods are compared at the checkpoints that come nearest to the reference",
            "checkpoint",
        ),
        (
            noted.filter(~matched),
            "these predictions are made after training, from those of a trained model",
            "thresholds",
        ),
    ):
        cells = [[row["setting"], row["method"], str(row["seed"]), row["note"]] for row in rows.iter_rows(named=True)]
        grids += [Grid(caption, ["setting", "method", "seed", last], cells)] if cells else []
    return grids


def _value(value: Any) -> str:
    """A hyperparameter as text, in the form that a study file has."""
    if value is None:
        return NONE
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _mean(values: pl.Series, decimals: int) -> str:
    known = values.drop_nulls().to_list()
    if not known:
        return NONE
    mean = number(sum(known) / len(known), decimals)
    return mean if len(known) == 1 else f"{mean} {interval(min(known), max(known), decimals)}"


def _count(values: pl.Series) -> str:
    known = values.drop_nulls().to_list()
    return f"{max(known):,}" if known else NONE


def _share(done: pl.DataFrame) -> str:
    both = done.drop_nulls(["parameters", "parameters_total"]).filter(pl.col("parameters_total") > 0)
    if both.is_empty():
        return NONE
    row = both.row(0, named=True)
    return f"{100 * row['parameters'] / row['parameters_total']:.3g}%"


def _memory(values: pl.Series) -> str:
    known = values.drop_nulls().to_list()
    return f"{max(known) / 2**20:,.0f} MiB" if known else NONE


def audited(trials: pl.DataFrame) -> int:
    """The number of audited trials: those of the study and of its pools."""
    return len(trials.filter(pl.col("role").is_in(AUDITED)))


def failed_trials(trials: pl.DataFrame) -> list[tuple[str, str, str, str]]:
    """The failed trials as (setting, method, seed, reason); a pool's trial is named by its model."""
    failed = trials.filter(pl.col("role").is_in(AUDITED), status="failed")
    return [
        (row["setting"], row["method"], _which(row), row["reason"] or "no reason was recorded")
        for row in failed.iter_rows(named=True)
    ]


def _which(row: Row) -> str:
    return str(row["seed"]) if row["role"] == "study" else f"{row['subset'] or 'pool'}, model {row['seed']}"


def absent_rows(estimates: pl.DataFrame, design: Design) -> list[tuple[str, str, str, str, str]]:
    """The null estimates over seeds as (setting and split, measure, group, methods, reason)."""
    absent = estimates.filter(pl.col("seed").is_null() & pl.col("value").is_null())
    methods_by_reason: dict[tuple[str, str, str, str], list[str]] = {}
    for row in absent.iter_rows(named=True):
        key = (f"{row['setting']}, {row['split']}", title(row["measure"]), place(row), row["note"] or "no reason given")
        methods_by_reason.setdefault(key, []).append(row["method"])
    return [
        (where, measure, who, ", ".join(methods), note)
        for (where, measure, who, note), methods in methods_by_reason.items()
    ]


def provenance_rows(provenance: Mapping[str, str]) -> list[tuple[str, str]]:
    """The provenance of results as (name, text), without the study itself; a JSON object becomes one row per key."""
    rows = []
    for key, text in provenance.items():
        if key in ("study", "mixed", "tuning"):
            continue
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if isinstance(value, dict):
            rows += [(str(name), str(part)) for name, part in value.items()]
        else:
            rows.append((key, text))
    return rows


def margin_rows(design: Design) -> list[tuple[str, str]]:
    """The declarations of margins as (date, margins), oldest first; a single undated row without a history."""
    if not design.margin_history:
        return [("not dated", _margins(design.margins))] if design.margins else []
    return [(change.date, _margins(change.margins)) for change in design.margin_history]


def _margins(margins: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in margins.items()) or "none"
