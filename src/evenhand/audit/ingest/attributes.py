"""Reads groups from a table: a column of values, a column of lists, or a column of true and false per group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.audit.ingest.columns import Columns
from evenhand.audit.subgroups.attributes import CLASSES, Cuts, classes, numbers_of
from evenhand.errors import InputError, did_you_mean
from evenhand.metrics.groups import MISSING
from evenhand.tables.values import is_quantity

MOST_NUMBERS = 50
"""A column of numbers with more values than this is a quantity, not a grouping."""

MOST_GROUPS = 500


SEPARATOR = "\x1f"
"""The separator between the groups of one row in its text."""


@dataclass(frozen=True, eq=False)
class TableGroups:
    """The groups of the rows of a table by one attribute.

    Attributes:
        text: the sorted groups of each row as one text [n], to compare rows by.
        lists: the same as lists, list[str] [n], where a row may be in several groups or in none; None where each row is
            in one group, whose name the text is.
        partly: of columns of true and false, the number of rows in which some are missing, which count as false.
        nobody: of such columns, those that are true in no row, which are no groups.
    """

    text: pl.Series
    lists: pl.Series | None = None
    partly: int = 0
    nobody: tuple[str, ...] = ()

    @classmethod
    def of_lists(cls, lists: pl.Series, partly: int = 0, nobody: tuple[str, ...] = ()) -> TableGroups:
        return cls(lists.list.join(SEPARATOR), lists, partly, nobody)

    @property
    def names(self) -> list[str]:
        """The names of the groups."""
        column = self.text if self.lists is None else self.lists.explode()
        return column.drop_nulls().unique().to_list()

    def lists_of(self, rows: pl.Series) -> pl.Series:
        """The sorted groups of some rows, list[str]. An empty list is in no group, a missing value is in the group
        `(missing)`."""
        return self.text[rows].reshape((-1, 1)).arr.to_list() if self.lists is None else self.lists[rows]


def attributes(columns: Columns, groups: Sequence[str], cuts: Cuts | None = None) -> dict[str, TableGroups]:
    """The groups of each row by attribute.

    Args:
        columns: of the table.
        groups: `COLUMN`; `NAME=COLUMN` under another name; `NAME=PREFIX_*` for columns of true and false, each a group
            named by what the star stands for.
        cuts: by attribute, how its numbers are put into classes; others with too many different numbers get four of
            about equal size. None: they are refused.

    Raises:
        InputError: an unknown column, one without any value, with too many values, or an attribute named twice; cuts of
            an attribute that is not named, or not numeric.
    """
    if not groups:
        raise InputError(f"name at least one column of groups of {columns.source}, such as sex")
    by_name: dict[str, TableGroups] = {}
    for group in groups:
        name, column = _named(columns, group)
        if name in by_name:
            raise InputError(f'groups: the attribute "{name}" is named twice')
        pattern = "*" in column and column not in columns.names
        if pattern:
            by_name[name] = _from_pattern(columns, group, column)
        else:
            by_name[name] = _from_column(columns, column, cuts is not None, (cuts or {}).get(name))
    for name in cuts or ():
        if name not in by_name:
            hint = did_you_mean(name, [*by_name, "depth", "support"])
            raise InputError(f'subgroups: there is no attribute "{name}" to cut; {hint}')
    return by_name


def _named(columns: Columns, group: str) -> tuple[str, str]:
    """The attribute's name, and the column or pattern that holds its groups."""
    if group in columns.names:
        return group, group
    name, separator, column = group.partition("=")
    if separator:
        return name, column
    return (group.partition("*")[0].rstrip("_.-: ") or group, group) if "*" in group else (group, group)


def _from_column(
    columns: Columns, name: str, cut: bool = False, cuts: int | Sequence[float] | None = None
) -> TableGroups:
    """The groups of a column; `cut`: whether too many different numbers are put into classes, and into which."""
    values = columns.get(name, "group")
    where = columns.subject(name, "group")
    if isinstance(values.dtype, pl.List | pl.Array):
        return TableGroups.of_lists(_from_lists(columns, values.cast(pl.List(values.dtype.inner)), where))
    if values.null_count() == len(values):
        raise InputError(f"{where} is empty in every row")
    words = columns.as_words(values, "group")
    distinct = words.n_unique()
    quantity = distinct > MOST_NUMBERS and is_quantity(values)
    if cuts is not None or (cut and quantity):
        return TableGroups(_in_classes(words, name, CLASSES if cuts is None else cuts))
    if quantity:
        raise InputError(f"{where} holds {distinct:,} different numbers; make ranges of them first, such as 30–39")
    _refuse_many(distinct, where)
    if words.null_count() and (words == MISSING).any():
        raise InputError(
            f'{where} has empty cells and cells that say "{MISSING}", which would be one group; fill the empty ones'
        )
    return TableGroups(words.fill_null(MISSING) if words.null_count() else words)


