"""Decoders classify the last real token of a text, whatever pads it and wherever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.models.find import ASSETS, find_model
from evenhand.models.load import load_classifier, load_tokenizer
from evenhand.training.batches import encode_texts
from evenhand.training.pack import predict_logits
from small_models import work

torch = pytest.importorskip("torch")
tf = pytest.importorskip("transformers")

DECODERS = ("tiny-llama", "tiny-mistral")
TEXTS = (
    "books: the soup was",
    "hotels",
    "",
    "a doctor and a nurse walked by the river, and then they came back to the table near the tree " * 4,
)
CLASSES = ("no", "yes", "perhaps")
PAD, START, END = 0, 1, 2


def special(folder: Path, pad: str | None, eos: str | None, bos: str | None = "<s>", ends: bool = False) -> None:
    """Let the tokenizer in a folder have these special tokens, and end every text with `</s>` or not."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"pad_token": pad, "eos_token": eos, "bos_token": bos}))
    if ends:
        core = json.loads((folder / "tokenizer.json").read_text())
        core["post_processor"]["single"].append({"SpecialToken": {"id": "</s>", "type_id": 0}})
        core["post_processor"]["special_tokens"]["</s>"] = {"id": "</s>", "ids": [END], "tokens": ["</s>"]}
        (folder / "tokenizer.json").write_text(json.dumps(core))


@pytest.fixture(params=DECODERS)
def folder(request, tmp_path) -> Path:
    return shutil.copytree(ASSETS / request.param, tmp_path / request.param)


def both_sides(model, tokens: list[list[int]], padding: int) -> dict[str, np.ndarray]:
    """Logits [n, C] of a batch, by the side that is padded, and of each text alone."""
    found = {"alone": torch.cat([model(torch.tensor([ids]), torch.ones(1, len(ids))).logits for ids in tokens])}
    longest = max(map(len, tokens))
    for side in ("left", "right"):
        fill = [[padding] * (longest - len(ids)) for ids in tokens]
        mask = [[1] * len(ids) for ids in tokens]
        none = [[0] * len(one) for one in fill]
        rows = [one + ids if side == "left" else ids + one for one, ids in zip(fill, tokens, strict=True)]
        seen = [one + ids if side == "left" else ids + one for one, ids in zip(none, mask, strict=True)]
        found[side] = model(input_ids=torch.tensor(rows), attention_mask=torch.tensor(seen)).logits
    return {side: logits.numpy() for side, logits in found.items()}


@pytest.mark.parametrize(
    ("pad", "eos", "bos", "padded_with"),
    [
        ("<pad>", "</s>", "<s>", PAD),
        (None, "</s>", "<s>", END),
        ("</s>", "</s>", "<s>", END),
        (None, None, "<s>", START),
    ],
    ids=["pad", "no pad", "pad is eos", "neither"],
)
@pytest.mark.parametrize("ends", [False, True], ids=["open", "ended"])
@torch.no_grad()
def test_a_batch_gives_the_logits_of_each_text_alone(folder, pad, eos, bos, padded_with, ends):
    special(folder, pad, eos, bos, ends)
    base = find_model(str(folder))
    words, model = load_tokenizer(base), load_classifier(base, CLASSES, 0)
    assert words.pad_token_id == model.config.pad_token_id == padded_with and words.padding_side == "right"
    tokens = [list(ids) for ids in encode_texts(words, TEXTS, 64).tokens]
    assert all(ids[-1] == END for ids in tokens) is ends and len(tokens[-1]) == 64
    found = both_sides(model, tokens, words.pad_token_id)
    assert np.abs(found["left"] - found["alone"]).max() < 1e-5
    assert np.abs(found["right"] - found["alone"]).max() < 1e-5
    assert np.ptp(found["alone"], axis=0).min() > 1e-2


@torch.no_grad()
def test_the_last_real_token_is_read_where_it_is_the_padding_token(folder):
    """And not the one before it, which is what transformers reads."""
    special(folder, None, "</s>")
    base = find_model(str(folder))
    model = load_classifier(base, CLASSES, 0)
    ids = torch.tensor([[START, 40, 41, END, END, END]])
    mask = torch.tensor([[1, 1, 1, 1, 0, 0]])
    states = model.model(torch.tensor([[START, 40, 41, END]])).last_hidden_state
    assert torch.allclose(model(input_ids=ids, attention_mask=mask).logits, model.score(states[:, 3]), atol=1e-5)
    plain = tf.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, pad_token_id=END)
    plain.score.weight.copy_(model.score.weight)
    read = plain(input_ids=ids, attention_mask=mask).logits
    assert torch.allclose(read, model.score(states[:, 2]), atol=1e-5)


@torch.no_grad()
def test_padding_may_consist_of_anything(folder):
    base = find_model(str(folder))
    model = load_classifier(base, CLASSES, 0)
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    (first, second) = (
        model(input_ids=torch.tensor([[START, 40, 41, filler, filler]]), attention_mask=mask).logits
        for filler in (PAD, 77)
    )
    assert torch.equal(first, second)


@torch.no_grad()
def test_where_transformers_would_find_the_same_token_the_logits_are_its_own(folder):
    base = find_model(str(folder))
    model = load_classifier(base, CLASSES, 0)
    plain = tf.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    plain.score.weight.copy_(model.score.weight)
    batch = load_tokenizer(base)(list(TEXTS), padding=True, return_tensors="pt", return_token_type_ids=False)
    assert torch.equal(model(**batch).logits, plain(**batch).logits)


def test_a_tokenizer_without_any_special_token_cannot_pad(folder):
    special(folder, None, None, None)
    with pytest.raises(InputError, match='no special token to pad with; set "pad_token"'):
        load_tokenizer(find_model(str(folder)))


@pytest.mark.parametrize("kind", ["full", "lora", "head", "prefix", "prompt", "bottleneck"])
@pytest.mark.parametrize("model_type", ["llama", "mistral", "gpt2"])
def test_every_method_predicts_a_text_that_ends_in_padding_as_it_does_alone(kind, model_type):
    one = work({"kind": kind}, model_type)
    model = one.method.apply(load_classifier(one.base, one.classes, 0), 0).eval()
    padding = load_tokenizer(one.base).pad_token_id

    def logits(tokens: list[list[int]]) -> np.ndarray:
        from evenhand.training.batches import TokenizedTexts

        inputs = TokenizedTexts([np.array(ids) for ids in tokens], np.array([len(ids) for ids in tokens]), padding)
        return predict_logits(model, inputs, torch.device("cpu"))

    texts = [[500, 600, padding, padding], [700, 800, 900, 1000, 1100, 1200], [padding]]
    alone = np.concatenate([logits([text]) for text in texts])
    assert np.abs(logits(texts) - alone).max() < 1e-5
