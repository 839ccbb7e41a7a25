"""The doorway between the wings: every table that crosses it, with its schema, validated on read and on write.

A table is a polars DataFrame. Its schema says each column's type, which columns may be null, what identifies a row and
which words a column may hold. Files are Parquet, written to a temporary name and renamed, so that a reader sees a whole
table or none.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from evenhand.errors import InputError, did_you_mean

ATTRIBUTE = "attribute."
"""Prefix of the columns of `examples` that hold an attribute's groups."""

LISTS = pl.List(pl.String)
LOGITS = pl.Array(pl.Float32, 1)
"""Stands for a fixed-size float32 array of any width."""


@dataclass(frozen=True)
class Table:
    """The schema of one table.

    Attributes:
        name: as in the documentation and the file name.
        columns: type by column, in order.
        nullable: columns that may hold nulls.
        key: columns that identify a row.
        words: allowed values of a column.
        attributes: whether `attribute.*` columns of lists may follow.
    """

    name: str
    columns: Mapping[str, Any]
    nullable: frozenset[str] = frozenset()
    key: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: bool = False

    def empty(self) -> pl.DataFrame:
        """The table without rows."""
        return pl.DataFrame(schema=dict(self.columns))


VERDICTS = ("worse", "better", "equivalent", "not worse", "inconclusive")
STATUS = ("done", "failed")
ROLES = ("study", "tuning", "pool")

_TEXT, _INT, _REAL, _FLAG = pl.String, pl.Int64, pl.Float64, pl.Boolean
_MEASURED = {
    "setting": _TEXT,
    "split": _TEXT,
    "measure": _TEXT,
    "class": _TEXT,
    "attribute": _TEXT,
    "group": _TEXT,
    "condition": _TEXT,
    "correction": _TEXT,
}
_PLACE = frozenset({"class", "attribute", "group", "condition", "correction"})


