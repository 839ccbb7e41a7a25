"""Defines the texts that prompts are about where the examples of a task are conversations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evenhand.data.dataset import Dataset
from evenhand.data.sft import Conversations, as_messages


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
