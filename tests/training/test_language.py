"""The loss of language models and what they generate: padding, neighbours and batch sizes change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GenerationConfig

from evenhand.data.synthetic_translation import neutral_line
from evenhand.data.translation import PROMPT
from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.training.generation import generate_first_lines
from evenhand.training.language import LanguagePack, example_losses, target_log_probs
from evenhand.training.loop import fit
from evenhand.training.prompted_texts import encode_prompted, encode_prompts
from evenhand.training.recipe import TrainSpec

CPU = torch.device("cpu")
MODELS = ("tiny-llama", "tiny-mistral")


def lines(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    drawn = [neutral_line(rng) for _ in range(count)]
    return [PROMPT.format(source=turkish) for turkish, _ in drawn], [english for _, english in drawn]


@pytest.fixture(scope="module", params=MODELS)
def name(request) -> str:
    return request.param


def test_the_loss_is_the_mean_over_the_target_alone(name):
    tokenizer, model = load_tokenizer(find_model(name)), load_language_model(find_model(name))
    prompts, targets = lines(6)
    found = example_losses(model, encode_prompted(tokenizer, prompts, targets, 128), CPU)
    for prompt, target, loss in zip(prompts, targets, found, strict=True):
        begins = len(tokenizer(prompt)["input_ids"])
        ids = torch.tensor([tokenizer(f"{prompt} {target}")["input_ids"] + [tokenizer.eos_token_id]])
        labels = ids.clone()
        labels[:, :begins] = -100
        with torch.inference_mode():
            oracle = model(input_ids=ids, labels=labels).loss
        assert loss == pytest.approx(float(oracle), abs=1e-5)


def test_log_probs_do_not_depend_on_neighbours_or_padding(name):
    tokenizer, model = load_tokenizer(find_model(name)), load_language_model(find_model(name))
    inputs = encode_prompted(tokenizer, *lines(12), 128)
    with torch.inference_mode():
        together, _ = target_log_probs(model, inputs, np.arange(12), CPU, length=120)
        for row in range(12):
            alone, there = target_log_probs(model, inputs, np.array([row]), CPU)
            assert torch.allclose(together[row, : alone.shape[1]][there[0]], alone[0][there[0]], atol=1e-5, rtol=0)


def test_left_padding_gives_the_log_probs_of_teacher_forcing(name):
    """The scores that generation sees under left padding are those of the right-padded training loss."""
    tokenizer, model = load_tokenizer(find_model(name)), load_language_model(find_model(name))
    generate: Any = model.generate
    prompts, _ = lines(8)
    asked = encode_prompts(tokenizer, prompts, 128)
    longest = max(map(len, asked))
    padding: Any = tokenizer.pad_token_id
    ids = torch.full((8, longest), padding)
    for place, prompt in enumerate(asked):
        ids[place, longest - len(prompt) :] = torch.from_numpy(prompt)
    mask = torch.stack([(torch.arange(longest) >= longest - len(prompt)).long() for prompt in asked])
    out = generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=4,
        min_new_tokens=4,
        pad_token_id=tokenizer.pad_token_id,
        output_logits=True,
        return_dict_in_generate=True,
    )
    for place, prompt in enumerate(asked):
        said = out.sequences[place, longest:]
        whole = torch.cat([torch.from_numpy(prompt), said])[None]
        with torch.inference_mode():
            forced = model(input_ids=whole).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        steps = torch.stack([step[place] for step in out.logits]).log_softmax(-1)
        assert torch.allclose(steps, forced, atol=1e-5, rtol=0)


def test_what_is_said_does_not_depend_on_the_batch(name):
    tokenizer, model = load_tokenizer(find_model(name)), load_language_model(find_model(name))
    asked = encode_prompts(tokenizer, lines(17)[0], 128)
    together = generate_first_lines(model, tokenizer, asked, CPU, most=12)
    assert generate_first_lines(model, tokenizer, asked, CPU, most=12, size=1) == together
    assert generate_first_lines(model, tokenizer, asked[::-1], CPU, most=12, size=5) == together[::-1]


class Scripted(nn.Module):
    """Says the same tokens to everybody, as `generate` would with this criterion."""

    def __init__(self, tokens: list[int]) -> None:
        super().__init__()
        self.tokens = tokens
        self.generation_config = GenerationConfig(eos_token_id=2)

    def generate(self, input_ids, stopping_criteria, eos_token_id, pad_token_id, max_new_tokens, **_):
        for token in self.tokens[:max_new_tokens]:
            input_ids = torch.cat([input_ids, torch.full((len(input_ids), 1), token)], dim=1)
            if token in eos_token_id or bool(stopping_criteria(input_ids, None).all()):
                break
        return input_ids


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (" The baker came.\n The cook left.", "The baker came."),
        (" The baker came.</s> The cook left.", "The baker came."),
        ("\nThe baker came.", ""),
        ("", ""),
    ],
)
def test_generation_ends_with_the_line(written, said):
    tokenizer = load_tokenizer(find_model("tiny-llama"))
    tokens = tokenizer(written, add_special_tokens=False)["input_ids"]
    asked = encode_prompts(tokenizer, lines(3)[0], 128)
    assert generate_first_lines(Scripted(tokens), tokenizer, asked, CPU) == [said] * 3


def test_a_text_is_cut_where_the_model_has_no_more_positions():
    tokenizer = load_tokenizer(find_model("tiny-llama"))
    tokenizer.model_max_length = 60
    asked = encode_prompts(tokenizer, lines(4)[0], 60)
    word = tokenizer(" was", add_special_tokens=False)["input_ids"]
    for prompt, said in zip(asked, generate_first_lines(Scripted(word * 200), tokenizer, asked, CPU), strict=True):
        assert len(tokenizer(f" {said}", add_special_tokens=False)["input_ids"]) == 60 - len(prompt)


@pytest.mark.parametrize(
    "values", [{"kind": "full", "lr": 3e-3}, {"kind": "lora", "rank": 4, "lr": 1e-2}], ids=lambda values: values["kind"]
)
def test_training_lowers_the_loss_and_a_batch_weighs_every_text_alike(name, values):
    tokenizer, method = load_tokenizer(find_model(name)), parse_method("m", {**values, "epochs": 3})
    inputs = encode_prompted(tokenizer, *lines(48), 128)
    model = method.apply(load_language_model(find_model(name)), 0)
    before = example_losses(model, inputs, CPU)
    made = method.pack(model, inputs, np.zeros(48, dtype=np.int64), seed=0, train=TrainSpec(batch_size=8), device=CPU)
    pack = LanguagePack.of(made)
    pack.module.eval()
    assert pack.sum_of_losses(np.arange(7)).item() == pytest.approx(before[:7].sum(), rel=1e-5)
    fit(pack, [None], lambda place, row: None)
    assert example_losses(pack.module, inputs, CPU).mean() < 0.9 * before.mean()


def test_an_adapter_leaves_the_tied_embeddings_alone():
    method = parse_method("m", {"kind": "lora", "rank": 2})
    model = method.apply(load_language_model(find_model("tiny-llama")), 0)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    layers, projections, rank, sides = 2, 2, 2, 64 + 64
    assert sum(parameter.numel() for parameter in learning) == layers * projections * rank * sides


@pytest.mark.parametrize(
    ("max_length", "said"),
    [(30, "a prompt has"), (50, "a prompt with its target has")],
)
def test_a_line_that_is_too_long_is_refused(max_length, said):
    with pytest.raises(InputError, match=said):
        encode_prompted(load_tokenizer(find_model("tiny-llama")), *lines(20), max_length)


def test_the_target_begins_where_the_tokens_of_the_prompt_end():
    tokenizer = load_tokenizer(find_model("tiny-llama"))
    prompts, targets = lines(10)
    inputs = encode_prompted(tokenizer, prompts, targets, 128)
    for row, target in enumerate(targets):
        said = tokenizer.decode(inputs.tokens[row][inputs.prompts[row] :])
        assert said == f" {target}{tokenizer.eos_token}"
