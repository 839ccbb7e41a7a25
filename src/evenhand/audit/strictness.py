"""Families of verdicts, and the level of each where all are held to one level together (Holm 1979)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import known, measure_named
from evenhand.records.schemas import MAX_T
from evenhand.stats.multiplicity import holm

Undirected = tuple[str | None, str]
"""Setting and measure."""
Family = tuple[str | None, str, str]
"""Setting, split and name."""
SEARCH: Family = (None, "", "subgroups")
"""The family of all subgroups that were searched, in all settings and splits: their p-values hold over all of them."""


def family_of(row: Mapping[str, Any]) -> Family:
    """The family of a row of `verdicts`."""
    return row["setting"], row["split"], row["family"]


def families_of(verdicts: pl.DataFrame, findings: pl.DataFrame | None = None) -> dict[Family, float]:
    """The smallest adjusted p-value of each family that has one.

    Args:
        verdicts: the table.
        findings: the table of subgroups, if they were searched: one family. Its smallest p-value is that of "no
            subgroup fares worse", since it holds over everything that was searched.
    """
    smallest: dict[Family, float] = {}
    for row in verdicts.drop_nulls("p_adjusted").iter_rows(named=True):
        smallest[family_of(row)] = min(smallest.get(family_of(row), 1.0), row["p_adjusted"])
    searched = [] if findings is None else findings.filter(selection=MAX_T)["p_adjusted"].drop_nulls().to_list()
    return smallest | ({SEARCH: min(searched)} if searched else {})


def holm_levels(families: Mapping[Family, float], alpha: float) -> dict[Family, float]:
    """The level at which each family is judged by Holm's procedure; 0 where it is not reached.

    Example:
        >>> from evenhand.audit.strictness import SEARCH, holm_levels
        >>> accuracy = ("table", "test", "accuracy")
        >>> holm_levels({accuracy: 0.04, SEARCH: 0.001}, 0.05)
        {('table', 'test', 'accuracy'): 0.05, (None, '', 'subgroups'): 0.025}
    """
    names = list(families)
    adjusted = holm(np.array([families[name] for name in names])) if names else np.empty(0)
    order = sorted(range(len(names)), key=lambda index: families[names[index]])
    levels = {names[index]: alpha / (len(names) - rank) for rank, index in enumerate(order)}
    return {name: levels[name] if adjusted[index] <= alpha else 0.0 for index, name in enumerate(names)}


def undirected(measures: Iterable[str], design: Design) -> frozenset[Undirected]:
    """The settings and measures of which neither direction is worse, so that they never say `worse`.

    A mean over settings, whose setting is None, is among them where the measure has no direction in any setting. A
    measure that nobody here knows, as of a package that is not installed, counts as directed.
    """
    names = set(measures) & set(known())
    found = {
        (place, name)
        for place, setting in design.settings.items()
        for name in names
        if not measure_named(name).given(setting.favourable).direction
    }
    over_all = {(None, name) for name in names if all((place, name) in found for place in design.settings)}
    return frozenset(found | over_all)


def directed(verdicts: pl.DataFrame, without: Collection[Undirected]) -> pl.DataFrame:
    """The rows of verdicts of which one direction is worse."""
    kept = [pair not in without for pair in verdicts.select("setting", "measure").iter_rows()]
    return verdicts.filter(pl.Series(kept, dtype=pl.Boolean))


def expected_false_alarms(verdicts: pl.DataFrame, design: Design, searched: bool = False) -> tuple[int, float]:
    """The number of families that can say `worse`, and how many do so by chance where nothing is worse, at most.

    Args:
        verdicts: the table.
        design: that it was made by, with the level of a family.
        searched: whether subgroups were searched, too: one more family.
    """
    judged = directed(verdicts.drop_nulls("verdict"), undirected(verdicts["measure"], design))
    families = len(families_of(judged)) + searched
    return families, families * design.alpha
