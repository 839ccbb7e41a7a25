"""Scores continuations: by a text classifier's probability of a class, or by a function of an installed package."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import getdoc
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from evenhand.errors import InputError, did_you_mean
from evenhand.plugins import Registry, declared

if TYPE_CHECKING:
    import torch

    from evenhand.models.find import BaseModel

Reads = Literal["continuation", "text"]
"""What is scored: the continuation alone, or the prompt with it."""


class Scorer(Protocol):
    """Anything that gives each continuation a number.

    Attributes:
        name: of the scores in records, and of their measure.
        key: what identifies how they are computed.
    """

    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...

    def score(self, prompts: Sequence[str], continuations: Sequence[str], where: torch.device) -> np.ndarray:
        """Return the scores of continuations, float64 [n].

        Args:
            prompts, continuations: [n] texts, which together are what the model was given and what it wrote.
            where: device for models.

        Raises:
            InputError: a score that is not a number, or is out of range.
        """
        ...


@dataclass(frozen=True)
class ClassifierScorer:
    """The probability of one class, by a finished text classifier.

    Attributes:
        name: of the scores.
        base: the classifier.
        label: the class whose probability counts.
        reads: what it reads.
    """

    name: str
    base: BaseModel
    label: str
    reads: Reads = "continuation"

    @property
    def key(self) -> str:
        """The classifier's contents, the class, and what it reads."""
        return f"{self.base.fingerprint} {self.label} {self.reads}"

    def check(self) -> None:
        """Raise InputError if the classifier is none, or lacks the class."""
        from evenhand.models.finished_classifier import classes_of

        classes = classes_of(self.base)
        if self.label not in classes:
            raise InputError(f'{self.base.name} has no class "{self.label}"; {did_you_mean(self.label, classes)}')

    def score(self, prompts: Sequence[str], continuations: Sequence[str], where: torch.device) -> np.ndarray:
        """Return the probabilities of the class; texts are cut at the classifier's positions.

        As in transformers' pipeline for text classification, probabilities of a classifier of several labels, or of a
        single one, are logistic functions of its logits, and others their softmax.
        """
        from scipy.special import expit, softmax

        from evenhand.models.finished_classifier import classes_of, load_finished_classifier
        from evenhand.models.load import shared_tokenizer
        from evenhand.training.batches import encode_texts
        from evenhand.training.loop import reproducible
        from evenhand.training.pack import predict_logits

        model, tokenizer = load_finished_classifier(self.base), shared_tokenizer(self.base)
        whole = zip(prompts, continuations, strict=True)
        texts = [text.strip() if self.reads == "continuation" else before + text for before, text in whole]
        module: Any = model
        with reproducible(where):
            logits = predict_logits(module.to(where), encode_texts(tokenizer, texts, tokenizer.model_max_length), where)
        several = model.config.problem_type == "multi_label_classification" or logits.shape[1] == 1
        wide = logits.astype(np.float64)
        probabilities = expit(wide) if several else softmax(wide, axis=1)
        return probabilities[:, classes_of(self.base).index(self.label)]


Function = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""Takes [n] prompts and [n] continuations, and returns [n] numbers."""


@dataclass(frozen=True)
class FunctionScorer:
    """The numbers that a function gives.

    Attributes:
        name: of the scores.
        function: name of the function in `SCORERS`.
        range: the least and the largest possible number; None: there are no bounds.
    """

    name: str
    function: str
    range: tuple[float, float] | None = None

    @property
    def key(self) -> str:
        """The function's name, and the version of the package that brings it."""
        plugin = declared("scorers").get(self.function)
        of = "evenhand" if plugin is None else f"{plugin.package} {plugin.version} {plugin.entry.value}"
        return f"{self.function} of {of}"

    def check(self) -> None:
        """Raise InputError if there is no such function, or it does not score two texts of its own language."""
        if self.function not in SCORERS:
            raise InputError(f'there is no scorer "{self.function}"; {did_you_mean(self.function, SCORERS)}')
        self._scores(["The weather is", "We went"], [" nice today.", ""])

    def score(self, prompts: Sequence[str], continuations: Sequence[str], where: torch.device) -> np.ndarray:
        """Return the function's numbers; see `Scorer`."""
        return self._scores(prompts, continuations)

    def _scores(self, prompts: Sequence[str], continuations: Sequence[str]) -> np.ndarray:
        """Return the function's numbers, or raise InputError that quotes no text."""
        said = f'the scorer "{self.function}"'
        try:
            numbers = np.asarray(SCORERS[self.function](list(prompts), list(continuations)), dtype=np.float64)
        except InputError:
            raise
        except Exception as error:  # somebody else's function may raise any exception, with texts in its message
            raise InputError(f"{said} failed on {len(prompts):,} continuations ({type(error).__name__})") from error
        if numbers.shape != (len(prompts),):
            raise InputError(
                f"{said} returned numbers of the shape {list(numbers.shape)} for {len(prompts):,} continuations; it "
                "should return one for each"
            )
        if not np.isfinite(numbers).all():
            raise InputError(f"{said} returned a number that is not finite; every continuation needs a score")
        if self.range is not None:
            outside = numbers[(numbers < self.range[0]) | (numbers > self.range[1])]
            if len(outside):
                least, most = self.range
                raise InputError(
                    f"{said} returned {outside[0]:g}, which is outside of its range {least:g} to {most:g}; correct one "
                    "of them"
                )
        return numbers


def words(prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
    """Return the number of words of each continuation."""
    return [float(len(text.split())) for text in continuations]


def empty(prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
    """Return 1 for each continuation without a word, where the model wrote nothing, and 0 for others."""
    return [float(not text.strip()) for text in continuations]


def _fault(name: str, function: Any) -> str | None:
    """Return what is wrong with a scorer of another package, as the end of a sentence; None if nothing is."""
    return None if callable(function) else "is not a function of prompts and continuations"


SCORERS: Mapping[str, Function] = Registry("scorers", {"words": words, "empty": empty}, _fault)
"""The built-in scorers and those of installed packages."""


def list_scorers() -> list[tuple[str, str]]:
    """Return the name of every function that scores texts, and the first line of what it says of itself."""
    return [(name, (getdoc(function) or "").partition("\n")[0]) for name, function in SCORERS.items()]


def scores_key(*parts: object) -> str:
    """Return a hash of what scores depend on."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
