"""Defines prefix tuning, prompt tuning and p-tuning through PEFT: trained virtual tokens before every text."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.peft_adapter import FOLDER, PeftAdapter
from evenhand.models.positions import attention_window, text_positions
from evenhand.models.quiet import quiet

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
    from transformers import PreTrainedModel

    from evenhand.training.recipe import TrainSpec


class VirtualTokens(PeftAdapter):
    """Base class: puts trained virtual tokens before every text.

    Text and tokens together fit the model's positions: longer texts are truncated or refused, as the task does without
    virtual tokens.

    Attributes:
        tokens: number of virtual tokens.
    """

    reads: ClassVar[tuple[str, ...]] = ("inputs_embeds", "logits_to_keep")
    """Arguments that the forward pass must have: of a language model, or of a classifier or its base, which need no
    `logits_to_keep`."""

    unreadable: ClassVar[tuple[str, ...]] = ()
    """Types of models that have these arguments and fail on what PEFT passes."""

    mergeable: ClassVar[bool] = False

    lr: NonNegativeFloat = 1e-2
    tokens: PositiveInt = 20

    @property
    def virtual_tokens(self) -> int:
        """Number of virtual tokens."""
        return self.tokens

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the model reads no texts, cannot read the tokens, or has no positions beside them."""
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
        known, needed = set(inspect.signature(model.forward).parameters), set(self.reads)
        if not model.can_generate():
            # Where a classifier takes no keys and values, PEFT calls its base.
            known |= set(inspect.signature(model.base_model.forward).parameters)
            needed.discard("logits_to_keep")
        if model.config.model_type in self.unreadable:
            raise InputError(f"{self.kind}: {type(model).__name__} cannot read PEFT's virtual tokens; use kind: lora")
        if missing := sorted(needed - known):
            raise InputError(
                f"{self.kind}: {type(model).__name__} takes no {missing[0]}, which virtual tokens need; use kind: lora"
            )

    def check_training(self, train: TrainSpec) -> None:
        """Raise InputError for `train.packing`, which puts several texts into a row."""
        if train.packing:
            raise InputError(
                f"train.packing puts several texts into a row, and the virtual tokens of {self.kind} precede only the "
                "first; leave it out"
            )

    def wrapped(self, model: PreTrainedModel, config: PeftConfig) -> torch.nn.Module:
        """Return PEFT's model over this one; over a language model, one that is called like any language model."""
        if not model.can_generate():
            return super().wrapped(model, config)
        from evenhand.methods.virtual_language import VirtualTokenLanguageModel

        config.base_model_name_or_path = model.name_or_path
        return VirtualTokenLanguageModel(model, config)

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the base with the trained tokens and head, in evaluation mode."""
        if not model.can_generate():
            return super().load(model, folder)
        import torch
        from peft import PeftConfig

        config = PeftConfig.from_pretrained(str(folder / FOLDER))
        with quiet(), torch.random.fork_rng():
            loaded: Any = self.wrapped(model, config)
            loaded.load_adapter(str(folder / FOLDER), "default")
        return loaded.eval()


class Prefix(VirtualTokens):
    """Trains keys and values of virtual tokens in every layer, and the head.

    Source: Li and Liang (2021, arXiv:2101.00190), without their reparametrisation. If a language model attends within a
    sliding window, texts and tokens together are limited to the window, so that every token reads the prefix.

    Attributes:
        tokens: how many virtual tokens.

    Example:
        >>> import evenhand
        >>> evenhand.Prefix(tokens=10).tokens
        10
    """

    kind: ClassVar[str] = "prefix"
    summary: ClassVar[str] = "keys and values of virtual tokens in every layer, and the classification head"
    reads: ClassVar[tuple[str, ...]] = ("past_key_values", "logits_to_keep")
    unreadable: ClassVar[tuple[str, ...]] = ("big_bird", "roformer")

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError as `VirtualTokens` does, or if the tokens fill the window of a language model."""
        super().check(model)
        window = attention_window(model.config) if model.can_generate() else None
        if window is not None and self.tokens >= window:
            raise InputError(
                f"prefix: {self.tokens} tokens leave no room for a text in the attention window of {window} tokens of "
                f"{type(model).__name__}"
            )

    def check_training(self, train: TrainSpec) -> None:
        """Raise InputError as `VirtualTokens` does, or for `train.checkpointing`, which drops keys and values."""
        super().check_training(train)
        if train.checkpointing:
            raise InputError(
                "train.checkpointing computes layers without the keys and values of prefix; leave it out, or use kind: "
                "prompt"
            )

    def config(self, model: PreTrainedModel, seed: int) -> PrefixTuningConfig:
        """Return PEFT's configuration."""
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(num_virtual_tokens=self.tokens, **_shape(model))


