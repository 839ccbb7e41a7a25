"""A method that does not fit its base model is refused by the plan, before anything is trained."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import yaml
from transformers import GraniteConfig, GraniteForCausalLM, MarianConfig, MarianMTModel

from evenhand import Study
from evenhand.errors import InputError
from evenhand.methods import Full, LoRA
from evenhand.methods.fit import check_methods, model_skeleton
from evenhand.models.find import find_model
from evenhand.study.plan import make_plan
from small_models import IMAGE, TEXT, base, classifier

NEW = {
    "rank": ({"kind": "lora", "rank": 65}, "methods.new: lora: rank 65 is above 64, the larger side of the layer"),
    "target": ({"kind": "lora", "targets": ["qury"]}, 'methods.new: lora: targets names "qury", but no linear layer'),
    "prompt": (
        {"kind": "prefix", "tokens": 256},
        "methods.new: prefix: 256 tokens leave no room for a text in the 256",
    ),
}


@pytest.mark.parametrize("name", [*TEXT, *IMAGE, "gpt2", "resnet"])
def test_the_skeleton_has_the_names_and_shapes_of_the_model_and_no_weights(name):
    bones, model = model_skeleton(base(name), 2), classifier(name)
    assert type(bones) is type(model)
    shapes = {key: value.shape for key, value in bones.named_parameters()}
    assert shapes == {key: value.shape for key, value in model.named_parameters()}
    assert all(parameter.device.type == "meta" for parameter in bones.parameters())


def test_the_skeleton_draws_nothing():
    state = torch.get_rng_state()
    model_skeleton(base("bert"), 2)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def granite(tmp_path) -> str:
    """A folder of a language model for which transformers has no classifier."""
    shutil.copytree(find_model("tiny-llama").folder, tmp_path / "granite")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"vocab_size": 1024, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    GraniteForCausalLM(GraniteConfig(**sizes, **ids)).save_pretrained(tmp_path / "granite")
    return str(tmp_path / "granite")


def test_a_language_model_without_a_classifier_learns_texts_and_is_refused_for_classes(granite, small_study):
    found = find_model(granite)
    assert (found.modality, found.model_type) == ("text", "granite")
    check_methods(found, None, {"full": Full(), "low": LoRA(rank=4)})
    with pytest.raises(InputError, match='granite: transformers has no text classifier for the model type "granite"'):
        make_plan(Study(**{**small_study, "model": granite}), None)


def test_a_translator_without_its_encoder_is_no_language_model(tmp_path):
    shutil.copytree(find_model("tiny-llama").folder, tmp_path / "marian")
    config = MarianConfig(vocab_size=64, d_model=16, encoder_layers=1, decoder_layers=1, pad_token_id=0)
    MarianMTModel(config).save_pretrained(tmp_path / "marian")
    with pytest.raises(InputError, match="a marian cannot continue a text"):
        model_skeleton(find_model(str(tmp_path / "marian")), None)


def test_the_first_method_that_does_not_fit_is_named_with_its_setting():
    methods = {"full": Full(), "low": LoRA(rank=4), "high": LoRA(rank=4096)}
    with pytest.raises(InputError, match=r"^settings\.a\.methods\.high: lora: rank 4096 is above 64"):
        check_methods(find_model("tiny-bert"), 2, methods, "settings.a.")


@pytest.mark.parametrize("what", NEW)
def test_the_plan_refuses_what_cannot_be_trained(what, small_study):
    values, sentence = NEW[what]
    with pytest.raises(InputError) as caught:
        make_plan(Study(**{**small_study, "methods": {**small_study["methods"], "new": values}}), None)
    assert str(caught.value).startswith(sentence)


def test_the_plan_says_which_setting(small_study):
    methods = {"methods": {"new": {"kind": "lora", "rank": 65}}}
    study = {**small_study, "settings": {"a": {}, "b": methods}}
    with pytest.raises(InputError, match=r"^settings\.b\.methods\.new: lora: rank 65"):
        make_plan(Study(**study), None)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_command_line_exits_2_with_one_sentence_and_trains_nothing(command, small_study, evenhand, tmp_path):
    small_study["methods"]["new"] = NEW["rank"][0]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(small_study))))
    options = ["--out", tmp_path / "out"] if command == "run" else []
    done = evenhand(command, path, *options)
    assert done.returncode == 2
    assert NEW["rank"][1] in done.stderr
    assert not (tmp_path / "out" / "trials").exists()
