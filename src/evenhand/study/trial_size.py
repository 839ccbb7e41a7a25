"""Finds the sizes of a trial for arithmetic: its model's shape, its examples, and the lengths of its texts.

Lengths come from a sample of the texts, encoded by the model's tokenizer. A model that is only stated has none; then a
token is taken to be `CHARACTERS_PER_TOKEN` characters.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from os.path import commonprefix
from typing import Any

import numpy as np

from evenhand.data.dataset import Dataset
from evenhand.data.pairs import Pairs, TrainingPairs
from evenhand.data.translation import Translations
from evenhand.study.arithmetic import Answers, Lengths, TrialSize
from evenhand.study.expansion import Trial
from evenhand.study.model_shape import ModelShape, shape_of
from evenhand.study.trial_work import work_of
from evenhand.tasks import trainer
from evenhand.tasks.classification import FROZEN_BELOW
from evenhand.tasks.language import room_for_text
from evenhand.tasks.translation import prompts as translation_prompts

PADDING = 1.05
"""Tokens of a batch with padding, against those without, where texts are batched by length (`training/batches.py`)."""

SAMPLE = 300
"""Number of texts whose tokens are counted."""

ASKED_SAMPLE = 12
"""Number of reviews whose prompts are encoded."""

CHARACTERS_PER_TOKEN = 3.5
"""Of English in a vocabulary of 32,000, about; assumed for models whose tokenizer is not here."""


@dataclass(frozen=True)
class SizeReader:
    """Finds the sizes of trials; trials that differ by seed share their model's shape and the lengths of their texts.

    Example:
        >>> from evenhand import Study
        >>> from evenhand.study.plan import make_plan
        >>> study = Study(task="synthetic/posts", model="tiny-bert", methods={"full": {"kind": "full"}}, seeds=1)
        >>> size = SizeReader()(make_plan(study, None).trials[0])
        >>> size.epochs, size.learned.count
        (3, 1728)
    """

    _shapes: dict[Hashable, ModelShape] = field(default_factory=dict)
    _lengths: dict[Hashable, Any] = field(default_factory=dict)

    def __call__(self, trial: Trial) -> TrialSize:
        """Return the sizes of one trial."""
        shape, epochs, train = self._shape(trial), trial.spec.epochs, trial.train
        learned = self._lengths_of(trial, "train", trial.examples, len(trial.examples))
        cached = _is_cached(trial, shape, learned)
        predicted, answers = self._tested(trial)
        if (validation := trial.sample.validation) is not None and epochs:
            passes = 1 if cached else epochs
            lengths = self._lengths_of(trial, "validation", validation, passes * len(validation))
            predicted = [*predicted, lengths]
        tested = sum(map(len, trial.evaluations.values()))
        return TrialSize(
            shape=shape,
            learned=learned,
            epochs=epochs,
            batch=min(train.batch_size, round(learned.count)),
            steps=epochs * -(-round(learned.count) // (train.batch_size * train.accumulate)),
            precision=train.precision if train.precision != "auto" else "float32",
            predicted=predicted,
            answers=answers,
            cached=cached,
            checkpointing=train.checkpointing,
            images=len(trial.examples) + tested if trial.setting.base.modality == "image" else 0,
        )

    def _shape(self, trial: Trial) -> ModelShape:
        """Return the shape of a trial's model; methods that differ in their rates share it."""
        fields = {key: value for key, value in trial.spec.hyperparameters().items() if key not in ("lr", "epochs")}
        classes = len(trial.setting.dataset.classes) if trial.kind == "classification" else None
        key = trial.setting.base.fingerprint, classes, json.dumps(fields, sort_keys=True)
        if key not in self._shapes:
            self._shapes[key] = shape_of(trial.setting.base, classes, trial.spec)
        return self._shapes[key]

    def _lengths_of(self, trial: Trial, part: str, examples: Any, count: int) -> Lengths:
        """Return the lengths of the examples of a part, as the model reads them in training."""
        if trial.setting.base.modality == "image":
            return Lengths(count)
        altered = trial.setting.spec.alterations(trial.method) if part == "train" else {}
        key = (
            *(trial.setting.name, part, trial.train.max_length, trial.train.blocks, trial.spec.virtual_tokens),
            json.dumps(altered, sort_keys=True, default=str),
        )
        if key not in self._lengths:
            self._lengths[key] = _token_counts(trial, examples.take(_sample(len(examples), SAMPLE)))
        if trial.train.blocks is not None:
            return Lengths.of([trial.train.blocks], count * float(np.mean(self._lengths[key])) // trial.train.blocks)
        return _padded(Lengths.of(self._lengths[key], count))

    def _tested(self, trial: Trial) -> tuple[list[Lengths], Answers | None]:
        """Return the inputs of a trial's forward passes after training, and the texts that it generates."""
        if trial.kind in ("classification", "sft"):
            return [
                self._lengths_of(trial, part, examples, len(examples)) for part, examples in trial.evaluations.items()
            ], None
        from evenhand.training.pack import PREDICT_BATCH

        count = sum(map(len, trial.evaluations.values()))
        virtual = trial.spec.virtual_tokens
        key = trial.setting.name, trial.kind, tuple(trial.evaluations), trial.train.max_length, virtual
        if key not in self._lengths:
            examples = next(iter(trial.evaluations.values()))
            sample = examples.take(_sample(len(examples), SAMPLE if trial.kind == "translation" else ASKED_SAMPLE))
            self._lengths[key] = _answer_counts(trial, sample) if trial.kind == "translation" else _asked(trial, sample)
        if trial.kind == "translation":
            prompts, new = self._lengths[key]
            steps = -(-count // PREDICT_BATCH) * int(np.max(new, initial=1))
            return [], Answers(_padded(Lengths.of(prompts, count)), float(np.mean(new)), steps)
        about = count + len(work_of(trial).content_free)
        return [_padded(lengths).times(about) for lengths in self._lengths[key]], None


def _is_cached(trial: Trial, shape: ModelShape, learned: Lengths) -> bool:
    """Return whether a trial starts from cached activations, as `evenhand.training.features` decides."""
    train = trial.train
    if trial.kind != "classification" or trial.spec.kind not in FROZEN_BELOW or not shape.first:
        return False
    if train.base_dropout or train.augment or train.compile:
        return False
    tokens = 1.0
    if shape.first < len(shape.layers):
        layer = shape.layers[shape.first]
        tokens = learned.mean if layer.tokens is None else layer.tokens
    return 4.0 * shape.layers[-1].width * tokens * learned.count <= 1e9 * train.features


def _padded(lengths: Lengths) -> Lengths:
    """Return the lengths with the padding of batches."""
    return replace(lengths, mean=lengths.mean * PADDING, pairs=lengths.pairs * PADDING**2)


def _sample(count: int, most: int) -> np.ndarray:
    """Return at most `most` positions, spread evenly over `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)) if count else np.empty(0, np.int64)


def _stated_tokens(texts: Sequence[str], most: int) -> np.ndarray:
    """Return the assumed number of tokens of each text."""
    return np.clip([1 + len(text) / CHARACTERS_PER_TOKEN for text in texts], 2, most).astype(np.int64)


def _token_counts(trial: Trial, examples: Any) -> np.ndarray:
    """Return the number of tokens of each example in training, int [n]."""
    from evenhand.models.load import shared_tokenizer
    from evenhand.training.batches import encode_texts

    base, most = trial.setting.base, 10**6 if trial.train.blocks is not None else trial.train.max_length
    if trial.setting.stated:
        texts = list(examples.inputs)
        if isinstance(examples, TrainingPairs | Pairs):
            pairs = zip(translation_prompts(texts), examples.targets, strict=True)
            texts = [f"{prompt} {target}" for prompt, target in pairs]
        return _stated_tokens(texts, most)
    tokenizer = shared_tokenizer(base)
    if trial.kind == "classification":
        longest = min(most, tokenizer.model_max_length - trial.spec.virtual_tokens)
        return encode_texts(tokenizer, list(examples.inputs), longest).lengths
    if trial.train.blocks is not None:
        from evenhand.training.prompted_texts import with_ends

        return np.array([len(ids) for ids in with_ends(tokenizer, list(examples.inputs))], dtype=np.int64)
    encode: Any = trainer(trial.kind)
    return encode.encode(work_of(trial), tokenizer, examples).lengths


def _answer_counts(trial: Trial, examples: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of tokens of prompts and of their answers, which are taken to be as long as the references."""
    assert isinstance(examples, Translations)
    from evenhand.models.load import shared_tokenizer

    if trial.setting.stated:
        asked = translation_prompts(list(examples.inputs))
        return _stated_tokens(asked, 10**6), _stated_tokens(examples.targets, 10**6)
    encode: Any = trainer(trial.kind)
    inputs = encode.encode(work_of(trial), shared_tokenizer(trial.setting.base), examples)
    return inputs.prompts, inputs.lengths - inputs.prompts


def _asked(trial: Trial, reviews: Dataset) -> list[Lengths]:
    """Return the beginnings and the continuations that are read for one review: the prompts with their options."""
    from evenhand.models.load import shared_tokenizer
    from evenhand.tasks.prompts.encoding import PromptEncoder, prompt_groups

    asked, texts = trial.setting.prompts, [str(text) for text in reviews.inputs]
    beginnings: list[int] = []
    rest: list[tuple[int, int]] = []  # tokens of a continuation, and before it
    if trial.setting.stated:
        for group in prompt_groups(asked):
            ends = {prompt.after for _, prompt in group}
            shared = commonprefix(list(ends))  # noqa: RUF071 (these are texts)
            opened = _stated_tokens([group[0][1].before + text + shared for text in texts], 10**6)
            beginnings += opened.tolist()
            tails = [round(len(end) / CHARACTERS_PER_TOKEN) for end in (end.removeprefix(shared) for end in ends)]
            rest += [(tail, before) for before in opened.tolist() for tail in tails if tail]
    else:
        tokenizer = shared_tokenizer(trial.setting.base)
        encoder = PromptEncoder(tokenizer, room_for_text(trial.setting.base, trial.spec, tokenizer))
        for group in prompt_groups(asked):
            for item in encoder(group, list(enumerate(texts))):
                beginnings.append(len(item.beginning))
                tails = {continuation.tokens[:-1] for continuation in item.continuations} - {()}
                rest += [(len(tail), len(item.beginning)) for tail in tails]
    whole = Lengths.of(beginnings, 1).times(len(beginnings) / len(texts))
    if not rest:
        return [whole]
    tails, before = np.array(rest, dtype=np.float64).T
    pairs = float(np.mean(tails * (tails + before)))
    after_review = Lengths(1, float(tails.mean()), pairs, int(tails.max())).times(len(rest) / len(texts))
    return [whole, after_review]
