"""A language model that answers multiple choice as a script says, whatever review it is asked about.

It is a causal language model as transformers has them: logits of every position from the tokens up to it, a cache that
a continuation is read on top of, padding that is masked. What it says is known: after "... : A) male, B) female. Your
Decision:" the log-odds of an option are the effect of its content + of its identifier + of its position + noise.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache, PretrainedConfig, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutputWithPast

from evenhand.seeds import generator

LISTED = re.compile(r"(\S+) \) ([a-z]+)")


class ScriptedModel(nn.Module):
    """A causal language model with known effects.

    Args:
        tokenizer: of whole words, so that an identifier is one token.
        content, identifier: effects by word.
        position: effects by place.
        example: standard deviation of each content's effect over reviews.
        noise: of each option in each prompt about each review.
        mass: probability of all options together.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        content: dict[str, float],
        identifier: dict[str, float],
        position: tuple[float, ...],
        example: float = 0.0,
        noise: float = 0.0,
        mass: float = 0.9,
    ) -> None:
        super().__init__()
        self.config = PretrainedConfig(vocab_size=len(tokenizer))
        self.tokenizer, self.content, self.identifier, self.position = tokenizer, content, identifier, position
        self.example, self.noise, self.mass = example, noise, mass
        self.nothing = nn.Parameter(torch.zeros(1))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: Any = None,
        use_cache: bool = False,
        logits_to_keep: int | torch.Tensor = 0,
    ) -> CausalLMOutputWithPast:
        cache = past_key_values if past_key_values is not None else DynamicCache()
        # The tokens themselves are what it remembers.
        told = input_ids[:, None, :, None].double()
        read = cache.update(told, told, 0)[0][:, 0, :, 0].long()
        new = range(input_ids.shape[1])
        wanted = list(new)[-logits_to_keep:] if isinstance(logits_to_keep, int) else logits_to_keep.tolist()
        first = read.shape[1] - input_ids.shape[1]
        logits = torch.stack(
            [
                torch.stack([self.says(row[: first + at + 1], mask[: first + at + 1]) for at in wanted])
                for row, mask in zip(read, attention_mask, strict=True)
            ]
        )
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache if use_cache else None)  # pyright: ignore

    def says(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the next token."""
        text = self.tokenizer.decode(ids[mask.bool()])
        listed = LISTED.findall(text)
        said = torch.zeros(len(self.tokenizer), dtype=torch.float64)
        if not listed:
            return said.log_softmax(-1)
        review = re.search(r'" (.*?) "', text).group(1)  # pyright: ignore[reportOptionalMemberAccess]
        scores = []
        for place, (name, word) in enumerate(listed):
            liking = self.example * generator(0, "liking", review, word).normal()
            noise = self.noise * generator(0, "noise", text, name).normal()
            scores.append(self.content[word] + self.identifier[name] + self.position[place] + liking + noise)
        shares = np.exp(scores) / np.exp(scores).sum() * self.mass
        said[:] = (1 - self.mass) / (len(said) - len(listed))
        for (name, _), share in zip(listed, shares, strict=True):
            said[self.tokenizer.convert_tokens_to_ids(name)] = float(share)
        return said.log()
