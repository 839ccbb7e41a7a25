"""The learning rate has a closed form; decay spares what the Trainer's spares; clipping is torch's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from evenhand.training.optimizer import build_adamw, clip_gradients, share_of_peak, undecayed
from small_models import IMAGE, TEXT, classifier, recipe


def curve(steps: int, **values) -> list[float]:
    return [share_of_peak(step, steps, recipe(**values)) for step in range(steps)]


def test_cosine_falls_as_its_closed_form():
    rates = curve(100, schedule="cosine", warmup=0.1)
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx((1 + math.cos(math.pi * 89 / 90)) / 2)


def test_linear_falls_by_equal_steps():
    rates = curve(10, schedule="linear", warmup=0)
    assert rates == pytest.approx([1 - step / 10 for step in range(10)])


def test_constant_stays():
    assert curve(5, schedule="constant", warmup=0) == [1.0] * 5


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_after_warm_up_the_schedule_is_that_of_transformers(schedule):
    from transformers import get_scheduler

    name = "constant_with_warmup" if schedule == "constant" else schedule
    adamw = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_scheduler(name, adamw, num_warmup_steps=7, num_training_steps=100)
    ours = curve(100, schedule=schedule, warmup=0.07)
    for step in range(100):
        if step >= 7:
            assert ours[step] == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        adamw.step()
        theirs.step()


def test_the_first_step_always_learns():
    for steps in (1, 2, 10, 1000):
        for warmup in (0.0, 0.01, 0.5):
            assert curve(steps, warmup=warmup)[0] > 0


@pytest.mark.parametrize("model_type", TEXT + IMAGE)
def test_decay_spares_what_the_trainers_spares(model_type):
    from transformers.trainer_pt_utils import get_parameter_names

    model = classifier(model_type)
    patterns = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
    theirs = set(get_parameter_names(model, [nn.LayerNorm], patterns))
    every = {name for name, _ in model.named_parameters()}
    assert every - undecayed(model) == theirs
    groups = build_adamw(model, 1e-3, 0.1).param_groups
    assert sum(len(group["params"]) for group in groups) == len(every)


def test_what_is_frozen_is_not_in_the_optimiser():
    model = classifier().requires_grad_(False)
    model.classifier.requires_grad_(True)
    (decayed, spared) = build_adamw(model, 1e-3, 0.1).param_groups
    assert decayed["params"] == [model.classifier.weight]
    assert spared["params"] == [model.classifier.bias]
    assert spared["weight_decay"] == 0


@pytest.mark.parametrize("limit", [0.5, 100.0, None])
def test_clipping_is_torchs(limit):
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(2))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        one.grad = torch.randn_like(one)
        other.grad = one.grad.clone()
    norm = nn.utils.clip_grad_norm_(theirs, math.inf if limit is None else limit)
    assert clip_gradients(ours, limit).item() == pytest.approx(norm.item())
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        assert torch.equal(one.grad, other.grad)
