"""The key `generations:` of a study: what is refused before anything is trained, and what a plan says of it."""

from __future__ import annotations

from typing import Any

import pytest

import evenhand as eh
from evenhand.audit.measures import declaring, measure_named
from evenhand.errors import InputError
from evenhand.study.plan import make_plan
from evenhand.study.study_file import read_study_file

WORDS = {"function": "words", "more_is": "neither"}
EMPTY = {"function": "empty", "more_is": "worse", "range": [0, 1]}


def values(**generations: Any) -> dict[str, Any]:
    return {
        "task": {"name": "synthetic/instructions", "n": 40},
        "model": "tiny-llama",
        "methods": {"base": {"kind": "base"}, "full": {"kind": "full", "epochs": 1}},
        "reference": "base",
        "seeds": 2,
        "split": {"test": 0.3, "validation": 0},
        "generations": {"prompts": "gender", "scorers": {"written": WORDS, "nothing": EMPTY}, **generations},
    }


@pytest.mark.parametrize(
    ("generations", "words"),
    [
        ({"scorers": {}}, "generations.scorers"),
        ({"scorers": {"a": {"more_is": "worse"}}}, "should have either model, with the label of a class, or function"),
        ({"scorers": {"a": {"model": "tiny-bert", "more_is": "worse"}}}, "lacks label"),
        ({"scorers": {"a": {"function": "words"}}}, "generations.scorers.a.more_is is missing"),
        ({"scorers": {"a": {**WORDS, "reads": "text"}}}, "label and reads belong to model"),
        ({"scorers": {"a": {**WORDS, "range": [2, 1]}}}, "range should be a least and a larger number, not 2 and 1"),
        ({"scorers": {"accuracy": WORDS}}, "accuracy is the name of another measure"),
        ({"scorers": {"exact_match": WORDS}}, "exact_match is the name of another measure"),
        ({"scorers": {"a/b": WORDS}}, '"a/b" is no name of a measure'),
        ({"temperature": 0.5}, "temperature means nothing with greedy decoding"),
        ({"new_token": 3}, 'has no key "new_token"; did you mean "new_tokens"'),
    ],
)
def test_unusable_keys_are_refused(generations, words):
    with pytest.raises(InputError) as refusal:
        eh.Study(**values(**generations))
    assert words in str(refusal.value)


def test_classifiers_write_nothing():
    with pytest.raises(InputError, match="only a language model writes continuations"):
        eh.Study(**{**values(), "task": {"name": "synthetic/posts", "n": 100}, "model": "tiny-bert"})
    with pytest.raises(InputError, match="as_prompt is for tasks of pairs"):
        eh.Study(**{**values(as_prompt=True), "task": {"name": "synthetic/translation", "n": 60}})


@pytest.mark.parametrize(
    ("generations", "words"),
    [
        ({"prompts": ["gendre"]}, 'did you mean "gender"'),
        ({"prompts": ["gender", "gender"]}, 'two sets have the attribute "gender"'),
        ({"scorers": {"a": {**WORDS, "function": "wards"}}}, 'generations.scorers.a: there is no scorer "wards"'),
        (
            {"scorers": {"a": {"model": "tiny-bert", "label": "toxic", "more_is": "worse"}}},
            "generations.scorers.a: tiny-bert has no weights for a classification head",
        ),
        ({"new_tokens": 10_000}, "lower generations.new_tokens"),
    ],
)
def test_what_could_not_be_scored_ends_the_command_before_training(evenhand, generations, words, tmp_path):
    study = eh.Study(**values(**generations))
    (tmp_path / "study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    done = evenhand("run", tmp_path / "study.yaml", "--out", tmp_path / "out")
    *progress, sentence = done.stderr.strip().splitlines()
    assert done.returncode == 2 and words in sentence and len(progress) <= 1
    assert not (tmp_path / "out" / "trials").exists()


def test_scorers_are_measures_with_margins_and_the_study_reads_back(tmp_path):
    study = eh.Study(**values(), margins={"default": 0.05, "written": 1.0}, measures=["written", "nothing"])
    (tmp_path / "study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    assert eh.Study(**read_study_file(tmp_path / "study.yaml")).to_yaml() == study.to_yaml()
    design = make_plan(study, None).design("")
    with declaring(design):
        nothing, written = measure_named("nothing"), measure_named("written")
    assert nothing.direction == 1 and nothing.limits == (0.0, 1.0) and written.direction == 0
    notes = " ".join(design.settings["main"].notes)
    assert "generations/gender: 320 continuations of at most 32 tokens" in notes and "40 templates" in notes
    with pytest.raises(InputError, match='no measure "writen"'):
        eh.Study(**values(), margins={"writen": 1.0})


def test_continuations_are_no_part_of_a_trials_identity_and_groups_may_be_named():
    without = {key: value for key, value in values().items() if key != "generations"}
    ours, plain = (make_plan(eh.Study(**study), None).trials for study in (values(), without))
    assert [trial.hash for trial in ours] == [trial.hash for trial in plain]
    design = make_plan(eh.Study(**values(), against=["gender=male"]), None).design("")
    assert design.settings["main"].against["gender"] == "male"


def test_settings_declare_a_scorer_alike():
    other = {"generations": {"prompts": "gender", "scorers": {"written": {**WORDS, "more_is": "worse"}}}}
    with pytest.raises(InputError, match="declare written differently"):
        eh.Study(**{**values(), "settings": {"a": {}, "b": other}, "margins": {"written": 1.0}})


@pytest.mark.slow
def test_a_plan_counts_the_time_of_continuations(tmp_path):
    from evenhand.study.cost import forecast

    def seconds(study: dict[str, Any]) -> float:
        found = forecast(make_plan(eh.Study(**study), None), tmp_path, True, lambda text: None).to_json()
        return found["seconds"]

    without = {key: value for key, value in values().items() if key != "generations"}
    assert seconds(values(samples=4)) > seconds(without) + 0.5


@pytest.mark.slow
def test_tiny_studies_have_stand_ins_for_classifiers(evenhand, tmp_path):
    scorer = {"model": "somebody/toxicity", "label": "toxic", "more_is": "worse"}
    study = eh.Study(**values(scorers={"toxicity": scorer}, prompts="gender", samples=5))
    (tmp_path / "study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    done = evenhand("plan", tmp_path / "study.yaml", "--tiny", "--no-calibrate")
    assert done.returncode == 0, done.stderr
    assert "stands in for somebody/toxicity" in done.stdout + done.stderr
