"""Operations that are calculated are those that PyTorch counts in real passes; memory follows its own parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification, BertConfig

from evenhand.methods import parse_method
from evenhand.models.find import BaseModel, find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_classifier
from evenhand.models.stated import find_or_state_model
from evenhand.study.arithmetic import (
    CAST_BYTES,
    RESERVED,
    STEP_BYTES,
    Answers,
    Lengths,
    TrialSize,
    backward_operations,
    forward_operations,
    memory_bytes,
    work_of_size,
)
from evenhand.study.model_shape import shape_of

BATCH, TOKENS = 2, 48
CLASSES = ("no", "yes", "perhaps")
METHODS = {
    "full": {"kind": "full"},
    "lora": {"kind": "lora", "rank": 4},
    "head": {"kind": "head"},
    "last": {"kind": "last"},
    "pissa": {"kind": "lora", "rank": 2, "init": "pissa"},
    "magnitude": {"kind": "magnitude"},
    "base": {"kind": "base"},
}


def counted(model, inputs, train: bool) -> tuple[int, int]:
    """Operations of a forward and of a backward pass, as PyTorch counts them."""
    model.set_attn_implementation("eager")  # the counter does not know fused attention on a CPU
    with FlopCounterMode(display=False) as forward:
        logits = model(**inputs).logits
    if not train:
        return forward.get_total_flops(), 0
    with FlopCounterMode(display=False) as backward:
        logits.square().mean().backward()
    return forward.get_total_flops(), backward.get_total_flops()


def inputs_of(base):
    if base.modality == "image":
        return {"pixel_values": torch.rand(BATCH, 3, 32, 32)}
    return {"input_ids": torch.randint(5, 100, (BATCH, TOKENS)), "attention_mask": torch.ones(BATCH, TOKENS).long()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["tiny-bert", "tiny-llama", "tiny-vit", "tiny-swinv2"])
def test_a_classifiers_operations_are_those_of_real_passes(model, method):
    base, spec = find_model(model), parse_method(method, METHODS[method])
    applied = spec.apply(load_classifier(base, CLASSES, 0), 0)
    inner = applied.get_base_model() if hasattr(applied, "get_base_model") else applied
    forward, backward = counted(inner, inputs_of(base), method != "base")
    shape, lengths = shape_of(base, len(CLASSES), spec), Lengths.of([TOKENS] * BATCH)
    # Swin's biases of positions are computed once in a batch, which is a tenth of such a tiny model.
    assert BATCH * forward_operations(shape, lengths) == pytest.approx(forward, rel=0.1 if "swin" in model else 0.003)
    # The inputs of the first trained layer need no gradient, which is a fifth of two layers.
    near = 0.08 if "swin" in model else 0.003
    less = 0.21 if shape.first is not None and method not in ("full", "magnitude", "head") else near
    assert backward * (1 - near) <= BATCH * backward_operations(shape, lengths) <= backward * (1 + less) + 1
    assert shape.parameters == sum(p.numel() for n, p in applied.named_parameters() if ".original_module." not in n)


@pytest.mark.parametrize("kind", ["full", "lora", "dora", "bitfit", "last"])
def test_with_more_layers_the_first_one_matters_less(tmp_path, kind):
    config = BertConfig(hidden_size=64, num_hidden_layers=8, num_attention_heads=4, intermediate_size=256)
    config.save_pretrained(tmp_path)
    spec, base = parse_method(kind, {"kind": kind}), BaseModel("deep", tmp_path, "deep", "bert", "text")
    model = AutoModelForSequenceClassification.from_config(config)
    spec.apply(model, 0)  # adapters are put into the model
    forward, backward = counted(model, inputs_of(base), train=True)
    shape, lengths = shape_of(base, 2, spec), Lengths.of([TOKENS] * BATCH)
    assert BATCH * forward_operations(shape, lengths) == pytest.approx(forward, rel=0.05)
    assert BATCH * backward_operations(shape, lengths) == pytest.approx(backward, rel=0.15)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("model", ["tiny-llama", "tiny-mistral"])
def test_a_language_models_operations_are_those_of_real_passes(model, method):
    base, spec = find_model(model), parse_method(method, METHODS[method])
    applied = spec.apply(load_language_model(base), 0)
    inner = applied.get_base_model() if hasattr(applied, "get_base_model") else applied
    forward, backward = counted(inner, inputs_of(base), train=True)
    shape, lengths = shape_of(base, None, spec), Lengths.of([TOKENS] * BATCH)
    assert BATCH * forward_operations(shape, lengths) == pytest.approx(forward, rel=0.003)
    assert BATCH * backward_operations(shape, lengths) == pytest.approx(backward, rel=0.15)


def test_full_fine_tuning_takes_six_operations_per_entry_and_token_and_lora_about_four():
    base, lengths = find_or_state_model("meta-llama/Llama-2-7b-hf"), Lengths.of([100])
    entries = 6.607e9  # without the embeddings, which are looked up
    for method, times in (("full", 6), ("lora", 4), ("base", 2)):
        shape = shape_of(base, None, parse_method("m", {"kind": method}))
        total = forward_operations(shape, lengths) + backward_operations(shape, lengths)
        assert total == pytest.approx(times * entries * 100, rel=0.02)


@pytest.fixture(scope="module")
def head():
    base = find_model("tiny-bert")
    return TrialSize(shape_of(base, 2, parse_method("h", {"kind": "head"})), Lengths.of([32] * 10), 5, 4, 15, "float32")


def test_a_head_on_cached_features_reads_each_example_once(head):
    each = 10 * forward_operations(head.shape, head.learned)
    assert work_of_size(head).trained == pytest.approx(5 * each, rel=0.01)
    assert work_of_size(replace(head, cached=True)).trained == pytest.approx(each, rel=0.01)
    assert work_of_size(replace(head, cached=True, epochs=0)).trained == 0


def test_checkpointing_computes_the_forward_pass_again_and_saves_less(head):
    shape = shape_of(find_model("tiny-bert"), 2, parse_method("f", {"kind": "full"}))
    full = replace(head, shape=shape, batch=64)
    frugal = replace(full, checkpointing=True)
    assert work_of_size(frugal).trained == pytest.approx(4 / 3 * work_of_size(full).trained, rel=0.01)
    assert memory_bytes(frugal) < memory_bytes(full)


def test_memory_is_that_of_weights_gradients_moments_and_activations(head):
    parameters = head.shape.parameters
    assert memory_bytes(replace(head, epochs=0)) == 4 * parameters + 12 * head.shape.trained + RESERVED
    shape = shape_of(find_model("tiny-bert"), 2, parse_method("f", {"kind": "full"}))
    small, large = (memory_bytes(replace(head, shape=shape, batch=batch)) for batch in (1, 3))
    assert small > 16 * parameters + RESERVED
    longer = memory_bytes(replace(head, shape=shape, batch=1, learned=Lengths.of([96])))
    assert large - small == pytest.approx(2 * (small - 16 * parameters - RESERVED))
    assert longer - small == pytest.approx(2 * (small - 16 * parameters - RESERVED)), "fused attention stores no scores"


def test_an_optimizer_step_moves_what_is_trained_and_autocast_all_matrices(head):
    assert work_of_size(head).moved == 15 * STEP_BYTES * head.shape.trained
    entries = sum(layer.entries for layer in head.shape.layers) + sum(one.entries for one in head.shape.matrices)
    half = work_of_size(replace(head, precision="bfloat16")).moved
    assert half - work_of_size(head).moved == 15 * CAST_BYTES * entries


def test_generation_reads_all_weights_for_each_step(head):
    asked = replace(head, answers=Answers(Lengths.of([8] * 6), mean=4.0, steps=7))
    found, without = work_of_size(asked), work_of_size(head)
    assert found.read == 7 * 4 * head.shape.parameters
    tokens = Lengths.of([12])
    more = found.predicted - without.predicted
    assert more == pytest.approx(6 * forward_operations(head.shape, tokens), rel=0.05)


def test_lengths_of_a_sample_stand_for_all():
    lengths = Lengths.of(np.array([1, 2, 3]), count=30)
    assert (lengths.count, lengths.mean, lengths.longest) == (30, 2.0, 3)
    assert lengths.pairs == pytest.approx(14 / 3)
    assert lengths.times(0.5).count == 15
