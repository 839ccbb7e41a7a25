"""DP-SGD as opacus runs it in the loop is what the paper says: each example drawn, clipped and noised on its own."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

from evenhand.errors import InputError, TrainingError
from evenhand.methods import parse_method
from evenhand.training import optimizer
from evenhand.training.batches import TokenizedTexts
from evenhand.training.loop import fit, raise_if_diverged
from evenhand.training.pack import Batch, MicroBatch, Single, single_pack
from evenhand.training.private import (
    GaussianMechanism,
    PositionedTexts,
    PrivatePack,
    calibrate_noise,
    private_pack,
    sample_rate,
)
from small_models import classifier, encoded, examples_for, recipe

CPU = torch.device("cpu")
FULL, LORA = {"kind": "full", "lr": 1e-3}, {"kind": "lora", "rank": 4, "lr": 1e-3}
UNCLIPPED = 1e9


def plain(method=LORA, model_type="bert", n=40, seed=0, epochs=1, exact=False, **train) -> Single:
    """A trial before it is made private; `exact`: in float64."""
    spec = parse_method("m", method)
    module = spec.apply(classifier(model_type, seed), seed)
    dataset = examples_for(model_type, n)
    inputs = encoded(dataset, model_type)
    if exact:
        module.double()
    return single_pack(module, inputs, dataset.labels, seed=seed, lr=spec.lr, epochs=epochs, train=recipe(**train))


def made_private(pack: Single, noise=0.0, max_grad_norm=UNCLIPPED) -> PrivatePack:
    (replica,) = pack.replicas
    return private_pack(pack, GaussianMechanism(noise, max_grad_norm, sample_rate(replica), 1e-5))


def learning(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def gradients_of(pack: PrivatePack) -> list[dict[str, torch.Tensor]]:
    """Filled with what AdamW is given, step by step."""
    seen: list[dict[str, torch.Tensor]] = []

    def note(*_) -> None:
        seen.append({name: parameter.grad.clone() for name, parameter in learning(pack.module).items()})

    pack.optimizer.original_optimizer.register_step_pre_hook(note)
    return seen


def step_with(pack: PrivatePack, batch) -> None:
    for part in batch.micro_batches:
        pack.losses(part).sum().backward()
    pack.step(batch)


def trained(pack: Single) -> list[dict]:
    rows: list[dict] = []
    raise_if_diverged(fit(pack, [None], lambda _, row: rows.append(row))[0])
    return rows


def test_epsilon_is_that_of_the_literature():
    # Abadi et al. 2016 with σ = 1, q = .016; without amplification, two passes of the plain Gaussian mechanism.
    assert GaussianMechanism(1.0, 1.0, 0.016, 1e-5).epsilon(120) == pytest.approx(1.64, abs=0.005)
    assert GaussianMechanism(1.0, 1.0, 1.0, 1e-5).epsilon(2) == pytest.approx(7.08, abs=0.005)


def test_no_noise_is_no_privacy_and_no_step_costs_nothing():
    assert GaussianMechanism(0.0, 1.0, 0.1, 1e-5).epsilon(1) == math.inf
    assert GaussianMechanism(1.0, 1.0, 0.1, 1e-5).epsilon(0) == 0


@pytest.mark.parametrize("epsilon", [0.05, 1, 8, 1000])
def test_the_noise_is_the_least_that_keeps_the_budget(epsilon):
    mechanism = calibrate_noise(epsilon, 1e-5, 1.0, 0.02, 150)
    assert 0.999 * epsilon <= mechanism.epsilon(150) <= epsilon
    assert GaussianMechanism(0.99 * mechanism.noise_multiplier, 1.0, 0.02, 1e-5).epsilon(150) > epsilon


def test_a_budget_that_no_noise_can_keep_is_refused():
    with pytest.raises(InputError, match=r"^epsilon 0.001 with delta 1e-05 cannot be guaranteed with any noise"):
        calibrate_noise(0.001, 1e-5, 1.0, 0.5, 1000)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "llama", "vit"])
@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("train", [{"batch_size": 16}, {"batch_size": 5, "accumulate": 3}], ids=["whole", "in parts"])
def test_a_step_is_the_sum_of_clipped_gradients_of_single_examples_over_the_expected_size(model_type, method, train):
    before = plain(method, model_type, exact=True, **train)
    alone, limit = deepcopy(before.module), 0.05
    pack = made_private(before, max_grad_norm=limit)
    seen, batch = gradients_of(pack), next(iter(pack.batches(0)))
    rows = np.concatenate([part.rows[0] for part in batch.micro_batches])
    step_with(pack, batch)

    expected = {name: torch.zeros_like(parameter) for name, parameter in learning(alone).items()}
    (replica,), clipped = before.replicas, 0
    for row in rows:
        alone.zero_grad()
        logits = alone(**replica.inputs.batch(np.array([row]), CPU)).logits
        nn.functional.cross_entropy(logits, torch.tensor(replica.labels[[row]])).backward()
        norm = torch.stack([parameter.grad.norm() for parameter in learning(alone).values()]).norm()
        clipped += bool(norm > limit)
        for name, parameter in learning(alone).items():
            # opacus adds 1e-6 to the norm.
            expected[name] += parameter.grad * min(1.0, limit / (norm.item() + 1e-6)) / replica.examples_per_step
    assert clipped > 1 and len(rows) > 5
    assert max((seen[0][name] - expected[name]).abs().max().item() for name in expected) < 1e-9


@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora"])
def test_without_noise_and_clipping_it_is_plain_training_on_the_same_batches(method):
    before = plain(method, epochs=3, exact=True, batch_size=16, clip_norm=None)
    other = deepcopy(before.module)
    pack = made_private(before)
    steps = [batch for epoch in range(3) for batch in pack.batches(epoch)]
    trained(pack)

    (replica,) = before.replicas
    adamw = optimizer.build_adamw(other, replica.lr, replica.train.weight_decay)
    for taken, batch in enumerate(steps):
        rows = np.concatenate([part.rows[0] for part in batch.micro_batches])
        logits = other(**replica.inputs.batch(rows, CPU)).logits
        loss = nn.functional.cross_entropy(logits, torch.tensor(replica.labels[rows]), reduction="sum") / 16
        adamw.zero_grad()
        loss.backward()
        for group in adamw.param_groups:
            group["lr"] = replica.lr * optimizer.share_of_peak(taken, len(steps), replica.train)
        adamw.step()
    ends = learning(pack.module)
    assert max((ends[name] - p).abs().max().item() for name, p in learning(other).items()) < 1e-9


def test_the_noise_has_the_standard_deviation_that_was_asked_for_and_is_new_in_every_step():
    pack = made_private(plain(FULL, batch_size=16), noise=2.0, max_grad_norm=0.5)
    seen = gradients_of(pack)
    for _ in range(2):
        step_with(pack, Batch((), (0,)))
    first, second = (torch.cat([gradient.flatten() for gradient in step.values()]) for step in seen)
    n = first.numel()
    assert first.std().item() == pytest.approx(2.0 * 0.5 / 16, rel=5 / math.sqrt(2 * n))
    assert abs(first.mean().item()) < 5 * 2.0 * 0.5 / 16 / math.sqrt(n)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 5 / math.sqrt(n)


def test_the_noise_is_of_the_seed_and_of_no_other_stream():
    seen = []
    for seed in (5, 5, 6):
        pack = made_private(plain(seed=seed, batch_size=16), noise=1.0, max_grad_norm=0.1)
        seen.append(gradients_of(pack))
        torch.randn(3)
        step_with(pack, Batch((), (0,)))
    assert all(torch.equal(seen[0][0][name], seen[1][0][name]) for name in seen[0][0])
    assert not any(torch.equal(seen[0][0][name], seen[2][0][name]) for name in seen[0][0])


def test_batch_sizes_are_binomial_and_every_example_is_drawn_as_often_as_any_other():
    pack = made_private(plain(n=64, epochs=500, batch_size=16))
    rows = [[part.rows[0] for part in batch.micro_batches] for epoch in range(500) for batch in pack.batches(epoch)]
    drawn = np.array([np.isin(np.arange(64), np.concatenate(parts)) for parts in rows])
    assert len(drawn) == 2000
    sizes, law = drawn.sum(1), binom(64, 0.25)
    assert sizes.mean() == pytest.approx(16, abs=4 * law.std() / math.sqrt(2000))
    assert sizes.var() == pytest.approx(law.var(), rel=4 * math.sqrt(2 / 2000))
    assert np.abs(drawn.mean(0) - 0.25).max() < 4.5 * math.sqrt(0.25 * 0.75 / 2000)
    assert max(len(part) for parts in rows for part in parts) <= 16


def test_a_batch_is_not_sorted_by_length():
    pack = made_private(plain(n=64, epochs=20, batch_size=16))
    lengths = pack.replicas[0].inputs.lengths
    drawn = [
        np.concatenate([part.rows[0] for part in batch.micro_batches]) for e in range(20) for batch in pack.batches(e)
    ]
    within = np.mean([lengths[rows].var() for rows in drawn])
    assert within == pytest.approx(lengths.var(), rel=0.2)


def test_batches_larger_than_the_data_hold_everything():
    pack = made_private(plain(n=10, batch_size=64))
    assert [batch.sizes for batch in pack.batches(0)] == [(10,)]
    assert pack.optimizer.expected_batch_size == 10


def test_empty_batches_are_steps_of_noise_and_count():
    pack = made_private(plain(n=12, epochs=2, batch_size=1), noise=1.0, max_grad_norm=0.1)
    sizes = [batch.sizes[0] for epoch in range(2) for batch in pack.batches(epoch)]
    assert 0 in sizes
    seen = gradients_of(pack)
    trained(pack)
    assert len(seen) == len(sizes) == pack.replicas[0].steps_taken == 24
    assert all(gradient.any() for step in seen for gradient in step.values())
    assert pack.epsilon(0) == pack.mechanism.epsilon(24) > 0


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    ends = []
    for seed in (3, 3, 4):
        pack = made_private(plain(seed=seed, batch_size=16), noise=1.0, max_grad_norm=0.1)
        rows = trained(pack)
        ends.append((rows[0]["loss"], {name: p.detach() for name, p in learning(pack.module).items()}))
        torch.randn(3)
        torch.set_rng_state(state)
    assert ends[0][0] == ends[1][0] != ends[2][0]
    assert all(torch.equal(ends[0][1][name], ends[1][1][name]) for name in ends[0][1])


@pytest.mark.parametrize("model_type", ["bert", "gpt2"])
def test_positions_that_are_passed_are_those_that_the_model_counts(model_type):
    inputs = encoded(examples_for(model_type, 8), model_type)
    assert isinstance(inputs, TokenizedTexts)
    module, rows = classifier(model_type), np.arange(8)
    given = PositionedTexts(inputs).batch(rows, CPU)
    assert given["position_ids"].shape == given["input_ids"].shape
    assert torch.equal(module(**given).logits, module(**inputs.batch(rows, CPU)).logits)


def test_every_b_moves_in_the_first_step():
    pack = made_private(plain(batch_size=16), noise=1.0, max_grad_norm=0.1)
    matrices = {name: p for name, p in learning(pack.module).items() if "lora_B" in name}
    before = {name: parameter.detach().clone() for name, parameter in matrices.items()}
    step_with(pack, next(iter(pack.batches(0))))
    assert len(matrices) == 4
    assert not any(torch.equal(parameter, before[name]) for name, parameter in matrices.items())


def test_an_adapter_that_only_noise_moves_fails_after_one_step():
    before = plain(batch_size=16, epochs=2)
    # With A at 0 nothing of an example reaches B.
    for name, parameter in before.module.named_parameters():
        if "lora_A" in name:
            nn.init.zeros_(parameter)
    pack = made_private(before, noise=1.0, max_grad_norm=0.1)
    with pytest.raises(TrainingError, match=r"the adapter does not learn: the first step had no part in .*lora_B"):
        trained(pack)
    assert pack.replicas[0].steps_taken == 1


def test_the_loss_in_the_log_is_the_mean_over_the_batch():
    before = plain(batch_size=6, accumulate=2)
    pack = made_private(before)
    batch = next(iter(pack.batches(0)))
    rows = np.concatenate([part.rows[0] for part in batch.micro_batches])
    shares = sum(pack.losses(part).item() for part in batch.micro_batches[:1])
    alone = Single(before.module, before.replicas).losses(MicroBatch((rows[:6],), (len(rows),))).item()
    assert shares == pytest.approx(alone, abs=1e-6)


def test_under_bfloat16_what_is_clipped_and_noised_is_still_float32():
    pack = made_private(plain(batch_size=5, accumulate=3, precision="bfloat16"), noise=1.0, max_grad_norm=0.1)
    seen = gradients_of(pack)
    trained(pack)
    assert all(gradient.dtype == torch.float32 for step in seen for gradient in step.values())


def test_what_was_attached_is_taken_off_after_the_last_step():
    pack = made_private(plain(batch_size=16))
    assert all("grad_sample" in vars(parameter) for parameter in learning(pack.module).values())
    trained(pack)
    assert not any("grad_sample" in vars(parameter) for parameter in pack.module.parameters())
    assert not any(module._backward_hooks for module in pack.module.modules())


def test_the_trial_of_two_examples_shifts_no_dropout():
    method = LORA | {"dropout": 0.3}
    pack, other = made_private(plain(method, exact=True)), plain(method, exact=True)
    batch = next(iter(pack.batches(0)))
    pack.module.train()
    other.module.train()
    alone = other.losses(batch.micro_batches[0])
    assert pack.losses(batch.micro_batches[0]).item() == pytest.approx(alone.item(), abs=1e-12)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_layers_that_see_something_else_than_examples_are_found_out(kind):
    with pytest.raises(InputError) as caught:
        made_private(plain({"kind": kind}, "swinv2"))
    said = str(caught.value)
    assert said.startswith("Swinv2ForImageClassification cannot be trained privately: ")
    assert "rows, not of 2 examples" in said if kind == "lora" else "opacus says: " in said
