"""`membership:` of language models: whose tokens are scored, canaries, and what is refused before training."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import Any

import polars as pl
import pytest
import yaml

from evenhand import Study
from evenhand.errors import InputError
from evenhand.models.find import find_model
from evenhand.study.plan import make_plan

STUDY = {
    "task": {"name": "synthetic/instructions", "n": 40},
    "model": "tiny-llama",
    "methods": {
        "base": {"kind": "base"},
        "full": {"kind": "full", "lr": 3e-3, "epochs": 2},
        "lora": {"kind": "lora", "rank": 4, "lr": 1e-2, "epochs": 2},
    },
    "reference": "full",
    "seeds": 0,
    "membership": {"models": 8},
    "keep": "none",
}


def planned(**changes):
    return make_plan(Study(**{**STUDY, **changes}), None)


def learned(trial) -> list[str]:
    """The responses that a trial learns."""
    return list(trial.examples.targets)


def texts_of(trial) -> dict[str, Any]:
    """The texts whose tokens a trial scores, by split."""
    return dict(trial.scoring.texts)


def test_each_model_scores_the_tokens_of_both_halves_and_measures_only_the_other():
    found = planned()
    assert len(found.trials) == 16 and {trial.method for trial in found.trials} == {"full", "lora"}
    for trial in found.trials:
        scored = {name: set(texts.example) for name, texts in texts_of(trial).items()}
        assert len(scored["train"]) == len(scored["test"]) == 20 and not scored["train"] & scored["test"]
        assert scored["train"] == set(trial.setting.dataset.example[trial.parts.train])
        assert {name: set(data.example) for name, data in trial.evaluations.items()} == {"test": scored["test"]}
    halves = {(trial.method, trial.seed): trial.parts.train.tobytes() for trial in found.trials}
    assert all(halves["full", number] == halves["lora", number] for number in range(8))


def test_trials_of_the_study_score_no_tokens():
    roles = {(trial.role, trial.scoring is None) for trial in planned(seeds=1).trials}
    assert roles == {("study", True), ("pool", False)}


@pytest.mark.parametrize("split", ["test", "train"])
def test_prompts_about_training_texts_leave_the_measured_pairs_alone(split):
    found = planned(seeds=1, prompts={"split": split})
    for trial in found.trials:
        held_out = trial.setting.dataset.example[trial.parts.test]
        assert {name: set(data.example) for name, data in trial.evaluations.items()} == {"test": set(held_out)}


def test_the_base_model_is_scored_once_where_the_attack_compares_with_it():
    found = planned(membership={"models": 4, "attack": "reference"})
    (base,) = (trial for trial in found.trials if trial.method == "base")
    assert base.subset == "base" and base.role == "pool" and base.pair is None
    assert {name: len(texts) for name, texts in texts_of(base).items()} == {"test": 40}
    without = {trial.hash for trial in planned(membership={"models": 4, "attack": "zlib"}).trials}
    assert without == {trial.hash for trial in found.trials} - {base.hash}


def test_a_canary_is_in_half_of_the_training_sets_as_often_as_its_group_says():
    found = planned(membership={"models": 8, "canaries": {"texts": 4, "copies": [1, 5]}})
    counts: Counter[str] = Counter()
    for trial in found.trials:
        if trial.method == "full":
            held = Counter(learned(trial))
            members = texts_of(trial)["train"]
            for name, target in zip(members.example, members.targets, strict=True):
                if name.startswith("canary"):
                    assert held[target] == int(name.split("-")[1])
                    counts[name] += 1
            assert not set(texts_of(trial)["test"].targets[20:]) & set(held)
    assert len(counts) == 8 and set(counts.values()) == {4}
    examples = found.examples()
    assert set(examples["attribute.canary"].explode()) == {"none", "1 copy", "5 copies"}
    canary = pl.col("example").str.starts_with("canary")
    assert (examples.filter(canary)["zlib_bytes"] > 8).all()


def test_a_pool_of_few_examples_keeps_all_canaries():
    found = planned(membership={"models": 8, "examples": 20, "canaries": 4})
    assert len(found.examples()) == 24


def test_examples_of_a_group_can_be_repeated():
    plain, repeated = planned(), planned(data={"repeat": {"topic=food": 3}})
    for one, other in zip(plain.trials, repeated.trials, strict=True):
        food = one.setting.dataset.group_mask("topic", "food")[one.parts.train]
        assert len(other.examples) - len(one.examples) == 2 * food.sum() and one.hash != other.hash


def test_a_pool_without_canaries_has_the_trials_that_one_copy_leaves_alone():
    """Adding a key to the study does not change the identity of trials that learn the same texts."""
    found = planned(membership={"models": 8, "canaries": {"texts": 2, "copies": 1}})
    trial = found.trials[0]
    assert trial.identity["training"] == trial.sample.contents[0]
    assert len(trial.examples) == len(trial.parts.train)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"membership": {"models": 6}}, "lira needs a pool of 8"),
        ({"membership": {"models": 7}}, "a pool needs an even number of models"),
        ({"methods": {"base": {"kind": "base"}}, "reference": "base"}, "no method trains anything"),
        ({"membership": {"models": 4, "design": "shadows"}, "seeds": 2}, "shadows is for classifiers"),
        ({"membership": {"models": 8, "canaries": 4}, "seeds": 1}, "set seeds: 0"),
        ({"membership": {"models": 8, "canaries": {"texts": 1}}}, "membership.canaries.texts"),
        ({"membership": {"models": 8, "canaries": {"copies": [2, 2]}}}, "should all be different"),
        ({"membership": {"models": 8, "attack": "min_k", "k": 0}}, "membership.k"),
        ({"data": {"noise": {"topic=food": 0.1}}}, 'no option "noise"; it has: repeat'),
        ({"data": {"repeat": 3}}, "repeat is a mapping"),
        (
            {"membership": {"models": 4, "attack": "reference"}, "methods": {"full": {"kind": "full"}}},
            "add a method such as base",
        ),
        ({"task": "synthetic/reviews"}, "a language model of pairs"),
    ],
)
def test_what_cannot_be_attacked_is_refused_before_training(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        planned(**changes)


@pytest.mark.parametrize(
    ("membership", "sentence"),
    [
        ({"models": 8, "attack": "zlib"}, "zlib scores the tokens of a language model"),
        ({"models": 8, "canaries": 4}, "canaries are texts for a language model"),
        ({"models": 8, "attack": "min_k", "design": "shadows"}, "min_k belongs to a pool"),
    ],
)
def test_scores_of_texts_are_refused_for_classifiers(small_study, membership, sentence):
    with pytest.raises(InputError, match=sentence):
        Study(**{**small_study, "membership": membership})


def test_a_response_of_one_token_is_refused_before_training(tmp_path, evenhand):
    """A chat template that writes nothing behind a response leaves the response's own tokens alone."""
    model = tmp_path / "model"
    shutil.copytree(find_model("tiny-llama").folder, model)
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["chat_template"] = (
        "{% for message in messages %}{{ message.role[0] }}: {{ message.content }}{% endfor %}"
        "{% if add_generation_prompt %}a: {% endif %}"
    )
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    rows = {"prompt": [f"the {row}?" for row in range(8)], "response": ["a b", "b c", "c d", "d"] * 2}
    pl.DataFrame(rows).write_parquet(tmp_path / "pairs.parquet")
    study = {**STUDY, "model": str(model), "task": {"name": "sft", "path": str(tmp_path / "pairs.parquet")}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    ran = evenhand("run", tmp_path / "study.yaml", "--out", tmp_path / "out")
    assert ran.returncode == 2 and not (tmp_path / "out").exists()
    error = ran.stderr.splitlines()[-1]
    assert "the response of the example '3' has 1 token (2 such responses), and 2 are needed" in error
