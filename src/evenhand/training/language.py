"""Language models learn what is to follow a prompt: the inputs, the loss, and the pack that the loop trains.

The prompt and the padding are no part of the loss. An example's loss is the mean over its target's tokens, and a
batch's the mean of those, so that a text's weight does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from evenhand.errors import InputError
from evenhand.training.batches import Inputs, Texts, by_length
from evenhand.training.pack import PREDICT_BATCH, Pack, Single, train_mode
from evenhand.training.sequence_packing import packed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Prompted(Texts):
    """Tokenised prompts, each with the target that is to follow it.

    Attributes:
        prompts: int64 [n], the tokens before the target, which count for nothing in the loss.
    """

    prompts: np.ndarray


def encode_prompted(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], targets: Sequence[str], max_length: int
) -> Prompted:
    """Tokenise prompts with their targets, once.

    A target follows its prompt after a space and ends with the end of text (with a line break, where a tokenizer has no
    such token). Both are encoded together; the target begins where the tokens of the prompt alone end.

    Args:
        tokenizer: of the base model.
        prompts, targets: [n].
        max_length: tokens of the longest.

    Raises:
        InputError: a prompt with its target is longer than that, or than the model's positions.
    """
    longest = min(max_length, tokenizer.model_max_length)
    alone = encode_prompts(tokenizer, prompts, longest)
    end = "\n" if tokenizer.eos_token is None else tokenizer.eos_token
    whole = [f"{prompt} {target}{end}" for prompt, target in zip(prompts, targets, strict=True)]
    encoded: Any = tokenizer(whole)["input_ids"] if whole else []
    tokens = [np.asarray(ids, dtype=np.int64) for ids in encoded]
    if tokenizer.eos_token is not None:
        tokens = [_ended_once(ids, tokenizer.eos_token_id) for ids in tokens]
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
    if len(lengths) and lengths.max() > longest:
        raise InputError(
            f"a prompt with its target has {lengths.max()} tokens, and {longest} is the most that train.max_length or "
            "the model allows; raise max_length, or leave out the longest lines"
        )
    begins = np.array([_shared(one, ids) for one, ids in zip(alone, tokens, strict=True)], dtype=np.int64)
    padding: Any = tokenizer.pad_token_id
    return Prompted(tokens, lengths, int(padding), begins)


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> Prompted:
    """Tokenise texts that are learned whole, once.

    A text ends with the end of text (with a line break, where a tokenizer has no such token). Nothing comes before it,
    so that its first token counts for nothing in the loss.

    Args:
        tokenizer: of the base model.
        texts: [n].
        max_length: tokens of the longest; the end of a longer one is cut.

    Raises:
        InputError: a text that leaves nothing to learn: it is one token long, or `max_length` is.
    """
    longest = min(max_length, tokenizer.model_max_length)
    end: Any = "\n" if tokenizer.eos_token is None else tokenizer.eos_token
    encoded: Any = tokenizer([text + end for text in texts])["input_ids"] if len(texts) else []
    tokens = [np.asarray(ids, dtype=np.int64) for ids in encoded]
    if tokenizer.eos_token is not None:
        tokens = [_ended_once(ids, tokenizer.eos_token_id) for ids in tokens]
    tokens = [ids[:longest] for ids in tokens]
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
    if len(lengths) and lengths.min() < 2:
        raise InputError(
            f"a text has {lengths.min()} tokens of which the first is given, so that there is nothing to learn; leave "
            "it out, or raise train.max_length"
        )
    padding: Any = tokenizer.pad_token_id
    return Prompted(tokens, lengths, int(padding), np.ones(len(tokens), dtype=np.int64))


def _ended_once(ids: np.ndarray, end: Any) -> np.ndarray:
    """Tokens that end with the end of text once; some tokenizers end every text so by themselves."""
    return ids[:-1] if ids[-2:].tolist() == [end, end] else ids


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], max_length: int) -> list[np.ndarray]:
    """Token ids of prompts that a model is to go on from, int64 each. Raises: as `encode_prompted`."""
    encoded: Any = tokenizer(list(prompts))["input_ids"] if len(prompts) else []
    end = tokenizer.eos_token_id
    found = [np.asarray(ids[:-1] if ids[-1] == end else ids, dtype=np.int64) for ids in encoded]
    longest = max((len(ids) for ids in found), default=0)
    if longest >= min(max_length, tokenizer.model_max_length):
        raise InputError(
            f"a prompt has {longest} tokens, which leaves nothing of train.max_length or of the model's positions to "
            "go on in; raise max_length, or leave out the longest lines"
        )
    return found


def _shared(prompt: np.ndarray, whole: np.ndarray) -> int:
    """The length of the longest common prefix; at least 1, since no model says a first token without another."""
    shortest = min(len(prompt), len(whole) - 1)
    differ = np.flatnonzero(prompt[:shortest] != whole[:shortest])
    return max(int(differ[0]) if len(differ) else shortest, 1)


def target_log_probs(
    model: nn.Module, inputs: Prompted, rows: np.ndarray, device: torch.device, length: int = 0, packing: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the targets' tokens, given all before them.

    Args:
        model: a language model.
        inputs, rows: which texts of which.
        device: where the model is.
        length: tokens to which rows are padded at least; of no effect where they are packed.
        packing: several texts in one row, see `evenhand.training.sequence_packing`.

    Returns:
        [len(rows), positions − 1], 0 where there is no target; and a mask of where there is one, bool of that shape.
    """
    batch = inputs.batch(rows, device, length)
    following = batch["input_ids"][:, 1:]
    place = torch.arange(1, following.shape[1] + 1, device=device)
    begins, ends = (torch.from_numpy(each[rows]).to(device)[:, None] for each in (inputs.prompts, inputs.lengths))
    there = (place >= begins) & (place < ends)
    if packing:
        together = packed(inputs, rows)
        starts = torch.from_numpy(together.starts).to(device)[:, None]
        logits = together.forward(model, device)[(starts + place - 1)[there]]
    else:
        logits = model(**batch).logits[:, :-1][there]
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    said = -nn.functional.cross_entropy(exact, following[there], reduction="none")
    found = torch.zeros(there.shape, dtype=said.dtype, device=device)
    return found.masked_scatter(there, said), there


