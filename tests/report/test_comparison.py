"""Claims about the comparison of folders: rows are aligned, nothing is invented, differences are those of an audit."""

from __future__ import annotations

import base64
import doctest
import json
import re
import shutil
from dataclasses import replace
from html import unescape
from importlib import import_module

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import evenhand as eh
from evenhand import InputError
from evenhand.audit.results_folder import DESIGN
from evenhand.report.comparison.comparison import HOW_TO_TEST, NO_TEST, compare_folders, transition
from evenhand.report.comparison.folders import THE_MODEL, align_folders
from evenhand.report.comparison.page import html
from evenhand.report.comparison.pictures import pictures
from evenhand.report.comparison.rows import VERDICT_KEY, judged_in_several, shared, verdicts_side_by_side
from evenhand.report.comparison.text import text
from evenhand.report.verdict_chart import drawn
from evenhand.report.wording import claims

COLUMNS = {"label": "y", "prediction": "guess", "groups": ["sex"], "example": "id"}
TWO = {**COLUMNS, "method": "method", "seed": "seed", "reference": "full", "margins": {"default": 0.05}}
ATTACK = "<script>alert(1)</script>\x1b[31m"


def people(n=400, start=0):
    rng = np.random.default_rng(3)
    sex, label = rng.choice(["female", "male"], n), rng.integers(0, 2, n)
    return pl.DataFrame({"id": np.arange(start, start + n), "sex": sex, "y": label})


def guessed(frame, right, seed=0, methods=("full", "lora"), seeds=3, harm=0.0):
    """Predictions of each method and seed; the last method is wrong more often for women by `harm`."""
    rng = np.random.default_rng(seed)
    parts = []
    for method in methods:
        for run in range(seeds):
            chance = np.full(len(frame), right)
            if method == methods[-1]:
                chance -= harm * (frame["sex"] == "female").to_numpy()
            guess = np.where(rng.random(len(frame)) < chance, frame["y"], 1 - frame["y"])
            names = {"method": pl.lit(method), "seed": pl.lit(run)}
            parts.append(frame.with_columns(guess=pl.Series(guess)).with_columns(**names))
    return pl.concat(parts)


@pytest.fixture(scope="module")
def may():
    return eh.audit(guessed(people(), 0.85), **TWO, source="may.csv")


@pytest.fixture(scope="module")
def june():
    """The same people; lora is wrong far more often for women."""
    return eh.audit(guessed(people(), 0.85, seed=1, harm=0.4), **TWO, source="june.csv")


@pytest.fixture(scope="module")
def compared(may, june):
    return compare_folders(["may", "june"], [may, june])


def test_each_cell_is_the_row_of_its_own_folder(compared, may, june):
    for index, results in enumerate((may, june)):
        rows = {tuple(row[name] for name in VERDICT_KEY): row for row in results.verdicts.iter_rows(named=True)}
        assert len(rows) == len(results.verdicts) == len(compared.verdicts)
        for row in compared.verdicts:
            key = {**row.key, "group": row.cells[index].get("group", row.key["group"])}
            own = rows[tuple(key[name] for name in VERDICT_KEY)]
            assert {name: own[name] for name in row.cells[index]} == row.cells[index]


def test_a_gap_against_one_group_here_and_the_other_there_is_one_row():
    """Of two groups that make up everyone, an audit has the one whose gap is against it."""
    people_ = people()
    worse = {sex: np.where(people_["sex"] == sex, 0.6, 0.95) for sex in ("female", "male")}
    results = []
    for sex in ("female", "male"):
        right = np.random.default_rng(1).random(len(people_)) < worse[sex]
        frame = people_.with_columns(guess=pl.Series(np.where(right, people_["y"], 1 - people_["y"])))
        results.append(eh.audit(frame, **COLUMNS))
    compared = compare_folders(["a", "b"], results)
    (row,) = [row for row in compared.verdicts if row.key["measure"] == "accuracy"]
    assert row.key["group"] == "female or male" and not compared.unmatched
    assert [row.cells[index]["group"] for index in (0, 1)] == ["female", "male"]
    assert transition(row, 2) == "worse (female) → worse (male)" and row in compared.changed
    assert "female: +0." in html(compared) and "male: +0." in text(compared)


