"""Measures that a design declares, and measures that are computed on request only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evenhand.audit import measures
from evenhand.audit.design import DeclaredMeasure, Design
from evenhand.audit.measures import check_margins, declaring, is_selected, known, measure_named, select
from evenhand.errors import InputError

MC2 = DeclaredMeasure(name="mc2", kind="benchmarks", more_is="better", range=(0, 1))


def design(*declared: DeclaredMeasure) -> Design:
    return Design(settings={}, declared=declared)


def test_a_declared_measure_is_known_inside_only() -> None:
    with declaring(design(MC2)):
        assert measure_named("mc2").direction == -1
        check_margins({"mc2": 0.02})
    with pytest.raises(InputError, match='no measure "mc2"'):
        measure_named("mc2")


def test_inside_another_design_only_the_measures_of_the_inner_one_are_known() -> None:
    other = MC2.model_copy(update={"name": "grade", "more_is": "worse"})
    with declaring(design(MC2)):
        with declaring(design(other)):
            assert "mc2" not in known() and measure_named("grade").direction == 1
        assert "grade" not in known() and "mc2" in known()


@pytest.mark.parametrize("name", ["accuracy", "default", "all"])
def test_a_declared_measure_needs_a_name_of_its_own(name: str) -> None:
    with (
        pytest.raises(InputError, match=f'"{name}" is the name of another measure'),
        declaring(design(MC2.model_copy(update={"name": name}))),
    ):
        pass


def test_only_values_from_0_to_1_are_served_by_the_default_margin() -> None:
    wide = MC2.model_copy(update={"name": "grade", "range": (0, 10)})
    with declaring(design(MC2, wide)):
        assert measure_named("mc2").margin({"default": 0.02}) == 0.02
        assert measure_named("grade").margin({"default": 0.02}) is None


def test_measures_on_request_are_computed_where_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rare = replace(measure_named("accuracy"), name="rare", on_request=True)
    everything = {**known(), "rare": rare}
    monkeypatch.setattr(measures, "registry", lambda: everything)
    assert rare not in select([], "predictions")
    assert rare not in select(["default"], "predictions")
    assert select(["rare"], "predictions") == [rare]
    assert select(["all"], "predictions")[-1] == rare
    assert measure_named("accuracy") in select(["default", "rare"], "predictions")
    assert rare in select(["default", "rare"], "predictions")
    assert is_selected("rare", ["all"]) and not is_selected("rare", ["default"])
