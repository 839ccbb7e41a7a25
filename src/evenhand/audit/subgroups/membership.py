"""Searches what attack scores reveal about who was in training: membership AUC of all conjunctions, for these models.

All models of a method are ranked together, and an example adds what its scores under all of them add. How models
differ is left aside: a finding is about the models that were attacked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evenhand.audit.design import Design
from evenhand.audit.kinds.membership import SPLIT, MembershipReading
from evenhand.audit.kinds.membership_evidence import compare
from evenhand.audit.measures import Measure
from evenhand.audit.membership.leakage import Targets
from evenhand.audit.subgroups.areas import AreaQuestion, Ranked
from evenhand.audit.subgroups.attributes import searched_attributes
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.search import Search, ask
from evenhand.audit.subgroups.searchable import searched_measures
from evenhand.audit.verdicts import pairs


def membership_search(reading: MembershipReading, design: Design) -> Search:
    """Compare all conjunctions that `design.subgroups` asks for in the models of a setting.

    Raises:
        InputError: cuts of an attribute that does not exist or is not numeric.
    """
    asked = design.subgroups
    assert asked is not None
    rows = attacked_rows(reading)
    attributes = searched_attributes(reading.groups, rows, asked.cuts)
    unit = next(iter(reading.attacked.values())).unit[rows]
    clustered = len(np.unique(unit)) < len(unit)
    conjunctions = Conjunctions(attributes, len(rows), asked.depth, asked.support, unit if clustered else None)
    questions = (one for measure in searched_measures(design.measures, "membership")
                 for one in _questions(reading, measure, rows, design))  # fmt: skip
    made = [each for question in questions for each in ask(conjunctions, question, design.support)]
    return Search(reading.setting, SPLIT, conjunctions, made, ("membership",))


def attacked_rows(reading: MembershipReading) -> np.ndarray:
    """int [R], the examples that some model has a score of, in the order of their contents, which draws may follow."""
    keys: list[np.ndarray] = [column for groups in reading.groups for column in groups.masks.T]
    known = np.zeros(len(reading.examples), dtype=bool)
    for method in sorted(reading.attacked):
        targets = reading.attacked[method]
        known |= targets.known.any(axis=0)
        # Rounded: the last digits of scores differ between processors, and draws must not.
        keys += [*targets.member, *np.where(targets.known, targets.score, 0.0).astype(np.float32)]
    order = np.lexsort(keys) if keys else np.arange(len(known))
    return order[known[order]]


def _questions(
    reading: MembershipReading, measure: Measure, rows: np.ndarray, design: Design
) -> Iterator[AreaQuestion]:
    """Changes between methods whose models were trained on the same examples, and gaps where they are asked for."""
    references = reading.setting_design.references
    everyone = np.ones(len(reading.examples), dtype=bool)
    for method, reference in pairs(reading.methods, references):
        both = compare(reading.attacked[method], reading.attacked[reference], everyone, design.paired != "none")
        if both.paired:
            terms = ((1, (_ranked(both.first, rows),)), (-1, (_ranked(both.second, rows),)))
            kinds = ("change", "gap change")
            yield AreaQuestion(measure, None, None, method, reference, kinds, terms, len(both.first.seeds))
    for method in reading.methods if design.gaps or not references else ():
        targets = reading.attacked[method]
        if not targets.absent:
            terms = ((1, (_ranked(targets, rows),)),)
            yield AreaQuestion(measure, None, None, method, None, ("gap",), terms, len(targets.seeds))


def _ranked(targets: Targets, rows: np.ndarray) -> Ranked:
    """The scores of all models together."""
    known = targets.known[:, rows]
    _, place = np.nonzero(known)
    rank = np.unique(targets.score[:, rows][known], return_inverse=True)[1].reshape(-1)
    return Ranked(place, rank, targets.member[:, rows][known], np.ones(len(place)))
