"""Charts and figures of probes: a line per method over the layers, baselines with them, and what is judged."""

from __future__ import annotations

import pytest

from evenhand import records
from evenhand.audit.figure_design import Figure, Panel
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.report import page
from evenhand.report.detail_sentences import verdict_lines
from evenhand.report.figures import write
from evenhand.report.markdown import markdown
from evenhand.report.paper import draw
from evenhand.report.probes import BARE, FEW, probed_for, probes_chart
from probe_records import tables

RATES = {"base": 0.6, "more": 0.9, "same": 0.6}


@pytest.fixture(scope="module")
def results() -> Results:
    examples, trials, probes, design = tables(
        RATES, targets=("author", "age"), more={"author": "worse", "age": "neither"}
    )
    panels = (Panel(setting="main", measures=("probe_accuracy", "selectivity")),)
    design = design.model_copy(update={"figure": (Figure(name="probes", kind="probes", panels=panels, columns=2),)})
    return Results.compute(examples, trials, records.TABLES["predictions"].empty(), design, probes=probes)


def drawn(chart) -> dict[str, list[dict]]:
    return chart.to_dict()["datasets"]


def test_a_chart_has_every_method_in_every_layer_with_both_baselines(results):
    assert probed_for(results.estimates) == ["author", "age"]
    chart = probes_chart(results.estimates, results.design, target="age")
    titles = [part["title"]["text"] for part in chart.to_dict()["hconcat"]]
    assert titles == ["Probe accuracy", "On control tasks", "Selectivity"]
    for rows in drawn(chart).values():
        assert {(row["m"], row["x"]) for row in rows} == {
            (method, layer) for method in (*RATES, "untrained") for layer in range(3)
        }
        assert all(row["l"] <= row["c"] <= row["h"] for row in rows)
        assert len({row["d"] for row in rows}) == 12  # beside each other
    assert BARE in str(chart.to_dict()["hconcat"][0])


@pytest.mark.slow
def test_many_layers_have_bands(results):
    few = probes_chart(results.estimates, results.design)
    examples, trials, probes, design = tables(RATES, layers=FEW + 1, n=20)
    made = Results.compute(examples, trials, records.TABLES["predictions"].empty(), design, probes=probes)
    many = probes_chart(made.estimates, design)
    marks = {name: {layer["mark"]["type"] for layer in chart.to_dict()["hconcat"][0]["layer"]} for name, chart in
             (("few", few), ("many", many))}  # fmt: skip
    assert "area" in marks["many"] and "area" not in marks["few"] and "rule" in marks["few"]


def test_nothing_is_drawn_where_nothing_was_probed(results):
    with pytest.raises(InputError, match="no representations were probed"):
        probes_chart(results.estimates.clear(), results.design)
    with pytest.raises(InputError, match="height was not probed for in main"):
        probes_chart(results.estimates, results.design, target="height")
    empty = Results.compute(results.examples, results.trials, results.predictions, results.design)
    assert "nothing was probed" in str(draw(empty, empty.design.figure[0]).to_dict())


def test_a_figure_says_what_was_found_at_the_layers_that_are_judged(results):
    spec = draw(results, results.design.figure[0]).to_dict()
    assert "worse in 1 of 2 comparisons, equivalent in 1" in " ".join(spec["title"]["text"])
    assert "layer 2: more worse, same equivalent" in str(spec)
    assert str(spec).count("main: author") == 2 and str(spec).count("main: age") == 2


def test_the_page_and_the_headline_name_target_and_layer_and_judge_no_baseline(results):
    said = " ".join(verdict_lines(results.verdicts, results.design))
    assert "author, layer 2" in said and "untrained" not in said
    html, text = page.html(results), markdown(results)
    for written in (html, text):
        assert "author, embeddings" in written and "more against untrained" in written
    assert '<section id="probes">' in html


@pytest.mark.slow
def test_pictures_are_written_per_target(results, tmp_path):
    names = {path.name for path in write(results, tmp_path)}
    assert {"probes.png", "probes-author.png", "probes-age.png"} <= names
