"""Who is trained together: what can be, in packs of one size, the same on every run of a folder."""

from __future__ import annotations

import json

import pytest

from evenhand import Study
from evenhand.study.packs import group_into_packs
from evenhand.study.plan import make_plan
from evenhand.study.store import Store


@pytest.fixture
def study(small_study):
    """Three methods, five seeds; a head and LoRAs of two ranks."""
    methods = {
        "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
        "small": {"kind": "lora", "rank": 2, "lr": 5e-3, "epochs": 1},
        "large": {"kind": "lora", "rank": 8, "lr": 1e-3, "epochs": 2},
        "head": {"kind": "head", "lr": 1e-2, "epochs": 1},
    }
    return {**small_study, "methods": methods, "seeds": 5}


def found(study, out, **train):
    told: list[str] = []
    planned = make_plan(Study(**{**study, "train": train}), None)
    made = [
        [(one.method, one.seed) for one in pack] for pack in group_into_packs(planned.distinct, Store(out), told.append)
    ]
    every = sorted((trial.method, trial.seed) for trial in planned.distinct)
    assert sorted(one for pack in made for one in pack) == every
    return made, told


def sizes(made, *methods) -> list[int]:
    return [len(pack) for pack in made if pack[0][0] in methods]


def test_packs_are_of_about_one_size_and_hold_methods_of_one_kind(study, tmp_path):
    made, _ = found(study, tmp_path, replicas=4)
    assert sizes(made, "full") == [1] * 5
    assert sizes(made, "small", "large") == [4, 3, 3]
    assert sizes(made, "head") == [3, 2]
    assert made[1][:4] == [("small", 0), ("large", 0), ("small", 1), ("large", 1)]


def test_packs_of_one_are_the_trials_in_their_order(study, tmp_path):
    made, _ = found(study, tmp_path, replicas=1)
    assert sizes(made, "full", "small", "large", "head") == [1] * 20


def test_the_base_models_own_dropout_is_drawn_for_each_trial_alone(study, tmp_path):
    made, _ = found(study, tmp_path, replicas=4, base_dropout=0.1)
    assert {len(pack) for pack in made} == {1}


def test_a_method_may_say_how_many(study, tmp_path):
    study["methods"]["large"]["train"] = {"replicas": 5}
    made, _ = found(study, tmp_path, replicas=1)
    assert sizes(made, "small") == [1] * 5
    assert sizes(made, "large") == [5]


def test_what_was_found_to_pay_is_kept_and_used_again(study, tmp_path):
    made, told = found(study, tmp_path)
    kept = json.loads((tmp_path / "replicas.json").read_text())
    assert {key.split()[1]: count for key, count in kept.items()} == {"lora": 1, "head": 1}, "too short to be timed"
    assert {len(pack) for pack in made} == {1}
    assert told == []
    for key in kept:
        Store(tmp_path).keep_chosen("replicas", key, 5)
    again, _ = found({**study, "seeds": 7}, tmp_path)
    assert sizes(again, "small", "large") == [5, 5, 4]
    assert sizes(again, "head") == [4, 3]


def test_how_trials_are_packed_is_no_part_of_them(study):
    hashes = [
        {trial.hash for trial in make_plan(Study(**{**study, "train": {"replicas": count}}), None).trials}
        for count in ("auto", 1, 4)
    ]
    assert hashes[0] == hashes[1] == hashes[2]
