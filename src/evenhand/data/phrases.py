"""Writes template sentences for the built-in posts and for pre-training the tiny language models.

A post consists of a few clauses. Each cue clause praises or complains, with one adjective and sometimes a negation;
each filler clause does neither. A post's topic determines only its nouns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "food": (
        ("soup", "çorba"), ("bread", "ekmek"), ("rice", "pilav"), ("salad", "salata"), ("coffee", "kahve"),
        ("cake", "pasta"), ("fish", "balık"), ("cheese", "peynir"), ("kitchen", "mutfak"), ("dinner", "yemek"),
    ),
    "travel": (
        ("train", "tren"), ("hotel", "otel"), ("bridge", "köprü"), ("island", "ada"), ("ticket", "bilet"),
        ("ferry", "vapur"), ("suitcase", "bavul"), ("road", "yol"), ("harbour", "liman"), ("journey", "yolculuk"),
    ),
    "music": (
        ("song", "şarkı"), ("concert", "konser"), ("violin", "keman"), ("drum", "davul"), ("choir", "koro"),
        ("singer", "şarkıcı"), ("piano", "piyano"), ("stage", "sahne"), ("dance", "dans"), ("melody", "ezgi"),
    ),
    "garden": (
        ("rose", "gül"), ("tree", "ağaç"), ("lawn", "çimen"), ("seed", "tohum"), ("pond", "havuz"),
        ("fence", "çit"), ("apple", "elma"), ("spade", "kürek"), ("flower", "çiçek"), ("bench", "bank"),
    ),
}  # fmt: skip
"""Nouns by topic, in English and Turkish."""

PRAISE: tuple[tuple[str, str], ...] = (
    ("lovely", "hoş"), ("wonderful", "harika"), ("excellent", "mükemmel"), ("charming", "sevimli"),
    ("pleasant", "tatlı"), ("brilliant", "parlak"), ("perfect", "kusursuz"), ("great", "muhteşem"),
    ("good", "iyi"), ("neat", "düzenli"), ("cheerful", "neşeli"), ("beautiful", "güzel"),
)  # fmt: skip
COMPLAINT: tuple[tuple[str, str], ...] = (
    ("awful", "berbat"), ("dreadful", "korkunç"), ("terrible", "felaket"), ("boring", "sıkıcı"),
    ("poor", "zayıf"), ("bad", "kötü"), ("broken", "bozuk"), ("messy", "dağınık"),
    ("gloomy", "kasvetli"), ("useless", "yararsız"), ("careless", "özensiz"), ("ugly", "çirkin"),
)  # fmt: skip

SAID = {
    "english": (
        "the {noun} was {word}",
        "we found the {noun} {word}",
        "what a {word} {noun}",
        "the {noun} seemed {word} to me",
        "everyone called the {noun} {word}",
    ),
    "turkish": (
        "{noun} çok {word}",
        "bence {noun} {word} idi",
        "{noun} bana {word} geldi",
        "herkes {noun} için {word} dedi",
    ),
}
DENIED = {
    "english": ("the {noun} was not {word}", "nobody called the {noun} {word}", "we never found the {noun} {word}"),
    "turkish": ("{noun} hiç {word} değil", "kimse {noun} için {word} demedi"),
}
FILLERS = {
    "english": (
        "we came for the {noun} on {day}",
        "my {friend} told me about the {noun}",
        "there were {number} of us near the {noun}",
        "it rained on {day}",
        "we stayed until {number}",
        "the {noun} was the same as last time",
    ),
    "turkish": (
        "{day} günü {noun} için geldik",
        "{friend} bana {noun} hakkında konuştu",
        "orada {number} kişiydik",
        "{day} günü yağmur yağdı",
        "İzmir ve Iğdır arasında {noun} gördüm",
    ),
}
OTHERS = {
    "english": {
        "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        "friend": ("friend", "sister", "brother", "neighbour", "teacher", "doctor", "cousin", "aunt", "uncle"),
        "number": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    },
    "turkish": {
        "day": ("Pazartesi", "Salı", "Çarşamba", "Perşembe", "Cuma", "Cumartesi", "Pazar"),
        "friend": ("arkadaşım", "ablam", "kardeşim", "komşum", "öğretmenim", "doktor", "kuzenim", "teyzem", "amcam"),
        "number": ("iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz", "on"),
    },
}
HEADINGS = ("news", "letters", "notes", "weather", "sport", "books")
"""Headings of texts without a topic, in the place where a post names its topic."""
SIGN_OFFS = ("sent from my desk.", "sent from my phone.")
"""Sign-offs of posts; they carry no information unless a shortcut is planted."""

Language = Literal["english", "turkish"]


def post(rng: np.random.Generator, topic: str, praise: bool, ending: int) -> str:
    """Return a post whose cue clauses mostly praise, or mostly complain; a tie never occurs.

    It has one, three or five cues, up to two of which say the opposite, and up to four fillers, in any order.

    Args:
        rng: random numbers, used in the same way for all values of `topic`, `praise` and `ending`.
        topic: a key of `NOUNS`.
        praise: whether most cues praise.
        ending: index into `SIGN_OFFS`.
    """
    cues = int(rng.choice([1, 3, 5], p=[0.4, 0.4, 0.2]))
    against = int(rng.integers(0, cues // 2 + 1))
    moods = [praise] * (cues - against) + [not praise] * against
    kinds: list[bool | None] = [*moods, *[None] * int(rng.integers(0, 5))]
    nouns = [english for english, _ in NOUNS[topic]]
    text = _text(rng, [kinds[i] for i in rng.permutation(len(kinds))], nouns, "english")
    return f"{topic}: {text} {SIGN_OFFS[ending]}"


def topic_free_text(rng: np.random.Generator, language: Language) -> tuple[str, tuple[float, ...]]:
    """Return a text with nouns of all topics, and the parameters that describe it.

    Returns:
        The text, and its parameters, each between -1 and 1: the balance of its cues (1: all praise; 0: no cues), its
        length, its language (1: Turkish), its sign-off (0: none), and for each of `HEADINGS` whether the text has it
        (1) or not (0).
    """
    mood = rng.random()
    kinds = [None if rng.random() < 0.35 else bool(rng.random() < mood) for _ in range(int(rng.integers(1, 7)))]
    column = 0 if language == "english" else 1
    text = _text(rng, kinds, [pair[column] for pairs in NOUNS.values() for pair in pairs], language)
    heading = int(rng.integers(len(HEADINGS)))
    ending = int(rng.integers(2)) if language == "english" and rng.random() < 0.5 else None
    cues = [1 if kind else -1 for kind in kinds if kind is not None]
    parameters = (
        sum(cues) / max(len(cues), 1),
        len(kinds) / 3 - 1,
        2.0 * column - 1,
        0.0 if ending is None else 2.0 * ending - 1,
        *(float(place == heading) for place in range(len(HEADINGS))),
    )
    return f"{HEADINGS[heading]}: {text}" + ("" if ending is None else f" {SIGN_OFFS[ending]}"), parameters


def every_sentence() -> list[str]:
    """Return every template with every word once, in both languages, as training text for the tokenizer."""
    said = []
    for column, language in enumerate(("english", "turkish")):
        nouns = [pair[column] for pairs in NOUNS.values() for pair in pairs]
        for place, word in enumerate(pair[column] for pair in (*PRAISE, *COMPLAINT)):
            for template in (*SAID[language], *DENIED[language]):
                said.append(template.format(noun=nouns[place % len(nouns)], word=word) + ".")
        for place, noun in enumerate(nouns):
            for template in FILLERS[language]:
                values = {name: words[place % len(words)] for name, words in OTHERS[language].items()}
                said.append(template.format(noun=noun, **values) + ".")
    return [*said, *SIGN_OFFS, *(f"{heading}: " for heading in (*NOUNS, *HEADINGS))]


def _text(rng: np.random.Generator, kinds: Sequence[bool | None], nouns: Sequence[str], language: Language) -> str:
    """Return clauses that praise (True), complain (False) or do neither (None)."""
    column = 0 if language == "english" else 1
    clauses = []
    for kind in kinds:
        values = {name: _draw(rng, words) for name, words in OTHERS[language].items()}
        noun, denied, place = _draw(rng, nouns), bool(rng.random() < 0.15), int(rng.integers(len(PRAISE)))
        if kind is None:
            template = _draw(rng, FILLERS[language])
            clauses.append(template.format(noun=noun, **values))
        else:
            template = _draw(rng, (DENIED if denied else SAID)[language])
            words = PRAISE if kind != denied else COMPLAINT
            clauses.append(template.format(noun=noun, word=words[place][column]))
    return " ".join(f"{clause}." for clause in clauses)


def _draw(rng: np.random.Generator, words: Sequence[str]) -> str:
    """Draw one of the words."""
    return words[int(rng.integers(len(words)))]
