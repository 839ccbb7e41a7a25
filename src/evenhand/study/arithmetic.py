"""Calculates the operations and the memory of a trial from its sizes, without running anything.

A product of a vector with a matrix of N entries takes 2N operations: a multiplication and an addition for each entry.
With N the entries of all matrices that a token meets (embeddings are looked up, not multiplied), L layers, d the width
of their queries, and a text of T tokens:

- a forward pass takes 2N operations per token, and attention 4·L·d·T more: scores and weighted values, 2·d·T each
  (Kaplan et al. 2020, arXiv:2001.08361, table 1; Hoffmann et al. 2022, arXiv:2203.15556, appendix F);
- a backward pass takes as many for the gradients of the activations, from the last layer down to the first that is
  trained (twice as many in attention, whose two products have two activations each), and 2 per token and entry for the
  gradients of the weights, only where they are trained.

So full fine-tuning takes 6N per token, LoRA a little more than 4N, a head on cached features 2N once, and a prediction
2N. Normalisations, activation functions and losses are not counted. The optimiser and autocast take no time to compute,
but time to move their numbers: `STEP_BYTES` of each trained parameter and `CAST_BYTES` of each entry in every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.study.machines import Precision
from evenhand.study.model_shape import Layer, ModelShape

RESERVED = 1e9
"""Bytes that a GPU's libraries take for themselves, about."""

STEP_BYTES = 40
"""Of a trained parameter that an optimizer step moves: AdamW reads the value, its gradient and two moments and writes
three of them; clipping reads the gradient, and reads and writes it again."""

CAST_BYTES = 6
"""Of an entry of a matrix that bfloat16 autocast moves in every step: it reads four and writes two."""

STATE_BYTES = 12
"""Of a trained parameter beside its float32 value: the gradient and AdamW's two moments."""

QUANTISED_BYTES = 0.52
"""Of an entry of 4 bits with doubly quantised scales (Dettmers et al. 2023, arXiv:2305.14314, section 3)."""


@dataclass(frozen=True)
class Lengths:
    """The lengths of some inputs in tokens; an image counts as one token, since its tokens are those of the model.

    Attributes:
        count: number of inputs; need not be whole.
        mean: mean number of tokens that are computed.
        pairs: mean number of pairs of such a token and a token that it attends to; in whole texts, the mean square.
        longest: the largest number of tokens.
    """

    count: float
    mean: float = 1.0
    pairs: float = 1.0
    longest: int = 1

    @classmethod
    def of(cls, lengths: Sequence[int] | np.ndarray, count: float | None = None) -> Lengths:
        """Return the lengths of inputs from the tokens of each input of a sample.

        Args:
            lengths: int [n].
            count: number of all inputs; None: the sample is all.

        Example:
            >>> Lengths.of([2, 4])
            Lengths(count=2, mean=3.0, pairs=10.0, longest=4)
        """
        tokens = np.asarray(lengths, dtype=np.float64)
        if not tokens.size:
            return cls(0, 0.0, 0.0, 0)
        pairs = float(np.mean(tokens**2))
        return cls(tokens.size if count is None else count, float(tokens.mean()), pairs, int(tokens.max()))

    def times(self, factor: float) -> Lengths:
        """Return the lengths of that many times as many inputs."""
        return replace(self, count=self.count * factor)


@dataclass(frozen=True)
class Answers:
    """Texts that a language model generates.

    Attributes:
        prompts: the prompts, which are read in one pass each.
        mean: mean number of generated tokens.
        steps: number of times that the model is called for a batch's next tokens, over all batches.
    """

    prompts: Lengths
    mean: float
    steps: int


@dataclass(frozen=True)
class TrialSize:
    """The sizes of a trial from which its operations and its memory follow.

    Attributes:
        shape: of the model as the method trains it.
        learned: the training examples.
        epochs: passes over them.
        batch: examples in a forward pass of training.
        steps: optimizer steps.
        precision: of training.
        predicted: inputs of forward passes in float32: validation after each epoch, test sets, members, prompts.
        answers: texts that are generated in float32; None: none.
        cached: whether the activations below the first trained layer are computed only once.
        checkpointing: whether a layer is computed again in the backward pass.
        images: images to decode.
    """

    shape: ModelShape
    learned: Lengths
    epochs: int
    batch: int
    steps: int
    precision: Precision
    predicted: Sequence[Lengths] = ()
    answers: Answers | None = None
    cached: bool = False
    checkpointing: bool = False
    images: int = 0


@dataclass(frozen=True)
class TrialWork:
    """What a trial needs of an accelerator.

    Attributes:
        trained: operations in the precision of training.
        predicted: operations in float32.
        moved: bytes that the optimizer and autocast read and write.
        read: bytes of weights that generation reads, all of them for every step.
        loaded: bytes of the model's weights, which are read from disk.
    """

    trained: float
    predicted: float
    moved: float
    read: float
    loaded: float


