"""One pass gives what the three tables give each by itself."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand.audit.design import Design
from evenhand.audit.kinds.predictions import curves, estimates
from evenhand.audit.tables import audited
from evenhand.audit.verdicts import verdicts
from evenhand.errors import InputError
from small_records import design, study


@pytest.mark.parametrize("paired", ["example", "none"])
def test_one_pass_gives_the_three_tables(paired):
    records, asked = study(n=200), design(margins={"default": 0.05}, paired=paired)
    found = audited(*records, asked)
    assert min(map(len, found)) > 0
    assert found[0].equals(estimates(*records, asked))
    assert found[1].equals(verdicts(*records, asked))
    of_predictions = found[2].filter(pl.col("measure").is_in(("reliability", "confidence")))
    assert of_predictions.equals(curves(*records, asked))


def test_runs_with_samples_of_their_own_give_the_same():
    examples, trials, predictions = study(n=200)
    some = predictions.filter((pl.col("example") != "e7") | pl.col("trial").str.ends_with("1"))
    together = audited(examples, trials, some, design())
    assert together[0].equals(estimates(examples, trials, some, design()))
    assert together[1].equals(verdicts(examples, trials, some, design()))


def test_nothing_to_audit_is_three_empty_tables():
    records = [table.clear() for table in study(n=20)]
    assert [len(table) for table in audited(*records, Design(settings={}))] == [0, 0, 0]


def test_a_margin_of_no_measure_is_refused_before_anything_is_computed():
    with pytest.raises(InputError, match="margins: no measure"):
        audited(*study(n=20), design(margins={"acuracy": 0.1}))
