"""What holds across settings, as the report says it."""

from __future__ import annotations

import re

import polars as pl
import pytest

from evenhand.audit.across_settings import ALIKE, DIFFER
from evenhand.errors import InputError
from evenhand.report import forest_plot, page, terminal
from evenhand.report.charts import across_chart
from evenhand.report.detail_sentences import verdict_lines
from evenhand.report.markdown import markdown
from evenhand.report.verdict_tables import across_tables, verdict_tables
from evenhand.report.wording import BETWEEN

SETTINGS = ("faces", "posts", "news")


@pytest.fixture(scope="module")
def several(simulate):
    return simulate(settings=SETTINGS)


def rows_of(chart) -> list[dict]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_the_headline_begins_with_what_holds_across_settings(several, small):
    first, *others = verdict_lines(several.verdicts, several.design)
    assert first.startswith("Across settings, lora against full: worse in ")
    assert re.search(r"; settings differ by more than their noise in \d+ of them\.$", first)
    assert [line.partition(":")[0] for line in others] == list(SETTINGS)
    assert not any("cross settings" in line for line in verdict_lines(small.verdicts, small.design))


def test_the_headline_says_in_how_many_comparisons_settings_differ(several):
    alike = several.verdicts.with_columns(note=pl.lit(f"3 settings, I² 0%, p of Q .900: {ALIKE}"))
    assert verdict_lines(alike, several.design)[0].endswith("; no sign that settings differ.")
    mean = (pl.col("measure") == "accuracy") & (pl.col("group") == "circle") & (pl.col("comparison") == "change")
    note = pl.when(mean).then(pl.lit(f"3 settings, I² 90%, p of Q .001: {DIFFER}")).otherwise("note")
    found = alike.with_columns(note=note)
    assert verdict_lines(found, several.design)[0].endswith(f"; {DIFFER} in 1 of them.")
    (table,) = across_tables(found, several.design)
    (circle,) = (row for row in table.parts[0].rows if row.who == "shape = circle")
    assert circle.differ == "I² 90%, p .001: they differ"


def test_means_over_settings_have_a_table_of_their_own(several):
    (table,) = across_tables(several.verdicts, several.design)
    assert table.setting is None
    own = verdict_tables(several.verdicts, several.design)
    assert [one.setting for one in own] == list(SETTINGS)
    # What sums up the gap changes of groups is said of each setting only.
    assert table.length == own[0].length - len(several.verdicts.filter(BETWEEN, setting=next(iter(SETTINGS))))
    everyone = table.parts[0].rows[0]
    assert everyone.who == "everyone" and everyone.runs == "3"
    assert everyone.prediction.startswith("[") and everyone.differ.startswith("I² ")
    assert not any("I²" in note for note in table.notes)


def test_page_and_markdown_have_a_section_across_settings_where_there_are_several(several, small):
    for text, there in ((page.html(several), True), (page.html(small), False)):
        assert ('<section id="across">' in text) is there
        assert ('href="#across"' in text) is there
    assert "## Across settings: lora against full (test)" in markdown(several)
    assert "a new setting" in markdown(several) and "a new setting" not in markdown(small)


def test_notes_of_both_kinds_of_tables_lead_somewhere(several):
    text = page.html(several)
    linked = set(re.findall(r'<a href="#([pn]\d+-\d+)">', text))
    assert any(link.startswith("p1-") for link in linked) and any(link.startswith("n1-") for link in linked)
    assert all(f'id="{link}"' in text for link in linked)


def test_the_terminal_shows_them_first_and_names_no_setting_none(several):
    text = terminal.text(several)
    assert "None" not in text
    assert text.index("across settings, test") < text.index("posts, test")


def test_the_forest_has_every_setting_and_their_mean_for_everyone_and_the_worst_group(several):
    chart = across_chart(several.verdicts, several.design, measures=["accuracy"])
    rows = rows_of(chart)
    panels = {row["p"]: [other["y"] for other in rows if other["p"] == row["p"]] for row in rows}
    assert list(panels) == ["everyone", "shape = circle (worst on average)"]
    assert all(names == [*SETTINGS, "across settings\u00a0"] for names in panels.values())
    means = [row for row in rows if "t" in row]
    assert len(means) == len(panels) and all(row["pl"] <= row["l"] <= row["h"] <= row["ph"] for row in means)


def test_a_setting_without_the_contrast_is_drawn_as_undefined(several):
    left = several.verdicts.filter(~((pl.col("setting") == "news") & pl.col("group").is_not_null()).fill_null(False))
    rows = rows_of(across_chart(left, several.design, measures=["accuracy"]))
    (news,) = (row for row in rows if row["y"] == "news" and row["p"].startswith("shape = "))
    assert news["c"] is None and news["k"] == 0.05


def test_two_settings_have_no_interval_of_a_new_one(simulate):
    two = simulate(settings=("faces", "posts"))
    chart = across_chart(two.verdicts, two.design)
    assert not any("pl" in row for row in rows_of(chart))
    assert "new setting" not in str(chart.to_dict()["vconcat"][0]["title"])


def test_nothing_across_settings_is_refused_in_a_sentence(small):
    with pytest.raises(InputError, match="no contrast was pooled"):
        across_chart(small.verdicts, small.design)
    assert forest_plot.across_blocks(small.verdicts, small.design) == []


def test_blocks_have_a_figure_per_measure(several):
    (block,) = forest_plot.across_blocks(several.verdicts, several.design)
    assert block.heading == "lora against full"
    assert len(block.figures) == 5
    assert block.figures[0].description.startswith("accuracy: lora against full in each setting, and the mean")