class VirtualEmbeddings(VirtualTokens):
    """Base class of methods whose virtual tokens are embeddings.

    An encoder that classifies by its first position reads the first virtual token, and a decoder reads the last token
    of the text. Transformers cannot distinguish that token from padding if the input is embeddings, so this class
    selects it. Plain PEFT can load saved tokens and gives the same logits for texts without padding.
    """

    unreadable: ClassVar[tuple[str, ...]] = ("canine", "longformer")

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the model. Raises InputError: see `check`."""
        return _read_at_last_token(super().apply(model, seed))

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the base with the trained tokens and head, in evaluation mode."""
        return _read_at_last_token(super().load(model, folder))


class Prompt(VirtualEmbeddings):
    """Trains the embeddings of virtual tokens, and the head (Lester et al. 2021, arXiv:2104.08691).

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

    def config(self, model: PreTrainedModel, seed: int) -> PromptTuningConfig:
        """Return PEFT's configuration."""
        from peft import PromptTuningConfig, PromptTuningInit

        init = PromptTuningInit.SAMPLE_VOCAB if self.init == "vocabulary" else PromptTuningInit.RANDOM
        return PromptTuningConfig(num_virtual_tokens=self.tokens, prompt_tuning_init=init, **_embedding_shape(model))


class PTuning(VirtualEmbeddings):
    """Trains a small network that computes the embeddings of virtual tokens, and the head.

    Source: Liu et al. (2021, arXiv:2103.10385). Only the computed embeddings are kept, in PEFT's format.

    Attributes:
        encoder: the network: two hidden layers (`mlp`), or a bidirectional LSTM of two layers before one hidden layer
            (`lstm`, as in the paper).
        hidden: width of the hidden layers; None: the width of the base's embeddings.

    Example:
        >>> import evenhand
        >>> evenhand.PTuning(tokens=10).encoder
        'mlp'
    """

    kind: ClassVar[str] = "p_tuning"
    summary: ClassVar[str] = "a network that computes embeddings of virtual tokens, and the classification head"

    lr: NonNegativeFloat = 1e-3
    encoder: Literal["mlp", "lstm"] = "mlp"
    hidden: PositiveInt | None = None

    def config(self, model: PreTrainedModel, seed: int) -> PromptEncoderConfig:
        """Return PEFT's configuration."""
        from peft import PromptEncoderConfig, PromptEncoderReparameterizationType

        return PromptEncoderConfig(
            num_virtual_tokens=self.tokens,
            encoder_reparameterization_type=PromptEncoderReparameterizationType(self.encoder.upper()),
            encoder_hidden_size=self.hidden,  # pyright: ignore[reportArgumentType] - PEFT fills in the default
            **_embedding_shape(model),
        )


def _shape(model: PreTrainedModel) -> dict[str, Any]:
    """Return a model's shape under PEFT's names.

    PEFT itself looks for it under some of the names that architectures use, and DistilBERT's are not among them. What
    the configuration lacks is None, and PEFT looks for it.
    """
    config = model.config.get_text_config()
    return {
        "token_dim": getattr(config, "hidden_size", None),
        "num_layers": getattr(config, "num_hidden_layers", None),
        "num_attention_heads": getattr(config, "num_attention_heads", None),
    }


def _embedding_shape(model: PreTrainedModel) -> dict[str, Any]:
    """Return the shape of a model whose virtual tokens are embeddings.

    The embeddings of an ELECTRA or ALBERT may be narrower than its hidden states. The number of attention heads, which
    an FNet does not have, is not used.
    """
    embeddings: Any = model.get_input_embeddings()
    heads = getattr(model.config.get_text_config(), "num_attention_heads", 1)
    return {**_shape(model), "token_dim": embeddings.weight.shape[1], "num_attention_heads": heads}


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
