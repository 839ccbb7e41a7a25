"""Computes what language models say of each token of a target: its log-probability, and what others would have had."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from evenhand.training.batches import longest_first_batches
from evenhand.training.pack import PREDICT_BATCH
from evenhand.training.prompted_texts import PromptedTexts, target_positions

TOKENS = 1024
"""Tokens that are scored at once; several arrays of so many times the vocabulary are in memory."""


@dataclass(frozen=True, eq=False)
class TokenScores:
    """The tokens of n targets, each a float32 array of as many values as the target has tokens.

    Attributes:
        log_probs: [n] natural logarithms of the probability of each token, given all tokens before it.
        means, deviations: [n] mean and standard deviation of the log-probability of a token that the model itself
            draws at that position.
    """

    log_probs: list[np.ndarray]
    means: list[np.ndarray]
    deviations: list[np.ndarray]


@torch.inference_mode()
def token_scores(
    model: nn.Module, inputs: PromptedTexts, device: torch.device, size: int = PREDICT_BATCH
) -> TokenScores:
    """Return the scores of the tokens of each target.

    Args:
        model: a language model.
        inputs: texts, of which only the targets are scored.
        device: where the model is.
        size: texts in a forward pass.
    """
    model.eval()
    found = TokenScores(*([np.empty(0, dtype=np.float32)] * len(inputs) for _ in range(3)))
    for rows in longest_first_batches(len(inputs), inputs.lengths, size):
        batch = inputs.batch(rows, device)
        following = batch["input_ids"][:, 1:]
        is_target = target_positions(inputs, rows, following)
        logits, tokens = model(**batch).logits[:, :-1][is_target], following[is_target]
        parts = [_scores(*part) for part in zip(logits.split(TOKENS), tokens.split(TOKENS), strict=True)]
        scores = [torch.cat(values) for values in zip(*parts, strict=True)]
        ends = np.cumsum(is_target.sum(1).cpu().numpy())[:-1]
        for kept, values in zip((found.log_probs, found.means, found.deviations), scores, strict=True):
            for row, part in zip(rows, np.split(values.cpu().numpy(), ends), strict=True):
                kept[row] = part
    return found


def _scores(logits: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return log-probabilities of tokens [m] under logits [m, V], with mean and deviation over the vocabulary, [m]."""
    logits = logits.float()
    column = tokens[:, None]
    own = logits.gather(1, column)[:, 0]
    # From the log-odds: log-softmax would round probabilities near 1 to 1, and their logarithms to 0.
    others = logits.scatter(1, column, -torch.inf).logsumexp(1)
    log_probs = -nn.functional.softplus(others - own)
    every = logits.log_softmax(1)
    share = every.exp()
    # A token that is impossible has a share of 0, and adds nothing.
    means = torch.where(share > 0, share * every, 0.0).sum(1)
    squares = torch.where(share > 0, share * (every - means[:, None]) ** 2, 0.0)
    return log_probs, means, squares.sum(1).sqrt()
