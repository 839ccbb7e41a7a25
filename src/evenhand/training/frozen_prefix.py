"""The frozen prefix of a model: where it ends, what leaves it, and a forward pass that starts there.

What lies before the first layer that learns gives the same activations in every epoch, and in every trial over the
same weights. It may end in two places: at the input of one of the base's repeated layers, or at the output of a base
that is frozen as a whole, of which a head reads one vector per example. A model that does not work like that has no
cut. That a cut is right is not believed but compared, wherever something is recorded.
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
"""The argument of a forward pass that starts at a cut."""

Reads = Literal["states", "pooled", "first", "last"]

READS: tuple[Reads, ...] = ("pooled", "last", "first")
"""What a head may read of a base's output: one vector per example. Decoders' bases give the last token's everywhere."""

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1}
"""By how much of their spread logits may differ when the pass starts at the cut: rounding, not another token."""


@dataclass(frozen=True)
class Cut:
    """Where a frozen prefix ends.

    Attributes:
        block: the number of the repeated layer that is the first to be computed; None: the head alone is.
        reads: what is kept. `states` is what enters the layer, a row per token; of a base's output the head reads what
            was `pooled`, or the `first` token's or the `last` token's state.
        answer: the type of what skipped modules return.
    """

    block: int | None
    reads: Reads
    answer: type

    def batch(self, batch: Mapping[str, torch.Tensor], count: int) -> dict[str, torch.Tensor]:
        """The other arguments of a pass that starts here, for `count` examples: a layer needs the mask and the like, a
        head nothing of the kind, so that for it the beginning of the first example stands in for all."""
        if self.block is not None:
            return dict(batch)
        return {
            name: value[(slice(1),) * value.ndim].expand(count, *(1,) * (value.ndim - 1))
            for name, value in batch.items()
        }


def candidates(module: nn.Module, batch: Mapping[str, torch.Tensor]) -> list[Cut]:
    """The cuts that a model may have, all at one place.

    Args:
        module: as its method left it, in evaluation mode: what learns requires a gradient.
        batch: the arguments of its forward for some examples.

    Returns:
        Nothing where a part learns before the second layer, or where the model passes its states on in a way that is
        not known here.
    """
    classifier = _classifier(module)
    count = _frozen_blocks(module, classifier)
    if count == 0:
        return []
    layers = list(blocks(classifier).values())
    watched = [classifier.base_model] if count is None else layers[: count + 1]
    with _watched(watched) as seen:
        _logits(module, batch)
    if any(len(calls) != 1 for calls in seen):
        return []
    if count is None:
        ((_, out),) = seen[0]
        vectors = {"pooled": "pooler_output", "first": "last_hidden_state", "last": "last_hidden_state"}
        return [Cut(None, reads, type(out)) for reads in READS if _readable(out, vectors[reads], reads, batch)]
    answers = {_answer(calls[0][1]) for calls in seen[:count]}
    answer = answers.pop()
    if answer is None or answers or not all(_by_token(calls[0][0], batch) for calls in seen):
        return []
    return [Cut(count, "states", answer)]


