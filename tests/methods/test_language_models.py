"""Methods on language models: what they learn, what stays as it was, and that what is kept answers the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenhand.errors import InputError
from evenhand.methods import METHODS, parse_method
from evenhand.methods.fit import check_methods
from evenhand.methods.language import GENERATIVE_KINDS
from evenhand.methods.layers import blocks, linear_layers, within
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.training.language import LanguagePack, encode_whole_texts
from evenhand.training.loop import take_step
from evenhand.training.recipe import TrainSpec

CPU = torch.device("cpu")
MODELS = ("tiny-llama", "tiny-mistral")
TEXTS = [f"The {noun} was {word} and nobody came." for noun in ("soup", "train", "song") for word in ("hot", "late")]
METHOD = {
    "full": {},
    "lora": {"rank": 4},
    "dora": {"rank": 4},
    "vera": {"rank": 16, "lr": 0.05},
    "ia3": {"lr": 0.05},
    "oft": {"block": 8},
    "boft": {"block": 4},
    "bottleneck": {"width": 4},
    "last": {"layers": 1},
    "magnitude": {"sparsity": 0.3},
    "wanda": {"sparsity": 0.3, "examples": 6},
}
PEFT = ("lora", "dora", "vera", "ia3", "oft", "boft")


@pytest.fixture(scope="module", params=MODELS)
def name(request) -> str:
    return request.param


def method_of(kind):
    return parse_method(kind, {"kind": kind, "lr": 1e-2, "epochs": 2, **METHOD[kind]})


def trained(kind, name):
    """The model of a method after two steps, its state before them, and the gradients of the first step."""
    method, base = method_of(kind), find_model(name)
    inputs = encode_whole_texts(load_tokenizer(base), TEXTS, 64)
    module = method.apply(load_language_model(base), 1)
    labels = np.zeros(len(inputs), dtype=np.int64)
    pack = LanguagePack.of(
        method.pack(module, inputs, labels, seed=1, train=TrainSpec(batch_size=6, warmup=0), device=CPU)
    )
    before = {key: value.detach().clone() for key, value in module.named_parameters()}
    (batch,) = pack.batches(0)
    pack.losses(batch.micro_batches[0]).sum().backward()
    gradients = {key: value.grad.clone() for key, value in module.named_parameters() if value.grad is not None}
    module.zero_grad(set_to_none=True)
    for epoch in range(2):
        for batch in pack.batches(epoch):
            losses, _ = take_step(pack, batch)
            assert torch.isfinite(losses).all()
    return method, module.eval(), before, gradients


def logits_of(model) -> torch.Tensor:
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize("kind", METHOD)
def test_what_a_method_trains_learns_and_everything_else_is_bit_equal(kind, name):
    _, module, before, gradients = trained(kind, name)
    learning = {key for key, value in module.named_parameters() if value.requires_grad}
    assert learning == gradients.keys() and learning
    assert any(gradient.any() for gradient in gradients.values())
    # The factors beside those that begin at 0 have no gradient in the first step.
    still = {key for key in learning if torch.equal(dict(module.named_parameters())[key], before[key])}
    assert not still, "after two steps everything that learns has changed"
    for key, value in module.named_parameters():
        assert key in learning or torch.equal(value, before[key]), key


@pytest.mark.parametrize("kind", METHOD)
def test_what_is_kept_answers_the_same(kind, name, tmp_path):
    method, module, _, _ = trained(kind, name)
    method.save(module, tmp_path)
    assert method.kept(tmp_path)
    again = method.load(load_language_model(find_model(name)), tmp_path)
    assert torch.allclose(logits_of(again), logits_of(module), atol=1e-5)
    assert not torch.allclose(logits_of(load_language_model(find_model(name))), logits_of(module), atol=1e-3)


@pytest.mark.parametrize("kind", PEFT)
def test_plain_peft_reads_an_adapter_and_gives_the_same_logits(kind, name, tmp_path):
    from peft import AutoPeftModelForCausalLM, PeftModel

    assert AutoPeftModelForCausalLM is not None
    method, module, _, _ = trained(kind, name)
    method.save(module, tmp_path)
    plain = PeftModel.from_pretrained(load_language_model(find_model(name)), tmp_path / "adapter").eval()
    assert torch.allclose(logits_of(plain), logits_of(module), atol=1e-5)


@pytest.mark.parametrize("kind", ["bottleneck"])
def test_a_model_begins_as_its_base(kind, name):
    module = method_of(kind).apply(load_language_model(find_model(name)), 1).eval()
    assert torch.allclose(logits_of(module), logits_of(load_language_model(find_model(name))), atol=1e-6)


@pytest.mark.parametrize("kind", ["magnitude", "wanda"])
def test_pruned_weights_are_0_and_stay_it(kind, name):
    _, module, _, _ = trained(kind, name)
    layers = linear_layers(module)
    for layer in within(layers, blocks(module)):
        weight = layers[layer].weight
        assert (weight == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert module.get_output_embeddings().weight.ne(0).all(), "the output layer is not pruned"


def test_magnitude_prunes_what_pytorch_prunes(name):
    from torch.nn.utils import prune

    model = load_language_model(find_model(name))
    method_of("magnitude").apply(model, 1)
    oracle = load_language_model(find_model(name))
    layers, ours = linear_layers(oracle), linear_layers(model)
    for layer in within(layers, blocks(oracle)):
        weight = layers[layer].weight
        prune.l1_unstructured(layers[layer], "weight", amount=int(0.3 * weight.numel()))
        assert torch.equal(layers[layer].weight, ours[layer].weight)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("head", "a language model has none"),
        ("prompt", "would precede every prompt"),
        ("prefix", "take the place of the cache"),
        ("bitfit", "has no biases to train"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_before_training(kind, reason, name):
    with pytest.raises(InputError, match=reason):
        check_methods(find_model(name), None, {"m": parse_method(kind, {"kind": kind})})


def test_every_kind_is_tried_here_or_refused():
    tried = {*METHOD, "base", "bitfit", "dp_full", "dp_lora"}
    assert tried == set(GENERATIVE_KINDS) and tried < set(METHODS)
