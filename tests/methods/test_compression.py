"""Compression without training: rounded and pruned weights are those of bitsandbytes and torch, merged models equal."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch.nn.utils import prune as torch_prune

from evenhand.errors import InputError
from evenhand.methods import LoRA, Magnitude, Rounded, Wanda, parse_method
from evenhand.methods.compression import merged
from evenhand.methods.layers import blocks, linear_layers, transposed, within
from evenhand.methods.rounded import rounded_weight
from evenhand.models.load import load_classifier
from evenhand.tasks.classification import count_parameters
from evenhand.training.pack import predict_logits
from small_models import CLASSES, base, classifier, encoded, examples_for, recipe

CPU = torch.device("cpu")
BASES = ("bert", "vit", "llama", "gpt2")
needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")


def weight_of(layer) -> torch.Tensor:
    """A layer's weight, a row per output."""
    return layer.weight.detach().T if transposed(layer) else layer.weight.detach()


@needs_bitsandbytes
@pytest.mark.parametrize("form", ["nf4", "fp4"])
@pytest.mark.parametrize("shape", [(48, 96), (10, 7), (64, 64)])
def test_weights_of_4_bits_equal_those_of_a_layer_of_bitsandbytes_to_the_bit(form, shape):
    import bitsandbytes as bnb

    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    layer = bnb.nn.Linear4bit(shape[1], shape[0], bias=False, quant_type=form, compress_statistics=False)
    layer.weight = bnb.nn.Params4bit(weight.clone(), False, compress_statistics=False, quant_type=form)
    own = layer.to(CPU).weight
    expected = bnb.functional.dequantize_4bit(own.data, own.quant_state)
    found = rounded_weight(weight, form)
    assert found.dtype == torch.float32 and torch.equal(found, expected.to(torch.float32))
    assert not torch.equal(found, weight) and len(found.unique()) < weight.numel()


@needs_bitsandbytes
def test_a_rounded_layer_computes_what_the_layer_of_bitsandbytes_does():
    import bitsandbytes as bnb

    drawn = torch.Generator().manual_seed(1)
    weight, inputs = torch.randn(48, 64, generator=drawn), torch.randn(5, 64, generator=drawn)
    layer = bnb.nn.Linear4bit(64, 48, bias=False, compute_dtype=torch.float32, quant_type="nf4", compress_statistics=0)
    layer.weight = bnb.nn.Params4bit(weight.clone(), False, compress_statistics=False, quant_type="nf4")
    layer.support_avx512bf16_for_cpu = False  # it would compute in bfloat16
    assert torch.allclose(layer.to(CPU)(inputs), inputs @ rounded_weight(weight, "nf4").T, atol=1e-5)


def test_weights_of_8_bits_equal_those_of_torch_with_a_scale_per_output():
    weight = torch.randn(40, 33, generator=torch.Generator().manual_seed(0))
    scale = weight.abs().amax(dim=1) / 127
    expected = torch.fake_quantize_per_channel_affine(weight, scale, torch.zeros(40, dtype=torch.int32), 0, -127, 127)
    found = rounded_weight(weight, "int8")
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    codes = found / scale[:, None]
    assert torch.allclose(codes, codes.round(), atol=1e-4) and codes.abs().amax(1).allclose(torch.tensor(127.0))
    assert not rounded_weight(torch.zeros(2, 3), "int8").any()


@needs_bitsandbytes
def test_weights_of_8_bits_equal_those_of_bitsandbytes_by_row():
    from bitsandbytes import functional

    weight = torch.randn(40, 64, generator=torch.Generator().manual_seed(2)).half()
    codes, largest, _ = functional.int8_vectorwise_quant(weight)
    expected = functional.int8_vectorwise_dequant(codes, largest)
    # bitsandbytes computes in half precision: a weight halfway between two codes may go either way.
    near = (rounded_weight(weight.float(), "int8") - expected).abs() / (largest[:, None] / 127)
    assert (near < 1e-3).float().mean() > 0.98 and near.max() < 1.01


@pytest.mark.parametrize("name", BASES)
def test_rounding_touches_the_linear_layers_of_the_base_and_nothing_else(name):
    before = classifier(name)
    model = Rounded(format="int8").apply(classifier(name), 0)
    layers = linear_layers(before)
    for key, layer in layers.items():
        assert torch.equal(weight_of(model.get_submodule(key)), rounded_weight(weight_of(layer), "int8"))
    touched = {key for key, value in model.state_dict().items() if not torch.equal(value, before.state_dict()[key])}
    assert touched == {f"{key}.weight" for key in layers}
    assert count_parameters(model) == (0, sum(parameter.numel() for parameter in model.parameters()))


