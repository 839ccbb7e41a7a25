"""Private training of language models: each text has a gradient of its own, and ε is recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from evenhand import Study
from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer, set_dropout
from evenhand.training.language import LanguagePack
from evenhand.training.pack import single_pack
from evenhand.training.prompted_texts import encode_prompted
from evenhand.training.recipe import TrainSpec

pytest.importorskip("opacus")
from evenhand.training.private import GaussianMechanism, PrivateLanguagePack, private_pack

CPU = torch.device("cpu")
MODELS = ("tiny-llama", "tiny-mistral")
GPT2 = "gpt2"
PROMPTS = ["The soup", "The train was late and", "The song", "Nobody"]
TARGETS = ["was hot.", "cold.", "was long and sad, so we left.", "came."]
CLIP = 0.05


def gpt2():
    """A small GPT-2, which looks up its positions once for a whole batch, with the words of tiny-llama."""
    torch.manual_seed(0)
    words = load_language_model(find_model("tiny-llama")).config.vocab_size
    small = {"n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 1, "eos_token_id": 1}
    config = GPT2Config(vocab_size=words, **small)
    set_dropout(config, 0.0)
    return GPT2LMHeadModel(config).eval()


def plain_of(name, kind):
    method = parse_method(kind, {"kind": kind, "epochs": 2, "lr": 1e-2, **({"rank": 4} if "lora" in kind else {})})
    inputs = encode_prompted(load_tokenizer(find_model("tiny-llama" if name == GPT2 else name)), PROMPTS, TARGETS, 64)
    module = method.apply(gpt2() if name == GPT2 else load_language_model(find_model(name)), 1)
    labels = np.zeros(len(inputs), dtype=np.int64)
    train = TrainSpec(batch_size=len(inputs), warmup=0, replicas=1)
    return single_pack(module, inputs, labels, seed=1, lr=1e-2, epochs=2, train=train, device=CPU)


@pytest.mark.parametrize("kind", ["dp_lora", "dp_full"])
@pytest.mark.parametrize("name", [*MODELS, GPT2])
def test_a_step_without_noise_is_the_sum_of_clipped_gradients_of_single_texts(name, kind):
    plain = LanguagePack.of(plain_of(name, kind))
    learning = [value for value in plain.module.parameters() if value.requires_grad]
    total = [torch.zeros_like(value) for value in learning]
    for row in range(len(PROMPTS)):
        plain.module.zero_grad()
        plain.sum_of_losses(np.array([row])).backward()
        gradients = [torch.zeros_like(value) if value.grad is None else value.grad for value in learning]
        norm = torch.sqrt(sum(gradient.square().sum() for gradient in gradients))
        for sum_of, gradient in zip(total, gradients, strict=True):
            sum_of += gradient * min(1.0, CLIP / float(norm))
    oracle = torch.sqrt(sum((gradient / len(PROMPTS)).square().sum() for gradient in total))
    pack = private_pack(plain_of(name, kind), GaussianMechanism(0.0, CLIP, 1.0, 1e-3))
    assert isinstance(pack, PrivateLanguagePack)
    (batch,) = pack.batches(0)
    assert len(batch.micro_batches[0].rows[0]) == len(PROMPTS), "every text is drawn at the rate 1"
    pack.backward(pack.losses(batch.micro_batches[0]))
    assert float(pack.step(batch)) == pytest.approx(float(oracle), rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_a_study_records_epsilon_and_leaves_the_base_as_it_was(name, tmp_path):
    results = Study(
        task={"name": "synthetic/instructions", "n": 60},
        model=name,
        methods={"private": {"kind": "dp_lora", "rank": 4, "epochs": 1, "epsilon": 8.0}, "base": {"kind": "base"}},
        reference="base",
        seeds=1,
        split={"test": 0.3, "validation": 0},
    ).run(tmp_path)
    (row,) = results.trials.filter(method="private").iter_rows(named=True)
    assert row["status"] == "done" and 7.5 < row["epsilon"] <= 8.0
    assert row["parameters"] < row["parameters_total"] / 10


def test_blocks_have_no_epsilon_of_a_text():
    with pytest.raises(InputError, match="a text may be in two blocks"):
        Study(
            task="synthetic/reviews",
            model="tiny-llama",
            methods={"private": {"kind": "dp_lora"}, "base": {"kind": "base"}},
            reference="base",
            train={"blocks": 32},
        )
