"""Third-person pronouns in English: the gender of a text's pronouns, and variants with other pronouns."""

from __future__ import annotations

import re
from typing import Literal, get_args

PronounClass = Literal["male", "female", "neutral", "mixed", "none"]
PRONOUN_CLASSES: tuple[PronounClass, ...] = get_args(PronounClass)

_ROLES: dict[str, tuple[str, str, str]] = {
    "subject": ("he", "she", "they"),
    "object": ("him", "her", "them"),
    "possessive": ("his", "her", "their"),  # his book
    "absolute": ("his", "hers", "theirs"),  # the book is his
    "reflexive": ("himself", "herself", "themselves"),
}
_MALE, _FEMALE, _NEUTRAL = ({forms[place] for forms in _ROLES.values()} for place in range(3))
_NEUTRAL.add("themself")

_ROLE = {form: role for role, forms in _ROLES.items() for form in forms if form not in ("her", "his")}
_ROLE["themself"] = "reflexive"

_CONNECTIVES = """
    and although because but if nor or so than that though unless whereas while yet
    how what when where whether which who whom whose why
    about across after against along among around as at before behind below beneath beside between beyond by despite
    during except for from in inside into like near of off on onto out outside over since through throughout till to
    toward towards under until up upon via with within without
    am are be been being can could did do does go had has have is know may might must shall should was were will would
"""
"""Conjunctions, wh-words, prepositions, verbs. Before them "his" stands alone and "her" is an object."""

_NEVER_POSSESSED = """
    a all an another any anybody anyone anything both each either every few half he her him his i it its me my neither
    no nobody nothing one our she some somebody someone something the their them these they this those us we you your
    again ago almost already also always anyway anyways anywhere away back badly down even ever here home instead just
    less maybe never not now often once otherwise really soon still then there today together tomorrow too twice very
    well yesterday
"""
"""Determiners, pronouns, adverbs: no possessed noun phrase begins with them. Before them, too, "her" is an object."""

_AFTER_ALONE = {
    "his": frozenset(_CONNECTIVES.split()),
    "her": frozenset((_CONNECTIVES + _NEVER_POSSESSED).split()),
}

_TAKES_A_PERSON = re.compile(
    "(give|charge|provide)[sd]?|gave|giving|(show|offer|help)(s|ed|ing)?|wish(es|ed)?|lets?|letting|makes?|made|making|"
    "tells?|told|telling|treat(s|ed)?"
)
"""Verbs with two objects: after them "her" is an object, even if a noun follows ("gave her advice")."""

_PLURAL = {"was": "were", "is": "are", "has": "have", "does": "do"}
_PLURAL |= {verb + "n": plural + "n" for verb, plural in _PLURAL.items()} | {"doesn": "don"}  # before "'t"
"""Verbs after "he" or "she", and after "they"."""
_SINGULAR = {plural: verb for verb, plural in _PLURAL.items()}
_BEFORE_VERB = re.compile(r"always|also|just|never|now|often|only|still|[a-z]+ly")


def first_line(text: str) -> str:
    """The text up to its first line break; text after it is not part of the translation."""
    return re.split(r"[\r\n]", text, maxsplit=1)[0]


def pronoun_class(text: str, strict: bool = False) -> PronounClass:
    """The gender of a text's pronouns, from the whole words of its first line, in upper or lower case.

    male: he, him, his, himself. female: she, her, hers, herself. neutral: they, them, their, theirs, themself,
    themselves. Both genders: `mixed`. One gender and a neutral pronoun: that gender, because "them" mostly refers to
    something else ("she asked for them"). No pronoun, or no text: `none`.

    Args:
        text: the generated text.
        strict: whether one gender with a neutral pronoun is `mixed`, too.

    Source: Ding et al., "On Fairness of Low-Rank Adaptation of Large Models" (2024), who search for the same words.

    Example:
        >>> from evenhand.metrics import pronoun_class
        >>> pronoun_class("She asked for them."), pronoun_class("She asked for them.", strict=True)
        ('female', 'mixed')
    """
    words = set(re.findall(r"\w+", first_line(text).lower()))
    male, female, neutral = (bool(words & forms) for forms in (_MALE, _FEMALE, _NEUTRAL))
    if (male and female) or (strict and neutral and (male or female)):
        return "mixed"
    if male or female:
        return "male" if male else "female"
    return "neutral" if neutral else "none"


