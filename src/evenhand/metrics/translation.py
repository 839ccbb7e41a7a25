"""Metrics of the gender that translations into English guess, from a language with genderless pronouns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.across import divided
from evenhand.metrics.pronouns import PRONOUN_CLASSES, PronounClass
from evenhand.metrics.text_quality import same_length

StereotypeOutcome = Literal["pro", "anti", "neutral", "mixed", "none"]
STEREOTYPE_OUTCOMES: tuple[StereotypeOutcome, ...] = get_args(StereotypeOutcome)

_OPPOSITE = {"male": "female", "female": "male"}


def stereotype_outcomes(predicted: Sequence[str], stereotype: Sequence[str | None]) -> np.ndarray:
    """Classify each translation by the stereotype about its referent: pro, anti, neutral, mixed or none.

    Args:
        predicted: [n] classes of `pronoun_class`.
        stereotype: [n] the stereotypical gender of the referent's occupation, `male` or `female`; None without a
                    stereotype.

    Returns:
        object [n]: `pro` or `anti` (the stereotypical gender, or the other), `neutral`, `mixed` or `none`; None without
        a stereotype.

    Raises:
        InputError: lengths that differ, or another word.

    Example:
        >>> from evenhand.metrics import stereotype_outcomes
        >>> stereotype_outcomes(["male", "female", "neutral", "male"], ["male", "male", "female", None]).tolist()
        ['pro', 'anti', 'neutral', None]
    """
    same_length("predicted", predicted, "stereotype", stereotype)
    _known("predicted", predicted, PRONOUN_CLASSES)
    _known("stereotype", stereotype, (*_OPPOSITE, None))
    found = np.empty(len(predicted), dtype=object)
    for row, (guess, usual) in enumerate(zip(predicted, stereotype, strict=True)):
        if usual is not None:
            found[row] = ("pro" if guess == usual else "anti") if guess in _OPPOSITE else guess
    return found


@dataclass(frozen=True)
class StereotypeShares:
    """The shares of outcomes among translations, which sum to 1; nan if n is 0.

    Attributes:
        pro, anti: shares with the stereotypical gender, and with the other.
        neutral, mixed, none: shares of these classes of `pronoun_class`.
        n: number of translations whose referent has a stereotype.

    Example:
        >>> from evenhand.metrics import stereotype_shares
        >>> shares = stereotype_shares([], [])
        >>> shares.pro, shares.n
        (nan, 0)
    """

    pro: float
    anti: float
    neutral: float
    mixed: float
    none: float
    n: int


def stereotype_shares(predicted: Sequence[str], stereotype: Sequence[str | None]) -> StereotypeShares:
    """The shares of each outcome among the translations whose referent has a stereotype.

    Arguments and errors are those of `stereotype_outcomes`.

    Source: the ratios of figure 7 of Ding et al. (2024), who count `mixed` and `none` together as unknown.

    Example:
        >>> from evenhand.metrics import stereotype_shares
        >>> stereotype_shares(["male", "male", "female", "neutral"], ["male"] * 4)
        StereotypeShares(pro=0.5, anti=0.25, neutral=0.25, mixed=0.0, none=0.0, n=4)
    """
    outcomes = stereotype_outcomes(predicted, stereotype)
    counts = np.array([(outcomes == outcome).sum() for outcome in STEREOTYPE_OUTCOMES])
    shares = divided(counts, counts.sum())
    return StereotypeShares(*(float(share) for share in shares), n=int(counts.sum()))


@dataclass(frozen=True)
class GenderAccuracy:
    """Accuracy and F1 of the referents' gold genders in translations, from 0 to 1 (the source prints per cent).

    Attributes:
        accuracy: share of texts whose class is the gold gender.
        f1_male, f1_female: F1 of each gender, one against the rest; nan if it is neither gold nor predicted.
        delta_g: f1_male − f1_female, ΔG; above 0, masculine referents are translated better.
        n: number of texts with a gold gender.

    Example:
        >>> from evenhand.metrics import GenderAccuracy, gender_accuracy
        >>> gender_accuracy(["male", "neutral"], ["male", None])  # no text has a feminine referent
        GenderAccuracy(accuracy=1.0, f1_male=1.0, f1_female=nan, delta_g=nan, n=1)
    """

    accuracy: float
    f1_male: float
    f1_female: float
    delta_g: float
    n: int


def gender_accuracy(predicted: Sequence[PronounClass], gold: Sequence[str | None]) -> GenderAccuracy:
    """Accuracy, F1 per gender and ΔG against gold genders.

    They are meaningful only if the source shows the referent's gender. If it does not, as in most Turkish sentences, no
    translator can know the gold gender, and ΔG only shows which pronoun is written more often.

    Args:
        predicted: [n] classes of `pronoun_class`; `mixed` and `none` are never right.
        gold: [n] `male`, `female` or `neutral`; None without a gold gender, and then the text is not counted.

    Raises:
        InputError: lengths that differ, or another word.

    Source: WinoMT (Stanovsky et al. 2019), `evaluate.py`, without its rounding of intermediate values.

    Example:
        >>> from evenhand.metrics import gender_accuracy
        >>> gender_accuracy(["male", "none"], ["male", "female"])
        GenderAccuracy(accuracy=0.5, f1_male=1.0, f1_female=0.0, delta_g=1.0, n=2)
    """
    same_length("predicted", predicted, "gold", gold)
    _known("predicted", predicted, PRONOUN_CLASSES)
    _known("gold", gold, ("male", "female", "neutral", None))
    pairs = [(guess, truth) for guess, truth in zip(predicted, gold, strict=True) if truth is not None]
    right = [guess for guess, truth in pairs if guess == truth]
    f1 = {}
    for gender in _OPPOSITE:
        either = sum(guess == gender for guess, _ in pairs) + sum(truth == gender for _, truth in pairs)
        f1[gender] = float(divided(np.array(2 * right.count(gender)), np.array(either)))
    accuracy = float(divided(np.array(len(right)), np.array(len(pairs))))
    return GenderAccuracy(accuracy, f1["male"], f1["female"], f1["male"] - f1["female"], len(pairs))


def delta_s(predicted: Sequence[PronounClass], gold: Sequence[str | None], stereotype: Sequence[str | None]) -> float:
    """ΔS: mean F1 of both genders on pro-stereotypical texts minus that on anti-stereotypical ones.

    Texts are pro-stereotypical if gold = stereotype. Above 0, stereotypical roles are translated better.

    If pro and anti texts have the same sources, as most pairs in Turkish do, no translation can be accurate, and ΔS is
    about the pro share minus the anti share.

    Args:
        predicted, gold: as in `gender_accuracy`.
        stereotype: [n] `male`, `female` or None; texts without it, or with a neutral gold gender, are not counted.

    Returns:
        nan if an F1 is nan.

    Raises:
        InputError: lengths that differ, or another word.

    Source: WinoMT (Stanovsky et al. 2019), table 2.

    Example:
        The first two texts are pro-stereotypical and right, the others anti-stereotypical and wrong:

        >>> from evenhand.metrics import delta_s
        >>> gold, stereotype = ["male", "female", "male", "female"], ["male", "female", "female", "male"]
        >>> delta_s(["male", "female", "none", "none"], gold, stereotype)
        1.0
    """
    same_length("gold", gold, "stereotype", stereotype)
    _known("stereotype", stereotype, (*_OPPOSITE, None))
    sides = []
    for wanted in (lambda usual: usual, lambda usual: _OPPOSITE.get(usual)):
        inside = [truth is not None and truth == wanted(usual) for truth, usual in zip(gold, stereotype, strict=True)]
        found = gender_accuracy(predicted, [truth if of else None for truth, of in zip(gold, inside, strict=True)])
        sides.append((found.f1_male + found.f1_female) / 2)
    return sides[0] - sides[1]


def _known(name: str, values: Sequence[str | None], allowed: Sequence[str | None]) -> None:
    for row, value in enumerate(values):
        if value not in allowed:
            known = ", ".join("nothing" if word is None else word for word in allowed)
            raise InputError(f'{name} is "{value}" in row {row}; it is one of {known}')
