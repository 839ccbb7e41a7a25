"""Reads shared beginnings of prompts once, caches their keys and values, and scores continuations on top.

Beginnings are padded on the left, the padding is masked, and positions count from the first token. So padding and the
other texts of a batch change a probability only by rounding. Continuations are padded on the right, where no token
attends.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from peft import PeftModel

from evenhand.tasks.prompts.encoding import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, eq=False)
class ReadPrefixes:
    """Beginnings that the model has read, with their cache.

    Attributes:
        mask: int64 [B, T], 1 at tokens and 0 at padding.
        following: log-probabilities of the next token after each beginning, [B, V].
        inside: float64 [B], the sum of the log-probabilities of a beginning's tokens but the first; None unless
            requested.
        cache: keys and values; None unless kept.
    """

    mask: np.ndarray
    following: torch.Tensor
    inside: np.ndarray | None
    cache: Any


class PrefixReader:
    """A causal language model that reads beginnings once and scores continuations on top of them.

    Args:
        model: a causal language model, in evaluation mode.
        precision: `bfloat16` is autocast on a GPU, and nothing on a CPU.

    Attributes:
        computed: tokens that went through the model, padding included.
    """

    def __init__(self, model: PreTrainedModel, precision: Literal["float32", "bfloat16"] = "float32") -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self._half = precision == "bfloat16" and self._device.type == "cuda"
        inner: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        self._takes = set(inspect.signature(inner.forward).parameters)
        self.computed = 0

    def read_beginnings(self, texts: Sequence[Tokens], *, keep: bool, inside: bool) -> ReadPrefixes:
        """Read beginnings of one token or more.

        Args:
            texts: token ids [B].
            keep: keep keys and values, for `continuation_log_probs`.
            inside: also compute the texts' own log-probability, which needs the logits of every position.
        """
        longest = max(map(len, texts))
        ids, mask = np.zeros((2, len(texts), longest), dtype=np.int64)
        for row, text in enumerate(texts):
            ids[row, longest - len(text) :] = text
            mask[row, longest - len(text) :] = 1
        positions = np.clip(mask.cumsum(axis=1) - 1, 0, None)
        logits, cache = self._forward(ids, mask, positions, None if inside else [longest - 1], None, keep)
        following = torch.log_softmax(logits[:, -1], dim=-1)
        sums = None
        if inside:
            log_probs = _log_probabilities(logits[:, :-1], torch.as_tensor(ids[:, 1:], device=self._device))
            sums = (log_probs.cpu().double().numpy() * mask[:, :-1]).sum(axis=1)
        return ReadPrefixes(mask, following, sums, cache)

    def continuation_log_probs(
        self,
        read: ReadPrefixes,
        beginnings: np.ndarray,
        tails: Sequence[Tokens],
        rows: np.ndarray,
        positions: np.ndarray,
        tokens: np.ndarray,
    ) -> np.ndarray:
        """Return log-probabilities of tokens in continuations of beginnings.

        Args:
            read: beginnings, whose cache was kept. The cache is restored afterwards.
            beginnings: int [R], index of each tail's beginning.
            tails: token ids [R], one or more each.
            rows, positions, tokens: int [m], the requested probabilities: of a token after a position of a tail.

        Returns:
            float64 [m].
        """
        longest = max(map(len, tails))
        ids, there = np.zeros((2, len(tails), longest), dtype=np.int64)
        for row, tail in enumerate(tails):
            ids[row, : len(tail)] = tail
            there[row, : len(tail)] = 1
        before = read.mask[beginnings]
        counted = before.sum(axis=1, keepdims=True) + np.arange(longest)
        cache = copy.deepcopy(read.cache)
        cache.batch_select_indices(torch.as_tensor(beginnings, device=self._device))
        wanted, column = np.unique(positions, return_inverse=True)
        logits, _ = self._forward(
            ids, np.concatenate([before, there], axis=1), counted, wanted.tolist(), cache, keep=True
        )
        at = [torch.as_tensor(index, device=self._device) for index in (rows, column.reshape(-1), tokens)]
        return _log_probabilities(logits[at[0], at[1]], at[2]).cpu().double().numpy()

    def _forward(
        self, ids: np.ndarray, mask: np.ndarray, positions: np.ndarray, wanted: list[int] | None, cache: Any, keep: bool
    ) -> tuple[torch.Tensor, Any]:
        """Return logits of these positions (None: of all), in float32 or wider, and the cache."""
        self.computed += ids.size
        options: dict[str, Any] = {"past_key_values": cache, "use_cache": keep}
        if "position_ids" in self._takes:
            options["position_ids"] = torch.as_tensor(positions, device=self._device)
        sliced = wanted is not None and "logits_to_keep" in self._takes
        if sliced:
            last = wanted == [ids.shape[1] - 1]
            options["logits_to_keep"] = 1 if last else torch.as_tensor(wanted, device=self._device)
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16) if self._half else nullcontext():
            out = self._model(
                input_ids=torch.as_tensor(ids, device=self._device),
                attention_mask=torch.as_tensor(mask, device=self._device),
                **options,
            )
        logits = out.logits if wanted is None or sliced else out.logits[:, wanted]
        return (logits if logits.dtype == torch.float64 else logits.float()), out.past_key_values if keep else None


def _log_probabilities(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of each token [...] from logits [..., V]."""
    return logits.gather(-1, tokens[..., None])[..., 0] - logits.logsumexp(dim=-1)