@pytest.mark.parametrize("name", BASES)
def test_magnitude_prunes_the_weights_that_torch_prunes(name):
    model, reference = Magnitude(sparsity=0.37, epochs=0).apply(classifier(name), 0), classifier(name)
    for key in within(linear_layers(reference), blocks(reference)):
        layer = reference.get_submodule(key)
        # torch rounds the number of weights to the nearest, and we round it down.
        torch_prune.l1_unstructured(layer, "weight", amount=math.floor(0.37 * layer.weight.numel()))
        assert torch.equal(model.get_submodule(key).weight, layer.weight)
    assert count_parameters(model)[0] == 0


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_wanda_prunes_what_a_loop_written_out_prunes_and_trains_nothing(name):
    dataset = examples_for(name, 24)
    inputs, method = encoded(dataset, name), Wanda(sparsity=0.5, examples=10, epochs=0)
    model = method.apply(classifier(name), 0)
    model = method.pack(model, inputs, dataset.labels, seed=0, train=recipe(), device=CPU).module
    reference, batch = classifier(name).eval(), inputs.batch(method.drawn(24, 0), CPU)
    for block in blocks(reference):
        for key, norms in norms_of(reference, within(linear_layers(reference), [block]), batch).items():
            rows = weight_of(reference.get_submodule(key))
            for row in rows:
                order = (row.abs() * norms.to(row.dtype)).argsort(stable=True)
                row[order[: len(row) // 2]] = 0
            assert torch.equal(weight_of(model.get_submodule(key)), rows), key
    assert count_parameters(model)[0] == 0 and not any(parameter.requires_grad for parameter in model.parameters())


def norms_of(model, names: list[str], batch) -> dict[str, torch.Tensor]:
    """The norm of each input of some layers over all unpadded tokens, one token after the other."""
    squares: dict[str, torch.Tensor] = {}
    handles = []
    for name in names:

        def note(_, arguments, name=name):
            for text, mask in zip(arguments[0], batch["attention_mask"], strict=True):
                for token, there in zip(text, mask, strict=True):
                    if there:
                        squares[name] = squares.get(name, torch.zeros(len(token)).double()) + token.double() ** 2

        handles.append(model.get_submodule(name).register_forward_pre_hook(note))
    with torch.no_grad():
        model(**batch)
    for handle in handles:
        handle.remove()
    return {name: total.sqrt() for name, total in squares.items()}


@pytest.mark.parametrize("name", [*BASES, "roberta", "electra", "deberta-v2"])
@pytest.mark.parametrize("kind", ["lora", "dora", "ia3", "vera"])
def test_a_merged_adapter_answers_as_before_and_is_an_ordinary_model(kind, name):
    method, inputs = parse_method("m", {"kind": kind}), encoded(examples_for(name, 12), name)
    adapted = method.apply(classifier(name), 0)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    expected = predict_logits(adapted.eval(), inputs, CPU)
    plain = merged(adapted)
    assert type(plain) is type(classifier(name))
    assert set(plain.state_dict()) == set(classifier(name).state_dict())
    assert np.abs(predict_logits(plain.eval(), inputs, CPU) - expected).max() < 1e-4
    assert set(linear_layers(plain)) == set(linear_layers(classifier(name)))


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_full_weights_are_loaded_into_a_model_that_knows_its_last_token_and_its_new_parts(name, tmp_path):
    method = parse_method("m", {"kind": "full"})
    model = method.apply(load_classifier(base(name), CLASSES, 5), 5)
    method.save(model, tmp_path)
    given = classifier(name)
    loaded = method.load(given, tmp_path)
    assert loaded is given and all(
        torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ({"kind": "magnitude", "of": "full", "epochs": 2}, "epochs should be 0 or left out, not 2"),
        ({"kind": "rounded", "format": "int3"}, "methods.m.format"),
        ({"kind": "rounded", "epochs": 1}, "a method of kind rounded trains nothing"),
        ({"kind": "rounded", "lr": 1e-3}, "a method of kind rounded trains nothing"),
    ],
)
def test_settings_that_make_no_sense_are_refused(method, says):
    with pytest.raises(InputError, match=says):
        parse_method("m", method)


def test_what_is_compressed_is_no_hyperparameter_and_older_identities_stay():
    assert Rounded(of="full").hyperparameters() == {"kind": "rounded", "format": "nf4"}
    assert "of" not in Magnitude(of="full").hyperparameters() and Magnitude(of="full").epochs == 0
    wanda = {"kind": "wanda", "lr": 3e-5, "epochs": 3, "sparsity": 0.5, "examples": 128}
    assert Wanda().hyperparameters() == wanda | {"calibration": "drawn"}
    assert LoRA.mergeable and not Rounded.mergeable


def test_rounding_to_4_bits_names_the_package_that_it_lacks(monkeypatch):
    monkeypatch.setattr("evenhand.methods.rounded.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match="nf4 needs bitsandbytes; try: pip install 'evenhand\\[quantized\\]', or format: int8"
    ):
        Rounded().check(classifier("bert"))
    Rounded(format="int8").check(classifier("bert"))
