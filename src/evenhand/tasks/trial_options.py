"""Asks a trial's trained model the prompts of its study, beside what the task itself records, and writes `options`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from evenhand import records
from evenhand.data.dataset import Dataset
from evenhand.data.sft import Conversations, as_messages

if TYPE_CHECKING:
    from torch import nn

    from evenhand.tasks.work import Work

FILE = "options.parquet"


@dataclass(frozen=True, eq=False)
class Questioning:
    """The texts that a study's prompts are about, for a task whose trials record something else.

    Attributes:
        texts: the last message that a user wrote in each conversation.
        key: what identifies texts and prompts.
    """

    texts: Dataset
    key: str


def users_texts(conversations: Conversations) -> Dataset:
    """Return conversations as texts: the last message of the user in each, with their ids, units and groups."""
    texts = []
    for conversation in conversations.inputs:
        said = [message["content"] for message in as_messages(conversation) if message["role"] == "user"]
        texts.append(said[-1] if said else "")
    return replace(conversations, inputs=texts)


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
