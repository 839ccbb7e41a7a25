"""Hyperparameters chosen on validation examples: what may be asked, which candidates there are, and which is chosen."""

from __future__ import annotations

import pytest
import yaml

from evenhand import Study
from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.study.tuning import Choice, best

GRID = {"lora": {"lr": [1e-3, 5e-3], "epochs": [1, 2]}}


def tuned(study, grid=None, **options):
    return {**study, "tuning": {"grid": grid or GRID, **options}}


def candidates(study, grid):
    return Study(**tuned(study, grid)).settings["main"].candidates("lora")


def test_candidates_are_every_combination_in_the_order_of_the_grid(small_study):
    assert [one.json for one in candidates(small_study, GRID)] == [
        '{"epochs": 1, "lr": 0.001}',
        '{"epochs": 2, "lr": 0.001}',
        '{"epochs": 1, "lr": 0.005}',
        '{"epochs": 2, "lr": 0.005}',
    ]


def test_a_value_that_is_written_twice_is_one_candidate(small_study):
    (one,) = candidates(small_study, {"lora": {"lr": ["1e-3", 0.001]}})
    assert one.method["lr"] == 0.001


def test_a_rank_that_is_varied_keeps_the_scale_unless_alpha_is_varied_too(small_study):
    scale = [one.method["alpha"] / one.method["rank"] for one in candidates(small_study, {"lora": {"rank": [1, 8]}})]
    assert scale == [2, 2]
    both = candidates(small_study, {"lora": {"rank": [1, 8], "alpha": [16]}})
    assert [one.method["alpha"] for one in both] == [16, 16]


def test_a_resolved_study_reads_back_with_its_tuning(small_study):
    study = Study(**tuned(small_study, score="accuracy", seeds="each"))
    assert Study(**yaml.safe_load(study.to_yaml())) == study


def test_a_setting_lays_its_own_grid_over_the_shared_one(small_study):
    settings = {"a": {}, "b": {"tuning": {"grid": {"lora": {"epochs": [3]}}}}, "c": {"tuning": None}}
    study = Study(**tuned({**small_study, "settings": settings}))
    assert [len(one.candidates("lora")) for one in study.settings.values()] == [4, 2, 0]


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"grid": GRID, "score": "test"}, "tuning.score should be loss or accuracy, both of the validation part"),
        ({"grid": {}}, "tuning.grid should be a mapping from methods to values"),
        ({"grid": {"lora": {"lr": []}}}, "tuning.grid.lora.lr should be a list of the values to try"),
        ({"grid": {"lora": {"lr": 1e-3}}}, "tuning.grid.lora.lr should be a list of the values to try"),
        ({"grid": {"lroa": {"lr": [1]}}}, 'tuning.grid: "lroa" is not a method; did you mean "lora"'),
        ({"grid": {"lora": {"lrr": [1]}}}, 'tuning.grid.lora: a lora has no key "lrr"; did you mean "lr"'),
        ({"grid": {"lora": {"kind": ["full"]}}}, "tuning.grid.lora: kind is not a hyperparameter"),
        ({"grid": {"lora": {"data": [{}]}}}, "tuning.grid.lora: data is not a hyperparameter"),
        ({"grid": {"lora": {"lr": [-1]}}}, "methods.lora.lr should be greater than or equal to 0, not -1"),
        ({"grid": {"lora": {"train": [{"batchsize": 1}]}}}, 'methods.lora.train has no key "batchsize"'),
        ({"grid": GRID, "seed": 1}, "tuning.seed is 1, one of the study's seeds"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_a_sentence(small_study, tuning, said):
    with pytest.raises(InputError, match=said):
        Study(**{**small_study, "tuning": tuning})


def test_tuning_without_validation_examples_is_refused(small_study):
    with pytest.raises(InputError, match=r"tuning chooses on validation examples, and split\.validation is 0"):
        Study(**{**tuned(small_study), "split": {"validation": 0}})


def test_a_candidate_that_does_not_fit_the_base_is_refused_before_training(small_study):
    with pytest.raises(InputError, match=r"methods.lora \(rank 512\): lora: rank 512 is above"):
        make_plan(Study(**tuned(small_study, {"lora": {"rank": [2, 512]}})), None)


def test_candidates_train_on_a_seed_that_is_none_of_the_studys_and_never_meet_the_test_split(small_study):
    found = make_plan(Study(**tuned(small_study)), None)
    assert [(trial.method, trial.seed) for trial in found.candidates] == [("lora", 1000)] * 4
    assert {*found.candidates[0].evaluations} == {*found.candidates[0].fingerprints} == {"validation"}
    assert {trial.keep for trial in found.candidates} == {"none"}
    assert [trial.method for trial in found.trials] == ["full", "full"], "lora has no trials before it is chosen"


def test_where_each_seed_chooses_the_chosen_candidate_is_the_studys_trial(small_study):
    found = make_plan(Study(**tuned(small_study, seeds="each")), None)
    assert [trial.seed for trial in found.candidates] == [0] * 4 + [1] * 4
    chosen = [choice(seed, {"lr": 5e-3, "epochs": 1 + seed}) for seed in (0, 1)]
    decided = found.decided(tuple(chosen))
    loras = [trial for trial in decided.trials if trial.method == "lora"]
    assert [(trial.seed, trial.spec.lr, trial.spec.epochs) for trial in loras] == [(0, 5e-3, 1), (1, 5e-3, 2)]
    assert {trial.hash for trial in loras} <= {trial.hash for trial in found.candidates}
    assert {*loras[0].evaluations} == {"validation", "test"}


def test_a_chosen_method_is_the_same_trial_as_one_that_was_told(small_study):
    decided = make_plan(Study(**tuned(small_study)), None).decided((choice(None, {"lr": 1e-3, "epochs": 2}),))
    told = {**small_study["methods"], "lora": {**small_study["methods"]["lora"], "lr": 1e-3, "epochs": 2}}
    assert [one.hash for one in decided.trials] == [
        one.hash for one in make_plan(Study(**{**small_study, "methods": told}), None).trials
    ]


def choice(seed, values):
    shared = {"setting": "main", "method": "lora", "score": "loss", "value": 0.5, "candidates": 4, "failed": 0}
    return Choice(seed=seed, hyperparameters=values, **shared)


def ranked(*rows, score="loss"):
    scored = [(parse_method("m", {"kind": "full", "epochs": epochs, "lr": lr}), value) for epochs, lr, value in rows]
    return best(scored, score)


def test_the_lowest_loss_and_the_highest_accuracy_are_chosen():
    rows = [(1, 1e-3, 0.3), (1, 1e-4, 0.2), (1, 1e-5, 0.4)]
    assert ranked(*rows) == 1
    assert ranked(*rows, score="accuracy") == 2


def test_of_equals_fewer_epochs_are_chosen_and_then_the_lower_rate_and_then_the_first():
    assert ranked((4, 1e-5, 0.2), (2, 1e-3, 0.2)) == 1
    assert ranked((2, 1e-3, 0.2), (2, 1e-5, 0.2)) == 1
    assert ranked((2, 1e-3, 0.2), (2, 1e-3, 0.2)) == 0


def test_what_failed_is_not_chosen():
    assert ranked((1, 1.0, None), (1, 1e-3, 0.9), (1, 2.0, float("nan"))) == 1
    assert ranked((1, 1.0, None), (1, 2.0, float("inf"))) is None


def test_pending_counts_candidates(small_study, tmp_path):
    from evenhand.study.execution import pending

    found = make_plan(Study(**tuned(small_study)), None)
    assert len(pending(found, Store(tmp_path))) == 4 + 2
