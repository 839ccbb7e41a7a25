"""The texts whose tokens trained models score, for membership inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evenhand.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class TokenScoring:
    """The texts whose tokens a trained model scores.

    Attributes:
        texts: by split, `train` for those that the model was trained on.
        keys: by split, what identifies the texts, ids included.
    """

    texts: Mapping[str, Dataset]
    keys: Mapping[str, str]
