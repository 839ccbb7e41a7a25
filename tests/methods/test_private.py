"""`dp_full` and `dp_lora`: the budget, what is refused, and a study with one of them from end to end."""

from __future__ import annotations

import json
from functools import cache
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from peft import PeftModel

from evenhand.errors import InputError
from evenhand.methods import DPFull, DPLoRA, parse_method
from evenhand.tasks import classification
from evenhand.training import private
from small_models import classifier, encoded, examples_for, recipe, work

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def calibrated_once():
    """The noise of a budget is searched for once: it takes seconds, and most of these trials have the same one."""
    with patch.object(private, "calibrate_noise", cache(private.calibrate_noise)):
        yield


def pack(method: dict, n: int = 40, model_type: str = "bert", seed: int = 0, **train):
    spec = parse_method("m", method)
    dataset = examples_for(model_type, n)
    module = spec.apply(classifier(model_type, seed), seed)
    inputs = encoded(dataset, model_type)
    return spec.pack(module, inputs, dataset.labels, seed=seed, train=recipe(**train), device=CPU)


def test_the_whole_training_spends_the_budget_and_no_more():
    made = pack({"kind": "dp_lora", "epsilon": 3, "delta": 1e-3, "epochs": 2}, n=40, batch_size=8)
    (replica,), mechanism = made.replicas, made.mechanism
    assert (replica.steps, mechanism.sample_rate, mechanism.delta) == (10, 0.2, 1e-3)
    assert 2.99 < mechanism.epsilon(replica.steps) <= 3
    assert made.epsilon(0) == 0


def test_more_privacy_is_more_noise():
    noise = [
        pack({"kind": "dp_lora", "epsilon": epsilon}, batch_size=8).mechanism.noise_multiplier for epsilon in (1, 4, 16)
    ]
    assert noise[0] > noise[1] > noise[2] > 0


def test_delta_is_half_of_one_in_n_unless_given():
    assert pack({"kind": "dp_lora"}, n=40).mechanism.delta == 1 / 80
    assert pack({"kind": "dp_lora", "delta": 1e-5}, n=40).mechanism.delta == 1e-5


def test_a_delta_that_lets_an_example_leak_is_refused():
    for delta in (1 / 40, 0.5):
        with pytest.raises(InputError, match=r"^dp_lora: delta .* choose one below 1/40, or leave it out$"):
            pack({"kind": "dp_lora", "delta": delta}, n=40)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epsilon": 0}, "methods.m.epsilon should be greater than 0, not 0"),
        ({"epsilon": -1}, "methods.m.epsilon should be greater than 0, not -1"),
        ({"delta": 0}, "methods.m.delta should be greater than 0, not 0"),
        ({"delta": 1}, "methods.m.delta should be less than 1, not 1"),
        ({"max_grad_norm": 0}, "methods.m.max_grad_norm should be greater than 0, not 0"),
        ({"epochs": 0}, "methods.m.epochs should be greater than 0, not 0"),
        ({"epsilom": 1}, 'methods.m has no key "epsilom"; did you mean "epsilon"?'),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(values, sentence):
    for kind in ("dp_full", "dp_lora"):
        with pytest.raises(InputError) as caught:
            parse_method("m", {"kind": kind, **values})
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "model_type", "sentence"),
    [
        ("dp_full", "swinv2", "dp_full: Swinv2ForImageClassification treats the windows of an image as"),
        ("dp_lora", "swinv2", "dp_lora: Swinv2ForImageClassification treats the windows of an image as"),
        ("dp_full", "resnet", "dp_full: ResNetForImageClassification normalises over the batch, so no example"),
        ("dp_lora", "resnet", "dp_lora: ResNetForImageClassification has no linear layers"),
    ],
)
def test_an_architecture_without_gradients_of_single_examples_is_refused(kind, model_type, sentence):
    method = parse_method("m", {"kind": kind})
    for refuse in (method.check, lambda model: method.apply(model, 0)):
        with pytest.raises(InputError) as caught:
            refuse(classifier(model_type))
        assert str(caught.value).startswith(sentence)


