"""Writes what a trial's trained model says of each token of the texts whose membership is audited: `tokens`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

    from evenhand.tasks.work import Work

TOKENS = "tokens"
"""The table, and the name of its file."""
VALUES = ("log_probs", "means", "deviations")
"""Its columns of lists, with a value for each token."""


def write_tokens(work: Work, model: nn.Module, folder: Path) -> None:
    """Score the tokens of texts and write the table `tokens` into the folder; does nothing without such texts.

    The file also contains the keys of the texts.

    Raises:
        TrainingError: the trained weights give log-probabilities that are not finite.
    """
    if work.scoring is None:
        return
    from evenhand.models.load import device, shared_tokenizer
    from evenhand.tasks.sft import encode
    from evenhand.training.loop import reproducible
    from evenhand.training.token_scores import token_scores

    where, tokenizer = device(), shared_tokenizer(work.base)
    training = model.training
    model = model.to(where)
    frames = []
    for split, texts in work.scoring.texts.items():
        with reproducible(where):
            scores = token_scores(model, encode(work, tokenizer, texts), where)
        if not all(np.isfinite(values).all() for name in VALUES for values in getattr(scores, name)):
            raise TrainingError(f"the trained weights give log-probabilities that are not finite ({split} texts)")
        columns: dict[str, Any] = {
            "trial": [work.trial] * len(texts),
            "split": [split] * len(texts),
            "example": [str(example) for example in texts.example],
            "step": pl.Series([None] * len(texts), dtype=pl.Int64),
            **{name: [each.tolist() for each in getattr(scores, name)] for name in VALUES},
        }
        frames.append(pl.DataFrame(columns))
    model.train(training)
    kept = {f"split:{split}": key for split, key in work.scoring.keys.items()}
    rows = pl.concat(frames).with_columns(pl.col(*VALUES).cast(pl.List(pl.Float32)))
    records.write(rows, folder / f"{TOKENS}.parquet", TOKENS, kept)