def pronoun_readings(sentence: str) -> tuple[str, ...]:
    """The sentence and its masculine, feminine and neutral readings: references for a source without gender.

    In a sentence with "he" or "she" these pronouns change, and "they" or "them" does not. In a sentence with only
    neutral pronouns, those change. "her" becomes "him" or "his", depending on its role: it is a possessive if the next
    word can begin a noun phrase (and is not an article, a preposition, a conjunction, …), unless a verb such as "gave"
    or "told" precedes it; otherwise it is an object. "his" becomes "hers" if it stands alone. The verb after a subject
    agrees with it ("she was", "they were"); other verbs of the sentence do not change.

    Args:
        sentence: English.

    Returns:
        1 to 4 different sentences, the given one first; only the given one if it has no pronoun.

    Example:
        >>> from evenhand.metrics import pronoun_readings
        >>> pronoun_readings("He was late.")
        ('He was late.', 'She was late.', 'They were late.')
    """
    given = pronoun_class(sentence)
    pieces = re.split(r"(\W+)", sentence)  # words at even positions, the text between them at odd ones
    changing = _NEUTRAL if given == "neutral" else _MALE | _FEMALE
    readings = (_read(pieces, changing, place) for place in range(3))
    return tuple(dict.fromkeys((sentence, *readings)))


def _read(pieces: list[str], changing: set[str], to: int) -> str:
    """The sentence with pronouns of that gender: 0 male, 1 female, 2 neutral."""
    found = list(pieces)
    for place in range(0, len(pieces), 2):
        word = pieces[place].lower()
        if word not in changing:
            continue
        role = _ROLE.get(word) or _by_neighbours(word, pieces, place)
        found[place] = _like(pieces[place], _ROLES[role][to])
        if role == "subject" and (word == "they") != (to == 2):
            _agree(found, place, plural=to == 2)
    return "".join(found)


def _by_neighbours(word: str, pieces: list[str], place: int) -> str:
    """The grammatical role of "her" or "his", mostly from the word that follows."""
    alone = "object" if word == "her" else "absolute"
    following = pieces[place + 2].lower() if place + 2 < len(pieces) and pieces[place + 1].isspace() else ""
    if not following or following in _AFTER_ALONE[word]:
        return alone
    if word == "his":
        return "possessive"
    at_the_end = place + 3 >= len(pieces) or not pieces[place + 3].isspace()
    if following[0].isdigit() or (following.endswith("ly") and at_the_end):
        return alone
    return alone if place > 1 and _TAKES_A_PERSON.fullmatch(pieces[place - 2].lower()) else "possessive"


def _agree(found: list[str], place: int, plural: bool) -> None:
    """Make the verb agree with the subject at this position; only adverbs may stand between them."""
    verbs, contracted = (_PLURAL, {"s": "re"}) if plural else (_SINGULAR, {"re": "s"})
    for at in range(place + 2, len(found), 2):
        between, word = found[at - 1], found[at].lower()
        if between in ("'", "’"):
            found[at] = contracted.get(word, found[at])
        elif not between.isspace():
            return
        elif word in verbs:
            found[at] = _like(found[at], verbs[word])
        elif _BEFORE_VERB.fullmatch(word):
            continue
        elif plural and word.endswith("s") and not word.endswith("ss"):
            found[at] = _without_s(found[at])
        return


def _without_s(verb: str) -> str:
    """needs → need, watches → watch, carries → carry."""
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    return verb[:-2] if re.search(r"(ss|sh|ch|x|zz|o)es$", verb) else verb[:-1]


def _like(model: str, word: str) -> str:
    """The word with the capitalization of another word."""
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word.capitalize() if model[:1].isupper() else word
