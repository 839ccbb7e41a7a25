"""Passes calibration examples through a model block by block, and measures what goes into the layers of each.

A block's inputs come from the blocks before it. Where these are finished their outputs are kept, so that no block is
computed more than twice, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Batch = dict[str, "torch.Tensor"]


class BlockPasses:
    """Passes of batches through a model whose blocks change one after the other.

    Args:
        model: in evaluation mode.
        blocks: the names of its blocks, in order.
        batches: what it reads.
    """

    def __init__(self, model: PreTrainedModel, blocks: Sequence[str], batches: Sequence[Batch]) -> None:
        self.model, self.batches = model, batches
        self.keeps = bool(batches) and _inputs_follow_from_outputs(model, blocks, batches[0])
        """Whether outputs are kept: whether a block gets nothing from those before it but what the last one returns."""
        self._outputs: list[dict[str, Any]] = [{} for _ in batches]

    def norms(self, block: str, layers: Mapping[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
        """Return the norms of the inputs of layers of a block, float64 [in] each; all blocks before it are finished."""
        end = self.model.get_submodule(block)
        return input_norms(self.model, layers, self.batches, end, self._kept if self.keeps else None)

    def finish(self, block: str) -> None:
        """Keep what a block returns, which will not change any more."""
        if not self.keeps:
            return
        for place, batch in enumerate(self.batches):
            with self._kept(place), _returned(self.model, block) as returned:
                _run(self.model, batch)
            _keep(self._outputs[place], block, returned[0])

    def _kept(self, place: int) -> ExitStack:
        """Context manager in which finished blocks return what they returned for a batch."""
        return _returning(self.model, self._outputs[place])


def input_norms(
    model: torch.nn.Module,
    layers: Mapping[str, torch.nn.Module],
    batches: Sequence[Batch],
    until: torch.nn.Module | None = None,
    kept: Callable[[int], ExitStack] | None = None,
) -> dict[str, torch.Tensor]:
    """Return the norm of each input of each layer over all unpadded tokens, float64 [in], by the layer's name.

    Args:
        model: it reads the batches.
        layers: of the model.
        batches: what it reads.
        until: the part of the model behind which none of the layers is used, where each pass ends; None: its end.
        kept: a context manager for the pass of each batch, in which finished blocks are not computed; None: they are.
    """
    squares: dict[str, Any] = dict.fromkeys(layers, 0.0)
    for place, batch in enumerate(batches):
        with ExitStack() as stack:
            if kept is not None:
                stack.enter_context(kept(place))
            stack.enter_context(_accumulate_squares(layers, squares, batch.get("attention_mask")))
            if until is not None:
                stack.enter_context(_hooked(until.register_forward_hook, _end))
            _run(model, batch)
    return {name: total.clone().sqrt() for name, total in squares.items()}


class _PassEndedError(Exception):
    """Ends a forward pass whose rest is not needed."""


def _end(*_: Any) -> None:
    raise _PassEndedError


def _run(model: torch.nn.Module, batch: Batch) -> None:
    import torch

    with torch.inference_mode(), suppress(_PassEndedError):
        model(**batch)


def _inputs_follow_from_outputs(model: PreTrainedModel, blocks: Sequence[str], batch: Batch) -> bool:
    """Return whether each block gets the same inputs if the blocks before it only return what they return.

    All but the last of a list of blocks return zeros: what they return goes into the next block of the list alone.
    """
    given: dict[str, list[Any]] = {}
    with ExitStack() as stack:
        returned = {block: stack.enter_context(_returned(model, block, ends=False)) for block in blocks}
        for block in blocks:
            given[block] = stack.enter_context(_received(model, block))
        _run(model, batch)
    if not all(returned.values()):
        return False
    outputs: dict[str, Any] = {}
    for block in blocks:
        with _returning(model, outputs), _received(model, block, ends=True) as received:
            _run(model, batch)
        if len(given[block]) != 1 or not received or not _equal(given[block][0], received[0]):
            return False
        _keep(outputs, block, returned[block][0])
    return True


def _keep(outputs: dict[str, Any], block: str, output: Any) -> None:
    """Add the output of a block, after which nobody needs the numbers of the block before it in its list."""
    before = next(reversed(outputs), None)
    if before is not None and before.rpartition(".")[0] == block.rpartition(".")[0]:
        outputs[before] = _of_the_same_shape(outputs[before])
    outputs[block] = output


def _tensors(value: Any) -> list[torch.Tensor]:
    import torch
    from torch.utils._pytree import tree_leaves

    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _equal(first: Any, second: Any) -> bool:
    import torch

    ours, theirs = _tensors(first), _tensors(second)
    return len(ours) == len(theirs) and all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


def _of_the_same_shape(output: Any) -> Any:
    """Return an output with zeros, which take no memory, in place of its numbers."""
    import torch
    from torch.utils._pytree import tree_map

    def zeros(leaf: Any) -> Any:
        """Return zeros for a tensor, and anything else as it is."""
        return leaf.new_zeros(1).expand(leaf.shape) if isinstance(leaf, torch.Tensor) else leaf

    return tree_map(zeros, output)


@contextmanager
def _hooked(register: Callable[..., Any], hook: Callable[..., Any], **how: Any) -> Iterator[None]:
    """Context manager in which a hook is registered."""
    handle = register(hook, **how)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _returned(model: torch.nn.Module, block: str, ends: bool = True) -> Iterator[list[Any]]:
    """Context manager that gives a list, to which forward passes append what a block returns, where they may end."""
    returned: list[Any] = []

    def note(_: torch.nn.Module, __: Any, output: Any) -> None:
        """Append the output."""
        returned.append(output)
        if ends:
            raise _PassEndedError

    with _hooked(model.get_submodule(block).register_forward_hook, note):
        yield returned


@contextmanager
def _received(model: torch.nn.Module, block: str, ends: bool = False) -> Iterator[list[Any]]:
    """Context manager that gives a list, to which forward passes append what a block is given, where they may end."""
    received: list[Any] = []

    def note(_: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Append the inputs as they are now."""
        received.append([tensor.clone() for tensor in _tensors([arguments, named])])
        if ends:
            raise _PassEndedError

    with _hooked(model.get_submodule(block).register_forward_pre_hook, note, with_kwargs=True):
        yield received


def _returning(model: torch.nn.Module, outputs: Mapping[str, Any]) -> ExitStack:
    """Context manager in which blocks return these outputs and compute nothing."""
    stack = ExitStack()
    for name, output in outputs.items():
        block: Any = model.get_submodule(name)
        block.forward = lambda *_, output=output, **__: output
        stack.callback(delattr, block, "forward")
    return stack


@contextmanager
def _accumulate_squares(
    layers: Mapping[str, torch.nn.Module], squares: dict[str, Any], mask: torch.Tensor | None
) -> Iterator[None]:
    """Context manager in which forward passes add each layer's squared inputs to `squares`."""

    def note(name: str) -> Any:
        """Return the hook of one layer."""

        def hook(_: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            """Add the squares of the layer's inputs."""
            given = arguments[0]
            tokens = given[mask.bool()] if mask is not None and given.shape[:-1] == mask.shape else given
            squares[name] = squares[name] + tokens.double().square().flatten(0, -2).sum(0)

        return hook

    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.enter_context(_hooked(layer.register_forward_pre_hook, note(name)))
        yield
