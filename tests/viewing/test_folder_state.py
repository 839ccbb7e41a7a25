"""What a folder is taken for before it is shown."""

from __future__ import annotations

import json
import shutil

import pytest

from evenhand import InputError
from evenhand.viewing.folder_state import check_folder, has_begun, is_finished, report_stamp, saved_report


def test_a_folder_that_is_missing_or_empty_may_get_its_study_yet(tmp_path):
    check_folder(tmp_path / "not there")
    check_folder(tmp_path)
    assert not has_begun(tmp_path)


@pytest.mark.parametrize("begun", ["trials", "stand-in", "claims"])
def test_a_study_that_has_just_begun_is_shown(tmp_path, begun):
    (tmp_path / begun).mkdir()
    check_folder(tmp_path)
    assert has_begun(tmp_path) and not is_finished(tmp_path)


def test_a_file_a_url_and_a_folder_of_something_else_are_refused_with_a_sentence(tmp_path):
    file = tmp_path / "report.txt"
    file.write_text("")
    with pytest.raises(InputError, match=r"report\.txt is a file; view takes the folder"):
        check_folder(file)
    with pytest.raises(InputError, match="holds neither a study nor results"):
        check_folder(tmp_path)
    with pytest.raises(InputError, match="is a URL"):
        check_folder(type(tmp_path)("s3://bucket/study"))


def test_an_audit_is_finished_and_its_report_is_served_as_it_is(audited):
    assert is_finished(audited)
    stamp, page = saved_report(audited)
    assert page == (audited / "report.html").read_bytes() and stamp == report_stamp(audited)


def test_without_the_file_the_report_is_made_in_memory(audited, tmp_path, tree):
    folder = shutil.copytree(audited, tmp_path / "copy")
    (folder / "report.html").unlink()
    before = tree(folder)
    _, page = saved_report(folder)
    assert b"people.csv" in page and page.startswith(b"<!doctype html>")
    assert tree(folder) == before


def test_a_study_is_finished_when_its_results_are_of_the_study_that_the_folder_holds(audited, tmp_path):
    folder = shutil.copytree(audited, tmp_path / "copy")
    (folder / "study.yaml").write_text("seeds: 3\n")
    assert not is_finished(folder), "the results are of an earlier study"
    kept = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**kept, "study": "seeds: 3\n"}))
    assert is_finished(folder)
    (folder / "provenance.json").write_text("{")
    assert not is_finished(folder), "is being replaced"
