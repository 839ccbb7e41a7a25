"""Searches of areas whose disparities are known: scores of positives are normal, and higher by known steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from evenhand.audit.design import Design, SettingDesign, SubgroupsDesign
from evenhand.audit.kinds.membership import MembershipReading
from evenhand.audit.measures import measure_named
from evenhand.audit.membership.leakage import Targets
from evenhand.audit.subgroups.areas import AreaQuestion, Ranked
from evenhand.audit.subgroups.attributes import SearchedAttribute
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import ComparisonKind
from evenhand.audit.subgroups.findings import adjusted
from evenhand.audit.subgroups.membership import membership_search
from evenhand.audit.subgroups.null import null_maxima
from evenhand.audit.subgroups.search import Search, ask
from searched import SUPPORT, Searched

METHODS = ("full", "lora")


def ranked(score: np.ndarray, positive: np.ndarray, weight: np.ndarray | None = None) -> Ranked:
    """The scores of one run for all rows, float [R]."""
    rank = np.unique(score, return_inverse=True)[1]
    return Ranked(np.arange(len(score)), rank, positive, np.ones(len(score)) if weight is None else weight)


def area_question(
    scores: Sequence[np.ndarray],
    positive: np.ndarray,
    comparisons: tuple[ComparisonKind, ...],
    weight: np.ndarray | None = None,
) -> AreaQuestion:
    """ROC AUC of one method's scores, float [R, J], or of a method's and a reference's."""
    terms = tuple(
        (sign, tuple(ranked(column, positive, weight) for column in of_method.T))
        for sign, of_method in zip((1, -1), scores, strict=False)
    )
    reference = None if len(terms) == 1 else "full"
    return AreaQuestion(measure_named("roc_auc"), None, None, "lora", reference, comparisons, terms)


def searched_areas(
    found: Sequence[SearchedAttribute],
    question: AreaQuestion,
    rng: np.random.Generator,
    unit: np.ndarray | None = None,
    support: int = 30,
    draws: int = 199,
) -> Searched:
    """Search areas of R rows, conjunctions of up to three groups."""
    rows = len(question.terms[0][1][0].place)
    conjunctions = Conjunctions(found, rows, 3, support, unit)
    asked = ask(conjunctions, question, SUPPORT)
    maxima = np.sort(null_maxima(conjunctions, asked, rng, draws))
    return Searched(conjunctions, asked, [adjusted(one.z, maxima) for one in asked])


def attacked(
    rng: np.random.Generator,
    found: Sequence[SearchedAttribute],
    leaks: Sequence[np.ndarray],
    models: int = 4,
    gaps: bool = True,
) -> MembershipReading:
    """Models of one method or two, trained on the same random halves of the examples, in pairs.

    Args:
        rng: the source of randomness.
        found: attributes without overlapping groups.
        leaks: by method float [n], how much training raises an example's score, of standard deviation 1.
        models: of each method.
        gaps: whether gaps are asked for, too, where there are two methods.
    """
    rows = len(leaks[0])
    first = rng.random((models // 2, rows)) < 0.5
    member = np.concatenate([first, ~first])
    shared, known = rng.normal(size=rows), np.ones(member.shape, dtype=bool)
    methods = METHODS[: len(leaks)]
    targets = {
        method: Targets(
            tuple(range(models)),
            np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.normal(size=member.shape) + leak * member,
            member,
            known,
            np.arange(rows),
        )
        for method, leak in zip(methods, leaks, strict=True)
    }
    columns = {
        f"attribute.{each.name}": [[each.groups[code]] for code in np.asarray(each.code).tolist()] for each in found
    }
    setting = SettingDesign(references=methods[:1] if len(methods) > 1 else (), methods=methods)
    subgroups = SubgroupsDesign(depth=3, support=30)
    design = Design(settings={"main": setting}, gaps=gaps, subgroups=subgroups, measures=("membership_auc",))
    examples = pl.DataFrame({"example": [f"{row:06d}" for row in range(rows)], **columns})
    return MembershipReading("main", setting, examples, targets, design)


def searched_membership(reading: MembershipReading, draws: int = 199) -> tuple[Search, Searched]:
    """Search the membership AUC of a reading."""
    search = membership_search(reading, reading.design)
    maxima = np.sort(search.maxima(draws=draws))
    return search, Searched(search.conjunctions, search.asked, [adjusted(one.z, maxima) for one in search.asked])
