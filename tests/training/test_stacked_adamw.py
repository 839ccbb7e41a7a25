"""Each row steps as `torch.optim.AdamW` steps it alone, and a row that rests stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evenhand.training.stacked_adamw import StackedAdamW

RATES, DECAYS, LIMITS = (1e-2, 3e-4, 0.5), (0.0, 0.1, 0.4), (None, 0.5, 100.0)
SHAPES = {"weight": (4, 3), "bias": (4,), "A": (2, 5)}


def stacks() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(3, *shape, dtype=torch.float64) for name, shape in SHAPES.items()}


def peers() -> list[tuple[list[nn.Parameter], torch.optim.AdamW]]:
    found = []
    for place in range(3):
        own = {name: nn.Parameter(stack[place].clone()) for name, stack in stacks().items()}
        decayed = {"params": [own["weight"], own["A"]], "weight_decay": DECAYS[place]}
        spared = {"params": [own["bias"]], "weight_decay": 0.0}
        found.append((list(own.values()), torch.optim.AdamW([decayed, spared], lr=1.0)))
    return found


@pytest.mark.parametrize("resting", [(), (1,), (0, 2)])
def test_a_row_steps_as_torchs_adamw_does_alone(resting):
    ours = StackedAdamW(stacks(), {"bias"}, DECAYS)
    theirs = peers()
    taken = [0, 0, 0]
    for step in range(30):
        # The replicas that rest do so in every third step, and their gradients are no numbers then.
        places = [place for place in range(3) if step % 3 or place not in resting]
        gradients = {name: torch.randn(3, *shape, dtype=torch.float64) for name, shape in SHAPES.items()}
        for name, parameter in ours.parameters.items():
            parameter.grad = gradients[name].clone()
            for place in set(range(3)) - set(places):
                parameter.grad[place] = torch.nan
        rates = [RATES[place] / (1 + step) for place in places]
        norms = ours.step(places, rates, [taken[place] for place in places], [LIMITS[place] for place in places])
        assert all(parameter.grad is None for parameter in ours.parameters.values())
        for turn, place in enumerate(places):
            own, adamw = theirs[place]
            for name, parameter in zip(SHAPES, own, strict=True):
                parameter.grad = gradients[name][place].clone()
            norm = nn.utils.clip_grad_norm_(own, LIMITS[place] or torch.inf)
            assert norms[turn].item() == pytest.approx(norm.item(), abs=1e-12)
            for group in adamw.param_groups:
                group["lr"] = rates[turn]
            adamw.step()
            taken[place] += 1
    for place, (own, _) in enumerate(theirs):
        for name, parameter in zip(SHAPES, own, strict=True):
            assert (ours.parameters[name][place] - parameter).abs().max() < 1e-12


def test_a_row_that_is_no_number_stays_in_its_row():
    ours = StackedAdamW(stacks(), {"bias"}, DECAYS)
    for name, parameter in ours.parameters.items():
        parameter.grad = torch.ones(3, *SHAPES[name], dtype=torch.float64)
        parameter.grad[1] = torch.nan
    ours.step(range(3), RATES, (0, 0, 0), (1.0, 1.0, 1.0))
    assert torch.isfinite(ours.values).all(1).tolist() == [True, False, True]
