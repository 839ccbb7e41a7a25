"""Claims about the page: complete, escaped, offline, small, drawn by a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

from evenhand.audit.design import MarginChange
from evenhand.records import TABLES
from evenhand.report import offline, page, verdict_tables
from evenhand.report.headline import headline
from evenhand.report.number_text import interval, number
from evenhand.report.question_grid import question_grid
from evenhand.report.wording import digits

ATTACK = "<script>alert(1)</script>"


class Outline(HTMLParser):
    """Elements with their attributes, and the text of script elements by type."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.visible = ""
        self._type: str | None = None
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else self._inside
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif not self._inside:
            self.visible += data


@pytest.fixture(scope="module")
def hostile(simulate):
    """A study whose method, group, note, source and reason are all script elements."""
    results = simulate(methods=("full", ATTACK), groups=(("shape", (ATTACK, "circle")),), failed=1, seeds=4)
    design = results.design.model_copy(update={"source": ATTACK})
    return replace(
        results,
        design=design,
        verdicts=results.verdicts.with_columns(note=pl.lit(ATTACK)),
        trials=results.trials.with_columns(reason=pl.when(pl.col("status") == "failed").then(pl.lit(ATTACK))),
        provenance={"study": f"task: {ATTACK}", "environment": json.dumps({"python": ATTACK}), "mixed": ATTACK},
    )


def test_names_notes_and_reasons_are_text_and_never_markup(hostile):
    text = page.html(hostile)
    outline = Outline(text)
    assert "<script>alert" not in text
    assert outline.visible.count(ATTACK) > 10
    assert not any("alert(1)" in script for kind, script in outline.scripts if kind is None)
    executable = [script for kind, script in outline.scripts if kind is None]
    assert len(executable) == 2


def test_embedded_data_cannot_close_its_script_element(hostile):
    data = [script for kind, script in Outline(page.html(hostile)).scripts if kind == "application/json"]
    assert len(data) > 5
    for script in data:
        assert "<" not in script
        json.loads(script)
    assert any(ATTACK in json.dumps(json.loads(script)) for script in data)


def test_json_escapes_keep_the_value():
    value = {"a": "</script><!--\u2028&"}
    assert json.loads(str(offline.embedded_json(value))) == value


