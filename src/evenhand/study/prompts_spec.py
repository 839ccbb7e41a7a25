"""Defines the key `prompts:` of a study: the prompts, the reviews or users' texts they are about, and the scoring."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import PositiveInt, field_validator

from evenhand.audit.design import AskedDesign
from evenhand.seeds import generator
from evenhand.tasks.prompts.prompt import PromptSelection, ReviewPrompt

TEMPLATES = ("cloze1", "cloze3", "yn1", "mc1")
FORMS = ("plain", "letters", "digits")
WORDS = ("male-female", "man-woman", "female-male-neutral")
"""The default prompts: some 60 prompts, every family, two pairs of words."""


class PromptsSpec(PromptSelection, AskedDesign):
    """The prompts of a study and the reviews they are about; `PromptSelection` describes the choice of prompts.

    Attributes:
        templates, forms, words: as there; by default a small set; `["*"]` is all.
        split: `test`, held-out reviews, or `train`, the trial's training reviews, as in Ding et al. (2024).
        reviews: number of reviews, drawn at random; null: all. Of a task of pairs, a review is the last text that a
            user wrote in a conversation.
        content_free: texts without content, about which the same prompts are asked. Their answers are the prior of
            contextual calibration, a correction that is left out without them. Zhao et al. (2021) use
            `["N/A", "[MASK]", ""]`.
        score, contents: see `evenhand.audit.design.AskedDesign`.
    """

    templates: tuple[str, ...] | None = TEMPLATES
    forms: tuple[str, ...] | None = FORMS
    words: tuple[str, ...] | None = WORDS
    reviews: PositiveInt | None = 200
    content_free: tuple[str, ...] = ()

    @field_validator("content_free")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a content-free text that is given twice."""
        if len(set(value)) < len(value):
            raise ValueError(f"content-free texts should all be different, not {list(value)}")
        return value

    def audited(self) -> AskedDesign:
        """Return what the audit needs to know about the prompts."""
        return AskedDesign(**{key: getattr(self, key) for key in AskedDesign.model_fields})

    def drawn(self, index: np.ndarray) -> np.ndarray:
        """Return the reviews at `index` that prompts are about, in their order."""
        if self.reviews is None or self.reviews >= len(index):
            return index
        return index[np.sort(generator(0, "prompts").permutation(len(index))[: self.reviews])]

    def asked(self, data: Path | None) -> tuple[ReviewPrompt, ...]:
        """Return the prompts; a relative `path` is searched in `--data` first. Raises as `PromptSelection.prompts`."""
        return self.prompts(data)

    @property
    def sequence_loss(self) -> bool:
        """True if the loss of whole filled prompts is computed."""
        return self.score == "sequence_loss"


def prompts_hash(prompts: Sequence[ReviewPrompt], sequence_loss: bool, content_free: Sequence[str] = ()) -> str:
    """Return what identifies the answers to some prompts.

    It covers their names, wordings and options, whether losses are computed, and the content-free texts.
    """
    digest = hashlib.blake2b(str(sequence_loss).encode(), digest_size=16)
    for prompt in prompts:
        options = [(option.content, option.text, option.identifier, option.position) for option in prompt.options]
        digest.update(repr((str(prompt.name), prompt.before, prompt.after, options)).encode() + b"\0")
    if content_free:
        digest.update(repr(list(content_free)).encode())
    return digest.hexdigest()
