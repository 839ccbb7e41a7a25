"""Decides what a folder holds: nothing yet, a study that is not finished, or finished results with their report."""

from __future__ import annotations

import json
from pathlib import Path

from evenhand.audit.results_folder import DESIGN, PROVENANCE
from evenhand.errors import InputError

STUDY = "study.yaml"
REPORT = "report.html"

_BEGUN = (STUDY, DESIGN, "trials", "claims", ".lock", "stand-in")
"""What a run or an audit writes to its folder first, whichever of them it is."""


def check_folder(folder: Path) -> None:
    """Refuse what no run or audit writes to; a folder that is missing or empty may get its study yet.

    Raises:
        InputError: the folder is a file, a URL, or holds something else.

    Example:
        >>> import tempfile
        >>> check_folder(Path(tempfile.mkdtemp()))  # empty
    """
    if ":/" in str(folder):  # a path has lost one of the two slashes of a URL
        raise InputError(f"view shows a folder of this machine, and {folder} is a URL; run it where a copy is")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; view takes the folder that a run or an audit writes to")
    if folder.is_dir() and any(folder.iterdir()) and not has_begun(folder):
        raise InputError(
            f"{folder} holds neither a study nor results: a run writes a {STUDY} there, an audit a {DESIGN}"
        )


def has_begun(folder: Path) -> bool:
    """Return whether a run or an audit has written anything to a folder."""
    return any((folder / name).exists() for name in _BEGUN)


def is_finished(folder: Path) -> bool:
    """Return whether a folder holds the results of the study that its study file describes, or of an audit.

    Results record the study that they are of. If the study has grown since, they are of an earlier one.
    """
    if not (folder / DESIGN).is_file():
        return False
    study = folder / STUDY
    if not study.is_file():
        return True
    try:
        recorded = json.loads((folder / PROVENANCE).read_text(encoding="utf-8")).get("study")
        return recorded == study.read_text(encoding="utf-8")
    except (OSError, ValueError, AttributeError):  # is being replaced
        return False


def saved_report(folder: Path) -> tuple[object, bytes]:
    """Return the report of a finished folder, and a stamp that differs when it is another one.

    The file is returned as it is; without one, the report is made in memory from the tables.

    Raises:
        InputError: there is no report, and the tables cannot be read.
    """
    path = folder / REPORT
    if path.is_file():
        return report_stamp(folder), path.read_bytes()
    from evenhand.audit.results import Results
    from evenhand.report.page import html

    return report_stamp(folder), html(Results.load(folder).up_to_date()).encode()


def report_stamp(folder: Path) -> object:
    """Return what tells one version of a finished folder's report from another: the file's time and size."""
    path = folder / REPORT if (folder / REPORT).is_file() else folder / DESIGN
    return path.name, path.stat().st_mtime_ns, path.stat().st_size
