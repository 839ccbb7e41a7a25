"""The measures that an audit knows: what each says, which direction is worse, where it is taken, what decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evenhand.audit.measures.benchmarks import HARNESS
from evenhand.audit.measures.measure import RANGE_NOTE, Measure
from evenhand.audit.measures.membership import MEMBERSHIP
from evenhand.audit.measures.options import OPTIONS
from evenhand.audit.measures.predictions import MEASURES
from evenhand.audit.measures.probes import PROBES
from evenhand.audit.measures.translations import TRANSLATION
from evenhand.errors import InputError, did_you_mean

__all__ = [
    "HARNESS",
    "MEASURES",
    "MEMBERSHIP",
    "OPTIONS",
    "PROBES",
    "RANGE_NOTE",
    "TRANSLATION",
    "Measure",
    "known",
    "list_measures",
    "select",
    "select_harness",
    "select_membership",
    "select_options",
    "select_probes",
    "select_translation",
]


def known() -> dict[str, Measure]:
    """Every measure by its name."""
    return {**MEASURES, **TRANSLATION, **OPTIONS, **HARNESS, **PROBES, **MEMBERSHIP}


def list_measures() -> list[tuple[str, str]]:
    """Name and summary of every measure, for `evenhand list measures`."""
    return [(measure.name, measure.summary) for measure in known().values()]


def select(names: Iterable[str]) -> list[Measure]:
    """The measures of predictions of these names, in the registry's order; all of them for no names.

    Raises:
        InputError: a name that no measure has, of predictions or of membership, with the nearest known one.
    """
    return _chosen(names, MEASURES)


def select_translation(names: Iterable[str]) -> list[Measure]:
    """The measures of translations of these names. Args, Raises: `select`."""
    return _chosen(names, TRANSLATION)


def select_options(names: Iterable[str]) -> list[Measure]:
    """The measures of options of these names. Args, Raises: `select`."""
    return _chosen(names, OPTIONS)


def select_harness(names: Iterable[str]) -> list[Measure]:
    """The measures of benchmarks of these names. Args, Raises: `select`."""
    return _chosen(names, HARNESS)


def select_probes(names: Iterable[str]) -> list[Measure]:
    """The measures of probes of these names. Args, Raises: `select`."""
    return _chosen(names, PROBES)


def select_membership(names: Iterable[str]) -> list[Measure]:
    """The measures of membership scores of these names. Args, Raises: `select`."""
    return _chosen(names, MEMBERSHIP)


def _chosen(names: Iterable[str], measures: Mapping[str, Measure]) -> list[Measure]:
    names = list(names)
    for name in names:
        if name not in known():
            raise InputError(f'there is no measure "{name}"; {did_you_mean(name, known())}')
    return [measure for measure in measures.values() if not names or measure.name in names]
