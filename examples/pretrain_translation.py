"""Pre-train tiny decoders on translations without he or she: the base models of `translation.yaml` and `winomt.yaml`.

    python examples/pretrain_translation.py OUT [tiny-llama tiny-mistral]
    python examples/pretrain_translation.py OUT --winomt DIR/winomt_turkish [tiny-llama tiny-mistral]

The first command trains on the neutral lines of `synthetic/translation`, which are like the task's lines but about
animals (it, its) and several people (they, their). A model learns the two languages and the prompt, and never sees he,
she, his or her. The second command trains on the training lines of the only split of `winomt.yaml`, with every pronoun
replaced by they, and with a tokenizer made from these lines; held-out pair groups are left out. OUT receives an
ordinary model folder with a tokenizer per model. Training takes two to four minutes per model on one core.

At the end the models translate new lines. The script prints the number of exactly correct translations, or BLEU, and
the pronouns that the models write where English needs one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.data.synthetic_translation import SyntheticTranslation, neutral_line
from evenhand.data.translation import PROMPT
from evenhand.data.winomt_task import WinoMTTask
from evenhand.metrics import bleu, pronoun_class, pronoun_readings
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.seeds import generator
from evenhand.training.generation import generate_first_lines
from evenhand.training.language import target_log_probs
from evenhand.training.prompted_texts import encode_prompted, encode_prompts

BATCH, PEAK, LENGTH = 32, 3e-3, 128
STEPS = 500
EPOCHS, VOCABULARY, INITIAL = 20, 2000, 0.05
"""Epochs, size of the vocabulary, and standard deviation of the initial weights, for WinoMT."""
CPU = torch.device("cpu")

Pair = tuple[str, str]


def main() -> None:
    """Pre-train and write each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=["tiny-llama", "tiny-mistral"])
    parser.add_argument("--winomt", type=Path, help="the folder with en_tr_general.txt; winomt/ lies beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        torch.manual_seed(0)
        model, tokenizer = of_grammar(name) if options.winomt is None else of_winomt(name, options.winomt)
        model.save_pretrained(options.out / name)
        tokenizer.save_pretrained(options.out / name)
        tell(f"{name}: written to {options.out / name}")


def of_grammar(name: str) -> tuple[Any, Any]:
    """Train a built-in model on the grammar's neutral lines."""
    base = find_model(name)
    tokenizer, model = load_tokenizer(base), load_language_model(base)
    rng = generator(0, "pretrain", name)
    pretrain(name, model, tokenizer, STEPS, lambda: [neutral_line(rng) for _ in range(BATCH)])
    rng = generator(1, "pretrain", name)
    held_out = [neutral_line(rng) for _ in range(200)]
    said = translations(model, tokenizer, [turkish for turkish, _ in held_out])
    right = np.mean([text == english for text, (_, english) in zip(said, held_out, strict=True)])
    tell(f"{name}: {right:.0%} of 200 new neutral lines to the letter")
    task = SyntheticTranslation().load()
    tell_pronouns(name, translations(model, tokenizer, task.inputs[:400:2]))
    return model, tokenizer


def of_winomt(name: str, folder: Path) -> tuple[Any, Any]:
    """Train a randomly initialized model of the built-in one's shape on WinoMT's training lines with they."""
    spec = WinoMTTask()
    lines = spec.load(folder)
    parts = split(lines, SplitSpec(validation=0, vary=False), LimitSpec(), seed=0)
    pairs = sorted({(lines.inputs[line], pronoun_readings(lines.targets[int(line)])[-1]) for line in parts.train})
    base = find_model(name)
    texts = [f"{PROMPT.format(source=lines.inputs[line])} {lines.targets[line]}" for line in parts.train]
    tokenizer: Any = load_tokenizer(base)
    tokenizer = tokenizer.train_new_from_iterator(texts, VOCABULARY)
    config = AutoConfig.from_pretrained(base.folder)
    config.vocab_size, config.initializer_range = len(tokenizer), INITIAL
    model = AutoModelForCausalLM.from_config(config)
    rng = generator(0, "pretrain", name)
    steps = EPOCHS * len(pairs) // BATCH
    pretrain(name, model, tokenizer, steps, lambda: [pairs[place] for place in rng.integers(len(pairs), size=BATCH)])
    tested = spec.tested(lines, parts.test)
    said = translations(model, tokenizer, [lines.inputs[line] for line in tested])
    found = bleu(said, [pronoun_readings(lines.targets[int(line)]) for line in tested])
    tell(f"{name}: {len(pairs):,} lines learned; BLEU {found:.1f} on {len(tested)} lines of held-out pair groups")
    tell_pronouns(name, said)
    return model, tokenizer


def pretrain(name: str, model: nn.Module, tokenizer: Any, steps: int, draw: Callable[[], list[Pair]]) -> None:
    """Train a model on batches of pairs, in place."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, steps, pct_start=0.05)
    model.train()
    for step in range(steps):
        turkish, english = zip(*draw(), strict=True)
        inputs = encode_prompted(tokenizer, [PROMPT.format(source=source) for source in turkish], english, LENGTH)
        log_probs, there = target_log_probs(model, inputs, np.arange(len(english)), CPU)
        loss = -(log_probs.sum(1) / there.sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            tell(f"{name}: step {step} of {steps}, loss {loss.item():.4f}")
    model.eval()


def translations(model: nn.Module, tokenizer: Any, sources: Sequence[str]) -> list[str]:
    """The model's translations."""
    asked = encode_prompts(tokenizer, [PROMPT.format(source=source) for source in sources], LENGTH)
    return generate_first_lines(model, tokenizer, asked, CPU)


def tell_pronouns(name: str, texts: Sequence[str]) -> None:
    """Print the pronouns that the model writes before any fine-tuning."""
    classes = [pronoun_class(text) for text in texts]
    shown = {word: classes.count(word) for word in dict.fromkeys(classes)}
    tell(f"{name}: pronouns of {len(texts)} lines about one person, before fine-tuning: {shown}")


def tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
