"""The report in Markdown."""

from __future__ import annotations

from evenhand.report.markdown import escaped, markdown


def test_every_contrast_is_a_row_with_nine_cells(small):
    table = markdown(small).partition("## lora against full")[2].split("## ")[0].splitlines()
    rows = [line for line in table if line.startswith("| ") and "---" not in line]
    assert len(rows) == len(small.verdicts) + 1
    assert {row.replace("\\|", "").count("|") for row in rows} == {10}


def test_it_starts_with_the_headline_and_holds_accuracy_and_margins(small):
    text = markdown(small)
    assert text.startswith("# simulated\n\n- lora is less accurate than full for shape = circle, by ")
    grid, details = text.partition("## Details")[0], text.partition("## Details")[2]
    assert "| method | accuracy | parity | error rates | calibration |" in grid
    assert "| lora against full | ▶ worse in " in grid
    assert (
        details.startswith("\n\n- Where harm could have been missed, ") and "- lora against full: worse in" in details
    )
    assert "Accuracy (faces, test)" in text
    assert "- 2026-11-20: default 0.05" in text


def test_names_cannot_bring_markup_or_cells(simulate):
    text = markdown(simulate(methods=("full", "a|b *c* <b>"), groups=(("shape", ("`x`", "y\nz")),)))
    assert "<b>" not in text
    assert "a\\|b \\*c\\* &lt;b&gt;" in text
    assert "shape = y\\\\nz" in text
    assert escaped("[a](b)") == "\\[a\\](b)"


def test_failed_trials_are_listed(simulate):
    assert "| faces | lora | 0 | the loss at step 12 is not a number |" in markdown(simulate(failed=1))


def test_it_has_the_tables_of_the_page(small):
    text = markdown(small)
    for title in ("Changes from a reference to a method: faces, test", "Selection rate (faces, test)", "Training"):
        assert f"\n## {title}" in text
    assert "\n## Smallest contrast that is detected with 80% power" in text
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(set(titles)) == len(titles)


def test_rows_of_every_table_have_the_cells_of_its_head(simulate):
    text = markdown(simulate(methods=("full", "lora", "head"), settings=("faces", "posts")))
    for table in text.split("\n\n"):
        lines = [line.replace("\\|", "") for line in table.strip().splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1