def _table(name: str, columns: dict[str, Any], nullable: str = "", key: str = "", **more: Any) -> Table:
    return Table(name, columns, frozenset(nullable.split()) | more.pop("null", frozenset()), tuple(key.split()), **more)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "examples",
            {
                "setting": _TEXT,
                "example": _TEXT,
                "label": _INT,
                "weight": _REAL,
                "unit": _TEXT,
                "references": LISTS,
                "zlib_bytes": _INT,
            },
            nullable="label references zlib_bytes",
            key="setting example",
            attributes=True,
        ),
        _table(
            "trials",
            {
                "setting": _TEXT,
                "method": _TEXT,
                "seed": _INT,
                "role": _TEXT,
                "candidate": _TEXT,
                "score": _REAL,
                "chosen": _FLAG,
                "subset": _TEXT,
                "pair": _TEXT,
                "trial": _TEXT,
                "status": _TEXT,
                "reason": _TEXT,
                "train_loss": _REAL,
                "validation_loss": _REAL,
                "parameters": _INT,
                "parameters_total": _INT,
                "seconds": _REAL,
                "peak_bytes": _INT,
                "epsilon": _REAL,
                "step": _INT,
                "note": _TEXT,
                "environment": _TEXT,
            },
            nullable="candidate score chosen subset pair reason train_loss validation_loss parameters "
            "parameters_total seconds peak_bytes epsilon step note environment",
            key="setting method seed role candidate subset",
            words={"role": ROLES, "status": STATUS},
        ),
        _table(
            "predictions",
            {
                "trial": _TEXT,
                "split": _TEXT,
                "example": _TEXT,
                "step": _INT,
                "predicted": _INT,
                "logits": LOGITS,
            },
            nullable="step predicted logits",
            key="trial split example step",
        ),
        _table(
            "responses",
            {"trial": _TEXT, "split": _TEXT, "example": _TEXT, "step": _INT, "text": _TEXT},
            nullable="step",
            key="trial split example step",
        ),
        _table(
            "options",
            {
                "trial": _TEXT,
                "step": _INT,
                "example": _TEXT,
                "prompt": _TEXT,
                "option": _TEXT,
                "identifier": _TEXT,
                "position": _INT,
                "log_prob": _REAL,
                "tokens": _INT,
                "bytes": _INT,
                "sequence_loss": _REAL,
            },
            nullable="step identifier position sequence_loss",
            key="trial step example prompt option identifier position",
        ),
        _table(
            "tokens",
            {
                "trial": _TEXT,
                "step": _INT,
                "example": _TEXT,
                "log_probs": pl.List(pl.Float32),
                "means": pl.List(pl.Float32),
                "deviations": pl.List(pl.Float32),
            },
            nullable="step",
            key="trial step example",
        ),
        _table("members", {"trial": _TEXT, "example": _TEXT, "member": _FLAG}, key="trial example"),
        _table(
            "probes",
            {
                "trial": _TEXT,
                "layer": _INT,
                "target": _TEXT,
                "control_seed": _INT,
                "example": _TEXT,
                "correct": _FLAG,
            },
            nullable="control_seed",
            key="trial layer target control_seed example",
        ),
        _table(
            "estimates",
            {
                **_MEASURED,
                "method": _TEXT,
                "seed": _INT,
                "value": _REAL,
                "low": _REAL,
                "high": _REAL,
                "n": _INT,
                "corrected": _REAL,
                "noise_floor": _REAL,
                "noise_high": _REAL,
                "note": _TEXT,
            },
            nullable="seed value low high n corrected noise_floor noise_high note",
            null=_PLACE,
            key="setting split measure class attribute group condition correction method seed",
        ),
        _table(
            "verdicts",
            {
                **_MEASURED,
                "method": _TEXT,
                "reference": _TEXT,
                "contrast": _REAL,
                "low": _REAL,
                "high": _REAL,
                "predict_low": _REAL,
                "predict_high": _REAL,
                "margin": _REAL,
                "verdict": _TEXT,
                "family": _TEXT,
                "p": _REAL,
                "p_adjusted": _REAL,
                "detectable": _REAL,
                "runs": _INT,
                "runs_needed": _INT,
                "note": _TEXT,
            },
            nullable="setting contrast low high predict_low predict_high margin verdict family p p_adjusted detectable "
            "runs runs_needed note",
            null=_PLACE,
            key="setting split measure class attribute group condition correction method reference",
            words={"verdict": VERDICTS},
        ),
        _table(
            "curves",
            {
                "setting": _TEXT,
                "split": _TEXT,
                "measure": _TEXT,
                "attribute": _TEXT,
                "group": _TEXT,
                "method": _TEXT,
                "x": _REAL,
                "y": _REAL,
                "low": _REAL,
                "high": _REAL,
            },
            nullable="attribute group low high",
        ),
        _table(
            "findings",
            {
                "setting": _TEXT,
                "split": _TEXT,
                "measure": _TEXT,
                "subgroup": _TEXT,
                "method": _TEXT,
                "reference": _TEXT,
                "value": _REAL,
                "low": _REAL,
                "high": _REAL,
                "n": _INT,
                "searched": _INT,
                "p_adjusted": _REAL,
                "note": _TEXT,
            },
            nullable="reference value low high p_adjusted note",
            key="setting split measure subgroup method reference",
        ),
    )
}


def validate(frame: pl.DataFrame, name: str, where: str | Path | None = None) -> pl.DataFrame:
    """The frame with the table's columns in order and their types, or a refusal.

    A nullable column that is absent is filled with nulls; integers and floats of another width are cast. Nothing
    else is changed.

    Args:
        frame: the rows.
        name: a key of `TABLES`.
        where: the file, for the error.

    Raises:
        InputError: an unknown table, a missing or unknown column, a type that does not fit, a null or NaN where
            none may be, a word that is not allowed, two rows with one key.
    """
    if name not in TABLES:
        raise InputError(f'there is no table "{name}"; {did_you_mean(name, TABLES)}')
    table = TABLES[name]
    place = f"table {name}" if where is None else f"table {name} ({where})"
    extra = [c for c in frame.columns if c not in table.columns and not (table.attributes and c.startswith(ATTRIBUTE))]
    if extra:
        raise InputError(f'{place} has no column "{extra[0]}"; {did_you_mean(extra[0], table.columns)}')
    columns = []
    for column, kind in table.columns.items():
        if column not in frame.columns:
            if column not in table.nullable:
                raise InputError(f'{place} lacks the column "{column}"')
            columns.append(pl.lit(None, dtype=kind).alias(column))
        else:
            columns.append(_typed(frame[column], kind, place))
    columns += [_typed(frame[c], LISTS, place) for c in frame.columns if c not in table.columns]
    frame = frame.select(columns)
    _check_values(frame, table, place)
    return frame


def from_rows(rows: Sequence[Mapping[str, Any]], name: str) -> pl.DataFrame:
    """The table of rows that were made one by one, validated."""
    return validate(pl.DataFrame(rows, infer_schema_length=None), name) if rows else TABLES[name].empty()


