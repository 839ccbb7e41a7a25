"""Claims about `evenhand verify`: a folder as it was saved has no differences, and any change is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.results import Results
from evenhand.audit.results_folder import content_hash
from evenhand.audit.verification import verify
from small_records import design, study


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "out"
    Results.compute(*study(n=200, seeds=3), design(margins={"default": 0.05})).save(folder)
    return folder


@pytest.fixture
def folder(kept, tmp_path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "out"))


def vouch_for(folder: Path, name: str) -> None:
    """Write the hash of a file as it is into the design, as somebody who wants to deceive would."""
    path = folder / "design.json"
    values = json.loads(path.read_text())
    values["contents"][name] = content_hash(folder / name)
    path.write_text(json.dumps(values))


def test_a_folder_as_it_was_saved_has_no_differences(folder, evenhand):
    found = verify(folder)
    assert found.differences == found.notes == ()
    assert found.files == len(list(folder.iterdir())) - 1
    assert all(rows > 10 for rows in found.rows.values())
    done = evenhand("verify", folder)
    assert done.returncode == 0 and done.stdout.startswith(f"{found.files} files as they were saved")


@pytest.mark.parametrize("name", ["predictions.parquet", "verdicts.parquet", "provenance.json"])
def test_a_flipped_bit_is_named(folder, name, evenhand):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert verify(folder).differences == (f"{name} is not what was saved",)
    done = evenhand("verify", folder, "--json")
    assert done.returncode == 2 and json.loads(done.stdout)["differences"]


def test_a_missing_file_is_named(folder):
    (folder / "curves.parquet").unlink()
    assert verify(folder).differences == ("curves.parquet is missing",)


def test_a_verdict_that_does_not_follow_from_the_records_is_named_though_its_hash_fits(folder):
    path = folder / "verdicts.parquet"
    frame = pl.read_parquet(path)
    row = frame.with_row_index().filter(verdict="inconclusive").row(0, named=True)["index"]
    verdict = frame["verdict"].to_list()
    verdict[row] = "equivalent"
    records.write(frame.with_columns(verdict=pl.Series(verdict, dtype=frame.schema["verdict"])), path, "verdicts")
    vouch_for(folder, "verdicts.parquet")
    (difference,) = verify(folder).differences
    assert difference.startswith("verdicts: verdict differs in 1 of ")


def test_predictions_that_were_changed_change_estimates(folder):
    path = folder / "predictions.parquet"
    frame = pl.read_parquet(path)
    records.write(frame.with_columns(predicted=pl.lit(0, pl.Int64)), path, "predictions")
    vouch_for(folder, "predictions.parquet")
    assert any(each.startswith("estimates: value differs in") for each in verify(folder).differences)


def test_a_folder_without_hashes_is_computed_again_all_the_same(folder):
    path = folder / "design.json"
    values = json.loads(path.read_text())
    del values["contents"]
    path.write_text(json.dumps(values))
    found = verify(folder)
    assert found.files == 0 and found.rows and "before hashes were kept" in found.notes[0]
