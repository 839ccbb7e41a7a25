"""Checkpoints, compiled models and passes by tokens change results by rounding, and no trial's identity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.plan import plan
from evenhand.tasks import classification, packing
from evenhand.training.batches import split_by_tokens
from evenhand.training.loop import take_step
from evenhand.training.recipe import ROUNDING
from several_processes import FULL, LORA, Case, trained, weights
from small_models import posts, work

DRY = {**LORA, "dropout": 0.0}
PLAIN = {
    "full": Case(FULL),
    "full of llama": Case(FULL, "llama"),
    "full of windows": Case(FULL, "swinv2"),
    "lora": Case(DRY),
    "lora with dropout": Case(LORA),
    "base dropout": Case(FULL, train={"base_dropout": 0.1}),
}


def found(case: Case) -> dict[str, np.ndarray]:
    pack = case.pack()
    return {**trained(pack, case), **weights(pack.module)}


def with_(case: Case, **options) -> Case:
    return replace(case, train={**case.train, **options})


def same(one: dict, other: dict, within: float) -> None:
    assert one.keys() == other.keys()
    for key in one:
        # Not pytest.approx, which looks at each number of a million in Python.
        np.testing.assert_allclose(one[key], other[key], rtol=0, atol=within, equal_nan=False, err_msg=key)


@pytest.mark.parametrize("name", PLAIN)
def test_a_checkpointed_training_is_the_same(name):
    same(found(with_(PLAIN[name], checkpointing=True)), found(PLAIN[name]), 1e-9)


def test_checkpoints_keep_less():
    def kept(case: Case) -> int:
        pack, sizes = case.pack(), []
        pack.module.train()
        with torch.autograd.graph.saved_tensors_hooks(lambda one: sizes.append(one.nbytes) or one, lambda one: one):
            pack.losses(next(iter(pack.batches(0))).micro_batches[0])
        return sum(sizes)

    assert kept(with_(PLAIN["full"], checkpointing=True)) < 0.5 * kept(PLAIN["full"])


@pytest.mark.parametrize("name", ["full", "full of llama", "lora"])
def test_passes_by_tokens_take_the_same_steps(name):
    case, cut = PLAIN[name], with_(PLAIN[name], tokens_per_pass=100)
    pairs = list(zip(case.pack().batches(0), cut.pack().batches(0), strict=True))
    assert sum(len(parts.micro_batches) for _, parts in pairs) > 2 * len(pairs)
    for whole, parts in pairs:
        rows = np.concatenate([part.rows[0] for part in parts.micro_batches])
        assert sorted(rows) == sorted(np.concatenate([part.rows[0] for part in whole.micro_batches]))
    same(found(cut), found(case), 1e-6)  # losses are logged in float32
    ours, theirs = (weights_after(one) for one in (cut, case))
    same(ours, theirs, 1e-9)


def weights_after(case: Case) -> dict[str, np.ndarray]:
    pack = case.pack()
    for batch in pack.batches(0):
        take_step(pack, batch)
    return weights(pack.module)


@pytest.mark.fuzz
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200))
def test_no_pass_has_more_tokens_than_asked_but_for_a_single_text(lengths, most):
    lengths = np.array(lengths)
    rows = np.random.default_rng(0).permutation(len(lengths))
    parts = split_by_tokens(rows, lengths[rows], most)
    assert sorted(np.concatenate(parts)) == list(range(len(lengths)))
    assert all(len(part) == 1 or len(part) * lengths[part].max() <= most for part in parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full", "lora with dropout"])
def test_a_compiled_training_is_the_same(name):
    compiled = with_(replace(PLAIN[name], double=False), compile=True)
    ours, theirs = found(compiled), found(with_(compiled, compile=False))
    assert ours["logits"] == pytest.approx(theirs["logits"], abs=1e-4)
    assert ours["losses"] == pytest.approx(theirs["losses"], abs=1e-4)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (with_(PLAIN["lora with dropout"], tokens_per_pass=100), "what a dropout draws"),
        (with_(PLAIN["base dropout"], tokens_per_pass=100), "what a dropout draws"),
        (Case(FULL, "resnet", train={"checkpointing": True}), "checkpointing: ResNet"),
    ],
)
def test_what_would_change_more_than_rounding_is_refused(case, said):
    with pytest.raises(InputError, match=said):
        case.pack()


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(InputError, match="needs a C\\+\\+ compiler"):
        with_(PLAIN["full"], compile=True).pack()


def test_how_a_training_is_computed_is_no_part_of_its_identity(small_study):
    options = {"replicas": 3, "features": 1.0, "checkpointing": True, "compile": True, "tokens_per_pass": 500}
    assert {*options, "packing"} == ROUNDING  # the last is for language models: tests/tasks/test_reviews.py
    plain, changed = (plan(Study(**small_study, train=train), None) for train in ({}, options))
    assert [trial.hash for trial in plain.trials] == [trial.hash for trial in changed.trials]


def test_a_study_that_cuts_passes_by_tokens_has_no_dropout(small_study):
    small_study["methods"]["lora"]["dropout"] = 0.1
    with pytest.raises(InputError, match=r"methods\.lora: train\.tokens_per_pass"):
        Study(**small_study, train={"tokens_per_pass": 500})


def test_a_trial_says_which_attention_it_had(tmp_path):
    outcome, _ = classification.train(work({**FULL, "epochs": 1}, checkpointing=True), tmp_path, {"test": posts(20)})
    assert outcome.attention == "sdpa"


def test_what_is_computed_again_is_trained_alone():
    assert packing.key(work(DRY)) is not None
    assert packing.key(work(DRY, checkpointing=True)) is None
    assert packing.key(work(DRY, compile=True)) is None
