"""Measures the tokens and seconds to ask every prompt about 500 reviews, against the paper's code and
lm-evaluation-harness.

    pip install 'evenhand[train,harness]'; python benchmarks/prompts.py

All variants run in one process and one thread, with the same model, reviews and prompts, in all forms of the paper
(plain, digits, letters, symbols, inverted, negated) and with all built-in words. The variants are:

(a) Evenhand: the shared beginning of prompts about a review is read once, and options are read after it;
(b) the paper's way: a forward pass over each filled prompt padded to 256 tokens, whose mean loss is the score;
(c) lm-evaluation-harness's Hugging Face backend: a log-likelihood request for each option.

(a) is timed on all reviews. For the ratios, all three are timed on `--few` of them; tokens are counted where they
enter the model. The time includes tokenising. Log-probabilities of options are compared with both peers, and the
paper's score with that of (b). The same is repeated for a larger model with random weights, in which arithmetic takes
more of the time. On a busy machine processor time is the relevant number; wall time is shown beside it.
"""

from __future__ import annotations

import argparse
import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from evenhand.data.reviews import template_review
from evenhand.models.find import find_model
from evenhand.models.load import load_tokenizer
from evenhand.models.quiet import quiet
from evenhand.seeds import generator
from evenhand.tasks.prompts.prompt import PromptSelection, ReviewPrompt
from evenhand.tasks.prompts.scoring import PromptScores, score_options

PADDED = 256
BATCH = 32


@dataclass(frozen=True, eq=False)
class Run:
    """Results and costs of one variant.

    Attributes:
        values: per prompt [n, K].
        losses: mean losses in the same format, if computed.
        tokens: number of tokens that entered the model.
        seconds, clock: processor time and wall time.
    """

    values: list[np.ndarray]
    losses: list[np.ndarray] | None
    tokens: int
    seconds: float
    clock: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny-llama")
    parser.add_argument("--reviews", type=int, default=500)
    parser.add_argument("--few", type=int, default=10, help="reviews that the other ways are timed on")
    parser.add_argument("--wide", type=int, default=2, help="reviews for the larger model; 0 leaves it out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)

    base = find_model(options.model)
    tokenizer = load_tokenizer(base)
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32).eval()
    rng = generator(0, "benchmark", "reviews")
    reviews = [template_review(rng) for _ in range(options.reviews)]
    prompts = PromptSelection(design="paper").prompts()
    longest = max(
        len(tokenizer(prompt.about(review) + option.text)["input_ids"])
        for prompt in prompts
        for review in sorted(reviews, key=len)[-5:]
        for option in prompt.options
    )
    each = sum(len(prompt.options) for prompt in prompts)
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread")
    print(f"{len(prompts)} prompts with {each} options, about {len(reviews)} reviews; the longest has {longest} tokens")

    whole = ours(model, tokenizer, prompts, reviews)
    print(f"\n{options.model}, all {len(reviews)} reviews: {told(whole)}")
    theirs = each * len(reviews) * PADDED
    print(f"the paper's way would take {theirs:,} tokens, {theirs / whole.tokens:.1f} times as many")
    compare(options.model, model, tokenizer, prompts, reviews[: options.few])
    if options.wide:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=512,
            intermediate_size=1024,
            num_hidden_layers=6,
            num_attention_heads=8,
            max_position_embeddings=PADDED,
        )
        wide = LlamaForCausalLM(config).eval()
        compare("a Llama of 6 layers × 512", wide, tokenizer, prompts, reviews[: options.wide])


def compare(name: str, model: Any, tokenizer: Any, prompts: Sequence[ReviewPrompt], reviews: Sequence[str]) -> None:
    """Run all three variants on the same reviews."""
    ways: dict[str, Callable[..., Run]] = {
        "evenhand": ours,
        "evenhand, and the paper's score": scored_whole,
        "the paper's way": padded,
        "lm-evaluation-harness": harness,
    }
    print(f"\n{name}, {len(reviews)} reviews")
    runs = {}
    for way, run in ways.items():
        run(model, tokenizer, prompts[:3], reviews[:1])  # warm-up: kernels, allocator, imports
        runs[way] = run(model, tokenizer, prompts, reviews)
    first = runs["evenhand"]
    for way, run in runs.items():
        tokens, seconds = run.tokens / first.tokens, run.seconds / first.seconds
        print(f"{way:<32} {told(run)}   {tokens:5.1f} × the tokens, {seconds:5.2f} × the processor time")
        print(f"{'':<32} log-probabilities differ by {apart(run.values, first.values):.1e} at most")
    both = [run.losses for run in (runs["evenhand, and the paper's score"], runs["the paper's way"])]
    print(f"the paper's score differs by {apart(both[0] or [], both[1] or []):.1e} at most")


