"""What is pruned is exactly what the rule says, and stays 0 through training, keeping and loading."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch

from evenhand.methods import Magnitude, Wanda
from evenhand.methods.calibration import BlockPasses, input_norms
from evenhand.methods.layers import blocks, linear_layers, transposed, within
from evenhand.methods.sparse import MASK, smallest_entries
from evenhand.tasks.classification import count_parameters
from evenhand.training.loop import fit
from small_models import classifier, encoded, examples_for, recipe

CPU = torch.device("cpu")
BASES = ("bert", "vit", "swinv2", "llama", "mistral", "gpt2")


def pruned(method, name: str):
    """A method's pack on 48 examples, before its first step."""
    dataset = examples_for(name, 48)
    model = method.apply(classifier(name), 0)
    train = recipe(batch_size=8, weight_decay=0.5)
    return method.pack(model, encoded(dataset, name), dataset.labels, seed=0, train=train, device=CPU)


def rows_of(model, name: str) -> torch.Tensor:
    """A layer's weight, a row per output."""
    layer = model.get_submodule(name)
    return layer.weight.detach().T if transposed(layer) else layer.weight.detach()


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("sparsity", [0.3, 0.75])
def test_magnitude_sets_exactly_the_smallest_weights_of_each_layer_to_0(name, sparsity):
    before = classifier(name).state_dict()
    model = pruned(Magnitude(sparsity=sparsity), name).module
    inside = within(linear_layers(model), blocks(model))
    assert inside
    for layer in inside:
        was, now = before[f"{layer}.weight"].abs().flatten(), model.get_parameter(f"{layer}.weight").flatten()
        zero = now == 0
        assert int(zero.sum()) == math.floor(sparsity * len(was))
        assert was[zero].max() <= was[~zero].min()
        assert torch.equal(now[~zero].abs(), was[~zero])
    touched = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert touched == {f"{layer}.weight" for layer in inside}


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("sparsity", [0.3, 0.75])
def test_wanda_sets_the_same_share_of_every_row_to_0(name, sparsity):
    before = classifier(name).state_dict()
    model = pruned(Wanda(sparsity=sparsity, examples=40), name).module
    inside = within(linear_layers(model), blocks(model))
    for layer in inside:
        rows = rows_of(model, layer)
        assert set((rows == 0).sum(dim=1).tolist()) == {math.floor(sparsity * rows.shape[1])}
    touched = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    # A Swin's position bias has rows of two weights, of which a small share is none.
    assert touched == {f"{name}.weight" for name in inside if sparsity * rows_of(model, name).shape[1] >= 1}


@pytest.mark.parametrize("name", ["bert", "swinv2", "gpt2"])
def test_wanda_keeps_the_weights_of_greatest_weight_times_norm_layer_after_layer(name):
    method = Wanda(sparsity=0.5, examples=20)
    model = pruned(method, name).module
    reference = classifier(name).eval()
    dataset = examples_for(name, 48)
    batch = encoded(dataset, name).batch(method.drawn(48, seed=0), CPU)
    for block in blocks(reference):
        names = within(linear_layers(reference), [block])
        # Everything this block is given comes from blocks that are pruned already.
        seen = {layer: recorded(reference, layer, batch) for layer in names}
        for layer in names:
            rows = rows_of(reference, layer)
            scores = rows.double().abs() * seen[layer].norm(dim=0)
            kept = rows_of(model, layer) != 0
            for row, keep in zip(scores, kept, strict=True):
                assert row[keep].min() >= row[~keep].max() * (1 - 1e-6)
            rows_of(reference, layer).mul_(kept)


def recorded(model, layer: str, batch) -> torch.Tensor:
    """What goes into a layer, token by token, padding left out: float64 [tokens, in]."""
    given = []
    handle = model.get_submodule(layer).register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
    with torch.no_grad():
        model(**batch)
    handle.remove()
    (x,) = given
    if "attention_mask" in batch:
        return torch.cat([row[: int(n)] for row, n in zip(x, batch["attention_mask"].sum(1), strict=True)]).double()
    return x.flatten(0, -2).double()


def test_norms_are_over_tokens_and_not_over_padding_or_batches():
    dataset = examples_for("bert", 12)
    inputs = encoded(dataset, "bert")
    model = classifier("bert").eval()
    layers = {"bert.encoder.layer.0.attention.self.query": model.bert.encoder.layer[0].attention.self.query}
    together = input_norms(model, layers, [inputs.batch(np.arange(12), CPU)])
    alone = input_norms(model, layers, [inputs.batch(np.array([row]), CPU) for row in range(12)])
    for name in layers:
        assert torch.allclose(together[name], alone[name], rtol=1e-5)


@pytest.mark.parametrize("name", BASES)
def test_norms_of_a_block_are_the_same_where_the_pass_ends_behind_it(name):
    model, batch = classifier(name).eval(), encoded(examples_for(name, 6), name).batch(np.arange(6), CPU)
    every = linear_layers(model)
    for block in blocks(model):
        layers = {layer: every[layer] for layer in within(every, [block])}
        calls = []
        handle = model.get_submodule("classifier" if hasattr(model, "classifier") else "score").register_forward_hook(
            lambda *_, calls=calls: calls.append(1)
        )
        ended = input_norms(model, layers, [batch], model.get_submodule(block))
        assert not calls  # the head was not reached
        whole = input_norms(model, layers, [batch])
        handle.remove()
        assert calls and all(torch.equal(ended[layer], whole[layer]) for layer in layers)


