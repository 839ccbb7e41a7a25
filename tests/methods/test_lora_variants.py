"""rsLoRA, initialisations, alpha as a multiple, and ranks below one: each against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenhand.errors import InputError
from evenhand.methods import LoRA, parse_method
from evenhand.training.loop import fit
from evenhand.training.pack import Replica, loss_and_accuracy, predict_logits
from evenhand.training.replicas import replica_pack
from small_models import IMAGE, TEXT, classifier, encoded, examples_for, recipe

CPU = torch.device("cpu")
BASES = (*TEXT, *IMAGE, "gpt2")
INITS = ("gaussian", "orthogonal", "pissa", "olora")
FITS = [(init, name) for init in INITS for name in BASES if (init, name) != ("olora", "gpt2")]


def layers(model):
    """The LoRA layers by the names that they have in the base."""
    from peft.tuners.lora import LoraLayer

    modules = model.named_modules()
    return {name.removeprefix("base_model.model."): found for name, found in modules if isinstance(found, LoraLayer)}


def weights(model):
    """Name, A and B of each layer."""
    for name, layer in layers(model).items():
        yield name, layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()


def test_alpha_may_be_a_multiple_of_the_rank_and_is_kept_as_a_number():
    assert LoRA(rank=4, alpha="2x").alpha == LoRA(rank=4).alpha == 8
    assert LoRA(rank=4, alpha="0.5x").hyperparameters() == LoRA(rank=4, alpha=2).hyperparameters()
    assert LoRA(rank=0.5, alpha="2x").alpha == LoRA(rank=0.5).alpha == 2


def test_rslora_scales_by_alpha_over_the_root_of_the_rank():
    model = LoRA(rank=16, alpha=8, rslora=True).apply(classifier(), 0)
    assert {layer.scaling["default"] for layer in layers(model).values()} == {2.0}


def test_what_a_plain_lora_has_no_use_for_is_no_part_of_its_identity():
    plain = {"kind": "lora", "lr": 3e-4, "epochs": 3, "rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": None}
    assert LoRA(rank=4, rslora=False, init="kaiming", layers=None).hyperparameters() == plain
    assert LoRA(rank=4, rslora=True).hyperparameters() == {**plain, "rslora": True}
    assert LoRA(rank=4, init="pissa").hyperparameters() == {**plain, "init": "pissa"}
    assert LoRA(rank=0.5).hyperparameters() == LoRA(rank=0.5, layers="front").hyperparameters()
    assert LoRA(rank=0.5).hyperparameters() == {**plain, "rank": 0.5, "alpha": 2.0, "layers": "front"}
    assert isinstance(LoRA(rank=4.0).rank, int)


@pytest.mark.parametrize(("init", "name"), FITS)
def test_every_initialisation_starts_as_the_base_and_learns(init, name, tmp_path):
    method = LoRA(rank=4, init=init, lr=0.01, epochs=4)
    model = method.apply(classifier(name, 3), 3)
    dataset = examples_for(name, 48)
    inputs = encoded(dataset, name)
    start = predict_logits(model, inputs, CPU)
    assert np.allclose(start, predict_logits(classifier(name, 3), inputs, CPU), rtol=0, atol=1e-4)
    frozen = {key: value.clone() for key, value in model.named_parameters() if not value.requires_grad}
    pack = method.pack(model, inputs, dataset.labels, seed=3, train=recipe(batch_size=12), device=CPU)
    fit(pack, [None], lambda _place, _row: None)
    trained = predict_logits(model, inputs, CPU)
    assert loss_and_accuracy(trained, dataset.labels)[0] < loss_and_accuracy(start, dataset.labels)[0]
    assert all(torch.equal(value, frozen[key]) for key, value in model.named_parameters() if key in frozen)
    method.save(model, tmp_path)
    loaded = method.load(classifier(name, 3), tmp_path)
    assert np.array_equal(predict_logits(loaded, inputs, CPU), trained)


def test_pissa_takes_the_principal_part_of_each_layer_and_leaves_the_rest():
    model = LoRA(rank=4, alpha=6, init="pissa").apply(classifier(), 0)
    base = classifier()
    for name, a, b in weights(model):
        weight = base.get_submodule(name).weight.detach()
        u, s, v = torch.linalg.svd(weight)
        assert torch.allclose(1.5 * b @ a, u[:, :4] @ torch.diag(s[:4]) @ v[:4], atol=1e-5)
        rest = layers(model)[name].base_layer.weight
        assert torch.allclose(torch.linalg.svdvals(rest.detach())[:28], s[4:], atol=1e-4)


def test_olora_takes_its_update_from_the_qr_decomposition():
    model = LoRA(rank=4, alpha=6, init="olora").apply(classifier(), 0)
    base = classifier()
    for name, a, b in weights(model):
        weight = base.get_submodule(name).weight.detach()
        q, r = torch.linalg.qr(weight)
        assert torch.allclose(b, q[:, :4], atol=1e-6)
        assert torch.allclose(a, r[:4], atol=1e-6)
        assert torch.allclose(layers(model)[name].base_layer.weight + 1.5 * b @ a, weight, atol=1e-5)


def test_orthogonal_draws_a_and_b_whose_product_is_0():
    for _, a, b in weights(LoRA(rank=6, init="orthogonal").apply(classifier(), 0)):
        assert a.any()
        assert b.any()
        assert torch.allclose(b @ a, torch.zeros(32, 32), atol=1e-6)


def test_gaussian_draws_a_with_standard_deviation_1_over_the_rank():
    drawn = torch.cat([a.flatten() for _, a, _ in weights(LoRA(rank=8, init="gaussian").apply(classifier(), 0))])
    assert abs(drawn.std().item() * 8 - 1) < 0.1
    assert not any(b.any() for _, _, b in weights(LoRA(rank=8, init="gaussian").apply(classifier(), 0)))


@pytest.mark.parametrize("init", ["gaussian", "orthogonal"])
def test_what_an_initialisation_draws_is_a_function_of_the_seed(init):
    def drawn(seed):
        return [value for _, *both in weights(LoRA(init=init).apply(classifier(), seed)) for value in both]

    assert all(torch.equal(a, b) for a, b in zip(drawn(0), drawn(0), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(drawn(0), drawn(1), strict=True))


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize(("layers_", "place"), [("front", 0), ("back", 1), (None, 0)])
def test_a_rank_below_1_is_rank_1_on_a_share_of_the_layers(name, layers_, place):
    model = LoRA(rank=0.5, layers=layers_).apply(classifier(name), 0)
    whole = layers(LoRA(rank=1).apply(classifier(name), 0))
    part = "layers.{}." if name in ("vit", "swinv2", "llama", "mistral") else "h.{}." if name == "gpt2" else "layer.{}."
    assert set(layers(model)) == {key for key in whole if part.format(place) in key}
    assert {layer.r["default"] for layer in layers(model).values()} == {1}
    assert {layer.scaling["default"] for layer in layers(model).values()} == {2.0}


def vit(depth: int):
    from transformers import ViTConfig, ViTForImageClassification

    shape = {"hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8, "image_size": 8, "patch_size": 4}
    return ViTForImageClassification(ViTConfig(num_hidden_layers=depth, **shape))


@pytest.mark.parametrize(
    ("rank", "depth", "count"),
    [(0.25, 12, 3), (0.5, 12, 6), (0.75, 12, 9), (0.75, 40, 30), (0.25, 6, 2), (0.5, 5, 3), (0.01, 4, 1)],
)
def test_a_share_is_rounded_to_whole_layers_and_is_one_at_least(rank, depth, count):
    def chosen(where, seed=0):
        found = layers(LoRA(rank=rank, layers=where).apply(vit(depth), seed))
        return sorted({int(name.split(".")[2]) for name in found})

    assert chosen("front") == list(range(count))
    assert chosen("back") == list(range(depth - count, depth))
    assert len(chosen("random")) == count
    assert chosen("random") == chosen("random")
    if depth == 12:
        assert len({tuple(chosen("random", seed)) for seed in range(5)}) > 1


def test_a_rank_below_1_is_kept_with_the_layers_that_it_drew(tmp_path):
    method = LoRA(rank=0.5, layers="random")
    model = method.apply(classifier("vit", 5), 5).eval()
    for layer in layers(model).values():
        torch.nn.init.normal_(layer.lora_B["default"].weight)
    method.save(model, tmp_path)
    loaded = method.load(classifier("vit", 5), tmp_path)
    assert set(layers(loaded)) == set(layers(model))
    inputs = encoded(examples_for("vit", 8), "vit")
    assert np.array_equal(predict_logits(loaded, inputs, CPU), predict_logits(model, inputs, CPU))


@pytest.mark.parametrize(
    ("values", "name", "sentence"),
    [
        ({"rank": 17, "init": "pissa"}, "llama", "init: pissa takes its rank from the layer, and .*v_proj.* has 16"),
        ({"rank": 17, "init": "olora"}, "mistral", "init: olora takes its rank from the layer, and .*v_proj.* has 16"),
        ({"init": "olora"}, "gpt2", "PEFT's init: olora does not know the transposed layers of GPT2"),
        ({"rank": 0.5, "targets": "pooler.dense"}, "bert", "no target lies in a repeated layer of BertForSequence"),
        ({"rank": 0.5, "targets": "layer.1.attention.self.key"}, "bert", "matches no layer in bert.encoder.layer.0 of"),
    ],
)
def test_what_an_initialisation_or_a_share_cannot_do_is_refused(values, name, sentence):
    with pytest.raises(InputError, match=f"^lora: .*{sentence}"):
        parse_method("m", {"kind": "lora", **values}).apply(classifier(name), 0)


@pytest.mark.parametrize("name", ["bert", "vit", "llama"])
def test_variants_trained_in_one_pack_are_what_each_is_alone(name):
    dataset, train = examples_for(name, 48), recipe(batch_size=8)
    inputs = encoded(dataset, name)
    shared = {"lr": 0.01, "epochs": 2, "rank": 4}
    methods = [
        LoRA(**shared),
        LoRA(**shared, init="pissa"),
        LoRA(**shared, init="olora", rslora=True, alpha="0.5x"),
        LoRA(**{**shared, "rank": 0.5}, layers="back"),
        LoRA(**{**shared, "rank": 6}, init="orthogonal"),
    ]
    models = [method.apply(classifier(name, seed), seed) for seed, method in enumerate(methods)]
    chosen = [Replica(seed, one.lr, one.epochs, train, inputs, dataset.labels) for seed, one in enumerate(methods)]
    pack = replica_pack(iter(models), chosen, CPU)
    fit(pack, [None] * len(methods), lambda _place, _row: None)
    for seed, method in enumerate(methods):
        alone = method.apply(classifier(name, seed), seed)
        single = method.pack(alone, inputs, dataset.labels, seed=seed, train=train, device=CPU)
        fit(single, [None], lambda _place, _row: None)
        assert np.allclose(pack.predict(seed, inputs), single.predict(0, inputs), rtol=0, atol=1e-4)
