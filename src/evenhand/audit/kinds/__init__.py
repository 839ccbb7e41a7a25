"""One reading per kind of records: how records become arrays, estimates and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds import benchmarks, membership, options, prediction_tables, probes, translations
from evenhand.audit.membership.pool import Attack
from evenhand.audit.reading import Reading

Tables = Mapping[str, pl.DataFrame]
"""The record tables by name."""

Readings = Callable[[Tables, Design, Mapping[str, Attack]], Iterator[Reading]]
"""The readings of one kind of records, of all settings and splits; attacked pools by setting."""


def _of(table: str, readings: Callable[..., Iterator[Reading]]) -> Readings:
    """Readings of one table beside examples and trials."""
    return lambda tables, design, attacks: readings(tables["examples"], tables["trials"], tables[table], design)


def _of_scores(tables: Tables, design: Design, attacks: Mapping[str, Attack]) -> Iterator[Reading]:
    examples, trials, members, scores = (tables[name] for name in ("examples", "trials", "members", "scores"))
    return membership.readings(examples, trials, members, scores, design, attacks)


KINDS: Sequence[Readings] = (
    _of("predictions", prediction_tables.readings),
    _of_scores,
    _of("responses", translations.readings),
    _of("options", options.readings),
    _of("harness", benchmarks.readings),
    _of("probes", probes.readings),
)
"""What is audited, in the order of its rows in the tables."""