def work_of_size(size: TrialSize) -> TrialWork:
    """Return the operations of a trial, and the bytes that it moves and reads."""
    shape, learned = size.shape, size.learned
    prefix, begin = 0.0, 0
    if size.cached and shape.first:
        begin = shape.first
        prefix = forward_operations(shape, learned) - forward_operations(shape, learned, begin)
    each = forward_operations(shape, learned, begin) + backward_operations(shape, learned)
    if size.checkpointing:
        each += forward_operations(shape, learned)
    loaded = 4.0 * shape.parameters
    predicted = sum(lengths.count * forward_operations(shape, lengths) for lengths in size.predicted)
    read = 0.0
    if size.answers is not None:
        prompts, new = size.answers.prompts, size.answers.mean
        generated = Lengths(1, new, new * (prompts.mean + new / 2))
        predicted += prompts.count * (forward_operations(shape, prompts) + forward_operations(shape, generated))
        read = size.answers.steps * loaded
    trained = learned.count * (prefix * (size.epochs > 0) + each * size.epochs)
    moved = STEP_BYTES * shape.trained
    if size.precision == "bfloat16":
        moved += CAST_BYTES * (
            sum(layer.entries for layer in shape.layers[begin:]) + sum(matrix.entries for matrix in shape.matrices)
        )
    return TrialWork(trained, predicted, size.steps * moved, read, loaded)


def forward_operations(shape: ModelShape, lengths: Lengths, begin: int = 0) -> float:
    """Return the operations of one input's forward pass, on average.

    Args:
        shape: of the model.
        lengths: of the inputs.
        begin: the layer from which on operations count; what stands before it does not.
    """
    layers = sum(
        _products(layer.entries, layer, lengths, shape) + _attention(layer, lengths, shape)
        for layer in shape.layers[begin:]
    )
    return layers + sum(
        2 * matrix.entries * _tokens(matrix.tokens, lengths, shape)
        for matrix in shape.matrices
        if not begin or matrix.layers_before > begin or matrix.layers_before == begin == len(shape.layers)
    )


def backward_operations(shape: ModelShape, lengths: Lengths) -> float:
    """Return the operations of one training input's backward pass, on average; 0 if nothing is trained."""
    if shape.first is None:
        return 0.0
    total = 0.0
    for layer in shape.layers[shape.first :]:
        total += _products(layer.entries, layer, lengths, shape) + 2 * _attention(layer, lengths, shape)
        total += _products(layer.trained, layer, lengths, shape)
    for matrix in shape.matrices:
        one = 2 * matrix.entries * _tokens(matrix.tokens, lengths, shape)
        total += one * (matrix.layers_before > shape.first) + one * matrix.trained
    return total


def memory_bytes(size: TrialSize) -> float:
    """Return an estimate of the largest memory use of a trial, in bytes.

    It is the sum of the following, of which the activations are the least certain:

    - every parameter in float32, 4 bytes, or 4 bits if it is quantised; for a trained one, 12 more: its gradient and
      AdamW's two moments;
    - under bfloat16 autocast, a bfloat16 copy of every matrix that the backward pass reads, 2 bytes an entry;
    - the activations of a batch of the longest inputs (`model_shape.shape_of`), 2 bytes a number under autocast and 4
      in float32, and under autocast 12 bytes more per token and unit of width, because normalisations run in float32.
      Only layers from the first trained one on save any. Where attention stores its scores, they take 5 bytes per head
      and pair of tokens (8 in float32), after Korthikanti et al. (2022, arXiv:2205.05198, equation 2). With
      checkpointing, each layer saves its input in float32, and one layer at a time everything;
    - a language model's logits, their float32 copy and their gradient: 10 bytes per token and word;
    - what a GPU's libraries reserve.
    """
    shape, half = size.shape, size.precision == "bfloat16"
    parameters = 4.0 * shape.parameters
    if shape.quantised:
        parameters -= (4 - QUANTISED_BYTES) * sum(layer.entries - layer.trained for layer in shape.layers)
    fixed = parameters + STATE_BYTES * shape.trained + RESERVED
    if shape.first is None or not size.epochs:
        return fixed
    longest = Lengths(1, size.learned.longest, float(size.learned.longest**2), size.learned.longest)
    learning = shape.layers[shape.first :]
    copies = 2.0 * half * (sum(layer.entries for layer in learning) + sum(matrix.entries for matrix in shape.matrices))
    saved = [_saved_bytes(layer, longest, shape, half) for layer in learning]
    if size.checkpointing:
        inputs = sum(4.0 * layer.width * _tokens(layer.tokens, longest, shape) for layer in learning)
        activations = inputs + max(saved, default=0.0)
    else:
        activations = sum(saved)
    logits = 10.0 * shape.vocabulary * size.learned.longest
    return fixed + copies + size.batch * (activations + logits)


def _saved_bytes(layer: Layer, longest: Lengths, shape: ModelShape, half: bool) -> float:
    """Return the bytes of activations that a layer saves for one input of the longest length."""
    tokens = _tokens(layer.tokens, longest, shape)
    each = (2 if half else 4) * layer.saved + 12 * layer.width * half
    scores = (5 if half else 8) * layer.heads * (layer.span or tokens) * shape.materialised
    return tokens * (each + scores)


def _products(entries: float, layer: Layer, lengths: Lengths, shape: ModelShape) -> float:
    """Return the operations of one input's products with some entries of a layer's matrices."""
    return 2 * entries * _tokens(layer.tokens, lengths, shape)


def _attention(layer: Layer, lengths: Lengths, shape: ModelShape) -> float:
    """Return the operations of one input's scores and weighted values in a layer."""
    if layer.tokens is not None:
        return 4.0 * layer.attended * layer.tokens * (layer.span or layer.tokens)
    # A text of T tokens after v virtual ones has (T + v)² pairs.
    extra = shape.virtual_tokens
    return 4.0 * layer.attended * (lengths.pairs + extra * (2 * lengths.mean + extra))


def _tokens(tokens: int | None, lengths: Lengths, shape: ModelShape) -> float:
    """Return the tokens of an input: the given number for an image, else those of the text."""
    return tokens if tokens is not None else lengths.mean + shape.virtual_tokens
