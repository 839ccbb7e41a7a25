"""Metrics of translations into English from a language with genderless pronouns: guessed gender, and quality.

All metrics read the first line of the *generated* text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.across import divided
from evenhand.metrics.pronouns import PRONOUN_CLASSES, PronounClass, first_line

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
    _alike("predicted", predicted, "stereotype", stereotype)
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
    _alike("predicted", predicted, "gold", gold)
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
    _alike("gold", gold, "stereotype", stereotype)
    _known("stereotype", stereotype, (*_OPPOSITE, None))
    sides = []
    for wanted in (lambda usual: usual, lambda usual: _OPPOSITE.get(usual)):
        inside = [truth is not None and truth == wanted(usual) for truth, usual in zip(gold, stereotype, strict=True)]
        found = gender_accuracy(predicted, [truth if of else None for truth, of in zip(gold, inside, strict=True)])
        sides.append((found.f1_male + found.f1_female) / 2)
    return sides[0] - sides[1]


def bleu(generated: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU from 0 to 100 with sacrebleu's defaults (13a tokens, mixed case, exponential smoothing).

    Args:
        generated: [n] texts; only their first lines count.
        references: [n] one or several per text, such as `pronoun_readings`; their numbers may differ.

    Returns:
        nan without texts.

    Raises:
        InputError: lengths that differ, a text without references, or sacrebleu is not installed.

    Source: Papineni et al. (2002) as implemented by sacrebleu (Post 2018).

    Example:
        >>> from evenhand.metrics import bleu
        >>> round(bleu(["the cat sat on the mat"], [["the cat sat on the mat", "a cat sat there"]]), 6)
        100.0
    """
    return bleu_of(bleu_statistics(generated, references).sum(axis=0))


def bleu_paper(generated: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU from 0 to 100 of lower-cased and stripped texts and references, as Ding et al. compute it.

    A text that differs from its reference only in capital letters has 100 here and less in `bleu`. The two are not
    comparable. Args, Returns, Raises: as in `bleu`.

    Source: the released code of Ding et al. (2024).

    Example:
        >>> from evenhand.metrics import bleu, bleu_paper
        >>> generated, references = ["the cat sat on the mat"], [["The Cat sat on the mat"]]
        >>> round(bleu_paper(generated, references), 6), bleu(generated, references) < 100
        (100.0, True)
    """
    return bleu(*_lowered(generated, references))


def bleu_paper_statistics(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """The counts behind `bleu_paper`, int [n, 10], to be summed for `bleu_of`; see `bleu_statistics`.

    Args, Raises: as in `bleu`.

    Source: the released code of Ding et al. (2024).

    Example:
        >>> from evenhand.metrics import bleu_paper_statistics
        >>> bleu_paper_statistics(["The cat sat down"], [["the cat sat down"]]).tolist()
        [[4, 4, 4, 3, 2, 1, 4, 3, 2, 1]]
    """
    return bleu_statistics(*_lowered(generated, references))


def bleu_statistics(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """The counts behind BLEU, int [n, 10]: length, the closest reference's length, correct n-grams, all n-grams.

    There are 4 counts of correct n-grams and 4 of all n-grams, for n from 1 to 4.

    They add up over texts, so BLEU without some texts, or of a bootstrap sample, is `bleu_of` of other sums.
    Args, Raises: as in `bleu`.

    Source: sacrebleu (Post 2018).

    Example:
        >>> from evenhand.metrics import bleu_statistics
        >>> bleu_statistics(["the cat sat down"], [["the cat sat down"]]).tolist()
        [[4, 4, 4, 3, 2, 1, 4, 3, 2, 1]]
    """
    _installed("sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    _referenced(generated, references)
    metric = BLEU(effective_order=True, force=True)
    found = np.zeros((len(generated), 10), dtype=np.int64)
    for row, (text, given) in enumerate(zip(generated, references, strict=True)):
        score = metric.sentence_score(first_line(text), list(given))
        found[row] = [score.sys_len, score.ref_len, *score.counts, *score.totals]
    return found


def bleu_of(statistics: np.ndarray) -> float:
    """BLEU of summed `bleu_statistics`, int [10]; nan without references.

    Args:
        statistics: int [10], a sum of rows of `bleu_statistics`.

    Raises:
        InputError: sacrebleu is not installed.

    Source: sacrebleu (Post 2018).

    Example:
        >>> from evenhand.metrics import bleu_of
        >>> round(bleu_of([4, 4, 4, 3, 2, 1, 4, 3, 2, 1]), 6)
        100.0
    """
    _installed("sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    length, reference, *counts = (int(count) for count in statistics)
    if reference == 0:
        return float("nan")
    return float(BLEU.compute_bleu(counts[:4], counts[4:], length, reference, smooth_method="exp").score)


def rouge_l(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L F-measure per text, float [n] from 0 to 1: the best over its references.

    Words are lower-cased and not stemmed; a text without words has 0. Args, Raises: as in `bleu`.

    Source: Lin (2004) as implemented by rouge-score.

    Example:
        >>> from evenhand.metrics import rouge_l
        >>> rouge_l(["the cat"], [["the cat sat", "a dog"]]).round(6).tolist()  # precision 1, recall 2/3
        [0.8]
    """
    _installed("rouge_score")
    from rouge_score.rouge_scorer import RougeScorer

    _referenced(generated, references)
    scorer = RougeScorer(["rougeL"])
    scores = (
        scorer.score_multi(list(given), first_line(text))["rougeL"].fmeasure
        for text, given in zip(generated, references, strict=True)
    )
    return np.fromiter(scores, dtype=float, count=len(generated))


def _lowered(
    generated: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the first lines of the texts, and the references, in lower case and without space around them."""
    _referenced(generated, references)
    return (
        [first_line(text).lower().strip() for text in generated],
        [[reference.lower().strip() for reference in given] for given in references],
    )


def _installed(library: str) -> None:
    if find_spec(library) is None:
        raise InputError(f"BLEU and ROUGE-L need {library}; try: pip install 'evenhand[generation]'")


def _alike(one: str, first: Sequence, other: str, second: Sequence) -> None:
    if len(first) != len(second):
        raise InputError(f"{one} has {len(first)} entries and {other} {len(second)}; they need one per text")


def _known(name: str, values: Sequence[str | None], allowed: Sequence[str | None]) -> None:
    for row, value in enumerate(values):
        if value not in allowed:
            known = ", ".join("nothing" if word is None else word for word in allowed)
            raise InputError(f'{name} is "{value}" in row {row}; it is one of {known}')


def _referenced(generated: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    _alike("generated", generated, "references", references)
    for row, given in enumerate(references):
        if isinstance(given, str) or not len(given):
            raise InputError(f"references needs a list of one or more texts per generated text; row {row} has none")
