"""Verifies a folder of results: its files are those that were saved, and its tables follow from its records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from evenhand.audit.record_tables import computed_tables
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
    found += _changed_weights(folder)
    notes = [] if saved.contents else ["the folder was saved before hashes were kept, so its files were not verified"]
    if found:
        return Verification(max(len(saved.contents) - len(found), 0), {}, tuple(found), tuple(notes))
    results = Results.load(folder)
    if results.version != AUDIT:
        notes.append(
            f"version {results.version} of the audit computed the tables, and this is version {AUDIT}: they were not "
            "computed again"
        )
        return Verification(len(saved.contents), {}, (), tuple(notes))
    again = results.audited_again()
    computed = computed_tables(results.design)
    for name in computed:
        found += [f"{name}: {each}" for each in differences(name, results.tables[name], again.tables[name])]
    return Verification(
        len(saved.contents), {name: len(results.tables[name]) for name in computed}, tuple(found), tuple(notes)
    )


def _changed_weights(folder: Path) -> list[str]:
    """A sentence for each file of a trial's weights that is no longer what was kept; deleted weights are no fault."""
    found = []
    for path in sorted(folder.glob("trials/*/trial.json")):
        try:
            weights = dict(json.loads(path.read_text(encoding="utf-8")).get("weights") or {})
        except (ValueError, TypeError, AttributeError):
            found.append(f"{path.relative_to(folder).as_posix()} is not readable JSON")
            continue
        for name, kept in weights.items():
            file = path.parent / name
            if file.is_file() and content_hash(file) != kept:
                found.append(f"{file.relative_to(folder).as_posix()} is not what was saved")
    return found
