"""The record tables of results: their names, the files that hold them, and a mapping that reads them on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Design, SettingDesign
from evenhand.errors import InputError, did_you_mean


@dataclass(frozen=True)
class StoredTable:
    """One table of results, and the place of its file in a folder of results.

    Attributes:
        name: of the table and of its file.
        optional: whether the file is missing where the table has no rows.
        left_by: whether the trials of a setting write rows to their folders, from its design. None for a table that is
            always one file at the top of the folder; other tables are one file only without folders of trials.
        beside: whether some of these trials may write no rows.
    """

    name: str
    optional: bool = False
    left_by: Callable[[SettingDesign], bool] | None = None
    beside: bool = False


def _attacks_texts(setting: SettingDesign) -> bool:
    """Whether models of a setting write the log-probabilities of tokens for membership inference."""
    return setting.membership is not None and setting.kind != "classification"


STORED: Mapping[str, StoredTable] = {
    table.name: table
    for table in (
        StoredTable("examples"),
        StoredTable("trials"),
        StoredTable("estimates"),
        StoredTable("verdicts"),
        StoredTable("curves"),
        StoredTable("looks", optional=True),
        StoredTable("findings", optional=True),
        StoredTable("members", optional=True),
        StoredTable("scores", optional=True),
        StoredTable(
            "values", optional=True, left_by=lambda setting: setting.kind == "sft" or setting.generations is not None
        ),
        StoredTable("tokens", optional=True, left_by=_attacks_texts, beside=True),
        StoredTable("predictions", left_by=lambda setting: setting.kind == "classification"),
        StoredTable("responses", optional=True, left_by=lambda setting: setting.kind == "translation"),
        StoredTable("options", optional=True, left_by=lambda setting: setting.kind == "reviews" or bool(setting.asked)),
        StoredTable("harness", optional=True, left_by=lambda setting: setting.harness is not None, beside=True),
        StoredTable("probes", optional=True, left_by=lambda setting: setting.probed is not None, beside=True),
    )
}
"""Every table of results by name. A new kind of records is one line here."""

COMPUTED = ("estimates", "verdicts", "curves")
"""The tables that every audit computes from the others."""

LOOKS = "looks"
"""The table of what each look said, which is computed where a study adds seeds until it is decided."""

FINDINGS = "findings"
"""The table of the subgroups that fare worst, which is computed where subgroups are searched."""

RECORDS = tuple(name for name in STORED if name not in (*COMPUTED, LOOKS, FINDINGS))
"""The tables that are audited."""


def computed_tables(design: Design) -> tuple[str, ...]:
    """The tables that an audit of this design computes.

    Example:
        >>> from evenhand.audit.design import Design
        >>> computed_tables(Design(settings={}))
        ('estimates', 'verdicts', 'curves')
    """
    looks = () if design.looks is None else (LOOKS,)
    return (*COMPUTED, *looks, *(() if design.subgroups is None else (FINDINGS,)))


BY_TRIAL = tuple(name for name, table in STORED.items() if table.left_by is not None)
"""The tables whose rows a trial writes to its own folder."""


class RecordTables(Mapping[str, pl.DataFrame]):
    """Record tables by name, each read when it is first asked for.

    Args:
        tables: by name the table, or the function that reads it.
    """

    def __init__(self, tables: Mapping[str, pl.DataFrame | Callable[[], pl.DataFrame]]) -> None:
        self._tables = dict(tables)

    def __getitem__(self, name: str) -> pl.DataFrame:
        table = self._tables[name]
        if not isinstance(table, pl.DataFrame):
            table = self._tables[name] = table()
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def to_pandas(self, *names: str) -> dict[str, Any]:
        """Pandas dataframes by name, of all tables unless some are named.

        Raises:
            InputError: a name that is no table's, or pandas or pyarrow is not installed.
        """
        for name in names:
            if name not in self._tables:
                raise InputError(f'there is no table "{name}"; {did_you_mean(name, self)}')
        try:
            return {name: self[name].to_pandas() for name in names or self}
        except ModuleNotFoundError as error:
            raise InputError(
                f"a pandas dataframe needs pandas and pyarrow, and {error.name or 'one of them'} is not installed: run "
                "pip install pandas pyarrow"
            ) from None

    def __repr__(self) -> str:
        return f"<RecordTables: {', '.join(self)}>"
