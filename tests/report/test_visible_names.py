"""Claims about names with hidden characters, which every form of the report shows as escapes."""

from __future__ import annotations

import json
import subprocess
import sys
from xml.etree import ElementTree

import polars as pl
import pytest

import evenhand as eh
from evenhand.report.visible_names import with_visible_names
from evenhand.visible_text import hides, visible

ESCAPE, SEPARATOR, REVERSED, BREAK = "\x1b[31mRED", "two\u2028lines", "abc\u202etxt.exe", "a\nb"
SHOWN = ["\\x1b[31mRED", "two\\u2028lines", "abc\\u202etxt.exe", "a\\nb"]


@pytest.fixture(scope="module")
def results() -> eh.Results:
    rows = 120
    groups = [[ESCAPE, SEPARATOR, REVERSED, BREAK][row % 4] for row in range(rows)]
    frame = pl.DataFrame(
        {
            "id": list(range(rows)) * 2,
            "label": [row % 2 for row in range(rows)] * 2,
            "guess": [(row + row % 3 // 2) % 2 for row in range(rows)] + [row % 2 for row in range(rows)],
            "group": groups * 2,
            "method": ["new\u2029model"] * rows + ["old\x07model"] * rows,
        }
    )
    columns = {"label": "label", "prediction": "guess", "groups": "group", "method": "method", "example": "id"}
    return eh.audit(frame, **columns, reference="old\x07model", source="a table\x1b]0;title\x07")


def test_the_tables_keep_the_names(results):
    assert set(results.estimates["group"].drop_nulls()) == {ESCAPE, SEPARATOR, REVERSED, BREAK}


def test_every_form_shows_escapes_and_hides_nothing(results, tmp_path):
    results.report(tmp_path / "report.html")
    results.report(tmp_path / "report.md")
    forms = {
        "page": (tmp_path / "report.html").read_text("utf-8"),
        "markdown": (tmp_path / "report.md").read_text("utf-8"),
        "terminal": results.summary(),
        "notebook": results._repr_html_(),
    }
    for form, text in forms.items():
        lines = text.replace("\n", "").replace("\t", "")
        assert not hides(lines), form
        assert "new\\u2029model" in text.replace("\\\\", "\\"), form
    assert not hides(repr(results))
    assert all(shown in forms["page"] for shown in SHOWN)


def test_pictures_are_drawn(results, tmp_path):
    drawn = results.figures(tmp_path)
    assert drawn
    assert all(path.stat().st_size > 1000 for path in drawn)
    assert not any(hides(path.name) for path in drawn)


@pytest.mark.parametrize("name", [r"a\u12b", r"C:\new", 'a "quoted" name', "it's", "${x}", "</script>", "%s"])
def test_names_that_mean_something_elsewhere_are_drawn(name, tmp_path):
    frame = pl.DataFrame(
        {
            "i": [*range(60)] * 2,
            "y": [0, 1] * 60,
            "p": [0, 1, 1] * 40,
            "g": [name, "b"] * 60,
            "m": [name] * 60 + ["m"] * 60,
        }
    )
    results = eh.audit(frame, label="y", prediction="p", groups="g", method="m", reference=name, example="i")
    assert results.figures(tmp_path, format="svg")
    results.report(tmp_path / "report.html")


def test_the_gate_shows_escapes(results, tmp_path):
    results.save(tmp_path / "out")
    junit = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "evenhand", "check", str(tmp_path / "out"), "--fail-on", "worse,inconclusive"]
    done = subprocess.run([*command, "--junit", str(junit)], capture_output=True, text=True)
    assert done.returncode == 1
    assert not hides(done.stdout.replace("\n", "")) and not hides(done.stderr.replace("\n", ""))
    assert "\\x1b[31mRED" in done.stdout
    assert "\\x1b[31mRED" in ElementTree.parse(junit).getroot()[0].attrib["name"] + junit.read_text()


def test_json_keeps_the_names(results):
    assert any(row["group"] == ESCAPE for row in json.loads(json.dumps(results.to_json()))["estimates"])


def test_results_without_such_names_are_not_copied():
    frame = pl.DataFrame({"y": [0, 1] * 20, "p": [0, 1, 1, 1] * 10, "g": ["é", "👩‍👩‍👧", "عربي", "می‌خواهم"] * 10})
    results = eh.audit(frame, label="y", prediction="p", groups="g")
    assert with_visible_names(results) is results


def test_errors_show_escapes(evenhand, tmp_path):
    done = evenhand("report", tmp_path / "no\x1b[31mfolder")
    assert done.returncode == 2
    assert "no\\x1b[31mfolder" in done.stderr
    assert not hides(done.stderr.rstrip("\n"))


def test_joiners_stay():
    assert visible("می‌خواهم 👩‍👩‍👧") == "می‌خواهم 👩‍👩‍👧"
