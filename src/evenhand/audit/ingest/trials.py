"""Methods and seeds of a table: which rows are one trial, and who is compared with whom."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import polars as pl

from evenhand import records
from evenhand.audit.ingest.columns import Columns, listed
from evenhand.errors import InputError, did_you_mean

MODEL = "model"
"""The one method of a table that names none."""


def trial_hash(method: str, seed: int) -> str:
    """The trial of a method and a seed of an audited table."""
    return hashlib.blake2b(json.dumps([method, seed]).encode(), digest_size=16).hexdigest()


def runs(columns: Columns, method: str | None, seed: str | None) -> tuple[pl.DataFrame, list[str]]:
    """`method`, `seed` and `trial` of each row, and notes about them.

    Seeds that are no whole numbers are numbered in the order of their names.
    """
    n = len(columns)
    methods = columns.words(method, "method") if method else pl.repeat(MODEL, n, eager=True)
    words = columns.words(seed, "seed") if seed else pl.repeat("0", n, eager=True)
    notes = []
    if words.str.contains(r"^-?\d{1,18}$").all():
        seeds = words.cast(pl.Int64)
    else:
        names = sorted(words.unique().to_list())
        seeds = words.replace_strict({name: number for number, name in enumerate(names)}, return_dtype=pl.Int64)
        notes.append(f"Runs are numbered from 0 in the order of their names: {listed(names)}.")
    rows = pl.DataFrame({"method": methods, "seed": seeds})
    distinct = rows.unique(maintain_order=True)
    trials = distinct.with_columns(trial=pl.Series([trial_hash(*run) for run in distinct.iter_rows()]))
    return rows.join(trials, on=["method", "seed"], how="left", maintain_order="left"), notes


def references(reference: tuple[str, ...], methods: Sequence[str], column: str | None) -> tuple[str, ...]:
    """The methods that the others are compared with; none where there is one method.

    Raises:
        InputError: several methods and no reference, or one that is no method.
    """
    if reference and column is None:
        raise InputError(f'a reference ("{reference[0]}") needs the column of methods; name it too')
    for name in reference:
        if name not in methods:
            raise InputError(f'no row is of the method "{name}" (reference); {did_you_mean(name, methods)}')
    if not reference and len(methods) > 1:
        raise InputError(
            f"the column {column} has the methods {listed(methods)}; say which is the reference that the others are "
            f"compared with, such as {methods[0]}"
        )
    return tuple(dict.fromkeys(reference)) if len(methods) > 1 else ()


def trials_of(rows: pl.DataFrame, setting: str) -> pl.DataFrame:
    """The table `trials` of the runs of a table's rows."""
    distinct = rows.select("method", "seed", "trial").unique(maintain_order=True)
    return records.validate(
        distinct.with_columns(setting=pl.lit(setting), role=pl.lit("study"), status=pl.lit("done")), "trials"
    )
