"""Prunes weights, before full fine-tuning or after any: a harm that an audit must detect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.calibration import BlockPasses
from evenhand.methods.compression import Compression
from evenhand.methods.full import Full
from evenhand.methods.layers import blocks, linear_layers, transposed, within
from evenhand.seeds import generator

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from evenhand.training.batches import Inputs
    from evenhand.training.pack import Pack
    from evenhand.training.recipe import TrainSpec

MASK = "pruned"
"""The buffer of a pruned layer that marks the weights that are 0 and remain 0."""

_BATCH = 32


class Pruned(Compression, Full):
    """Base class: sets a share of the weights of the base's repeated linear layers to 0, and trains all others.

    A pruned weight remains 0: its gradient is 0, and so is AdamW's update. Embeddings, normalisations, biases,
    poolers and the head are not pruned. With `epochs: 0` or `of`, nothing is trained.

    Attributes:
        sparsity: the share of each layer's weights that is 0, rounded down to a whole number of weights.
    """

    sparsity: float = Field(default=0.5, gt=0, lt=1)

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the base's repeated layers have no linear layers."""
        if not within(linear_layers(model), blocks(model)):
            raise InputError(
                f"{self.kind}: {type(model).__name__} has no linear layers within repeated layers to prune; use kind: "
                "full"
            )

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model itself, with all weights trained if there are epochs; nothing is drawn or pruned yet."""
        self.check(model)
        return super().apply(model, seed).requires_grad_(self.epochs > 0)


class Magnitude(Pruned):
    """Sets the weights of least magnitude in each linear layer to 0, and trains all others.

    Source: Han et al. (2015, arXiv:1506.02626).

    Attributes:
        sparsity: the share of each layer's weights that is 0, rounded down to a whole number of them.

    Example:
        >>> import evenhand
        >>> evenhand.Magnitude(sparsity=0.9).sparsity
        0.9
    """

    kind: ClassVar[str] = "magnitude"
    summary: ClassVar[str] = "every weight but the smallest of each linear layer, which remain 0"

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model itself, pruned, with all other weights trained if there are epochs; nothing is drawn.

        Raises:
            InputError: see `check`.
        """
        super().apply(model, seed)
        layers = linear_layers(model)
        for name in within(layers, blocks(model)):
            weight: Any = layers[name].weight
            scores = weight.detach().abs().reshape(1, -1)
            prune(layers[name], smallest_entries(scores, self.sparsity).reshape(weight.shape))
        return model


class Wanda(Pruned):
    """Sets the weights with the smallest |weight| × input norm in each row to 0, and trains the others.

    Source: Sun et al. (2023, arXiv:2306.11695).

    The norms are over the tokens of training examples drawn at random, which `pack` knows: it prunes. (The first ones
    may all be about one group, where a data set is sorted.) Layers are pruned one after the other; the inputs of each
    come from the pruned layers before it.

    Attributes:
        sparsity: the share of each row (the weights of one output) that is 0, rounded down to a whole number of them.
        examples: number of training examples on which the norms are computed; all if there are fewer.

    Example:
        >>> import evenhand
        >>> evenhand.Wanda(examples=64).sparsity
        0.5
    """

    kind: ClassVar[str] = "wanda"
    summary: ClassVar[str] = "every weight but the least used of each row of linear layers, which remain 0"

    examples: PositiveInt = 128

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters, and that examples are drawn; models pruned by the first ones are other trials."""
        return {**super().hyperparameters(), "calibration": "drawn"}

    def pack(
        self,
        module: torch.nn.Module,
        inputs: Inputs,
        labels: np.ndarray,
        *,
        seed: int,
        train: TrainSpec,
        device: torch.device,
    ) -> Pack:
        """Return one trial whose model is pruned by the input norms of some of its examples. See `Method.pack`."""
        from evenhand.training.loop import reproducible

        module.to(device).eval()
        rows = self.drawn(len(inputs), seed)
        batches = [inputs.batch(rows[start : start + _BATCH], device) for start in range(0, len(rows), _BATCH)]
        with reproducible(device):
            self.prune(module, batches)  # pyright: ignore[reportArgumentType] - apply gave the classifier itself
        return super().pack(module, inputs, labels, seed=seed, train=train, device=device)

    def drawn(self, count: int, seed: int) -> np.ndarray:
        """Return the positions, among so many training examples, of those on which the norms are computed, ascending.

        Example:
            >>> import evenhand
            >>> len(evenhand.Wanda(examples=64).drawn(1000, seed=0)), evenhand.Wanda(examples=64).drawn(3, seed=0)
            (64, array([0, 1, 2]))
        """
        return np.sort(generator(seed, "calibration").choice(count, min(self.examples, count), replace=False))

    def prune(self, model: PreTrainedModel, batches: list[dict[str, torch.Tensor]]) -> None:
        """Prune a classifier in place, by the input norms of its layers on these batches."""
        layers, names = linear_layers(model), list(blocks(model))
        passes = BlockPasses(model, names, batches)
        for block in names:
            inside = {name: layers[name] for name in within(layers, [block])}
            for name, norms in passes.norms(block, inside).items():
                weight: Any = inside[name].weight
                rows = weight.detach().T if transposed(inside[name]) else weight.detach()
                chosen = smallest_entries(rows.abs() * norms.to(rows.dtype), self.sparsity)
                prune(inside[name], chosen.T if transposed(inside[name]) else chosen)
            passes.finish(block)


def smallest_entries(scores: torch.Tensor, share: float) -> torch.Tensor:
    """Return which entries of each row are smallest: bool [rows, n], floor(share · n) per row, ties by position."""
    import torch

    # Rounded first: 0.29 · 100 is a little less than 29.
    count = math.floor(round(share * scores.shape[1], 9))
    order = scores.argsort(dim=1, stable=True)[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, True)


def prune(layer: torch.nn.Module, chosen: torch.Tensor) -> None:
    """Set weights of a layer to 0, permanently if they are trained.

    Args:
        layer: a linear layer.
        chosen: bool, as the layer's weight.
    """
    weight: Any = layer.weight
    weight.data.masked_fill_(chosen, 0)
    if weight.requires_grad:
        layer.register_buffer(MASK, chosen.contiguous(), persistent=False)
        weight.register_hook(lambda gradient: gradient.masked_fill(layer.get_buffer(MASK), 0))
