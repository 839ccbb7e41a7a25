"""Layers that hold K replicas' weights and apply to each replica's rows its own.

Rows are replica-major: those of the first replica, then those of the second, equally many of each. Which replicas take
part, and how many of their rows and tokens are real, is said by a `Lineup` before each forward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from evenhand.training.dropout import SeededDropout


class Lineup:
    """Whose rows go through the model: one object, read by every layer of a pack.

    Attributes:
        count: K, the replicas of the pack.
        places: those whose rows these are, ascending. One that rests has no rows at all.
        rows: examples per replica, what fills up included.
        own: [len(places)] the examples that count; they stand first.
        lengths: [len(places)] tokens to which each replica's batch would be padded by itself; None where all examples
            have one shape.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.places: Sequence[int] = range(count)
        self.rows = 0
        self.own: Sequence[int] = ()
        self.lengths: Sequence[int] | None = None
        self._index: torch.Tensor | None = None

    def set(
        self,
        places: Sequence[int],
        own: Sequence[int],
        lengths: Sequence[int] | None,
        device: torch.device,
    ) -> None:
        """Announce the next forward pass."""
        self.places, self.own, self.lengths = places, own, lengths
        self.rows = max(own)
        self._index = None if len(places) == self.count else torch.tensor(places, device=device)

    def of(self, stack: torch.Tensor) -> torch.Tensor:
        """The part of a stack [K, ...] that belongs to the rows: [len(places), ...]."""
        return stack if self._index is None else stack.index_select(0, self._index)


class LoRAStack(nn.Module):
    """A linear layer that all replicas share, with a product B·A beside it for each.

    Attributes:
        base: the layer.
        A: [K, R, inputs]; rows beyond a replica's rank are zero.
        B: [K, outputs, R]; columns beyond it too. Where both are, both gradients are, so they stay zero.
        scale: [K, 1, 1] alpha / r; 0 for a replica that has no adapter here.
        dropouts: [K] of the input of A, each with the replica's own generator; None: no dropout.
    """

    def __init__(
        self,
        base: nn.Module,
        A: nn.Parameter,
        B: nn.Parameter,
        scale: torch.Tensor,
        dropouts: Sequence[SeededDropout | None],
        lineup: Lineup,
    ) -> None:
        super().__init__()
        self.base, self.A, self.B = base, A, B
        self.register_buffer("scale", scale, persistent=False)
        self.dropouts, self.lineup = list(dropouts), lineup

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.base(x)
        A, B = self.lineup.of(self.A), self.lineup.of(self.B)
        rows = x.to(A.dtype)
        if self.training and any(self.dropouts[place] for place in self.lineup.places):
            rows = rows * self._mask(rows)
        flat = out.reshape(len(A), -1, B.shape[1]), rows.reshape(len(A), -1, A.shape[2])
        scale = self.lineup.of(self.get_buffer("scale"))
        return cast(torch.Tensor, _PlusProduct.apply(*flat, A, B, scale)).view(out.shape)

    def _mask(self, x: torch.Tensor) -> torch.Tensor:
        """Each replica's next mask, drawn as many rows and tokens large as it would be without the others."""
        lineup = self.lineup
        tokens = x[..., 0].numel() // (len(lineup.places) * lineup.rows)
        mask = x.new_ones(len(lineup.places), lineup.rows, tokens, x.shape[-1])
        # Windows of an image and a pooled text have other than the batch's tokens, and then no padding either.
        padded = lineup.lengths is not None and tokens == max(lineup.lengths)
        for turn, place in enumerate(lineup.places):
            dropout = self.dropouts[place]
            if dropout is None:
                continue
            own = mask[turn, : lineup.own[turn]]
            if padded and lineup.lengths is not None:
                own = own[:, : lineup.lengths[turn]]
            own.copy_(dropout.mask(own.shape, x))
        return mask.view(x.shape)


class _PlusProduct(torch.autograd.Function):
    """out + scale · rows · Aᵀ · Bᵀ per replica, with out [K, n, outputs] and rows [K, n, inputs]; see `LoRAStack`.

    Autograd would have the gradient of Aᵀ as a product with R columns, for which BLAS takes seven times as long as for
    that of A with R rows.
    """

    @staticmethod
    def forward(
        ctx: Any, out: torch.Tensor, rows: torch.Tensor, A: torch.Tensor, B: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        # As autocast would; backwards there is none.
        rows, A, up = rows.to(out.dtype), A.to(out.dtype), (B * scale).to(out.dtype).transpose(1, 2)
        low = torch.bmm(A, rows.transpose(1, 2))
        ctx.save_for_backward(rows, A, up, low, scale)
        return torch.baddbmm(out, low.transpose(1, 2), up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, A, up, low, scale = ctx.saved_tensors
        back = torch.bmm(up, given.transpose(1, 2))
        further = torch.bmm(back.transpose(1, 2), A) if ctx.needs_input_grad[1] else None
        return given, further, torch.bmm(back, rows), torch.bmm(low, given).transpose(1, 2) * scale, None


class LinearStack(nn.Module):
    """A linear layer per replica: weight [K, outputs, inputs], bias [K, outputs] or None."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, lineup: Lineup) -> None:
        super().__init__()
        self.weight, self.bias, self.lineup = weight, bias, lineup

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.lineup.of(self.weight).transpose(1, 2)
        rows = x.reshape(len(weight), -1, x.shape[-1])
        if self.bias is None:
            out = torch.bmm(rows, weight)
        else:
            out = torch.baddbmm(self.lineup.of(self.bias)[:, None], rows, weight)
        return out.view(*x.shape[:-1], weight.shape[2])


class ModuleStack(nn.Module):
    """Any module per replica, applied to one replica's rows after the other.

    Args:
        template: the module whose parameters are replaced.
        stacks: its parameters by name, each [K, ...].
        lineup: of the pack.
    """

    def __init__(self, template: nn.Module, stacks: Mapping[str, nn.Parameter], lineup: Lineup) -> None:
        super().__init__()
        self.template = copy.deepcopy(template).requires_grad_(False)
        self.names = list(stacks)
        self.stacks = nn.ParameterList(stacks.values())
        self.lineup = lineup

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for place, rows in zip(self.lineup.places, x.chunk(len(self.lineup.places)), strict=True):
            own = {name: stack[place] for name, stack in zip(self.names, self.stacks, strict=True)}
            found.append(torch.func.functional_call(self.template, own, (rows,)))
        return torch.cat(found)
