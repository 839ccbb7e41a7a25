"""Freeze what the audit makes of the golden records: `python tests/golden/freeze.py [CASE …]`.

Says of each case what differs from what was frozen before, then overwrites it. A commit that changes a number freezes
anew and lists the differences. With --to FOLDER it writes there, says nothing, and leaves what is frozen as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl

# As pytest's `pythonpath` has it, for the script.
sys.path.extend([str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "audit")])

from evenhand.audit.record_tables import COMPUTED, FINDINGS
from evenhand.audit.results import Results
from evenhand.audit.table_differences import differences
from golden.golden_records import CASES, SEARCHED

FROZEN = Path(__file__).parent / "frozen"


def computed(case: str) -> dict[str, pl.DataFrame]:
    """The tables that the audit makes of a case."""
    results = Results.compute(**CASES[case]())
    return {name: getattr(results, name) for name in names(case)}


def names(case: str) -> list[str]:
    """The tables that the audit computes of a case: findings of those only in which subgroups are searched."""
    return [*COMPUTED, *([FINDINGS] if case in SEARCHED else [])]


def place(case: str, table: str, folder: Path = FROZEN) -> Path:
    """Where a table of a case is kept."""
    return folder / f"{case}-{table}.parquet"


def write(case: str, tables: Mapping[str, pl.DataFrame], folder: Path = FROZEN) -> None:
    """Keep the tables of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.write_parquet(place(case, name, folder), compression="zstd", compression_level=19, statistics=False)


def told(case: str, tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """What differs from what was frozen, line by line."""
    lines = []
    for name, frame in tables.items():
        if not place(case, name).is_file():
            lines.append(f"  {name}: new, {len(frame)} rows")
            continue
        lines += [f"  {name}: {found}" for found in differences(name, pl.read_parquet(place(case, name)), frame)]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all unless named")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write there and compare with nothing")
    asked = parser.parse_args()
    unknown = [case for case in asked.cases if case not in CASES]
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    for case in asked.cases or CASES:
        tables = computed(case)
        if asked.to is not None:
            write(case, tables, asked.to)
            continue
        lines = told(case, tables)
        print(f"{case}:" if lines else f"{case}: as it was", *lines, sep="\n", flush=True)
        write(case, tables)


if __name__ == "__main__":
    main()