def _in_classes(words: pl.Series, name: str, cuts: int | Sequence[float]) -> pl.Series:
    """Numbers, given as texts, as the names of the classes that they are in."""
    words = words.fill_null(MISSING)
    counted = words.value_counts(name="rows").sort(words.name)
    values = counted[words.name].to_list()
    names, column = classes(numbers_of(values, name), counted["rows"].to_numpy(), cuts)
    return words.replace_strict(values, [names[place] for place in column.tolist()], return_dtype=pl.String)


def _from_lists(columns: Columns, values: pl.Series, where: str) -> pl.Series:
    long = pl.DataFrame({"row": np.arange(len(values)), "group": values}).explode("group")
    long = long.with_columns(group=columns.as_words(long["group"].alias(values.name), "group").replace("", None))
    known = long.drop_nulls("group").unique().sort("row", "group")
    if len(known) == 0:
        raise InputError(f"{where} is empty in every row")
    _refuse_many(known["group"].n_unique(), where)
    lists = known.group_by("row", maintain_order=True).agg("group")
    rows = pl.DataFrame({"row": np.arange(len(values)), "missing": values.is_null()})
    joined = rows.join(lists, on="row", how="left", maintain_order="left")
    none, empty = (pl.lit(value, dtype=pl.List(pl.String)) for value in ([MISSING], []))
    filled = pl.when("missing").then(none).otherwise(pl.col("group").fill_null(empty))
    return joined.select(filled.alias(values.name)).to_series()


def columns_of(columns: Columns, group: str) -> list[str]:
    """The columns that groups are read from: the one that is named, or those that a pattern matches."""
    column = _named(columns, group)[1]
    return [*_matched(columns, column).values()] if "*" in column and column not in columns.names else [column]


def _matched(columns: Columns, pattern: str) -> dict[str, str]:
    """The columns that a pattern with one star matches, by what the star stands for."""
    start, _, end = pattern.partition("*")
    matcher = re.compile(f"{re.escape(start)}(.+){re.escape(end)}")
    return {match[1]: column for column in columns.names if (match := matcher.fullmatch(column))}


def _from_pattern(columns: Columns, group: str, pattern: str) -> TableGroups:
    """Groups from columns of true and false; a row is missing where all are missing, and one missing value is false."""
    if pattern.count("*") > 1:
        raise InputError(f'groups: "{group}" has more than one star; one stands for the name of a group')
    names = _matched(columns, pattern)
    if not names:
        raise InputError(
            f'{columns.source} has no column like "{pattern}" (group {group}); {did_you_mean(pattern, columns.names)}'
        )
    _refuse_many(len(names), f'{columns.source}: the pattern "{pattern}" (group)')
    true, known, lacking = {}, np.zeros(len(columns), dtype=bool), np.zeros(len(columns), dtype=bool)
    for name, column in names.items():
        flags = columns.flags(column, "group", f"columns of the pattern {group} say true or false (1 or 0)")
        true[name] = flags.fill_null(False)
        known |= flags.is_not_null().to_numpy()
        lacking |= flags.is_null().to_numpy()
    if not any(values.any() for values in true.values()):
        raise InputError(f'{columns.source}: the group columns "{pattern}" are true in no row')
    marked = [
        pl.when(pl.lit(values)).then(pl.lit(name)).otherwise(None).alias(name) for name, values in sorted(true.items())
    ]
    lists = pl.select(pl.concat_list(marked).list.drop_nulls().alias(pattern)).to_series()
    missing = pl.lit([MISSING], dtype=pl.List(pl.String))
    filled = pl.when(pl.lit(pl.Series(known))).then(pl.lit(lists)).otherwise(missing)
    nobody = tuple(names[name] for name, values in true.items() if not values.any())
    return TableGroups.of_lists(pl.select(filled.alias(pattern)).to_series(), int((known & lacking).sum()), nobody)


def _refuse_many(distinct: int, where: str) -> None:
    if distinct > MOST_GROUPS:
        raise InputError(f"{where} makes {distinct:,} groups; an audit takes up to {MOST_GROUPS}: make larger groups")
