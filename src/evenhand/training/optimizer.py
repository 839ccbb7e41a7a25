"""Builds AdamW: its learning rate schedule, its parameter groups and gradient clipping.

Defaults follow `transformers.Trainer`, as the paper's scripts do: decoupled weight decay on everything except biases
and the parameters of normalisation layers, betas (0.9, 0.999), epsilon 1e-8.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
from torch import nn

from evenhand.training.recipe import TrainSpec

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
_UNDECAYED = re.compile(r"bias|layernorm|rmsnorm|(?:^|[._])norm(?:$|\.)")


def build_adamw(module: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over the parameters of `module` that require a gradient.

    Args:
        module: the model as a method left it.
        lr: peak learning rate.
        weight_decay: weight decay of the parameters that decay.
    """
    learning = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    spared = undecayed(module)
    groups = [
        {"params": [p for name, p in learning.items() if name not in spared], "weight_decay": weight_decay},
        {"params": [p for name, p in learning.items() if name in spared], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, fused=True)


def undecayed(module: nn.Module) -> set[str]:
    """Return the names of parameters without weight decay: biases and parameters of normalization layers."""
    inside = {
        f"{name}.{inner}"
        for name, child in module.named_modules()
        if isinstance(child, _NORMS)
        for inner, _ in child.named_parameters(recurse=False)
    }
    named = {name for name, _ in module.named_parameters() if _UNDECAYED.search(name.lower())}
    return inside | named


def share_of_peak(step: int, steps: int, train: TrainSpec) -> float:
    """Return the learning rate of a step as a share of the peak learning rate.

    Warm-up takes w = ceil(warmup · steps) steps and rises as (step + 1) / w, so that the first step has an effect.
    After it, with t = (step − w) / (steps − w), the share is (1 + cos πt) / 2 (cosine), 1 − t (linear) or 1 (constant).

    Args:
        step: from 0.
        steps: of the whole training.
        train: its `schedule` and `warmup`.
    """
    # Rounded first: 0.07 * 100 is a little more than 7.
    warm = math.ceil(round(train.warmup * steps, 9))
    if step < warm:
        return (step + 1) / warm
    elapsed = (step - warm) / max(steps - warm, 1)
    if train.schedule == "cosine":
        return (1 + math.cos(math.pi * elapsed)) / 2
    return 1 - elapsed if train.schedule == "linear" else 1.0


def clip_gradients(parameters: Sequence[nn.Parameter], limit: float | None) -> torch.Tensor:
    """Scale the gradients of one replica so that their joint norm is at most `limit`.

    Returns:
        The norm before scaling, a scalar. If `limit` is None, nothing is scaled.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if limit is not None:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm
