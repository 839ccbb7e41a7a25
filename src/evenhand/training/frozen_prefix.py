"""Finds where a model's frozen prefix ends, records its activations, and starts a forward pass from them.

The layers before the first trained one give the same activations in every epoch, and in every trial with the same
weights. This prefix may end in two places: at the input of one of the base's repeated layers, or at the output of a
fully frozen base, from which a head reads one vector per example. Other models have no split point. Each time that
activations are recorded, a comparison of logits checks whether the split point is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, Literal

import torch
from torch import nn

from evenhand.methods.layers import blocks

FEATURES = "features"
"""Name of the additional argument of a forward pass that starts at a split point."""

Reads = Literal["states", "pooled", "first", "last"]

READS: tuple[Reads, ...] = ("pooled", "last", "first")
"""The vectors per example that a head may read from a base's output, in the order in which they are tried."""

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1}
"""How much logits may differ when the pass starts at the split point, as a share of their range: rounding only."""


@dataclass(frozen=True)
class SplitPoint:
    """The place where a frozen prefix ends and a forward pass can start.

    Attributes:
        block: the number of the first repeated layer to be computed; None: only the head is computed.
        reads: the activations to keep. `states`: the layer's input, a row per token. If only the head is computed, its
            input: the `pooled` output of the base, or the state of the `first` or the `last` token.
        output_type: the type of what skipped modules return.
    """

    block: int | None
    reads: Reads
    output_type: type

    def batch(self, batch: Mapping[str, torch.Tensor], count: int) -> dict[str, torch.Tensor]:
        """Return the other arguments of a pass that starts here, for `count` examples.

        A layer needs the attention mask and similar arguments. A head needs none of them, so the beginning of the first
        example stands in for all.
        """
        if self.block is not None:
            return dict(batch)
        return {
            name: value[(slice(1),) * value.ndim].expand(count, *(1,) * (value.ndim - 1))
            for name, value in batch.items()
        }


def possible_split_points(module: nn.Module, batch: Mapping[str, torch.Tensor]) -> list[SplitPoint]:
    """Return the possible split points of a model, all at the same place.

    Args:
        module: as its method left it, in evaluation mode: trained parameters require a gradient.
        batch: the arguments of its forward for some examples.

    Returns:
        An empty list if a part before the second layer is trained, or if the model passes its states on in an unknown
        way.
    """
    classifier = _classifier(module)
    count = _frozen_blocks(module, classifier)
    if count == 0:
        return []
    layers = list(blocks(classifier).values())
    watched = [classifier.base_model] if count is None else layers[: count + 1]
    with _recorded_calls(watched) as calls_by_module:
        _logits(module, batch)
    if any(len(calls) != 1 for calls in calls_by_module):
        return []
    if count is None:
        ((_, out),) = calls_by_module[0]
        vectors = {"pooled": "pooler_output", "first": "last_hidden_state", "last": "last_hidden_state"}
        return [SplitPoint(None, reads, type(out)) for reads in READS if _offers(out, vectors[reads], reads, batch)]
    output_types = {_output_type(calls[0][1]) for calls in calls_by_module[:count]}
    output_type = output_types.pop()
    if (
        output_type is None
        or output_types
        or not all(_has_row_per_token(calls[0][0], batch) for calls in calls_by_module)
    ):
        return []
    return [SplitPoint(count, "states", output_type)]


