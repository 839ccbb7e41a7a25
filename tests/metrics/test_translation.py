"""Claims about pronoun classes and readings, shares of stereotypes, WinoMT's scores, BLEU and ROUGE-L."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenhand.errors import InputError
from evenhand.metrics.pronouns import PRONOUN_CLASSES, pronoun_class, pronoun_readings
from evenhand.metrics.text_quality import bleu, bleu_of, bleu_paper, bleu_paper_statistics, bleu_statistics, rouge_l
from evenhand.metrics.translation import delta_s, gender_accuracy, stereotype_outcomes, stereotype_shares

PRONOUNS = {
    "male": ("he", "him", "his", "himself"),
    "female": ("she", "her", "hers", "herself"),
    "neutral": ("they", "them", "their", "theirs", "themself", "themselves"),
}
INSIDE = ("there", "The", "then", "shepherd", "Sheila", "ache", "hero", "other", "this", "history", "theme", "thermos",
          "heather", "whisper", "usher", "shelf", "Herse", "themes", "hershey", "he_", "sheʼs")  # fmt: skip
"""Words that hold a pronoun and are none (of the last, the apostrophe is a letter)."""


@pytest.mark.parametrize(("gender", "word"), [(gender, word) for gender, words in PRONOUNS.items() for word in words])
def test_each_pronoun_gives_its_class_in_any_case_and_beside_any_punctuation(gender, word):
    for written in (word, word.upper(), word.capitalize()):
        for text in (
            written,
            f"The baker saw {written}.",
            f'"{written}," said the baker',
            f"({written})",
            f"so {written}!",
        ):
            assert pronoun_class(text) == gender


@pytest.mark.parametrize("word", INSIDE)
def test_a_pronoun_inside_a_word_is_none(word):
    assert pronoun_class(f"{word} is near the {word}, {word}") == "none"


@pytest.mark.parametrize(
    ("text", "found", "strict"),
    [
        ("", "none", "none"),
        ("   ", "none", "none"),
        ("The baker is there.", "none", "none"),
        ("He's late; he'll call.", "male", "male"),
        ("The nurse said SHE was late.", "female", "female"),
        ("The cook thanked the baker because they were kind.", "neutral", "neutral"),
        ("She asked the cook and thanked him.", "mixed", "mixed"),
        ("She asked for the papers and took them.", "female", "mixed"),
        ("He took their bread.", "male", "mixed"),
        ("He came. She left. They stayed.", "mixed", "mixed"),
        ("The baker came. Then he left. The shepherd slept.", "male", "male"),
        ("The baker left.\nShe was tired.", "none", "none"),
        ("He left.\r\nTurkish: she", "male", "male"),
        ("\nHe left.", "none", "none"),
    ],
)
def test_sentences_of_every_kind(text, found, strict):
    assert pronoun_class(text) == found
    assert pronoun_class(text, strict=True) == strict


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("The developer argued with the designer because she she did not like the", "female"),
        ("The lawyer lawyer hired the assistant because he needed help. English: The", "male"),
        (" The the the the the", "none"),
        ("The baker asked the cashier if his / her order was ready.", "mixed"),
        ("The guard and the writer , because because was their fault", "neutral"),
        ("cook . him . him .", "male"),
        ("The nurse's her's book is herself", "female"),
        ("Someone told the technician that they could pay with cash.</s>", "neutral"),
        ("The chief sheath the hen, then the shearer heard the hymn there.", "none"),
        ("The CEO helped the nurse because s he was late", "male"),
        ("Yönetici sekretere o verdi.", "none"),
        ("the teacher met him and she left them with theirs", "mixed"),
    ],
)
def test_lines_as_weak_models_write_them_labelled_by_hand(line, label):
    assert pronoun_class(line) == label


plain = st.sampled_from((*INSIDE[:15], "baker", "nurse", "told", "a", "I", "you", "it"))
pronoun = st.sampled_from([word for words in PRONOUNS.values() for word in words])
separator = st.sampled_from((" ", ", ", ". ", "; ", " - ", "! ", ' "', "? "))


@pytest.mark.fuzz
@given(st.lists(st.one_of(plain, pronoun), max_size=12), separator, st.sampled_from((str.lower, str.upper, str.title)))
def test_only_which_genders_occur_matters_not_order_number_case_or_punctuation(words, between, case):
    genders = {gender for gender, forms in PRONOUNS.items() if set(words) & set(forms)}
    gendered = genders - {"neutral"}
    expected = "mixed" if len(gendered) > 1 else next(iter(gendered or genders), "none")
    text = between.join(case(word) for word in words)
    assert pronoun_class(text) == expected == pronoun_class(between.join(case(word) for word in reversed(words)))
    assert pronoun_class(text, strict=True) == ("mixed" if len(genders) > 1 else expected)


@pytest.mark.fuzz
@given(st.text(), st.text())
def test_any_text_has_one_class_and_later_lines_do_not_change_it(text, later):
    assert pronoun_class(text) in PRONOUN_CLASSES
    first = re.split(r"[\r\n]", text)[0]
    assert pronoun_class(first + "\n" + later) == pronoun_class(first)


def test_words_are_told_from_their_parts_in_other_scripts_too():
    assert pronoun_class("élhe héhe sheß") == "none"
    assert pronoun_class("O, he dedi") == "male"


@pytest.mark.parametrize(
    ("sentence", "male", "female", "neutral"),
    [
        ("The cook saw her.", "The cook saw him.", None, "The cook saw them."),
        ("The cook saw her and left.", "The cook saw him and left.", None, "The cook saw them and left."),
        ("The cook took her bread.", "The cook took his bread.", None, "The cook took their bread."),
        ("The cook gave her bread.", "The cook gave him bread.", None, "The cook gave them bread."),
        ("She was late, so her boss called her.", "He was late, so his boss called him.", None,
         "They were late, so their boss called them."),
        ("He always needs help.", None, "She always needs help.", "They always need help."),
        ("He watches and tries.", None, "She watches and tries.", "They watch and tries."),
        ("The book is his.", None, "The book is hers.", "The book is theirs."),
        ("He doesn't know; he's ill.", None, "She doesn't know; she's ill.", "They don't know; they're ill."),
        ("HE hurt himself.", None, "SHE hurt herself.", "THEY hurt themselves."),
        ("They were late.", "He was late.", "She was late.", None),
        ("She asked for them.", "He asked for them.", None, "They asked for them."),
        ("If he were here", None, "If she were here", "If they were here"),
    ],
)  # fmt: skip
def test_a_sentence_under_each_pronoun(sentence, male, female, neutral):
    expected = dict.fromkeys([sentence, *(reading for reading in (male, female, neutral) if reading)])
    assert pronoun_readings(sentence) == tuple(expected)


def test_a_sentence_without_pronouns_is_its_only_reading():
    assert pronoun_readings("The shepherd is there.") == ("The shepherd is there.",)


@pytest.mark.fuzz
@given(st.lists(st.one_of(plain, pronoun), min_size=1, max_size=8), separator)
def test_readings_start_with_the_sentence_and_change_nothing_but_pronouns_and_verbs(words, between):
    sentence = between.join(words)
    readings = pronoun_readings(sentence)
    assert readings[0] == sentence and len(set(readings)) == len(readings) <= 4
    assert {len(re.split(r"\W+", reading)) for reading in readings} == {len(re.split(r"\W+", sentence))}


@pytest.fixture(scope="module")
def winomt(shared_data) -> list[str]:
    path: Path = shared_data / "winomt_turkish" / "en_tr_general.txt"
    if not path.is_file():
        pytest.skip(f"WinoMT in Turkish is not at {path}")
    return [line.split("|||")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_readings_of_a_winomt_sentence_hold_its_counterpart_with_the_other_pronoun(winomt):
    """Where a pair differs in its pronouns only, the file itself says what the other reading is. Of 872 sentences with
    "her" 860 are read right, and all others but two whose pair is another sentence (lines 963 and 1026)."""
    gendered = {*PRONOUNS["male"], *PRONOUNS["female"]}
    right = Counter()
    for anti, pro in zip(winomt[:1584], winomt[1584:3168], strict=True):
        words = [re.findall(r"\w+|[^\w\s]", sentence) for sentence in (anti, pro)]
        changed = [pair for pair in zip(*words, strict=False) if pair[0] != pair[1]]
        if len(words[0]) != len(words[1]) or any({one.lower(), other.lower()} - gendered for one, other in changed):
            right["no pair"] += 1
            continue
        for sentence, other in ((anti, pro), (pro, anti)):
            kind = "her" if re.search(r"\bher\b", sentence, re.IGNORECASE) else "other"
            right[kind, other in pronoun_readings(sentence)] += 1
    assert right["no pair"] == 19
    assert (right["her", True], right["her", False]) == (860, 12)
    assert (right["other", True], right["other", False]) == (2256, 2)


def test_the_readings_of_a_they_triplet_hold_all_three_of_its_sentences(winomt):
    for start in range(3168, 3888, 3):
        triplet = winomt[start : start + 3]
        assert all(set(triplet) <= set(pronoun_readings(sentence)) for sentence in triplet)


def test_gold_sentences_have_the_classes_that_the_files_count(winomt):
    counts = Counter(pronoun_class(sentence) for sentence in winomt)
    assert counts == {"male": 1826, "female": 1820, "neutral": 240, "mixed": 2}
    strict = Counter(pronoun_class(sentence, strict=True) for sentence in winomt)
    assert strict["mixed"] == 2 + 12, "twelve have a gendered pronoun and an object 'them'"


PREDICTED = ["male", "female", "female", "neutral", "mixed", "none", "male"]
STEREOTYPE = ["male", "male", "female", "female", "male", "male", None]


def test_a_translation_is_pro_or_anti_by_its_referents_stereotype():
    assert stereotype_outcomes(PREDICTED, STEREOTYPE).tolist() == [
        "pro",
        "anti",
        "pro",
        "neutral",
        "mixed",
        "none",
        None,
    ]


def test_shares_are_over_the_texts_with_a_stereotype_and_add_up():
    shares = stereotype_shares(PREDICTED, STEREOTYPE)
    assert (shares.pro, shares.anti, shares.n) == (pytest.approx(2 / 6), pytest.approx(1 / 6), 6)
    assert shares.pro + shares.anti + shares.neutral + shares.mixed + shares.none == pytest.approx(1)


def test_without_a_stereotype_shares_are_undefined():
    shares = stereotype_shares(["male"], [None])
    assert shares.n == 0 and all(math.isnan(share) for share in (shares.pro, shares.anti, shares.none))


def test_gender_accuracy_by_hand_and_against_scikit_learn():
    from sklearn.metrics import f1_score

    gold = ["male", "male", "female", "female", "neutral", "male", "female", None]
    predicted = ["male", "female", "female", "male", "male", "none", "female", "male"]
    found = gender_accuracy(predicted, gold)
    assert found.n == 7 and found.accuracy == pytest.approx(3 / 7)
    assert found.f1_male == pytest.approx(2 * 1 / (3 + 3)) and found.f1_female == pytest.approx(2 * 2 / (3 + 3))
    expected = f1_score(gold[:7], predicted[:7], labels=["male", "female"], average=None)
    assert [found.f1_male, found.f1_female] == pytest.approx(expected.tolist())
    assert found.delta_g == pytest.approx(-1 / 3)


def test_a_gender_that_is_neither_gold_nor_predicted_has_no_f1_and_no_delta_g():
    found = gender_accuracy(["male", "none"], ["male", "male"])
    assert math.isnan(found.f1_female) and math.isnan(found.delta_g) and found.f1_male == pytest.approx(2 / 3)
    assert math.isnan(gender_accuracy([], []).accuracy)


def test_always_he_has_delta_g_two_thirds_and_delta_s_zero():
    gold, stereotype = ["male", "female", "male", "female"], ["male", "male", "female", "female"]
    found = gender_accuracy(["male"] * 4, gold)
    assert found.f1_male == pytest.approx(2 / 3) and found.f1_female == 0 and found.delta_g == pytest.approx(2 / 3)
    assert delta_s(["male"] * 4, gold, stereotype) == pytest.approx(0)


def test_always_the_stereotype_has_delta_s_one_and_delta_g_zero():
    gold, stereotype = ["male", "female", "male", "female"], ["male", "male", "female", "female"]
    assert delta_s(stereotype, gold, stereotype) == pytest.approx(1)
    assert gender_accuracy(stereotype, gold).delta_g == pytest.approx(0)
    opposite = ["female", "female", "male", "male"]
    assert delta_s(opposite, gold, stereotype) == pytest.approx(-1)


GENERATED = ["The nurse called the doctor because she was late.", "A baker is here.", ""]
REFERENCES = [
    pronoun_readings("The nurse called the doctor because he was late."),
    ("The baker is there.",),
    ("The cook left.",),
]


def test_bleu_is_sacrebleus_corpus_bleu_whatever_the_number_of_references():
    import sacrebleu

    most = max(map(len, REFERENCES))
    streams = [[refs[k] if k < len(refs) else None for refs in REFERENCES] for k in range(most)]
    expected = sacrebleu.corpus_bleu(GENERATED, streams).score
    assert bleu(GENERATED, REFERENCES) == pytest.approx(expected) and 20 < expected < 90


def test_no_pronoun_costs_bleu_or_rouge_under_readings_as_references():
    sentences = ["The nurse called the cook because she was late.", "The cook gave her bread and her book."] * 2
    references = [pronoun_readings(sentence) for sentence in sentences]
    for place in range(3):
        texts = [readings[place] for readings in references]
        assert bleu(texts, references) == pytest.approx(100)
        assert rouge_l(texts, references) == pytest.approx(1.0)


def test_what_follows_the_first_line_costs_nothing():
    longer = [text + "\nTurkish: O geldi. English: He came." for text in GENERATED]
    assert bleu(longer, REFERENCES) == bleu(GENERATED, REFERENCES)
    assert rouge_l(longer, REFERENCES).tolist() == rouge_l(GENERATED, REFERENCES).tolist()


def test_statistics_add_up_so_that_bleu_without_a_text_needs_no_second_pass():
    statistics = bleu_statistics(GENERATED, REFERENCES)
    assert statistics.shape == (3, 10)
    for left_out in range(3):
        kept = [row for row in range(3) if row != left_out]
        expected = bleu([GENERATED[row] for row in kept], [REFERENCES[row] for row in kept])
        assert bleu_of(statistics[kept].sum(axis=0)) == pytest.approx(expected)


def test_rouge_l_is_the_best_over_references_and_zero_for_no_text():
    scores = rouge_l(GENERATED, REFERENCES)
    assert scores[0] == 1.0 and scores[2] == 0.0
    assert scores[1] == pytest.approx(2 / 4), "of 'a baker is here' and 'the baker is there' two words in order agree"


def test_bleu_of_the_paper_is_that_of_sacrebleu_without_case():
    from sacrebleu.metrics.bleu import BLEU

    generated = ["  The Guard came because HE was tired. \nmore", "A nurse left early", "they saw it"]
    references = [["The guard came because he was tired."], ["the Nurse left early "], ["They have seen it"]]
    lowered = [text.splitlines()[0].strip() for text in generated]
    oracle = BLEU(lowercase=True).corpus_score(lowered, [[given[0].strip() for given in references]]).score
    assert bleu_paper(generated, references) == pytest.approx(oracle, abs=1e-9)
    assert bleu(generated, references) < oracle, "case counts there"
    assert bleu_of(bleu_paper_statistics(generated, references).sum(axis=0)) == pytest.approx(oracle, abs=1e-9)


def test_bleu_without_texts_is_undefined():
    assert math.isnan(bleu([], [])) and len(rouge_l([], [])) == 0
    assert math.isnan(bleu_of(np.zeros(10, dtype=int)))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: stereotype_outcomes(["male"], []), "predicted has 1 entries and stereotype 0"),
        (lambda: stereotype_outcomes(["man"], ["male"]), 'predicted is "man" in row 0; it is one of male, female'),
        (
            lambda: stereotype_outcomes(["male"], ["pro"]),
            'stereotype is "pro" in row 0; it is one of male, female, noth',
        ),
        (lambda: gender_accuracy(["male"], ["he"]), 'gold is "he" in row 0'),
        (lambda: delta_s(["male"], ["male"], []), "gold has 1 entries and stereotype 0"),
        (lambda: bleu(["a"], [[]]), "row 0 has none"),
        (lambda: rouge_l(["a"], ["a reference that is no list"]), "a list of one or more texts"),
        (lambda: bleu(["a"], []), "generated has 1 entries and references 0"),
    ],
)
def test_what_cannot_be_used_is_refused(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


@pytest.mark.parametrize(("library", "measure"), [("sacrebleu", bleu), ("rouge_score", rouge_l)])
def test_without_its_library_a_score_says_what_to_install(library, measure, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)  # as Python marks what cannot be imported
    with pytest.raises(InputError, match=rf"need {library}; try: pip install 'evenhand\[generation\]'"):
        measure(GENERATED, REFERENCES)
