"""Reads results for commands, and prints results and plain values."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def loaded(folder: Path) -> Any:
    """Return the results of a folder, audited again in memory if an older version made them."""
    from evenhand.audit.results import Results

    results = Results.load(folder)
    current = results.up_to_date()
    if current is not results:
        print(
            f"evenhand: an older version audited {folder}; its records were audited again, its tables are as they were",
            file=sys.stderr,
        )
    return current


def show(results: Any, out: str | Path | None, as_json: bool) -> None:
    """Print the summary of results, or all of them as JSON."""
    if as_json:
        return print_json(results.to_json())
    print(results.summary())
    if out is not None:
        print(f"\nThe report: {str(out).rstrip('/')}/report.html")
    return None


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    print(json.dumps(value, ensure_ascii=False, default=str, allow_nan=False))
