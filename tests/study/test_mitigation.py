"""Losses and thresholds by group in a study: what is refused before training, and what identifies a trial."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from evenhand import Study
from evenhand.data.dataset import Attribute
from evenhand.data.groups import NO_GROUP, example_groups, hash_of_groups
from evenhand.errors import InputError
from evenhand.study.executors.launched import check_processes
from evenhand.study.memory_retries import why_not_smaller, with_smaller_passes
from evenhand.study.plan import make_plan
from small_models import posts

DRO = {"kind": "group_dro", "attribute": "topic"}
FAIR = {"attribute": "topic"}


def with_lora(study, **keys):
    methods = {"full": study["methods"]["full"], "lora": {**study["methods"]["lora"], **keys}}
    return {**study, "methods": methods, "split": {"test": 0.3, "validation": 0.3}}


def hashes(study, method: str) -> list[str]:
    return [trial.hash for trial in make_plan(Study(**study), None).trials if trial.method == method]


def test_a_loss_is_written_out_with_its_defaults(small_study):
    study = Study(**with_lora(small_study, loss=DRO, thresholds=FAIR))
    method = yaml.safe_load(study.to_yaml())["settings"]["main"]["methods"]["lora"]
    assert method["loss"] == {**DRO, "by_label": False, "step_size": 0.01}
    assert method["thresholds"]["constraint"] == "equalized_odds" and method["thresholds"]["grid_size"] == 1000
    assert Study(**yaml.safe_load(study.to_yaml())) == study


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"loss": {**DRO, "kind": "dro"}}, "methods.lora.loss.kind should be 'group_dro' or 'reweighted', not 'dro'"),
        ({"loss": {**DRO, "weights": "reweighing"}}, "methods.lora.loss: weights is for kind: reweighted"),
        ({"loss": DRO, "epochs": 0}, "methods.lora.loss: the method trains nothing"),
        ({"loss": DRO, "train": {"accumulate": 2}}, "methods.lora.loss: group_dro weighs the groups of a whole step"),
        ({"loss": DRO, "train": {"tokens_per_pass": 512}}, "leave train.tokens_per_pass out"),
        ({"thresholds": {}}, "methods.lora.thresholds.attribute is missing"),
        ({"thresholds": {**FAIR, "objective": "selection_rate"}}, "objective should be accuracy_score or balanced"),
    ],
)
def test_what_a_method_cannot_do_is_refused(small_study, keys, sentence):
    with pytest.raises(InputError, match=sentence):
        Study(**with_lora(small_study, **keys))


@pytest.mark.parametrize("kind", ["dp_lora", "dp_full"])
@pytest.mark.parametrize("loss", [DRO, {**DRO, "kind": "reweighted"}])
def test_private_methods_refuse_a_loss_by_group_since_their_epsilon_does_not_count_it(small_study, kind, loss):
    methods = {"full": {"kind": "full"}, "private": {"kind": kind, "loss": loss}}
    with pytest.raises(InputError, match=f"methods.private.loss: ε counts a loss .* leave it out of {kind}"):
        Study(**{**small_study, "methods": methods})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"split": {"validation": 0}}, "methods.lora.thresholds: they are chosen on validation examples"),
        ({"membership": {"design": "pool", "models": 8}}, "membership reads what the model computes"),
        ({"probing": {"targets": ["topic"]}}, "probing reads what the model computes"),
        ({"tuning": {"grid": {"lora": {"thresholds": [FAIR]}}}}, "thresholds is not a hyperparameter"),
    ],
)
def test_what_a_setting_rules_out_for_thresholds_is_refused(small_study, change, sentence):
    with pytest.raises(InputError, match=sentence):
        Study(**{**with_lora(small_study, thresholds=FAIR), **change})


def test_a_loss_by_group_cannot_be_matched_by_training_loss(small_study):
    with pytest.raises(InputError, match=r"methods.lora.loss: match.by is train_loss"):
        Study(**with_lora(small_study, loss=DRO), match={"by": "train_loss"})
    assert Study(**with_lora(small_study, loss=DRO), match={"by": "validation_loss"})


def test_language_models_are_refused_both(small_study):
    base = {"task": "synthetic/translation", "model": "tiny-llama", "reference": [], "seeds": 1}
    for keys in ({"loss": DRO}, {"thresholds": FAIR}):
        with pytest.raises(InputError, match="for classifiers, and this task trains none"):
            Study(**base, methods={"lora": {"kind": "lora", **keys}})


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"loss": {**DRO, "attribute": "race"}}, 'methods.lora.loss: the training examples have no attribute "race"'),
        ({"thresholds": {"attribute": "race"}}, 'methods.lora.thresholds: .* has no attribute "race"; it has: topic'),
    ],
)
def test_an_unknown_attribute_is_refused_before_training(small_study, keys, sentence):
    with pytest.raises(InputError, match=sentence):
        make_plan(Study(**with_lora(small_study, **keys)), None)


def test_a_group_without_validation_examples_of_both_classes_is_refused_before_training(small_study):
    small_study["task"] |= {"n": 120, "sizes": {"garden": 0.04}}
    small_study["seeds"] = [3]
    with pytest.raises(InputError, match=r"thresholds: at seed 3 the group garden .*raise split.validation"):
        make_plan(Study(**{**with_lora(small_study, thresholds=FAIR), "split": {"test": 0.3, "validation": 0.1}}), None)


def test_a_loss_is_part_of_a_trials_identity_and_so_are_the_groups(small_study):
    plain = hashes(with_lora(small_study), "lora")
    assert plain != hashes(with_lora(small_study, loss=DRO), "lora")
    assert not set(hashes(with_lora(small_study, loss=DRO), "lora")) & set(
        hashes(with_lora(small_study, loss={**DRO, "step_size": 0.1}), "lora")
    )
    groups = Attribute.from_values(["a", "b", "a", "c"])
    renamed = Attribute.from_values(["x", "y", "x", "z"])
    moved = Attribute.from_values(["a", "a", "b", "c"])
    values = [hash_of_groups(replace(posts(4), attributes={"g": each}), "g") for each in (groups, renamed, moved)]
    assert values[0] == values[1] != values[2]


def test_thresholds_share_the_training_of_the_same_method_without_them(small_study):
    study = with_lora(small_study)
    study["methods"]["fair"] = {**study["methods"]["full"], "thresholds": FAIR}
    study["methods"]["fairer"] = {
        **study["methods"]["full"],
        "thresholds": {**FAIR, "constraint": "demographic_parity"},
    }
    plan = make_plan(Study(**study), None)
    trained = {trial.method for trial in plan.distinct}
    assert trained == {"full", "lora"} and len(plan.distinct) == 4
    assert len(plan.post_processed) == 4 and len({trial.hash for trial in plan.trials}) == 8
    for trial in plan.post_processed:
        assert trial.source is not None and trial.source.hash in {other.hash for other in plan.distinct}


def test_thresholds_alone_train_their_method_once(small_study):
    plan = make_plan(Study(**with_lora(small_study, thresholds=FAIR)), None)
    assert [trial.method for trial in plan.distinct] == ["full", "lora", "full", "lora"]
    assert all(trial.source is None for trial in plan.distinct)


def test_a_step_of_group_dro_is_never_split_where_memory_runs_out(small_study):
    for loss, splits in ((DRO, False), ({**DRO, "kind": "reweighted"}, True)):
        trial = next(
            t for t in make_plan(Study(**with_lora(small_study, loss=loss)), None).trials if t.method == "lora"
        )
        assert (with_smaller_passes(trial) is not None) == splits
        assert ("needs the examples of a step in one pass" in why_not_smaller(trial)) != splits


def test_several_processes_are_refused_group_dro_and_not_a_reweighted_loss(small_study):
    small_study["train"] = {"replicas": 1}
    for loss in (DRO, {**DRO, "kind": "reweighted"}):
        study = Study(**with_lora(small_study, loss=loss, resources={"processes": 2}))
        trials = [trial for trial in make_plan(study, None).distinct if trial.method == "lora"]
        if loss is DRO:
            with pytest.raises(InputError, match="lora · seed 0 has the loss group_dro, which weighs the groups"):
                check_processes(trials)
        else:
            check_processes(trials)


def test_each_example_has_one_group_for_its_threshold():
    data = posts(5)
    overlapping = Attribute.from_lists([["a"], ["b"], [], ["a", "b"], None])
    with pytest.raises(InputError, match="the groups of g overlap"):
        example_groups(replace(data, attributes={"g": overlapping}), "g")
    apart = Attribute.from_lists([["a"], ["b"], [], ["a"], None])
    names = example_groups(replace(data, attributes={"g": apart}), "g")
    assert names.tolist() == ["a", "b", NO_GROUP, "a", "(missing)"]
