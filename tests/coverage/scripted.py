"""A scripted model whose answers have known content, identifier and position effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.arrangements import Arrangements


@dataclass(frozen=True)
class Scripted:
    """log P of the option with content c, identifier i, at position p is c + i + p + noise, normalised, times the mass.

    Attributes:
        content, identifier, position: the effects, K each.
        template, example, both: standard deviations of a content's effect over templates, over examples, and of each
            example in each template; identifiers vary by half as much over templates.
        noise: of each option in each prompt.
        mass: probability of all options together.
    """

    content: tuple[float, ...]
    identifier: tuple[float, ...]
    position: tuple[float, ...]
    template: float = 0.0
    example: float = 0.0
    both: float = 0.0
    noise: float = 0.0
    mass: float = 0.9

    def log_prob(self, arrangements: Arrangements, templates: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """float [templates, n, A, K] by position."""
        options = arrangements.options
        content = np.array(self.content) + self.template * rng.normal(size=(templates, 1, options))
        content = content + self.example * rng.normal(size=(n, options))
        content = content + self.both * rng.normal(size=(templates, n, options))
        identifier = np.array(self.identifier) + self.template / 2 * rng.normal(size=(templates, 1, options))
        scores = (
            content[..., arrangements.contents] + identifier[..., arrangements.identifiers] + np.array(self.position)
        )
        scores = scores + self.noise * rng.normal(size=scores.shape)
        return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True)) + np.log(self.mass)


def centred(effects: tuple[float, ...]) -> np.ndarray:
    """The effects as the decomposition gives them, which sum to 0."""
    return np.array(effects) - np.mean(effects)
