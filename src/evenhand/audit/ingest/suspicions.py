"""Warns when predictions, groups or scores repeat the label, and when one name has several spellings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from evenhand.audit.ingest.attributes import TableGroups
from evenhand.audit.ingest.columns import Columns
from evenhand.audit.ingest.membership_scores import Scored
from evenhand.audit.ingest.predictions import Outcomes
from evenhand.errors import InputError
from evenhand.tables.values import FOR_MISSING, is_quantity, says_missing, spelling_notes

_FAR_BELOW_CHANCE = 5.0
"""Standard errors below an area of a half at which scores are no accident."""
_CLEARLY_BELOW = 0.45
"""Areas above this are near a half, however many rows there are."""


def one_role_each(columns: Columns, label: str | None, roles: Sequence[tuple[str, str | None]]) -> None:
    """Refuse a column that is named in two roles, (role, column), of which one is about what was predicted.

    Labels have no other role. Predictions and probabilities may be values or an attack's scores as well; values may not
    be groups.

    Raises:
        InputError: which roles.
    """
    named = [(role, str(name)) for role, name in [("label", label), *roles] if name is not None]
    for place, (role, name) in enumerate(named):
        for other, column in named[place + 1 :]:
            if column == name and role != other and not _may_be_both(role, other):
                raise InputError(
                    f"{columns.subject(name, role)} is used as {other} too; choose another column for the {other}"
                )


def _may_be_both(role: str, other: str) -> bool:
    """Whether one column may have two roles."""
    both = {role, other}
    if "label" in both:
        return False
    if both & {"prediction", "probability"}:
        return bool(both & {"value", "score"})
    return both != {"value", "group"}


def warnings_on(
    predicted: Outcomes | None, membership: Scored | None, groups: Mapping[str, TableGroups], methods: pl.Series
) -> list[str]:
    """Sentences for the headline on columns that are the label or the membership in every row, or its opposite.

    Args:
        predicted, membership: what the columns hold.
        groups: by attribute.
        methods: of each row.
    """
    return [
        *([] if predicted is None else _mixed_labels(predicted)),
        *([] if predicted is None else _labels_again(predicted, groups)),
        *([] if predicted is None else _opposites(predicted, methods)),
        *([] if membership is None else _scores_again(predicted, membership)),
    ]


def spellings(predicted: Outcomes | None, groups: Mapping[str, TableGroups], rows: pl.DataFrame) -> list[str]:
    """Notes on labels, methods (of `rows`) and groups that differ in spelling only."""
    return [
        *([] if predicted is None else spelling_notes("label", predicted.labels)),
        *spelling_notes("method", rows["method"]),
        *(note for name, values in groups.items() for note in spelling_notes(f"group of {name}", _each(values))),
        *(note for name, values in groups.items() for note in _spelled_out(name, _each(values))),
    ]


def _spelled_out(attribute: str, words: pl.Series) -> list[str]:
    """A note on groups whose names are words for a missing value, such as NULL."""
    distinct = words.drop_nulls().unique()
    found = sorted(distinct.filter(says_missing(distinct, FOR_MISSING)))
    if not found:
        return []
    named = ", ".join(f'"{word}"' for word in found)
    what = "is a group; leave such cells" if len(found) == 1 else "are groups; leave such cells"
    return [f"group of {attribute}: {named} {what} empty if the group is not known"]


def notes_on_patterns(groups: Mapping[str, TableGroups]) -> list[str]:
    """Notes on attributes whose groups are columns of true and false: those missing in some rows, or true in none."""
    partly = [
        f"group of {name}: in {values.partly:,} {'row' if values.partly == 1 else 'rows'} some columns of the pattern "
        "are empty and others are not: the empty ones count as false"
        for name, values in groups.items()
        if values.partly
    ]
    nobody = [
        f"group of {name}: no row is true in {', '.join(values.nobody)}: no such group"
        for name, values in groups.items()
        if values.nobody
    ]
    return [*partly, *nobody]


def _each(groups: TableGroups) -> pl.Series:
    return groups.text if groups.lists is None else groups.lists.explode()


def _mixed_labels(predicted: Outcomes) -> list[str]:
    """A sentence on labels that are 1 and 0 but for a few words, of which each is a class."""
    words = [name for name in predicted.classes if name not in ("-1", "0", "1")]
    if not words or len(predicted.classes) - len(words) != 2 or is_quantity(pl.Series(words)):
        return []
    counts = dict(predicted.labels.value_counts().iter_rows())
    named = ", ".join(f'"{word}" in {counts.get(word, 0):,}' for word in words)
    others = " and ".join(name for name in predicted.classes if name not in words)
    rows = f"of {len(predicted.label):,} rows"
    return [f"The label is {named} {rows}, beside {others}: make sure that this is a class of its own."]


def _labels_again(predicted: Outcomes, groups: Mapping[str, TableGroups]) -> list[str]:
    """Sentences on predictions, probabilities and groups that are the label in every row."""
    notes = []
    again = "in every row: make sure that no column of labels was taken for one of"
    if (predicted.predicted == predicted.label).all():
        notes.append(f"The prediction is the label {again} predictions.")
    if predicted.probabilities is not None and (predicted.label_probability == 1).all():
        notes.append(f"The probability of the label is 1 {again} probabilities.")
    for name, values in groups.items():
        pairs = pl.DataFrame({"label": predicted.labels, "group": values.text}).unique()
        if len(pairs) == len(predicted.classes) == pairs["group"].n_unique() == pairs["label"].n_unique():
            notes.append(f"The groups of {name} tell the label {again} groups.")
    return notes


def _opposites(predicted: Outcomes, methods: pl.Series) -> list[str]:
    """Sentences on probabilities, or else predictions, of two classes that rank the labels the wrong way round."""
    if len(predicted.classes) != 2:
        return []
    given, positive = predicted.probabilities, predicted.classes[1]
    what, score = ("predictions", predicted.predicted) if given is None else ("probabilities", given[:, 1])
    notes = []
    for method in methods.unique(maintain_order=True):
        own = (methods == method).to_numpy()
        area, errors = _area_below_half(score[own], predicted.label[own] == 1)
        if errors > _FAR_BELOW_CHANCE and area < _CLEARLY_BELOW:
            notes.append(
                f"The {what} of {method} rank the classes the wrong way round (ROC AUC {area:.2f}): make sure that "
                + (
                    f"they are those of the class {positive}."
                    if given is not None
                    else "labels and they mean the same."
                )
            )
    if given is not None and not notes:
        differ = float((given.argmax(axis=1) != predicted.predicted).mean())
        if differ > 0.5:
            notes.append(
                f"In {differ:.0%} of the rows the prediction is not the more probable class: make sure that the "
                f"probabilities are those of the class {positive}."
            )
    return notes


def _area_below_half(score: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """The area under the ROC curve, and by how many standard errors of scores that say nothing it is below a half."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return 0.5, 0.0
    ranks = pl.Series(score).rank().to_numpy()
    area = (float(ranks[positive].sum()) - n * (n + 1) / 2) / (n * m)
    return area, (0.5 - area) / math.sqrt((n + m + 1) / (12 * n * m))


def _scores_again(predicted: Outcomes | None, membership: Scored) -> list[str]:
    """Sentences on scores that are the membership or the label in every row."""
    notes = []
    for what, values in (("membership", membership.member), ("label", None if predicted is None else predicted.label)):
        if values is not None and np.array_equal(membership.score, values.astype(float)):
            notes.append(f"The score is the {what} in every row: make sure that it is what an attack says.")
    return notes