def test_a_verdict_that_changed_is_said_with_both_words(compared):
    (row,) = [
        row
        for row in compared.changed
        if row.key["measure"] == "accuracy" and row.key["group"] == "female" and row.key["comparison"] == "change"
    ]
    assert transition(row, 2).endswith("→ worse") and row.cells[0]["verdict"] != "worse"
    said = " ".join(compared.headline())
    judged = len(judged_in_several(compared.verdicts))
    assert f"{len(compared.changed)} of {judged} verdicts that folders share differ (may → june: " in said
    assert NO_TEST in said


def test_a_tested_difference_is_that_of_the_audit_of_both_as_two_methods(compared):
    """The oracle: predictions of one method in one table, whose method is the folder."""
    before, after = (
        frame.filter(method="lora").with_columns(method=pl.lit(name))
        for name, frame in (("may", guessed(people(), 0.85)), ("june", guessed(people(), 0.85, seed=1, harm=0.4)))
    )
    direct = eh.audit(pl.concat([before, after]), **{**TWO, "reference": "may"})
    (pair,) = [pair for pair in compared.pairs if pair.method == "lora"]
    assert (pair.label, pair.reference, pair.seeds, pair.examples) == ("june", "may", (0, 1, 2), 400)
    order = ["comparison", "measure", "group"]
    columns = [*order, "contrast", "low", "high", "margin", "verdict", "runs", "detectable"]
    ours, theirs = (frame.select(columns).sort(order) for frame in (pair.verdicts, direct.verdicts))
    assert len(ours) > 20
    assert_frame_equal(ours, theirs, rel_tol=1e-9)
    assert "lora of june against that of may, tested on the same 400 examples (3 seeds): worse in" in text(compared)


def test_without_the_same_examples_no_difference_is_tested(may):
    others = eh.audit(guessed(people(start=1000), 0.85, seed=1), **TWO)
    compared = compare_folders(["may", "others"], [may, others])
    assert compared.pairs == [] and all("no example id in common" in reason for reason in compared.not_paired)
    assert f"{NO_TEST} {HOW_TO_TEST}" in compared.headline()
    (reason,) = compared.not_paired
    assert "full" in reason and "lora" in reason
    assert len(shared(compared.verdicts)) == len(may.verdicts), "what both say stands side by side all the same"
    assert compared.to_json()["differences"] == []


def test_ids_that_stand_for_other_examples_are_not_paired(may):
    other = people().with_columns(y=1 - pl.col("y"))
    compared = compare_folders(["may", "other"], [may, eh.audit(guessed(other, 0.85), **TWO)])
    assert compared.pairs == []
    assert all("the same id stands for another label in 400 of 400 examples" in each for each in compared.not_paired)
    moved = people().with_columns(sex=pl.when(pl.col("id") < 5).then(pl.lit("male")).otherwise("sex"))
    compared = compare_folders(["may", "moved"], [may, eh.audit(guessed(moved, 0.85), **TWO)])
    assert compared.pairs == [] and "stands for another sex in" in compared.not_paired[0]


def test_only_seeds_with_the_same_test_examples_are_paired(may):
    frame = guessed(people(), 0.8, seed=5).filter((pl.col("seed") < 2) | (pl.col("id") < 200))
    compared = compare_folders(["may", "part"], [may, eh.audit(frame, **TWO)])
    assert [pair.seeds for pair in compared.pairs] == [(0, 1), (0, 1)]
    none = guessed(people(), 0.8, seed=5).filter(pl.col("id") < 200)
    compared = compare_folders(["may", "none"], [may, eh.audit(none, **TWO)])
    assert compared.pairs == [] and "no seed was tested on the same examples in both" in compared.not_paired[0]


def test_the_same_predictions_are_no_comparison(may):
    compared = compare_folders(["may", "copy"], [may, eh.audit(guessed(people(), 0.85), **TWO)])
    assert compared.pairs == [] and compared.changed == []
    assert all("both hold the same predictions" in reason for reason in compared.not_paired)
    judged = len(may.verdicts.drop_nulls(["verdict", "low"]))
    assert f"All {judged:,} verdicts that folders share are the same in them." in compared.headline()


