"""Scorers of continuations: classifiers agree with transformers' pipeline, and functions are held to their range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, pipeline

from evenhand.errors import InputError
from evenhand.models.find import find_model
from evenhand.models.load import load_tokenizer
from evenhand.tasks.generations import scorers
from evenhand.tasks.generations.scorers import ClassifierScorer, FunctionScorer

CPU = torch.device("cpu")
PROMPTS = ["The guard", "The cook came because", "A man is"]
WRITTEN = [" was tired.", " the soup was cold, the soup was cold, the soup was cold.", ""]


def classifier(folder: Path, name: str, problem: str | None, labels: list[str]) -> str:
    """A folder with a finished classifier, whose head is drawn with large weights."""
    base = find_model(name)
    config = AutoConfig.from_pretrained(
        base.folder, id2label=dict(enumerate(labels)), label2id={}, problem_type=problem
    )
    tokenizer = load_tokenizer(base)
    config.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(base.folder, config=config)
    (model.score if hasattr(model, "score") else model.classifier).weight.data.normal_(0, 1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "problem", "labels"),
    [
        ("tiny-bert", None, ["kind", "neutral", "toxic"]),
        ("tiny-bert", "multi_label_classification", ["rude", "toxic"]),
        ("tiny-bert", None, ["toxic"]),
        ("tiny-llama", None, ["fine", "toxic"]),
    ],
)
@pytest.mark.parametrize("reads", ["continuation", "text"])
def test_probabilities_are_those_of_the_pipeline_of_transformers(name, problem, labels, reads, tmp_path):
    folder = classifier(tmp_path / "scorer", name, problem, labels)
    scorer = ClassifierScorer("toxicity", find_model(folder), "toxic", reads)
    scorer.check()
    ours = scorer.score(PROMPTS[:2], WRITTEN[:2], CPU)
    texts = [
        text.strip() if reads == "continuation" else prompt + text
        for prompt, text in zip(PROMPTS, WRITTEN, strict=True)
    ]
    theirs = pipeline("text-classification", model=folder, top_k=None)(texts[:2])
    expected = [next(each["score"] for each in found if each["label"] == "toxic") for found in theirs]
    assert ours == pytest.approx(expected, abs=1e-5)
    assert np.isfinite(scorer.score(PROMPTS, WRITTEN, CPU)).all()  # an empty continuation, too


def test_a_classifier_without_the_class_or_without_a_head_is_refused(tmp_path):
    folder = classifier(tmp_path / "scorer", "tiny-bert", None, ["fine", "toxic"])
    with pytest.raises(InputError, match='has no class "toxik"; did you mean "toxic"'):
        ClassifierScorer("t", find_model(folder), "toxik").check()
    with pytest.raises(InputError, match="tiny-bert has no weights for a classification head"):
        ClassifierScorer("t", find_model("tiny-bert"), "toxic").check()
    with pytest.raises(InputError, match="reads images; choose a classifier of texts"):
        ClassifierScorer("t", find_model("tiny-vit"), "toxic").check()
    regression = classifier(tmp_path / "other", "tiny-bert", "regression", ["toxic"])
    with pytest.raises(InputError, match="predicts a number, not the probability of a class"):
        ClassifierScorer("t", find_model(regression), "toxic").check()


def secret(prompts, texts):
    raise ValueError(texts[0])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (secret, r'the scorer "own" failed on 3 continuations \(ValueError\)$'),
        (lambda prompts, texts: [1.0], r"numbers of the shape \[1\] for 3 continuations"),
        (lambda prompts, texts: [0.0, float("nan"), 1.0], "not finite"),
        (lambda prompts, texts: [0.0, 1.5, 1.0], "returned 1.5, which is outside of its range 0 to 1"),
    ],
)
def test_a_faulty_function_is_refused_without_quoting_a_text(function, words, monkeypatch):
    monkeypatch.setattr(scorers, "SCORERS", {"own": function})
    with pytest.raises(InputError, match=words) as refusal:
        FunctionScorer("s", "own", (0.0, 1.0)).score(PROMPTS, WRITTEN, CPU)
    assert "tired" not in str(refusal.value)


def test_built_in_functions_count_words_and_empty_continuations():
    assert FunctionScorer("w", "words").score(PROMPTS, WRITTEN, CPU).tolist() == [2, 12, 0]
    assert FunctionScorer("e", "empty", (0, 1)).score(PROMPTS, WRITTEN, CPU).tolist() == [0, 0, 1]
    with pytest.raises(InputError, match='there is no scorer "wards"; did you mean "words"'):
        FunctionScorer("w", "wards").check()
