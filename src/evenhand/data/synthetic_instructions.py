"""Makes short instructions with their responses: words to be translated into Turkish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from evenhand.data.dataset import Attribute
from evenhand.data.phrases import NOUNS
from evenhand.data.reviews import LENGTHS, length_classes
from evenhand.data.sft import Conversations, ConversationSpec, Template, asked

_ASKS = (
    "{word} in Turkish?",
    "Translate {word} into Turkish.",
    "What is the Turkish word for {word}?",
    "Say {word} in Turkish.",
    "How do you say {word} in Turkish?",
    "Which Turkish word means {word}?",
)


class SyntheticInstructions(ConversationSpec):
    """Questions for the Turkish of English nouns, with the nouns' topic as attribute.

    Attributes:
        n: number of pairs: as many forms of a question about each noun as that takes. A question that is held out is
            about a noun that other questions teach.
        template: as in the task `sft`; `plain`, since the tiny models have no chat template.
    """

    n: int = Field(default=len(_ASKS) * sum(map(len, NOUNS.values())), ge=40)
    template: Template = "plain"

    def load(self, folder: Path | None = None) -> Conversations:
        """Make the pairs; `folder` is not needed."""
        nouns = [(topic, *pair) for topic, pairs in NOUNS.items() for pair in pairs]
        rows = [(*nouns[row % len(nouns)], row // len(nouns)) for row in range(self.n)]
        targets = [turkish for _, _, turkish, _ in rows]
        prompts = [_ASKS[form % len(_ASKS)].format(word=word) + "!" * (form // len(_ASKS)) for _, word, _, form in rows]
        return Conversations(
            name="synthetic/instructions",
            modality="text",
            inputs=[asked(prompt) for prompt in prompts],
            labels=length_classes(targets),
            classes=LENGTHS,
            example=np.array([f"pair-{row:04d}" for row in range(self.n)], dtype=object),
            attributes={"topic": Attribute.from_values([topic for topic, *_ in rows])},
            targets=targets,
            template=self.template,
        )
