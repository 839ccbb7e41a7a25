"""The section of a model card: its metadata are what the hub reads, and it claims nothing that was not tested."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import polars as pl
import pytest
import yaml

import evenhand
from evenhand.audit.design import MarginChange
from evenhand.report.card import card
from evenhand.report.card_metadata import model_index
from evenhand.report.headline import headline
from evenhand.report.untested import untested_lines

DOCS = Path(__file__).parents[2] / "docs" / "report.md"


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_metadata_are_those_that_huggingface_hub_makes_of_the_same_values(simulate):
    hub = pytest.importorskip("huggingface_hub.repocard_data", reason="needs the train extra")
    results = simulate(methods=("full", "lora", "head"), settings=("faces", "posts"))
    entries = front_matter(card(results))["model-index"]
    assert entries == model_index(results)
    assert [entry["name"] for entry in entries[:2]] == ["full (faces)", "lora (faces)"]
    for entry in entries:
        name, values = hub.model_index_to_eval_results([entry])
        assert hub.eval_results_to_model_index(name, values) == [entry]


def test_the_hub_reads_the_card_and_the_docs_add_it_to_another(small, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="needs the train extra")
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("---\nlicense: mit\n---\n\n# My model\n", encoding="utf-8")
    Path("card.md").write_text(card(small), encoding="utf-8")
    (block,) = re.findall(r"```python\n(from huggingface_hub.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    exec(block, {})
    again = hub.ModelCard.load("README.md")
    values = hub.ModelCard(card(small)).data.eval_results
    assert again.data.license == "mit" and len(again.data.eval_results) == len(values) > 8
    assert "# My model" in again.text and "## Fairness audit" in again.text


def test_every_value_is_that_of_the_estimates(small):
    (entry,) = (entry for entry in model_index(small) if entry["name"] == "lora")
    (result,) = entry["results"]
    assert result["dataset"]["split"] == "test" and len(result["metrics"]) > 4
    for metric in result["metrics"]:
        about = {"attribute": None, "group": None} | metric["args"]
        places = [pl.col(key).eq_missing(pl.lit(about[key], pl.String)) for key in ("attribute", "group")]
        (row,) = small.estimates.filter(
            pl.col("seed").is_null(), pl.col("comparison").is_null(), *places, measure=metric["type"], method="lora"
        ).iter_rows(named=True)
        assert (metric["value"], about["low"], about["high"]) == pytest.approx(
            (row["value"], row["low"], row["high"]), abs=1e-4
        )


def test_it_says_what_was_found_in_the_words_of_the_headline(small):
    text = card(small).replace("\\", "")
    assert all(line in text for line in headline(small))
    assert "lora against full" in text and "circle (106)" in text and "5 seeds" in text


def test_it_never_calls_a_model_fair(small, simulate):
    for results in (small, simulate(references=()), simulate(groups=()), simulate(seeds=1)):
        claims = re.findall(r"[^.]*\bfair\b[^.]*\.", card(results))
        assert [claim.strip() for claim in claims] and all("not show that a model is fair" in claim for claim in claims)


def test_margins_are_said_and_that_they_were_changed(small):
    assert "declared harmless: default 0.05." in card(small) and "Margins were changed" not in card(small)
    history = (MarginChange(date="2026-11-01", margins={"default": 0.1}), *small.design.margin_history)
    changed = dataclasses.replace(small, design=small.design.model_copy(update={"margin_history": history}))
    assert "Margins were changed after they were first declared (first 2026-11-01, last 2026-11-20)." in card(changed)


def test_what_was_not_tested_follows_from_the_records(small, simulate):
    said = " ".join(untested_lines(small))
    assert "attributes other than shape" in said and "membership" in said and "synthetic/faces" in said
    assert "Calibration" not in said
    assert "no probabilities were given" in " ".join(untested_lines(simulate(logits=False)))
    assert "nothing is known about any group" in " ".join(untested_lines(simulate(groups=())))
    assert "these models only" in " ".join(untested_lines(simulate(seeds=1)))
    two = simulate(groups=(("shape", ("circle", "square")), ("colour", ("red", "blue"))))
    assert "Combinations of groups were not tested" in " ".join(untested_lines(two))


def test_an_attribute_whose_groups_cannot_be_compared_is_named(small):
    examples = small.examples.with_columns(pl.lit([], dtype=pl.List(pl.String)).alias("attribute.age"))
    said = untested_lines(dataclasses.replace(small, examples=examples))
    assert "age: given, but without groups that could be compared." in said


def test_names_cannot_bring_markup_or_keys(simulate):
    name = "x: [y]\n---\n<script> *b*"
    text = card(simulate(methods=("full", name), groups=(("shape", ("`x`", "y\nz")),)))
    assert "<script>" not in text.partition("## Fairness audit")[2]
    assert text.count("\n---\n") == 1
    assert set(front_matter(text)) == {"tags", "model-index"}


def test_an_audit_of_one_model_has_a_card_too(tmp_path):
    frame = pl.DataFrame({"y": [1, 0, 1, 1, 0, 0] * 80, "p": [1, 0, 1, 0, 0, 1] * 80, "sex": ["f", "m", "f"] * 160})
    results = evenhand.audit(frame, label="y", prediction="p", groups="sex", source="people.csv")
    results.report(tmp_path / "card.md", format="card")
    text = (tmp_path / "card.md").read_text("utf-8")
    assert "`evenhand audit`" in text and "people.csv" in text and "this model only" in text
    assert "No margin was declared" in text
    with pytest.raises(evenhand.InputError, match='there is no format "cards" of reports; there are: html, md'):
        results.report(tmp_path / "card.md", format="cards")
    results.report(tmp_path / "report.tex")
    assert r"\begin{tabular}" in (tmp_path / "report.tex").read_text("utf-8")


def test_the_smallest_harm_that_is_detected_is_said_with_its_unit_and_power(small):
    text = card(small)
    reach = r"accuracy that is detected with 80% power is ([\d.]+) to ([\d.]+) \(each group\)"
    (groups,) = re.findall(f"- faces, lora against full: the smallest contrast in {reach}", text)
    known = small.verdicts.filter(measure="accuracy", comparison="change").drop_nulls(["group", "detectable"])
    ends = known["detectable"].min(), known["detectable"].max()
    assert [float(end) for end in groups] == pytest.approx(list(ends), abs=6e-4)
