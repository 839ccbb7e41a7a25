"""Encodes conversations for supervised fine-tuning, so that only the tokens of responses count in the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from evenhand.data.sft import Template, as_messages
from evenhand.errors import InputError, first_line
from evenhand.training.prompted_texts import PromptedTexts, common_prefix_length, encode_prompts, single_end

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TODAY = datetime(2024, 7, 26)
"""The date that chat templates write where they would write today's: the one that those of Llama 3 write by default."""

_FIXING = RLock()


def encode_conversations(
    tokenizer: PreTrainedTokenizerBase,
    inputs: Sequence[str],
    responses: Sequence[str],
    template: Template,
    max_length: int,
    ids: Sequence[str] | None = None,
) -> PromptedTexts:
    """Tokenize conversations, with the number of tokens before each response.

    With the template `chat`, a conversation is what the tokenizer's chat template makes of it, and the response begins
    where the prompt with the template's opening of an answer ends; whatever the template writes after the response,
    such as the end of a turn, is learned, too. With `plain`, it is the prompt, a line break, the response and the
    end-of-text token. The mean loss of a batch is over the tokens of its responses, see `PromptedTexts.by_token`.

    Args:
        tokenizer: of the base model.
        inputs, responses: [n], see `evenhand.data.sft.Conversations`.
        template: how a conversation becomes a text.
        max_length: largest number of tokens.
        ids: [n] of the conversations, for the error; their positions if None.

    Raises:
        InputError: there is no chat template, or one that does not tell where a response begins; a conversation is
            longer than `max_length` or the model's positions.
    """
    longest = min(max_length, tokenizer.model_max_length)
    if template == "chat":
        _check_roles(tokenizer)
    rendered = [
        _rendered(tokenizer, as_messages(text), response, template)
        for text, response in zip(inputs, responses, strict=True)
    ]
    special = template == "plain"  # a chat template writes the special tokens itself
    alone, whole = (
        [np.asarray(ids, dtype=np.int64) for ids in _token_ids(tokenizer, texts, special)]
        for texts in ([prompt for prompt, _ in rendered], [text for _, text in rendered])
    )
    if special and tokenizer.eos_token is not None:
        whole = [single_end(ids, tokenizer.eos_token_id) for ids in whole]
    lengths = np.array([len(ids) for ids in whole], dtype=np.int64)
    if len(lengths) and lengths.max() > longest:
        place = int(lengths.argmax())
        name = str(place if ids is None else ids[place])
        raise InputError(
            f"the prompt and the response of the example {name!r} have {lengths.max()} tokens, and {longest} is the "
            "most that train.max_length or the model allows; raise max_length, or leave out the longest pairs"
        )
    begins = [common_prefix_length(prompt, ids) for prompt, ids in zip(alone, whole, strict=True)]
    padding: Any = tokenizer.pad_token_id
    return PromptedTexts(whole, lengths, int(padding), np.array(begins, dtype=np.int64), by_token=True)


def encode_user_messages(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], template: Template
) -> list[np.ndarray]:
    """Return the token ids of a user's messages up to where a response begins, int64 each.

    Raises:
        InputError: there is no chat template, or it does not fit.
    """
    if template == "chat":
        _check_roles(tokenizer)
    rendered = [_rendered(tokenizer, [{"role": "user", "content": text}], "", template)[0] for text in texts]
    if template == "plain":
        return encode_prompts(tokenizer, rendered, tokenizer.model_max_length)
    return [np.asarray(ids, dtype=np.int64) for ids in _token_ids(tokenizer, rendered, special=False)]


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], special: bool) -> Any:
    """Return the token ids of each text, with what the tokenizer itself puts around a text if `special`."""
    if not len(texts):
        return []
    # Without its warning that a text is too long, which is refused here in a sentence.
    return tokenizer(list(texts), add_special_tokens=special, verbose=False)["input_ids"]


def _check_roles(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise InputError if there is no chat template, or one that writes the same whoever speaks."""
    chat: Any = tokenizer
    if not chat.chat_template:
        raise InputError(
            "the tokenizer has no chat template; choose a chat model, or set task.template: plain (the prompt, a line "
            "break, the response)"
        )
    prompt = {"role": "user", "content": "a"}
    try:
        answered, repeated = (
            templated(chat, [prompt, {"role": role, "content": "b"}]) for role in ("assistant", "user")
        )
    except Exception:  # a template that refuses two messages of a user tells roles apart
        return
    if answered == repeated:
        raise InputError(
            "the tokenizer's chat template does not tell roles apart, so a model could not know who speaks; set "
            "task.template: plain, or choose a chat model"
        )


def writes_date(template: str) -> bool:
    """Return whether a chat template asks for today's date, for which `templated` says `TODAY`."""
    return "strftime_now" in template


def templated(chat: Any, messages: list[dict[str, str]], add_generation_prompt: bool = False) -> str:
    """Return what a tokenizer's chat template makes of messages, as if today were `TODAY`.

    Some templates write today's date into every conversation, so that models would learn another text each day.
    """
    with _fixed_today():
        return str(
            chat.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                date_string=TODAY.strftime("%d %b %Y"),
            )
        )


class _FixedToday(datetime):
    """Class `datetime` whose `now` is always `TODAY`."""

    @classmethod
    def now(cls, tz: Any = None) -> _FixedToday:
        """Return `TODAY`."""
        return cls(TODAY.year, TODAY.month, TODAY.day, tzinfo=tz)


@contextmanager
def _fixed_today() -> Iterator[None]:
    """Context manager in which the `strftime_now` of chat templates, which transformers gives them, says `TODAY`."""
    from transformers.utils import chat_template_utils

    module: Any = chat_template_utils
    with _FIXING:
        before, module.datetime = module.datetime, _FixedToday
        try:
            yield
        finally:
            module.datetime = before


def _rendered(
    tokenizer: PreTrainedTokenizerBase, before: list[dict[str, str]], response: str, template: Template
) -> tuple[str, str]:
    """Return the text up to the response, and the whole text."""
    if template == "plain":
        prompt = "\n".join(message["content"] for message in before) + "\n"
        return prompt, f"{prompt}{response}{tokenizer.eos_token or ''}"
    chat: Any = tokenizer
    try:
        prompt = templated(chat, before, add_generation_prompt=True)
        whole = templated(chat, [*before, {"role": "assistant", "content": response}])
    # Any exception: a template is a program of the model's makers, and some refuse roles or orders of them.
    except Exception as error:
        raise InputError(f"the tokenizer's chat template refuses a conversation: {first_line(error)}") from None
    if not whole.startswith(prompt):
        raise InputError(
            "the tokenizer's chat template changes the prompt once a response follows, so that the response's tokens "
            "cannot be told from the prompt's; set task.template: plain"
        )
    return prompt, whole
