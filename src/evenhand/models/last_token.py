"""Makes decoders classify a text by its last token that the attention mask does not mark as padding.

Transformers looks for the last token that is not the padding token. If a tokenizer has no padding token and pads with
the end-of-text token, a text that ends in this token would be read one position too early, and results would depend on
the configuration of the tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

OTHER_HEADS = ("ctrl", "modernbert-decoder")
"""Model types that read the last token with a head that is not called `score`."""


def reads_last_token(model: PreTrainedModel) -> bool:
    """Return whether a text classifier reads the state of a single token, the last."""
    named = "score" in dict(model.named_children()) or model.config.model_type in OTHER_HEADS
    return named and not model.config.to_dict().get("is_encoder_decoder", False)


def point_out_last_token(model: PreTrainedModel) -> PreTrainedModel:
    """Let the base return each text's last state at every position, so that any head reads it.

    Without an attention mask nothing changes.
    """
    model.base_model.register_forward_hook(_last_everywhere, with_kwargs=True)
    return model


def _last_everywhere(module: torch.nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], out: Any) -> Any:
    """Forward hook that repeats each text's last state at every position."""
    import torch

    mask = options.get("attention_mask")
    if mask is None:
        return None
    states = out["last_hidden_state"]
    # A mask may begin with entries that have no state here, such as those of a learned prefix.
    there = mask[:, -states.shape[1] :]
    last = (there * torch.arange(there.shape[1], device=there.device)).argmax(dim=1)
    pooled = states[torch.arange(len(states), device=states.device), last]
    # Contiguous, because the rounding of a product depends on how its factors lie in memory.
    return type(out)(**{**out, "last_hidden_state": pooled[:, None].expand_as(states).contiguous()})
