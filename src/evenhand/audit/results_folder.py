"""Write results to a folder, and read them back table by table."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.audit.record_tables import STORED, RecordTables, StoredTable
from evenhand.errors import InputError

DESIGN, PROVENANCE = "design.json", "provenance.json"

AUDIT = 2
"""The version of the audit, raised when the same records give other estimates or verdicts; `design.json` has it under
`audit`, and folders without it are of version 1."""


def load(folder: Path) -> tuple[RecordTables, Design, dict[str, str], int]:
    """The tables of a folder, its design, its provenance, and the version of the audit that made it.

    The tables that every folder has at its top are read at once, the others on first use.

    Raises:
        InputError: there is no such folder, it holds no results, or a table of it does not fit.
    """
    design, version = load_design(folder)
    tables: dict[str, Any] = {}
    for table in STORED.values():
        if table.optional or table.left_by is not None:
            continue
        tables[table.name] = records.read(_path(folder, table.name), table.name)
    late = {table.name: partial(_read, folder, table, design, tables) for table in STORED.values()}
    provenance = _read_json(folder / PROVENANCE) if (folder / PROVENANCE).is_file() else {}
    return RecordTables(late | tables), design, provenance, version


def load_design(folder: Path) -> tuple[Design, int]:
    """The design of a folder's results, and the version of the audit that made them. Raises: as `load`."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    path = folder / DESIGN
    if not path.is_file():
        if (folder / "study.yaml").is_file():
            raise InputError(f"the study in {folder} has not been run to its end; run it again to continue")
        raise InputError(f"{folder} holds no results: a run or an audit writes a {DESIGN} there")
    values = _read_json(path)
    version = values.pop("audit", 1)
    if not isinstance(version, int):
        raise InputError(f"{path}: audit should be a whole number, not {version!r}")
    return Design.parse(values, str(path)), version


def save(
    folder: Path, tables: Mapping[str, pl.DataFrame], design: Design, provenance: Mapping[str, str], version: int
) -> None:
    """Write the tables, the design and the provenance, each file whole or not at all; `version` is of their audit.

    Raises:
        InputError: `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; results are kept in a folder")
    of_study = _trials_folder(folder).is_dir()
    for table in STORED.values():
        path = _path(folder, table.name)
        if of_study and table.left_by is not None:
            continue
        if table.optional and tables[table.name].is_empty():
            path.unlink(missing_ok=True)
        else:
            records.write(tables[table.name], path, table.name)
    write_text(folder / PROVENANCE, json.dumps(dict(provenance), ensure_ascii=False, indent=1) + "\n")
    # Last: a folder with a design is a folder with all the rest.
    stored = {"audit": version, **design.model_dump(mode="json")}
    write_text(folder / DESIGN, json.dumps(stored, ensure_ascii=False, indent=1) + "\n")


def stacked(frames: Sequence[pl.DataFrame], name: str) -> pl.DataFrame:
    """The rows of several trials as one table; empty where there are none."""
    return records.stacked(frames) if name == "predictions" else pl.concat([records.TABLES[name].empty(), *frames])


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"


def _trials_folder(folder: Path) -> Path:
    return folder / "trials"


def _read(folder: Path, table: StoredTable, design: Design, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """A table of a folder, from one file or from the folders of its trials."""
    path = _path(folder, table.name)
    if not path.is_file() and table.left_by is not None and _trials_folder(folder).is_dir():
        return _of_trials(folder, table, design, tables)
    if not path.is_file() and table.optional:
        return records.TABLES[table.name].empty()
    return records.read(path, table.name)


def _of_trials(folder: Path, table: StoredTable, design: Design, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The rows that the trials of a study wrote, of the splits that were audited.

    A trial's folder may hold rows that this study does not use: of an earlier, larger study or of a tuning candidate.
    """
    assert table.left_by is not None
    settings = [name for name, setting in design.settings.items() if table.left_by(setting)]
    used = tables["trials"].filter(pl.col("setting").is_in(settings), pl.col("role") != "tuning", status="done")
    splits = [*tables["estimates"]["split"].unique(), "train", "validation"]
    frames = []
    for trial in used["trial"].unique(maintain_order=True):
        path = _path(_trials_folder(folder) / trial, table.name)
        if table.beside and not path.is_file():
            continue
        frame = records.read(path, table.name)
        frames.append(frame.filter(pl.col("split").is_in(splits)) if "split" in frame.columns else frame)
    return stacked(frames, table.name)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content
