"""What the uses of a setting's trials have left, by method and seed: one loop for records of every kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import polars as pl

Left = TypeVar("Left")


@dataclass(frozen=True, eq=False)
class Uses(Generic[Left]):
    """Which uses of trials have something, and why the others have not.

    Attributes:
        found: by method and seed.
        absent: the reason, by method and seed.
        methods: those of either, in the reader's order.
    """

    found: Mapping[tuple[str, int], Left]
    absent: Mapping[tuple[str, int], str]
    methods: tuple[str, ...]


def left_by(uses: pl.DataFrame, methods: Sequence[str], known: Mapping[str, Left], missing: str) -> Uses[Left]:
    """Sort the uses of trials.

    Args:
        uses: rows of the table `trials`.
        methods: of the setting, in the reader's order; others follow by name.
        known: what there is, by trial.
        missing: said of a trial that did not fail and left nothing.
    """
    found: dict[tuple[str, int], Left] = {}
    absent: dict[tuple[str, int], str] = {}
    for use in uses.iter_rows(named=True):
        place = (use["method"], use["seed"])
        if use["status"] == "failed":
            absent[place] = f"training failed ({use['reason'] or 'no reason given'})"
        elif use["trial"] not in known:
            absent[place] = missing
        else:
            found[place] = known[use["trial"]]
    present = {method for method, _ in (*found, *absent)}
    return Uses(found, absent, (*(name for name in methods if name in present), *sorted(present - set(methods))))


def seeds_of(method: str, *places: Iterable[tuple[str, int]]) -> list[int]:
    """The seeds that a method was run with, of (method, seed), failed ones included."""
    return sorted({seed for several in places for name, seed in several if name == method})


def gaps(method: str, seeds: Sequence[int], absent: Mapping[tuple[str, int], str], what: str) -> list[str]:
    """A note where some seeds of a method have nothing: `what` says what of."""
    reasons = [absent[method, seed] for seed in seeds if (method, seed) in absent]
    return [f"{len(reasons)} of {len(seeds)} seeds {what}: {', '.join(sorted(set(reasons)))}"] if reasons else []


def shared_seeds(ours: Iterable[int], theirs: Iterable[int]) -> tuple[list[int], list[str]]:
    """The seeds that two methods were both run with, in order, and a note where these are not all."""
    first, second = set(ours), set(theirs)
    both, every = sorted(first & second), first | second
    return both, [f"{len(both)} of {len(every)} seeds were run with both methods"] if len(both) < len(every) else []
