"""Groups are masks: they overlap, an example may be in none, a missing value is a group."""

from __future__ import annotations

import polars as pl

from evenhand.audit.evaluation import groups_of
from small_records import examples


def test_groups_may_overlap_and_an_example_may_be_in_none():
    (found,) = groups_of(examples([0, 1, 0], {"religion": [["islam", "judaism"], [], ["judaism"]]}))
    assert found.names == ("islam", "judaism")
    assert found.masks.tolist() == [[True, True], [False, False], [False, True]]
    assert found.defined.all()


def test_a_missing_value_is_a_group_of_its_own():
    (found,) = groups_of(examples([0, 1], {"sex": [["(missing)"], ["f"]]}))
    assert found.names == ("(missing)", "f")


def test_an_attribute_that_an_example_does_not_have_is_undefined_for_it():
    (found,) = groups_of(examples([0, 1, 1], {"sex": [["f"], None, ["m"]]}))
    assert found.defined.tolist() == [True, False, True]
    assert found.masks[1].tolist() == [False, False]


def test_an_attribute_that_no_example_has_is_left_out():
    frame = examples([0, 1], {"sex": [["f"], ["m"]]}).with_columns(
        pl.Series("attribute.age", [None, None], dtype=pl.List(pl.String))
    )
    assert [found.attribute for found in groups_of(frame)] == ["sex"]


def test_several_attributes_keep_their_names():
    found = groups_of(examples([0, 1], {"sex": [["f"], ["m"]], "race": [["x"], ["x"]]}))
    assert {one.attribute: one.names for one in found} == {"sex": ("f", "m"), "race": ("x",)}
