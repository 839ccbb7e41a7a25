"""Finds the layers of a base model that a method targets, under the names that each architecture uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evenhand.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

QUERY_AND_VALUE = (
    ("query", "value"),
    ("q_proj", "v_proj"),
    ("q_lin", "v_lin"),
    ("query_proj", "value_proj"),
    ("attn.q", "attn.v"),
    ("query_key_value",),
    ("c_attn",),
    ("qkv",),
    ("Wqkv",),
)
"""Names of the query and value projections in different architectures (the last four: as part of one layer)."""

KEY_AND_VALUE = (
    ("key", "value"),
    ("k_proj", "v_proj"),
    ("k_lin", "v_lin"),
    ("key_proj", "value_proj"),
    ("attn.k", "attn.v"),
    ("query_key_value",),
    ("c_attn",),
    ("qkv",),
    ("Wqkv",),
)
"""Names of the key and value projections."""

ATTENTION_OUTPUT = (
    "attention.output.dense",
    "attention.o_proj",
    "self_attn.o_proj",
    "attn.c_proj",
    "attention.out_lin",
    "attention.attn.o",
    "attn.Wo",
)
"""Names of the last layer of attention."""

FEED_FORWARD_OUTPUT = ("output.dense", "mlp.fc2", "mlp.down_proj", "mlp.c_proj", "mlp.Wo", "ffn.lin2")
"""Names of the second layer of the feed-forward part, whose inputs are its activations."""


def linear_layers(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    """Return the linear layers of the base by their full names.

    Layers of the head are left out, because it is trained as a whole. The output layer of a language model is left out,
    too, because it may be its embedding.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    from evenhand.models.load import head_modules

    of_head = {id(module) for head in head_modules(model) for module in head.modules()}
    if model.can_generate():
        of_head.add(id(model.get_output_embeddings()))
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and id(module) not in of_head
    }


def transposed(layer: torch.nn.Module) -> bool:
    """Return whether a linear layer stores its weight as [in, out], like GPT-2's, and not as [out, in]."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, Conv1D)


def in_out_features(layer: Any) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a linear layer."""
    first, second = layer.weight.shape
    return (first, second) if transposed(layer) else (second, first)


def blocks(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    """Return the repeated layers of the base in order, by their full names.

    These are the encoder layers of a BERT, the layers of a decoder, or the blocks of all stages of a Swin. A module
    list inside a repeated layer does not count.
    """
    from torch import nn

    def inside(prefix: str, module: nn.Module) -> Iterable[tuple[str, nn.Module]]:
        """Yield the repeated layers below a module."""
        if isinstance(module, nn.ModuleList):
            for name, element in module.named_children():
                staged = [child for child in element.named_children() if isinstance(child[1], nn.ModuleList)]
                for within, child in staged:
                    yield from inside(f"{prefix}.{name}.{within}", child)
                if not staged:
                    yield f"{prefix}.{name}", element
            return
        for name, child in module.named_children():
            yield from inside(f"{prefix}.{name}", child)

    return dict(inside(model.base_model_prefix, model.base_model))


def matching(target: str, names: Iterable[str]) -> list[str]:
    """Return the names that equal the target or end in it, as PEFT matches."""
    return [name for name in names if name == target or name.endswith(f".{target}")]


def resolve_targets(
    kind: str,
    model: PreTrainedModel,
    targets: Sequence[str] | None,
    known: Sequence[Sequence[str]] = QUERY_AND_VALUE,
    called: str = "query and value projections",
) -> dict[str, tuple[str, ...]]:
    """Return the layers that a method's targets name, by target.

    Args:
        kind: kind of the method, for the error.
        model: a classifier; its weights are not read.
        targets: names of linear layers, matched at the end of the full name; None: the first of `known` in the base.
        known: names of the method's default layers in different architectures.
        called: description of these layers, for the error.

    Returns:
        By target, the full names that it matches.

    Raises:
        InputError: a base without such layers, or a target that is not the name of any linear layer of the base, or
            also the name of something else.
    """
    layers = linear_layers(model)
    there = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
    architecture = type(model).__name__
    if not layers:
        raise InputError(f"{kind}: {architecture} has no linear layers to adapt; use kind: full or kind: head")
    if targets is None:
        candidates = [names for names in known if all(matching(name, layers) for name in names)]
        if not candidates:
            raise InputError(
                f"{kind}: {architecture} has no {called} under a known name; set targets to some of its linear layers: "
                f"{there}"
            )
        targets = candidates[0]
    resolved = {}
    for target in targets:
        matched = matching(target, layers)
        if not matched:
            raise InputError(
                f'{kind}: targets names "{target}", but no linear layer of the base {architecture} has that name; '
                f"there are: {there}"
            )
        others = [name for name in matching(target, dict(model.named_modules())) if name not in layers]
        if others:
            raise InputError(
                f'{kind}: targets names "{target}", but {others[0]} of {architecture}, which is no linear layer of '
                f'the base, bears that name too; write more of the name, such as "{_longer_suffix(matched[0], target)}"'
            )
        resolved[target] = tuple(matched)
    return resolved


def output_layers(model: PreTrainedModel) -> tuple[list[str], list[str]]:
    """Return the full names of the last layers of attention and of feed-forward parts; empty if none is known."""
    layers = linear_layers(model)
    attention = [name for known in ATTENTION_OUTPUT for name in matching(known, layers)]
    feed_forward = [
        name for known in FEED_FORWARD_OUTPUT for name in matching(known, layers) if name not in set(attention)
    ]
    return attention, feed_forward


def widths(model: PreTrainedModel, names: Iterable[str]) -> Mapping[str, tuple[int, int]]:
    """Return the numbers of inputs and outputs of these layers, by their full names."""
    layers = linear_layers(model)
    return {name: in_out_features(layers[name]) for name in names}


def within(names: Iterable[str], parts: Iterable[str]) -> list[str]:
    """Return the names within one of these parts of the model."""
    starts = tuple(f"{part}." for part in parts)
    return [name for name in names if name.startswith(starts)]


def _longer_suffix(name: str, target: str) -> str:
    """Return the end of a full name, one component longer than the target."""
    return ".".join(name.split(".")[-2 - target.count(".") :])
