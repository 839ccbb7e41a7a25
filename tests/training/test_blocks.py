"""`train.blocks`: texts joined and cut as Hugging Face's example of causal language modelling does."""

from __future__ import annotations

import re
from itertools import chain

import numpy as np
import pytest
import torch

from evenhand import Study
from evenhand.errors import InputError
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.study.cost import costs
from evenhand.study.plan import make_plan
from evenhand.study.trial_size import SizeReader
from evenhand.study.trial_work import work_of
from evenhand.tasks.language import assemble_language_pack
from evenhand.tasks.reviews import encode
from evenhand.training.language import LanguagePack, example_losses
from evenhand.training.loop import take_step
from evenhand.training.prompted_texts import encode_blocks

CPU = torch.device("cpu")
MODELS = ("tiny-llama", "tiny-mistral")
TEXTS = [f"The soup was {word} and the waiter came {often}." for word in ("hot", "cold") for often in ("once", "twice")]
STUDY = {
    "task": {"name": "synthetic/reviews", "n": 120},
    "model": "tiny-llama",
    "methods": {"full": {"kind": "full", "lr": 3e-4, "epochs": 2}},
    "seeds": 1,
    "split": {"test": 0.2, "validation": 0.1},
    "prompts": {"reviews": 4},
    "train": {"blocks": 16, "batch_size": 4},
}


def trial_of(**changes):
    (trial,) = make_plan(Study(**{**STUDY, **changes}), None).trials
    return trial


@pytest.mark.parametrize("name", MODELS)
def test_blocks_are_the_joined_texts_with_their_ends_cut_without_the_rest(name):
    tokenizer = load_tokenizer(find_model(name))
    found = encode_blocks(tokenizer, TEXTS, 8)
    stream = list(chain.from_iterable([*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in TEXTS))
    assert np.concatenate(found.tokens).tolist() == stream[: len(stream) // 8 * 8]
    assert set(found.lengths.tolist()) == {8} and stream.count(tokenizer.eos_token_id) == len(TEXTS)
    assert len(stream) % 8, "otherwise nothing is left out"


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_of_a_batch_of_blocks_is_that_of_transformers(name):
    tokenizer, model = load_tokenizer(find_model(name)), load_language_model(find_model(name))
    found = encode_blocks(tokenizer, TEXTS, 8)
    ids = torch.from_numpy(np.stack(found.tokens))
    with torch.inference_mode():
        oracle = model(input_ids=ids, labels=ids).loss
    assert float(example_losses(model, found, CPU).mean()) == pytest.approx(float(oracle), abs=1e-5)


def test_a_trial_steps_through_blocks_and_not_through_reviews():
    trial = trial_of()
    work = work_of(trial)
    inputs = encode(work, load_tokenizer(trial.setting.base), trial.examples)
    pack = assemble_language_pack(work, inputs, CPU)
    (replica,) = pack.replicas
    assert isinstance(pack, LanguagePack) and len(replica.labels) == len(inputs) != len(trial.examples)
    rows = np.concatenate([batch.micro_batches[0].rows[0] for batch in pack.batches(0)])
    assert sorted(rows.tolist()) == list(range(len(inputs))), "each block once in an epoch"
    losses, _ = take_step(pack, next(iter(pack.batches(0))))
    assert torch.isfinite(losses).all() and replica.steps == 2 * -(-len(inputs) // 4)


def test_blocks_are_part_of_a_trials_identity_and_only_where_they_are_asked_for():
    whole = trial_of(train={"batch_size": 4})
    assert "blocks" not in whole.identity["train"] and trial_of().identity["train"]["blocks"] == 16
    assert len({whole.hash, trial_of().hash, trial_of(train={"blocks": 32, "batch_size": 4}).hash}) == 3


def test_a_plan_counts_the_steps_of_blocks(tmp_path):
    trial = trial_of()
    inputs = encode(work_of(trial), load_tokenizer(trial.setting.base), trial.examples)
    size = SizeReader()(trial)
    assert size.learned.mean == size.learned.longest == 16
    assert size.learned.count == pytest.approx(len(inputs), rel=0.02)
    assert size.steps == pytest.approx(2 * -(-len(inputs) // 4), abs=2)
    (cost,) = costs([trial], tmp_path, lambda _: None).values()
    assert cost is not None and cost.seconds > 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": {"blocks": 1}}, "train.blocks"),
        ({"train": {"blocks": 16, "packing": True}}, "train.packing keeps texts apart and train.blocks joins them"),
        (
            {"task": "synthetic/translation", "prompts": None},
            "train.blocks joins texts that are learned as a whole, and those of synthetic/translation are not",
        ),
    ],
)
def test_blocks_that_cannot_be_are_refused_with_the_study(changes, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        Study(**{**STUDY, **changes})


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (512, "train.blocks is 512, and the model has 256 positions"),
        (256, "do not fill one block of train.blocks: 256"),
    ],
)
def test_a_block_that_the_model_or_the_texts_cannot_fill_is_refused(size, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        encode_blocks(load_tokenizer(find_model("tiny-llama")), TEXTS, size)