def test_harms_that_a_folder_cannot_judge_are_named_first_and_not_called_the_same():
    both = guessed(people(), 0.9, seeds=1, harm=0.5)
    renamed = both.with_columns(id=pl.when(pl.col("method") == "lora").then(pl.col("id") + 1000).otherwise("id"))
    compared = compare_folders(["k1", "k2"], [eh.audit(frame, **TWO) for frame in (both, renamed)])
    worse = compared.folders[0].results.verdicts.filter(verdict="worse")
    assert compared.changed == [] and len(worse) > 0
    assert [row.cells[0]["verdict"] == "worse" for row in compared.lost].index(False) == len(worse)
    said = " ".join(compared.headline())
    assert "No comparison is judged in two folders." in said and "are the same" not in said
    assert f"not in another (k1 → k2: worse → not judged in {len(worse)}; " in said
    assert "Judged in one folder and not in another" in text(compared) and "not judged" in html(compared)


def test_folders_with_other_margins_give_no_verdict_that_needs_one(may):
    other = eh.audit(guessed(people(), 0.85, seed=2), **{**TWO, "margins": {"default": 0.2}})
    compared = compare_folders(["may", "other"], [may, other])
    assert compared.pairs and not any(pair.margins for pair in compared.pairs)
    for pair in compared.pairs:
        assert pair.verdicts["margin"].null_count() == len(pair.verdicts)
        assert not {"equivalent", "not worse"} & set(pair.verdicts["verdict"])
    said = " ".join(compared.headline())
    assert "without margins, since the folders declare different ones" in said
    assert "The folders differ in their margins: a verdict may have changed for this alone." in said
    assert compared.facts.different["margins"] == ("default 0.05", "default 0.2")


def test_models_of_different_names_are_compared_where_each_folder_has_one():
    frames = [guessed(people(), right, methods=(name,), seeds=1) for name, right in (("gpt", 0.9), ("llama", 0.7))]
    one = {**COLUMNS, "method": "method"}
    compared = compare_folders(["gpt", "llama"], [eh.audit(frame, **one) for frame in frames])
    assert {row.key["method"] for row in compared.verdicts} == {THE_MODEL} and not compared.unmatched
    (pair,) = compared.pairs
    everyone = pl.col("group").is_null() & (pl.col("comparison") == "change")
    assert pair.verdicts.filter(everyone, measure="accuracy")["verdict"].to_list() == ["worse"]
    assert pair.verdicts["scope"].unique().to_list() == ["these models"]


def test_what_one_folder_alone_has_is_counted_and_named(may):
    wider = eh.audit(guessed(people(), 0.85, methods=("full", "head", "lora")), **TWO)
    compared = compare_folders(["may", "wider"], [may, wider])
    (label, what, count), *rest = compared.unmatched
    assert (label, what, rest) == ("wider", "table, test: head against full", [])
    assert count == len(wider.verdicts.filter(method="head")) > 0
    assert f"{count} verdicts have no counterpart: {count} in wider (table, test: head against full)." in text(compared)


def test_three_folders_stand_side_by_side_and_each_is_tested_against_the_first(may, june):
    july = eh.audit(guessed(people(), 0.85, seed=9, harm=0.1), **TWO)
    compared = compare_folders(["may", "june", "july"], [may, june, july])
    assert {(pair.method, pair.label, pair.reference) for pair in compared.pairs} == {
        (method, label, "may") for method in ("full", "lora") for label in ("june", "july")
    }
    assert all(transition(row, 3).count("→") == 2 for row in compared.changed)
    assert html(compared).count('<th scope="col">july</th>') > 2


def in_settings(results, *names):
    """Results with the rows of their only setting under several names."""
    tables = {
        name: pl.concat([getattr(results, name).with_columns(setting=pl.lit(setting)) for setting in names])
        for name in ("examples", "trials", "estimates", "verdicts")
    }
    (design,) = results.design.settings.values()
    return replace(
        results, design=results.design.model_copy(update={"settings": dict.fromkeys(names, design)}), **tables
    )


