"""What the loop trains: steps cut into parts, replicas that rest, and predictions in the order of the inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from evenhand.methods import parse_method
from evenhand.training.batches import epoch_batches
from evenhand.training.loop import fit
from evenhand.training.optimizer import share_of_peak
from evenhand.training.pack import Pack, Single, Validation, predict_logits, single_pack, train_mode
from small_models import IMAGE, TEXT, classifier, encoded, examples_for, posts, recipe

CPU = torch.device("cpu")


def trial(n: int = 40, seed: int = 0, lr: float = 5e-3, epochs: int = 2, kind: str = "lora", **train) -> Single:
    """A pack of one over a BERT."""
    module = parse_method("m", {"kind": kind}).apply(classifier("bert", seed), seed)
    dataset = posts(n, seed)
    return single_pack(
        module, encoded(dataset, "bert"), dataset.labels, seed=seed, lr=lr, epochs=epochs, train=recipe(**train)
    )


@dataclass(eq=False)
class Beside(Pack):
    """Models that share nothing but the loop."""

    def losses(self, part):
        found = []
        for place, (module, replica) in enumerate(zip(self.module, self.replicas, strict=True)):
            rows = part.rows[place]
            if not len(rows):
                found.append(torch.zeros(()))
                continue
            logits = module(**replica.inputs.batch(rows, CPU)).logits
            labels = torch.from_numpy(replica.labels[rows])
            found.append(nn.functional.cross_entropy(logits, labels, reduction="sum") / part.sizes[place])
        return torch.stack(found)

    def predict(self, replica, inputs):
        return predict_logits(self.module[replica], inputs, CPU)


def logged(pack: Pack, validation: list[Validation | None]):
    rows: list[list[dict]] = [[] for _ in pack.replicas]
    fitted = fit(pack, validation, lambda place, row: rows[place].append({**row, "seconds": 0}))
    return rows, fitted


def test_a_step_is_cut_into_parts_that_know_the_size_of_the_whole_step():
    pack = trial(n=77, batch_size=8, accumulate=2)
    found = list(pack.batches(1))
    expected = epoch_batches(77, pack.replicas[0].inputs.lengths, 16, 0, 1)
    assert len(found) == len(expected) == 5
    for step, rows in zip(found, expected, strict=True):
        (size,) = step.sizes
        assert size == len(rows)
        assert np.concatenate([part.rows[0] for part in step.micro_batches]).tolist() == rows.tolist()
        assert [len(part.rows[0]) for part in step.micro_batches] == ([8, 8] if size == 16 else [8, 5])
        assert {part.sizes for part in step.micro_batches} == {(size,)}


def test_the_parts_losses_add_up_to_the_mean_over_the_step():
    pack = trial(n=29, batch_size=8, accumulate=4)
    (step,) = pack.batches(0)
    (rows,) = epoch_batches(29, pack.replicas[0].inputs.lengths, 32, 0, 0)
    dataset = posts(29)
    with torch.inference_mode():
        logits = pack.module(**encoded(dataset, "bert").batch(rows, CPU)).logits
        mean = nn.functional.cross_entropy(logits, torch.from_numpy(dataset.labels[rows]))
        assert sum(pack.losses(part).item() for part in step.micro_batches) == pytest.approx(mean.item(), abs=1e-6)


@pytest.mark.parametrize(("n", "epochs", "batch_size", "accumulate", "steps"), [
    (64, 3, 16, 1, 12),
    (65, 3, 16, 1, 15),
    (65, 3, 16, 2, 9),
    (5, 2, 16, 1, 2),
    (5, 0, 16, 1, 0),
])  # fmt: skip
def test_steps_are_epochs_times_batches_rounded_up(n, epochs, batch_size, accumulate, steps):
    pack = trial(n=n, epochs=epochs, batch_size=batch_size, accumulate=accumulate)
    assert pack.replicas[0].steps == steps == sum(len(list(pack.batches(epoch))) for epoch in range(epochs))
    assert list(pack.batches(epochs)) == []


def test_a_step_moves_what_learns_at_the_schedules_rate_and_forgets_the_gradients():
    pack = trial(n=32, lr=0.01, schedule="linear", warmup=0.0, weight_decay=0.0)
    (replica,) = pack.replicas
    for taken, step in enumerate(pack.batches(0)):
        assert replica.steps_taken == taken
        assert replica.rate == 0.01 * share_of_peak(taken, 4, replica.train) == 0.01 * (1 - taken / 4)
        pack.losses(step.micro_batches[0]).sum().backward()
        before = pack.module.base_model.model.classifier.modules_to_save["default"].bias.detach().clone()
        norm = pack.step(step)
        assert norm.shape == (1,)
        assert norm.item() > 0
        assert {group["lr"] for group in replica.adamw.param_groups} == {0.01 * (1 - taken / 4)}
        assert all(parameter.grad is None for parameter in pack.module.parameters())
        if taken == 0:
            # AdamW's first step has the size of the learning rate, whatever the gradient.
            moved = pack.module.base_model.model.classifier.modules_to_save["default"].bias - before
            assert moved.abs().tolist() == pytest.approx([0.01, 0.01], rel=1e-3)


@pytest.mark.parametrize("model_type", [*TEXT, *IMAGE, "gpt2", "resnet"])
def test_predictions_come_in_the_order_of_the_inputs_whatever_their_neighbours(model_type):
    model = classifier(model_type)
    texts = encoded(examples_for(model_type, 30), model_type)
    alone = predict_logits(model, texts, CPU, size=1)
    assert alone.shape == (30, 2)
    assert alone.dtype == np.float32
    assert len(np.unique(alone.round(5), axis=0)) == 30
    for size in (7, 64):
        assert predict_logits(model, texts, CPU, size) == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("model_type", ["llama", "mistral", "gpt2"])
def test_a_decoder_classifies_its_last_token_and_never_the_padding(model_type):
    model = classifier(model_type)
    texts = encoded(posts(30), model_type)
    assert len(set(texts.lengths)) > 5
    found = predict_logits(model, texts, CPU)
    for row in range(30):
        with torch.inference_mode():
            hidden = model.base_model(torch.from_numpy(texts.tokens[row])[None]).last_hidden_state
            direct = model.score(hidden[0, -1])
        assert found[row] == pytest.approx(direct.numpy(), abs=1e-5)


def test_prediction_is_in_evaluation_mode_and_leaves_the_mode_as_it_was():
    model = classifier("bert")
    modes = []
    model.classifier.register_forward_hook(lambda module, *_: modes.append(module.training))
    texts = encoded(posts(3), "bert")
    for training in (True, False):
        model.train(training)
        predict_logits(model, texts, CPU)
        assert {module.training for module in model.modules()} == {training}
    assert modes == [False, False]


@pytest.mark.parametrize("kind", ["full", "head"])
def test_batch_normalisation_follows_the_batches_only_where_it_learns(kind):
    model = parse_method("m", {"kind": kind}).apply(classifier("resnet"), 0)
    for prepare in (train_mode, lambda model: predict_logits(model, encoded(examples_for("resnet", 2), "resnet"), CPU)):
        prepare(model)
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms
        assert {module.training for module in norms} == {kind == "full"}
        assert model.training
        assert model.classifier.training


def test_a_trial_does_not_depend_on_its_pack():
    """Three replicas with other seeds, examples, rates and ends, side by side and each by itself, bit for bit."""
    choices = [
        {"n": 40, "seed": 0, "lr": 5e-3, "epochs": 2},
        {"n": 23, "seed": 1, "lr": 1e-3, "epochs": 4, "kind": "head"},
        {"n": 64, "seed": 2, "lr": 1e-2, "epochs": 1, "kind": "full"},
    ]
    rest = posts(10, seed=9)
    validation = [Validation(encoded(rest, "bert"), rest.labels), None, Validation(encoded(rest, "bert"), rest.labels)]
    alone = [trial(**values) for values in choices]
    expected = [logged(pack, [examples]) for pack, examples in zip(alone, validation, strict=True)]
    together = [trial(**values) for values in choices]
    pack = Beside(nn.ModuleList(one.module for one in together), [one.replicas[0] for one in together])
    rows, fitted = logged(pack, validation)
    for place, (own_rows, own_fitted) in enumerate(expected):
        assert rows[place] == own_rows[0]
        assert fitted[place] == own_fitted[0]
        mine, theirs = pack.module[place].state_dict(), alone[place].module.state_dict()
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_replica_whose_loss_is_no_number_stops_and_the_others_go_on():
    together = [trial(seed=0), trial(seed=1, lr=1e30, kind="full"), trial(seed=2, epochs=1)]
    pack = Beside(nn.ModuleList(one.module for one in together), [one.replicas[0] for one in together])
    rows, fitted = logged(pack, [None] * 3)
    assert [one.failed is None for one in fitted] == [True, False, True]
    assert "of 6 (learning rate" in fitted[1].failed
    assert fitted[1].train_loss is None
    assert all(np.isfinite(row["loss"]) for row in rows[1])
    for place in (0, 2):
        own = trial(seed=place, epochs=2 if place == 0 else 1)
        assert rows[place] == logged(own, [None])[0][0]


@pytest.mark.parametrize("name", ["bert", "vit", "swinv2", "llama", "mistral"])
@pytest.mark.parametrize("kind", ["full", "lora", "head"])
def test_after_the_first_step_all_that_learns_has_a_gradient_and_the_rest_stays_bit_for_bit(kind, name):
    """The other methods' turn comes in tests/methods; replicas' in test_replicas.py."""
    module = parse_method("m", {"kind": kind}).apply(classifier(name, 0), 0)
    dataset = examples_for(name, 32)
    pack = single_pack(module, encoded(dataset, name), dataset.labels, seed=0, lr=5e-3, epochs=1, train=recipe())
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    frozen = [name for name, parameter in module.named_parameters() if not parameter.requires_grad]
    first, second = pack.batches(0)
    for batch in (first, second):
        pack.losses(batch.micro_batches[0]).sum().backward()
        still = [
            name for name, p in module.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
        ]
        pack.step(batch)
    assert still == []
    assert bool(frozen) == (kind != "full")
    assert all(torch.equal(module.get_parameter(name), before[name]) for name in frozen)
