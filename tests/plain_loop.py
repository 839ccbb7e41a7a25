"""Fine-tuning as a PyTorch tutorial would write it, with nothing of Evenhand but the order of the examples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import nn

from evenhand.training.batches import epoch_batches


@dataclass
class Plain:
    """What a plain loop saw, a value per step."""

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)


class Drop(nn.Module):
    """Dropout under one generator, drawn by the whole tensor."""

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self.share, self.generator = share, torch.Generator().manual_seed(seed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        kept = torch.empty(x.shape).bernoulli_(1 - self.share, generator=self.generator)
        return torch.where(kept == 1, x / (1 - self.share), torch.zeros(()))


def rate_at(step: int, steps: int, schedule: str, warmup: float) -> float:
    """The share of the peak learning rate, as the documentation has it."""
    warm = math.ceil(warmup * steps)
    if step < warm:
        return (step + 1) / warm
    t = (step - warm) / (steps - warm)
    return {"cosine": 0.5 * (1 + math.cos(math.pi * t)), "linear": 1 - t, "constant": 1.0}[schedule]


def train(
    model, encode, labels, lengths, *, seed, lr, epochs, size, schedule, warmup, weight_decay, clip_norm
) -> Plain:
    """Train `model` in place; gives what was seen.

    Args:
        model: what shall learn requires a gradient.
        encode: rows to the arguments of the forward.
        labels, lengths: of the examples; lengths None for images.
    """
    from transformers.trainer_pt_utils import get_parameter_names

    patterns = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
    decaying = set(get_parameter_names(model, [nn.LayerNorm], patterns))
    learning = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for name, p in learning if name in decaying], "weight_decay": weight_decay},
        {"params": [p for name, p in learning if name not in decaying], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.999), eps=1e-8, fused=True)
    steps = epochs * math.ceil(len(labels) / size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(adamw, lambda step: rate_at(step, steps, schedule, warmup))
    seen = Plain()
    model.train()
    for epoch in range(epochs):
        for rows in epoch_batches(len(labels), lengths, size, seed, epoch):
            loss = model(**encode(rows), labels=torch.tensor(labels[rows])).loss
            loss.backward()
            norm = nn.utils.clip_grad_norm_([p for _, p in learning], math.inf if clip_norm is None else clip_norm)
            seen.losses.append(loss.item())
            seen.rates.append(scheduler.get_last_lr()[0])
            seen.norms.append(norm.item())
            adamw.step()
            # After the last step there is no next rate: the schedule's formula ends there.
            if len(seen.losses) < steps:
                scheduler.step()
            adamw.zero_grad()
    model.eval()
    return seen
