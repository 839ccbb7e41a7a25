"""Converts option scores to rows of the record table `options`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from evenhand.records import TABLES, validate
from evenhand.tasks.prompts.scoring import PromptScores


def options_table(scores: PromptScores, trial: str, examples: Sequence[str], step: int | None = None) -> pl.DataFrame:
    """Return the table `options`: a row for each prompt, review and option.

    Args:
        scores: scores of one model.
        trial: hash of the trial.
        examples: ids of the reviews [n].
        step: training step after which the model was asked; None: the final one.

    Returns:
        The validated table. `bytes` counts the bytes of the option's text without the space before it.
    """
    n = len(examples)
    frames = []
    for index, prompt in enumerate(scores.prompts):
        options = prompt.options
        loss = None if scores.sequence_loss is None else scores.sequence_loss[index]
        columns = {
            "trial": [trial] * (n * len(options)),
            "step": [step] * (n * len(options)),
            "example": np.repeat(np.array(examples, dtype=object), len(options)).tolist(),
            "prompt": [str(prompt.name)] * (n * len(options)),
            "option": [option.content for option in options] * n,
            "identifier": [option.identifier for option in options] * n,
            "position": [option.position for option in options] * n,
            "log_prob": scores.log_prob[index].reshape(-1),
            "tokens": scores.tokens[index].reshape(-1),
            "bytes": [len(option.text.strip().encode()) for option in options] * n,
            "sequence_loss": [None] * (n * len(options)) if loss is None else loss.reshape(-1),
        }
        frames.append(pl.DataFrame(columns, schema=dict(TABLES["options"].columns)))
    return validate(pl.concat(frames), "options")
