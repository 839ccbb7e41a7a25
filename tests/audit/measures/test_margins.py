"""Claims about margins: which are refused, and which are said to be wide."""

from __future__ import annotations

import math

import polars as pl
import pytest

import evenhand as eh
from evenhand.audit.measures import check_margins, wide_margins
from evenhand.errors import InputError
from evenhand.report.headline import headline


@pytest.mark.parametrize(
    "margins", [{"default": 2}, {"default": 1}, {"accuracy": 1.0}, {"bleu": 100}, {"calibration_error_squared": 1}]
)
def test_a_margin_that_no_contrast_exceeds_is_refused(margins):
    with pytest.raises(InputError, match="no contrast can be larger than"):
        check_margins(margins)


@pytest.mark.parametrize("margin", [0, -0.1, math.nan, math.inf])
def test_a_margin_is_a_finite_number_above_0(margin):
    with pytest.raises(InputError, match="above 0 and finite"):
        check_margins({"accuracy": margin})


WIDE = {"default": 0.26, "bleu": 26, "calibration_error_squared": 0.26}


def test_more_than_a_quarter_of_the_range_is_said_first():
    assert wide_margins({"default": 0.25, "accuracy": 0.1, "bleu": 25, "calibration_error_squared": 0.25}) == []
    assert [sentence.split(",")[0] for sentence in wide_margins(WIDE)] == [
        "The margin of default",
        "The margin of bleu",
        "The margin of calibration_error_squared",
    ]
    frame = pl.DataFrame(
        {"y": [0, 1] * 20, "yhat": [0, 1, 1, 0] * 10, "g": list("aabb") * 10, "m": ["a"] * 20 + ["b"] * 20}
    )
    options = {"label": "y", "prediction": "yhat", "groups": "g", "method": "m", "reference": "a"}
    results = eh.audit(frame, **options, measures=["accuracy"], margins={"default": 0.3})
    assert headline(results)[0].startswith("The margin of default, 0.3, is more than a quarter")
    with pytest.raises(InputError, match="default is 2"):
        eh.audit(frame, **options, margins={"default": 2})
