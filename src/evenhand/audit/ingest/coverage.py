"""Checks that methods answered the same examples: missing answers, ids that never match, undeclared copies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.audit.ingest.attributes import TableGroups
from evenhand.audit.ingest.columns import listed
from evenhand.audit.ingest.pairing import Pairing
from evenhand.audit.ingest.predictions import Outcomes

_NAMED = 3
"""The groups that a sentence names."""

_PATTERNS = 10
"""The fewest patterns that say something if all of them occur an even number of times: the chance is 1 in 1,024."""


_BY_CHANCE = 2.0
"""Of pairs of equal examples, so many times those that are expected by chance are no sign of copies."""

_DECIMALS = 4
"""The most decimals of rounded probabilities; those with more hardly coincide."""

_OFTEN = 20
"""A value that occurs so often is one that many cases have, such as a leaf of a tree; no case has so many copies."""


@dataclass(frozen=True)
class Coverage:
    """What must be known before any verdict.

    Attributes:
        warnings: for the headline.
        unmatched: pairs of methods that were tested on no example in common.
    """

    warnings: tuple[str, ...] = ()
    unmatched: tuple[tuple[str, str], ...] = ()


def coverage(
    rows: pl.DataFrame,
    pairing: Pairing,
    references: Sequence[str],
    groups: Mapping[str, TableGroups],
    records: str = "prediction",
) -> Coverage:
    """What the methods of a table with ids have in common; nothing to say of one without.

    Args:
        rows: `method` and `seed` of each row.
        pairing: the example of each row.
        references: methods that the others are compared with.
        groups: by attribute.
        records: what a row holds, in a sentence.
    """
    if pairing.paired != "example":
        return Coverage()
    tested = rows.select("method", "seed", example=pairing.first)
    methods = tested["method"].unique(maintain_order=True).to_list()
    examples = {method: tested.filter(method=method)["example"].unique() for method in methods}
    unmatched = tuple(
        (method, reference)
        for method in methods
        for reference in references
        if method not in references and not examples[method].is_in(examples[reference].implode()).any()
    )
    if unmatched:
        warnings = (
            f"{method} and {reference} have no example id in common, so that nothing of them can be compared: the same "
            "examples need the same ids."
            for method, reference in unmatched
        )
        return Coverage(tuple(warnings), unmatched)
    return Coverage(tuple(_missing(tested, methods, groups, records)))


def _missing(
    tested: pl.DataFrame, methods: Sequence[str], groups: Mapping[str, TableGroups], records: str
) -> list[str]:
    """A sentence for each method without predictions of examples that another has in the same seed."""
    asked = tested.select("seed", "example").unique()
    sentences = []
    for method in methods:
        own = tested.filter(method=method)
        expected = asked.join(own.select("seed").unique(), on="seed", how="semi")
        absent = expected.join(own, on=["seed", "example"], how="anti")
        if len(absent):
            counted = f"{len(absent):,} of {len(expected):,}{largest_shares(absent, expected, groups)}"
            sentences.append(
                f"{method} has no {records} of {share_of(len(absent), len(expected))} of the examples that another "
                f"method has in the same runs ({counted}): they are left out of comparisons, which favours a method "
                "that does not answer where it would err."
            )
    return sentences


def largest_shares(absent: pl.DataFrame, expected: pl.DataFrame, groups: Mapping[str, TableGroups]) -> str:
    """The groups with the largest shares of absent rows, in words that follow other words; rows have an `example`."""
    shares = []
    for attribute, values in groups.items():
        counts = []
        for frame in (absent, expected):
            of_rows = frame.select(group=values.lists_of(frame["example"])).explode("group").drop_nulls()
            counts.append(of_rows["group"].value_counts(name="rows"))
        joined = counts[1].join(counts[0], on="group", suffix="_absent")
        shares += [(lost / all_rows, f"{attribute} = {group}") for group, all_rows, lost in joined.iter_rows()]
    largest = sorted(shares, key=lambda entry: (-entry[0], entry[1]))[:_NAMED]
    return "".join(f"; {group} {share_of(share, 1)}" for share, group in largest)


def share_of(part: float, whole: float) -> str:
    """A share in percent."""
    return f"{100 * part / whole:.1f}%"


def copies(
    rows: pl.DataFrame, pairing: Pairing, facts: Mapping[str, pl.Series], predicted: Outcomes | None
) -> list[str]:
    """A note on examples that are the same in every fact, prediction and probability.

    Labels alone coincide by chance. So without probabilities there is a note only where every pattern of facts and
    predictions occurs a multiple of the same number of times, which chance hardly does.

    Args:
        rows: `trial` of each row.
        pairing: the example of each row.
        facts: the properties of each row's example.
        predicted: predictions and probabilities.
    """
    if predicted is None or "unit" in facts:
        return []
    known = predicted.probabilities
    columns = {} if known is None else {f"probability {code}": column for code, column in enumerate(known.T)}
    hashed = pl.DataFrame({**facts, "trial": rows["trial"], "predicted": predicted.predicted, **columns}).hash_rows()
    by_example = (
        pl.DataFrame({"example": pairing.first, "row": hashed})
        .group_by("example", maintain_order=True)
        .agg(pl.col("row").bitwise_xor())
    )
    if known is None:
        counts = by_example["row"].value_counts()["count"].to_list()
        times = math.gcd(*counts)
        if times < 2 or len(counts) < _PATTERNS:
            return []
        return [
            f"Each of the {len(counts):,} patterns of label, groups and predictions occurs {times} times or a multiple "
            f"of it, as if every case stood in the table {times} times: copies of one case must be named as a unit, "
            "else intervals are too short"
        ]
    repeated = by_example.filter(pl.col("row").is_duplicated())
    if repeated.is_empty():
        return []
    counted = (
        f"{len(repeated):,} of {len(by_example):,} examples are alike in label, groups, predictions and probabilities"
    )
    pairs = sum(math.comb(size, 2) for size in repeated["row"].value_counts()["count"].to_list())
    if pairs <= _BY_CHANCE * _chance_pairs(rows, pairing, facts, known):
        return [
            f"{counted}, which can be chance, because there are few different probabilities; if the table holds copies "
            "of cases, name them as a unit, else intervals are too short"
        ]
    distinct = repeated["row"].n_unique()
    cases = "1 case" if distinct == 1 else f"{distinct:,} different ones"
    same = repeated.filter(pl.col("row") == repeated["row"][0])["example"]
    named = listed([str(pairing.example[row]) for row in same.to_list()], 3)
    return [
        f"{counted} ({cases}, such as {named}): copies of one case must be named as a unit, else intervals are too "
        "short"
    ]


def _chance_pairs(
    rows: pl.DataFrame, pairing: Pairing, facts: Mapping[str, pl.Series], probabilities: np.ndarray
) -> float:
    """How many pairs of examples of one label and group are expected to share all probabilities by chance.

    Given the label, probabilities are taken to be independent of groups, and those of runs of each other.

    Args:
        rows, pairing, facts: see `copies`.
        probabilities: float64 [n, C].
    """
    table = pl.DataFrame(dict(facts)).with_columns(example=pairing.first, run=rows["trial"], row=pl.int_range(pl.len()))
    chance = np.zeros(len(table))
    for part in table.group_by("run", "label", maintain_order=True).agg("row")["row"]:
        place = part.to_numpy()
        for column in probabilities.T[1:]:  # the first follows from the others
            chance[place] += np.log(_share_alike(column[place]))
    by_example = (
        table.with_columns(chance=pl.Series(chance))
        .group_by("example", maintain_order=True)
        .agg(pl.col("chance").sum(), *(pl.col(name).first() for name in facts))
        .with_columns(others=pl.len().over(list(facts)) - 1)
    )
    return float((by_example["others"] * by_example["chance"].exp()).sum()) / 2


def _share_alike(values: np.ndarray) -> np.ndarray:
    """The share of independent values that would equal each of these, float [n].

    Of values that occur often that is their share; of others that of the numbers nearby, spread over the decimals that
    they could have had.
    """
    distinct, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    steps = next((10**digits for digits in range(1, _DECIMALS + 1) if _is_whole(distinct * 10**digits)), None)
    if steps is None:
        nearby = np.full(len(distinct), np.finfo(float).tiny)
    else:
        reach = max(steps // 40, 1)
        ends = np.concatenate([[0], np.cumsum(counts)])
        whole = np.round(distinct * steps)
        low, high = np.searchsorted(whole, whole - reach), np.searchsorted(whole, whole + reach, side="right")
        nearby = (ends[high] - ends[low]) / (2 * reach + 1)
    return (np.where(counts >= _OFTEN, counts, nearby) / len(values))[place]


def _is_whole(numbers: np.ndarray) -> bool:
    return bool(np.abs(numbers - np.round(numbers)).max() < 1e-6)