def test_the_budget_is_part_of_a_trials_identity():
    assert DPLoRA(epsilon=1).hyperparameters() != DPLoRA(epsilon=2).hyperparameters()
    assert DPFull().hyperparameters() == {
        "kind": "dp_full",
        "lr": 3e-5,
        "epochs": 3,
        "epsilon": 8.0,
        "delta": None,
        "max_grad_norm": 0.1,
    }


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "llama", "mistral", "vit"])
@pytest.mark.parametrize("kind", ["dp_full", "dp_lora"])
def test_it_trains_keeps_and_reads_again(kind, model_type, tmp_path):
    trial = work({"kind": kind, "epochs": 2, "lr": 1e-3, "epsilon": 8}, model_type, batch_size=16)
    outcome, rows = classification.train(trial, tmp_path, {"validation": trial.validation}, keep="weights")
    assert 7.99 <= outcome.epsilon <= 8
    again = classification.predict(trial, tmp_path, {"validation": trial.validation})
    assert again.equals(rows)


def test_what_is_not_private_has_no_epsilon(tmp_path):
    trial = work({"kind": "lora", "epochs": 1})
    assert classification.train(trial, tmp_path, {"validation": trial.validation})[0].epsilon is None


def test_with_little_noise_it_learns(tmp_path):
    trial = work({"kind": "dp_lora", "epochs": 30, "lr": 1e-2, "epsilon": 1e4, "max_grad_norm": 1}, batch_size=16)
    trial_loss = classification.train(trial, tmp_path, {"validation": trial.validation})[0].train_loss
    assert trial_loss < 0.25


@pytest.mark.parametrize(("private", "plain"), [("dp_lora", "lora"), ("dp_full", "full")])
def test_it_starts_where_the_method_without_privacy_starts(private, plain):
    one, other = (
        parse_method("m", {"kind": kind}).apply(classifier(seed=5), 5).state_dict() for kind in (private, plain)
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_dp_lora_is_kept_as_an_ordinary_adapter(tmp_path):
    trial = work({"kind": "dp_lora", "epochs": 1, "lr": 1e-2, "rank": 4}, batch_size=16)
    _, rows = classification.train(trial, tmp_path, {"validation": trial.validation})
    read = PeftModel.from_pretrained(classifier("bert"), tmp_path / "adapter").eval()
    inputs = encoded(trial.validation, "bert")
    logits = read(**inputs.batch(np.arange(16), CPU)).logits.detach().numpy()
    assert np.allclose(np.stack(rows["logits"].to_list()), logits, atol=1e-5)


def test_a_study_with_dp_lora_ends_with_the_epsilon_that_was_spent(evenhand_process, small_study, tmp_path):
    private = {"kind": "dp_lora", "rank": 4, "lr": 5e-3, "epochs": 1, "epsilon": 8}
    study = small_study | {"methods": small_study["methods"] | {"private": private}, "seeds": 1}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    done = evenhand_process("run", tmp_path / "study.yaml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    trials = pl.read_parquet(tmp_path / "out" / "trials.parquet")
    spent = dict(zip(trials["method"], trials["epsilon"], strict=True))
    assert spent["full"] is spent["lora"] is None
    assert 7.99 <= spent["private"] <= 8
    assert "Warning" not in done.stderr


def test_a_plan_refuses_what_cannot_be_private(evenhand, tmp_path):
    study = {
        "task": {"name": "synthetic/faces", "n": 200},
        "model": "tiny-swinv2",
        "methods": {"full": {"kind": "full"}, "private": {"kind": "dp_lora"}},
        "reference": "full",
        "seeds": 1,
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    done = evenhand("plan", tmp_path / "study.yaml")
    assert done.returncode == 2
    assert "treats the windows of an image as examples" in done.stderr
