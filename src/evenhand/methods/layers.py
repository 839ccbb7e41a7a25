"""The layers of a base model: which there are, what architectures call them, and which of them a method means."""

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
    ("query_key_value",),
    ("c_attn",),
    ("qkv",),
)
"""How architectures name the query and value projections (the last three: as part of one layer)."""

KEY_AND_VALUE = (
    ("key", "value"),
    ("k_proj", "v_proj"),
    ("k_lin", "v_lin"),
    ("key_proj", "value_proj"),
    ("query_key_value",),
    ("c_attn",),
    ("qkv",),
)
"""The same of the key and value projections."""

ATTENTION_OUTPUT = (
    "attention.output.dense",
    "attention.o_proj",
    "self_attn.o_proj",
    "attn.c_proj",
    "attention.out_lin",
)
"""How architectures name the layer that attention ends in."""

FEED_FORWARD_OUTPUT = ("output.dense", "mlp.fc2", "mlp.down_proj", "mlp.c_proj", "ffn.lin2")
"""How architectures name the second layer of the feed-forward part, whose inputs are its activations."""


def linear_layers(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    """The linear layers of the base by their full names; the head's are left out, since it learns as a whole, and so is
    the output layer of a language model, which may be its embedding."""
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
    """Whether a linear layer keeps its weight as [in, out], as GPT-2's do, and not as [out, in]."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, Conv1D)


def features(layer: Any) -> tuple[int, int]:
    """Inputs and outputs of a linear layer."""
    first, second = layer.weight.shape
    return (first, second) if transposed(layer) else (second, first)


def blocks(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    """The repeated layers of the base in their order, by their full names: BERT's encoder layers, a decoder's layers,
    the blocks of all stages of a Swin. What is repeated only inside of one is no layer of its own."""
    from torch import nn

    def inside(prefix: str, module: nn.Module) -> Iterable[tuple[str, nn.Module]]:
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
    """The names that are the target or end in it, as PEFT matches."""
    return [name for name in names if name == target or name.endswith(f".{target}")]


def resolve(
    kind: str,
    model: PreTrainedModel,
    targets: Sequence[str] | None,
    known: Sequence[Sequence[str]] = QUERY_AND_VALUE,
    called: str = "query and value projections",
) -> dict[str, tuple[str, ...]]:
    """The layers that a method means.

    Args:
        kind: of the method, for the error.
        model: a classifier; its weights are not looked at.
        targets: names of linear layers, matched at their end; None: the first of `known` that the base has.
        known: what architectures call the layers that the method adapts unless told otherwise.
        called: what these are, for the error.

    Returns:
        By target, the full names that it matches.

    Raises:
        InputError: a base without such layers, a target that no linear layer of the base bears, or one that something
            else bears too.
    """
    layers = linear_layers(model)
    there = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
    architecture = type(model).__name__
    if not layers:
        raise InputError(f"{kind}: {architecture} has no linear layers to adapt; use kind: full or kind: head")
    if targets is None:
        found = [names for names in known if all(matching(name, layers) for name in names)]
        if not found:
            raise InputError(
                f"{kind}: {architecture} has no {called} under a known name; set targets to some of its linear layers: "
                f"{there}"
            )
        targets = found[0]
    resolved = {}
    for target in targets:
        matched = matching(target, layers)
        if not matched:
            raise InputError(
                f'{kind}: targets names "{target}", but no linear layer of the base {architecture} bears that name; '
                f"there are: {there}"
            )
        others = [name for name in matching(target, dict(model.named_modules())) if name not in layers]
        if others:
            raise InputError(
                f'{kind}: targets names "{target}", but {others[0]} of {architecture}, which is no linear layer of '
                f'the base, bears that name too; write more of the name, such as "{_longer(matched[0], target)}"'
            )
        resolved[target] = tuple(matched)
    return resolved


def outputs(model: PreTrainedModel) -> tuple[list[str], list[str]]:
    """The full names of the layers that attention and the feed-forward part end in; empty where none is known."""
    layers = linear_layers(model)
    attention = [name for known in ATTENTION_OUTPUT for name in matching(known, layers)]
    feed_forward = [
        name for known in FEED_FORWARD_OUTPUT for name in matching(known, layers) if name not in set(attention)
    ]
    return attention, feed_forward


def widths(model: PreTrainedModel, names: Iterable[str]) -> Mapping[str, tuple[int, int]]:
    """Inputs and outputs of these layers, by their full names."""
    layers = linear_layers(model)
    return {name: features(layers[name]) for name in names}


def within(names: Iterable[str], parts: Iterable[str]) -> list[str]:
    """The names that lie in one of the parts of the model."""
    starts = tuple(f"{part}." for part in parts)
    return [name for name in names if name.startswith(starts)]


def _longer(name: str, target: str) -> str:
    """The end of a full name, one part longer than the target."""
    return ".".join(name.split(".")[-2 - target.count(".") :])
