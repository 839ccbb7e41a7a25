"""Verifies a folder of results: its files are those that were saved, and its tables follow from its records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evenhand.audit.record_tables import COMPUTED
from evenhand.audit.results import Results
from evenhand.audit.results_folder import AUDIT, content_hash, load_saved
from evenhand.audit.table_differences import differences


@dataclass(frozen=True)
class Verification:
    """What was verified in a folder, and what differs.

    Attributes:
        files: how many files have the contents that were saved; 0 where the folder was saved before hashes were kept.
        rows: by table that the audit computes, how many rows were computed again. Empty where files differ, since what
            is computed from them says nothing.
        differences: sentences on what differs, none if the folder is what was saved.
        notes: sentences on what could not be verified, and why.
    """

    files: int
    rows: dict[str, int]
    differences: tuple[str, ...]
    notes: tuple[str, ...]


def verify(folder: str | Path) -> Verification:
    """Verify a folder that a study or an audit wrote.

    Numbers may differ by a relative 1e-12 (1e-9 where root finding gives them), as they do between machines.

    Raises:
        InputError: there is no such folder, or it holds no results.

    Example:
        >>> import tempfile
        >>> import evenhand, polars as pl
        >>> from evenhand.audit.verification import verify
        >>> frame = pl.DataFrame({"y": [0, 1] * 20, "guess": [0, 1, 1, 1] * 10, "sex": ["f", "m", "m", "f"] * 10})
        >>> folder = tempfile.mkdtemp()
        >>> evenhand.audit(frame, label="y", prediction="guess", groups="sex").save(folder)
        >>> verify(folder).differences
        ()
    """
    folder = Path(folder)
    saved = load_saved(folder)
    found = []
    for name, kept in saved.contents.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif content_hash(path) != kept:
            found.append(f"{name} is not what was saved")
    notes = [] if saved.contents else ["the folder was saved before hashes were kept, so its files were not verified"]
    if found:
        return Verification(len(saved.contents) - len(found), {}, tuple(found), tuple(notes))
    results = Results.load(folder)
    if results.version != AUDIT:
        notes.append(
            f"version {results.version} of the audit computed the tables, and this is version {AUDIT}: they were not "
            "computed again"
        )
        return Verification(len(saved.contents), {}, (), tuple(notes))
    again = results.audited_again()
    for name in COMPUTED:
        found += [f"{name}: {each}" for each in differences(name, results.tables[name], again.tables[name])]
    return Verification(
        len(saved.contents), {name: len(results.tables[name]) for name in COMPUTED}, tuple(found), tuple(notes)
    )
