"""`membership:` in a study: its trials, and what of them is one pool."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.accepted_study import accepted
from evenhand.study.membership_models import pool_of_setting
from evenhand.study.plan import make_plan
from evenhand.study.store import Store


def planned(study, **changes):
    return make_plan(Study(**{**study, **changes}), None)


@pytest.fixture
def pooled(small_study):
    """A study of nothing but a pool."""
    return {**small_study, "seeds": 0, "membership": 8}


def test_a_pools_models_are_twins_and_the_same_for_every_method(pooled):
    found = planned(pooled)
    assert len(found.trials) == 16 and {trial.role for trial in found.trials} == {"pool"}
    by_hash = {trial.hash: trial for trial in found.trials}
    matrix = {}
    for trial in found.trials:
        twin = by_hash[trial.pair]
        assert twin.pair == trial.hash and twin.method == trial.method and twin.seed == trial.seed ^ 1
        assert not np.intersect1d(trial.parts.train, twin.parts.train).size
        assert len(trial.parts.train) + len(twin.parts.train) == 300
        assert {name: len(data) for name, data in trial.evaluations.items()} == {"train": 150, "test": 150}
        matrix.setdefault(trial.method, []).append((trial.seed, trial.parts.train.tobytes()))
    assert sorted(matrix["full"]) == sorted(matrix["lora"])


def test_a_larger_pool_has_the_same_models_and_more(pooled):
    small, large = ({trial.hash for trial in planned(pooled, membership=n).trials} for n in (8, 12))
    assert small < large and len(large) == 24


def test_a_method_that_trains_nothing_is_no_part_of_a_pool(pooled):
    methods = {**pooled["methods"], "before": {"kind": "base"}}
    assert {trial.method for trial in planned(pooled, methods=methods).trials} == {"full", "lora"}


def test_a_matched_pool_is_matched_model_by_model(pooled):
    found = planned(pooled, match="train_loss")
    full = {trial.seed: trial.hash for trial in found.trials if trial.method == "full"}
    assert all(trial.match.trial == full[trial.seed] for trial in found.trials if trial.method == "lora")


def test_a_pool_of_some_groups_has_records_of_these_only(pooled):
    found = planned(pooled, membership={"models": 8, "groups": 2, "per_group": 60})
    examples = found.examples()
    groups = set(examples["attribute.topic"].explode())
    assert len(examples) == 120 and len(groups) == 2
    assert sum(len(data) for data in found.trials[0].evaluations.values()) == 120


def test_shadows_stand_beside_every_target(small_study):
    shadows = {"design": "shadows", "models": 4, "shadows": "lora"}
    found = planned(small_study, membership=shadows)
    targets = [trial for trial in found.trials if trial.role == "study"]
    beside = [trial for trial in found.trials if trial.role == "pool"]
    assert len(targets) == 4 and len(beside) == 8 and {trial.method for trial in beside} == {"lora"}
    for target in targets:
        audited = set(target.evaluations["train"].example)
        others = set(target.evaluations["test"].example)
        for shadow in beside:
            if shadow.subset == f"seed {target.seed}":
                seen = set(shadow.evaluations["test"].example)
                assert audited < seen and len(seen - audited) == len(audited) and seen - audited < others
                assert not set(trained_on(shadow)) & seen


def trained_on(trial):
    return trial.setting.dataset.example[trial.parts.train]


def test_a_pool_of_other_examples_is_refused_and_nothing_is_lost(pooled, tmp_path):
    store = Store(tmp_path / "out")
    with store.lock(), accepted(store, planned(pooled)):
        pass
    kept = store.pools_file.read_text()
    with store.lock(), accepted(store, planned(pooled, membership=12)):
        pass
    assert store.pools_file.read_text() == kept
    other = planned(pooled, membership={"models": 8, "examples": 200})
    with pytest.raises(InputError, match="300 examples then, 200 now"), store.lock(), accepted(store, other):
        pass
    relabelled = planned(pooled, task={"name": "synthetic/posts", "n": 300, "seed": 1})
    with pytest.raises(InputError, match="models of two pools"), store.lock(), accepted(store, relabelled):
        pass
    assert store.pools_file.read_text() == kept


def test_the_fingerprint_of_a_pool_is_of_its_examples_and_its_draw_not_of_its_size(pooled):
    def fingerprint(**changes):
        (prepared,) = planned(pooled, **changes).settings.values()
        return pool_of_setting(prepared).fingerprint

    known = fingerprint()
    assert fingerprint(membership=12) == known and fingerprint(membership={"models": 8, "attack": "loss"}) == known
    assert fingerprint(membership={"models": 8, "seed": 1}) != known


SHADOWS = {"design": "shadows", "shadows": "lora", "models": 4, "attack": "lira"}


def test_shadows_can_train_for_other_epochs_than_their_targets(small_study):
    as_targets = planned(small_study, seeds=1, membership=SHADOWS)
    fewer = planned(small_study, seeds=1, membership={**SHADOWS, "epochs": 1})
    epochs = {(trial.role, trial.method): trial.spec.epochs for trial in fewer.trials}
    assert epochs == {
        ("study", "full"): small_study["methods"]["full"]["epochs"],
        ("study", "lora"): small_study["methods"]["lora"]["epochs"],
        ("pool", "lora"): 1,
    }
    hashes = [{trial.hash for trial in plan.trials if trial.role == "study"} for plan in (as_targets, fewer)]
    assert hashes[0] == hashes[1], "targets are the same trials"
    settings = as_targets.study.settings["main"].model_dump(mode="json")
    assert "epochs" not in settings["membership"], "a study without the key is written as before"


@pytest.mark.parametrize(
    ("membership", "sentence"),
    [
        ({"models": 8, "epochs": 2}, "membership.epochs is for design: shadows"),
        ({**SHADOWS, "shadows": None, "epochs": 2}, "membership.shadows names none"),
        ({**SHADOWS, "epochs": 0}, "membership.epochs"),
    ],
)
def test_epochs_that_belong_to_no_shadows_are_refused(small_study, membership, sentence):
    with pytest.raises(InputError, match=sentence):
        Study(**{**small_study, "membership": membership})
