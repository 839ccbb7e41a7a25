"""Defines prefix tuning and prompt tuning through PEFT: trained virtual tokens before every text."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.peft_adapter import PeftAdapter
from evenhand.models.positions import text_positions

if TYPE_CHECKING:
    import torch
    from peft import PrefixTuningConfig, PromptTuningConfig
    from transformers import PreTrainedModel


class VirtualTokens(PeftAdapter):
    """Base class: puts trained virtual tokens before every text.

    Texts are truncated so that text and tokens together fit the model's positions.

    Attributes:
        tokens: number of virtual tokens.
    """

    lr: NonNegativeFloat = 1e-2
    tokens: PositiveInt = 20

    @property
    def virtual_tokens(self) -> int:
        """Number of virtual tokens."""
        return self.tokens

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the model reads no texts, or if the tokens fill all its positions."""
        if model.main_input_name != "input_ids":
            raise InputError(
                f"{self.kind}: {type(model).__name__} reads no texts that tokens could precede; use kind: lora"
            )
        positions = text_positions(model.config.to_dict())
        if positions is not None and self.tokens >= positions:
            raise InputError(
                f"{self.kind}: {self.tokens} tokens leave no room for a text in the {positions} positions of "
                f"{type(model).__name__}"
            )


class Prefix(VirtualTokens):
    """Trains keys and values of virtual tokens in every layer, and the head.

    Source: Li and Liang (2021, arXiv:2101.00190), without their reparametrisation.

    Attributes:
        tokens: how many virtual tokens.

    Example:
        >>> import evenhand
        >>> evenhand.Prefix(tokens=10).tokens
        10
    """

    kind: ClassVar[str] = "prefix"
    summary: ClassVar[str] = "keys and values of virtual tokens in every layer, and the classification head"

    def config(self, model: PreTrainedModel, seed: int) -> PrefixTuningConfig:
        """Return PEFT's configuration."""
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(num_virtual_tokens=self.tokens)


class Prompt(VirtualTokens):
    """Trains the embeddings of virtual tokens, and the head (Lester et al. 2021, arXiv:2104.08691).

    An encoder that classifies by its first position reads the first virtual token, and a decoder reads the last token
    of the text. Transformers cannot distinguish that token from padding if the input is embeddings, so this class
    selects it. Plain PEFT can load a saved prompt and gives the same logits for texts without padding.

    Attributes:
        init: start from the embeddings of tokens drawn from the vocabulary, or from a normal distribution.

    Example:
        >>> import evenhand
        >>> evenhand.Prompt(tokens=10).init
        'vocabulary'
    """

    kind: ClassVar[str] = "prompt"
    summary: ClassVar[str] = "embeddings of virtual tokens, and the classification head"

    init: Literal["vocabulary", "normal"] = "vocabulary"

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the model. Raises InputError: see `check`."""
        return _read_at_last_token(super().apply(model, seed))

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the base with the trained prompt and head, in evaluation mode."""
        return _read_at_last_token(super().load(model, folder))

    def config(self, model: PreTrainedModel, seed: int) -> PromptTuningConfig:
        """Return PEFT's configuration."""
        from peft import PromptTuningConfig, PromptTuningInit

        init = PromptTuningInit.SAMPLE_VOCAB if self.init == "vocabulary" else PromptTuningInit.RANDOM
        return PromptTuningConfig(num_virtual_tokens=self.tokens, prompt_tuning_init=init)


def _read_at_last_token(adapted: Any) -> torch.nn.Module:
    """Let a decoder's head see the last token only, if it scores every position."""
    import torch

    classifier = adapted.get_base_model()
    if "score" not in dict(classifier.named_children()):
        return adapted
    masks: list[torch.Tensor] = []

    def note(_: torch.nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Remember the attention mask of the call."""
        masks[:] = [options["attention_mask"]]

    def last(_: torch.nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        """Replace the head's input by each text's last state."""
        (hidden,) = arguments
        (mask,) = masks
        places = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
        return (hidden[torch.arange(len(hidden), device=hidden.device), places][:, None],)

    classifier.register_forward_pre_hook(note, with_kwargs=True)
    classifier.score.register_forward_pre_hook(last)
    logging.getLogger(type(classifier).forward.__module__).addFilter(_not_padding_warning)
    return adapted


def _not_padding_warning(record: logging.LogRecord) -> bool:
    """Log filter that drops transformers' warning about padding behind embeddings, which is handled here."""
    return "will not detect padding tokens" not in record.getMessage()
