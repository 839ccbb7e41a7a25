"""Methods that share a seed share its head and its batches; they differ in what learns, and in nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from evenhand.errors import InputError
from evenhand.methods import METHODS, LoRA, list_methods, parse_method
from evenhand.methods.layers import linear_layers
from evenhand.training.batches import Inputs
from evenhand.training.loop import fit
from evenhand.training.pack import predict_logits, single_pack
from small_models import IMAGE, TEXT, classifier, encoded, examples_for, recipe

KINDS = ("full", "lora", "head", "base")
HEADS = {"llama": "score", "mistral": "score"}
BASES = [*TEXT, *IMAGE]


def applied(kind: str, model_type: str, seed: int = 0) -> nn.Module:
    return parse_method("m", {"kind": kind}).apply(classifier(model_type, seed), seed)


def head_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """The head that answers, by the names of its parameters."""
    found = {}
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        if {"score", "classifier"} & set(parts) and "original_module" not in parts:
            found[parts[-1]] = parameter.detach().clone()
    return found


@dataclass
class Noted(Inputs):
    """Inputs that note which rows are asked for."""

    inputs: Inputs
    rows: list[list[int]] = field(default_factory=list)

    @property
    def lengths(self):
        return self.inputs.lengths

    def __len__(self):
        return len(self.inputs)

    def content_bytes(self, row):
        return self.inputs.content_bytes(row)

    def batch(self, rows, device, length=0):
        self.rows.append(rows.tolist())
        return self.inputs.batch(rows, device, length)


def trained(model: nn.Module, model_type: str, seed: int = 0, lr: float = 1e-3):
    """The rows of every batch of two epochs, and the losses."""
    dataset = examples_for(model_type, 42)
    noted = Noted(encoded(dataset, model_type))
    pack = single_pack(model, noted, dataset.labels, seed=seed, lr=lr, epochs=2, train=recipe(batch_size=8))
    rows: list[dict] = []
    fit(pack, [None], lambda _, row: rows.append(row))
    return noted.rows, [row["loss"] for row in rows if "loss" in row]


@pytest.mark.parametrize("model_type", BASES)
def test_the_same_seed_gives_every_method_the_same_head(model_type):
    heads = [head_of(applied(kind, model_type, seed=5)) for kind in KINDS]
    assert heads[0]
    for head in heads[1:]:
        assert head.keys() == heads[0].keys()
        assert all(torch.equal(head[name], heads[0][name]) for name in head)
    assert not torch.equal(head_of(applied("full", model_type, seed=6))["weight"], heads[0]["weight"])


def test_the_same_seed_gives_every_method_the_same_batches_and_the_same_first_loss():
    seen = {kind: trained(applied(kind, "bert"), "bert") for kind in ("full", "lora", "head")}
    assert len(seen["full"][0]) == 12
    assert seen["full"][0] == seen["lora"][0] == seen["head"][0]
    assert seen["full"][0] != trained(applied("head", "bert"), "bert", seed=1)[0]
    # Before anything has learned, all are the base with that head.
    assert seen["full"][1][0] == seen["lora"][1][0] == seen["head"][1][0]
    assert seen["full"][1][1] != seen["lora"][1][1] != seen["head"][1][1]


@pytest.mark.parametrize("model_type", [*BASES, "resnet"])
def test_full_moves_every_weight(model_type):
    model = applied("full", model_type)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    trained(model, model_type)
    unmoved = [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    assert unmoved == []


@pytest.mark.parametrize("model_type", [*BASES, "resnet"])
def test_head_moves_the_head_and_not_a_bit_of_the_base(model_type):
    model = applied("head", model_type)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained(model, model_type)
    head = HEADS.get(model_type, "classifier")
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name, _ in model.named_parameters() if name.startswith(head)}


@pytest.mark.parametrize("model_type", [*BASES, "gpt2"])
def test_lora_moves_a_b_and_the_head_and_not_a_bit_of_the_base(model_type):
    model = applied("lora", model_type)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained(model, model_type)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moved == learning
    assert all("lora_A" in name or "lora_B" in name or "modules_to_save.default" in name for name in learning)
    assert sum("modules_to_save.default" in name for name in learning) == len(head_of(model))
    untouched = classifier(model_type).state_dict()
    for name, value in model.state_dict().items():
        plain = name.removeprefix("base_model.model.").replace(".base_layer", "").replace(".original_module", "")
        if name not in learning:
            assert torch.equal(value, untouched.pop(plain))
    assert not untouched


@pytest.mark.parametrize("model_type", BASES)
def test_base_is_the_base_with_a_fresh_head(model_type):
    model = applied("base", model_type, seed=4)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    fresh = classifier(model_type, seed=4).state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in model.state_dict().items())


def test_what_a_method_draws_is_a_function_of_the_seed_and_leaves_the_global_generator_alone():
    for kind in KINDS:
        model = classifier()
        state = torch.get_rng_state()
        one = parse_method("m", {"kind": kind}).apply(model, 0).state_dict()
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(7)
        other = applied(kind, "bert").state_dict()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_methods_hyperparameters_are_what_training_depends_on_with_defaults_resolved():
    assert LoRA(rank=4).hyperparameters() == LoRA(rank=4, alpha=8.0).hyperparameters()
    assert (
        LoRA(rank=4, train={"batch_size": 8}, data={"noise": 0.1}).hyperparameters() == LoRA(rank=4).hyperparameters()
    )
    assert LoRA(rank=4).hyperparameters() == {
        "kind": "lora",
        "lr": 3e-4,
        "epochs": 3,
        "rank": 4,
        "alpha": 8.0,
        "dropout": 0.0,
        "targets": None,
    }


def test_every_kind_is_registered_under_its_name_with_a_summary():
    assert set(METHODS) >= set(KINDS)
    assert all(METHODS[kind].kind == kind and summary for kind, summary in list_methods())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "methods.m lacks the key kind; known kinds: base, bitfit, boft, bottleneck, d"),
        ({"kind": "lorra"}, 'there is no kind of method "lorra"; did you mean "lora"?'),
        ({"kind": "lora", "rnak": 4}, 'no key "rnak"; did you mean "rank"?'),
        ({"kind": "full", "rank": 4}, 'no key "rank"'),
        ({"kind": "full", "lr": -1}, "lr"),
        ({"kind": "full", "epochs": 1.5}, "epochs"),
        ({"kind": "base", "epochs": 3}, "a method of kind base trains nothing, so this is 0 or left out, not 3"),
        ({"kind": "base", "lr": 0.1}, "a method of kind base trains nothing, so this is 0 or left out, not 0.1"),
        ({"kind": "lora", "rank": 0}, "a LoRA of rank 0 has no update to learn; use kind: head"),
        ({"kind": "lora", "rank": -4}, "a LoRA of rank -4 has no update to learn; use kind: head"),
        ({"kind": "lora", "rank": 2.5}, "rank is a whole number, or a share of the layers below 1, not 2.5"),
        ({"kind": "dora", "rank": 0.5}, "rank is a whole number, not 0.5"),
        (
            {"kind": "lora", "rank": 4, "layers": "back"},
            "layers selects layers for a rank below 1, so leave it out with rank 4",
        ),
        ({"kind": "lora", "rank": 3, "init": "orthogonal"}, "init: orthogonal needs an even rank"),
        ({"kind": "lora", "init": "eva"}, "init"),
        ({"kind": "lora", "alpha": "2y"}, "alpha should be a number, not '2y'"),
        ({"kind": "lora", "alpha": "0x"}, "alpha"),
        ({"kind": "magnitude", "sparsity": 1}, "sparsity"),
        ({"kind": "wanda", "sparsity": 0}, "sparsity"),
        ({"kind": "oft", "block": 1}, "block"),
        ({"kind": "lora", "alpha": 0}, "alpha"),
        ({"kind": "lora", "dropout": 1}, "dropout"),
        ({"kind": "lora", "targets": []}, "name at least one layer, or leave targets out"),
    ],
)
def test_a_method_that_cannot_be_meant_is_refused_with_one_sentence(values, sentence):
    with pytest.raises(InputError) as caught:
        parse_method("m", values)
    assert sentence in str(caught.value)
    assert "methods.m" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rates_as_yaml_reads_them_are_numbers():
    assert parse_method("m", {"kind": "full", "lr": "3e-5"}).lr == 3e-5
    assert np.isclose(parse_method("m", {"kind": "lora", "rank": "4"}).alpha, 8)


ADAPTED = {
    ("lora", "mpnet"): ("attn.q", "attn.v"),
    ("dora", "mpnet"): ("attn.q", "attn.v"),
    ("vera", "mpnet"): ("attn.q", "attn.v"),
    ("ia3", "mpnet"): ("attn.k", "attn.v", "output.dense"),
    ("bottleneck", "mpnet"): ("attn.o", "output.dense"),
    ("lora", "modernbert"): ("attn.Wqkv",),
    ("dora", "modernbert"): ("attn.Wqkv",),
    ("vera", "modernbert"): ("attn.Wqkv",),
    ("ia3", "modernbert"): ("attn.Wqkv", "mlp.Wo"),
    ("bottleneck", "modernbert"): ("attn.Wo", "mlp.Wo"),
}
"""The layers of the base that methods adapt without explicit targets, by the ends of their names."""


@pytest.mark.parametrize(("kind", "name"), ADAPTED)
def test_mpnet_and_modernbert_are_adapted_at_the_layers_of_other_encoders(kind, name):
    model = classifier(name)
    linear = linear_layers(model)
    adapted = parse_method("m", {"kind": kind}).apply(model, 0)
    trained = [key for key, value in adapted.named_parameters() if value.requires_grad]
    found = {layer for layer in linear if any(f".{layer}." in f".{key}" for key in trained)}
    assert found == {layer for end in ADAPTED[kind, name] for layer in linear if layer.endswith(end)}
    assert len(found) == 2 * len(ADAPTED[kind, name])
    inputs = encoded(examples_for(name, 4), name)
    assert np.isfinite(predict_logits(adapted, inputs, torch.device("cpu"))).all()
