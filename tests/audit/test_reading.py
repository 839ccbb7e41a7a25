"""One pass from readings to the tables: their schemas, samples that differ between runs, nothing to audit."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import Design
from evenhand.audit.results import Results
from evenhand.errors import InputError
from small_records import assessed, design, estimates, study, verdicts

NAMES = ("estimates", "verdicts", "curves")


@pytest.mark.parametrize("paired", ["example", "none"])
def test_one_pass_gives_the_three_tables(paired):
    found = assessed(*study(n=200), design(margins={"default": 0.05}, paired=paired))
    for name in NAMES:
        table = getattr(found, name)
        assert len(table)
        assert records.validate(table, name).equals(table)


def test_results_hold_the_tables_of_the_pass():
    tables, asked = study(n=200, seeds=3), design(margins={"default": 0.05})
    found, results = assessed(*tables, asked), Results.compute(*tables, asked)
    for name in NAMES:
        assert getattr(results, name).equals(getattr(found, name))


@pytest.mark.parametrize("apart", [False, True], ids=["one sample", "runs with samples of their own"])
def test_verdicts_do_not_rest_on_estimates_nor_estimates_on_what_is_compared(apart):
    """The smallest detectable loss of accuracy rests on the curves: it is at least what planted harm shows."""
    tables, asked = study(n=200, seeds=3), design(margins={"default": 0.05})
    if apart:
        tested = (pl.col("example") != "e7") | pl.col("trial").str.ends_with("1")
        tables = (*tables[:2], tables[2].filter(tested))
    found = assessed(*tables, asked)
    alone = verdicts(*tables, asked)
    assert alone.drop("detectable").equals(found.verdicts.drop("detectable"))
    other = pl.col("measure") != "accuracy"
    assert alone.filter(other).equals(found.verdicts.filter(other))
    assert (alone["detectable"] <= found.verdicts["detectable"]).all()
    assert estimates(*tables, asked).equals(found.estimates)


def test_nothing_to_audit_is_three_empty_tables():
    found = assessed(*(table.clear() for table in study(n=20)), Design(settings={}))
    assert [len(getattr(found, name)) for name in NAMES] == [0, 0, 0]


def test_a_margin_of_no_measure_is_refused_before_anything_is_computed():
    with pytest.raises(InputError, match="margins: no measure"):
        Results.compute(*study(n=20), design(margins={"acuracy": 0.1}))
