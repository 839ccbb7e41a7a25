"""Claims about the probabilities of options under a language model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tokenizers import normalizers, processors

from evenhand.data import phrases
from evenhand.errors import InputError
from evenhand.records.prompts import PromptName
from evenhand.tasks.prompts.prompt import Option, PromptSelection, ReviewPrompt
from evenhand.tasks.prompts.scoring import score_options, woven_scores
from evenhand.tasks.prompts.table import options_table
from tasks.prompts.language_models import language_model, told, whole_words

MODELS = ("tiny-llama", "tiny-mistral", "gpt2")


def reviews(n: int, seed: int = 0) -> list[str]:
    """Of unequal length, one of them of one word."""
    rng = np.random.default_rng(seed)
    return ["Fine.", *(phrases.topic_free_text(rng, "english")[0] for _ in range(n - 1))]


def some(**options) -> tuple[ReviewPrompt, ...]:
    """Cloze with two pairs of words, a yes/no question, and multiple choice by letters and by whole answers."""
    chosen = {
        "templates": ("cloze1", "yn1", "mc3"),
        "forms": ("plain", "letters"),
        "words": ("male-female*", "man-woman"),
        "design": "paper",
        "negated": False,
    }
    return PromptSelection(**{**chosen, **options}).prompts()


def single(*words: str, before: str = "", after: str = " It was") -> ReviewPrompt:
    """A prompt whose options are these words."""
    return ReviewPrompt(PromptName("t", "plain", "w"), before, after, tuple(Option(word, f" {word}") for word in words))


def by_hand(model, tokenizer, prompt: ReviewPrompt, review: str) -> tuple[list[float], list[int], list[float]]:
    """Log-probability, tokens and mean loss of each option, each filled prompt read whole and alone."""
    context = tokenizer(prompt.about(review))["input_ids"]
    found = []
    for option in prompt.options:
        whole = tokenizer(prompt.about(review) + option.text)["input_ids"]
        assert whole[: len(context)] == context
        logs = told(model, whole)
        found.append((sum(logs[len(context) - 1 :]), len(whole) - len(context), -float(np.mean(logs))))
    return tuple(map(list, zip(*found, strict=True)))  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_those_of_every_filled_prompt_read_whole(name):
    model, tokenizer = language_model(name, torch.float64)
    texts, prompts = reviews(4), some()
    scores = score_options(model, tokenizer, prompts, texts, sequence_loss=True)
    assert {len(prompt.options) for prompt in prompts} == {2, 3}
    for place, prompt in enumerate(prompts):
        for row in (3 if place % 2 else 0,):
            log_prob, tokens, loss = by_hand(model, tokenizer, prompt, texts[row])
            assert scores.log_prob[place][row] == pytest.approx(log_prob, abs=1e-9)
            assert scores.tokens[place][row].tolist() == tokens
            assert scores.sequence_loss[place][row] == pytest.approx(loss, abs=1e-9)


def test_a_prompt_longer_than_the_sliding_window_is_read_as_without_a_cache():
    model, tokenizer = language_model("tiny-mistral", torch.float64)
    text = " ".join(reviews(12)[1:])[:500]
    prompts = some(templates=("mc3",), words=("male-*",))
    scores = score_options(model, tokenizer, prompts, [text, "Fine."])
    assert len(tokenizer(prompts[0].about(text))["input_ids"]) > model.config.sliding_window + 20
    assert scores.truncated == 0
    for place, prompt in enumerate(prompts):
        assert scores.log_prob[place][0] == pytest.approx(by_hand(model, tokenizer, prompt, text)[0], abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float32, 1e-5), pytest.param(torch.float64, 1e-11, marks=pytest.mark.slow)]
)
def test_batch_size_padding_and_order_do_not_change_scores(name, dtype, within):
    model, tokenizer = language_model(name, dtype)
    texts, prompts = reviews(6), some(words=("male-female*",))
    alone = score_options(model, tokenizer, prompts, texts, batch_tokens=1, sequence_loss=True)
    for most in (700, 10**6):
        _assert_alike(
            alone, score_options(model, tokenizer, prompts, texts, batch_tokens=most, sequence_loss=True), within
        )
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = score_options(model, tokenizer, prompts[::-1], [texts[row] for row in order])
    for place, found in enumerate(shuffled.log_prob[::-1]):
        assert (np.abs(found - alone.log_prob[place][order]) <= within * alone.tokens[place][order]).all()


@pytest.mark.parametrize("name", ("tiny-llama", "tiny-mistral"))
@pytest.mark.parametrize("side", ("left", "right"))
def test_the_side_on_which_a_tokenizer_pads_and_cuts_changes_nothing(name, side):
    model, tokenizer = language_model(name)
    turned = copy.deepcopy(tokenizer)
    turned.padding_side = turned.truncation_side = side
    turned(["a b c", "a"], padding=True, truncation=True, max_length=2)  # leaves its settings behind
    _assert_alike(
        score_options(model, tokenizer, some(), reviews(5)), score_options(model, turned, some(), reviews(5)), 0
    )


def _assert_alike(first, second, within: float = 1e-5) -> None:
    """Within a bound per token of an option, whose log-probabilities add up."""
    for one, other, tokens in zip(first.log_prob, second.log_prob, first.tokens, strict=True):
        assert (np.abs(one - other) <= within * tokens).all()
    for one, other in zip(first.sequence_loss or (), second.sequence_loss or (), strict=True):
        assert np.abs(one - other).max() <= within


def test_single_tokens_take_one_forward_pass_and_the_logits_of_one_position():
    model, tokenizer = language_model("tiny-llama")
    prompts = [single("good", "bad"), single("lovely", "awful", "poor")]
    calls = []
    watch = model.register_forward_pre_hook(lambda _, __, options: calls.append(options), with_kwargs=True)
    try:
        scores = score_options(model, tokenizer, prompts, reviews(8))
    finally:
        watch.remove()
    assert all((tokens == 1).all() for tokens in scores.tokens)
    assert [call["logits_to_keep"] for call in calls] == [1] and not calls[0]["use_cache"]
    assert scores.computed == calls[0]["input_ids"].numel()


def test_what_prompts_share_is_read_once():
    model, tokenizer = language_model("tiny-llama")
    prompts, texts = some(templates=("mc3",), words=("male-*",), forms=("letters",), design="balanced"), reviews(8)
    apart = sum(
        len(tokenizer(prompt.about(text) + option.text)["input_ids"])
        for prompt in prompts
        for text in texts
        for option in prompt.options
    )
    assert score_options(model, tokenizer, prompts, texts).computed < apart / 3


def test_many_options_have_together_the_probability_that_the_model_gives_them():
    model, tokenizer = language_model("tiny-llama", torch.float64)
    words = [word.replace("Ġ", "") for word in tokenizer.get_vocab() if word.startswith("Ġ") and word[1:].isascii()]
    prompt = single(*(word for word in words if len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) == 1))
    found = np.exp(score_options(model, tokenizer, [prompt], ["Fine."]).log_prob[0][0]).sum()
    with torch.no_grad():
        last = model(torch.tensor([tokenizer(prompt.about("Fine."))["input_ids"]])).logits[0, -1].softmax(-1)
    chosen = [tokenizer(option.text, add_special_tokens=False)["input_ids"][0] for option in prompt.options]
    assert len(chosen) > 200 and found == pytest.approx(float(last[chosen].sum()), abs=1e-9)


def test_options_that_begin_alike_have_their_whole_probability():
    model, tokenizer = language_model("tiny-llama", torch.float64)
    prompt = single("male", "man")  # the tokenizer has no word for either, and they share the first token
    scores = score_options(model, tokenizer, [prompt], ["Fine."])
    first, second = (tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in ("male", "man"))
    assert first[0] == second[0] and len(first) > 1
    assert scores.log_prob[0][0] == pytest.approx(by_hand(model, tokenizer, prompt, "Fine.")[0], abs=1e-9)


# The paper's score


def test_the_sequence_loss_is_the_models_own_loss_on_the_filled_prompt_padded_to_256():
    model, tokenizer = language_model("tiny-llama")
    prompts, text = some(templates=("cloze1",), forms=("plain",)), reviews(3)[2]
    scores = score_options(model, tokenizer, prompts, [text], sequence_loss=True)
    for place, prompt in enumerate(prompts):
        for column, option in enumerate(prompt.options):
            batch = tokenizer(
                prompt.about(text) + option.text, padding="max_length", max_length=256, return_tensors="pt"
            )
            labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
            with torch.no_grad():
                loss = model(**batch, labels=labels).loss
            assert scores.sequence_loss[place][0, column] == pytest.approx(float(loss), abs=1e-5)


def test_without_being_asked_for_there_is_no_sequence_loss():
    model, tokenizer = language_model("tiny-llama")
    assert score_options(model, tokenizer, [single("good", "bad")], ["Fine."]).sequence_loss is None


# Reviews that are too long


def test_a_review_too_long_is_cut_and_counted_and_the_question_and_the_options_are_whole():
    model, tokenizer = language_model("tiny-llama", torch.float64)
    long, prompt = " ".join(reviews(40)), single("good", "bad", before='He said: "', after='". It was')
    scores = score_options(model, tokenizer, [prompt], ["Fine.", long, long], max_length=60)
    assert scores.truncated == 2
    assert scores.notes == ("reviews too long for the model, which was shown their beginning: 2",)
    fitting = max(
        (long[:size] for size in range(400)),
        key=lambda text: (len(tokenizer(prompt.about(text) + " good")["input_ids"]) <= 60, len(text)),
    )
    assert len(tokenizer(prompt.about(fitting) + " good")["input_ids"]) == 60
    assert scores.log_prob[0][1] == pytest.approx(by_hand(model, tokenizer, prompt, fitting)[0], abs=1e-9)
    assert scores.log_prob[0][0] == pytest.approx(by_hand(model, tokenizer, prompt, "Fine.")[0], abs=1e-9)


def test_the_models_positions_are_the_limit_where_none_is_given():
    model, tokenizer = language_model("tiny-llama")
    scores = score_options(
        model, tokenizer, some(templates=("mc3",), words=("male-*",), forms=("letters",)), [" ".join(reviews(40))]
    )
    assert scores.truncated == 1 and all(np.isfinite(one).all() for one in scores.log_prob)


def test_a_question_too_long_for_the_model_is_refused():
    model, tokenizer = language_model("tiny-llama")
    with pytest.raises(InputError, match=r"prompt mc3/letters/\S+: it has \d+ tokens without any review, and 20"):
        score_options(
            model, tokenizer, some(templates=("mc3",), words=("male-*",), forms=("letters",)), ["Fine."], max_length=20
        )


# Bad input


def test_no_reviews_or_no_prompts_are_refused():
    model, tokenizer = language_model("tiny-llama")
    with pytest.raises(InputError, match="there are 0 reviews and 1 prompts"):
        score_options(model, tokenizer, [single("good", "bad")], [])
    with pytest.raises(InputError, match="there are 1 reviews and 0 prompts"):
        score_options(model, tokenizer, [], ["Fine."])


def test_an_option_that_is_no_token_is_refused():
    model, tokenizer = language_model("tiny-llama")
    deaf = copy.deepcopy(tokenizer)
    deaf.backend_tokenizer.normalizer = normalizers.Replace(" ◑", "")
    with pytest.raises(InputError, match='prompt t/plain/w: the option "◑" has no token in this tokenizer'):
        score_options(model, deaf, [single("good", "◑")], ["Fine."])


def test_options_that_a_tokenizer_cannot_tell_apart_are_refused():
    model, _ = language_model("gpt2")
    words = whole_words("Fine . It was good")
    with pytest.raises(InputError, match='the options "🟠" and "🟡" have the same tokens'):
        score_options(model, words, [single("🟠", "🟡")], ["Fine."])


def test_a_prompt_with_nothing_before_its_options_is_refused():
    model, _ = language_model("gpt2")
    words = whole_words("good bad")
    with pytest.raises(InputError, match="nothing stands before the option"):
        score_options(model, words, [single("good", "bad", after="")], [""])


# Models and tokenizers as they come


def test_special_tokens_behind_a_text_are_no_part_of_an_option():
    model, tokenizer = language_model("tiny-llama")
    ending = copy.deepcopy(tokenizer)
    ending.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    assert ending("a")["input_ids"][-1] == 2
    _assert_alike(
        score_options(model, tokenizer, some(), ["Fine."]), score_options(model, ending, some(), ["Fine."]), 0
    )


def test_a_model_is_asked_without_dropout_and_left_as_it_was():
    model, tokenizer = copy.deepcopy(language_model("gpt2"))
    expected = score_options(model, tokenizer, some(), ["Fine."])
    model.train()
    found = score_options(model, tokenizer, some(), ["Fine."])
    assert model.training and not any(parameter.grad is not None for parameter in model.parameters())
    _assert_alike(expected, found, 0)


def test_a_model_with_adapters_is_asked_as_any_other():
    from peft import LoraConfig, get_peft_model

    model, tokenizer = copy.deepcopy(language_model("tiny-llama", torch.float64))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapted = get_peft_model(model, LoraConfig(r=2, init_lora_weights=False, target_modules=["q_proj", "v_proj"]))
    adapted.eval()
    prompts = some(templates=("mc3",), words=("male-*",))
    scores = score_options(adapted, tokenizer, prompts, ["Fine."])
    for place, prompt in enumerate(prompts):
        assert scores.log_prob[place][0] == pytest.approx(by_hand(adapted, tokenizer, prompt, "Fine.")[0], abs=1e-9)


def test_half_precision_is_for_gpus_only():
    model, tokenizer = language_model("tiny-llama")
    plain = score_options(model, tokenizer, some(), ["Fine."])
    _assert_alike(plain, score_options(model, tokenizer, some(), ["Fine."], precision="bfloat16"), 0)


# Records


def test_records_say_what_was_asked_and_what_was_answered():
    model, tokenizer = language_model("tiny-llama")
    prompts, texts = some(), reviews(3)
    scores = score_options(model, tokenizer, prompts, texts, sequence_loss=True)
    table = options_table(scores, "hash", ["a", "b", "c"])
    assert len(table) == 3 * sum(len(prompt.options) for prompt in prompts)
    place = next(place for place, prompt in enumerate(prompts) if str(prompt.name).endswith("@102.102"))
    rows = table.filter(prompt=str(prompts[place].name), example="b").sort("position")
    assert rows["option"].to_list() == ["female", "male", "neutral"]
    assert rows["identifier"].to_list() == ["B", "A", "C"]
    assert rows["log_prob"].to_list() == scores.log_prob[place][1].tolist()
    assert rows["sequence_loss"].to_list() == scores.sequence_loss[place][1].tolist()
    assert rows["bytes"].to_list() == [1, 1, 1] and rows["step"].null_count() == 3
    assert options_table(score_options(model, tokenizer, prompts, texts), "hash", ["a", "b", "c"], step=4)[
        "sequence_loss"
    ].null_count()
    cloze = table.filter(prompt="cloze1/plain/male-female", example="a")
    assert cloze["bytes"].to_list() == [4, 6] and cloze["identifier"].null_count() == 2


@pytest.mark.parametrize("processes", [2, 3])
def test_scores_of_shared_out_reviews_are_those_of_all_reviews(processes):
    model, tokenizer = language_model("tiny-llama", torch.float64)
    texts, prompts = reviews(5), some()
    whole = score_options(model, tokenizer, prompts, texts, sequence_loss=True)
    parts = [
        score_options(model, tokenizer, prompts, texts[rank::processes], sequence_loss=True)
        for rank in range(processes)
    ]
    shared = woven_scores(parts)
    assert shared.prompts == whole.prompts and shared.truncated == whole.truncated
    for ours, theirs in ((shared.log_prob, whole.log_prob), (shared.sequence_loss, whole.sequence_loss)):
        assert len(ours) == len(prompts)
        for found, right in zip(ours, theirs, strict=True):
            assert found == pytest.approx(right, abs=1e-9)
    assert all(map(np.array_equal, shared.tokens, whole.tokens))
