"""The sizes of a trial are those of its model, its examples and their tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evenhand import Study
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import shared_tokenizer
from evenhand.models.stated import find_or_state_model
from evenhand.study.plan import make_plan
from evenhand.study.trial_size import CHARACTERS_PER_TOKEN, PADDING, SizeReader
from evenhand.tasks.prompts.scoring import score_options


def trials_of(study, find=find_model):
    return {trial.method: trial for trial in make_plan(Study(**{**study, "seeds": 1}), None, find).trials}


def test_lengths_are_those_of_the_encoded_texts_with_padding(small_study):
    trial = trials_of(small_study)["full"]
    size = SizeReader()(trial)
    encoded = shared_tokenizer(trial.setting.base)(list(trial.examples.inputs))["input_ids"]
    assert size.learned.count == len(trial.examples) == 216
    assert size.learned.mean == pytest.approx(PADDING * np.mean([len(ids) for ids in encoded]))
    assert size.learned.longest == max(len(ids) for ids in encoded)


def test_long_texts_are_cut_where_training_cuts_them(small_study):
    size = SizeReader()(trials_of({**small_study, "train": {"max_length": 8}})["full"])
    assert (size.learned.mean, size.learned.longest) == (pytest.approx(8 * PADDING), 8)


def test_validation_is_predicted_after_every_epoch_and_once_more_as_a_split(small_study):
    methods = {"full": {**small_study["methods"]["full"], "epochs": 3}, "base": {"kind": "base"}}
    trials = trials_of({**small_study, "methods": methods})
    read = SizeReader()
    predicted = {method: sum(lengths.count for lengths in read(trial).predicted) for method, trial in trials.items()}
    assert predicted == {"full": 24 + 60 + 3 * 24, "base": 24 + 60}


@pytest.mark.parametrize(
    ("kind", "train", "cached"),
    [
        ("head", {}, True),
        ("last", {}, True),
        ("full", {}, False),
        ("lora", {}, False),
        ("head", {"features": 0}, False),
        ("head", {"base_dropout": 0.1}, False),
        ("last", {"features": 1e-6}, False),
    ],
)
def test_features_are_cached_where_training_caches_them(small_study, kind, train, cached):
    methods = {"full": {"kind": "full"}, "m": {"kind": kind, "lr": 1e-3}}
    assert SizeReader()(trials_of({**small_study, "methods": methods, "train": train})["m"]).cached is cached


def test_an_image_counts_once_and_is_decoded_for_training_and_for_tests():
    study = {"task": {"name": "synthetic/faces", "n": 100}, "model": "tiny-vit", "methods": {"full": {"kind": "full"}}}
    trial = trials_of(study)["full"]
    size = SizeReader()(trial)
    assert size.learned.mean == 1.0 and size.learned.count == len(trial.examples)
    assert size.images == 100


TRANSLATION = {
    "task": {"name": "synthetic/translation", "n": 120},
    "model": "tiny-llama",
    "methods": {"full": {"kind": "full", "epochs": 1}},
}
REVIEWS = {**TRANSLATION, "task": {"name": "synthetic/reviews", "n": 60}, "prompts": {"reviews": 10}}


def test_translations_are_generated_and_as_long_as_their_references():
    trial = trials_of(TRANSLATION)["full"]
    size, test = SizeReader()(trial), trial.evaluations["test"]
    assert size.answers is not None and size.answers.prompts.count == len(test)
    tokenizer = shared_tokenizer(trial.setting.base)
    longest = max(len(tokenizer(f" {target}")["input_ids"]) for target in test.targets)
    assert size.answers.steps == pytest.approx(-(-len(test) // 64) * longest, rel=0.2)


@pytest.mark.slow
def test_tokens_of_prompts_are_those_that_are_computed():
    trial = trials_of(REVIEWS)["full"]
    asked = SizeReader()(trial).predicted[:2]  # the third are the validation reviews
    reviews = list(trial.evaluations["test"].inputs)
    model, tokenizer = load_language_model(trial.setting.base), shared_tokenizer(trial.setting.base)
    computed = score_options(model, tokenizer, trial.setting.prompts, reviews).computed
    assert sum(lengths.count * lengths.mean for lengths in asked) == pytest.approx(
        computed, rel=0.2
    )  # padding of small batches


def test_a_stated_model_reads_a_token_for_some_characters():
    study = {**TRANSLATION, "model": "meta-llama/Llama-2-7b-hf"}
    trial = trials_of(study, find_or_state_model)["full"]
    size = SizeReader()(trial)
    characters = np.mean(
        [len(f"Turkish: {s} English: {t}") for s, t in zip(trial.examples.inputs, trial.examples.targets, strict=True)]
    )
    assert size.learned.mean == pytest.approx(PADDING * characters / CHARACTERS_PER_TOKEN, rel=0.05)
    asked = SizeReader()(trials_of({**REVIEWS, "model": study["model"]}, find_or_state_model)["full"])
    real = SizeReader()(trials_of(REVIEWS)["full"])
    counts = [[lengths.count for lengths in size.predicted] for size in (asked, real)]
    assert len(counts[0]) == len(counts[1]) == 3 and counts[0][0] == counts[1][0]


def test_seeds_share_what_is_read_and_rates_do_not_matter(small_study):
    read = SizeReader()
    plan = make_plan(Study(**{**small_study, "seeds": 3}), None)
    sizes = {trial.method: read(trial) for trial in plan.trials}
    assert len(read._shapes) == 2
    faster = replace(plan.trials[0], spec=plan.trials[0].spec.model_copy(update={"lr": 1.0}))
    assert read(faster).shape is sizes["full"].shape
