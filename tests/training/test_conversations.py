"""Supervised fine-tuning: only responses count, as in TRL; and greedy decoding is judged by one forward pass."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
import torch
from transformers.utils import chat_template_utils

from evenhand.data.sft import asked
from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.training.conversations import encode_conversations, encode_user_messages
from evenhand.training.language import LanguagePack, example_losses, response_scores
from evenhand.training.recipe import TrainSpec

CPU = torch.device("cpu")
MODELS = ("tiny-llama", "tiny-mistral")
CHAT = (
    "{% for message in messages %}"
    "{{ '<' + message['role'] + '>\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>\\n' }}{% endif %}"
)
PROMPTS = ["The soup?", "Was the train late, and was the hotel good?", "Yes?"]
RESPONSES = ["It was hot.", "No.", "The bread and the rice were cold, so we left early."]
INPUTS = [asked(prompt) for prompt in PROMPTS]


def tokenizer_of(name, template=None):
    tokenizer = load_tokenizer(find_model(name))
    tokenizer.chat_template = template
    return tokenizer


def texts_of(tokenizer, template):
    """The text up to each response and the whole text, by hand."""
    if template == "plain":
        return [(f"{prompt}\n", f"{prompt}\n{answer}</s>") for prompt, answer in zip(PROMPTS, RESPONSES, strict=True)]
    opened = [f"<user>\n{prompt}</s>\n<assistant>\n" for prompt in PROMPTS]
    return [(prompt, f"{prompt}{answer}</s>\n") for prompt, answer in zip(opened, RESPONSES, strict=True)]


def pack_of(name, inputs, **train):
    method = parse_method("full", {"kind": "full", "epochs": 1})
    model = method.apply(load_language_model(find_model(name)), 0)
    labels = np.zeros(len(inputs), dtype=np.int64)
    made = method.pack(model, inputs, labels, seed=0, train=TrainSpec(**train), device=CPU)
    return LanguagePack.of(made)


@pytest.mark.parametrize("template", ["plain", "chat"])
@pytest.mark.parametrize("name", MODELS)
def test_the_loss_of_a_batch_is_the_mean_over_all_tokens_of_responses(name, template):
    tokenizer = tokenizer_of(name, CHAT)
    model = load_language_model(find_model(name))
    inputs = encode_conversations(tokenizer, INPUTS, RESPONSES, template, 128)
    losses, counts = [], []
    for row, (prompt, whole) in enumerate(texts_of(tokenizer, template)):
        ids = tokenizer(whole, add_special_tokens=template == "plain")["input_ids"]
        begins = len(tokenizer(prompt, add_special_tokens=template == "plain")["input_ids"])
        assert inputs.tokens[row].tolist() == ids
        labels = torch.tensor([[-100] * begins + ids[begins:]])
        with torch.inference_mode():
            losses.append(float(model(input_ids=torch.tensor([ids]), labels=labels).loss))
        counts.append(len(ids) - begins)
    assert inputs.counts.tolist() == counts
    assert example_losses(model, inputs, CPU) == pytest.approx(losses, abs=1e-5)
    pack = pack_of(name, inputs, batch_size=3)
    (batch,) = pack.batches(0)
    found = sum(float(pack.losses(part).detach()) for part in batch.micro_batches)
    assert found == pytest.approx(np.average(losses, weights=counts), abs=1e-5)
    assert found != pytest.approx(np.mean(losses), abs=1e-3), "the lengths differ, and so do the two means"


def test_passes_and_packing_do_not_change_the_loss_of_a_step():
    inputs = encode_conversations(tokenizer_of("tiny-llama"), INPUTS, RESPONSES, "plain", 128)
    found = []
    for train in ({"batch_size": 3}, {"batch_size": 1, "accumulate": 3}, {"batch_size": 3, "packing": True}):
        pack = pack_of("tiny-llama", inputs, **train)
        (batch,) = pack.batches(0)
        found.append(sum(float(pack.losses(part).detach()) for part in batch.micro_batches))
    assert found == pytest.approx([found[0]] * 3, abs=1e-5)


def test_the_loss_of_a_batch_is_that_of_trl(tmp_path):
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    tokenizer, model = tokenizer_of("tiny-llama", CHAT), load_language_model(find_model("tiny-llama"))
    messages = [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "completion": [{"role": "assistant", "content": answer}],
        }
        for prompt, answer in zip(PROMPTS, RESPONSES, strict=True)
    ]
    arguments = trl.SFTConfig(
        output_dir=str(tmp_path), max_length=128, per_device_train_batch_size=3, report_to=[], use_cpu=True, bf16=False
    )
    trainer = trl.SFTTrainer(
        model=model, args=arguments, train_dataset=datasets.Dataset.from_list(messages), processing_class=tokenizer
    )
    (batch,) = trainer.get_train_dataloader()
    with torch.inference_mode():
        oracle = float(trainer.compute_loss(trainer.model.eval(), {key: value.clone() for key, value in batch.items()}))
    inputs = encode_conversations(tokenizer_of("tiny-llama", CHAT), INPUTS, RESPONSES, "chat", 128)
    pack = pack_of("tiny-llama", inputs, batch_size=3)
    (step,) = pack.batches(0)
    assert float(pack.losses(step.micro_batches[0]).detach()) == pytest.approx(oracle, abs=1e-5)


def greedy(model, prompt, count):
    """The prompt and the most likely token after it, and after that, and so on."""
    ids = torch.from_numpy(prompt)[None]
    with torch.inference_mode():
        for _ in range(count):
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    return ids[0].numpy()


def test_a_tokenizer_that_ends_every_text_itself_adds_no_second_end():
    from tokenizers.processors import TemplateProcessing

    plain, ending = (tokenizer_of("tiny-llama") for _ in range(2))
    end = str(ending.eos_token)
    ending.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"<s> $A {end}", special_tokens=[("<s>", ending.bos_token_id), (end, ending.eos_token_id)]
    )
    assert ending("a")["input_ids"][-1] == ending.eos_token_id
    first, second = (encode_conversations(each, INPUTS, RESPONSES, "plain", 128) for each in (plain, ending))
    assert [ids.tolist() for ids in second.tokens] == [ids.tolist() for ids in first.tokens]
    assert second.prompts.tolist() == first.prompts.tolist()


@pytest.mark.parametrize("name", MODELS)
def test_a_response_matches_where_greedy_decoding_writes_it(name):
    tokenizer, model = tokenizer_of(name, CHAT), load_language_model(find_model(name))
    inputs = encode_conversations(tokenizer, INPUTS, RESPONSES, "chat", 128)
    written = [greedy(model, inputs.tokens[row][: inputs.prompts[row]], 6) for row in range(len(inputs))]
    exact = replace(inputs, tokens=written, lengths=np.array([len(ids) for ids in written]))
    rows = np.arange(len(inputs))
    assert response_scores(model, exact, rows, CPU, [])[:, 1].tolist() == [1, 1, 1]
    spoiled = [ids.copy() for ids in written]
    for ids in spoiled:
        ids[-1] = (ids[-1] + 1) % 1000
    other = response_scores(model, replace(exact, tokens=spoiled), rows, CPU, [])
    assert other[:, 1].tolist() == [0, 0, 0]
    ended = [np.concatenate([ids[:-2], [tokenizer.eos_token_id, 7]]) for ids in written]
    behind = response_scores(model, replace(exact, tokens=ended), rows, CPU, [tokenizer.eos_token_id])
    begins, end = inputs.prompts, tokenizer.eos_token_id
    reached = [float(end in ids[begin:-1]) for ids, begin in zip(written, begins, strict=True)]
    assert behind[:, 1].tolist() == reached, "what follows the end is not asked for, the end itself is"
    assert other[:, 0] == pytest.approx(example_losses(model, replace(exact, tokens=spoiled), CPU), abs=1e-5)


SILENT = "{% for message in messages %}{{ message['content'] + '\\n' }}{% endfor %}"
CHANGING = "{% for message in messages %}{{ message['role'] + loop.length|string + message['content'] }}{% endfor %}"
REFUSING = "{{ raise_exception('Only the system may speak') }}"


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (None, "the tokenizer has no chat template; choose a chat model, or set task.template: plain"),
        (SILENT, "does not tell roles apart"),
        (CHANGING, "changes the prompt once a response follows"),
        (REFUSING, "refuses a conversation: Only the system may speak"),
    ],
)
def test_a_template_that_does_not_show_the_response_is_refused(template, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        encode_conversations(tokenizer_of("tiny-llama", template), INPUTS, RESPONSES, "chat", 128)


@pytest.mark.parametrize(
    "date",
    ["{{ strftime_now('%d %b %Y') }}", "{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}"],
)
def test_a_template_that_writes_todays_date_writes_the_same_every_day(date, monkeypatch):
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2031, 2, 3)

    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    tokenizer = tokenizer_of("tiny-llama", f"{date} {CHAT}")
    encoded = encode_conversations(tokenizer, INPUTS, RESPONSES, "chat", 128)
    assert tokenizer.decode(encoded.tokens[2]).startswith("26 Jul 2024 <user>")
    asked_alone = encode_user_messages(tokenizer, PROMPTS, "chat")
    assert asked_alone[2].tolist() == encoded.tokens[2][: encoded.prompts[2]].tolist()
    plain = tokenizer_of("tiny-llama", "{{ strftime_now('%d %b %Y') }}")
    assert plain.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False) == "03 Feb 2031", "put back"


def test_a_conversation_longer_than_the_context_is_refused():
    with pytest.raises(InputError, match=r"example '2' have \d+ tokens, and 12 is the most"):
        encode_conversations(tokenizer_of("tiny-llama"), [INPUTS[0]] * 2 + [INPUTS[2]], RESPONSES, "plain", 12)
