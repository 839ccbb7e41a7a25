"""Reads methods, seeds and references from a table; a trial is a method with a seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from evenhand import records
from evenhand.audit.ingest.columns import Columns, listed
from evenhand.errors import InputError, did_you_mean

MODEL = "model"
"""The one method of a table that names none."""


def trial_hash(method: str, seed: int) -> str:
    """The hash that names the trial of a method and a seed of an audited table."""
    return hashlib.blake2b(json.dumps([method, seed]).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class Runs:
    """The methods and seeds of a table.

    Attributes:
        rows: `method`, `seed` and `trial` of each row.
        distinct: `method`, `seed` and `trial` of each trial, in the order of the table.
        notes: on the seeds, for the report.
    """

    rows: pl.DataFrame
    distinct: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def methods(self) -> list[str]:
        """In the order of the table."""
        return list(dict.fromkeys(self.distinct["method"]))

    def trials(self, setting: str) -> pl.DataFrame:
        """The table `trials` of a setting."""
        constant = {"setting": setting, "role": "study", "status": "done"}
        return records.validate(self.distinct.with_columns(pl.lit(v).alias(k) for k, v in constant.items()), "trials")


def runs(columns: Columns, method: str | None, seed: str | None) -> Runs:
    """The method, seed and trial of each row.

    Seeds that are no whole numbers are numbered in the order of their names.
    """
    methods = columns.words(method, "method") if method else pl.repeat(MODEL, len(columns), eager=True)
    words = columns.words(seed, "seed") if seed else pl.repeat("0", len(columns), eager=True)
    names = sorted(words.unique().to_list())
    notes: tuple[str, ...] = ()
    numbers = [int(name) for name in names if re.fullmatch(r"-?[0-9]{1,18}", name)]
    foreign = next((name for name in names if name.isdecimal() and not name.isascii()), None)
    if foreign is not None:
        raise InputError(
            f'{columns.subject(str(seed), "seed")} says "{foreign}"; write seeds in the digits 0 to 9, such '
            f"as {int(foreign)}"
        )
    if len(set(numbers)) == len(names):
        seeds = words.cast(pl.Int64)
    else:
        seeds = words.replace_strict({name: number for number, name in enumerate(names)}, return_dtype=pl.Int64)
        notes = (f"Runs are numbered from 0 in the order of their names: {listed(names)}.",)
    rows = pl.DataFrame({"method": methods, "seed": seeds})
    distinct = rows.unique(maintain_order=True)
    distinct = distinct.with_columns(trial=pl.Series([trial_hash(*run) for run in distinct.iter_rows()]))
    return Runs(rows.join(distinct, on=["method", "seed"], how="left", maintain_order="left"), distinct, notes)


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
