"""Language models with virtual tokens answer whatever the padding, the cache, and the other texts of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.tasks.language import room_for_text
from evenhand.tasks.prompts.prefix_reader import PrefixReader
from evenhand.training.generation import generate_first_lines
from evenhand.training.language import response_scores
from evenhand.training.prompted_texts import encode_whole_texts
from evenhand.training.recipe import TrainSpec

CPU = torch.device("cpu")
TOKENS = 6
KINDS = ("prefix", "prompt", "p_tuning")
PROMPTS = ["The soup", "The train was late and nobody came to the party.", "A", "There were"]


@pytest.fixture(scope="module", params=["tiny-llama", "tiny-mistral"])
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def tokenizer(name):
    return load_tokenizer(find_model(name))


@pytest.fixture(scope="module", params=KINDS)
def model(request, name):
    """A model whose virtual tokens say a lot."""
    method = parse_method(request.param, {"kind": request.param, "tokens": TOKENS})
    adapted = method.apply(load_language_model(find_model(name)), 1).eval()
    if request.param != "prompt":
        with torch.no_grad():
            for parameter in adapted.prompt_encoder.parameters():
                parameter.mul_(3)
    return adapted


def ids_of(tokenizer, texts):
    return [np.asarray(tokenizer(text)["input_ids"], dtype=np.int64) for text in texts]


def alone(model, ids) -> torch.Tensor:
    """The oracle: log-probabilities of the next token after each token of one text, in one pass without a cache."""
    with torch.inference_mode():
        return model(torch.as_tensor(np.asarray(ids))[None]).logits[0].log_softmax(-1)


def greedy(model, tokenizer, prompt, most) -> str:
    """The oracle: the line that greedy decoding writes, computed anew for every token."""
    ids = list(prompt)
    for _ in range(most):
        ids.append(int(alone(model, ids)[-1].argmax()))
        if ids[-1] == tokenizer.eos_token_id or "\n" in tokenizer.decode(ids[-1:]):
            break
    return tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True).split("\n")[0]


def long_texts(tokenizer, model):
    """Texts that, with their padding, reach beyond the sliding window of the tiny Mistral; of a prefix, up to it."""
    count = 119 if model.peft_type == "PREFIX_TUNING" else 150
    draw = np.random.default_rng(0)
    return [draw.integers(5, tokenizer.vocab_size, length) for length in (count, count - 1, 9, 40)]


def test_greedy_decoding_writes_the_likeliest_token_of_each_prompt_alone(model, tokenizer):
    prompts = ids_of(tokenizer, PROMPTS)
    assert min(map(len, prompts)) == 2 < max(map(len, prompts))
    expected = [greedy(model, tokenizer, prompt.tolist(), 12).strip() for prompt in prompts]
    assert generate_first_lines(model, tokenizer, prompts, CPU, most=12) == expected
    assert len(set(expected)) > 1


def test_a_prompt_of_one_token_beside_longer_ones_is_continued(model):
    prompts = torch.tensor([[0, 0, 7], [5, 6, 7]])
    mask = (prompts != 0).long()
    both = model.generate(prompts, mask, max_new_tokens=3, pad_token_id=0, eos_token_id=None)
    one = model.generate(torch.tensor([[7]]), max_new_tokens=3, pad_token_id=0, eos_token_id=None)
    assert both[0, 2:].tolist() == one[0].tolist() and both.shape == (2, 6)
    assert one[0, 1] == alone(model, [7])[-1].argmax()


def test_the_largest_length_and_stopping_criteria_are_those_of_texts(model):
    from transformers import StoppingCriteria, StoppingCriteriaList

    seen = []

    class Watch(StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            seen.append(input_ids.tolist())
            return torch.zeros(len(input_ids), dtype=torch.bool)

    prompt = torch.tensor([[5, 6, 7]])
    written = model.generate(
        prompt, max_length=6, pad_token_id=0, eos_token_id=None, stopping_criteria=StoppingCriteriaList([Watch()])
    )
    assert written.shape == (1, 6) and seen[-1] == written.tolist()
    assert all(row[0][:3] == [5, 6, 7] for row in seen)


def test_beginnings_padded_on_the_left_and_continuations_from_their_cache_are_read_as_one_text(model, tokenizer):
    beginnings = [tuple(text.tolist()) for text in long_texts(tokenizer, model)]
    tails = [(11, 12), (13,), (14, 15, 16)]
    of = np.array([0, 2, 3])
    reader = PrefixReader(model)
    for inside in (False, True):
        read = reader.read_beginnings(beginnings, keep=True, inside=inside)
        for row, beginning in enumerate(beginnings):
            oracle = alone(model, beginning)
            assert torch.allclose(read.following[row], oracle[-1], atol=1e-4)
            if read.inside is not None:
                sums = oracle[:-1].gather(1, torch.tensor(beginning[1:])[:, None]).sum()
                assert read.inside[row] == pytest.approx(float(sums), abs=1e-2)
        rows, positions, tokens = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 0, 1, 2]), np.array([12, 20, 21, 16, 22])
        found = reader.continuation_log_probs(read, of, tails, rows, positions, tokens)
        for value, row, position, token in zip(found, rows, positions, tokens, strict=True):
            whole = [*beginnings[of[row]], *tails[row]]
            there = len(beginnings[of[row]]) + position
            assert value == pytest.approx(float(alone(model, whole)[there, token]), abs=1e-4)


@pytest.mark.parametrize("keep", [1, 3, torch.tensor([0, 2, 4])])
def test_logits_are_those_of_the_asked_positions_of_the_text(model, keep):
    ids = torch.arange(5, 14)[None]
    with torch.inference_mode():
        whole, some = model(ids).logits, model(ids, logits_to_keep=keep).logits
    expected = whole[:, keep] if isinstance(keep, torch.Tensor) else whole[:, -keep:]
    assert whole.shape[1] == 9 and torch.allclose(some, expected, atol=1e-5)


def test_responses_are_scored_alike_in_any_batch(model, tokenizer):
    inputs = encode_whole_texts(tokenizer, PROMPTS, 64)
    together = response_scores(model, inputs, np.arange(4), CPU, [tokenizer.eos_token_id])
    one_by_one = response_scores(model, inputs, np.arange(4), CPU, [tokenizer.eos_token_id], size=1)
    assert np.allclose(together, one_by_one, atol=1e-5)
    for row, (loss, _) in enumerate(together):
        ids = inputs.tokens[row]
        oracle = -alone(model, ids)[:-1].gather(1, torch.as_tensor(ids[1:])[:, None]).mean()
        assert loss == pytest.approx(float(oracle), abs=1e-5)


def test_the_harness_scores_and_generates_as_one_text_at_a_time_would(model, tokenizer):
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    def asked(kind, *arguments):
        return [Instance(request_type=kind, doc={}, arguments=each, idx=0) for each in zip(*arguments, strict=True)]

    reader = HFLM(pretrained=model, backend="causal", tokenizer=tokenizer, batch_size=4, max_length=120)
    answers = [" was hot", " late", " nobody came to it", " two"]
    scored = reader.loglikelihood(asked("loglikelihood", PROMPTS, answers), disable_tqdm=True)
    for (value, _), prompt, answer in zip(scored, PROMPTS, answers, strict=True):
        context, whole = (reader.tok_encode(text) for text in (prompt, prompt + answer))
        there = torch.arange(len(context) - 1, len(whole) - 1)
        oracle = alone(model, whole)[there, torch.tensor(whole)[there + 1]].sum()
        assert value == pytest.approx(float(oracle), abs=1e-3)
    options = {"until": ["\n"], "max_gen_toks": 6, "do_sample": False}
    for prompt in PROMPTS:
        (written,) = reader.generate_until(asked("generate_until", [prompt], [options]), disable_tqdm=True)
        assert written == greedy(model, tokenizer, tokenizer(prompt)["input_ids"], 6)


def test_a_prefix_leaves_the_room_of_the_attention_window_and_other_tokens_that_of_the_positions(name, tokenizer):
    base = find_model(name)
    room = {kind: room_for_text(base, parse_method(kind, {"kind": kind, "tokens": 6}), tokenizer) for kind in KINDS}
    assert room == {"prefix": 122 if name == "tiny-mistral" else 250, "prompt": 250, "p_tuning": 250}
    assert room_for_text(base, parse_method("lora", {"kind": "lora"}), tokenizer) == 256


@pytest.mark.parametrize("kind", KINDS)
def test_options_of_training_that_do_not_work_with_virtual_tokens_are_refused(kind):
    method = parse_method(kind, {"kind": kind})
    with pytest.raises(InputError, match="packing puts several texts into a row"):
        method.check_training(TrainSpec(packing=True))
    checkpointed = TrainSpec(checkpointing=True)
    if kind != "prefix":
        method.check_training(checkpointed)
        return
    with pytest.raises(InputError, match="without the keys and values of prefix"):
        method.check_training(checkpointed)
