"""The registry of measures: each says what it is, and an unknown one is refused."""

from __future__ import annotations

import pytest

from evenhand.audit.measures import list_measures, select
from evenhand.audit.measures.benchmarks import BENCHMARKS
from evenhand.audit.measures.membership import MEMBERSHIP
from evenhand.audit.measures.options import OPTIONS
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.audit.measures.probes import PROBES
from evenhand.audit.measures.regression import REGRESSION
from evenhand.audit.measures.stability import STABILITY
from evenhand.audit.measures.translations import TRANSLATIONS
from evenhand.errors import InputError


def test_every_measure_says_what_it_is():
    names = [name for name, summary in list_measures() if summary]
    kinds = (PREDICTIONS, STABILITY, TRANSLATIONS, OPTIONS, BENCHMARKS, PROBES, MEMBERSHIP, REGRESSION)
    assert names == [name for kind in kinds for name in kind]
    assert PREDICTIONS["accuracy"].direction == -1
    assert PREDICTIONS["equalized_odds_difference"].direction == 1
    directions = {
        name: PREDICTIONS[f"{name}_rate"].direction for name in ("selection", "true_positive", "false_positive")
    }
    assert directions == {"selection": 0, "true_positive": -1, "false_positive": 1}


def test_an_unknown_measure_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match='"acuracy"; did you mean "accuracy"'):
        select(["acuracy"], "predictions")
    by_default = [name for name, measure in PREDICTIONS.items() if not measure.on_request]  # and none of stability
    assert [measure.name for measure in select([], "predictions")] == by_default
    assert [measure.name for measure in select(["all"], "predictions")] == [*PREDICTIONS, *STABILITY]
