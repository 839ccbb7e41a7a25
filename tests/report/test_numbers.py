"""How reports show numbers: charts of values, errors and the calibration of the mean, and sentences with factors."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.audit.design import DeclaredMeasure, Design
from evenhand.audit.measures import declaring
from evenhand.errors import InputError
from evenhand.report import amounts
from evenhand.report.numbers import number_blocks, regression_blocks

N = 300


@pytest.fixture(scope="module")
def results() -> evenhand.Results:
    rng = np.random.default_rng(0)
    label = rng.normal(50, 10, N)
    frame = pl.DataFrame(
        {
            "price": label,
            "guess": label + rng.normal(1, 3, N),
            "latency": rng.lognormal(size=N),
            "grade": rng.integers(1, 6, N),
            "sex": rng.choice(["f", "m"], N),
            "race": rng.choice(["a", "b"], N),
        }
    )
    return evenhand.audit(
        frame,
        label="price",
        prediction="guess",
        task="regression",
        value=["latency", "grade"],
        scale={"latency": "log"},
        range={"grade": (1, 5)},
        more_is="worse",
        groups=["sex", "race"],
    )


def test_each_attribute_has_a_chart_of_every_column_of_values(results):
    with declaring(results.design):
        blocks = number_blocks("values")(results)
        assert [(block.attribute, [figure.measure for figure in block.figures]) for block in blocks] == [
            ("sex", ["latency", "grade"]),
            ("race", ["latency", "grade"]),
        ]
        assert blocks[0].figures[0].description == "Log latency with 95% intervals, table, sex."


def test_the_calibration_of_the_mean_stands_beside_the_errors_of_its_groups(results):
    with declaring(results.design):
        blocks = {block.attribute: [figure.stem for figure in block.figures] for block in regression_blocks(results)}
    assert blocks[None] == ["mean-calibration"]
    assert blocks["sex"][-1] == "mean-calibration-sex"
    assert "regression-mean_absolute_error-sex" in blocks["sex"]


def test_charts_of_numbers_are_drawn_by_name(results):
    assert results.plot("values").to_dict()["title"]["text"] == "log latency by sex"
    shown = results.plot("values", measure="mean_error", attribute="race").to_dict()
    assert shown["title"]["text"] == "mean error by race"
    assert results.plot("mean_calibration").to_dict()["facet"]["sort"] == ["everyone"]
    with pytest.raises(InputError, match="there are no accuracy"):
        results.plot("values", measure="accuracy")


def test_the_report_has_sections_of_values_and_errors(results, tmp_path):
    results.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert 'id="values"' in page and 'id="regression"' in page
    results.report(tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert "## Log latency (table, test), with 95% intervals" in text
    assert "## Mean absolute error (table, test), with 95% intervals" in text


LATENCY = DeclaredMeasure(name="latency", kind="values", more_is="worse", scale="log")
ROW = {"measure": "latency", "contrast": 0.2, "low": 0.1, "high": 0.3}


def test_differences_of_logarithms_are_said_as_factors():
    with declaring(Design(settings={}, declared=(LATENCY,))):
        assert amounts.difference(ROW, 90) == "a factor of 1.22 (90% interval 1.11 to 1.35)"
        assert amounts.bound("latency", 0.2) == "a factor of 1.23"
        assert amounts.reach("latency", [0.1, 0.5]) == "a factor of 1.11 to 1.65, depending on the group,"


def test_a_value_is_named_once_in_a_sentence():
    toxicity = DeclaredMeasure(name="latency", kind="values", more_is="worse", digits=2)
    with declaring(Design(settings={}, declared=(toxicity,))):
        assert amounts.difference(ROW, 90) == "0.20 (90% interval 0.10 to 0.30)"
