"""Small causal language models and a tokenizer of whole words, for tests of prompts."""

from __future__ import annotations

from functools import cache

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from evenhand.models.find import find_model
from evenhand.models.load import load_tokenizer
from evenhand.models.quiet import quiet


@cache
def language_model(name: str, dtype: torch.dtype = torch.float32):
    """A model among the assets, or a GPT-2 (learned positions) of random weights; and its tokenizer."""
    if name == "gpt2":
        tokenizer = load_tokenizer(find_model("tiny-llama"))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = GPT2Config(
                n_embd=32, n_layer=2, n_head=2, n_positions=256, vocab_size=len(tokenizer), initializer_range=0.3
            )
            return GPT2LMHeadModel(config).to(dtype).eval(), tokenizer
    base = find_model(name)
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=dtype)
    return model.eval(), load_tokenizer(base)


def whole_words(*texts: str) -> PreTrainedTokenizerFast:
    """A tokenizer that knows the words and marks of these texts, each one token. Others are `<unk>`."""
    split = pre_tokenizers.Whitespace()
    words = sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)})
    vocabulary = {word: place for place, word in enumerate(["<unk>", "<pad>", *words])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = split
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", pad_token="<pad>")


def told(model, ids: list[int]) -> list[float]:
    """The log-probability of every token but the first, from one forward pass of one text."""
    with torch.no_grad():
        logs = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)
    return [float(logs[place - 1, ids[place]]) for place in range(1, len(ids))]
