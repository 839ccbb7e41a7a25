"""What the audit makes of small records of every kind is what it made of them when they were frozen.

Where a number is meant to change, `python tests/golden/freeze.py` freezes it anew and says what differs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from evenhand.audit.table_differences import differences
from evenhand.audit.verification import verify
from golden import freeze
from golden.golden_records import CASES

FREEZE = Path(freeze.__file__)


# What is frozen went stale twice while only the longer suite looked at all of it.
@pytest.mark.always
@pytest.mark.parametrize("case", CASES)
def test_the_audit_computes_what_was_frozen(case):
    found = [
        f"{case}, {name}: {difference}"
        for name, table in freeze.computed(case).items()
        for difference in differences(name, pl.read_parquet(freeze.place(case, name)), table)
    ]
    assert not found, "\n" + "\n".join(found)


def test_what_is_frozen_are_the_tables_of_the_cases():
    assert {path.name for path in freeze.FROZEN.iterdir()} == {
        freeze.place(case, name).name for case in CASES for name in freeze.names(case)
    }


def test_an_audit_repeats_itself_in_another_process(tmp_path):
    """Exactly, however text is hashed there."""
    for seed in ("1", "2"):
        path = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        command = [sys.executable, str(FREEZE), "options", "--to", str(tmp_path / seed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == 0, done.stderr
    for name in freeze.names("options"):
        one, other = (pl.read_parquet(freeze.place("options", name, tmp_path / seed)) for seed in ("1", "2"))
        assert one.equals(other), name
        assert len(one) or name == "curves"


@pytest.mark.parametrize("case", ["a_method_that_failed", "options", "subgroups"])
def test_an_audit_is_the_same_on_a_processor_without_wide_vectors(case, tmp_path):
    """NumPy's exponentials differ there in their last digits; neither draws nor notes may."""
    narrow = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX"}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-W", "ignore", str(FREEZE), case, "--to", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": path, **narrow}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    here = freeze.computed(case)
    for name in freeze.names(case):
        there = pl.read_parquet(freeze.place(case, name, tmp_path))
        assert list(differences(name, there, here[name])) == [], name


@pytest.mark.always
def test_a_folder_that_another_machine_saved_is_verified():
    """Its files are those that were saved there, and its tables are computed here again; see tiny.yaml."""
    found = verify(FREEZE.parent / "study")
    assert found.differences == () and found.notes == ()
    assert found.files == 12 and list(found.rows) == freeze.names("options") and all(found.rows.values())


def changed(before: pl.DataFrame, row: int, column: str, value: object) -> pl.DataFrame:
    """A table with another value in one cell."""
    cell = pl.Series([value], dtype=before.schema[column])
    return before.with_columns(before[column].clone().scatter(row, cell))


@pytest.fixture(scope="module")
def verdicts() -> pl.DataFrame:
    return pl.read_parquet(freeze.place("a_fixed_split", "verdicts"))


def test_a_difference_is_told_with_its_row_and_column(verdicts):
    value = verdicts["contrast"][3]
    (found,) = differences("verdicts", verdicts, changed(verdicts, 3, "contrast", value * (1 + 1e-11)))
    assert found.column == "contrast" and found.rows == 1
    assert f"measure {verdicts['measure'][3]}" in str(found) and repr(value) in str(found)
    for column, other in (("verdict", "better"), ("note", None), ("runs", 7), ("contrast", None), ("p", 0.9)):
        row = verdicts[column].is_not_null().arg_true()[0]
        assert [one.column for one in differences("verdicts", verdicts, changed(verdicts, row, column, other))] == [
            column
        ]


def test_noise_of_rounding_and_a_new_column_are_no_difference(verdicts):
    near = changed(verdicts, 3, "contrast", verdicts["contrast"][3] * (1 + 1e-13))
    row = verdicts["detectable"].is_not_null().arg_true()[0]
    near = changed(near, row, "detectable", verdicts["detectable"][row] * (1 + 1e-10))
    assert differences("verdicts", verdicts, near.with_columns(mine=pl.lit(1))) == []


def test_rows_and_columns_that_are_lost_or_out_of_order_are_differences(verdicts):
    assert "missing" in str(differences("verdicts", verdicts, verdicts.drop("margin"))[0])
    (lost,) = differences("verdicts", verdicts, verdicts.slice(1))
    assert lost.rows == 1 and "missing rows" in str(lost)
    (more,) = differences("verdicts", verdicts.slice(1), verdicts)
    assert more.rows == 1 and "new rows" in str(more)
    (moved,) = differences("verdicts", verdicts, verdicts.reverse())
    assert "another order" in str(moved)
