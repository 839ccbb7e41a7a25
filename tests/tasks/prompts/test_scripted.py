"""What a scripted model is known to prefer is found, from prompts through scores and records to intervals."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from evenhand.audit.arrays.option_answers import Choices, choices
from evenhand.metrics.options.debiasing import permutation_average, pride
from evenhand.metrics.options.scores import flip_rate, option_choices
from evenhand.metrics.options.token_bias import option_effects
from evenhand.stats.contrast import TwoWay
from evenhand.tasks.prompts.prompt import PromptSelection
from evenhand.tasks.prompts.scoring import score_options
from evenhand.tasks.prompts.table import options_table
from scripted import centred
from tasks.prompts.language_models import whole_words
from tasks.prompts.scripted_model import ScriptedModel
from template_means import lean_over_templates, mean_over_templates

MALE, FEMALE = 0, 1
REVIEWS = [f"review {number}" for number in range(30)]
TEMPLATES = {
    "who": '" {review} " Who wrote it ? {choices} . It was {option}',
    "guess": 'Read " {review} " and guess : {choices} . The guess : {option}',
    "choose": 'Of " {review} " choose the author : {choices} . Choice : {option}',
}
TWO, THREE = {"male": "male", "female": "female"}, {"male": "male", "female": "female", "neutral": "neither"}


@pytest.fixture
def ask(tmp_path):
    """Ask a scripted model in a balanced design: [template] answers."""

    def answers(words: dict[str, str] = THREE, batch_tokens: int = 10**4, **script) -> list[Choices]:
        sections = {
            "words": {"said": words},
            "multiple_choice": {
                name: {"text": text, "words": ["said"], "forms": ["letters"]} for name, text in TEMPLATES.items()
            },
        }
        path = tmp_path / "prompts.yaml"
        path.write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
        prompts = PromptSelection(path=str(path), templates=tuple(TEMPLATES)).prompts()
        known = whole_words(*(p.about(" ".join(REVIEWS)) + o.text for p in prompts for o in p.options))
        script = {"content": dict.fromkeys(words.values(), 0.0), "position": (0.0,) * len(words), **script}
        script["identifier"] = dict.fromkeys("ABC", 0.0) | script.get("identifier", {})
        scores = score_options(ScriptedModel(known, **script), known, prompts, REVIEWS, batch_tokens=batch_tokens)
        assert all((tokens == 1).all() for tokens in scores.tokens)
        return choices(options_table(scores, "scripted", REVIEWS))

    return answers


def content(answers: list[Choices], first: int = MALE, second: int = FEMALE) -> TwoWay:
    """The preference of a content to another in log-odds."""
    effects = [option_effects(one.scores, one.arrangements).content for one in answers]
    return mean_over_templates(np.stack([effect[:, first] - effect[:, second] for effect in effects]))


def lean(answers: list[Choices], log_prob: list[np.ndarray]) -> TwoWay:
    """Share of male among guesses of male or female, minus ½, from scores by position."""
    guessed = [
        option_choices(one, answer.arrangements).mean(axis=1) for one, answer in zip(log_prob, answers, strict=True)
    ]
    return lean_over_templates(
        np.stack([one[:, MALE] for one in guessed]), np.stack([one[:, FEMALE] for one in guessed])
    )


def holds(interval: TwoWay, truth: float) -> bool:
    low, high = interval.interval()
    return low <= truth <= high


def test_known_effects_of_content_identifier_and_position_are_within_their_intervals(ask):
    script = {
        "content": {"male": 0.6, "female": 0.1, "neither": -0.4},
        "identifier": {"A": 1.2, "B": -0.2, "C": 0.0},
        "position": (0.5, 0.0, -0.3),
    }
    answers = ask(**script, example=0.3, noise=0.5)
    assert [one.template for one in answers] == list(TEMPLATES) and answers[0].arrangements.balanced
    assert answers[0].contents == ("male", "female", "neutral") and answers[0].identifiers == ("A", "B", "C")
    found = [option_effects(one.scores, one.arrangements) for one in answers]
    for kind, truth in script.items():
        truth = centred(tuple(truth.values()) if isinstance(truth, dict) else truth)
        for level in range(3):
            interval = mean_over_templates(np.stack([getattr(effects, kind)[:, level] for effects in found]))
            assert 0 < interval.standard_error < 0.15 and holds(interval, truth[level]), (kind, level)
    assert holds(content(answers), 0.5)


def test_without_noise_the_effects_are_exact(ask):
    script = {
        "content": {"male": 0.6, "female": 0.1, "neither": -0.4},
        "identifier": {"A": 1.2},
        "position": (0.5, 0, -0.3),
    }
    answers = ask(**script)[0]
    effects = option_effects(answers.scores, answers.arrangements)
    assert effects.content[0] == pytest.approx(centred((0.6, 0.1, -0.4)))
    assert effects.identifier[0] == pytest.approx(centred((1.2, 0, 0)))
    assert effects.position[0] == pytest.approx(centred((0.5, 0, -0.3)))


def test_a_lover_of_a_is_reported_as_identifier_bias_and_no_gender_bias(ask):
    answers = ask(TWO, identifier={"A": 6.0}, noise=0.5)
    raw = [one.scores for one in answers]
    assert np.mean([option_effects(one.scores, one.arrangements).identifier[:, 0] for one in answers]) > 2.5
    assert holds(content(answers), 0.0) and holds(lean(answers, raw), 0.0)
    # In the one order that the paper calls plain, the same model says "male" to nearly every review.
    (plain,) = [place for place, row in enumerate(answers[0].arrangements.contents) if tuple(row) == (0, 1)][:1]
    assert np.mean(option_choices(raw[0], answers[0].arrangements)[:, plain, MALE]) > 0.95
    assert min(flip_rate(one.scores, one.arrangements).mean() for one in answers) > 0.6


@pytest.mark.parametrize("planted", [0.0, 0.8])
def test_corrections_remove_the_love_of_a_and_leave_a_planted_gender_preference(ask, planted):
    script = {"identifier": {"A": 6.0}, "position": (0.4, 0.0), "example": 0.2, "noise": 0.3}
    answers = ask(TWO, content={"male": planted, "female": 0.0}, **script)
    assert abs(lean(answers, [one.scores for one in answers]).estimate) < 0.05  # all that the raw choices show
    assert holds(content(answers), planted)
    rng = np.random.default_rng(0)
    by_pride = lean(answers, [pride(one.scores, one.arrangements, rng, share=0.2).log_prob for one in answers])
    guesses = option_choices(np.stack([permutation_average(one.scores, one.arrangements) for one in answers]))
    for corrected in (by_pride, lean_over_templates(guesses[..., MALE], guesses[..., FEMALE])):
        assert corrected.interval()[0] > 0.2 if planted else holds(corrected, 0.0)


def test_batches_of_any_size_get_the_same_answers(ask):
    script = {"content": {"male": 1.0, "female": 0.0}, "noise": 0.5}
    for one, other in zip(ask(TWO, **script, batch_tokens=1), ask(TWO, **script, batch_tokens=10**4), strict=True):
        assert np.array_equal(one.scores, other.scores)
        assert np.exp(one.scores).sum(axis=-1) == pytest.approx(np.full(one.scores.shape[:2], 0.9))
