"""The details say how many false alarms to expect, where there is more than one family of verdicts."""

from __future__ import annotations

import polars as pl

from evenhand.audit.strictness import expected_false_alarms
from evenhand.report.detail_sentences import false_alarm_lines
from evenhand.report.headline import details


def test_the_details_say_how_many_false_alarms_to_expect(small):
    families, expected = expected_false_alarms(small.verdicts, small.design)
    (line,) = false_alarm_lines(small.verdicts, small.design)
    assert families > 1 and line.startswith(f"There are {families} families of verdicts")
    assert f"up to {expected:.1f} of them" in line and line in details(small)


def test_one_family_has_no_such_sentence(small):
    judged = small.verdicts.drop_nulls("p_adjusted")
    assert (
        false_alarm_lines(judged.filter(family=judged["family"][0], setting=judged["setting"][0]), small.design) == []
    )
    assert false_alarm_lines(small.verdicts.filter(pl.col("verdict").is_null()), small.design) == []
