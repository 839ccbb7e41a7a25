"""Writes results to a folder, and reads them back table by table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from evenhand import records
from evenhand.atomic_files import aside_of, remove, remove_leftovers, write_text
from evenhand.audit.design import Design
from evenhand.audit.record_tables import BY_TRIAL, STORED, RecordTables, StoredTable
from evenhand.errors import InputError

DESIGN, PROVENANCE = "design.json", "provenance.json"
STAGED = "results"
"""The folder aside in which results are written before they replace the earlier ones."""

AUDIT = 10
"""The version of the audit, raised when the same records give other estimates or verdicts; `design.json` has it under
`audit`, and folders without it are of version 1."""


@dataclass(frozen=True)
class Saved:
    """What `design.json` says of a folder of results.

    Attributes:
        design: of the study or audit.
        version: of the audit that made the results.
        contents: by file, relative to the folder, the SHA-256 hash of what was saved; empty in folders that were saved
            before hashes were kept.
    """

    design: Design
    version: int
    contents: Mapping[str, str]

    def check(self, folder: Path, path: Path) -> None:
        """Check that a file is the one that was saved with the others. Raises InputError if it is not."""
        kept = self.contents.get(path.relative_to(folder).as_posix())
        if self.contents and path.is_file() and kept != content_hash(path):
            raise InputError(
                f"{path} is not the file that was saved with the other results in {folder}; run the study or the audit "
                "again, so that they fit together"
            )


def load(folder: Path) -> tuple[RecordTables, Design, dict[str, str], int]:
    """The tables of a folder, its design, its provenance, and the version of the audit that made it.

    The tables that every folder has at its top are read at once, the others on first use. Each is checked against the
    hash that was saved with the design.

    Raises:
        InputError: there is no such folder, it holds no results or only a part of them, or a table of it does not fit.
    """
    saved = load_saved(folder)
    tables: dict[str, Any] = {}
    for table in STORED.values():
        if table.optional or table.left_by is not None:
            continue
        tables[table.name] = _read_checked(folder, _path(folder, table.name), table.name, saved)
    late = {table.name: partial(_read, folder, table, saved, tables) for table in STORED.values()}
    path = folder / PROVENANCE
    saved.check(folder, path)
    provenance = _read_json(path) if path.is_file() else {}
    if not all(isinstance(value, str) for value in provenance.values()):
        raise InputError(f"{path} should map names to texts; run the study or the audit again")
    return RecordTables(late | tables), saved.design, provenance, saved.version


def load_saved(folder: Path) -> Saved:
    """The contents of a folder's `design.json`. Raises: as `load`."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    path = folder / DESIGN
    if not path.is_file():
        if (folder / "study.yaml").is_file():
            raise InputError(f"the study in {folder} has not been run to its end; run it again to continue")
        raise InputError(f"{folder} holds no results: a run or an audit writes a {DESIGN} there")
    values = _read_json(path)
    version, contents = values.pop("audit", 1), values.pop("contents", {})
    if not isinstance(version, int):
        raise InputError(f"{path}: audit should be a whole number, not {version!r}")
    if not isinstance(contents, dict):
        raise InputError(f"{path}: contents should map files to hashes, not be {contents!r}")
    return Saved(Design.parse(values, str(path)), version, contents)


def save(
    folder: Path, tables: Mapping[str, pl.DataFrame], design: Design, provenance: Mapping[str, str], version: int
) -> None:
    """Write the tables, the design and the provenance: all of them, or none; `version` is of their audit.

    Everything is written to a folder aside first, so that a full disk changes nothing. Then the files are renamed,
    first `design.json` with the hashes of all: a process that is killed in between leaves a folder that `load` refuses,
    and that still has the history of margins.

    Raises:
        InputError: `folder` is a file, or cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; results are kept in a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # as below /proc
        raise InputError(f"no folder {folder} can be made here; name another one") from None
    remove_leftovers(folder)
    of_study = _trials_folder(folder).is_dir()
    stored = [table for table in STORED.values() if not (of_study and table.left_by is not None)]
    staged = aside_of(folder / STAGED)
    remove(staged)
    try:
        staged.mkdir()
        for table in stored:
            if not (table.optional and tables[table.name].is_empty()):
                records.write(tables[table.name], _path(staged, table.name), table.name)
        write_text(staged / PROVENANCE, json.dumps(dict(provenance), ensure_ascii=False, indent=1) + "\n")
        names = sorted(path.name for path in staged.iterdir())
        contents = {name: content_hash(staged / name) for name in names} | _hashes_of_trials(folder, tables["trials"])
        written = {"audit": version, "contents": contents, **design.model_dump(mode="json")}
        write_text(staged / DESIGN, json.dumps(written, ensure_ascii=False, indent=1) + "\n")
    except BaseException:
        remove(staged)
        raise
    for name in (DESIGN, *names):
        (staged / name).replace(folder / name)
    for table in stored:
        if _path(folder, table.name).name not in names:
            _path(folder, table.name).unlink(missing_ok=True)
    remove(staged)


def content_hash(path: Path) -> str:
    """The SHA-256 hash of a file's contents, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stacked(frames: Sequence[pl.DataFrame], name: str) -> pl.DataFrame:
    """The rows of several trials as one table; empty where there are none."""
    return records.stacked(frames) if name == "predictions" else pl.concat([records.TABLES[name].empty(), *frames])


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"


def _trials_folder(folder: Path) -> Path:
    return folder / "trials"


def _hashes_of_trials(folder: Path, trials: pl.DataFrame) -> dict[str, str]:
    """The hashes of the tables in a study's trial folders, by path; of trials that the results use."""
    folders = [_trials_folder(folder) / trial for trial in trials["trial"].unique(maintain_order=True)]
    paths = [_path(trial, name) for trial in folders for name in BY_TRIAL if _path(trial, name).is_file()]
    return {path.relative_to(folder).as_posix(): content_hash(path) for path in paths}


def _read(folder: Path, table: StoredTable, saved: Saved, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """A table of a folder, from one file or from the folders of its trials."""
    path = _path(folder, table.name)
    if not path.is_file() and table.left_by is not None and _trials_folder(folder).is_dir():
        return _of_trials(folder, table, saved, tables)
    if not path.is_file() and table.optional:
        return records.TABLES[table.name].empty()
    return _read_checked(folder, path, table.name, saved)


def _read_checked(folder: Path, path: Path, name: str, saved: Saved) -> pl.DataFrame:
    saved.check(folder, path)
    return records.read(path, name)


def _of_trials(folder: Path, table: StoredTable, saved: Saved, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The rows that the trials of a study wrote, of the splits that were audited.

    A trial's folder may hold rows that this study does not use: of an earlier, larger study with other scorers, say, or
    of a tuning candidate.
    """
    assert table.left_by is not None
    settings = [name for name, setting in saved.design.settings.items() if table.left_by(setting)]
    used = tables["trials"].filter(pl.col("setting").is_in(settings), pl.col("role") != "tuning", status="done")
    splits = [*tables["estimates"]["split"].unique(), "train", "validation"]
    names = [measure.recorded for measure in saved.design.declared if measure.kind == "values"]
    frames = []
    for trial in used["trial"].unique(maintain_order=True):
        path = _path(_trials_folder(folder) / trial, table.name)
        if table.beside and not path.is_file():
            continue
        frame = _read_checked(folder, path, table.name, saved)
        if table.name == "values":
            frame = frame.filter(pl.col("name").is_in(names))
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
