"""Reads conversations for supervised fine-tuning: prompts with the responses that a language model learns to give."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import field_validator, model_validator

from evenhand.data.dataset import Dataset, DataSpec, pick
from evenhand.data.pairs import Pairs, TrainingPairs
from evenhand.data.reviews import LENGTHS, length_classes
from evenhand.data.splits import provided_split
from evenhand.data.table import attributes_of
from evenhand.data.table_source import TableSource, read_table
from evenhand.errors import InputError, did_you_mean
from evenhand.tables.files import no_column

Template = Literal["chat", "plain"]
"""How a conversation becomes a text: by the tokenizer's chat template, or as prompt, line break and response."""

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, eq=False)
class Conversations(Pairs):
    """Conversations, each of which ends with the response that a model learns.

    Attributes:
        inputs: [n] the messages before the response, as JSON: a list of `{"role": ..., "content": ...}`.
        targets: [n] the responses.
        template: how a conversation becomes a text.
    """

    template: Template = "chat"

    def take(self, index: np.ndarray) -> Conversations:
        """Return the conversations at these positions, in this order."""
        taken = super().take(index)
        assert isinstance(taken, Conversations)
        return taken


@dataclass(frozen=True, eq=False)
class TrainingConversations(TrainingPairs):
    """The conversations that a trial learns from; see `Conversations`."""

    template: Template = "chat"


def as_messages(text: str) -> list[dict[str, str]]:
    """Return the messages that the inputs of `Conversations` hold."""
    return json.loads(text)


def asked(prompt: str) -> str:
    """Return the input of a conversation of one prompt."""
    return json.dumps([{"role": "user", "content": prompt}], ensure_ascii=False)


class ConversationSpec(DataSpec):
    """Base class of tasks whose examples are conversations."""

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingConversations:
        """Return the conversations at `index`. Raises InputError: `data:` has an option beside `repeat`."""
        assert isinstance(dataset, Conversations)
        if options:
            raise InputError(f'data: {dataset.name} has no option "{next(iter(options))}"; it has: repeat')
        labels = np.zeros(len(index), dtype=np.int64)
        inputs, targets = (pick(list(texts), index) for texts in (dataset.inputs, dataset.targets))
        return TrainingConversations(inputs, labels, targets, dataset.template)


class Sft(ConversationSpec):
    """Conversations from the user's own table, as they are used for instruction tuning.

    Attributes:
        path, subset: a table, as the task `table` takes it: a CSV, JSONL or Parquet file, or a data set of the hub.
        prompt, response: columns of texts; by default those of these names.
        messages: instead of both, a column of lists of messages, each with `role` (system, user or assistant) and
            `content`; by default the column of this name, if there is one and no column `prompt`. The last message is
            the response.
        template: `chat`: the chat template of the model's tokenizer; `plain`, for models without one: the prompt, a
            line break, the response and the end of the text.
        groups: columns of groups, as in the task `table`.
        example, unit: columns of unique ids, and of what belongs together; else the row number, and each row alone.
            Rows with the same prompt always belong together.
        split_column: the column with the data's own split; a study fills it in from `split: {column: NAME}`.
    """

    path: str
    subset: str | None = None
    prompt: str | None = None
    response: str | None = None
    messages: str | None = None
    template: Template = "chat"
    groups: tuple[str, ...] = ()
    example: str | None = None
    unit: str | None = None
    split_column: str | None = None

    @field_validator("groups", mode="before")
    @classmethod
    def _groups(cls, value: Any) -> Any:
        """Turn a single group column into a tuple."""
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_form(self) -> Sft:
        """Refuse both forms of a conversation at once."""
        if self.messages is not None and (self.prompt is not None or self.response is not None):
            raise ValueError("task sft: name either messages: COLUMN, or prompt: COLUMN and response: COLUMN")
        return self

    def load(self, folder: Path | None) -> Conversations:
        """Read the table. Labels mark the longer half of the responses, so that a split has its share of both.

        Raises:
            InputError: a missing file or column; an empty prompt or response; messages that are no conversation, or do
                not end with the assistant's; groups without values; repeated ids.
        """
        try:
            source = read_table(self.path, self.subset, None, folder, "task sft")
        except InputError:
            _check_contents(self.path, folder, self.messages or "messages")
            raise
        frame = source.frame
        if not len(frame):
            raise InputError(f"{source.name} has no rows")
        if self.messages or ("messages" in frame.columns and not self.prompt and "prompt" not in frame.columns):
            _check_contents(self.path, folder, self.messages or "messages")
            inputs, targets = _of_messages(source, self.messages or "messages")
        else:
            prompts = _texts(source, self.prompt or "prompt", "prompt")
            inputs, targets = (
                [asked(prompt) for prompt in prompts],
                _texts(source, self.response or "response", "response"),
            )
        example = _ids(source, self.example)
        split = None if self.split_column is None else _texts(source, self.split_column, "split")
        return Conversations(
            name=source.name,
            modality="text",
            inputs=inputs,
            labels=length_classes(targets),
            classes=LENGTHS,
            example=example,
            attributes=attributes_of(source, self.groups),
            unit=_units(inputs, example if self.unit is None else _texts(source, self.unit, "unit")),
            split=None if split is None else provided_split(split, f"{source.name}: {self.split_column}"),
            targets=targets,
            template=self.template,
        )


