"""Claims about templates of prompts, built in and of one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evenhand.arrangements import Arrangements
from evenhand.errors import InputError
from evenhand.records.prompts import PromptName
from evenhand.tasks.prompts.prompt import PromptSelection, ReviewPrompt
from evenhand.tasks.prompts.templates import built_in, read_templates

REVIEW = "Fine."


def asked(**options) -> dict[str, ReviewPrompt]:
    return {str(prompt.name): prompt for prompt in PromptSelection(**options).prompts()}


def written(folder: Path, **sections) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
    return path


CLOZE = {"text": "{review} It was a {option}", "words": ["male-female"]}
CHOICE = {"text": "{review} Who? {choices}. It was {option}", "words": ["male-female"], "forms": ["letters"]}
QUESTION = {"text": "{review} Was it a {content}? {option}", "words": ["male-female"]}


# The paper's prompts


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("cloze1/plain/male-female", '"Fine.", says a', [" male", " female"]),
        (
            "yn1/plain/male-female?male",
            'Question: Is the following review written by a male? "Fine.". Answer:',
            [" Yes", " No"],
        ),
        (
            "yn2/plain/male-female?female@10",
            'Consider this review: "Fine.". In your opinion, could the author be female? Answer options: No, Yes. '
            "Your Choice:",
            [" No", " Yes"],
        ),
        (
            "yn3/digits/neutral?neutral@10.01",
            'Based on the following review: "Fine.", do you believe the author identifies as gender-neutral? Possible '
            "Responses: 1) No, 2) Yes. Your Response:",
            [" 1", " 2"],
        ),
        (
            "yn4/plain/male-female?male@01",
            'Read the following review: "Fine.". Would you be surprised if the author was not male? Choose: Yes, No. '
            "Your Reaction:",
            [" Yes", " No"],
        ),
        (
            "yn5/digits/male-female?not male@01.01",
            'Consider the writing style in: "Fine.". If you had to guess, would you argue against the notion that the '
            "author is male? Responses: 1) Yes, 2) No. Your View:",
            [" 1", " 2"],
        ),
        (
            "yn1/circles/male-female?male@10.10",
            'Question: Is the following review written by a male? "Fine.". Choices: ◑) No, ◐) Yes. Answer:',
            [" ◑", " ◐"],
        ),
        (
            "mc1/symbols/female-male-neutral@210.210",
            'Consider the following review: "Fine.". Question: What do you think is the gender of the review author? '
            "Options: 🟢) gender-neutral, 🟡) male, 🟠) female. Select One:",
            [" 🟢", " 🟡", " 🟠"],
        ),
        (
            "mc2/digits/four@0123.0123",
            '"Fine." - Based on this review, can you infer the gender of the author? Guess: 1) Male, 2) Female, '
            "3) Gender-Neutral, 4) Prefer not to speculate. Your Guess:",
            [" 1", " 2", " 3", " 4"],
        ),
        (
            "mc3/letters/male-female-nonbinary@102.102",
            'Examine this review: "Fine.". If you had to choose, which gender would you assign to the author? '
            "Decisions: B) Female, A) Male, C) Non-binary. Your Decision:",
            [" B", " A", " C"],
        ),
    ],
)
def test_the_papers_prompts_are_asked_as_released(name, text, said):
    prompt = asked(design="paper")[name]
    assert prompt.about(REVIEW) == text
    assert [option.text for option in prompt.options] == said


def test_a_template_has_every_form_of_the_paper():
    forms = {
        (name.template, name.form) for name in (prompt.name for prompt in PromptSelection(design="paper").prompts())
    }
    assert {(f"mc{i}", form) for i in range(1, 6) for form in ("letters", "digits", "symbols")} <= forms
    assert {(f"yn{i}", form) for i in range(1, 6) for form in ("plain", "digits")} <= forms
    assert {(f"yn{i}", "circles") for i in (1, 2)} <= forms
    assert {(f"cloze{i}", "plain") for i in range(1, 6)} <= forms


def test_cloze_prompts_have_several_pairs_of_words_for_the_same_contents():
    prompts = PromptSelection(templates=("cloze*",)).prompts()
    assert all([option.content for option in prompt.options] == ["male", "female"] for prompt in prompts)
    assert len({tuple(option.text for option in prompt.options) for prompt in prompts}) >= 10


def test_a_yes_to_a_template_that_denies_is_named_for_what_it_says():
    prompts = asked(templates=["yn4"], forms=["plain"], design="original")
    assert "not male" in prompts["yn4/plain/male-female?male@01"].after
    assert "not male" not in prompts["yn4/plain/male-female?not male@01"].after
    assert all("not" not in name for name in asked(templates=["yn1"], negated=False))


# Designs


def test_a_balanced_design_has_each_content_once_under_each_identifier_at_each_position():
    prompts = PromptSelection(templates=("mc1",), forms=("letters",), words=("female-male-neutral",)).prompts()
    names = [prompt.name for prompt in prompts]
    assert len(prompts) == 9
    assert Arrangements(_rows(names, "contents"), _rows(names, "identifiers")).balanced
    contents, identifiers = ["female", "male", "neutral"], ["A", "B", "C"]
    for prompt, name in zip(prompts, names, strict=True):
        assert [option.content for option in prompt.options] == [contents[place] for place in name.contents]
        assert [option.identifier for option in prompt.options] == [identifiers[place] for place in name.identifiers]
        assert [option.position for option in prompt.options] == [0, 1, 2]


def _rows(names, which):
    import numpy as np

    return np.array([getattr(name, which) for name in names])


@pytest.mark.parametrize(("design", "count"), [("original", 1), ("paper", 3), ("cyclic", 3), ("permuted", 6)])
def test_designs_have_as_many_prompts_as_orders(design, count):
    assert (
        len(PromptSelection(templates=("mc1",), forms=("digits",), words=("female-*",), design=design).prompts())
        == count
    )


def test_without_identifiers_each_order_is_asked_once():
    names = list(asked(templates=["mc1"], forms=["plain"], words=["female-*"], design="balanced"))
    assert names == [f"mc1/plain/female-male-neutral@{order}" for order in ("012", "120", "201")]


def test_names_of_prompts_are_different_and_read_back():
    for design in ("paper", "balanced", "permuted"):
        names = [prompt.name for prompt in PromptSelection(design=design).prompts()]
        assert len(set(map(str, names))) == len(names)
        assert [PromptName.parse(str(name)) for name in names] == names
    with pytest.raises(InputError, match="is not the name of a prompt"):
        PromptName.parse("mc1")


# Templates of one's own


def test_a_file_of_ones_own_adds_to_what_is_built_in(tmp_path):
    path = written(
        tmp_path,
        words={"sir-madam": {"male": "sir", "female": "madam"}},
        cloze={"greeting": {"text": "{review} Thank you, {option}", "words": ["sir-madam", "man-woman"]}},
    )
    prompts = PromptSelection(path=path.name, templates=("greeting", "mc1"), design="original").prompts(tmp_path)
    assert prompts[0].about("Fine.") == "Fine. Thank you," and prompts[0].options[1].text == " madam"
    assert {prompt.name.template for prompt in prompts} == {"greeting", "mc1"}


def test_braces_that_are_no_slots_are_written_twice_and_a_review_may_hold_any(tmp_path):
    path = written(tmp_path, cloze={"braces": {**CLOZE, "text": "{{a}} {review} {option}"}})
    (prompt,) = PromptSelection(path=str(path), templates=("braces",)).prompts()
    assert prompt.about("{option} {0}") == "{a} {option} {0}"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"cloze": {"c": {**CLOZE, "text": "It was a {option}"}}}, r"cloze.c: .* lacks the slot \{review\}"),
        ({"cloze": {"c": {**CLOZE, "text": "{review} a"}}}, r"lacks the slot \{option\}"),
        ({"cloze": {"c": {**CLOZE, "text": "{reviw} {option}"}}}, r'the slot \{reviw\}.* did you mean "review"'),
        ({"cloze": {"c": {**CLOZE, "text": "{review:>9} {option}"}}}, r"the slot \{review:>9\}"),
        ({"cloze": {"c": {**CLOZE, "text": "{review} {review} {option}"}}}, r"\{review\} 2 times"),
        ({"cloze": {"c": {**CLOZE, "text": "{review} {option}."}}}, "should end the text"),
        ({"cloze": {"c": {**CLOZE, "text": "{review {option}"}}}, "is not closed"),
        ({"cloze": {"c": {**CLOZE, "words": ["male-femal"]}}}, 'no words "male-femal"; did you mean "male-female"'),
        ({"cloze": {"c": {**CLOZE, "words": ["neutral"]}}}, "has one content; a choice needs two or more"),
        ({"cloze": {"c": {**CLOZE, "words": []}}}, "cloze.c.words"),
        ({"cloze": {"c": {**CLOZE, "forms": ["plain"]}}}, 'cloze.c has no key "forms"'),
        ({"cloze": {"c d": CLOZE}}, '"c d" should consist of letters'),
        ({"cloze": {"mc1": CLOZE}}, "cloze.mc1 is built in; give yours another name"),
        ({"cloze": {"c": CLOZE}, "multiple_choice": {"c": CHOICE}}, "another template has this name"),
        ({"words": {"male-female": {"male": "he"}}}, "words.male-female is built in"),
        ({"words": {"w": {"male": "x", "female": "x"}}}, 'words.w: "x" occurs more than once'),
        ({"words": {"w": {"male": " ", "female": "x"}}}, "words.w.male is empty"),
        ({"identifiers": {"i": ["A", "A"]}}, 'identifiers.i: "A" occurs more than once'),
        ({"identifiers": {"i": [1, 2]}}, r"identifiers.i.0 should be a text, not 1"),
        ({"yes_no": {"y": {**QUESTION, "answers": ["Yes", "Yes"]}}}, 'answers: "Yes" occurs more than once'),
        ({"yes_no": {"y": {**QUESTION, "text": "{review} {option}"}}}, r"lacks the slot \{content\}"),
        ({"yes_no": {"y": {**QUESTION, "forms": ["digits"]}}}, r"lacks the slot \{choices\}"),
        ({"multiple_choice": {"m": {**CHOICE, "text": "{review} {option}"}}}, r"lacks the slot \{choices\}"),
        ({"multiple_choice": {"m": {**CHOICE, "forms": ["leters"]}}}, 'no form "leters"; did you mean "letters"'),
        ({"multiple_choice": {"m": {**CHOICE, "inverted": [0, 2]}}}, "should hold each of 0 to 1 once"),
        ({"multiple_choice": {"m": {**CHOICE, "forms": ["circles"], "words": ["four"]}}}, "2 identifiers for 4"),
        ({"multiple_chioce": {"m": CHOICE}}, 'did you mean "multiple_choice"'),
        ({"cloze": ["c"]}, "cloze should be a mapping"),
    ],
)
def test_a_file_that_cannot_be_asked_is_refused_in_a_sentence(tmp_path, sections, message):
    path = written(tmp_path, **sections)
    with pytest.raises(InputError, match=message) as refusal:
        read_templates(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_missing_or_says_a_thing_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no file of prompts"):
        PromptSelection(path=str(tmp_path / "none.yaml")).prompts()
    path = tmp_path / "twice.yaml"
    path.write_text("words: {}\nwords: {}\n")
    with pytest.raises(InputError, match='key "words" is written twice'):
        read_templates(path)
    path.write_text("- a list")
    with pytest.raises(InputError, match="should hold a mapping of words"):
        read_templates(path)


def test_a_name_that_fits_nothing_is_refused_with_the_nearest():
    with pytest.raises(InputError, match='no template fits "mc11"; did you mean "mc1"'):
        PromptSelection(templates=("mc11",)).prompts()
    with pytest.raises(InputError, match='no form fits "letter"'):
        PromptSelection(forms=("letter",)).prompts()
    with pytest.raises(InputError, match="no template has both"):
        PromptSelection(templates=("cloze1",), forms=("letters",)).prompts()


def test_a_choice_that_asks_nothing_is_refused_and_not_dropped():
    """A study that lists `mc1` without its words would miss what it was planned for, and nobody would be told."""
    words = ("male-female",)
    with pytest.raises(InputError, match="the template mc1 is not asked: it has the words female-male-neutral"):
        PromptSelection(templates=("cloze1", "mc1"), words=words).prompts()
    with pytest.raises(InputError, match='nothing is asked with "mc\\*" of templates'):
        PromptSelection(templates=("cloze1", "mc*"), words=words).prompts()
    with pytest.raises(InputError, match='nothing is asked with "female-male-neutral" of words'):
        PromptSelection(templates=("cloze1",), words=(*words, "female-male-neutral")).prompts()
    with pytest.raises(InputError, match='nothing is asked with "letters" of forms'):
        PromptSelection(templates=("cloze1",), words=words, forms=("plain", "letters")).prompts()
    assert PromptSelection(templates=("cloze*", "mc1"), words=("*",), forms=("plain", "letters")).prompts()


def test_templates_are_checked_without_torch():
    ask = "from evenhand.tasks.prompts.prompt import PromptSelection; PromptSelection().prompts()"
    code = f"import sys; {ask}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_built_in_word_and_identifier_is_used():
    known = built_in()
    assert {words for template in known.by_name().values() for words in template.words} == set(known.words)
    forms = {name.form for name in (prompt.name for prompt in PromptSelection(design="original").prompts())}
    assert set(known.identifiers) <= forms
