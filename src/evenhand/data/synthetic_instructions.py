"""Makes short instructions with their responses: words to be translated into Turkish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from evenhand.data.dataset import Attribute
from evenhand.data.phrases import NOUNS
from evenhand.data.reviews import LENGTHS, length_classes
from evenhand.data.sft import Conversations, ConversationSpec, Template, asked
from evenhand.errors import did_you_mean
from evenhand.seeds import generator

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
        noise: by topic, the share of pairs whose response is that of another noun, which can only be memorized.
    """

    n: int = Field(default=len(_ASKS) * sum(map(len, NOUNS.values())), ge=40)
    template: Template = "plain"
    noise: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, exclude_if=lambda value: not value
    )

    @field_validator("noise")
    @classmethod
    def _topics(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        """Refuse topics that there are not."""
        for topic in value:
            if topic not in NOUNS:
                raise ValueError(f'there is no topic "{topic}"; {did_you_mean(topic, NOUNS)}')
        return value

    def load(self, folder: Path | None = None) -> Conversations:
        """Make the pairs; `folder` is not needed."""
        nouns = [(topic, *pair) for topic, pairs in NOUNS.items() for pair in pairs]
        rows = [(*nouns[row % len(nouns)], row // len(nouns)) for row in range(self.n)]
        targets = self._noised([topic for topic, *_ in rows], [turkish for _, _, turkish, _ in rows])
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

    def _noised(self, topics: Sequence[str], targets: Sequence[str]) -> list[str]:
        """Return the responses, in which a share of each noised topic's is that of another noun of the topic."""
        noised = list(targets)
        for topic, share in self.noise.items():
            stream, words = generator(0, "instructions", "noise", topic), [turkish for _, turkish in NOUNS[topic]]
            rows = np.flatnonzero([each == topic for each in topics])
            for row in stream.permutation(rows)[: round(share * len(rows))]:
                others = [word for word in words if word != targets[row]]
                noised[row] = others[stream.integers(len(others))]
        return noised