def _texts(source: TableSource, name: str, role: str) -> list[str]:
    """Return a column of texts or integers as texts.

    Raises InputError: the column is missing, holds something else, or one of its texts is empty.
    """
    frame = source.frame
    if name not in frame.columns:
        raise no_column(source.name, name, f"for {role}:", frame.columns)
    texts = frame[name]
    if role not in ("prompt", "response") or texts.dtype.is_integer():  # integers are written in one way
        texts = texts.cast(pl.String, strict=False)
    if texts.dtype != pl.String:
        raise InputError(
            f'{source.name}: the column "{name}" ({role}:) holds {texts.dtype}, not texts; write its values as texts, '
            "in quotes in JSON"
        )
    empty = texts.fill_null("").str.strip_chars() == ""
    if empty.any():
        raise InputError(
            f"{source.name}: the {role} in row {empty.arg_max()} is empty ({int(empty.sum()):,} rows in all); every "
            f'row needs a text in the column "{name}"'
        )
    return texts.to_list()


def _ids(source: TableSource, name: str | None) -> np.ndarray:
    """Return the ids of rows: their numbers, or those of a column, which may not repeat."""
    ids = [str(row) for row in range(len(source.frame))] if name is None else _texts(source, name, "example")
    if len(set(ids)) < len(ids):
        raise InputError(f'{source.name}: the column "{name}" (example:) repeats an id; ids must be unique')
    return np.array(ids, dtype=object)


def _units(inputs: Sequence[str], named: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return units: those that are named, joined where they share a prompt."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for text, unit in zip(inputs, named, strict=True):
        parent[root(str(unit))] = root(first.setdefault(text, str(unit)))
    return np.array([root(str(unit)) for unit in named], dtype=object)


def _of_messages(source: TableSource, name: str) -> tuple[list[str], list[str]]:
    """Return the inputs and the responses of a column of conversations."""
    if name not in source.frame.columns:
        raise no_column(source.name, name, "for messages:", source.frame.columns)
    inputs, targets = [], []
    for row, value in enumerate(source.frame[name].to_list()):
        where = f'{source.name}: the conversation in row {row} (column "{name}")'
        messages = _checked_messages(value, where)
        *before, last = messages
        if last["role"] != "assistant" or not before:
            raise InputError(f"{where} should have a prompt and end with a message of the role assistant, the response")
        inputs.append(json.dumps(before, ensure_ascii=False))
        targets.append(last["content"])
    return inputs, targets


def _check_contents(path: str, folder: Path | None, name: str) -> None:
    """Raise InputError for the first conversation of a JSONL file that has a content of another kind than a text.

    With contents of several kinds, reading the file as a table fails without naming the row, or makes lists texts of
    JSON.
    """
    places = [Path(path).expanduser(), *([] if folder is None else [folder / path])]
    file = next((place for place in places if place.is_file() and place.suffix in (".jsonl", ".ndjson")), None)
    if file is None:
        return
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError:
        return
    for row, values in enumerate(rows):
        if isinstance(values, Mapping) and isinstance(values.get(name), list):
            _checked_messages(values[name], f'{file.name}: the conversation in row {row} (column "{name}")')


_JSON_NAMES = {list: "list", dict: "mapping", int: "number", float: "number", bool: "truth value"}


def _checked_messages(value: Any, where: str) -> list[dict[str, str]]:
    """Return a conversation as a list of messages; raise InputError if it is none, or a message is empty."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list) or not value or not all(isinstance(message, Mapping) for message in value):
        raise InputError(f'{where} is no list of messages such as {{"role": "user", "content": "Hello"}}')
    for message in value:
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise InputError(f'{where} has the role "{role}"; {did_you_mean(str(role), ROLES)}')
        if content is not None and not isinstance(content, str):
            raise InputError(
                f"{where} has a message of the role {role} whose content is no text, but a "
                f"{_JSON_NAMES[type(content)]}; write the text that it holds"
            )
        if not content or not content.strip():
            raise InputError(f"{where} has an empty message of the role {role}; every message needs a text")
    return [{"role": message["role"], "content": message["content"]} for message in value]
