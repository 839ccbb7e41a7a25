"""LoRA starts as the base, learns as PEFT would have it, and says no where PEFT is silent."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from evenhand.errors import InputError
from evenhand.methods import LoRA
from evenhand.seeds import derive
from evenhand.tasks.classification import count_parameters
from evenhand.training.dropout import SeededDropout
from small_models import IMAGE, TEXT, classifier, encoded, examples_for

CPU = torch.device("cpu")

# Per target layer: inputs, outputs.
TARGETS = {
    "bert": [(f"bert.encoder.layer.{i}.attention.self.{part}", 32, 32) for i in (0, 1) for part in ("query", "value")],
    "vit": [(f"vit.layers.{i}.attention.{part}_proj", 32, 32) for i in (0, 1) for part in "qv"],
    "swinv2": [
        (f"swinv2.encoder.layers.{i}.blocks.0.attention.self.{part}", width, width)
        for i, width in ((0, 16), (1, 32))
        for part in ("query", "value")
    ],
    "llama": [
        (f"model.layers.{i}.self_attn.{part}_proj", 32, out) for i in (0, 1) for part, out in (("q", 32), ("v", 16))
    ],
    "mistral": [
        (f"model.layers.{i}.self_attn.{part}_proj", 32, out) for i in (0, 1) for part, out in (("q", 32), ("v", 16))
    ],
    "gpt2": [(f"transformer.h.{i}.attn.c_attn", 32, 96) for i in (0, 1)],
}
HEADS = {"llama": 64, "mistral": 64, "gpt2": 64}


def layers(model: nn.Module) -> dict[str, nn.Module]:
    """The LoRA layers by the names that they have in the base."""
    from peft.tuners.lora import LoraLayer

    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }


def logits(model: nn.Module, model_type: str, n: int = 12) -> torch.Tensor:
    with torch.inference_mode():
        return model(**encoded(examples_for(model_type, n), model_type).batch(np.arange(n), CPU)).logits


@pytest.mark.parametrize("model_type", TARGETS)
def test_the_query_and_value_projections_are_found(model_type):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = layers(LoRA(rank=4).apply(classifier(model_type), 0))
    assert sorted(found) == sorted(name for name, _, _ in TARGETS[model_type])
    for name, inside, outside in TARGETS[model_type]:
        assert found[name].lora_A["default"].weight.shape == (4, inside)
        assert found[name].lora_B["default"].weight.shape == (outside, 4)


@pytest.mark.parametrize("model_type", TARGETS)
@pytest.mark.parametrize("rank", [1, 7, 16])
def test_what_learns_is_rank_times_inputs_plus_outputs_and_the_head(model_type, rank):
    base = sum(parameter.numel() for parameter in classifier(model_type).parameters())
    update = sum(rank * (inside + outside) for _, inside, outside in TARGETS[model_type])
    head = HEADS.get(model_type, 66)
    assert count_parameters(LoRA(rank=rank).apply(classifier(model_type), 0)) == (update + head, base + update)


@pytest.mark.parametrize("model_type", TARGETS)
def test_b_is_zero_at_the_start_so_the_logits_are_the_bases(model_type):
    model = LoRA(rank=4, dropout=0.5).apply(classifier(model_type, 3), 3)
    for layer in layers(model).values():
        assert not layer.lora_B["default"].weight.any()
        assert layer.lora_A["default"].weight.all()
    assert torch.equal(logits(model.eval(), model_type), logits(classifier(model_type, 3), model_type))
    assert torch.equal(logits(model.train(), model_type), logits(classifier(model_type, 3), model_type))


def test_alpha_is_twice_the_rank_unless_given_and_the_scale_is_alpha_over_rank():
    def scales(**values):
        return {layer.scaling["default"] for layer in layers(LoRA(**values).apply(classifier(), 0)).values()}

    assert scales(rank=4) == scales(rank=16) == {2.0}
    assert scales(rank=4, alpha=2) == {0.5}
    assert scales(rank=3, alpha=4.5) == {1.5}


@pytest.mark.parametrize("model_type", ["bert", "llama", "gpt2"])
def test_the_update_is_scale_times_b_times_a(model_type):
    model = LoRA(rank=4, alpha=6).apply(classifier(model_type), 0).eval()
    expected = classifier(model_type)
    for name, layer in layers(model).items():
        nn.init.normal_(layer.lora_B["default"].weight, std=0.3)
        update = 6 / 4 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
        with torch.no_grad():
            expected.get_submodule(name).weight += update.T if model_type == "gpt2" else update
    assert torch.allclose(logits(model, model_type), logits(expected, model_type), atol=1e-5)
    assert not torch.allclose(logits(model, model_type), logits(classifier(model_type), model_type), atol=1e-2)


def test_a_differs_between_seeds_and_layers():
    def drawn(seed):
        return [layer.lora_A["default"].weight for layer in layers(LoRA().apply(classifier(), seed)).values()]

    one, other = drawn(0), drawn(1)
    assert all(not torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(not torch.equal(a, b) for place, a in enumerate(one) for b in one[:place])


def test_a_target_may_be_one_name_several_or_the_end_of_a_full_one():
    def found(targets):
        return sorted(layers(LoRA(targets=targets).apply(classifier(), 0)))

    stem = "bert.encoder.layer.{}.attention.self.{}"
    assert found("key") == [stem.format(0, "key"), stem.format(1, "key")]
    assert found(["layer.1.attention.self.key"]) == [stem.format(1, "key")]
    assert len(found(["dense", "query"])) == 2 * 3 + 1 + 2


def test_the_head_learns_as_a_whole_and_is_no_target():
    model = LoRA(rank=2).apply(classifier(), 0)
    heads = [name for name, parameter in model.named_parameters() if "classifier" in name and parameter.requires_grad]
    assert sorted(name.rpartition(".")[2] for name in heads) == ["bias", "weight"]
    assert not any("lora" in name for name in heads)


@pytest.mark.parametrize(
    ("values", "model_type", "sentence"),
    [
        (
            {"targets": ["qury"]},
            "bert",
            'targets names "qury", but no linear layer .* there are: dense, key, query, value',
        ),
        ({"targets": ["query", "LayerNorm"]}, "bert", 'targets names "LayerNorm", but no linear layer'),
        ({"targets": "classifier"}, "bert", 'targets names "classifier", but no linear layer'),
        ({"targets": "uery"}, "bert", 'targets names "uery", but no linear layer'),
        ({}, "resnet", "ResNetForImageClassification has no linear layers to adapt; use kind: full or kind: head"),
        ({"rank": 33}, "bert", "rank 33 is above 32, the larger side of the layer .* choose a rank of at most 32"),
        ({"rank": 33}, "llama", "rank 33 is above 32, the larger side of the layer .* choose a rank of at most 32"),
        ({"rank": 17}, "swinv2", "rank 17 is above 16, the larger side of the layer .* choose a rank of at most 16"),
    ],
)
def test_what_does_not_fit_the_base_is_refused_with_one_sentence(values, model_type, sentence):
    with pytest.raises(InputError) as caught:
        LoRA(**values).apply(classifier(model_type), 0)
    assert re.search(sentence, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_target_that_the_head_bears_too_is_refused_with_a_longer_name():
    # As in RoBERTa, whose head has a layer "dense".
    def model():
        found = classifier()
        found.classifier = nn.Sequential(OrderedDict(dense=nn.Linear(32, 2)))
        return found

    sentence = '"dense", but classifier.dense of .* bears that name too; write more of the name, such as "output.dense"'
    with pytest.raises(InputError, match=sentence):
        LoRA(targets="dense").apply(model(), 0)
    assert len(layers(LoRA(targets="output.dense").apply(model(), 0))) == 4


def test_an_architecture_without_known_projections_is_refused_with_its_layers():
    class Unknown(type(classifier())):
        pass

    model = classifier()
    model.__class__ = Unknown
    for layer in model.bert.encoder.layer:
        own = layer.attention.self
        own.mixer = own.query
        del own.query
    sentence = (
        "Unknown has no query and value projections under a known name; set targets to .*: dense, key, mixer, value"
    )
    with pytest.raises(InputError, match=sentence):
        LoRA().apply(model, 0)


def test_a_rank_may_go_up_to_the_larger_side_of_a_layer():
    # v_proj maps 32 to 16: ranks above 16 add nothing that 16 could not say, but the paper uses them.
    model = LoRA(rank=32).apply(classifier("llama"), 0)
    assert count_parameters(model)[0] == 2 * 32 * (64 + 48) + 64


@pytest.mark.parametrize("model_type", [*TEXT, *IMAGE])
def test_dropout_masks_are_a_function_of_the_seed_whatever_else_is_drawn(model_type):
    def dropped(seed: int, skip: int = 0) -> torch.Tensor:
        torch.rand(skip)
        model = LoRA(rank=4, dropout=0.5).apply(classifier(model_type), seed).train()
        for layer in layers(model).values():
            nn.init.constant_(layer.lora_B["default"].weight, 0.1)
        return torch.stack([logits(model, model_type), logits(model, model_type)])

    with torch.random.fork_rng():
        one = dropped(0)
        assert torch.equal(one, dropped(0, skip=5))
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one, dropped(1))


def test_every_layer_has_a_dropout_of_its_own():
    def seeds(seed):
        found = layers(LoRA(dropout=0.1).apply(classifier(), seed))
        assert all(isinstance(layer.lora_dropout["default"], SeededDropout) for layer in found.values())
        return {name: layer.lora_dropout["default"].seed for name, layer in found.items()}

    assert seeds(0) == {name: derive(0, "dropout", name) for name, _, _ in TARGETS["bert"]}
    assert len({*seeds(0).values(), *seeds(1).values()}) == 8
