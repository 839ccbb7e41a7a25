"""Indexes a setting's records by (method, seed), whatever kind of records they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import polars as pl

Record = TypeVar("Record")

ONE_AGAINST = "one model against each run of the other method: about this model, whose own other runs may differ"
ONE_SEED = "one seed: the interval does not include the noise of training"


@dataclass(frozen=True, eq=False)
class TrialRecords(Generic[Record]):
    """The records of a setting's trials by method and seed, and why some trials have none.

    Attributes:
        present: the records, by method and seed.
        absent: the reason why there are none, by method and seed.
        methods: all methods of either, in the order of the report.
    """

    present: Mapping[tuple[str, int], Record]
    absent: Mapping[tuple[str, int], str]
    methods: tuple[str, ...]


def by_run(
    trials: pl.DataFrame, methods: Sequence[str], records: Mapping[str, Record], missing: str
) -> TrialRecords[Record]:
    """Index records by the (method, seed) that used each trial.

    Args:
        trials: rows of the table `trials`.
        methods: of the setting, in the order of the report; others follow by name.
        records: by trial.
        missing: the reason given for a trial that did not fail and has no records.
    """
    present: dict[tuple[str, int], Record] = {}
    absent: dict[tuple[str, int], str] = {}
    for trial in trials.iter_rows(named=True):
        run = (trial["method"], trial["seed"])
        if trial["status"] == "failed":
            absent[run] = f"training failed ({trial['reason'] or 'no reason given'})"
        elif trial["trial"] not in records:
            absent[run] = missing
        else:
            present[run] = records[trial["trial"]]
    known = {method for method, _ in (*present, *absent)}
    ordered = (*(name for name in methods if name in known), *sorted(known - set(methods)))
    return TrialRecords(present, absent, ordered)


def seeds_of(method: str, *runs: Iterable[tuple[str, int]]) -> list[int]:
    """The seeds that a method was run with, of (method, seed), failed ones included."""
    return sorted({seed for several in runs for name, seed in several if name == method})


def missing_note(method: str, seeds: Sequence[int], absent: Mapping[tuple[str, int], str], what: str) -> list[str]:
    """A note where some seeds of a method have no records; `what` is its verb, such as "have no predictions"."""
    reasons = [absent[method, seed] for seed in seeds if (method, seed) in absent]
    return [f"{len(reasons)} of {len(seeds)} seeds {what}: {', '.join(sorted(set(reasons)))}"] if reasons else []


def seed_pairs(ours: Iterable[int], theirs: Iterable[int]) -> tuple[list[tuple[int, int]], list[str]]:
    """The seeds of the runs of two methods that are compared, in order, and a note where that is not all or not alike.

    Runs are paired by seed. Where one method has a single run and the other several, that run is compared with each.
    """
    first, second = sorted(set(ours)), sorted(set(theirs))
    if one_against_several(first, second):
        return [(own, other) for own in first for other in second], [ONE_AGAINST]
    both, notes = shared_seeds(first, second)
    return [(seed, seed) for seed in both], notes


def one_against_several(ours: Sequence[int], theirs: Sequence[int]) -> bool:
    """Whether one method was run once and the other more often."""
    return min(len(ours), len(theirs)) == 1 < max(len(ours), len(theirs))


def shared_seeds(ours: Iterable[int], theirs: Iterable[int]) -> tuple[list[int], list[str]]:
    """The seeds that two methods were both run with, in order, and a note where these are not all."""
    first, second = set(ours), set(theirs)
    both, every = sorted(first & second), first | second
    return both, [f"{len(both)} of {len(every)} seeds were run with both methods"] if len(both) < len(every) else []
