"""The shape of a model is that of its published or built-in configuration, as a method trains it."""

from __future__ import annotations

import pytest

from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.language import load_language_model
from evenhand.models.stated import find_or_state_model
from evenhand.study.model_shape import shape_of
from evenhand.tasks.work import count_parameters


def shape(model: str, classes: int | None = 2, kind: str = "full", **fields):
    return shape_of(find_or_state_model(model), classes, parse_method("m", {"kind": kind, **fields}))


@pytest.mark.parametrize(
    ("model", "classes", "parameters"),
    [
        ("meta-llama/Llama-2-7b-hf", None, 6_738_415_616),
        ("mistralai/Mistral-7B-v0.1", None, 7_241_732_096),
        ("google/vit-base-patch16-224-in21k", 2, 85_800_194),
        ("microsoft/swinv2-large-patch4-window12-192-22k", 21_841, pytest.approx(228.8e6, rel=1e-3)),
    ],
)
def test_a_stated_model_has_the_published_number_of_parameters(model, classes, parameters):
    assert shape(model, classes).parameters == parameters


def test_activations_are_sixteen_states_per_layer_of_an_ordinary_transformer():
    """34 bytes per token and width in Korthikanti et al. 2022, of which two are masks of dropout."""
    layers = shape("google/vit-base-patch16-224-in21k").layers
    assert {layer.saved for layer in layers} == {16 * 768}
    assert {layer.tokens for layer in layers} == {197}


def test_swin_has_fewer_and_wider_tokens_from_stage_to_stage_in_windows():
    layers = shape("microsoft/swinv2-large-patch4-window12-192-22k").layers
    assert list(dict.fromkeys((layer.tokens, layer.width, layer.heads, layer.span) for layer in layers)) == [
        (2304, 192, 6, 144),
        (576, 384, 12, 144),
        (144, 768, 24, 144),
        (36, 1536, 48, 36),
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "first"),
    [
        ("full", {}, 0),
        ("bitfit", {}, 0),
        ("lora", {"rank": 2}, 0),
        ("lora", {"rank": 0.5, "layers": "back"}, 1),
        ("last", {}, 1),
        ("head", {}, 2),
        ("base", {}, None),
        ("prompt", {"tokens": 3}, 0),
    ],
)
def test_gradients_reach_down_to_the_first_trained_layer(kind, fields, first):
    found = shape("tiny-bert", 2, kind, **fields)
    assert len(found.layers) == 2 and found.first == first
    assert found.virtual_tokens == fields.get("tokens", 0)


@pytest.mark.parametrize("kind", ["dora", "vera", "ia3", "oft", "boft", "bottleneck", "prefix", "wanda", "magnitude"])
def test_every_method_has_a_shape(kind):
    found = shape("tiny-bert", 2, kind)
    assert 0 < found.trained <= found.parameters and found.first is not None


@pytest.mark.parametrize("model", ["tiny-llama", "tiny-mistral"])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("prefix", {"tokens": 5}),
        ("prompt", {"tokens": 5}),
        ("p_tuning", {"tokens": 5}),
        ("p_tuning", {"tokens": 5, "encoder": "lstm", "hidden": 8}),
    ],
)
def test_a_plan_counts_the_parameters_of_a_language_model_with_virtual_tokens(model, kind, fields):
    method, base = parse_method("m", {"kind": kind, **fields}), find_or_state_model(model)
    found = shape(model, None, kind, **fields)
    assert (found.trained, found.parameters) == count_parameters(method.apply(load_language_model(base), 0))
    assert found.virtual_tokens == 5 and found.first == 0


def test_a_plan_counts_the_parameters_of_qlora_as_those_of_lora():
    found, plain = shape("tiny-llama", None, "qlora", rank=4), shape("tiny-llama", None, "lora", rank=4)
    assert (found.trained, found.parameters) == (plain.trained, plain.parameters) and found.quantised


def test_attention_in_fused_kernels_stores_no_scores():
    assert not shape("tiny-bert").materialised and shape("tiny-swinv2").materialised


def test_a_method_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="rank 100 is above"):
        shape("tiny-bert", 2, "lora", rank=100)
