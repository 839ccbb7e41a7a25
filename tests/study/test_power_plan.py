"""What a study could see is said before it is run, from the sizes of its groups."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from evenhand import Study
from evenhand.study.plan import make_plan
from evenhand.study.power_plan import DetectableEffect, detectable_effects, detectable_leaks


def foreseen(values, accuracy: float = 0.8) -> dict[str | None, DetectableEffect]:
    return {one.group: one for one in detectable_effects(make_plan(Study(**values), None), accuracy)}


@pytest.fixture
def study(small_study):
    return {**small_study, "task": {"name": "synthetic/posts", "n": 1200}, "seeds": 5, "split": {"test": 0.25}}


def test_smaller_groups_hide_larger_harms(study):
    found = foreseen(study)
    assert set(found) == {None, "food", "travel", "music", "garden"}
    harms = [found[group].detectable for group in (None, "food", "travel", "music", "garden")]
    assert harms == sorted(harms) and harms[0] > 0
    assert found[None].tested == pytest.approx(300, abs=2)


def test_more_seeds_and_surer_methods_see_more(study):
    now = foreseen(study)["garden"].detectable
    assert foreseen({**study, "seeds": 10})["garden"].detectable < now
    assert foreseen(study, 0.95)["garden"].detectable < now


def test_a_fixed_test_set_leaves_noise_that_seeds_cannot_remove(study):
    fixed = {**study, "split": {"test": 0.25, "vary": False}, "seeds": 20}
    assert foreseen(fixed)["food"].detectable > foreseen({**study, "seeds": 20})["food"].detectable


def test_what_can_not_be_judged_has_no_number(study):
    assert foreseen({**study, "seeds": 1})["food"].detectable is None
    tiny = foreseen({**study, "task": {"name": "synthetic/posts", "n": 200}})
    assert tiny["garden"].tested < 10 and tiny["garden"].detectable is None
    assert foreseen({**study, "reference": []}) == {}


def test_the_command_says_it_in_words_and_in_json(study, tmp_path, evenhand):
    import yaml

    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(study))
    said = evenhand("plan", path, "--out", tmp_path / "none", "--accuracy", "0.9")
    assert said.returncode == 0 and "if methods reach 0.90" in said.stdout and "topic = garden" in said.stdout
    found = json.loads(evenhand("plan", path, "--out", tmp_path / "none", "--json").stdout)
    assert {one["group"] for one in found["detectable"]} == {None, "food", "travel", "music", "garden"}
    assert not (tmp_path / "none").exists()


def test_what_a_pool_could_see_is_said_of_each_group(study):
    pooled = {**study, "seeds": 0, "membership": {"models": 8, "attack": "lira"}}
    found = {one.group: one for one in detectable_leaks(make_plan(Study(**pooled), None))}
    assert detectable_effects(make_plan(Study(**pooled), None)) == []
    assert found[None].examples == 1200 and found[None].refused == (0.001,)
    assert found["garden"].examples == 120 and found["garden"].refused == (0.01, 0.001)
    areas = [found[group].area for group in (None, "food", "travel", "music", "garden")]
    assert areas == sorted(areas)
    more = detectable_leaks(make_plan(Study(**{**pooled, "membership": 16}), None))
    assert more[0].area - 0.5 == pytest.approx((areas[0] - 0.5) / 2**0.5)


@pytest.mark.parametrize("size", [60, 400])
def test_an_area_at_the_foreseen_bound_is_found_four_times_in_five(size):
    """Scores of independent targets: members normal with the mean that gives the area, non-members standard normal."""
    models, level = 8, 1.645
    standard_error = ((size + 1) / (3 * size**2) / models) ** 0.5
    area = 0.5 + (1.645 + 0.842) * standard_error
    rng = np.random.default_rng(0)
    shift = 2**0.5 * norm.ppf(area)
    found = []
    for _ in range(400):
        members, others = (rng.normal(mean, 1, (models, size // 2)) for mean in (shift, 0.0))
        values = [mannwhitneyu(a, b).statistic / (size // 2) ** 2 for a, b in zip(members, others, strict=True)]
        found.append(np.mean(values) > 0.5 + level * standard_error)
    assert 0.73 < np.mean(found) < 0.87
