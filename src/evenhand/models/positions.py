"""The number of tokens that a model has positions for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

AFTER_PADDING = (
    *("camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)
"""Types of models of RoBERTa's class, whose first token has the position after the padding index."""
_N_POSITIONS = frozenset({"gpt2", "openai-gpt"})


def text_positions(config: Mapping[str, Any]) -> int | None:
    """Return how many tokens a text may have; None if the model has no limit.

    RoBERTa counts positions from its padding index + 1, so with the index 1 two of its 514 positions are not used.

    Args:
        config: the values of `config.json`, or of a configuration's `to_dict()`.

    Example:
        >>> from evenhand.models.positions import text_positions
        >>> text_positions({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1})
        512
    """
    kind = config.get("model_type")
    positions = config.get("n_positions" if kind in _N_POSITIONS else "max_position_embeddings")
    if positions is None:
        return None
    if kind not in AFTER_PADDING:
        return int(positions)
    padding = None if kind == "mpnet" else config.get("pad_token_id")  # MPNet's is 1, whatever is configured
    return int(positions) - (1 if padding is None else int(padding)) - 1


def attention_window(config: PreTrainedConfig) -> int | None:
    """Return how many tokens a token attends to, itself included, in the layers with a sliding window; None: no window.

    Args:
        config: of a text model, as transformers loads it, which knows whether the window is used.

    Example:
        >>> from transformers import MistralConfig
        >>> from evenhand.models.positions import attention_window
        >>> attention_window(MistralConfig(sliding_window=128))
        128
    """
    window = getattr(config.get_text_config(), "sliding_window", None)
    return window if isinstance(window, int) else None
