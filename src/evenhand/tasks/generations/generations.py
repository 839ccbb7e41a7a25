"""Defines what the trials of a setting write and how it is scored, with the keys that identify the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from evenhand.data.dataset import Dataset
from evenhand.data.sft import Template
from evenhand.tasks.generations.scorers import Scorer, scores_key

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Generations:
    """The continuations that each trial of a setting writes, and their scorers.

    Attributes:
        prompts: the examples of each set of prompts, see `prompt_examples`.
        scorers: what scores the continuations, each under its own name.
        new_tokens: largest number of tokens of a continuation.
        samples: continuations that are sampled for each prompt; None: one is written, by greedy decoding.
        temperature, seed: of sampling.
        template: how a prompt is written, as a user's message before a response; None: as plain text, to be continued.
        keep_texts: whether the continuations are kept in the trial's folder.
    """

    prompts: tuple[Dataset, ...]
    scorers: tuple[Scorer, ...]
    new_tokens: int
    samples: int | None = None
    temperature: float = 1.0
    seed: int = 0
    template: Template | None = None
    keep_texts: bool = False

    @cached_property
    def splits(self) -> Mapping[str, Dataset]:
        """The prompts of each set by the `split` of their scores."""
        return {prompts.name: prompts for prompts in self.prompts}

    @cached_property
    def text_keys(self) -> Mapping[str, str]:
        """What identifies the continuations of each split: prompts and decoding."""
        drawn = (self.temperature, self.seed) if self.samples is not None else None
        return {
            split: scores_key(
                list(map(str, prompts.example)), list(prompts.inputs), self.new_tokens, drawn, self.template
            )
            for split, prompts in self.splits.items()
        }

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """What identifies the scores of each split by each scorer; their names are those of `place`."""
        return {
            place(split, scorer): scores_key(text_key, scorer.key)
            for split, text_key in self.text_keys.items()
            for scorer in self.scorers
        }

    def encode(self, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[np.ndarray]:
        """Return the token ids of prompts, int64 each. Raises InputError if there is no chat template."""
        from evenhand.training.conversations import encode_user_messages
        from evenhand.training.prompted_texts import encode_prompts

        if self.template is not None:
            return encode_user_messages(tokenizer, prompts, self.template)
        return encode_prompts(tokenizer, prompts, tokenizer.model_max_length)


def place(split: str, scorer: Scorer) -> str:
    """Return the name under which the key of a split's scores is kept."""
    return f"{split}/{scorer.name}"