def test_the_page_refers_to_nothing_outside_itself(small):
    outline = Outline(page.html(small))
    for _, attributes in outline.elements:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    (policy,) = [a["content"] for tag, a in outline.elements if tag == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert policy.count("sha256-") == 2


def test_links_within_the_page_lead_somewhere(small):
    outline = Outline(page.html(small))
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in outline.elements:
        if "href" in attributes:
            assert attributes["href"][1:] in ids


def test_verdicts_come_first_and_every_section_is_there(small):
    text = page.html(small)
    found = re.findall(r'<section id="(\w+)">', text)
    assert found[0] == "verdicts"
    wanted = "accuracy disparities calibration sizes trials training study margins environment reading notes"
    assert set(wanted.split()) <= set(found)


def test_the_table_holds_every_contrast_with_its_verdict(small):
    text = page.html(small)
    for verdict, count in small.verdicts.group_by("verdict").len().iter_rows():
        assert text.count(f'<tr data-v="{verdict or "no verdict"}" id="v') == count


def test_the_numbers_of_the_page_are_those_of_the_tables(simulate):
    results = simulate(methods=("full", "lora", "head"), settings=("faces", "posts"), n=300, seeds=3)
    records = [
        row
        for tables in (verdict_tables.across_tables, verdict_tables.verdict_tables)
        for table in tables(results.verdicts, results.design)
        for row in table.records
    ]
    text = page.html(results)
    shown = re.findall(r'<tr data-v="([^"]+)" id="v(\d+)"[^>]*>(.*?)</tr>', text, re.S)
    assert [int(rank) for _, rank, _ in shown] == list(range(len(results.verdicts)))
    for (verdict, _, cells), record in zip(shown, records, strict=True):
        texts = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td>(.*?)</td>", cells, re.S)]
        decimals = digits(record["measure"])
        assert verdict == (record["verdict"] or "no verdict") and texts[0].startswith(verdict)
        assert texts[1] == number(record["contrast"], decimals, signed=True)
        assert texts[2] == interval(record["low"], record["high"], decimals, signed=True)
        margin, detectable = texts[-4:-2]
        assert margin == ("—" if record["margin"] is None else f"{record['margin']:g}")
        assert detectable == number(record["detectable"], decimals)


def test_the_headline_is_the_first_thing_said(small):
    visible = Outline(page.html(small)).visible
    assert visible.index(headline(small)[0]) < visible.index("worse in") < visible.index("how many of each verdict")
    assert "that this study detects with 80% power is" in visible


def test_each_cell_of_the_grid_leads_to_the_first_row_of_its_verdict(small):
    text = page.html(small)
    grid = question_grid(small)
    (row,) = grid.rows
    assert re.search(r'<table class="questions">.*?</table>', text, re.S)
    shown = re.findall(
        r'<a href="#v(\d+)"><b class="([\w-]+)">[^<]*</b> <span class="faint">(\d+) of (\d+)</span></a>', text
    )
    assert [(verdict.replace("-", " "), int(count), int(judged)) for _, verdict, count, judged in shown] == [
        (cell.verdict, cell.count, cell.judged) for cell in row.cells
    ]
    (table,) = verdict_tables.verdict_tables(small.verdicts, small.design)
    for (rank, *_), cell in zip(shown, row.cells, strict=True):
        record = table.records[int(rank)]
        assert record["verdict"] == cell.verdict and record["measure"] in cell.target.measures
        earlier = [each for each in table.records[: int(rank)] if each["measure"] in cell.target.measures]
        assert cell.verdict not in [each["verdict"] for each in earlier if each["contrast"] is not None]


def test_what_could_not_be_computed_is_a_dash_with_its_reason(simulate):
    results = simulate(n=80, groups=(("shape", tuple(f"group {i}" for i in range(12))),))
    absent = results.estimates.filter(pl.col("seed").is_null() & pl.col("value").is_null())
    assert len(absent)
    visible = Outline(page.html(results)).visible
    assert "—" in visible
    for note in absent["note"].unique():
        assert note in visible


def test_failed_trials_are_named_with_the_reason(simulate):
    visible = Outline(page.html(simulate(failed=1))).visible
    assert "1 of 10 trials failed" in visible
    assert "the loss at step 12 is not a number" in visible


def test_margins_are_shown_with_their_dates_and_a_change_is_said(small):
    history = (
        MarginChange(date="2026-11-20", margins={"default": 0.05}),
        MarginChange(date="2026-11-23", margins={"default": 0.2}),
    )
    changed = replace(small, design=small.design.model_copy(update={"margin_history": history}))
    visible = Outline(page.html(changed)).visible
    assert "2026-11-20" in visible
    assert "Margins were changed after they were first declared" in visible
    assert "Margins were changed" not in Outline(page.html(small)).visible


def test_the_study_and_the_environment_are_shown(small):
    visible = Outline(page.html(small)).visible
    assert "task: {name: synthetic/faces}" in visible
    assert "2.13.0" in visible


def test_an_audit_without_a_reference_and_without_groups_says_why_there_are_no_verdicts(simulate):
    results = simulate(methods=("model",), references=(), margins=(), groups=())
    bare = replace(results, provenance={})
    visible = Outline(page.html(bare)).visible
    assert "no method was named as the reference" in visible
    assert "No margin was declared" in visible
    assert "The request behind these results was not recorded" in visible


def test_labels_alone_and_no_groups_make_a_page(simulate):
    visible = Outline(page.html(simulate(groups=(), logits=False))).visible
    assert "No groups were given" in visible
    assert "only labels were predicted" in visible


def test_a_study_without_measures_of_predictions_still_makes_a_page(small):
    empty = {name: TABLES[name].empty() for name in ("estimates", "verdicts", "curves")}
    visible = Outline(page.html(replace(small, **empty))).visible
    assert "No disparities were measured" in visible
    assert "Sizes of groups" in visible


def test_a_page_of_given_predictions_has_no_section_on_training(small):
    trials = TABLES["trials"]
    blank = small.trials.with_columns(
        pl.lit(None, trials.columns[name]).alias(name)
        for name in ("train_loss", "validation_loss", "parameters", "parameters_total", "seconds")
    )
    for trials, there in ((blank, False), (small.trials, True)):
        sections = re.findall(r'<section id="(\w+)">', page.html(replace(small, trials=trials)))
        assert ({"trials", "training"} <= set(sections)) == there


def test_unpaired_comparisons_are_said_at_the_top(small):
    design = small.design.model_copy(update={"paired": "none"})
    visible = Outline(page.html(replace(small, design=design))).visible
    assert visible.index("could not be matched") < visible.index("how many of each verdict")


def test_every_chart_has_a_text_for_those_who_cannot_see_it(small):
    outline = Outline(page.html(small))
    shown = [attributes for _, attributes in outline.elements if attributes.get("class") == "chart"]
    assert len(shown) >= 8
    assert all(len(attributes["aria-label"]) > 20 for attributes in shown)


def test_the_same_results_give_the_same_page(small):
    assert page.html(small) == page.html(small)


def test_several_references_settings_and_methods_each_have_their_table(simulate):
    results = simulate(
        methods=("full", "lora", "head"), references=("full", "lora"), settings=("faces", "posts"), n=300, seeds=3
    )
    visible = Outline(page.html(results)).visible
    for pair in ("lora against full", "head against full", "head against lora"):
        assert visible.count(f"{pair} (faces, test)") == 1
        assert visible.count(f"{pair} (posts, test)") == 1


def test_a_large_study_stays_under_six_megabytes(simulate):
    groups = (("target", tuple(f"group {i}" for i in range(25))),)
    methods = ("full", "lora", "dora", "head", "planted")
    results = simulate(methods=methods, settings=("a", "b", "c"), n=1000, groups=groups, seeds=3)
    changes, gap_changes = 7 * 26 + 28 - 4 + 4 + 4, 5 * 25
    assert len(results.verdicts) == (3 + 1) * 4 * (changes + gap_changes) + 3 * 4 * 5  # the settings, and across them
    assert len(page.html(results).encode()) < 6_000_000


@pytest.mark.slow
def test_nine_classes_stay_under_six_megabytes(simulate):
    groups = (("target", tuple(f"group {i}" for i in range(25))),)
    methods = ("full", "lora", "dora", "head", "planted")
    results = simulate(methods=methods, settings=("a", "b", "c"), n=2000, groups=groups, classes=9, seeds=3)
    assert len(results.verdicts) > 6000
    assert len(page.html(results).encode()) < 6_000_000


def test_the_drawing_library_is_made_once_and_kept_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    offline.bundle.cache_clear()
    made = offline.bundle()
    (kept,) = (tmp_path / "evenhand").iterdir()
    assert "vegaEmbed" in made and kept.read_text(encoding="utf-8") == made
    kept.write_text("kept", encoding="utf-8")
    offline.bundle.cache_clear()
    assert offline.bundle() == "kept"
    offline.bundle.cache_clear()


def test_a_cache_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    offline.bundle.cache_clear()
    assert "vegaEmbed" in offline.bundle()
    offline.bundle.cache_clear()


def test_the_report_is_imported_without_heavy_libraries():
    code = (
        "import sys, evenhand.report.page, evenhand.report.charts;"
        "print([name for name in ('altair', 'vl_convert', 'jinja2', 'torch', 'scipy.stats') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_margin_is_shown_as_it_was_declared(simulate):
    results = simulate(margins=(("default", 0.0025), ("calibration_error_squared", 0.0005)))
    cells = re.findall(r"<td>(0\.00\d+)</td><td>[^<]*</td><td>\d", page.html(results))
    assert set(cells) == {"0.0025", "0.0005"}


def test_many_verdicts_leave_undecided_rows_of_single_classes_out_and_say_so(simulate, monkeypatch):
    results = simulate(methods=("full", "lora"), classes=3, seeds=3, n=200)
    assert "Left out of the tables" not in page.html(results)
    rows = verdict_tables.tabled(results.verdicts, 10)
    left = len(results.verdicts) - len(rows)
    assert left > 0 and rows.filter(pl.col("class").is_null()).equals(
        results.verdicts.filter(pl.col("class").is_null())
    )
    assert set(rows.drop_nulls("class")["verdict"]) <= {"worse", "better", "different"}
    monkeypatch.setattr(page.verdict_tables, "tabled", lambda verdicts: rows)
    assert f"Left out of the tables, and of their counts: {left:,} rows about single classes" in page.html(results)