def told(run: Run) -> str:
    return f"{run.tokens:>12,} tokens {run.seconds:8.1f} s of the processor {run.clock:8.1f} s by the clock"


def apart(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(first, second, strict=True))


def ours(
    model: Any, tokenizer: Any, prompts: Sequence[ReviewPrompt], reviews: Sequence[str], whole: bool = False
) -> Run:
    """Run Evenhand; `whole` also computes the paper's score."""
    found: list[PromptScores] = []
    tokens, seconds, clock = measured(
        model, lambda: found.append(score_options(model, tokenizer, prompts, reviews, sequence_loss=whole))
    )
    losses = found[0].sequence_loss
    return Run(list(found[0].log_prob), None if losses is None else list(losses), tokens, seconds, clock)


def scored_whole(model: Any, tokenizer: Any, prompts: Sequence[ReviewPrompt], reviews: Sequence[str]) -> Run:
    return ours(model, tokenizer, prompts, reviews, whole=True)


def padded(model: Any, tokenizer: Any, prompts: Sequence[ReviewPrompt], reviews: Sequence[str]) -> Run:
    """Run a forward pass over each filled prompt padded to 256 tokens. Its logits give the mean loss over all tokens
    except padding, and the option's log-probability."""
    values = [np.zeros((len(reviews), len(prompt.options))) for prompt in prompts]
    losses = [np.zeros_like(value) for value in values]
    asked = [
        (place, row, column, prompt.about(review), option.text)
        for place, prompt in enumerate(prompts)
        for row, review in enumerate(reviews)
        for column, option in enumerate(prompt.options)
    ]

    def run() -> None:
        for start in range(0, len(asked), BATCH):
            part = asked[start : start + BATCH]
            filled = [context + option for *_, context, option in part]
            batch = tokenizer(filled, padding="max_length", truncation=True, max_length=PADDED, return_tensors="pt")
            with torch.no_grad():
                logits = model(**batch).logits[:, :-1]
            following, there = batch["input_ids"][:, 1:], batch["attention_mask"][:, 1:]
            logs = logits.gather(2, following[..., None])[..., 0] - logits.logsumexp(dim=-1)
            for (place, row, column, context, _), one, mask in zip(part, logs.double(), there.bool(), strict=True):
                begins = len(tokenizer(context)["input_ids"]) - 1
                losses[place][row, column] = -float(one[mask].mean())
                values[place][row, column] = float(one[mask][begins:].sum())

    return Run(values, losses, *measured(model, run))


def harness(model: Any, tokenizer: Any, prompts: Sequence[ReviewPrompt], reviews: Sequence[str]) -> Run:
    """Send a log-likelihood request for each option, all at once, like a task of the harness."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    values = [np.zeros((len(reviews), len(prompt.options))) for prompt in prompts]
    found: list[float] = []

    def run() -> None:
        about: Any = {"pretrained": model, "tokenizer": tokenizer, "batch_size": BATCH, "max_length": PADDED}
        backend: Any = HFLM(**about, device="cpu")  # pyright: ignore[reportCallIssue]
        requests = [
            Instance("loglikelihood", {}, (prompt.about(review), option.text), 0)
            for prompt in prompts
            for review in reviews
            for option in prompt.options
        ]
        found.extend(value for value, _ in backend.loglikelihood(requests, disable_tqdm=True))

    taken = measured(model, run)
    told = iter(found)
    for value in values:
        value[:] = np.array([next(told) for _ in range(value.size)]).reshape(value.shape)
    return Run(values, None, *taken)


def measured(model: Any, run: Callable[[], None]) -> tuple[int, float, float]:
    """Count tokens that enter the model, processor seconds and wall seconds."""
    tokens = 0

    def count(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        nonlocal tokens
        tokens += (arguments[0] if arguments else options["input_ids"]).numel()

    watch = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        processor, clock = time.process_time(), time.perf_counter()
        run()
        return tokens, time.process_time() - processor, time.perf_counter() - clock
    finally:
        watch.remove()


if __name__ == "__main__":
    main()