def read(path: Path, name: str) -> pl.DataFrame:
    """The table in a Parquet file, validated. Raises InputError when the file is missing or does not fit."""
    if not path.is_file():
        raise InputError(f"{path} is missing: it should hold the table {name}")
    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} is not a readable Parquet file: {error}") from None
    return validate(frame, name, path)


def write(frame: pl.DataFrame, path: Path, name: str, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table, validated, atomically; `metadata` (fingerprints, say) is kept in the file's footer."""
    frame = validate(frame, name, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    frame.write_parquet(aside, metadata=dict(metadata or {}))
    aside.replace(path)


def metadata(path: Path) -> dict[str, str]:
    """What `write` kept in the footer."""
    return {key: value for key, value in pl.read_parquet_metadata(path).items() if not key.startswith("ARROW")}


def stacked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables `predictions` under each other: logits of fewer classes are padded with −inf, null ones stay null."""
    widths = [_width(frame) for frame in frames]
    if not frames:
        return TABLES["predictions"].empty()
    return pl.concat([frame if _width(frame) == max(widths) else _padded(frame, max(widths)) for frame in frames])


def _width(frame: pl.DataFrame) -> int:
    return frame.schema["logits"].shape[0]  # pyright: ignore[reportAttributeAccessIssue]


def _padded(frame: pl.DataFrame, width: int) -> pl.DataFrame:
    more = [-math.inf] * (width - _width(frame))
    lists = pl.col("logits").arr.to_list().list.concat(pl.lit(more, dtype=pl.List(pl.Float32)))
    known = pl.when(pl.col("logits").is_not_null()).then(lists)
    return frame.with_columns(logits=known.cast(pl.Array(pl.Float32, width)))


def repeated_rows(keys: pl.DataFrame) -> pl.Series | None:
    """Which rows are there more than once, bool [n]; None where each is there once."""
    if keys.hash_rows().n_unique() == len(keys):  # other hashes, other rows: most often there is nothing to compare
        return None
    repeated = keys.is_duplicated()
    return repeated if repeated.any() else None


def attributes(examples: pl.DataFrame) -> list[str]:
    """Names of the attributes of an `examples` table."""
    return [column.removeprefix(ATTRIBUTE) for column in examples.columns if column.startswith(ATTRIBUTE)]


def _typed(series: pl.Series, kind: Any, place: str) -> pl.Series:
    found = series.dtype
    if kind is LOGITS:
        if found == pl.Null:
            return series.cast(LOGITS)
        if isinstance(found, pl.Array) and found.inner == pl.Float32:
            return series
        raise InputError(f"{place}: column {series.name} is {found}, not a fixed-size array of float32")
    if found == kind:
        return series
    numeric = kind == pl.Float64 and found.is_numeric()
    widened = kind == pl.Int64 and found.is_integer()
    if found == pl.Null or numeric or widened:
        return series.cast(kind)
    if isinstance(kind, pl.List) and isinstance(found, pl.List) and found.inner in (pl.Null, kind.inner):
        return series.cast(kind)
    if isinstance(kind, pl.List) and isinstance(found, pl.List) and kind.inner.is_float() and found.inner.is_float():
        return series.cast(kind)
    raise InputError(f"{place}: column {series.name} is {found}, not {kind}")


def _check_values(frame: pl.DataFrame, table: Table, place: str) -> None:
    for column in frame.columns:
        series = frame[column]
        required = column in table.columns and column not in table.nullable
        if required and series.null_count():
            raise InputError(f"{place}: column {column} holds {series.null_count()} nulls, and may hold none")
        if series.dtype.is_float() and series.is_nan().any():
            raise InputError(f"{place}: column {column} holds NaN; a quantity that is not defined is null with a note")
    for column, words in table.words.items():
        wrong = frame.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(words))
        if len(wrong):
            raise InputError(f"{place}: {column} is {wrong[column][0]!r}, not one of {', '.join(words)}")
    if table.key:
        repeated = repeated_rows(frame.select(table.key))
        if repeated is not None:
            row = frame.select(table.key).filter(repeated).row(0, named=True)
            shown = ", ".join(f"{key} {value}" for key, value in row.items() if value is not None)
            raise InputError(f"{place}: more than one row for {shown}")
    if "logits" in frame.columns and len(frame) and frame["logits"].null_count() < len(frame):
        flat = frame["logits"].drop_nulls().explode()
        if flat.is_nan().any() or flat.null_count():
            raise InputError(f"{place}: logits hold NaN")
