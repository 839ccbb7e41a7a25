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
from evenhand.methods.quantized import quantize_base
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.training.language import LanguagePack, example_losses, target_log_probs
from evenhand.training.loop import take_step
from evenhand.training.prompted_texts import encode_whole_texts
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
    "prefix": {"tokens": 4, "lr": 0.1},
    "prompt": {"tokens": 4, "lr": 0.1},
    "p_tuning": {"tokens": 4, "hidden": 16},
    "qlora": {"rank": 4},
    "last": {"layers": 1},
    "magnitude": {"sparsity": 0.3},
    "wanda": {"sparsity": 0.3, "examples": 6},
}
PEFT = ("lora", "dora", "vera", "ia3", "oft", "boft", "prefix", "prompt", "p_tuning", "qlora")


@pytest.fixture(scope="module", params=MODELS)
def name(request) -> str:
    return request.param


def method_of(kind):
    if kind == "qlora":
        pytest.importorskip("bitsandbytes")
    return parse_method(kind, {"kind": kind, "lr": 1e-2, "epochs": 2, **METHOD[kind]})


def trained(kind, name):
    """The model of a method after two steps, its state before them, and the gradients of the second step."""
    method, base = method_of(kind), find_model(name)
    inputs = encode_whole_texts(load_tokenizer(base), TEXTS, 64)
    module = method.apply(load_language_model(base), 1)
    labels = np.zeros(len(inputs), dtype=np.int64)
    pack = LanguagePack.of(
        method.pack(module, inputs, labels, seed=1, train=TrainSpec(batch_size=6, warmup=0), device=CPU)
    )
    before = {key: value.detach().clone() for key, value in module.named_parameters()}
    gradients = {}
    for epoch in range(2):
        (batch,) = pack.batches(epoch)
        # A validation between epochs changes nothing.
        example_losses(module, inputs, CPU)
        if epoch:
            module.zero_grad(set_to_none=True)
            pack.losses(batch.micro_batches[0]).sum().backward()
            gradients = {key: value.grad.clone() for key, value in module.named_parameters() if value.grad is not None}
            module.zero_grad(set_to_none=True)
        losses, _ = take_step(pack, batch)
        assert torch.isfinite(losses).all()
    return method, module.eval(), before, gradients


def base_of(kind, name):
    """The base as PEFT gets it."""
    model = load_language_model(find_model(name))
    return quantize_base(model) if kind == "qlora" else model


def logits_of(model) -> torch.Tensor:
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize("kind", METHOD)
def test_what_a_method_trains_learns_and_everything_else_is_bit_equal(kind, name):
    _, module, before, gradients = trained(kind, name)
    learning = {key for key, value in module.named_parameters() if value.requires_grad}
    assert learning == gradients.keys() and learning
    # In the first step, the factors beside those that begin at 0 have none.
    assert all(gradient.any() for gradient in gradients.values())
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
    plain = PeftModel.from_pretrained(base_of(kind, name), tmp_path / "adapter").eval()
    assert torch.allclose(logits_of(plain)[:, -20:], logits_of(module), atol=1e-5)


@pytest.mark.parametrize("kind", PEFT)
def test_logits_and_loss_are_those_of_pefts_model_with_the_same_state(kind, name):
    """The oracle is what `get_peft_model` returns, with PEFT's own labels."""
    from peft import TaskType, get_peft_model

    method, module, _, _ = trained(kind, name)
    model = base_of(kind, name)
    config = method.config(model, 1)
    config.task_type = TaskType.CAUSAL_LM
    plain = get_peft_model(model, config).eval()
    learned = {key for key, value in module.named_parameters() if value.requires_grad}
    shared = {key for key, _ in module.named_buffers()}  # VeRA's projections
    state = {key: value for key, value in module.state_dict().items() if key in learned | shared}
    assert not plain.load_state_dict(state, strict=False).unexpected_keys
    inputs = encode_whole_texts(load_tokenizer(find_model(name)), TEXTS, 64)
    batch = inputs.batch(np.arange(6), CPU)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    labels[:, 0] = -100  # no method learns a text's first token, so that all losses are of the same tokens
    with torch.inference_mode():
        oracle, ours = plain(**batch, labels=labels), module(**batch)
        log_probs, is_target = target_log_probs(module, inputs, np.arange(6), CPU)
        labelled = module(**batch, labels=labels).loss
    real = batch["attention_mask"].bool()
    assert torch.allclose(oracle.logits[:, -real.shape[1] :][real], ours.logits[real], atol=1e-5)
    assert float(-log_probs.sum() / is_target.sum()) == pytest.approx(float(oracle.loss), abs=1e-5)
    assert float(labelled) == pytest.approx(float(oracle.loss), abs=1e-5)


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
        ("bitfit", "has no biases to train"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_before_training(kind, reason, name):
    with pytest.raises(InputError, match=reason):
        check_methods(find_model(name), None, {"m": parse_method(kind, {"kind": kind})})


def test_every_kind_is_tried_here_or_refused():
    tried = {*METHOD, "base", "bitfit", "dp_full", "dp_lora", "rounded"}
    assert tried == set(GENERATIVE_KINDS) and tried < set(METHODS)
