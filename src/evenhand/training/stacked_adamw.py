"""Runs AdamW on the parameters of K replicas at once, one row per replica.

So a step takes a dozen operations, whatever the number of layers and replicas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

import torch
from torch import nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class StackedAdamW:
    """`torch.optim.AdamW` per replica, with its own learning rate, weight decay, number of steps and clipping.

    Args:
        stacks: the trained parameters by name, each [K, ...] with a replica's values at its index.
        undecayed: names of the stacks without weight decay.
        weight_decay: [K], weight decay of the other stacks.

    Attributes:
        values: [K, P], all parameters.
        parameters: the stacks as parameters that a module can hold; they are views of `values`.
    """

    def __init__(self, stacks: Mapping[str, torch.Tensor], undecayed: Set[str], weight_decay: Sequence[float]) -> None:
        """Lay the stacks out as one matrix `values`, with the decayed parameters first."""
        names = sorted(stacks, key=lambda name: name in undecayed)  # decayed parameters come first
        rows = [stacks[name].flatten(1) for name in names]
        self.values = torch.cat(rows, dim=1)
        self.mean, self.square = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.weight_decay = weight_decay
        self.decayed = sum(row.shape[1] for name, row in zip(names, rows, strict=True) if name not in undecayed)
        self.parameters = {
            name: nn.Parameter(view.view(stacks[name].shape))
            for name, view in zip(names, self.values.split([row.shape[1] for row in rows], dim=1), strict=True)
        }

    @torch.no_grad()
    def step(
        self,
        replicas: Sequence[int],
        rates: Sequence[float],
        steps_taken: Sequence[int],
        limits: Sequence[float | None],
    ) -> torch.Tensor:
        """Take one step for some of the replicas, then clear all gradients.

        The values and moments of the other replicas stay as they are, whatever their gradients.

        Args:
            replicas: the replicas that step, ascending.
            rates: their learning rates.
            steps_taken: the steps that they took before.
            limits: norms to which their gradients are clipped; None: no clipping.

        Returns:
            The norms before clipping, [len(replicas)].
        """
        gradients = torch.cat(
            [parameter.grad.flatten(1) for parameter in self.parameters.values() if parameter.grad is not None], dim=1
        )
        for parameter in self.parameters.values():
            parameter.grad = None
        whole = len(replicas) == len(self.values)
        rows = slice(None) if whole else torch.tensor(replicas, device=self.values.device)
        values, gradients, mean, square = (of[rows] for of in (self.values, gradients, self.mean, self.square))
        # Of each replica, in one transfer to the device: [n, 1] each.
        max_norms, decay, step_sizes, bias_corrections = torch.tensor(
            [
                [math.inf if limit is None else limit for limit in limits],
                [1 - rate * self.weight_decay[replica] for replica, rate in zip(replicas, rates, strict=True)],
                [-rate / (1 - BETAS[0] ** (before + 1)) for rate, before in zip(rates, steps_taken, strict=True)],
                [math.sqrt(1 - BETAS[1] ** (before + 1)) for before in steps_taken],
            ],
            dtype=values.dtype,
            device=values.device,
        )[..., None]
        norms = torch.linalg.vector_norm(gradients, dim=1)
        gradients.mul_((max_norms / (norms[:, None] + 1e-6)).clamp_(max=1.0))  # as in nn.utils.clip_grads_with_norm_
        values[:, : self.decayed].mul_(decay)
        mean.lerp_(gradients, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradients, gradients, value=1 - BETAS[1])
        values.addcdiv_(mean * step_sizes, square.sqrt().div_(bias_corrections).add_(EPSILON))
        if not whole:
            self.values[rows], self.mean[rows], self.square[rows] = values, mean, square
        return norms
