"""Encodes prompts about reviews as tokens, grouped by the beginnings that they share.

Prompt and option are encoded as one text, because a tokenizer may merge characters at their border. The tokens that
all options of a prompt share with the prompt alone are its context, and the following tokens are the option. Prompts
with the same beginning (a template's orders of options, its sets of words) share it across prompts, and a model reads
it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenhand.errors import InputError
from evenhand.tasks.prompts.prompt import ReviewPrompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Continuation:
    """One option after one prompt about one review, as tokens after a shared beginning.

    Attributes:
        prompt, option: indices of the prompt and of the option.
        tokens: the tokens after the shared beginning.
        start: the position in `tokens` where the option begins.
    """

    prompt: int
    option: int
    tokens: Tokens
    start: int


@dataclass(frozen=True)
class SharedPrefix:
    """A beginning that several prompts about one review share, with their continuations.

    Attributes:
        review: index of the review.
        beginning: the tokens with which all prompts begin, at least one.
        continuations: one for every prompt and option.
        cut: whether the review was cut.
    """

    review: int
    beginning: Tokens
    continuations: tuple[Continuation, ...]
    cut: bool


class PromptEncoder:
    """Encodes prompts about reviews as tokens.

    Args:
        tokenizer: the model's tokenizer. Its padding and truncation settings make no difference.
        limit: largest number of tokens of prompt and option together.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, limit: int) -> None:
        self._tokenizer, self.limit = tokenizer, limit
        alone, with_special = (self._ids(["a"], special)[0] for special in (False, True))
        # Special tokens before a text are kept (Llama's <s>). Those after it would follow the option.
        starts = range(len(with_special) - len(alone) + 1)
        start = next((at for at in starts if with_special[at : at + len(alone)] == alone), 0)
        self._before: Tokens = with_special[:start]

    def __call__(
        self, prompts: Sequence[tuple[int, ReviewPrompt]], reviews: Sequence[tuple[int, str]]
    ) -> list[SharedPrefix]:
        """Encode each of these prompts about each of these reviews.

        If a prompt would be too long, the review is cut, at the same character for all of these prompts. The question
        and the options are never cut.

        Args:
            prompts: prompts with their indices; all have the same beginning.
            reviews: reviews with their indices.

        Raises:
            InputError: a prompt is too long without any review; an option has no token, or the same tokens as another
                of its prompt; or nothing precedes an option.
        """
        texts = [text for _, review in reviews for text in _texts(prompts, review)]
        every, count = self._encode(texts), len(_texts(prompts, ""))
        items = []
        for row, (number, review) in enumerate(reviews):
            encoded, cut = every[row * count : (row + 1) * count], False
            if max(map(len, encoded)) > self.limit:
                encoded, cut = self._encode(_texts(prompts, self._shortened(prompts, review))), True
            items.append(self._item(number, prompts, encoded, cut))
        return items

    def too_long(self, prompts: Sequence[tuple[int, ReviewPrompt]], review: str) -> bool:
        """Return whether a review is cut for these prompts, which all have the same beginning."""
        texts = _texts(prompts, review)
        # A token is a byte at least, before a tokenizer's normalisation, which lengthens few texts, and none so much.
        if 2 * max(len(text.encode()) for text in texts) + len(self._before) <= self.limit:
            return False
        return max(map(len, self._encode(texts))) > self.limit

    def _item(
        self, review: int, prompts: Sequence[tuple[int, ReviewPrompt]], encoded: Sequence[Tokens], cut: bool
    ) -> SharedPrefix:
        """Return the shared beginning of prompts about one review, and their continuations."""
        wholes: list[tuple[int, int, Tokens, int]] = []
        at = 0
        for number, prompt in prompts:
            context, *joined = encoded[at : at + 1 + len(prompt.options)]
            at += 1 + len(prompt.options)
            start = min(_common(context, tokens) for tokens in joined)
            if start == 0:
                raise InputError(f"prompt {prompt.name}: nothing stands before the option, so nothing predicts it")
            _check_options(prompt, [tokens[start:] for tokens in joined])
            wholes += [(number, option, tokens, start) for option, tokens in enumerate(joined)]
        first = wholes[0][2]
        shared = min(min(start, _common(first, tokens)) for _, _, tokens, start in wholes)
        continuations = tuple(
            Continuation(number, option, tokens[shared:], start - shared) for number, option, tokens, start in wholes
        )
        return SharedPrefix(review, first[:shared], continuations, cut)

    def _shortened(self, prompts: Sequence[tuple[int, ReviewPrompt]], review: str) -> str:
        """Return the longest beginning of a review, in characters, with which these prompts are short enough."""

        def longest(characters: int) -> int:
            """Return the number of tokens of the longest prompt about this many characters of the review."""
            return max(map(len, self._encode(_texts(prompts, review[:characters]))))

        fits, fails = 0, len(review)
        if (empty := longest(0)) > self.limit:
            raise InputError(
                f"prompt {prompts[0][1].name}: it has {empty} tokens without any review, and {self.limit} is the most"
            )
        while fails - fits > 1:
            middle = (fits + fails) // 2
            fits, fails = (middle, fails) if longest(middle) <= self.limit else (fits, middle)
        return review[:fits]

    def _encode(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of texts; equal texts are encoded once."""
        different = list(dict.fromkeys(texts))
        tokens_of = dict(zip(different, self._ids(different, special=False), strict=True))
        return [self._before + tokens_of[text] for text in texts]

    def _ids(self, texts: Sequence[str], special: bool) -> list[Tokens]:
        """Return the token ids of texts, without padding."""
        options: dict[str, Any] = {"return_attention_mask": False, "verbose": False}
        encoded: Any = self._tokenizer(list(texts), add_special_tokens=special, **options)["input_ids"]
        return [tuple(ids) for ids in encoded]


def prompt_groups(prompts: Sequence[ReviewPrompt]) -> list[list[tuple[int, ReviewPrompt]]]:
    """Return numbered prompts in groups with the same template and the same beginning."""
    groups: dict[tuple[str, str], list[tuple[int, ReviewPrompt]]] = {}
    for number, prompt in enumerate(prompts):
        groups.setdefault((prompt.name.template, prompt.before), []).append((number, prompt))
    return list(groups.values())


def _texts(prompts: Sequence[tuple[int, ReviewPrompt]], review: str) -> list[str]:
    """Return for each prompt the text without an option, then with each option."""
    texts = []
    for _, prompt in prompts:
        context = prompt.about(review)
        texts += [context, *(context + option.text for option in prompt.options)]
    return texts


def _common(first: Tokens, second: Tokens) -> int:
    """Return the number of tokens that both begin with."""
    for count, (token, other) in enumerate(zip(first, second)):  # noqa: B905
        if token != other:
            return count
    return min(len(first), len(second))


def _check_options(prompt: ReviewPrompt, tokens: Sequence[Tokens]) -> None:
    """Raise InputError if an option has no token or the same tokens as another."""
    seen: dict[Tokens, str] = {}
    for option, ids in zip(prompt.options, tokens, strict=True):
        if not ids:
            raise InputError(f'prompt {prompt.name}: the option "{option.text.strip()}" has no token in this tokenizer')
        if ids in seen:
            raise InputError(
                f'prompt {prompt.name}: the options "{seen[ids]}" and "{option.text.strip()}" have the same tokens'
            )
        seen[ids] = option.text.strip()
