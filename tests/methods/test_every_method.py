"""Every method on every architecture: it learns what it says and nothing else, and what is kept answers the same."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evenhand.errors import InputError
from evenhand.methods import METHODS, parse_method
from evenhand.methods.fit import check_methods
from evenhand.methods.layers import blocks, linear_layers, within
from evenhand.seeds import derive
from evenhand.tasks.classification import count_parameters
from evenhand.training.loop import fit
from evenhand.training.pack import loss_and_accuracy, predict_logits
from small_models import CLASSES, base, classifier, encoded, examples_for, recipe

CPU = torch.device("cpu")
BASES = ("bert", "vit", "swinv2", "llama", "mistral")
TEXT = ("bert", "llama", "mistral")
HEADS = {"bert": 66, "vit": 66, "swinv2": 66, "llama": 64, "mistral": 64}

# Inputs and outputs of the linear layers that methods adapt; a Swin's two layers differ in width.
QUERY = {name: [(32, 32)] * 2 for name in BASES} | {"swinv2": [(16, 16), (32, 32)]}
VALUE = QUERY | {"llama": [(32, 16)] * 2, "mistral": [(32, 16)] * 2}
FEED_FORWARD = {name: [(64, 32)] * 2 for name in BASES} | {"swinv2": [(64, 16), (128, 32)]}
LAST = {"bert": 8544 + 1056, "vit": 8544 + 64, "swinv2": 15234 + 64, "llama": 9280 + 32, "mistral": 9280 + 32}
BIASES = {"bert": 32 + 2 * 288 + 32, "vit": 32 + 2 * 288 + 32, "swinv2": 1600}

METHOD: dict[str, dict[str, Any]] = {
    "dora": {"rank": 4},
    "vera": {"rank": 16, "lr": 0.05},
    "ia3": {"lr": 0.05},
    "oft": {"block": 8},
    "boft": {"block": 4},
    "bottleneck": {"width": 4},
    "prefix": {"tokens": 4},
    "prompt": {"tokens": 4, "lr": 0.05},
    "p_tuning": {"tokens": 4, "hidden": 16},
    "bitfit": {},
    "last": {"layers": 1, "lr": 1e-3},
    "magnitude": {"sparsity": 0.3, "lr": 1e-3},
    "wanda": {"sparsity": 0.3, "lr": 1e-3, "examples": 40},
}
FITS = dict.fromkeys(METHOD, BASES) | {"prefix": TEXT, "prompt": TEXT, "p_tuning": TEXT, "bitfit": tuple(BIASES)}
GPT2 = ("dora", "vera", "ia3", "bottleneck", "prefix", "prompt", "p_tuning", "bitfit", "last", "magnitude", "wanda")
PAIRS = [(kind, name) for kind, names in FITS.items() for name in names] + [(kind, "gpt2") for kind in GPT2]


def learning(kind: str, name: str) -> int:
    """What the method trains besides the head, from the shapes of the layers alone."""
    both = QUERY[name] + VALUE[name]
    match kind:
        case "dora":
            return sum(4 * (inside + outside) + outside for inside, outside in both)
        case "vera":
            return sum(16 + outside for _, outside in both)
        case "ia3":
            return sum(outside for _, outside in VALUE[name] * 2) + sum(inside for inside, _ in FEED_FORWARD[name])
        case "oft":
            return sum(inside // 8 * (8 * 7 // 2) for inside, _ in both)
        case "boft":
            return sum(inside // 4 * 4 * 4 + outside for inside, outside in both)
        case "bottleneck":
            return 2 * sum(2 * 4 * width + 4 + width for _, width in FEED_FORWARD[name])
        case "prefix":
            return sum(2 * 4 * outside for _, outside in VALUE[name])
        case "prompt":
            return 4 * 32
        case "p_tuning":
            return 4 * 32 + (32 + 1) * 16 + (16 + 1) * 16 + (16 + 1) * 32
        case "bitfit":
            return BIASES[name]
        case "last":
            return LAST[name]
    raise AssertionError(kind)


@cache
def bare(name: str) -> nn.Module:
    """The base with its head, as every method gets it."""
    return classifier(name, 3)


@cache
def answers(name: str) -> np.ndarray:
    return predict_logits(bare(name), encoded(examples_for(name, 12), name), CPU)


def made(kind: str, name: str, seed: int = 3):
    method = parse_method("m", {"kind": kind, "epochs": 4, "lr": 0.01, **METHOD[kind]})
    return method, method.apply(classifier(name, seed), seed)


def packed(kind: str, name: str):
    """A method's pack on 48 examples, ready for the loop."""
    method, model = made(kind, name)
    dataset = examples_for(name, 48)
    inputs = encoded(dataset, name)
    pack = method.pack(model, inputs, dataset.labels, seed=3, train=recipe(batch_size=12), device=CPU)
    return method, pack, inputs, dataset


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_a_method_learns_what_it_says_and_what_was_kept_answers_the_same(kind, name, tmp_path):
    method, pack, inputs, dataset = packed(kind, name)
    model = pack.module
    before = {key: value.clone() for key, value in model.state_dict().items()}
    frozen = {key for key, parameter in model.named_parameters() if not parameter.requires_grad}
    loss, _ = loss_and_accuracy(predict_logits(model, inputs, CPU), dataset.labels)

    model.train()
    first, second = list(pack.batches(0))[:2]
    for batch in (first, second):
        for parameter in model.parameters():
            parameter.grad = None
        pack.losses(batch.micro_batches[0]).sum().backward()
        still = [key for key, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
        if batch is first:
            pack.step(first)
    assert still == [], "after the first step everything that learns has a gradient"

    fit(pack, [None], lambda _place, _row: None)
    after = model.state_dict()
    assert loss_and_accuracy(predict_logits(model, inputs, CPU), dataset.labels)[0] < loss
    assert all(torch.equal(after[key], before[key]) for key in frozen)
    unmoved = [key for key, p in model.named_parameters() if p.requires_grad and torch.equal(p, before[key])]
    assert unmoved == []

    method.save(model, tmp_path)
    assert method.kept(tmp_path)
    loaded = method.load(classifier(name, 3), tmp_path)
    same = np.abs(predict_logits(loaded, inputs, CPU) - predict_logits(model, inputs, CPU)).max()
    assert same < (2e-6 if method.whole else 1e-12)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, name in PAIRS if name != "gpt2" and kind not in ("magnitude", "wanda")]
)
def test_what_learns_is_what_the_shapes_say(kind, name):
    count, everything = count_parameters(made(kind, name)[1])
    assert count == learning(kind, name) + HEADS[name]
    added = 0 if kind in ("bitfit", "last") else learning(kind, name)
    assert everything == sum(parameter.numel() for parameter in bare(name).parameters()) + added


