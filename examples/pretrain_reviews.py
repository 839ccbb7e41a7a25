"""Pre-train a tiny Llama to write reviews and to answer questions about their authors: the base of `reviews.yaml`.

    python examples/pretrain_reviews.py OUT

Half of its training texts are reviews of `synthetic/reviews`, and half are questions about them with answers. Half of
the reviews show their author's gender, and the answer states it; for the other reviews the answer is random. Authors
are men as often as women, so the data give no reason for a preference. OUT/tiny-llama becomes an ordinary model folder
with a tokenizer. Training takes about two minutes on one core. At the end the script prints how often the model
answers new questions correctly if the review shows the author, and how often it guesses "male" otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evenhand.data.synthetic_reviews import SyntheticReviews
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.seeds import generator
from evenhand.tasks.prompts.prompt import YES_NO, PromptSelection, ReviewPrompt
from evenhand.tasks.prompts.scoring import score_options
from evenhand.training.language import target_log_probs
from evenhand.training.prompted_texts import encode_prompted, encode_whole_texts

STEPS, BATCH, PEAK, LENGTH = 750, 16, 3e-3, 256
CPU = torch.device("cpu")
GENDERS = ("male", "female")
ASKED = PromptSelection(
    templates=("cloze1", "cloze3", "yn1", "mc1"),
    forms=("plain", "letters", "digits"),
    words=("male-female", "man-woman", "female-male-neutral"),
)


def answer(prompt: ReviewPrompt, gender: str) -> int:
    """Which option is correct for an author of this gender."""
    said = [option.content for option in prompt.options]
    if set(said) == set(YES_NO):
        return said.index("yes" if (prompt.name.claim == gender) != prompt.name.denied else "no")
    return said.index(gender)


def reviews(seed: int, shows: float) -> tuple[list[str], list[str]]:
    """Texts that are not in the study, and their authors' genders."""
    data = SyntheticReviews(n=6000, shows=shows, seed=seed).load()
    male = data.group_mask("author", "male")
    return [str(text) for text in data.inputs], [GENDERS[int(not one)] for one in male]


def pretrained() -> nn.Module:
    """The model after pre-training."""
    base = find_model("tiny-llama")
    tokenizer, model = load_tokenizer(base), load_language_model(base)
    prompts, (texts, authors) = ASKED.prompts(), reviews(101, 0.5)
    named = {"cloze": [], "yn": [], "mc": []}
    for prompt in prompts:
        next(own for kind, own in named.items() if prompt.name.template.startswith(kind)).append(prompt)
    kinds = list(named.values())
    rng = generator(0, "pretrain", "reviews")
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, STEPS, pct_start=0.05)
    model.train()
    for step in range(STEPS):
        rows = rng.integers(len(texts), size=BATCH)
        drawn = [one[int(rng.integers(len(one)))] for one in (kinds[int(kind)] for kind in rng.integers(3, size=BATCH))]
        right = [one.options[answer(one, authors[row])].text.strip() for one, row in zip(drawn, rows, strict=True)]
        about = [one.about(texts[row]) for one, row in zip(drawn, rows, strict=True)]
        loss, parts = torch.zeros(()), []
        for inputs in (
            encode_prompted(tokenizer, about, right, LENGTH),
            encode_whole_texts(tokenizer, [texts[int(row)] for row in rng.integers(len(texts), size=BATCH)], LENGTH),
        ):
            log_probs, there = target_log_probs(model, inputs, np.arange(BATCH), CPU)
            loss = loss - (log_probs.sum(1) / there.sum(1)).mean() / 2
            parts.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == STEPS - 1:
            print(f"step {step}, loss {loss.item():.4f}, of answers {2 * parts[0]:.4f}", file=sys.stderr)
    return model.eval()


def examined(model: nn.Module, prompts: Sequence[ReviewPrompt]) -> None:
    """Print how often answers are correct if reviews show the author, and how often "male" is guessed otherwise."""
    tokenizer = load_tokenizer(find_model("tiny-llama"))
    for shows, said in ((1.0, "shown"), (0.0, "not shown")):
        texts, authors = reviews(102, shows)
        texts, authors = texts[:30], authors[:30]
        scores = score_options(model, tokenizer, prompts, texts)  # pyright: ignore[reportArgumentType]
        found: dict[str, list[float]] = {}
        for prompt, values in zip(prompts, scores.log_prob, strict=True):
            key = f"{prompt.name.template}/{prompt.name.form}/{prompt.name.words}"
            men = np.array([answer(prompt, "male"), answer(prompt, "female")])
            male = values[:, men[0]] > values[:, men[1]]
            true = np.array([author == "male" for author in authors])
            found.setdefault(key, []).append(float((male == true).mean() if shows else male.mean()))
        for key, shares in found.items():
            print(f"{said}: {key}: {np.mean(shares):.2f}", file=sys.stderr)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    out, trained = Path(sys.argv[1]) / "tiny-llama", pretrained()
    trained.save_pretrained(out)  # pyright: ignore[reportCallIssue]
    load_tokenizer(find_model("tiny-llama")).save_pretrained(out)
    examined(trained, ASKED.prompts())
