"""What an audit says of translations from a language whose pronouns have no gender.

In a `RunData` of translations `label` is the gender that the referent stereotypically has and `predicted` the class of
the pronouns that were written, both as codes of `GENDERS`; −1 is no stereotype. Shares of stereotyped outcomes are over
the texts whose referent has a stereotype, those of genders over all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import get_args

import numpy as np

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.influence import Influence, as_influence, share_of, undefined
from evenhand.audit.measures.measure import EVERYWHERE, Measure, by_name
from evenhand.audit.measures.run_data import RunData, RunSubset
from evenhand.metrics.pronouns import PronounClass
from evenhand.metrics.translation import StereotypeOutcome, bleu_of

GENDERS: tuple[PronounClass, ...] = get_args(PronounClass)
MALE, FEMALE = GENDERS.index("male"), GENDERS.index("female")
_NO_STEREOTYPE = "no tested text is about somebody with a stereotype"


def outcome_influence(view: RunData, place: RunSubset, outcome: StereotypeOutcome) -> Influence:
    """The share of texts with an outcome of `stereotype_outcomes`."""
    one = share_of(view, _outcome(view, outcome), _stereotyped(view, place))
    return undefined(_NO_STEREOTYPE) if one is None else as_influence(one)


def gender_influence(view: RunData, place: RunSubset, gender: PronounClass) -> Influence:
    """The share of texts whose pronouns are of a gender."""
    one = share_of(view, view.predicted == GENDERS.index(gender), place.rows)
    return undefined("no test examples") if one is None else as_influence(one)


def lean_influence(view: RunData, place: RunSubset) -> Influence:
    """The share of texts with the stereotypical gender minus that of those with the other."""
    rows = _stereotyped(view, place)
    pro, anti = (share_of(view, _outcome(view, outcome), rows) for outcome in ("pro", "anti"))
    if pro is None or anti is None:
        return undefined(_NO_STEREOTYPE)
    moves = pro.influence - anti.influence
    active = np.ones(len(rows), dtype=bool)
    return Influence(pro.value - anti.value, rows, moves, pro.weights, active, len(rows), 2 * pro.max_unit_change)


def rouge_influence(view: RunData, place: RunSubset) -> Influence:
    """The mean ROUGE-L of the texts."""
    assert view.texts is not None
    if view.texts.rouge is None:
        return undefined(str(view.texts.reason), len(place.rows))
    values, weight = view.texts.rouge[place.rows], view.weight[place.rows]
    shares = weight / weight.sum()
    value = float(shares @ values)
    active = np.ones(len(values), dtype=bool)
    return Influence(value, place.rows, shares * (values - value), shares, active, len(values))


def bleu_influence(view: RunData, place: RunSubset) -> Influence:
    """Corpus BLEU of the texts, every text counted once, with the jackknife's influence of each unit.

    A unit's is (1 − its share of the texts) · (BLEU − BLEU without it), divided evenly among its texts; of a mean that
    is exactly the contribution of the unit.
    """
    assert view.texts is not None
    if view.texts.bleu is None:
        return undefined(str(view.texts.reason), len(place.rows))
    statistics, (_, unit) = view.texts.bleu[place.rows], np.unique(view.texts.unit[place.rows], return_inverse=True)
    total, size = statistics.sum(axis=0), np.bincount(unit)
    value = bleu_of(total)
    active, shares = np.ones(len(unit), dtype=bool), np.full(len(unit), 1 / len(unit))
    by_unit = np.zeros((len(size), statistics.shape[1]), dtype=statistics.dtype)
    np.add.at(by_unit, unit, statistics)
    moves = np.zeros(len(size))
    if len(size) > 1:
        without = np.array([bleu_of(total - own) for own in by_unit])
        moves = (1 - size / len(unit)) * (value - without)
        moves -= moves.sum() * size / len(unit)
    return Influence(value, place.rows, (moves / size)[unit], shares, active, len(unit))


def _stereotyped(view: RunData, place: RunSubset) -> np.ndarray:
    return place.rows[view.label[place.rows] >= 0]


def _outcome(view: RunData, outcome: StereotypeOutcome) -> np.ndarray:
    """bool [n]."""
    if outcome in ("pro", "anti"):
        same = view.predicted == view.label
        return same if outcome == "pro" else ~same & ((view.predicted == MALE) | (view.predicted == FEMALE))
    return view.predicted == GENDERS.index(outcome)


_OUTCOMES: Mapping[StereotypeOutcome, tuple[str, str]] = {
    "anti": ("with the other gender", "the other gender"),
    "neutral": ("with they, them or their", "they"),
    "mixed": ("with pronouns of both genders", "both genders"),
    "none": ("without any such pronoun", "no pronoun"),
}

TRANSLATIONS = by_name(
    Measure(
        "pro_share",
        "translations",
        "share of translations that give somebody the gender stereotypical of their occupation",
        1,
        EVERYWHERE,
        partial(outcome_influence, outcome="pro"),
        display=Display("shares", "stereotypical gender", fitted=True),
        proportion=True,
    ),
    *(
        Measure(
            f"{outcome}_share",
            "translations",
            f"share of translations {said}; estimates only",
            0,
            EVERYWHERE,
            partial(outcome_influence, outcome=outcome),
            display=Display("shares", heading, fitted=True),
            proportion=True,
        )
        for outcome, (said, heading) in _OUTCOMES.items()
    ),
    Measure(
        "stereotype_lean",
        "translations",
        "pro_share minus anti_share, from −1 to 1: 0 where neither gender is preferred; needs a margin of its own",
        1,
        EVERYWHERE,
        lean_influence,
        display=Display(fitted=True),
        title="stereotype lean (pro − anti)",
        default_margin=False,
        limits=(-1.0, 1.0),
    ),
    Measure(
        "male_share",
        "translations",
        "share of translations with he, him or his, of all; estimates only",
        0,
        EVERYWHERE,
        partial(gender_influence, gender="male"),
        display=Display(fitted=True),
        proportion=True,
    ),
    Measure(
        "bleu",
        "translations",
        "corpus BLEU, 0–100, on generated text, the references under each pronoun; needs a margin of its own",
        -1,
        EVERYWHERE,
        bleu_influence,
        display=Display(fitted=True),
        title="BLEU",
        default_margin=False,
        limits=(0.0, 100.0),
    ),
    Measure(
        "rouge_l",
        "translations",
        "mean ROUGE-L, 0–1, on generated text, the references under each pronoun",
        -1,
        EVERYWHERE,
        rouge_influence,
        display=Display(fitted=True),
        title="ROUGE-L",
    ),
)
"""What an audit says of translations, the rows of `responses`."""
