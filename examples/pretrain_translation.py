"""Pre-train the tiny decoders on the neutral lines of `synthetic/translation`: the base models of `translation.yaml`.

    python examples/pretrain_translation.py OUT [tiny-llama tiny-mistral]

The neutral lines say what the task's lines say, of animals (it, its) and of several people (they, their): a model
learns the two languages and the prompt from them, and never sees he, she, his or her. OUT gets an ordinary model folder
per model, with its tokenizer. About two minutes each on one core.

At the end it is counted how many of 200 new neutral lines are translated to the letter.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evenhand.data.synthetic_translation import SyntheticTranslation, neutral_line
from evenhand.data.translation import PROMPT
from evenhand.metrics import pronoun_class
from evenhand.models.find import find
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.seeds import generator
from evenhand.training.generation import greedy
from evenhand.training.language import encode_prompted, encode_prompts, target_log_probs

STEPS, BATCH, PEAK, LENGTH = 500, 32, 3e-3, 128
CPU = torch.device("cpu")


def pretrained(name: str) -> tuple[nn.Module, float]:
    """The model after pre-training, and the share of new neutral lines that it translates to the letter."""
    base = find(name)
    tokenizer, model = load_tokenizer(base), load_language_model(base)
    rng = generator(0, "pretrain", name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, STEPS, pct_start=0.05)
    model.train()
    for step in range(STEPS):
        lines = [neutral_line(rng) for _ in range(BATCH)]
        prompts, targets = [PROMPT.format(source=turkish) for turkish, _ in lines], [english for _, english in lines]
        inputs = encode_prompted(tokenizer, prompts, targets, LENGTH)
        log_probs, there = target_log_probs(model, inputs, np.arange(BATCH), CPU)
        loss = -(log_probs.sum(1) / there.sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == STEPS - 1:
            print(f"{name}: step {step}, loss {loss.item():.4f}", file=sys.stderr)
    model.eval()
    rng = generator(1, "pretrain", name)
    held_out = [neutral_line(rng) for _ in range(200)]
    asked = encode_prompts(tokenizer, [PROMPT.format(source=turkish) for turkish, _ in held_out], LENGTH)
    said = greedy(model, tokenizer, asked, CPU)
    right = np.mean([text == english for text, (_, english) in zip(said, held_out, strict=True)])
    task = SyntheticTranslation().load()
    asked = encode_prompts(tokenizer, [PROMPT.format(source=turkish) for turkish in task.inputs[:400:2]], LENGTH)
    classes = [pronoun_class(text) for text in greedy(model, tokenizer, asked, CPU)]
    shown = {word: classes.count(word) for word in dict.fromkeys(classes)}
    print(f"{name}: pronouns of 200 lines about one person, before fine-tuning: {shown}", file=sys.stderr)
    return model, float(right)


def main(out: Path, names: list[str]) -> None:
    """Pre-train and write each model."""
    torch.set_num_threads(1)
    for name in names:
        torch.manual_seed(0)
        model, right = pretrained(name)
        model.save_pretrained(out / name)  # pyright: ignore[reportCallIssue]
        load_tokenizer(find(name)).save_pretrained(out / name)
        print(f"{name}: {right:.0%} of 200 new neutral lines to the letter; written to {out / name}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["tiny-llama", "tiny-mistral"])