def install_split_point(module: nn.Module, split_point: SplitPoint) -> None:
    """Let a model start at a split point if called with the argument `features`; other calls are unchanged."""
    given: list[torch.Tensor] = []

    def take(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Remove `features` from the call's arguments and remember them."""
        given[:] = [kwargs[FEATURES]] if FEATURES in kwargs else []
        return args, {name: value for name, value in kwargs.items() if name != FEATURES}

    def enter(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Replace the layer's input by the features, if there are any."""
        return (*given, *args[1:]) if given else None

    def skipped(forward: Callable[..., Any], output: Callable[[Any], Any]) -> Callable[..., Any]:
        """Wrap a forward method so that it is skipped if features were given."""

        @wraps(forward)
        def skip(*args: Any, **kwargs: Any) -> Any:
            return output(*args[:1]) if given else forward(*args, **kwargs)

        return skip

    def base_output(*_: Any) -> Any:
        """Return the features as the base's output, under the name that the head reads."""
        # Both, whichever the head reads.
        (vectors,) = given
        known = {"last_hidden_state": vectors[:, None], "pooler_output": vectors}
        return split_point.output_type(
            **{field.name: known.get(field.name) for field in fields(split_point.output_type)}
        )

    module.register_forward_pre_hook(take, with_kwargs=True)
    classifier = _classifier(module)
    if split_point.block is None:
        base = classifier.base_model
        base.forward = skipped(base.forward, base_output)
        return
    layers = list(blocks(classifier).values())
    for layer in layers[: split_point.block]:
        layer.forward = skipped(
            layer.forward, (lambda states: (states,)) if split_point.output_type is tuple else lambda x: x
        )
    layers[split_point.block].register_forward_pre_hook(enter)


@torch.no_grad()
def record_features(
    module: nn.Module, split_point: SplitPoint, batch: Mapping[str, torch.Tensor]
) -> torch.Tensor | None:
    """Return the activations that leave the prefix, or None if the model cannot start from them.

    Args:
        module: a model that the split point is installed in, in evaluation mode.
        split_point: where the prefix ends.
        batch: the arguments of the model's forward for n examples.

    Returns:
        [n, tokens, d] the input of a layer, 0 where a text has ended, or [n, d] the input of the head. None if the
        logits change when the model starts from these activations.
    """
    classifier = _classifier(module)
    module_there = (
        classifier.base_model if split_point.block is None else list(blocks(classifier).values())[split_point.block]
    )
    with _recorded_calls([module_there]) as calls_by_module:
        logits = _logits(module, batch)
    (((states, out),),) = calls_by_module
    mask = batch.get("attention_mask")
    if split_point.reads == "pooled":
        features = out["pooler_output"]
    elif split_point.reads == "first":
        features = out["last_hidden_state"][:, 0]
    elif split_point.reads == "last" and mask is not None:
        features = out["last_hidden_state"][torch.arange(len(mask), device=mask.device), mask.sum(1) - 1]
    else:
        features = states if mask is None else states * mask[..., None].to(states.dtype)
    again = _logits(module, {**split_point.batch(batch, len(features)), FEATURES: features})
    return features if _logits_agree(logits, again) else None


def prefix_tensors(module: nn.Module, split_point: SplitPoint) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the names and tensors that decide the activations at a split point.

    They are the base's earlier parameters and its buffers. Architectures register their parts from inputs to outputs.
    """
    classifier = _classifier(module)
    layers = blocks(classifier)
    beyond = () if split_point.block is None else tuple(f"{name}." for name in list(layers)[split_point.block :])
    for name, parameter in classifier.base_model.named_parameters(prefix=classifier.base_model_prefix):
        if beyond and name.startswith(beyond):
            break
        yield name, parameter
    for name, buffer in classifier.base_model.named_buffers(prefix=classifier.base_model_prefix):
        if not (beyond and name.startswith(beyond)):
            yield name, buffer


def _classifier(module: nn.Module) -> Any:
    """Return the classifier inside a PeftModel, or the module itself."""
    from peft import PeftModel

    return module.get_base_model() if isinstance(module, PeftModel) else module


def _frozen_blocks(module: nn.Module, classifier: Any) -> int | None:
    """Return the number of leading repeated layers that are frozen; None if the whole base is frozen."""
    if not all(parameter.is_floating_point() for parameter in module.parameters()):
        # Quantised: the scales of the numbers are stored elsewhere.
        return 0
    learning = {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    if not learning <= {id(parameter) for parameter in classifier.parameters()}:
        return 0
    base = classifier.base_model
    named = list(base.named_parameters(prefix=classifier.base_model_prefix))
    first = next((position for position, (_, parameter) in enumerate(named) if id(parameter) in learning), None)
    if first is None:
        return None
    # Parameters between two layers, or after the last, belong to none: the split point is before the layer they follow.
    before = [
        name
        for name in blocks(classifier)
        if any(parameter.startswith(f"{name}.") for parameter, _ in named[: first + 1])
    ]
    return max(len(before) - 1, 0)


def _output_type(out: Any) -> type | None:
    """Return the type in which a layer returns its states: a tensor, or a tuple of one; None for anything else."""
    if isinstance(out, torch.Tensor):
        return torch.Tensor
    return tuple if type(out) is tuple and [type(element) for element in out] == [torch.Tensor] else None


def _has_row_per_token(states: Any, batch: Mapping[str, torch.Tensor]) -> bool:
    """Return whether a layer's input has a row per example and, for texts, per token."""
    if not isinstance(states, torch.Tensor) or states.ndim < 3:
        return False
    mask = batch.get("attention_mask")
    if mask is None:
        return len(states) == len(next(iter(batch.values())))
    return states.ndim == 3 and states.shape[:2] == mask.shape


def _offers(out: Any, name: str, reads: Reads, batch: Mapping[str, torch.Tensor]) -> bool:
    """Return whether a base's output contains the vectors that such a head reads."""
    if not isinstance(out, dict) or not isinstance(out.get(name), torch.Tensor):
        return False
    return reads == "pooled" or (out[name].ndim == 3 and (reads == "first" or "attention_mask" in batch))


@contextmanager
def _recorded_calls(modules: Sequence[nn.Module]) -> Iterator[list[list[tuple[Any, Any]]]]:
    """Context manager that records each module's calls: their first arguments and outputs."""
    calls_by_module: list[list[tuple[Any, Any]]] = [[] for _ in modules]

    def note(calls: list[tuple[Any, Any]]) -> Callable[..., None]:
        return lambda _, args, out: calls.append((args[0] if args else None, out))

    hooks = [module.register_forward_hook(note(calls)) for module, calls in zip(modules, calls_by_module, strict=True)]
    try:
        yield calls_by_module
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def _logits(module: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the model's logits without gradients."""
    return module(**batch).logits


def _logits_agree(logits: torch.Tensor, again: torch.Tensor) -> bool:
    """Return whether two logits are equal up to rounding."""
    if logits.shape != again.shape:
        return False
    spread = (logits.max() - logits.min()).item()
    # If all logits are equal, they would agree for any input of the head.
    return spread > 0 and (logits - again).abs().max().item() <= TOLERANCE[logits.dtype] * spread
