"""Asks a trial's trained model the prompts of its study, beside what the task itself records, and writes `options`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from evenhand import records

if TYPE_CHECKING:
    from torch import nn

    from evenhand.tasks.work import Work

FILE = "options.parquet"


def write_options(work: Work, model: nn.Module, folder: Path) -> None:
    """Ask a trained model the prompts and write the table `options` into its folder; does nothing without questions.

    The file also contains the key of the questions.
    """
    if work.questioning is None:
        return
    from evenhand.models.load import device, shared_tokenizer
    from evenhand.tasks.reviews import answers

    where = device()
    training = model.training
    rows = answers(work, {"": work.questioning.texts}, model.to(where), shared_tokenizer(work.base), where)
    model.train(training)
    rows = rows.with_columns(trial=pl.lit(work.trial))
    records.write(rows, folder / FILE, "options", {"split:test": work.questioning.key})