def install(module: nn.Module, cut: Cut) -> None:
    """Let a model start at a cut: a call with the argument `features` does, any other is what it was."""
    given: list[torch.Tensor] = []

    def take(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given[:] = [kwargs[FEATURES]] if FEATURES in kwargs else []
        return args, {name: value for name, value in kwargs.items() if name != FEATURES}

    def enter(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return (*given, *args[1:]) if given else None

    def skipped(forward: Callable[..., Any], answer: Callable[[Any], Any]) -> Callable[..., Any]:
        @wraps(forward)
        def skip(*args: Any, **kwargs: Any) -> Any:
            return answer(*args[:1]) if given else forward(*args, **kwargs)

        return skip

    def output(*_: Any) -> Any:
        # Both, whichever the head reads.
        (vectors,) = given
        known = {"last_hidden_state": vectors[:, None], "pooler_output": vectors}
        return cut.answer(**{field.name: known.get(field.name) for field in fields(cut.answer)})

    module.register_forward_pre_hook(take, with_kwargs=True)
    classifier = _classifier(module)
    if cut.block is None:
        base = classifier.base_model
        base.forward = skipped(base.forward, output)
        return
    layers = list(blocks(classifier).values())
    for layer in layers[: cut.block]:
        layer.forward = skipped(layer.forward, (lambda states: (states,)) if cut.answer is tuple else lambda x: x)
    layers[cut.block].register_forward_pre_hook(enter)


@torch.no_grad()
def record(module: nn.Module, cut: Cut, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """What leaves the prefix.

    Args:
        module: a model that the cut is installed in, in evaluation mode.
        cut: where.
        batch: the arguments of the model's forward for n examples.

    Returns:
        [n, tokens, d] what enters a layer, 0 where a text has ended, or [n, d] what the head reads. None when the
        logits are other ones if the model starts from that.
    """
    classifier = _classifier(module)
    place = classifier.base_model if cut.block is None else list(blocks(classifier).values())[cut.block]
    with _watched([place]) as seen:
        logits = _logits(module, batch)
    (((states, out),),) = seen
    mask = batch.get("attention_mask")
    if cut.reads == "pooled":
        features = out["pooler_output"]
    elif cut.reads == "first":
        features = out["last_hidden_state"][:, 0]
    elif cut.reads == "last" and mask is not None:
        features = out["last_hidden_state"][torch.arange(len(mask), device=mask.device), mask.sum(1) - 1]
    else:
        features = states if mask is None else states * mask[..., None].to(states.dtype)
    again = _logits(module, {**cut.batch(batch, len(features)), FEATURES: features})
    return features if _agree(logits, again) else None


def prefix_tensors(module: nn.Module, cut: Cut) -> Iterator[tuple[str, torch.Tensor]]:
    """What the activations at a cut are made with: the parameters of the base that come before it, and its buffers, by
    name. Architectures register their parts from inputs to outputs."""
    classifier = _classifier(module)
    layers = blocks(classifier)
    beyond = () if cut.block is None else tuple(f"{name}." for name in list(layers)[cut.block :])
    for name, parameter in classifier.base_model.named_parameters(prefix=classifier.base_model_prefix):
        if beyond and name.startswith(beyond):
            break
        yield name, parameter
    for name, buffer in classifier.base_model.named_buffers(prefix=classifier.base_model_prefix):
        if not (beyond and name.startswith(beyond)):
            yield name, buffer


def _classifier(module: nn.Module) -> Any:
    from peft import PeftModel

    return module.get_base_model() if isinstance(module, PeftModel) else module


def _frozen_blocks(module: nn.Module, classifier: Any) -> int | None:
    """How many repeated layers nothing that learns comes before or is in; None when the base is frozen as a whole."""
    if not all(parameter.is_floating_point() for parameter in module.parameters()):
        # Quantised: what the numbers mean is written down elsewhere.
        return 0
    learning = {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    if not learning <= {id(parameter) for parameter in classifier.parameters()}:
        return 0
    base = classifier.base_model
    named = list(base.named_parameters(prefix=classifier.base_model_prefix))
    first = next((place for place, (_, parameter) in enumerate(named) if id(parameter) in learning), None)
    if first is None:
        return None
    # A part that learns between two layers, or after the last, is no layer: the cut is before the one it follows.
    before = [name for name in blocks(classifier) if any(own.startswith(f"{name}.") for own, _ in named[: first + 1])]
    return max(len(before) - 1, 0)


def _answer(out: Any) -> type | None:
    """How a layer hands its states on: alone, or in a tuple with nothing else; None: in another way."""
    if isinstance(out, torch.Tensor):
        return torch.Tensor
    return tuple if type(out) is tuple and [type(one) for one in out] == [torch.Tensor] else None


def _by_token(states: Any, batch: Mapping[str, torch.Tensor]) -> bool:
    """Whether what enters a layer has a row per example of the batch and, for texts, per token."""
    if not isinstance(states, torch.Tensor) or states.ndim < 3:
        return False
    mask = batch.get("attention_mask")
    if mask is None:
        return len(states) == len(next(iter(batch.values())))
    return states.ndim == 3 and states.shape[:2] == mask.shape


def _readable(out: Any, name: str, reads: Reads, batch: Mapping[str, torch.Tensor]) -> bool:
    """Whether a base's output has what a head may read in this way."""
    if not isinstance(out, dict) or not isinstance(out.get(name), torch.Tensor):
        return False
    return reads == "pooled" or (out[name].ndim == 3 and (reads == "first" or "attention_mask" in batch))


@contextmanager
def _watched(modules: Sequence[nn.Module]) -> Iterator[list[list[tuple[Any, Any]]]]:
    """The first argument and the output of every call, by module."""
    seen: list[list[tuple[Any, Any]]] = [[] for _ in modules]

    def note(calls: list[tuple[Any, Any]]) -> Callable[..., None]:
        return lambda _, args, out: calls.append((args[0] if args else None, out))

    hooks = [module.register_forward_hook(note(calls)) for module, calls in zip(modules, seen, strict=True)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def _logits(module: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return module(**batch).logits


def _agree(logits: torch.Tensor, again: torch.Tensor) -> bool:
    if logits.shape != again.shape:
        return False
    spread = (logits.max() - logits.min()).item()
    # Logits that are all alike would agree whatever the head was given.
    return spread > 0 and (logits - again).abs().max().item() <= TOLERANCE[logits.dtype] * spread
