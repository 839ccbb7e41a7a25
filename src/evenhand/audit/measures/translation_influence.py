"""Measures of translations from a language whose pronouns have no gender, in linear form.

In a `View` of translations `label` is the gender that the referent stereotypically has and `predicted` the class of the
pronouns that were written, both as codes of `GENDERS`; −1 is no stereotype. Shares of stereotyped outcomes are over the
texts whose referent has a stereotype, those of genders over all.
"""

from __future__ import annotations

from typing import get_args

import numpy as np

from evenhand.audit.measures.influence import Effect, Place, View, as_effect, share_of, undefined
from evenhand.metrics.pronouns import PronounClass
from evenhand.metrics.translation import StereotypeOutcome, bleu_of

GENDERS: tuple[PronounClass, ...] = get_args(PronounClass)
MALE, FEMALE = GENDERS.index("male"), GENDERS.index("female")
_NO_STEREOTYPE = "no tested text is about somebody with a stereotype"


def outcome_effect(view: View, place: Place, outcome: StereotypeOutcome) -> Effect:
    """The share of texts with an outcome of `stereotype_outcomes`."""
    one = share_of(view, _outcome(view, outcome), _stereotyped(view, place))
    return undefined(_NO_STEREOTYPE) if one is None else as_effect(one)


def gender_effect(view: View, place: Place, gender: PronounClass) -> Effect:
    """The share of texts whose pronouns are of a gender."""
    one = share_of(view, view.predicted == GENDERS.index(gender), place.rows)
    return undefined("no test examples") if one is None else as_effect(one)


def lean_effect(view: View, place: Place) -> Effect:
    """The share of texts with the stereotypical gender minus that of those with the other."""
    rows = _stereotyped(view, place)
    pro, anti = (share_of(view, _outcome(view, outcome), rows) for outcome in ("pro", "anti"))
    if pro is None or anti is None:
        return undefined(_NO_STEREOTYPE)
    moves = pro.contributions - anti.contributions
    active = np.ones(len(rows), dtype=bool)
    return Effect(pro.value - anti.value, rows, moves, pro.shares, active, len(rows), 2 * pro.step)


def rouge_effect(view: View, place: Place) -> Effect:
    """The mean ROUGE-L of the texts."""
    assert view.texts is not None
    if view.texts.rouge is None:
        return undefined(str(view.texts.reason), len(place.rows))
    values, weight = view.texts.rouge[place.rows], view.weight[place.rows]
    shares = weight / weight.sum()
    value = float(shares @ values)
    active = np.ones(len(values), dtype=bool)
    return Effect(value, place.rows, shares * (values - value), shares, active, len(values))


def bleu_effect(view: View, place: Place) -> Effect:
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
    return Effect(value, place.rows, (moves / size)[unit], shares, active, len(unit))


def _stereotyped(view: View, place: Place) -> np.ndarray:
    return place.rows[view.label[place.rows] >= 0]


def _outcome(view: View, outcome: StereotypeOutcome) -> np.ndarray:
    """bool [n]."""
    if outcome in ("pro", "anti"):
        same = view.predicted == view.label
        return same if outcome == "pro" else ~same & ((view.predicted == MALE) | (view.predicted == FEMALE))
    return view.predicted == GENDERS.index(outcome)
