"""Continuations: greedy ones are those of transformers, and sampled ones follow the model's distribution."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import chisquare

from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.seeds import generator
from evenhand.training.conversations import encode_user_messages
from evenhand.training.generation import generate_continuations, generate_first_lines
from evenhand.training.prompted_texts import encode_prompts, text_ends
from small_models import base as small_base

CPU = torch.device("cpu")
PROMPTS = ["The guard came because", "Our neighbor", "In the evening, the cook usually", "A man"]


@pytest.fixture(scope="module")
def loaded() -> Any:
    base = find_model("tiny-llama")
    return load_language_model(base), load_tokenizer(base)


def test_greedy_continuations_are_those_of_transformers(loaded):
    model, tokenizer = loaded
    asked = encode_prompts(tokenizer, PROMPTS, 256)
    written = generate_continuations(model, tokenizer, asked, CPU, most=9)
    for ids, said in zip(asked, written, strict=True):
        whole = model.generate(input_ids=torch.from_numpy(ids)[None], max_new_tokens=9, do_sample=False)[0]
        text = tokenizer.decode(whole, skip_special_tokens=True)
        assert text == tokenizer.decode(ids, skip_special_tokens=True) + said
    assert generate_continuations(model, tokenizer, asked, CPU, most=9, size=1) == written


def test_a_continuation_ends_with_whatever_the_checkpoint_or_the_tokenizer_says_ends_it(loaded):
    model, tokenizer = loaded
    (asked,) = encode_prompts(tokenizer, PROMPTS[:1], 256)
    whole = model.generate(input_ids=torch.from_numpy(asked)[None], max_new_tokens=9, do_sample=False)[0].tolist()
    third = whole[len(asked) + 2]
    before = whole[: whole.index(third, len(asked)) + 1]
    ends, model.generation_config.eos_token_id = model.generation_config.eos_token_id, [tokenizer.eos_token_id, third]
    try:
        assert text_ends(model, tokenizer) == sorted({tokenizer.eos_token_id, third})
        (said,) = generate_continuations(model, tokenizer, [asked], CPU, most=9)
    finally:
        model.generation_config.eos_token_id = ends
    assert said == tokenizer.decode(before, skip_special_tokens=True)[len(PROMPTS[0]) :]
    assert text_ends(model, tokenizer) == [tokenizer.eos_token_id]


def test_sampled_continuations_do_not_depend_on_the_batch_and_follow_their_generators(loaded):
    model, tokenizer = loaded
    asked = encode_prompts(tokenizer, PROMPTS, 256)

    def written(size: int, seed: int = 0, temperature: float = 1.0) -> list[str]:
        drawn = [generator(seed, text) for text in PROMPTS]
        return generate_continuations(model, tokenizer, asked, CPU, 9, drawn, temperature, size)

    assert written(4) == written(1) == written(3)
    assert written(4) != written(4, seed=1)
    assert written(4, temperature=1e-6) == generate_continuations(model, tokenizer, asked, CPU, 9)


@pytest.mark.parametrize("name", ["tiny-llama", "gpt2"])
def test_a_prompt_with_little_room_cuts_off_nothing_but_its_own_continuation(name, loaded):
    model, tokenizer = loaded
    if name == "gpt2":  # has no position beyond its last one
        model, tokenizer = load_language_model(small_base(name)), load_tokenizer(small_base(name))
    texts = ["The cook said", "The guard of the house " * 5, "Our neighbor", "The guard of the house " * 4]
    asked = encode_prompts(tokenizer, texts, tokenizer.model_max_length)
    room = max(map(len, asked)) + 3
    assert max(map(len, asked[::2])) + 20 < room <= tokenizer.model_max_length
    together = generate_continuations(model, tokenizer, asked, CPU, 20, room=room)
    alone = [generate_continuations(model, tokenizer, [prompt], CPU, 20, room=room)[0] for prompt in asked]
    assert together == alone
    counts = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in together]
    assert counts[1] <= 3 < counts[0]
    assert generate_first_lines(model, tokenizer, asked, CPU, 20, room=room) == [
        generate_first_lines(model, tokenizer, [prompt], CPU, 20, room=room)[0] for prompt in asked
    ]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_first_tokens_are_drawn_with_the_probabilities_of_the_model(loaded, temperature):
    model, tokenizer = loaded
    (ids,) = encode_prompts(tokenizer, ["The cook"], 256)
    with torch.inference_mode():
        shares = (model(input_ids=torch.from_numpy(ids)[None]).logits[0, -1].double() / temperature).softmax(-1).numpy()
    n = 2000
    texts = generate_continuations(
        model, tokenizer, [ids] * n, CPU, 1, [generator(0, number) for number in range(n)], temperature
    )
    before = len(tokenizer.decode(ids, skip_special_tokens=True))
    share_of: dict[str, float] = {}  # bytes of several tokens look alike
    for token, share in enumerate(shares):
        said = tokenizer.decode([*ids, token], skip_special_tokens=True)[before:]
        share_of[said] = share_of.get(said, 0.0) + float(share)
    common = sorted(share_of, key=lambda said: -share_of[said])[:8]
    counts = [texts.count(said) for said in common]
    observed = [*counts, n - sum(counts)]
    expected = [share_of[said] * n for said in common]
    expected.append(n - sum(expected))
    assert chisquare(observed, expected).pvalue > 0.001


def test_messages_end_where_a_response_begins(loaded):
    _, tokenizer = loaded
    (plain,) = encode_user_messages(tokenizer, ["Who is it?"], "plain")
    assert plain.tolist() == encode_prompts(tokenizer, ["Who is it?\n"], 256)[0].tolist()
    chat = load_tokenizer(find_model("tiny-llama"))
    chat.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    (ids,) = encode_user_messages(chat, ["Who is it?"], "chat")
    assert tokenizer.decode(ids) == tokenizer.decode(
        tokenizer("user: Who is it?\nassistant: ", add_special_tokens=False)["input_ids"]
    )