def test_settings_are_counterparts_by_name_else_by_task_and_model(small):
    aligned = align_folders(["a", "b"], [in_settings(small, "faces", "posts"), in_settings(small, "faces", "texts")])
    assert aligned[1].settings == {"faces": "faces", "texts": "posts"}
    assert all(len(row.cells) == 2 for row in verdicts_side_by_side(aligned))
    single = align_folders(["a", "b"], [small, in_settings(small, "other")])
    assert single[1].settings == {"other": "faces"}
    assert all(len(row.cells) == 2 for row in verdicts_side_by_side(single))
    several = align_folders(["a", "b"], [in_settings(small, "x", "y"), in_settings(small, "z", "w")])
    assert several[1].settings == {"z": "z", "w": "w"}, "two could be meant, so none is"


def test_facts_that_differ_are_named_and_the_others_are_counted(simulate):
    first, second = simulate(), simulate(seeds=4, margins=(("default", 0.02),))
    study = {"study": "task: {name: synthetic/faces}\nmodel: tiny-vit\nmethods: {lora: {rank: 4}}\n"}
    other = {"study": study["study"].replace("4", "8"), "environment": json.dumps({"python": "3.12.1", "torch": "2"})}
    results = [replaced(first, study), replaced(second, other)]
    facts = compare_folders(["a", "b"], results, [{"trained": "2026-01-01"}, {"trained": "2026-02-01"}]).facts
    assert facts.different["trained"] == ("2026-01-01", "2026-02-01")
    assert facts.different["version: python"] == ("3.11.9", "3.12.1")
    assert facts.different["study: methods.lora.rank"] == ("4", "8")
    assert facts.different["seeds of lora"] == ("0, 1, 2, 3, 4", "0, 1, 2, 3")
    assert facts.different["margins"] == ("default 0.05", "default 0.02")
    assert facts.same > 10 and "task" not in facts.different


def replaced(results, provenance):
    return replace(results, provenance={**results.provenance, **provenance})


def cells(page):
    """The numbers and verdicts of the page's cells, in its order."""
    found = re.findall(r'<td>(?:<b class="[a-z-]+">([a-z ]+)</b> )?<span class="numbers">([^<]*)</span>', page)
    return [(verdict, unescape(numbers)) for verdict, numbers in found]


def test_numbers_of_the_page_are_those_of_the_tables(compared):
    page = html(compared)
    shown = cells(page.partition('<section id="verdicts">')[2].partition('<section id="levels">')[0])
    assert len(shown) == 2 * len(compared.verdicts)
    for (verdict, numbers), found in zip(
        shown, [row.cells[index] for row in sorted_as_shown(compared) for index in (0, 1)], strict=True
    ):
        assert verdict == found["verdict"] or (verdict, found["verdict"]) == ("no verdict", None)
        if found["contrast"] is not None:
            value = numbers.rpartition(": ")[2].split()[0].replace("−", "-")
            assert float(value) == pytest.approx(found["contrast"], abs=6e-4)


def sorted_as_shown(compared):
    """The page groups rows by measure; rows of one comparison have one table here."""
    titles = [(row.key["measure"], row.key["comparison"]) for row in compared.verdicts]
    from evenhand.report.wording import heading

    order = sorted(range(len(titles)), key=lambda index: heading(*titles[index]))
    return [compared.verdicts[index] for index in order]


def test_the_tested_differences_of_each_measure_are_drawn(compared):
    shown = [picture for picture in pictures(compared.pairs) if picture.pair == 0]
    judged = claims(compared.pairs[0].verdicts).drop_nulls(["verdict", "contrast"]).filter(pl.col("class").is_null())
    measures = set(drawn(judged)["measure"])
    assert measures and len(shown) >= len(measures)
    svg = base64.b64decode(shown[0].uri.removeprefix("data:image/svg+xml;base64,")).decode()
    assert svg.startswith("<svg") and compared.pairs[0].label in svg
    assert all(picture.about in unescape(html(compared)) for picture in shown)


def test_the_page_has_no_script_and_asks_for_nothing(compared):
    page = html(compared)
    assert "default-src 'none'" in unescape(page) and "script-src" not in page
    assert "<script" not in page and not re.search(r'(src|href)="(?!#|data:image/svg)', page) and "url(" not in page


