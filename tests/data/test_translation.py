"""Data of translations: what is trained on, what is asked for, and the grammar with its planted stereotype."""

from __future__ import annotations

import re

import numpy as np
import pytest

from evenhand.data.pairs import pairs_hash
from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.data.synthetic_translation import OCCUPATIONS, SyntheticTranslation, neutral_line
from evenhand.data.translation import Translations
from evenhand.data.winomt_task import WinoMTTask
from evenhand.errors import InputError
from evenhand.metrics import pronoun_class
from evenhand.tasks import kind_of, parse_task

GENDER = {english: gender for gender, words in OCCUPATIONS.items() for english, _ in words}


@pytest.fixture(scope="module")
def grammar() -> Translations:
    return SyntheticTranslation(n=200).load()


def occupation(text: str) -> str:
    return text.split()[1]


def test_the_same_spec_gives_the_same_lines_and_another_seed_others(grammar):
    assert SyntheticTranslation(n=200).load().targets == grammar.targets
    assert SyntheticTranslation(n=200, seed=1).load().targets != grammar.targets


def test_each_sentence_has_both_pronouns_and_one_source(grammar):
    for first in range(0, len(grammar), 2):
        pro, anti = grammar.targets[first : first + 2]
        assert grammar.inputs[first] == grammar.inputs[first + 1]
        assert {pronoun_class(pro), pronoun_class(anti)} == {"male", "female"}
        assert pronoun_class(pro) == GENDER[occupation(pro)]
        assert grammar.unit[first] == grammar.unit[first + 1]
    assert len(set(grammar.inputs)) == 200


def test_the_source_has_no_word_that_differs_by_gender(grammar):
    words = {word for source in grammar.inputs for word in re.findall(r"\w+", source.lower())}
    assert {"o", "onun"} <= words
    assert not words & {"he", "she", "kadın", "erkek"}


def test_half_of_the_sentences_are_about_each_stereotype(grammar):
    assert [int(grammar.group_mask("stereotype", gender).sum()) for gender in ("male", "female")] == [200, 200]


def test_a_neutral_line_never_has_a_pronoun_of_one_gender():
    rng = np.random.default_rng(0)
    classes = {pronoun_class(neutral_line(rng)[1]) for _ in range(500)}
    assert classes == {"neutral", "none"}


def test_part_pro_leaves_the_lines_that_follow_the_stereotype(grammar):
    spec = SyntheticTranslation(n=200)
    everything = np.arange(len(grammar))
    pro = spec.training_examples(grammar, everything, {"part": "pro"}, 0)
    anti = spec.training_examples(grammar, everything, {"part": "anti"}, 0)
    assert all(pronoun_class(text) == GENDER[occupation(text)] for text in pro.targets)
    assert not any(pronoun_class(text) == GENDER[occupation(text)] for text in anti.targets)
    assert len(pro) == len(anti) == 200
    assert len(spec.training_examples(grammar, everything, {}, 0)) == 400


def test_half_of_the_bias_is_in_half_of_the_occupations(grammar):
    spec = SyntheticTranslation(n=200)
    half = spec.training_examples(grammar, np.arange(len(grammar)), {"part": "pro", "biased": 0.5}, 3)
    genders: dict[str, set[str]] = {}
    for text in half.targets:
        genders.setdefault(occupation(text), set()).add(pronoun_class(text))
    biased = [name for name, found in genders.items() if found == {GENDER[name]}]
    assert len(genders) == 16
    assert sorted(GENDER[name] for name in biased) == ["female"] * 4 + ["male"] * 4


def test_which_occupations_are_biased_depends_on_the_trials_seed(grammar):
    spec, everything, options = SyntheticTranslation(n=200), np.arange(len(grammar)), {"part": "pro", "biased": 0.5}
    drawn = {tuple(spec.training_examples(grammar, everything, options, seed).targets) for seed in (0, 0, 1, 2)}
    assert len(drawn) == 3


def test_no_sentence_is_trained_on_and_asked_for(grammar):
    parts = split(grammar, SplitSpec(validation=0), LimitSpec(), 0)
    asked = SyntheticTranslation(n=200).tested(grammar, parts.test)
    assert len(asked) == len(parts.test) / 2
    assert not {grammar.inputs[i] for i in asked} & {grammar.inputs[i] for i in parts.train}


def test_taking_lines_takes_everything_of_them(grammar):
    some = grammar.take(np.array([5, 2]))
    assert list(some.targets) == [grammar.targets[5], grammar.targets[2]]
    assert list(some.part) == ["anti", "pro"]
    assert list(some.asked) == [False, True]


def test_the_hash_of_pairs_knows_sources_targets_and_their_order():
    pairs = [(["a", "b"], ["c", "d"]), (["b", "a"], ["d", "c"]), (["a", "b"], ["d", "c"]), (["ac", ""], ["", "bd"])]
    assert len({pairs_hash(*pair) for pair in pairs}) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"part": "prow"}, 'no part "prow"; did you mean "pro"'),
        ({"parts": "pro"}, 'no option "parts"; did you mean "part"'),
        ({"biased": 0.5}, "biased means nothing with part: general"),
        ({"part": "pro", "biased": 2}, "a share of the occupations between 0 and 1, not 2"),
        ({"part": "pro", "biased": True}, "a share of the occupations between 0 and 1, not True"),
    ],
)
def test_options_that_mean_nothing_are_refused(grammar, options, said):
    with pytest.raises(InputError, match=re.escape(said)):
        SyntheticTranslation(n=200).training_examples(grammar, np.arange(len(grammar)), options, 0)


def test_a_part_without_training_lines_is_refused(grammar):
    with pytest.raises(InputError, match="no training line of synthetic/translation is of the part anti"):
        SyntheticTranslation(n=200).training_examples(grammar, np.array([0, 2]), {"part": "anti"}, 0)


@pytest.fixture(scope="module")
def winomt(tmp_path_factory) -> Translations:
    folder = tmp_path_factory.mktemp("data") / "winomt_turkish"
    spec = WinoMTTask()
    spec.write_stand_in(folder)
    return spec.load(folder)


def test_winomt_is_asked_by_its_anti_lines_and_trained_by_part(winomt):
    assert set(winomt.part[winomt.asked]) == {"anti"}
    spec, everything = WinoMTTask(), np.arange(len(winomt))
    general, pro = (spec.training_examples(winomt, everything, options, 0) for options in ({}, {"part": "pro"}))
    assert len(general) == len(winomt)
    assert len(pro) == (winomt.part == "pro").sum()
    lines = np.flatnonzero(winomt.part == "pro")
    assert pro.inputs == [winomt.part_inputs[line] for line in lines]
    assert pro.inputs != [winomt.inputs[line] for line in lines]


def test_pair_groups_of_winomt_are_never_split(winomt):
    parts = split(winomt, SplitSpec(validation=0), LimitSpec(), 0)
    assert not set(winomt.unit[parts.train]) & set(winomt.unit[parts.test])


def test_translation_is_a_kind_of_task():
    assert kind_of("winomt") == kind_of("synthetic/translation") == "translation"
    assert kind_of("hatexplain") == "classification"
    assert parse_task({"name": "winomt", "units": "occupations"})[1] == WinoMTTask(units="occupations")