@dataclass(eq=False)
class LanguagePack(Single):
    """A pack of one language model. Its replica's labels say nothing; there is one for each example."""

    @classmethod
    def of(cls, pack: Pack) -> LanguagePack:
        """A pack of one as a method made it, to be trained as a language model."""
        assert type(pack) is Single
        return cls(pack.module, pack.replicas, pack.device)

    def sum_of_losses(self, rows: np.ndarray, length: int = 0) -> torch.Tensor:
        """The examples' mean losses added up, a scalar; texts are padded to `length` at least."""
        (replica,) = self.replicas
        assert isinstance(replica.inputs, Prompted)
        packing = replica.train.packing
        return _means(*target_log_probs(self.module, replica.inputs, rows, self.device, length, packing)).sum()

    def validated(self, replica: int, inputs: Inputs, labels: np.ndarray) -> tuple[float, float]:
        """Mean loss per example, and NaN: nothing here is right or wrong."""
        assert isinstance(inputs, Prompted)
        return float(example_losses(self.module, inputs, self.device).mean()), float("nan")


@torch.inference_mode()
def example_losses(module: nn.Module, inputs: Prompted, device: torch.device, size: int = PREDICT_BATCH) -> np.ndarray:
    """The mean loss of each example's target in evaluation mode, float32 [n], in the order of the inputs."""
    training = module.training
    module.eval()
    found = np.empty(len(inputs), dtype=np.float32)
    for rows in by_length(len(inputs), inputs.lengths, size):
        found[rows] = _means(*target_log_probs(module, inputs, rows, device)).float().cpu().numpy()
    if training:
        train_mode(module)
    return found


def _means(log_probs: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    return -log_probs.sum(1) / there.sum(1)
