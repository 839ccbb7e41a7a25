"""Computes losses and defines the pack for language models that learn to continue a prompt.

Prompt and padding do not count in the loss. An example's loss is the mean over its target's tokens, and a batch's loss
the mean over examples, so that a text's weight does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from evenhand.training.batches import Inputs, longest_first_batches
from evenhand.training.pack import PREDICT_BATCH, Batch, Pack, Single, train_mode
from evenhand.training.prompted_texts import PromptedTexts, target_positions
from evenhand.training.sequence_packing import pack_texts
from evenhand.training.shares import Answers, Question, answer_all


def target_log_probs(
    model: nn.Module,
    inputs: PromptedTexts,
    rows: np.ndarray,
    device: torch.device,
    length: int = 0,
    packing: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log-probability of each target token, given all tokens before it.

    Args:
        model: a language model.
        inputs, rows: texts, and the positions of those to score.
        device: where the model is.
        length: minimum number of tokens to pad to; without effect on packed rows.
        packing: several texts in one row, see `evenhand.training.sequence_packing`.

    Returns:
        [len(rows), positions − 1], 0 at positions without a target; and a mask of the targets, bool of that shape.
    """
    batch = inputs.batch(rows, device, length)
    following = batch["input_ids"][:, 1:]
    is_target = target_positions(inputs, rows, following)
    if packing:
        packed = pack_texts(inputs, rows)
        starts = torch.from_numpy(packed.starts).to(device)[:, None]
        position = torch.arange(1, following.shape[1] + 1, device=device)
        logits = packed.forward(model, device)[(starts + position - 1)[is_target]]
    else:
        logits = model(**batch).logits[:, :-1][is_target]
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    target_values = -nn.functional.cross_entropy(exact, following[is_target], reduction="none")
    log_probs = torch.zeros(is_target.shape, dtype=target_values.dtype, device=device)
    return log_probs.masked_scatter(is_target, target_values), is_target


@dataclass(eq=False)
class LanguagePack(Single):
    """A pack of one language model. Its replica's labels are unused; there is one per example."""

    @classmethod
    def of(cls, pack: Pack) -> LanguagePack:
        """Make a language model's pack from the pack of one trial that a method made."""
        if isinstance(pack, cls):  # a private one
            return pack
        assert type(pack) is Single
        return cls(pack.module, pack.replicas, pack.device)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the steps of one epoch, whose sizes are tokens of targets if the loss is a mean over these."""
        (replica,) = self.replicas
        assert isinstance(replica.inputs, PromptedTexts)
        for batch in super().batches(epoch):
            if not replica.inputs.by_token:
                yield batch
                continue
            rows = [rows for part in batch.micro_batches for rows in part.rows]
            tokens = (int(replica.inputs.counts[np.concatenate(rows)].sum()),)
            yield Batch(tuple(replace(part, sizes=tokens) for part in batch.micro_batches), tokens)

    def sum_of_losses(self, rows: np.ndarray, length: int = 0) -> torch.Tensor:
        """Return the sum of the examples' mean losses, or of their tokens' losses, a scalar.

        Texts are padded to at least `length` tokens.
        """
        (replica,) = self.replicas
        assert isinstance(replica.inputs, PromptedTexts)
        packing = replica.train.packing
        log_probs, is_target = target_log_probs(self.module, replica.inputs, rows, self.device, length, packing)
        return -log_probs.sum() if replica.inputs.by_token else mean_losses(log_probs, is_target).sum()

    def evaluate(self, replica: int, inputs: Inputs, labels: np.ndarray) -> tuple[float, float]:
        """Return the mean loss per example or token, and NaN, because a language model has no accuracy here."""
        assert isinstance(inputs, PromptedTexts)
        losses = example_losses(self.module, inputs, self.device)
        return float(np.average(losses, weights=inputs.counts if inputs.by_token else None)), float("nan")

    def share_out(
        self,
        answer: Callable[[Sequence[Question]], Answers],
        questions: Sequence[Question],
        weave: Callable[[Sequence[Answers]], Answers],
    ) -> Answers:
        """Return the answers to all questions; see `evenhand.training.shares.ShareOut`."""
        return answer_all(answer, questions, weave)

    @contextmanager
    def answering(self) -> Iterator[nn.Module]:
        """Context manager that yields the trained model, ready to answer questions."""
        yield self.module

    def full_model(self, replica: int) -> nn.Module:
        """Return the model as its method made it, with its trained weights."""
        return self.module


@torch.inference_mode()
def example_losses(
    module: nn.Module, inputs: PromptedTexts, device: torch.device, size: int = PREDICT_BATCH
) -> np.ndarray:
    """Return the mean loss of each example's target in evaluation mode, float32 [n], in the order of the inputs."""
    training = module.training
    module.eval()
    losses = np.empty(len(inputs), dtype=np.float32)
    for rows in longest_first_batches(len(inputs), inputs.lengths, size):
        losses[rows] = mean_losses(*target_log_probs(module, inputs, rows, device)).float().cpu().numpy()
    if training:
        train_mode(module)
    return losses


@torch.inference_mode()
def response_scores(
    module: nn.Module,
    inputs: PromptedTexts,
    rows: np.ndarray,
    device: torch.device,
    ends: Sequence[int],
    size: int = PREDICT_BATCH,
) -> np.ndarray:
    """Return the mean loss of each target, and whether greedy decoding would write it, float64 [len(rows), 2].

    Greedy decoding writes a target if each of its tokens is the most likely one after those before it, so one forward
    pass tells.

    Args:
        module: a language model.
        inputs, rows: texts, and the positions of those to score.
        device: where the model is.
        ends: from `text_ends`; what a chat template writes behind the first one in a target need not be written.
        size: texts in a forward pass.
    """
    module.eval()
    scores, stops = np.empty((len(rows), 2)), torch.tensor(list(ends), dtype=torch.int64, device=device)
    for places in longest_first_batches(len(rows), inputs.lengths[rows], size):
        chosen = rows[places]
        batch = inputs.batch(chosen, device)
        following = batch["input_ids"][:, 1:]
        is_target = target_positions(inputs, chosen, following)
        logits = module(**batch).logits[:, :-1][is_target].float()
        losses = torch.zeros(is_target.shape, device=device)
        losses[is_target] = nn.functional.cross_entropy(logits, following[is_target], reduction="none")
        wrong = torch.zeros(is_target.shape, dtype=torch.bool, device=device)
        wrong[is_target] = logits.argmax(-1) != following[is_target]
        stopped = is_target & torch.isin(following, stops)
        wrong &= stopped.cumsum(1) - stopped.long() == 0  # no end before
        scores[places, 0] = mean_losses(-losses, is_target).double().cpu().numpy()
        scores[places, 1] = (~wrong.any(1)).double().cpu().numpy()
    return scores


def mean_losses(log_probs: torch.Tensor, is_target: torch.Tensor) -> torch.Tensor:
    """Return each example's mean loss over its target's tokens."""
    return -log_probs.sum(1) / is_target.sum(1)
