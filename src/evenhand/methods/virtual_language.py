"""Defines language models with virtual tokens that are called like any language model.

PEFT's own model returns logits for virtual tokens, too, takes no cache of a text that was read before, and puts padding
on the left between the virtual tokens and the text without counting positions past it. So its users would have to know
about virtual tokens, and its answers would depend on the other texts of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModelForCausalLM, PeftType
from transformers import StoppingCriteria, StoppingCriteriaList

if TYPE_CHECKING:
    from transformers.modeling_outputs import CausalLMOutputWithPast


class VirtualTokenLanguageModel(PeftModelForCausalLM):
    """A causal language model that reads trained virtual tokens before every text.

    Ids, masks, positions, logits and generated ids are those of texts; only the cache also holds the virtual tokens.
    The weights, and the logits of texts padded on the right, are those of PEFT's own model.
    """

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """Return what the language model says of texts after the virtual tokens.

        Args:
            input_ids: int64 [B, T].
            attention_mask: int64 [B, cached + T], 1 at tokens of texts and 0 at padding on either side; None: no
                padding on the left.
            position_ids: int64 [B, T], counted from a text's first token; None: counted from the mask. If there is a
                cache and padding on the left, they are required.
            past_key_values: the cache of an earlier call, which also holds the virtual tokens; None: none.
            labels: int64 [B, T], −100 at tokens that do not count; None: no loss.
            logits_to_keep: the number of last positions whose logits are returned, or their indices; 0: all.
            options: other arguments of the language model.

        Returns:
            The language model's output, with logits [B, T, V] of the text's positions. Hidden states include those of
            virtual tokens in front.
        """
        first, count = past_key_values is None, self._count
        padding = None
        if first and attention_mask is not None and bool((attention_mask[:, 0] == 0).any()):
            padding = attention_mask
            position_ids = _positions(padding) if position_ids is None else position_ids
        inputs: dict[str, Any] = {"past_key_values": past_key_values, "labels": labels, **options}
        if attention_mask is not None:
            ones = attention_mask.new_ones(len(attention_mask), count)
            inputs["attention_mask"] = self._layout(attention_mask)(ones, attention_mask)
        if position_ids is not None:
            inputs["position_ids"] = position_ids + count
        model: Any = self.base_model
        if first and self._fills_cache:
            inputs["past_key_values"] = self.get_prompt(len(input_ids))
        if not first or self._fills_cache:
            return model(input_ids=input_ids, logits_to_keep=logits_to_keep, **inputs)
        join = self._layout(padding)
        embed: Any = self.word_embeddings
        embeddings = embed(input_ids)
        inputs["inputs_embeds"] = join(self.get_prompt(len(input_ids)).to(embeddings.dtype), embeddings)
        if position_ids is not None:
            before = torch.arange(count, device=input_ids.device).expand(len(input_ids), count)
            inputs["position_ids"] = join(before, position_ids + count)
        if labels is not None:
            inputs["labels"] = join(labels.new_full((len(labels), count), -100), labels)
        if isinstance(logits_to_keep, torch.Tensor):
            logits_to_keep = logits_to_keep + count
        out = model(logits_to_keep=logits_to_keep, **inputs)
        if isinstance(logits_to_keep, int):
            # Behind padding on the left, the tokens of a text are the last ones, too.
            out.logits = out.logits[:, -min(input_ids.shape[1], logits_to_keep or input_ids.shape[1]) :]
        return out

    @torch.no_grad()
    def generate(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **options: Any) -> Any:
        """Generate after texts, int64 [B, T], which are padded on the left; arguments and result as in transformers.

        The virtual tokens and each text but its last token are read first. For the rest, transformers continues from
        their cache, as if the virtual tokens were tokens of the text.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        dummies = input_ids.new_zeros(len(input_ids), self._count)
        join = self._layout(mask)
        ids, whole = join(dummies, input_ids), join(torch.ones_like(dummies), mask)
        if "max_length" in options:
            options["max_length"] += self._count
        if (criteria := options.get("stopping_criteria")) is not None:
            options["stopping_criteria"] = StoppingCriteriaList([_OfTexts(criteria, input_ids, ids.shape[1])])
        cache = self._read_before(input_ids[:, :-1], mask[:, :-1])
        model: Any = self.base_model
        written = model.generate(input_ids=ids, attention_mask=whole, past_key_values=cache, **options)
        return torch.cat([input_ids, written[:, ids.shape[1] :]], dim=1)

    def _read_before(self, input_ids: torch.Tensor, mask: torch.Tensor) -> Any:
        """Return the cache of the virtual tokens and these beginnings of texts, which may be empty."""
        if input_ids.shape[1]:
            return self(input_ids, mask, use_cache=True, logits_to_keep=1).past_key_values
        prompt, model = self.get_prompt(len(input_ids)), self.base_model
        return prompt if self._fills_cache else model(inputs_embeds=prompt, use_cache=True).past_key_values

    @property
    def _count(self) -> int:
        """Number of virtual tokens."""
        config: Any = self.active_peft_config
        return int(config.num_virtual_tokens)

    @property
    def _fills_cache(self) -> bool:
        """Whether the virtual tokens are keys and values only, which are no inputs of the first layer."""
        return self.active_peft_config.peft_type == PeftType.PREFIX_TUNING

    def _layout(self, mask: torch.Tensor | None) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Return the function that puts values of virtual tokens, [B, v, …], before those of texts, [B, T, …].

        Keys and values come before everything. Embeddings come between the padding on the left and the text, so that a
        sliding window counts no padding.
        """
        if mask is None or self._fills_cache:
            return lambda virtual, texts: torch.cat([virtual, texts], dim=1)
        padding = (mask.cumsum(dim=1) == 0).sum(dim=1, keepdim=True)

        def join(virtual: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
            """Put the values between padding and text."""
            both, count = torch.cat([virtual, texts], dim=1), virtual.shape[1]
            place = torch.arange(both.shape[1], device=both.device).expand(len(both), -1)
            source = torch.where(place < padding + count, place - padding, place)
            source = torch.where(place < padding, place + count, source)
            return both[torch.arange(len(both), device=both.device)[:, None], source]

        return join


class _OfTexts(StoppingCriteria):
    """Stopping criteria that see texts without virtual tokens."""

    def __init__(self, criteria: StoppingCriteriaList, texts: torch.Tensor, begin: int) -> None:
        """Remember the criteria, the texts [B, T], and the number of ids before the first generated one."""
        self._criteria, self._texts, self._begin = criteria, texts, begin

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        """Return which texts end with their last token, bool [B]."""
        whole: Any = torch.cat([self._texts, input_ids[:, self._begin :]], dim=1)
        return self._criteria(whole, scores, **kwargs)  # pyright: ignore[reportArgumentType] - as transformers calls it


def _positions(mask: torch.Tensor) -> torch.Tensor:
    """Return the position of each token in its text, 0 at padding on the left."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)
