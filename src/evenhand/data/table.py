"""Makes a data set from any table with a text or image column, a label column and group columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import field_validator, model_validator

from evenhand.data.dataset import Attribute, Dataset, DataSpec
from evenhand.data.images import LazyImages, lazy_image_files
from evenhand.data.splits import provided_split
from evenhand.data.table_source import TableSource, read_table
from evenhand.errors import InputError, did_you_mean
from evenhand.tables.files import no_column
from evenhand.tables.values import as_numbers, as_text, is_quantity, spelling_notes, without_nan

_NATURAL = ({"0", "1"}, {"-1", "1"}, {"false", "true"})
"""Pairs of labels of which the second is the positive one by default."""

_TRUE, _FALSE = ("true", "1"), ("false", "0")


class Table(DataSpec):
    """Examples from the user's own table.

    Attributes:
        path: a CSV, TSV, Parquet or JSONL file, a Hugging Face data set's folder or hub id; relative paths are looked
            for below `--data` first, then where the command runs.
        subset: the configuration of a Hugging Face data set that has several.
        text, image: the column of texts, or of images (files relative to the table, or images in the data set).
        label: the column of labels.
        positive: the positive label of two; needed unless it is obvious (0 and 1, false and true).
        groups: columns of groups, each an attribute of that name; a column of lists gives groups that overlap.
            `NAME=COLUMN` renames; `religion=target_religion_*` makes one attribute from columns of true and false, each
            of which is a group.
        example: a column of unique ids; else the row number.
        unit: a column of units, which name the examples that belong together; else each example is a unit.
        weight: a column of weights; else 1.
        split_column: the column with the data's own split; a study fills it in from `split: {column: NAME}`.
    """

    path: str
    subset: str | None = None
    text: str | None = None
    image: str | None = None
    label: str
    positive: str | bool | int | float | None = None
    groups: tuple[str, ...] = ()
    example: str | None = None
    unit: str | None = None
    weight: str | None = None
    split_column: str | None = None

    @field_validator("groups", mode="before")
    @classmethod
    def _groups(cls, value: Any) -> Any:
        """Turn a single group column into a tuple."""
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_input(self) -> Table:
        """Refuse a table with both or neither of `text` and `image`."""
        if (self.text is None) == (self.image is None):
            raise ValueError("task table: name the column of inputs, either text: COLUMN or image: COLUMN")
        return self

    def load(self, folder: Path | None) -> Dataset:
        """Read the table.

        Raises:
            InputError: a missing file, column, label or image file; labels of a single class or without categories;
                groups without values; repeated ids; or weights that are not positive numbers.
        """
        source = read_table(self.path, self.subset, self.image, folder)
        columns = _TableColumns(source)
        roles = {"text": self.text, "image": self.image, "example": self.example, "weight": self.weight}
        for role, column in (*roles.items(), *(("groups", group.rpartition("=")[2]) for group in self.groups)):
            if column == self.label:
                raise InputError(
                    f'{source.name}: the column "{self.label}" is named as label: and as {role}:; a label '
                    "is nothing else besides"
                )
        if len(source.frame) == 0:
            raise InputError(f"{source.name} has no rows")
        labels, classes = _labels(columns, self.label, self.positive)
        example = columns.words(self.example, "example") if self.example else _row_numbers(len(source.frame))
        repeats = len(example) - len(set(example))
        if repeats:
            raise InputError(
                f'{source.name}: the column "{self.example}" (example:) repeats an id in {repeats:,} rows; '
                "ids must be unique (name a column of duplicates as unit:)"
            )
        inputs = self._inputs(columns)
        split = columns.words(self.split_column, "split") if self.split_column else None
        return Dataset(
            name=source.name,
            modality="text" if self.text else "image",
            inputs=inputs,
            labels=labels,
            classes=classes,
            example=_object_array(example),
            attributes=_attributes(columns, self.groups),
            unit=_object_array(columns.words(self.unit, "unit") if self.unit else example),
            weight=_weights(columns, self.weight) if self.weight else np.ones(len(example)),
            split=None if split is None else provided_split(split, f"{source.name}: {self.split_column}"),
            notes=(*(_notes(inputs, self.unit) if self.text else ()), *_spellings(columns, self.label, self.groups)),
        )

    def _inputs(self, columns: _TableColumns) -> Sequence[Any]:
        """Return the texts, or the images, which are read lazily."""
        if self.text:
            return columns.texts(self.text)
        source, image = columns.source, str(self.image)
        if source.image_bytes is not None:
            return LazyImages(source.image_bytes, len(source.frame))
        values = columns.full(image, "image")
        if isinstance(values.dtype, pl.Struct) and "bytes" in values.struct.fields:
            values = values.struct.field("bytes")
        if values.dtype == pl.Binary:
            return LazyImages(values.to_list().__getitem__, len(values))
        return lazy_image_files(columns.words(image, "image"), source.folder, f"{source.name}: {image}")


class _TableColumns:
    """Looks up the columns of a table, and raises InputError with the column's name if one does not fit."""

    def __init__(self, source: TableSource) -> None:
        """Look up columns in `source`."""
        self.source = source

    def get(self, name: str, role: str) -> pl.Series:
        """Return a column; NaN becomes null."""
        frame = self.source.frame
        if name not in frame.columns:
            raise no_column(self.source.name, name, f"for {role}:", frame.columns)
        return without_nan(frame[name])

    def full(self, name: str, role: str) -> pl.Series:
        """Return a column; raise InputError if it has missing values."""
        values = self.get(name, role)
        if values.null_count():
            first = values.is_null().arg_max()
            raise InputError(
                f'{self.source.name}: the column "{name}" ({role}:) is empty in {values.null_count():,} of '
                f"{len(values):,} rows, first in row {first}; fill them or leave these rows out"
            )
        return values

    def words(self, name: str, role: str) -> list[str]:
        """Return a column without missing values, as text."""
        return [str(word) for word in self.as_words(self.full(name, role), role)]

    def as_words(self, values: pl.Series, role: str) -> list[str | None]:
        """Return values as text; see `evenhand.tables.values.as_text`."""
        words = as_text(values)
        if words is None:
            raise InputError(
                f'{self.source.name}: the column "{values.name}" ({role}:) holds {values.dtype}, not plain values'
            )
        return words.to_list()

    def texts(self, name: str) -> list[str]:
        """Return the inputs of a column, unchanged; missing values are refused, but an empty text is allowed."""
        values = self.source.frame[name] if name in self.source.frame.columns else None
        if values is None or values.dtype != pl.String or values.null_count():
            return self.words(name, "text")
        return values.to_list()


