"""Layers that hold the weights of K replicas and apply to each replica's rows its own weights.

Rows are replica-major: those of the first replica, then those of the second, with the same number for each. Before
each forward pass, `ActiveRows` is told which replicas take part and how many of their rows and tokens are real.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from evenhand.training.dropout import SeededDropout


class ActiveRows:
    """Which replicas are active in this forward pass, and how many rows each has.

    One object per pack, which all its layers read.

    Attributes:
        replica_count: K, the replicas of the pack.
        replicas: the active ones, ascending. A replica that rests has no rows at all.
        rows_per_replica: examples per active replica, padding included.
        real_rows: [len(replicas)] the examples that count; they come first.
        lengths: [len(replicas)] tokens to which each replica's batch would be padded alone; None if all examples have
            the same shape.
    """

    def __init__(self, count: int) -> None:
        """Start with all replicas active and no rows."""
        self.replica_count = count
        self.replicas: Sequence[int] = range(count)
        self.rows_per_replica = 0
        self.real_rows: Sequence[int] = ()
        self.lengths: Sequence[int] | None = None
        self._index: torch.Tensor | None = None

    def set(
        self,
        replicas: Sequence[int],
        real_rows: Sequence[int],
        lengths: Sequence[int] | None,
        device: torch.device,
    ) -> None:
        """Set the replicas and rows of the next forward pass."""
        self.replicas, self.real_rows, self.lengths = replicas, real_rows, lengths
        self.rows_per_replica = max(real_rows)
        self._index = None if len(replicas) == self.replica_count else torch.tensor(replicas, device=device)

    def select(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the active replicas' entries of a stack [K, ...]: [len(replicas), ...]."""
        return stack if self._index is None else stack.index_select(0, self._index)


class LoRAStack(nn.Module):
    """A linear layer that all replicas share, plus a low-rank product B·A per replica.

    Attributes:
        base: the layer.
        A: [K, R, inputs]; rows beyond a replica's rank are zero.
        B: [K, outputs, R]; columns beyond the rank are zero, too. If both are zero, so are both gradients, so they
            stay zero.
        scale: [K, 1, 1] alpha / r; 0 for a replica that has no adapter here.
        dropouts: [K] dropouts of the input of A, each with the replica's own generator; None: no dropout.
    """

    def __init__(
        self,
        base: nn.Module,
        A: nn.Parameter,
        B: nn.Parameter,
        scale: torch.Tensor,
        dropouts: Sequence[SeededDropout | None],
        active_rows: ActiveRows,
    ) -> None:
        """Store the shared layer and the stacked A and B."""
        super().__init__()
        self.base, self.A, self.B = base, A, B
        self.register_buffer("scale", scale, persistent=False)
        self.dropouts, self.active_rows = list(dropouts), active_rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the shared layer's output plus each replica's scaled low-rank product."""
        out = self.base(x)
        A, B = self.active_rows.select(self.A), self.active_rows.select(self.B)
        rows = x.to(A.dtype)
        if self.training and any(self.dropouts[replica] for replica in self.active_rows.replicas):
            rows = rows * self._mask(rows)
        flat = out.reshape(len(A), -1, B.shape[1]), rows.reshape(len(A), -1, A.shape[2])
        scale = self.active_rows.select(self.get_buffer("scale"))
        return cast(torch.Tensor, _PlusProduct.apply(*flat, A, B, scale)).view(out.shape)

    def _mask(self, x: torch.Tensor) -> torch.Tensor:
        """Draw each replica's next dropout mask, with the size that it would have without the other replicas."""
        active_rows = self.active_rows
        tokens = x[..., 0].numel() // (len(active_rows.replicas) * active_rows.rows_per_replica)
        mask = x.new_ones(len(active_rows.replicas), active_rows.rows_per_replica, tokens, x.shape[-1])
        # Windows of an image and pooled texts do not have the batch's number of tokens, and then they have no padding.
        padded = active_rows.lengths is not None and tokens == max(active_rows.lengths)
        for turn, replica in enumerate(active_rows.replicas):
            dropout = self.dropouts[replica]
            if dropout is None:
                continue
            mask_here = mask[turn, : active_rows.real_rows[turn]]
            if padded and active_rows.lengths is not None:
                mask_here = mask_here[:, : active_rows.lengths[turn]]
            mask_here.copy_(dropout.mask(mask_here.shape, x))
        return mask.view(x.shape)


class _PlusProduct(torch.autograd.Function):
    """Autograd function for out + scale · rows · Aᵀ · Bᵀ per replica, out [K, n, outputs], rows [K, n, inputs].

    See `LoRAStack`. PyTorch's own gradient of Aᵀ is a product with R columns, which takes BLAS seven times as long as
    the gradient of A with R rows.
    """

    @staticmethod
    def forward(
        ctx: Any, out: torch.Tensor, rows: torch.Tensor, A: torch.Tensor, B: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """Compute the sum, in the precision of `out`."""
        # Cast as autocast would; in the backward pass there is no autocast.
        rows, A, up = rows.to(out.dtype), A.to(out.dtype), (B * scale).to(out.dtype).transpose(1, 2)
        low = torch.bmm(A, rows.transpose(1, 2))
        ctx.save_for_backward(rows, A, up, low, scale)
        return torch.baddbmm(out, low.transpose(1, 2), up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of out, rows, A and B."""
        rows, A, up, low, scale = ctx.saved_tensors
        back = torch.bmm(up, given.transpose(1, 2))
        further = torch.bmm(back.transpose(1, 2), A) if ctx.needs_input_grad[1] else None
        return given, further, torch.bmm(back, rows), torch.bmm(low, given).transpose(1, 2) * scale, None


class LinearStack(nn.Module):
    """A linear layer per replica: weight [K, outputs, inputs], bias [K, outputs] or None."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, active_rows: ActiveRows) -> None:
        """Store the stacked weight and bias."""
        super().__init__()
        self.weight, self.bias, self.active_rows = weight, bias, active_rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply each active replica's layer to its rows."""
        weight = self.active_rows.select(self.weight).transpose(1, 2)
        rows = x.reshape(len(weight), -1, x.shape[-1])
        if self.bias is None:
            out = torch.bmm(rows, weight)
        else:
            out = torch.baddbmm(self.active_rows.select(self.bias)[:, None], rows, weight)
        return out.view(*x.shape[:-1], weight.shape[2])


class ModuleStack(nn.Module):
    """Any module per replica, applied to one replica's rows after another.

    Args:
        template: the module whose parameters are replaced.
        stacks: its parameters by name, each [K, ...].
        active_rows: of the pack.
    """

    def __init__(self, template: nn.Module, stacks: Mapping[str, nn.Parameter], active_rows: ActiveRows) -> None:
        """Copy the template and store its stacked parameters."""
        super().__init__()
        self.template = copy.deepcopy(template).requires_grad_(False)
        self.names = list(stacks)
        self.stacks = nn.ParameterList(stacks.values())
        self.active_rows = active_rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply each active replica's module to its rows."""
        outputs = []
        for replica, rows in zip(self.active_rows.replicas, x.chunk(len(self.active_rows.replicas)), strict=True):
            parameters = {name: stack[replica] for name, stack in zip(self.names, self.stacks, strict=True)}
            outputs.append(torch.func.functional_call(self.template, parameters, (rows,)))
        return torch.cat(outputs)