@pytest.mark.parametrize("name", BASES)
def test_kept_outputs_give_the_norms_of_whole_passes_and_no_block_is_computed_more_than_twice(name):
    model, inputs = classifier(name).eval(), encoded(examples_for(name, 10), name)
    batches = [inputs.batch(np.arange(6), CPU), inputs.batch(np.arange(6, 10), CPU)]
    every, names = linear_layers(model), list(blocks(model))
    passes = BlockPasses(model, names, batches)
    assert passes.keeps
    calls = Counter()
    for block in names:
        layers = {layer: every[layer] for layer in within(every, [block])}
        whole = input_norms(model, layers, batches)
        first = next(iter(layers.values()))
        handle = first.register_forward_hook(lambda *_, block=block: calls.update([block]))
        found = passes.norms(block, layers)
        assert all(torch.equal(found[layer], whole[layer]) for layer in layers)
        with torch.no_grad():
            for layer in layers.values():
                layer.weight.mul_(layer.weight.abs() > layer.weight.abs().median())
        passes.finish(block)
        handle.remove()
    assert set(calls.values()) == {2 * len(batches)}
    assert not any("forward" in vars(module) for module in model.modules())  # nothing of it stays


def test_a_block_that_is_given_more_than_the_last_one_returns_is_reached_by_whole_passes():
    """Outputs of earlier blocks are not kept where a later block needs them."""
    two = classifier("bert")
    two.config.num_hidden_layers = 3
    model, inputs = type(two)(two.config).eval(), encoded(examples_for("bert", 8), "bert")
    first, last = (model.bert.encoder.layer[place] for place in (0, -1))
    seen = []
    first.register_forward_hook(lambda _, __, output: seen.append(output))
    last.register_forward_pre_hook(lambda _, arguments: (arguments[0] + _hidden(seen[-1]), *arguments[1:]))
    batches, names = [inputs.batch(np.arange(8), CPU)], list(blocks(model))
    passes = BlockPasses(model, names, batches)
    assert not passes.keeps
    layers = linear_layers(model)
    wanted = {layer: layers[layer] for layer in within(layers, [names[-1]])}
    for block in names[:-1]:
        passes.finish(block)
    found, whole = passes.norms(names[-1], wanted), input_norms(model, wanted, batches)
    assert all(torch.equal(found[layer], whole[layer]) for layer in wanted)


def _hidden(output):
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("method", [Magnitude(lr=1e-2, epochs=2), Wanda(lr=1e-2, epochs=2)], ids=lambda m: m.kind)
def test_pruned_weights_are_0_after_training_and_all_others_have_moved(method, name, tmp_path):
    pack = pruned(method, name)
    model = pack.module
    start = {key: value.detach().clone() for key, value in model.named_parameters()}
    masks = {key.removesuffix(f".{MASK}"): mask.clone() for key, mask in model.named_buffers() if key.endswith(MASK)}
    fit(pack, [None], lambda _place, _row: None)
    method.save(model, tmp_path)
    loaded = method.load(classifier(name), tmp_path)
    assert set(masks) == set(within(linear_layers(model), blocks(model)))
    for layer, mask in masks.items():
        weight = model.get_parameter(f"{layer}.weight")
        assert not weight[mask].any()
        # Half of the units of a Swin's position bias are never active.
        if "position_bias" not in layer:
            assert weight[~mask].ne(start[f"{layer}.weight"][~mask]).float().mean() > 0.99
        assert torch.equal(loaded.get_parameter(f"{layer}.weight"), weight)


@pytest.mark.parametrize("method", [Magnitude(sparsity=0.4), Wanda(sparsity=0.4)], ids=lambda m: m.kind)
@pytest.mark.parametrize("name", BASES)
def test_pruned_weights_are_not_counted_as_learning(method, name):
    model = pruned(method, name).module
    total = sum(parameter.numel() for parameter in model.parameters())
    zeros = sum(int((rows_of(model, layer) == 0).sum()) for layer in within(linear_layers(model), blocks(model)))
    assert count_parameters(model) == (total - zeros, total)


def test_the_least_of_a_row_are_rounded_down_and_ties_go_by_place():
    scores = torch.tensor([[3.0, 1, 1, 1], [0, 0, 0, 0], [1, 2, 3, 4]])
    assert smallest_entries(scores, 0.5).tolist() == [[0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert smallest_entries(torch.arange(100.0)[None], 0.29).sum() == 29
    assert smallest_entries(torch.arange(10.0)[None], 0.37).sum() == 3


def test_wanda_draws_training_examples_from_the_whole_set():
    """A data set may be sorted by group, so that its first examples are all about one."""
    drawn = [Wanda(examples=100).drawn(1000, seed) for seed in range(20)]
    assert all(len(np.unique(rows)) == 100 and (np.diff(rows) > 0).all() for rows in drawn)
    assert not np.array_equal(drawn[0], drawn[1])
    for part in range(10):  # hypergeometric: 10 of each hundred, standard deviation 2.85; of the mean of 20, .64
        assert abs(np.mean([np.count_nonzero(rows // 100 == part) for rows in drawn]) - 10) < 3


def test_wanda_looks_at_no_more_training_examples_than_there_are():
    few, all_of_them = (pruned(Wanda(examples=count), "bert").module.state_dict() for count in (4, 48))
    more = pruned(Wanda(examples=1000), "bert").module.state_dict()
    assert any(not torch.equal(few[key], all_of_them[key]) for key in few)
    assert all(torch.equal(more[key], all_of_them[key]) for key in more)
