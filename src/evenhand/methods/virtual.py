"""Virtual tokens before a text, learned over a frozen base, through PEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.adapter import Adapter

if TYPE_CHECKING:
    from peft import PrefixTuningConfig, PromptTuningConfig
    from transformers import PreTrainedModel


class Virtual(Adapter):
    """Tokens before every text that stand for no word. Texts are cut so that both fit the model's positions.

    Attributes:
        tokens: how many.
    """

    lr: NonNegativeFloat = 1e-2
    tokens: PositiveInt = 20

    @property
    def virtual_tokens(self) -> int:
        """As many as there are."""
        return self.tokens

    def check(self, model: PreTrainedModel) -> None:
        """Refuses what reads no texts, and more tokens than the model has positions."""
        if model.main_input_name != "input_ids":
            raise InputError(
                f"{self.kind}: {type(model).__name__} reads no texts that tokens could precede; use kind: lora"
            )
        positions = model.config.to_dict().get("max_position_embeddings", model.config.to_dict().get("n_positions"))
        if positions is not None and self.tokens >= positions:
            raise InputError(
                f"{self.kind}: {self.tokens} tokens leave no room for a text in the {positions} positions of "
                f"{type(model).__name__}"
            )


class Prefix(Virtual):
    """Trains keys and values of virtual tokens in every layer, and the head (Li & Liang 2021, arXiv:2101.00190),
    without their reparametrisation."""

    kind: ClassVar[str] = "prefix"
    summary: ClassVar[str] = "keys and values of virtual tokens in every layer, and the classification head"

    def config(self, model: PreTrainedModel, seed: int) -> PrefixTuningConfig:
        """PEFT's configuration."""
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(num_virtual_tokens=self.tokens)


class Prompt(Virtual):
    """Trains the embeddings of virtual tokens, and the head (Lester et al. 2021, arXiv:2104.08691).

    An encoder that classifies by its first position reads it at the first virtual token.

    Attributes:
        init: start from the embeddings of tokens drawn from the vocabulary, or from a normal distribution.
    """

    kind: ClassVar[str] = "prompt"
    summary: ClassVar[str] = "embeddings of virtual tokens, and the classification head"

    init: Literal["vocabulary", "normal"] = "vocabulary"

    def check(self, model: PreTrainedModel) -> None:
        """Refuses what `Virtual` does, and decoders."""
        super().check(model)
        if "score" in dict(model.named_children()):
            raise InputError(
                f"prompt: {type(model).__name__} classifies by a text's last token and cannot tell it from padding "
                "behind embeddings, so that answers would depend on the other texts of a batch; use kind: prefix"
            )

    def config(self, model: PreTrainedModel, seed: int) -> PromptTuningConfig:
        """PEFT's configuration."""
        from peft import PromptTuningConfig, PromptTuningInit

        init = PromptTuningInit.SAMPLE_VOCAB if self.init == "vocabulary" else PromptTuningInit.RANDOM
        return PromptTuningConfig(num_virtual_tokens=self.tokens, prompt_tuning_init=init)
