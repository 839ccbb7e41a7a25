"""Describes a model by the sizes from which its arithmetic follows, read off a skeleton without weights.

A method is applied to the skeleton, so adapters and frozen parts are those that would be trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenhand.methods.base import Base
from evenhand.methods.compression import Compression
from evenhand.methods.fit import model_skeleton
from evenhand.methods.full import Full
from evenhand.methods.layers import QUERY_AND_VALUE, blocks
from evenhand.methods.lora import LoRA
from evenhand.methods.method import Method
from evenhand.methods.quantized import QLoRA
from evenhand.methods.sparse import Pruned

if TYPE_CHECKING:
    from torch import nn

    from evenhand.models.find import BaseModel

_QUERIES = frozenset(names[0] for names in QUERY_AND_VALUE)
_FUSED = frozenset(names[0] for names in QUERY_AND_VALUE if len(names) == 1)
"""Layers that compute queries, keys and values at once."""


@dataclass(frozen=True)
class Layer:
    """One repeated layer.

    Attributes:
        entries: entries of its matrices; each is multiplied once with every token.
        trained: those of them that are trained.
        saved: activations per token that the backward pass reads, see `shape_of`.
        width: size of the state that the layer passes on.
        attended: width of all queries together.
        heads: number of heads.
        tokens: tokens of an image that reach it; None: those of the text.
        span: tokens that a token attends to; None: all.
    """

    entries: float
    trained: float
    saved: int
    width: int
    attended: int
    heads: int
    tokens: int | None = None
    span: int | None = None


@dataclass(frozen=True)
class Matrix:
    """A matrix outside the repeated layers: an embedding of patches, a merging of patches, a head.

    Attributes:
        entries: number of its entries.
        trained: whether it is trained.
        tokens: tokens of an example that it is multiplied with; None: those of the text.
        layers_before: number of repeated layers before it.
    """

    entries: int
    trained: bool
    tokens: int | None
    layers_before: int


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model as a method trains it.

    Attributes:
        layers: the repeated layers, from inputs to outputs.
        matrices: those outside the layers.
        parameters: number of all parameters, the adapter's included.
        trained: number of trained parameters.
        first: index of the first layer with trained parameters, 0 if something before the layers is trained, the number
            of layers if only parts after them are; None: nothing is trained.
        vocabulary: number of words that a language model chooses from at each token; 0 for a classifier.
        virtual_tokens: tokens that the method puts before a text.
        materialised: whether attention stores its scores, which fused kernels do not.
        quantised: whether the frozen matrices of the layers take 4 bits an entry.
    """

    layers: tuple[Layer, ...]
    matrices: tuple[Matrix, ...]
    parameters: int
    trained: int
    first: int | None
    vocabulary: int = 0
    virtual_tokens: int = 0
    materialised: bool = False
    quantised: bool = False


def shape_of(base: BaseModel, classes: int | None, method: Method) -> ModelShape:
    """Return the shape of a base model as a method trains it; reads its configuration, never its weights.

    For an image model, the tokens of each matrix are those of a forward pass on PyTorch's meta device, which computes
    shapes only. The activations that a layer saves are counted as in Korthikanti et al. (2022, arXiv:2205.05198,
    section 4.1), without their dropout masks: the output of every matrix, three states (the inputs of attention and of
    the feed-forward part, and the output of attention), and the output of each activation function; with a
    feed-forward part of four times the width these are 16 numbers per token and unit of width.

    Args:
        base: from `find_model` or `find_or_state_model`.
        classes: number of classes; None: a language model.
        method: as trained; a random choice is that of seed 0.

    Raises:
        InputError: the method does not fit the base.
    """
    from evenhand.models.last_token import reads_last_token
    from evenhand.tasks.work import count_parameters

    inner: Any = model_skeleton(base, classes)
    applied = _counted(method).apply(inner, 0)  # adapters are put into the model itself
    rows = _tokens_of_image(inner) if base.modality == "image" else None
    layers = blocks(inner)
    inside: dict[str, list[tuple[str, nn.Module]]] = {name: [] for name in layers}
    outside: list[Matrix] = []
    before, everywhere = 0, classes is None or reads_last_token(inner)
    for name, module in _matrices(inner):
        layer = next((layer for layer in layers if name.startswith(f"{layer}.")), None)
        if layer is not None:
            inside[layer].append((name, module))
            before = list(layers).index(layer) + 1
            continue
        # The head of a language model, or of a classifying decoder, reads every token.
        tokens = (None if everywhere or not before else 1) if rows is None else rows[name]
        outside.append(Matrix(_entries(module), _is_trained(module), tokens, before))
    trained, parameters = count_parameters(applied)
    return ModelShape(
        layers=tuple(_layer(layers[name], inside[name], rows, inner.config) for name in layers),
        matrices=tuple(outside),
        parameters=parameters,
        trained=trained,
        first=_first_trained(applied, inner, list(layers)) if trained else None,
        vocabulary=int(inner.config.vocab_size) if classes is None else 0,
        virtual_tokens=method.virtual_tokens,
        materialised=inner.config._attn_implementation == "eager",
        quantised=isinstance(method, QLoRA),
    )


