"""Makes the built-in translation task from a small grammar of Turkish and English, with a planted stereotype.

Turkish `o` means he, she and it, and `onun` means his, her and its, so the source never shows the gender. Each sentence
about an occupation comes twice, with the same Turkish: once with the pronoun of the occupation's planted gender (`pro`)
and once with the other pronoun (`anti`). Half of the occupations have each planted gender.

The neutral lines say the same things about animals and about several people, so that a model can learn the language
from them without ever seeing a gendered pronoun.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from evenhand.data.dataset import Attribute, Dataset
from evenhand.data.pairs import TrainingPairs
from evenhand.data.translation import Translations, TranslationSpec, in_part, training_pairs
from evenhand.errors import InputError, did_you_mean
from evenhand.seeds import generator

WordPair = tuple[str, str]
"""English, Turkish."""

OCCUPATIONS: Mapping[str, tuple[WordPair, ...]] = {
    "male": (
        ("baker", "fırıncı"), ("miller", "değirmenci"), ("smith", "demirci"), ("sailor", "denizci"),
        ("guard", "bekçi"), ("hunter", "avcı"), ("painter", "boyacı"), ("driver", "şoför"),
    ),
    "female": (
        ("weaver", "dokumacı"), ("florist", "çiçekçi"), ("nurse", "hemşire"), ("cook", "aşçı"),
        ("singer", "şarkıcı"), ("tailor", "terzi"), ("teacher", "öğretmen"), ("cleaner", "temizlikçi"),
    ),
}  # fmt: skip
"""Occupations by their planted gender."""

_ACTS: tuple[WordPair, ...] = (
    ("came", "geldi"), ("waited", "bekledi"), ("laughed", "güldü"), ("left", "gitti"),
    ("slept", "uyudu"), ("cried", "ağladı"), ("ran", "koştu"), ("sat", "oturdu"),
)  # fmt: skip
_STATES: tuple[WordPair, ...] = (
    ("tired", "yorgundu"), ("happy", "mutluydu"), ("hungry", "açtı"), ("ill", "hastaydı"),
    ("sad", "üzgündü"), ("angry", "kızgındı"), ("ready", "hazırdı"), ("cold", "üşüdü"),
)  # fmt: skip
_ANIMALS: tuple[tuple[str, str, str], ...] = (
    ("cat", "kedi", "kedisi"), ("dog", "köpek", "köpeği"), ("horse", "at", "atı"), ("goat", "keçi", "keçisi"),
)  # fmt: skip
"""English, Turkish, and the Turkish possessive form."""

_PRONOUNS = {"male": ("he", "his"), "female": ("she", "her")}
_OPPOSITE = {"male": "female", "female": "male"}


def sentence(
    someone: WordPair, act: WordPair, state: WordPair, animal: WordPair | None, pronouns: WordPair
) -> tuple[str, str]:
    """Return a sentence about someone with an occupation, in Turkish and English.

    Args:
        someone: the occupation.
        act: what they did.
        state: why they did it; if there is an `animal`, its state.
        animal: an animal of theirs, in English and in the Turkish possessive form.
        pronouns: subject and possessive.

    Returns:
        Turkish and English.
    """
    if animal is None:
        english = f"The {someone[0]} {act[0]} because {pronouns[0]} was {state[0]}."
        return _capitalized(f"{someone[1]} {act[1]} çünkü o {state[1]}."), english
    english = f"The {someone[0]} {act[0]} and {pronouns[1]} {animal[0]} was {state[0]}."
    return _capitalized(f"{someone[1]} {act[1]} ve onun {animal[1]} {state[1]}."), english


def neutral_line(rng: np.random.Generator) -> tuple[str, str]:
    """Draw a line without a gendered pronoun, in Turkish and English, to teach a base model the language.

    It is about an animal (it, its), about several people (they, their), or without a pronoun.
    """
    everybody = [*OCCUPATIONS["male"], *OCCUPATIONS["female"]]
    someone, act, state = (_draw(rng, words) for words in (everybody, _ACTS, _STATES))
    animal, kind, owned = _draw(rng, _ANIMALS)
    other = _draw(rng, _ANIMALS)
    match int(rng.integers(6)):
        case 0:
            line = sentence((animal, kind), act, state, None, ("it", "its"))
        case 1:
            line = sentence((animal, kind), act, state, (other[0], other[2]), ("it", "its"))
        case 2:
            line = (
                f"{_plural(someone[1])} {act[1]} çünkü onlar {state[1]}.",
                f"The {someone[0]}s {act[0]} because they were {state[0]}.",
            )
        case 3:
            line = (
                f"{_plural(someone[1])} {act[1]} ve onların {owned} {state[1]}.",
                f"The {someone[0]}s {act[0]} and their {animal} was {state[0]}.",
            )
        case 4:
            line = (
                f"{someone[1]} {act[1]} çünkü {kind} {state[1]}.",
                f"The {someone[0]} {act[0]} because the {animal} was {state[0]}.",
            )
        case _:
            line = (
                f"{someone[1]} {act[1]} ve {kind} {state[1]}.",
                f"The {someone[0]} {act[0]} and the {animal} was {state[0]}.",
            )
    return _capitalized(line[0]), line[1]


class SyntheticTranslation(TranslationSpec):
    """Sentences about occupations, each with both pronouns.

    As options of a method's `data:`, `part: pro` keeps the lines that follow the stereotype, and `part: anti` those
    that contradict it. With `biased: 0.5`, this applies only to half of the occupations of each gender, drawn under
    the trial's seed; for the other occupations both lines are kept.

    Attributes:
        n: number of sentences, each of which has two lines and is a unit. Half are about occupations of planted male
            gender.
        seed: seed of the sentences. They are the same for every trial, whatever its seed.
    """

    named: ClassVar[str] = "synthetic/translation"

    n: int = Field(default=800, ge=32, le=len(_ACTS) * len(_STATES) * (1 + len(_ANIMALS)) * 16)
    seed: int = 0

    def load(self, folder: Path | None = None) -> Translations:
        """Make the lines; `folder` is not needed. The same spec always gives the same lines.

        Tests use the pro line of each sentence: the anti line has the same source.
        """
        drawn = [(gender, *line) for gender in OCCUPATIONS for line in self._sentences(gender)]
        sources, targets, stereotype, unit = [], [], [], []
        for number, (gender, source, texts) in enumerate(drawn):
            for spoken in (gender, _OPPOSITE[gender]):
                sources.append(source)
                targets.append(texts[spoken])
                stereotype.append(gender)
                unit.append(f"sentence-{number:04d}")
        part = np.array(["pro", "anti"] * len(drawn), dtype=object)
        return Translations(
            name=self.named,
            modality="text",
            inputs=sources,
            labels=np.array([list(OCCUPATIONS).index(gender) for gender in stereotype], dtype=np.int64),
            classes=tuple(OCCUPATIONS),
            example=np.array([f"{name}-{which}" for name, which in zip(unit, part, strict=True)], dtype=object),
            attributes={"stereotype": Attribute.from_values(stereotype)},
            unit=np.array(unit, dtype=object),
            notes=(
                f"{len(drawn):,} sentences of a grammar, each with both pronouns and one Turkish source; the genders "
                "of occupations are planted",
            ),
            targets=targets,
            part=part,
            asked=part == "pro",
            # "The baker ...": each sentence begins with its occupation.
            about=np.array([target.split()[1] for target in targets], dtype=object),
        )

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingPairs:
        """Return the training lines of a part, which may apply only to the share `biased` of each gender's occupations.

        Raises:
            InputError: see `TranslationSpec.training_examples`; a share outside 0 to 1, or of the part `general`.
        """
        assert isinstance(dataset, Translations)
        known = ("part", "biased")
        for key in options:
            if key not in known:
                raise InputError(f'data: {dataset.name} has no option "{key}"; {did_you_mean(str(key), known)}')
        inside = in_part(dataset, index, options)
        if "biased" in options:
            share = options["biased"]
            if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
                raise InputError(f"data: biased is a share of the occupations between 0 and 1, not {share!r}")
            if options.get("part", "general") == "general":
                raise InputError("data: biased means nothing with part: general; set part to pro or anti")
            inside |= ~np.isin(dataset.about[index].astype(str), _biased_occupations(float(share), seed))
        return training_pairs(dataset, index[inside], options)

    def _sentences(self, gender: str) -> list[tuple[str, Mapping[str, str]]]:
        """Draw half of the sentences: the source, and the English for each gender of the pronoun."""
        rng = generator(self.seed, self.named, gender)
        animals = [None, *((english, owned) for english, _, owned in _ANIMALS)]
        every = list(product(OCCUPATIONS[gender], _ACTS, _STATES, animals))
        count = self.n // 2 if gender == "female" else self.n - self.n // 2
        sentences = []
        for position in rng.permutation(len(every))[:count]:
            words = every[int(position)]
            texts = {spoken: sentence(*words, _PRONOUNS[spoken])[1] for spoken in _PRONOUNS}
            sentences.append((sentence(*words, _PRONOUNS[gender])[0], texts))
        return sentences


def _biased_occupations(share: float, seed: int) -> list[str]:
    """Draw that share of each gender's occupations under the trial's seed."""
    occupations = []
    for gender, words in OCCUPATIONS.items():
        rng = generator(seed, "biased", gender)
        occupations += [
            words[int(position)][0] for position in rng.permutation(len(words))[: round(share * len(words))]
        ]
    return occupations


def _plural(word: str) -> str:
    """Return the Turkish plural of an occupation, by vowel harmony."""
    last = next(letter for letter in reversed(word) if letter in "aıoueiöü")
    return word + ("lar" if last in "aıou" else "ler")


def _capitalized(text: str) -> str:
    """Return the text with a capital first letter, by Turkish rules."""
    return ("İ" if text[0] == "i" else text[0].upper()) + text[1:]


def _draw(rng: np.random.Generator, words: Any) -> Any:
    """Draw one of the words."""
    return words[int(rng.integers(len(words)))]
