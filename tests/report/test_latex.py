"""The report's tables in LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenhand.report.latex import latex
from evenhand.report.latex_tables import LINE, Table, pieces
from evenhand.report.latex_text import PREAMBLE, escaped
from evenhand.report.verdict_matrix import matrices

HOSTILE = (
    "\\input{x}$",
    "50% & #1_{a}^b~",
    "[first] *star*",
    "a--b, ?` !` ,, << >>",
    "\"q\" 'r' `s` |u|",
    "Đỗ Łukasz İı ß œ ﬁ",
    "日本語 🙂 \u0301 עברית",
    "x" * 90,
    "\\",
    "−±×²½…“”’",
    "two\u00a0words",
)

KNOWN = {
    *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "textasciigrave"),
    *("textquotesingle", "textquotedblleft", "textquotedblright", "textquoteleft", "textquoteright", "ldots"),
    *("textsuperscript", "textdegree", "hspace", "ss", "ae", "AE", "o", "O", "oe", "OE", "l", "L", "i", "j"),
    *("u", "r", "H", "v", "d", "c", "b"),
}
"""The commands that stand for characters outside of formulas."""

DOCUMENT = (
    r"\documentclass{article}\usepackage{array,booktabs,longtable,textcomp}\begin{document}"
    "\nText.\n%s\n\\listoftables\n\\end{document}\n"
)

needs_pdflatex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


@pytest.fixture(scope="module")
def hostile(simulate):
    return simulate(methods=("full", *HOSTILE[:4]), groups=((HOSTILE[1], HOSTILE),), n=900)


def without_arguments(text: str) -> str:
    """The file without what stands for characters: what is left of `&`, `%`, `#`, `$`, `_` is LaTeX's own."""
    return re.sub(r"\\[&%#$_{}]", "", text)


def environments(text: str) -> list[str]:
    """The names of environments that are begun, in order; each must be ended in the right order."""
    opened, begun = [], []
    for word, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if word == "begin":
            opened.append(name)
            begun.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    return begun


def tables(text: str) -> list[tuple[int, list[str]]]:
    """The number of columns and the rows of each table."""
    bodies = re.findall(r"\\begin\{(?:tabular|longtable)\}\{@\{\}([^\n]*)@\{\}\}\n(.*?)\\end\{", text, re.DOTALL)
    made = []
    for format_, body in bodies:
        columns = len(re.findall(r"p\{[\d.]+em\}|l", format_.replace(r"\raggedright\arraybackslash", "")))
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        made.append((columns, rows))
    return made


@pytest.mark.parametrize("of", ["small", "hostile"])
def test_every_row_has_a_cell_for_every_column_whatever_names_hold(of, request):
    text = without_arguments(latex(request.getfixturevalue(of)))
    found = tables(text)
    assert found and all(rows for _, rows in found)
    assert {row.count("&") + 1 - columns for columns, rows in found for row in rows} == {0}
    assert environments(text).count("tabular") == environments(text).count("table")
    assert text.count("{") == text.count("}")


def test_the_verdict_of_every_judged_group_is_in_the_table_of_its_comparison(small):
    (changes, gaps) = matrices(small)
    judged = small.verdicts.drop_nulls("verdict").filter(comparison="change")
    assert sum(len(rows) for _, rows in changes.parts) == len(judged)
    assert changes.head == ["", "lora against full"] and gaps.title == "Gaps between groups: faces, test."
    accuracy = dict(changes.parts)["accuracy (margin 0.05)"]
    (row,) = judged.filter(measure="accuracy", group="circle").iter_rows(named=True)
    said = f"{row['verdict']} {row['contrast']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]".replace("-", "−")
    assert ["shape = circle", said] in accuracy


def test_captions_say_level_families_margin_and_runs(small):
    caption = re.search(r"\\caption\[.*?\]\{(.*)\}\\label\{tab:faces-change\}", latex(small))
    assert caption is not None
    for words in ("90\\% coverage, simultaneously within each family", "largest contrast declared harmless", "5 seeds"):
        assert words in caption[1]
    assert "14 families" in caption[1] and "of 1 to 3 contrasts" in caption[1]


def test_labels_are_plain_and_each_is_there_once(hostile):
    labels = re.findall(r"\\label\{(.*?)\}", latex(hostile))
    assert len(set(labels)) == len(labels) > 3
    assert all(re.fullmatch(r"tab:[a-z0-9-]+", label) for label in labels)


def test_a_table_wider_than_a_page_is_divided_and_no_column_is_lost():
    head = ["", *(f"a rather long name {n}" for n in range(9))]
    table = Table("wide", "Wide.", "", head, [("", [["group", *(f"+0.12{n} [+0.100, +0.140]" for n in range(9))]])])
    parts = pieces(table)
    assert len(parts) > 1 and parts[0].table.title == f"Wide. Part 1 of {len(parts)}."
    assert [name for part in parts for name in part.table.head[1:]] == head[1:]
    assert all(part.table.head[0] == "" and part.table.parts[0][1][0][0] == "group" for part in parts)
    assert all(sum(letters * 0.46 for letters in part.letters) < LINE for part in parts)


def test_a_table_of_many_groups_may_break_across_pages(simulate):
    groups = (("village", tuple(f"village {n}" for n in range(30))),)
    text = latex(simulate(groups=groups, n=3000, seeds=3))
    assert "longtable" in environments(text)
    assert text.count(r"\endhead") == environments(text).count("longtable")


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_character_of_a_name_reaches_latex_as_a_command(text):
    bare = re.sub(r"\\evenhandchar\{.\}\{U\+[0-9A-F]+\}", "", escaped(text), flags=re.DOTALL)
    assert bare.isascii()
    bare = re.sub(r"\\[&%#$_{}]", "", bare)
    bare = re.sub(r"\$(-|\\(pm|times|cdot|le|ge|to|infty|alpha|varepsilon|chi|frac12))\$", "", bare)
    bare = re.sub(r"\\[`'^~=.\"]\{\\?[A-Za-z]\}", "", bare)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[&%#$_^\"`'|<>*]|(?<!\{)\[|,,", bare.replace("{*}", ""))
    assert set(re.findall(r"\\([A-Za-z]+)", bare)) <= KNOWN


def compiled(folder: Path, text: str) -> str:
    """What pdflatex printed; it must have made a document."""
    (folder / "paper.tex").write_text(DOCUMENT % text, encoding="utf-8")
    for _ in range(2):  # the second time with the list of tables
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.slow
@needs_pdflatex
def test_pdflatex_sets_every_table_within_the_page(hostile, tmp_path):
    printed = compiled(tmp_path, latex(hostile))
    over = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", printed)]
    assert max(over, default=0) < 12


@pytest.mark.slow
@needs_pdflatex
def test_pdflatex_prints_names_of_all_characters(tmp_path):
    planes = (
        range(0x20, 0x7F),
        range(0xA0, 0x250),
        range(0x370, 0x600),
        range(0x2000, 0x2200),
        range(0x1F600, 0x1F640),
    )
    names = ["".join(map(chr, part[start : start + 16])) for part in planes for start in range(0, len(part), 16)]
    compiled(tmp_path, PREAMBLE + "\n\n" + "\n\n".join(escaped(f"{name} [{name}]") for name in [*names, *HOSTILE]))