def _counted(method: Method) -> Method:
    """Return a method with the same sizes that can be applied without weights."""
    if isinstance(method, Compression) and method.epochs == 0:
        return Base()
    if isinstance(method, Pruned):
        return Full()
    if isinstance(method, QLoRA):
        return LoRA(rank=method.rank, targets=method.targets)
    if isinstance(method, LoRA) and method.init != "kaiming":
        return method.model_copy(update={"init": "kaiming"})
    return method


def _matrices(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the linear and convolutional modules in order; without unused copies of a head, and without Swin's biases
    of positions, which are computed once in a batch."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    for name, module in model.named_modules():
        if "original_module" in name.split(".") or "position_bias" in name:
            continue
        if isinstance(module, nn.Linear | Conv1D | nn.Conv2d):
            yield name, module


def _tokens_of_image(model: Any) -> Mapping[str, int]:
    """Return the number of tokens of one image that each matrix is multiplied with, by the matrix's full name."""
    import torch

    config = model.config
    size = getattr(config, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    rows: dict[str, int] = {}

    def note(name: str) -> Any:
        """Return the hook that counts the tokens of one matrix."""

        def hook(module: nn.Module, _: tuple[Any, ...], out: torch.Tensor) -> None:
            """Count the outputs' rows, one for each token; a convolution's channels come second."""
            channels = out.shape[1 if isinstance(module, torch.nn.Conv2d) else -1]
            rows[name] = rows.get(name, 0) + out.numel() // channels

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in _matrices(model)]
    try:
        with torch.no_grad():
            model.to("meta")  # an adapter may be elsewhere
            model(pixel_values=torch.empty(1, config.num_channels, height, width, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    return rows


def _layer(
    layer: nn.Module, matrices: list[tuple[str, nn.Module]], rows: Mapping[str, int] | None, config: Any
) -> Layer:
    """Return the sizes of one repeated layer."""
    base = [(name.removesuffix(".base_layer"), module) for name, module in matrices if ".lora_" not in name]
    tokens = None if rows is None else max((rows[name] for name, _ in matrices), default=1)

    def entries(modules: list[tuple[str, nn.Module]]) -> float:
        """Return the entries, weighted by their share of the layer's tokens."""
        if rows is None or tokens is None:
            return sum(_entries(module) for _, module in modules)
        return sum(_entries(module) * rows[name] / tokens for name, module in modules)

    sizes = [_in_out(module) for _, module in base]
    width = sizes[0][0] if sizes else 0
    inner = max((inside for inside, _ in sizes), default=0)
    queries = [
        out // (3 if name.rpartition(".")[2] in _FUSED else 1)
        for (name, _), (_, out) in zip(base, sizes, strict=True)
        if name.rpartition(".")[2] in _QUERIES
    ]
    window = getattr(config, "window_size", None)
    return Layer(
        entries=entries(matrices),
        trained=entries([one for one in matrices if _is_trained(one[1])]),
        saved=sum(out for _, out in sizes) + 3 * width + sum(out for _, out in sizes if out == inner > width),
        width=width,
        attended=queries[0] if queries else 0,
        heads=_heads(layer, config),
        tokens=tokens,
        span=min(window**2, tokens) if tokens is not None and isinstance(window, int) else None,
    )


def _heads(layer: nn.Module, config: Any) -> int:
    """Return the number of heads of a layer: its own, else the configuration's."""
    for module in layer.modules():
        for name in ("num_attention_heads", "num_heads"):
            if isinstance(own := getattr(module, name, None), int):
                return own
    there = getattr(config, "num_attention_heads", 1)
    return there if isinstance(there, int) else 1


def _first_trained(applied: nn.Module, inner: nn.Module, layers: list[str]) -> int:
    """Return `ModelShape.first` of a model with trained parameters."""
    own = {id(parameter) for parameter in inner.parameters()}
    if any(parameter.requires_grad and id(parameter) not in own for parameter in applied.parameters()):
        return 0  # virtual tokens
    before = 0
    for name, parameter in inner.named_parameters():
        within = next((index for index, layer in enumerate(layers) if name.startswith(f"{layer}.")), None)
        if within is not None:
            before = within + 1
        if parameter.requires_grad:
            return before if within is None else within
    return len(layers)


def _is_trained(module: Any) -> bool:
    """Return whether a matrix is trained."""
    return bool(module.weight.requires_grad)


def _entries(module: Any) -> int:
    """Return the number of entries of a matrix."""
    return module.weight.numel()


def _in_out(module: Any) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a linear or a convolutional module."""
    from transformers.pytorch_utils import Conv1D

    first, second = module.weight.shape[:2]
    return (first, second) if isinstance(module, Conv1D) else (second, first)
