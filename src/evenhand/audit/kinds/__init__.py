"""Estimates and comparisons for each kind of records (predictions, translations, prompts, …), a class for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds import benchmarks, membership, numbers, options, prediction_tables, probes, translations
from evenhand.audit.membership.pool import Attack
from evenhand.audit.reading import Reading

Tables = Mapping[str, pl.DataFrame]
"""The record tables by name."""

Readings = Callable[[Tables, Design, Mapping[str, Attack]], Iterator[Reading]]
"""Computes the readings of one kind of records for all settings and splits, with attacked models by setting."""


def _of(table: str, readings: Callable[..., Iterator[Reading]]) -> Readings:
    """The readings of a kind whose records are one table, beside examples and trials."""
    return lambda tables, design, attacks: readings(tables["examples"], tables["trials"], tables[table], design)


def _of_scores(tables: Tables, design: Design, attacks: Mapping[str, Attack]) -> Iterator[Reading]:
    """The readings of membership scores."""
    examples, trials, members, scores = (tables[name] for name in ("examples", "trials", "members", "scores"))
    return membership.readings(examples, trials, members, scores, design, attacks)


KINDS: Sequence[Readings] = (
    _of("predictions", prediction_tables.readings),
    _of_scores,
    _of("responses", translations.readings),
    _of("options", options.readings),
    _of("harness", benchmarks.readings),
    _of("probes", probes.readings),
    _of("values", numbers.readings),
)
"""The readings of every kind of records, in the order of their rows in the tables."""
