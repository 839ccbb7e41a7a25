"""Several texts in a row: each is read as if it were alone, in the loss and in the gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from evenhand.data.synthetic_reviews import SyntheticReviews
from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.training.language import target_log_probs
from evenhand.training.prompted_texts import PromptedTexts, encode_prompted, encode_whole_texts
from evenhand.training.sequence_packing import check_texts_stay_apart, pack_texts

CPU = torch.device("cpu")


def model_of(name: str, attention: str = "sdpa") -> Any:
    """A language model in float64; `mistral, window 8` looks 8 tokens back, less than a review has."""
    if name == "gpt2":
        torch.manual_seed(0)
        config = GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=128, vocab_size=4096, initializer_range=0.3)
        config.attn_pdrop = config.embd_pdrop = config.resid_pdrop = 0.0
        model: Any = GPT2LMHeadModel._from_config(config, attn_implementation=attention)
        return model.double()
    base = find_model("tiny-mistral" if name.startswith("mistral") else name)
    options = {"sliding_window": 8} if name.startswith("mistral") else {}
    return AutoModelForCausalLM.from_pretrained(
        base.folder, dtype=torch.float64, attn_implementation=attention, **options
    )


def reviews(count: int = 12, max_length: int = 96) -> PromptedTexts:
    texts = list(SyntheticReviews(n=40, seed=3).load().inputs)[:count]
    texts = [text[: 20 + 23 * place] for place, text in enumerate(texts)]
    return encode_whole_texts(load_tokenizer(find_model("tiny-llama")), texts, max_length)


def losses_and_gradients(model: Any, inputs: PromptedTexts, packing: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of all reviews in one packed batch, or of each alone without even padding."""
    model.zero_grad()
    everything = np.arange(len(inputs))
    losses = []
    for rows in [everything] if packing else everything[:, None]:
        said, there = target_log_probs(model, inputs, rows, CPU, packing=packing)
        losses.append(-said.sum(1) / there.sum(1))
    torch.cat(losses).mean().backward()
    return torch.cat(losses).detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


# Eager attention of Llama and Mistral takes its softmax in float32, whatever the model is in.
@pytest.mark.parametrize(("attention", "exact"), [("sdpa", 1e-9), ("eager", 1e-6)])
@pytest.mark.parametrize("name", ["tiny-llama", "mistral, window 8", "gpt2"])
def test_losses_and_gradients_are_those_of_reviews_alone(name, attention, exact):
    model, inputs = model_of(name, attention).train(), reviews()
    assert len(pack_texts(inputs, np.arange(len(inputs))).ids) < len(inputs)
    alone, ours = losses_and_gradients(model, inputs, False)
    together, theirs = losses_and_gradients(model, inputs, True)
    assert torch.allclose(alone, together, atol=exact, rtol=0)
    assert len(ours) == len(theirs) > 5
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=exact, rtol=0)


def test_the_window_is_shorter_than_the_reviews():
    """Otherwise the test above would say nothing about sliding windows."""
    inputs = reviews()
    near, far = model_of("mistral, window 8"), model_of("mistral, window 8")
    far.config.sliding_window = 512
    with torch.no_grad():
        one, other = (target_log_probs(m, inputs, np.array([11]), CPU, packing=True)[0] for m in (near, far))
    assert not torch.allclose(one, other, atol=1e-6)


def test_prompts_count_for_nothing_in_a_packed_batch():
    tokenizer, model = load_tokenizer(find_model("tiny-llama")), model_of("tiny-llama")
    inputs = encode_prompted(tokenizer, ["a short one", "the food was good and"], ["is here", "the room was cold"], 96)
    with torch.no_grad():
        (alone, there), (together, here) = (
            target_log_probs(model, inputs, np.arange(2), CPU, packing=packing) for packing in (False, True)
        )
    assert torch.equal(there, here)
    assert torch.allclose(alone, together, atol=1e-9, rtol=0)


def test_every_token_has_one_place_and_rows_are_no_longer_than_the_longest():
    inputs = reviews()
    rows = np.array([7, 2, 11, 0, 5])
    together = pack_texts(inputs, rows)
    length = int(inputs.lengths[rows].max())
    assert together.ids.shape[1] == length
    flat, positions = together.ids.ravel(), together.positions.ravel()
    taken = np.zeros(len(flat), dtype=bool)
    for start, row in zip(together.starts, rows, strict=True):
        place = slice(start, start + inputs.lengths[row])
        assert not taken[place].any()
        taken[place] = True
        assert (flat[place] == inputs.tokens[row]).all()
        assert (positions[place] == np.arange(inputs.lengths[row])).all()
    assert (flat[~taken] == inputs.padding).all()
    assert (positions[~taken] == 0).all()


def test_texts_of_one_length_lie_as_in_a_batch_without_packing():
    tokens = [np.array([4, 5, 6]), np.array([7, 8, 9])]
    inputs = PromptedTexts(tokens, np.array([3, 3]), 0, np.ones(2, dtype=np.int64))
    together = pack_texts(inputs, np.array([1, 0]))
    assert together.ids.tolist() == [[7, 8, 9], [4, 5, 6]]
    assert together.starts.tolist() == [0, 3]


@pytest.mark.parametrize("name", ["tiny-llama", "mistral, window 8", "gpt2"])
def test_models_that_keep_texts_apart_are_let_through(name):
    model = model_of(name).train()
    check_texts_stay_apart(model, reviews(), CPU)
    assert model.training


def test_an_adapter_keeps_them_apart_too():
    base = find_model("tiny-llama")
    model = parse_method("lora", {"kind": "lora", "rank": 4}).apply(load_language_model(base), 0)
    check_texts_stay_apart(model, reviews(), CPU)


class Leaks(torch.nn.Module):
    """A model without a mask between texts: one that is told to look at everything before a token."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = model_of("tiny-llama")

    def forward(self, input_ids, position_ids=None, use_cache=None):
        return self.inner(input_ids, torch.ones_like(input_ids), position_ids=position_ids)


class Bare(torch.nn.Module):
    """A model that counts positions by itself."""

    def forward(self, input_ids, use_cache=None): ...


def test_a_model_that_lets_texts_see_one_another_is_refused():
    with pytest.raises(InputError, match=r"with Leaks: in one row, texts are not read as they are alone; leave it out"):
        check_texts_stay_apart(Leaks(), reviews(), CPU)


def test_a_model_without_position_ids_is_refused():
    with pytest.raises(InputError, match=r"with Bare: .*position_ids"):
        check_texts_stay_apart(Bare(), reviews(), CPU)
