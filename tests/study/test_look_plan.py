"""Where a study until decided is likely to stop is said before it is run, from the sizes of its groups."""

from __future__ import annotations

import json

import pytest
import yaml

from evenhand import Study
from evenhand.study.look_plan import look_lines, planned_looks
from evenhand.study.plan import make_plan
from evenhand.study.power_plan import detectable_effects


@pytest.fixture
def study(small_study):
    until = {"until": "decided", "looks": [3, 6]}
    return {**small_study, "task": {"name": "synthetic/posts", "n": 2000}, "seeds": until, "split": {"test": 0.3}}


def foreseen(values):
    return planned_looks(make_plan(Study(**values), None))


def test_a_study_of_fixed_seeds_has_no_looks_to_plan(small_study):
    assert foreseen(small_study) == [] and look_lines([], 0.8) == []


def test_each_truth_has_chances_that_add_up_and_the_trials_to_expect(study):
    found = foreseen(study)
    assert [each.contrast for each in found] == pytest.approx([0, 0.05, 0.1] * 2)
    assert [each.spread for each in found] == [0] * 3 + [0.05] * 3
    for each in found:
        assert each.comparisons == 5 and each.most == 12
        assert sum(each.stops) == pytest.approx(1) and min(each.stops) >= 0
        assert each.trials == pytest.approx(6 * each.stops[0] + 12 * each.stops[1])
        assert each.decided >= each.stops[0]


def test_larger_harms_are_decided_sooner_and_spread_between_seeds_later(study):
    steady, spread = foreseen(study)[:3], foreseen(study)[3:]
    assert steady[2].trials < steady[1].trials
    assert all(wide.trials >= narrow.trials for narrow, wide in zip(steady, spread, strict=True))


def test_one_comparison_is_decided_sooner_than_five(study):
    one = foreseen({**study, "seeds": {**study["seeds"], "comparisons": "everyone"}})
    assert one[0].comparisons == 1 and one[0].trials < foreseen(study)[0].trials


def test_the_smallest_detectable_harm_is_that_of_a_look_and_not_of_the_whole_level(study):
    fixed = {each.group: each for each in detectable_effects(make_plan(Study(**{**study, "seeds": 6}), None))}
    found = {each.group: each for each in detectable_effects(make_plan(Study(**study), None))}
    assert all(found[group].detectable > fixed[group].detectable for group in (None, "food"))


def test_the_command_says_so(study, tmp_path, evenhand):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    shown = evenhand("plan", path, "--no-calibrate", "--out", tmp_path / "out")
    assert "each of the 5 comparisons of accuracy that the study waits for" in shown.stdout
    assert "of 12 trials expected" in shown.stdout
    found = json.loads(evenhand("plan", path, "--no-calibrate", "--json", "--out", tmp_path / "out").stdout)
    assert len(found["looks"]) == 6