def _labels(columns: _TableColumns, name: str, positive: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return label codes and class names; for two classes the second is the positive one."""
    values = columns.full(name, "label")
    where = f'{columns.source.name}: the label column "{name}"'
    words = [str(word) for word in columns.as_words(values, "label")]
    numbers = as_numbers(values) if is_quantity(values) else None
    if numbers is not None and not (numbers == numbers.round()).all():
        raise InputError(f"{where} holds fractions, not categories; make classes of them first")
    whole = all(word.removeprefix("-").isdecimal() for word in words)
    classes = sorted(set(words), key=int if whole else str)
    if len(classes) == 1:
        raise InputError(f'{where} is "{classes[0]}" in every row; two or more classes are needed')
    if positive is not None:
        wanted = str(positive).removesuffix(".0")
        if isinstance(positive, bool):  # files write true, True or TRUE
            wanted = next((word for word in classes if word.lower() == wanted.lower()), wanted)
        if len(classes) > 2:
            raise InputError(f"{where} has {len(classes)} classes; positive: is for two")
        if wanted not in classes:
            raise InputError(f'{where} is never "{wanted}" (positive:); {did_you_mean(wanted, classes)}')
        classes.sort(key=lambda word: word == wanted)
    elif len(classes) == 2 and {word.lower() for word in classes} not in _NATURAL:
        raise InputError(
            f'{where} has the classes "{classes[0]}" and "{classes[1]}"; say which is the positive one, such as '
            f"positive: {classes[1]}"
        )
    code = {word: number for number, word in enumerate(classes)}
    return np.array([code[word] for word in words], dtype=np.int64), tuple(classes)


def attributes_of(source: TableSource, groups: Sequence[str]) -> dict[str, Attribute]:
    """Return the attributes of a table's rows by name; `groups` as in `Table`.

    Raises:
        InputError: no such column, a column without values or with nested values, or a repeated name.
    """
    return _attributes(_TableColumns(source), groups)


def _attributes(columns: _TableColumns, groups: Sequence[str]) -> dict[str, Attribute]:
    """Return the attributes that `groups` names, by name."""
    attributes: dict[str, Attribute] = {}
    for group in groups:
        name, renamed, column = group.partition("=")
        column = column if renamed else name
        if name in attributes:
            raise InputError(f'groups: "{name}" is named twice')
        if "*" in column:
            attributes[name] = _from_pattern(columns, name, column)
        else:
            attributes[name] = _from_column(columns, column)
    return attributes


def _from_column(columns: _TableColumns, name: str) -> Attribute:
    """Make an attribute from one column of values or lists."""
    values = columns.get(name, "groups")
    where = f'{columns.source.name}: the group column "{name}"'
    if isinstance(values.dtype, pl.List | pl.Array):
        flat = values.explode().drop_nulls()
        if len(flat) == 0:
            raise InputError(f"{where} is empty in every row")
        columns.as_words(flat, "groups")
        lists = [
            None if row is None else columns.as_words(pl.Series(name, row, dtype=flat.dtype).drop_nulls(), "groups")
            for row in values.to_list()
        ]
        return Attribute.from_lists([None if row is None else [str(word) for word in row] for row in lists])
    if values.null_count() == len(values):
        raise InputError(f"{where} is empty in every row")
    return Attribute.from_values(columns.as_words(values, "groups"))


def _from_pattern(columns: _TableColumns, name: str, pattern: str) -> Attribute:
    """Make an attribute from columns of true and false; each is a group, named after the part that the star matches.

    A row in which all columns are missing has a missing value; if only some are missing, they count as false.
    """
    start, _, end = pattern.partition("*")
    matches = [column for column in columns.source.frame.columns if re.fullmatch(translate(pattern), column)]
    if not matches:
        raise InputError(
            f'{columns.source.name} has no column like "{pattern}" (groups: {name}={pattern}); '
            f"{did_you_mean(pattern, columns.source.frame.columns)}"
        )
    masks = np.zeros((columns.source.frame.height, len(matches)), dtype=bool)
    known = np.zeros(columns.source.frame.height, dtype=bool)
    for position, column in enumerate(matches):
        for row, word in enumerate(columns.as_words(columns.source.frame[column], "groups")):
            if word is not None and word.lower() not in _TRUE + _FALSE:
                raise InputError(
                    f'{columns.source.name}: the column "{column}" says "{word}" in row {row}; columns of the pattern '
                    f"{name}={pattern} may say true or false (1 or 0)"
                )
            known[row] |= word is not None
            masks[row, position] = word is not None and word.lower() in _TRUE
    if not masks.any():
        raise InputError(f'{columns.source.name}: the group columns "{pattern}" are true in no row')
    names = [column[len(start) : len(column) - len(end)] for column in matches]
    lists = [
        [names[i] for i in np.flatnonzero(row)] if there else None for row, there in zip(masks, known, strict=True)
    ]
    return Attribute.from_lists(lists)


def _weights(columns: _TableColumns, name: str) -> np.ndarray:
    """Return the weights of a column; raise InputError unless they are finite and positive."""
    values = columns.full(name, "weight")
    numbers = as_numbers(values)
    if numbers is None:
        raise InputError(f'{columns.source.name}: the column "{name}" (weight:) holds {values.dtype}, not numbers')
    weights = numbers.to_numpy()
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise InputError(f'{columns.source.name}: the column "{name}" (weight:) must hold finite numbers above 0')
    return weights


def _notes(texts: Sequence[str], unit: str | None) -> tuple[str, ...]:
    """Return a note if texts repeat and no column groups them into units."""
    repeated = len(texts) - len(set(texts))
    if not repeated or unit:
        return ()
    return (f"{repeated:,} rows repeat a text of another row and are split and resampled apart; name a unit: column",)


def _spellings(columns: _TableColumns, label: str, groups: Sequence[str]) -> tuple[str, ...]:
    """Return notes on labels and groups whose spellings differ only by case, spaces or Unicode form."""
    named = {"label": label, **{f"group of {name}": name.rpartition("=")[2] for name in groups if "*" not in name}}
    notes = []
    for what, name in named.items():
        values = columns.get(name, what)
        if isinstance(values.dtype, pl.List | pl.Array):
            values = values.explode()
        if values.dtype == pl.String:
            notes += spelling_notes(what, values)
    return tuple(notes)


def _row_numbers(n: int) -> list[str]:
    """Return row numbers as ids."""
    return [str(row) for row in range(n)]


def _object_array(words: Sequence[str]) -> np.ndarray:
    """Return the words as an object array."""
    return np.array(words, dtype=object)
