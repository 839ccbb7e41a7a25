"""What a language model says of each token of a target, against plain PyTorch and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import shared_tokenizer
from evenhand.training.prompted_texts import encode_prompted
from evenhand.training.token_scores import _scores, token_scores

CPU = torch.device("cpu")


def test_a_token_has_the_log_probability_mean_and_deviation_of_its_distribution():
    """Of probabilities 1/2, 1/4, 1/4: the mean of log p is −1.5·log 2, and its deviation .5·log 2."""
    logits = torch.tensor([[0.5, 0.25, 0.25]] * 2).log()
    log_probs, means, deviations = _scores(logits, torch.tensor([0, 2]))
    assert log_probs.tolist() == pytest.approx([math.log(0.5), math.log(0.25)])
    assert means.tolist() == pytest.approx([-1.5 * math.log(2)] * 2)
    assert deviations.tolist() == pytest.approx([0.5 * math.log(2)] * 2)


def test_a_certain_model_keeps_its_log_probability_below_0_and_an_impossible_token_adds_nothing():
    log_probs, means, deviations = _scores(torch.tensor([[60.0, 0.0, -torch.inf]]), torch.tensor([0]))
    assert log_probs.item() == pytest.approx(-math.exp(-60), rel=1e-5)  # log-softmax in float32 gives 0
    assert means.item() == pytest.approx(0) and deviations.item() == pytest.approx(0, abs=1e-9)


def test_scores_are_those_of_each_text_alone_in_double_precision():
    base = find_model("tiny-llama")
    model, tokenizer = load_language_model(base, 0.0), shared_tokenizer(base)
    prompts, targets = ["a plant", "the", "what is an apple in"], ["elma", "kiraz ve armut", "a"]
    inputs = encode_prompted(tokenizer, prompts, targets, 64)
    found = token_scores(model, inputs, CPU, size=2)
    model = model.double().eval()
    for row, tokens in enumerate(inputs.tokens):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor(tokens)[None]).logits[0, :-1]
        every = logits.log_softmax(-1)[inputs.prompts[row] - 1 :]
        own = every[range(len(every)), torch.tensor(tokens[inputs.prompts[row] :])]
        mean = (every.exp() * every).sum(-1)
        deviation = ((every.exp() * every**2).sum(-1) - mean**2).sqrt()
        for values, exact in zip((found.log_probs, found.means, found.deviations), (own, mean, deviation), strict=True):
            np.testing.assert_allclose(values[row], exact.numpy(), atol=2e-5)
            assert len(values[row]) == inputs.counts[row]
