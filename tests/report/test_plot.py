"""Charts of results by their kind, as notebooks ask for them."""

from __future__ import annotations

import base64

import pytest

from evenhand.errors import InputError
from evenhand.report.plot import CHARTS, plot

DRAWN = ("verdicts", "accuracy", "disparities", "plane", "reliability", "sizes")
"""The kinds that an audit of predictions without further records has."""


@pytest.mark.parametrize("kind", DRAWN)
def test_a_chart_of_each_kind_is_one_that_altair_accepts(small, kind):
    altair = pytest.importorskip("altair")
    chart = plot(small, kind)
    assert altair.Chart.from_dict(chart.to_dict(), validate=True).to_dict()["config"]


def test_which_part_is_drawn_can_be_chosen(simulate):
    results = simulate(settings=("faces", "posts"), groups=(("shape", ("a", "b")), ("colour", ("red", "blue"))))
    chart = plot(results, "accuracy", setting="posts", attribute="colour")
    assert chart.to_dict()["title"]["text"] == "Accuracy by colour"
    assert plot(results, "across").to_dict()["description"].endswith("in each setting, and the mean")


def test_an_unknown_kind_is_refused_with_the_list(small):
    with pytest.raises(InputError, match="there are: verdicts, across, accuracy"):
        plot(small, "verdict")


def test_an_unknown_keyword_is_refused_with_the_nearest(small):
    with pytest.raises(InputError, match='no keyword atribute; did you mean "attribute"'):
        plot(small, "verdicts", atribute="shape")


@pytest.mark.parametrize("kind", sorted(set(CHARTS) - set(DRAWN)))
def test_results_without_such_records_say_so(small, kind):
    with pytest.raises(InputError, match=r"there is nothing|there is no|there are no"):
        plot(small, kind)


def test_a_notebook_gets_the_chart_and_a_picture_for_where_it_cannot_be_drawn(small):
    chart = plot(small, "accuracy")
    bundle = chart._repr_mimebundle_()
    assert bundle["application/vnd.vegalite.v5+json"] == chart.to_dict()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "<Chart: Accuracy by shape and method, faces, test>"


@pytest.mark.slow
def test_a_notebook_shows_a_chart_that_is_the_value_of_a_cell():
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cell = """
import polars as pl, evenhand
frame = pl.DataFrame({"label": [1, 0] * 40, "guess": [1, 1, 0, 0] * 20, "group": ["a", "b"] * 40})
evenhand.audit(frame, label="label", prediction="guess", groups="group").plot("accuracy")
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    client.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (shown,) = notebook.cells[0].outputs
    assert shown["output_type"] == "execute_result"
    assert shown["data"]["application/vnd.vegalite.v5+json"]["title"]["text"] == "Accuracy by group"
    assert "image/png" in shown["data"]