def test_hostile_names_are_text():
    frame = guessed(people(), 0.8, methods=("full", ATTACK)).with_columns(sex=pl.col("sex") + ATTACK)
    results = [eh.audit(frame, **TWO, source=ATTACK), eh.audit(frame.filter(pl.col("seed") < 2), **TWO, source="b")]
    compared = compare_folders([ATTACK, "b"], results)
    page = html(compared)
    assert "<script" not in page and "&lt;script&gt;" in page and "\x1b" not in page and "\\x1b" in page
    assert "\x1b" not in text(compared) and "\\x1b" in text(compared)


def test_two_folders_at_least_and_their_names_differ(may):
    with pytest.raises(InputError, match="two folders or more"):
        compare_folders(["may"], [may])
    with pytest.raises(InputError, match='would both be called "may"; name them apart'):
        compare_folders(["may", "may"], [may, may])


@pytest.fixture
def folders(may, june, tmp_path):
    for name, results in (("may", may), ("june", june)):
        results.save(tmp_path / name)
    return tmp_path


def test_the_command_prints_both_and_writes_the_page_and_nothing_else(evenhand, folders):
    before = {path: path.read_bytes() for path in folders.rglob("*.*")}
    said = evenhand("compare", folders / "may", folders / "june", "--out", folders / "both.html")
    assert said.returncode == 0 and said.stderr == ""
    assert "may · june" in said.stdout and "Verdicts that differ" in said.stdout and "both.html" in said.stdout
    page = (folders / "both.html").read_text()
    assert "<title>Evenhand: may · june</title>" in page
    assert {path: path.read_bytes() for path in folders.rglob("*.*") if path.name != "both.html"} == before


def test_the_command_takes_names_and_prints_one_json_object(evenhand, folders):
    said = evenhand("compare", f"before={folders / 'may'}", f"after={folders / 'june'}", "--json")
    answer = json.loads(said.stdout)
    assert said.stdout.count("\n") == 1 and [each["label"] for each in answer["folders"]] == ["before", "after"]
    assert set(answer["verdicts"][0]["folders"]) == {"before", "after"}
    assert answer["differences"][0]["reference"] == "before" and answer["headline"]


def test_folders_of_the_same_name_are_called_by_their_paths(evenhand, folders):
    shutil.copytree(folders / "may", folders / "older" / "may")
    said = evenhand("compare", folders / "may", folders / "older" / "may")
    assert said.returncode == 0 and said.stdout.startswith(f"{folders / 'may'} · {folders / 'older' / 'may'}")
    assert evenhand("compare", folders / "may", folders / "may").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["may"], "two folders or more"),
        (["may", "nothing"], "there is no folder"),
        (["may", "june", "--out", "both.txt"], "should be the name of an HTML file"),
        (["may", "=june"], "should be a folder, or NAME=DIR"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(evenhand, folders, monkeypatch, arguments, sentence):
    monkeypatch.chdir(folders)
    said = evenhand("compare", *arguments)
    assert said.returncode == 2 and said.stderr.count("\n") == 1 and sentence in said.stderr
    assert not list(folders.glob("both.*"))


def test_a_folder_without_its_predictions_is_compared_and_not_tested(evenhand, folders):
    (folders / "june" / "predictions.parquet").unlink()
    said = evenhand("compare", folders / "may", folders / "june", "--json")
    answer = json.loads(said.stdout)
    assert answer["verdicts"] and answer["differences"] == [] and "predictions.parquet" in answer["not_tested"][0]


def test_folders_of_an_older_audit_are_audited_again_in_memory(evenhand, folders):
    design = folders / "may" / DESIGN
    kept = json.loads(design.read_text())
    design.write_text(json.dumps({**kept, "audit": kept["audit"] - 1}))
    said = evenhand("compare", folders / "may", folders / "june")
    assert said.returncode == 0 and "an older version audited" in said.stderr
    assert json.loads(design.read_text())["audit"] == kept["audit"] - 1


@pytest.mark.parametrize("module", ["report.comparison.comparison", "report.comparison.paired"])
def test_examples_of_docstrings_give_what_they_say(module):
    result = doctest.testmod(import_module(f"evenhand.{module}"))
    assert result.attempted and not result.failed
