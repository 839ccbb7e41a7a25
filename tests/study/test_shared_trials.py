"""Settings that share trainings: what one trial is asked for both, and what cannot be asked of one trial."""

from __future__ import annotations

from typing import Any

import pytest

import evenhand as eh
from evenhand.errors import InputError
from evenhand.study.plan import make_plan

WORDS = {"scorers": {"written": {"function": "words", "more_is": "neither"}}}
LANGUAGE = {"task": {"name": "synthetic/instructions", "n": 60}, "model": "tiny-llama"}


def shared(first: dict[str, Any], second: dict[str, Any], **study: Any) -> eh.Study:
    """Two settings that train the same models and ask different things of them."""
    return eh.Study(
        **{
            "task": {"name": "synthetic/posts", "n": 200},
            "model": "tiny-bert",
            "methods": {"base": {"kind": "base"}, "full": {"kind": "full", "epochs": 1}},
            "reference": "base",
            "seeds": 1,
            "settings": {"one": first, "two": second},
            **study,
        }
    )


@pytest.mark.parametrize(
    ("first", "second", "study", "words"),
    [
        (
            {"probing": "topic"},
            {"probing": "label"},
            {},
            ", and probe it for different things",
        ),
        (
            {"prompts": {"reviews": 10}},
            {"prompts": {"reviews": 20}},
            LANGUAGE,
            ", and ask it different prompts",
        ),
        (
            {"generations": {"prompts": "gender", **WORDS}},
            {"generations": {"prompts": "gender", "new_tokens": 3, **WORDS}},
            LANGUAGE,
            ", but their continuations (generations:) differ",
        ),
    ],
)
def test_what_one_trial_cannot_do_for_both_settings_is_refused(first, second, study, words):
    with pytest.raises(InputError) as refusal:
        make_plan(shared(first, second, **study), None)
    sentence = str(refusal.value)
    assert sentence.startswith("settings one and two share the training of ")
    assert words in sentence
    assert sentence.endswith("; keep these settings in studies of their own")


@pytest.mark.parametrize(
    ("first", "second", "study"),
    [
        ({"probing": "topic"}, {}, {}),
        ({"prompts": {"reviews": 10}}, {}, LANGUAGE),
        ({}, {"generations": {"prompts": "gender", **WORDS}}, LANGUAGE),
    ],
)
def test_a_trial_is_trained_once_and_asked_what_either_setting_asks(first, second, study):
    plan = make_plan(shared(first, second, **study), None)
    assert len(plan.trials) == 4 and len(plan.distinct) == 2
    for trial in plan.distinct:
        assert (trial.probing is None) == ("probing" not in {**first, **second})
        assert (trial.questioning is None) == ("prompts" not in {**first, **second})
        assert (trial.generations is None) == ("generations" not in {**first, **second})