@pytest.mark.parametrize(
    ("kind", "name"), [pair for pair in PAIRS if pair[0] in ("dora", "vera", "ia3", "oft", "boft", "bottleneck")]
)
def test_an_adapter_starts_as_the_base(kind, name):
    start = predict_logits(made(kind, name)[1], encoded(examples_for(name, 12), name), CPU)
    assert np.allclose(start, answers(name), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("kind", "name"), [(kind, FITS[kind][0]) for kind in METHOD])
def test_what_is_drawn_is_a_function_of_the_seed_and_of_nothing_else(kind, name):
    state = torch.get_rng_state()
    one = made(kind, name)[1].state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.rand(5)
        again = made(kind, name)[1].state_dict()
    assert all(torch.equal(one[key], again[key]) for key in one)
    other = made(kind, name, seed=4)[1].state_dict()
    drawn = [key for key in one if "classifier" not in key and not torch.equal(one[key], other[key])]
    assert bool(drawn) == (kind in ("dora", "vera", "bottleneck", "prefix", "prompt", "p_tuning"))


@pytest.mark.parametrize(
    ("kind", "name", "values", "sentence"),
    [
        ("dora", "bert", {"rank": 33}, "dora: rank 33 is above 32, the larger side of the layer"),
        ("dora", "bert", {"targets": "qury"}, 'dora: targets names "qury", but no linear layer'),
        ("vera", "resnet", {}, "vera: ResNetForImageClassification has no linear layers to adapt"),
        ("ia3", "resnet", {}, "ia3: ResNetForImageClassification has no linear layers to adapt"),
        ("oft", "bert", {"block": 7}, "oft: block 7 does not divide the 32 inputs of bert.encoder.layer.0"),
        ("boft", "swinv2", {"block": 32}, "boft: block 32 does not divide the 16 inputs of swinv2.encoder"),
        pytest.param(
            *("boft", "bert", {"block": 4, "factors": 4}, "boft: 4 factors need a GPU and PEFT's CUDA extension"),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="the extension may be there"),
        ),
        ("boft", "bert", {"block": 4, "factors": 5}, "boft: 5 factors of block 4 need an even block and inputs"),
        ("oft", "gpt2", {}, "oft: PEFT cannot rotate the transposed layers of GPT2ForSequenceClassification"),
        ("boft", "gpt2", {}, "boft: PEFT cannot rotate the transposed layers of GPT2ForSequenceClassification"),
        ("bottleneck", "bert", {"width": 33}, "bottleneck: width 33 is above 32, what bert.encoder.layer.0"),
        ("bottleneck", "resnet", {}, "bottleneck: ResNetForImageClassification has no attention or feed-forward parts"),
        ("prefix", "vit", {}, "prefix: ViTForImageClassification reads no texts that tokens could precede"),
        ("prefix", "bert", {"tokens": 64}, "prefix: 64 tokens leave no room for a text in the 64 positions of"),
        ("prompt", "swinv2", {}, "prompt: Swinv2ForImageClassification reads no texts that tokens could precede"),
        ("prompt", "gpt2", {"tokens": 70}, "prompt: 70 tokens leave no room for a text in the 64 positions of GPT2"),
        ("p_tuning", "vit", {}, "p_tuning: ViTForImageClassification reads no texts that tokens could precede"),
        ("bitfit", "llama", {}, "bitfit: the base of LlamaForSequenceClassification has no biases to train"),
        ("last", "vit", {"layers": 3}, "last: the base of ViTForImageClassification has 2 repeated layers, so 3"),
        ("magnitude", "resnet", {}, "magnitude: ResNetForImageClassification has no linear layers within repeated"),
        ("wanda", "resnet", {}, "wanda: ResNetForImageClassification has no linear layers within repeated"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_skeleton_and_by_the_model(kind, name, values, sentence):
    method = parse_method("m", {"kind": kind, **values})
    with pytest.raises(InputError) as before:
        check_methods(base(name), len(CLASSES), {"m": method})
    with pytest.raises(InputError) as then:
        method.apply(classifier(name), 0)
    assert str(before.value) == f"methods.m: {then.value}"
    assert str(then.value).startswith(sentence)
    assert "\n" not in str(then.value)


def test_a_method_that_fits_is_not_refused_by_the_skeleton():
    for name in (*BASES, "gpt2"):
        there = [kind for kind, at in PAIRS if at == name]
        check_methods(
            base(name), len(CLASSES), {kind: parse_method("m", {"kind": kind, **METHOD[kind]}) for kind in there}
        )


def test_every_registered_method_is_tested_here_or_has_tests_of_its_own():
    elsewhere = {"full", "lora", "head", "base", "qlora", "dp_full", "dp_lora", "rounded"}
    assert set(METHODS) <= set(METHOD) | elsewhere


@pytest.mark.parametrize("name", [*BASES, "gpt2", "resnet"])
def test_the_repeated_layers_of_a_base_are_its_blocks_in_order(name):
    stems = {
        "bert": "bert.encoder.layer.{}",
        "vit": "vit.layers.{}",
        "swinv2": "swinv2.encoder.layers.{}.blocks.0",
        "llama": "model.layers.{}",
        "mistral": "model.layers.{}",
        "gpt2": "transformer.h.{}",
        "resnet": "resnet.encoder.stages.{}",
    }
    model = bare(name)
    found = blocks(model)
    assert list(found) == [stems[name].format(place) for place in (0, 1)]
    assert len(within(linear_layers(model), found)) == len(
        [1 for block in found.values() for child in block.modules() if type(child).__name__ in ("Linear", "Conv1D")]
    )


def test_dora_keeps_each_outputs_magnitude_apart_from_its_direction():
    _, model = made("dora", "bert")
    layer = model.get_submodule("base_model.model.bert.encoder.layer.0.attention.self.query")
    weight = bare("bert").get_parameter("bert.encoder.layer.0.attention.self.query.weight")
    assert torch.allclose(layer.lora_magnitude_vector["default"].weight, weight.norm(dim=1))
    nn.init.normal_(layer.lora_B["default"].weight, std=0.3)
    moved = weight + 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    expected = x @ (moved * (weight.norm(dim=1) / moved.norm(dim=1))[:, None]).T + layer.base_layer.bias
    assert torch.allclose(layer(x), expected, atol=1e-4)


def test_oft_turns_inputs_by_rotations():
    _, model = made("oft", "bert")
    layer = model.get_submodule("base_model.model.bert.encoder.layer.0.attention.self.query")
    nn.init.normal_(layer.oft_R["default"].weight, std=0.5)
    turn = layer.oft_R["default"].get_weight().detach()
    assert torch.allclose(turn @ turn.T, torch.eye(32), atol=1e-5)
    assert math.isclose(float(torch.linalg.det(turn.double())), 1, abs_tol=1e-5)
    assert not torch.allclose(turn, torch.eye(32), atol=0.1)


def test_vera_draws_its_projections_under_the_seed_and_keeps_its_dropout_to_itself():
    from peft.tuners.vera import VeraLayer

    def model(seed):
        method = parse_method("m", {"kind": "vera", "rank": 8, "dropout": 0.5})
        return method.apply(classifier("bert", seed), seed)

    layers = [module for module in model(0).modules() if isinstance(module, VeraLayer)]
    assert len(layers) == 4
    assert all(layer.vera_A["default"] is layers[0].vera_A["default"] for layer in layers)
    assert len({layer.vera_dropout["default"].seed for layer in layers}) == 4
    assert layers[0].vera_dropout["default"].seed == derive(0, "dropout", "bert.encoder.layer.0.attention.self.query")


def test_the_last_layers_of_all_stages_count_in_a_swin():
    model = parse_method("m", {"kind": "last", "layers": 2}).apply(classifier("swinv2"), 0)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith("swinv2.embeddings.")}


def test_bottlenecks_follow_the_feed_forward_part_only_where_asked():
    def places(placement):
        method = parse_method("m", {"kind": "bottleneck", "placement": placement})
        model = method.apply(classifier("bert"), 0)
        return [name for name, _ in model.named_modules() if name.endswith("bottleneck")]

    stem = "bert.encoder.layer.{}.{}output.dense.bottleneck"
    assert places("pfeiffer") == [stem.format(place, "") for place in (0, 1)]
    assert places("houlsby") == [stem.format(place, part) for place in (0, 1) for part in ("attention.", "")]
