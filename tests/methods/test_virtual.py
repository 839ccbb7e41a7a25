"""Virtual tokens stand before the text and change nothing else about how it is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenhand.data.dataset import Dataset
from evenhand.errors import InputError
from evenhand.methods import Prefix, Prompt, PTuning
from evenhand.models.load import load_tokenizer
from evenhand.tasks.classification import train
from small_models import CLASSES, ENCODERS, base, classifier, encoded, examples_for, work

CPU = torch.device("cpu")
READ_TEXTS = ("bert", "llama", "mistral", "gpt2")


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (method, name)
        for method in (Prefix(tokens=4), Prompt(tokens=4), PTuning(tokens=4), PTuning(tokens=4, encoder="lstm"))
        for name in ("bert", "llama", "mistral", "gpt2")
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind}-{getattr(value, 'encoder', '')}",
)
def test_an_answer_does_not_depend_on_the_other_texts_of_its_batch(method, name):
    model = method.apply(classifier(name), 0).eval()
    inputs = encoded(examples_for(name, 12), name)
    with torch.inference_mode():
        together = model(**inputs.batch(np.arange(12), CPU)).logits
        alone = torch.cat([model(**inputs.batch(np.array([row]), CPU)).logits for row in range(12)])
    assert len(set(inputs.lengths.tolist())) > 3
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_prefix_is_keys_and_values_that_every_token_attends_to():
    model = Prefix(tokens=1).apply(classifier("bert"), 0).eval()
    plain = classifier("bert").eval()
    attention = plain.bert.encoder.layer[0].attention.self
    inputs = encoded(examples_for("bert", 1), "bert").batch(np.array([0]), CPU)
    given = []
    handle = (
        model.get_base_model()
        .bert.encoder.layer[0]
        .attention.self.register_forward_hook(lambda _, arguments, output: given.append((arguments[0], output[0])))
    )
    with torch.inference_mode():
        model(**inputs)
        handle.remove()
        (x, out) = given[0]
        drawn = model.prompt_encoder["default"].embedding.weight.reshape(1, 4, 2, 16)
        query = attention.query(x).reshape(-1, 2, 16)
        key = torch.cat([drawn[:, 0], attention.key(x).reshape(-1, 2, 16)])
        value = torch.cat([drawn[:, 1], attention.value(x).reshape(-1, 2, 16)])
        weights = torch.softmax(torch.einsum("qhd,khd->hqk", query, key) / 4, dim=-1)
        expected = torch.einsum("hqk,khd->qhd", weights, value).reshape(1, -1, 32)
    assert torch.allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("encoder", ["mlp", "lstm"])
def test_p_tuning_keeps_the_embeddings_that_its_network_computes(encoder, tmp_path):
    from safetensors.torch import load_file

    method = PTuning(tokens=4, encoder=encoder, hidden=8)
    model = method.apply(classifier("bert"), 0)
    network = model.prompt_encoder["default"]
    hidden = network.embedding.weight[None]
    if encoder == "lstm":
        assert network.lstm_head.bidirectional and network.lstm_head.num_layers == 2
        hidden, _ = network.lstm_head(hidden)
    expected = network.mlp_head(hidden)[0]
    method.save(model, tmp_path)
    kept = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert torch.allclose(kept["prompt_embeddings"], expected, atol=1e-6) and len(kept) == 3
    again = method.load(classifier("bert"), tmp_path)
    assert torch.equal(again.get_prompt(1)[0], kept["prompt_embeddings"])


def test_a_prompt_starts_from_embeddings_of_the_vocabulary_unless_told_otherwise():
    vocabulary = classifier("bert").get_input_embeddings().weight
    start = Prompt(tokens=4).apply(classifier("bert"), 0).prompt_encoder["default"].embedding.weight
    assert all((vocabulary == row).all(dim=1).any() for row in start)
    other = Prompt(tokens=4, init="normal").apply(classifier("bert"), 0).prompt_encoder["default"].embedding.weight
    assert not any((vocabulary == row).all(dim=1).any() for row in other)


@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2"])
def test_a_decoder_with_a_prompt_answers_at_the_texts_last_token_and_says_nothing_of_padding(name, capfd):
    model = Prompt(tokens=4).apply(classifier(name), 0).eval()
    plain = classifier(name).eval()
    inputs = encoded(examples_for(name, 3), name)
    with torch.inference_mode():
        answers = model(**inputs.batch(np.arange(3), CPU)).logits
        for row, answer in enumerate(answers):
            ids = inputs.batch(np.array([row]), CPU)["input_ids"]
            prompt = model.prompt_encoder["default"].embedding.weight
            embeds = torch.cat([prompt, plain.get_input_embeddings()(ids[0])])[None]
            hidden = plain.base_model(inputs_embeds=embeds).last_hidden_state[0, -1]
            assert torch.allclose(plain.score(hidden), answer, atol=1e-5)
    assert "padding" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ("prefix", "prompt") for name in ("bert", "llama")]
)
def test_a_text_as_long_as_the_model_leaves_room_for_the_tokens(kind, name, tmp_path):
    trial = work({"kind": kind, "tokens": 7, "epochs": 1}, name, max_length=64)
    assert load_tokenizer(base(name)).model_max_length == 64
    long = Dataset("long", "text", [" ".join(["day"] * 200)], np.array([0]), CLASSES, np.array(["l"], dtype=object))
    _, rows = train(trial, tmp_path, {"test": long}, keep="none")
    assert np.isfinite(rows["logits"].to_numpy()).all()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("method", [Prompt(tokens=4), Prompt(tokens=4, init="normal"), PTuning(tokens=4)])
def test_virtual_embeddings_are_as_wide_as_an_encoders_embeddings(method, name, tmp_path):
    model = method.apply(classifier(name), 0).eval()
    width = classifier(name).get_input_embeddings().embedding_dim
    assert model.get_prompt(1).shape == (1, 4, width) and width == (16 if name in ("albert", "electra") else 32)
    inputs = encoded(examples_for(name, 4), name).batch(np.arange(4), CPU)
    method.save(model, tmp_path)
    again = method.load(classifier(name), tmp_path)
    with torch.inference_mode():
        assert torch.equal(model(**inputs).logits, again(**inputs).logits)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name not in ("electra", "roberta")])
def test_a_prefix_is_refused_by_an_encoder_that_takes_no_keys_and_values(name):
    with pytest.raises(InputError, match=r"prefix: \w+ takes no past_key_values, which virtual tokens need; use kind"):
        Prefix(tokens=4).check(classifier(name))


@pytest.mark.parametrize("name", ["electra", "roberta"])
def test_an_encoder_that_takes_keys_and_values_reads_a_prefix(name):
    model = Prefix(tokens=4).apply(classifier(name), 0).eval()
    inputs = encoded(examples_for(name, 4), name).batch(np.arange(4), CPU)
    with torch.inference_mode():
        before = model(**inputs).logits
        model.prompt_encoder["default"].embedding.weight.mul_(10)
        assert not torch.allclose(before, model(**inputs).logits, atol=1e-4)


@pytest.mark.parametrize("method", [Prefix(tokens=4), Prompt(tokens=4), PTuning(tokens=4)], ids=lambda each: each.kind)
def test_encoders_that_fail_on_virtual_tokens_from_peft_are_refused(method):
    import transformers as tf

    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 60}
    roformer = tf.RoFormerForSequenceClassification(tf.RoFormerConfig(**shape))
    longformer = tf.LongformerForSequenceClassification(tf.LongformerConfig(**shape, attention_window=4))
    refused, fine = (roformer, None) if method.kind == "prefix" else (longformer, roformer)
    with pytest.raises(InputError, match=f"{method.kind}: \\w+ cannot read PEFT's virtual tokens; use kind: lora"):
        method.check(refused)
    if fine is not None:
        method.check(fine)
