"""Matches the rows of a table that are about the same example: by ids, by the order of rows, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.ingest.attributes import SEPARATOR
from evenhand.audit.ingest.columns import Columns, listed
from evenhand.errors import InputError

Split = Literal["fixed", "varying"]

_SAME = "the same example must have the same label, groups, unit and weight in every row"


@dataclass(frozen=True, eq=False)
class Pairing:
    """The example that each row is about, and how methods and seeds are matched.

    Attributes:
        example: ids, str [n].
        first: the row in which each row's example stands for the first time, int [n]; a number of the example that is
            compared faster than its id.
        paired: how methods are matched; see `Design`.
        vary: whether seeds were tested on different examples.
        test_share: share of the examples that one seed tests; None where it is not known.
        notes: how rows were matched.
    """

    example: pl.Series
    first: pl.Series
    paired: Literal["example", "order", "none"]
    vary: bool
    test_share: float | None
    notes: tuple[str, ...]


def pair(
    columns: Columns,
    rows: pl.DataFrame,
    facts: Mapping[str, pl.Series],
    example: str | None,
    split: Split | None,
    test_share: float | None,
) -> Pairing:
    """Find the example of each row.

    Args:
        columns: of the table.
        rows: `method` and `seed` of each row.
        facts: the properties of each row's example, as texts and numbers: label, groups, unit, weight.
        example: the column of ids, if there is one.
        split: whether seeds share one test set; None: it is inferred.
        test_share: the share of the data that a seed's test set is; else it is inferred where ids allow it.

    Raises:
        InputError: an id that repeats in a run or stands for different examples; a split that the rows contradict.
    """
    if test_share is not None and not 0 < test_share < 1:
        raise InputError(f"the test share is a share between 0 and 1, not {test_share}")
    if example is not None:
        return _by_id(columns, rows.select("method", "seed"), facts, example, split, test_share)
    return _by_order(columns, rows.select("method", "seed").with_columns(**facts), list(facts), split, test_share)


def _by_id(
    columns: Columns,
    rows: pl.DataFrame,
    facts: Mapping[str, pl.Series],
    name: str,
    split: Split | None,
    share: float | None,
) -> Pairing:
    """Match rows by id; rows with one id must agree on all facts."""
    where = columns.subject(name, "example")
    values = columns.full(name, "example")
    ids = columns.as_words(values, "example")
    first = _first_rows(values if values.dtype.is_integer() else ids)
    repeated = records.repeated_rows(rows.with_columns(first=first))
    if repeated is not None:
        row = int(repeated.arg_max() or 0)
        (method, seed), example = rows.row(row), ids[row]
        raise InputError(
            f"{where} has {example} more than once for the method {method} and the seed {seed}; an example has one row "
            "per method and seed. If these rows are of other models or runs, name that column, too (method or seed); "
            "if they are of one person, give each row an id of its own and name the person's column as unit"
        )
    for fact, values in facts.items():
        differs = values != values[first]
        if differs.any():
            row = int(differs.arg_max() or 0)
            shown, other = values[row], values[first[row]]
            raise InputError(
                f"{where}: the example {ids[row]} has the {fact} {_shown(shown)} in row {row} and "
                f"{_shown(other)} in row {first[row]}; {_SAME}"
            )
    samples = Samples.of(rows["seed"], first)
    _refuse_ids_per_seed(where, rows, first, facts, samples)
    return _of_samples(ids, first, samples, split, share)


def _refuse_ids_per_seed(
    where: str, rows: pl.DataFrame, first: pl.Series, facts: Mapping[str, pl.Series], samples: Samples
) -> None:
    """Refuse ids that name one test set anew in each seed, which would count its noise once per seed."""
    if len(samples.sizes) < 2 or samples.largest_overlap > 0:
        return
    runs = _facts_by_run(rows.with_columns(**facts), list(facts))
    if _seeds_of_a_method(runs) > 1 and _agree(runs, 0) and not _sorted(next(iter(runs.values()))):
        raise InputError(
            f"{where}: no id stands in two seeds, and yet the rows of all seeds agree in label and groups, in order: "
            "this is one test set; give its examples the same ids in every seed"
        )


def _first_rows(values: pl.Series) -> pl.Series:
    """The row in which each row's value stands for the first time, int [n]."""
    return values.to_frame("value").with_row_index("row").select(pl.col("row").min().over("value")).to_series()


@dataclass(frozen=True, eq=False)
class Samples:
    """The test sets of the seeds.

    Attributes:
        seeds: in ascending order.
        sizes: examples of each.
        total: distinct examples of all.
        smallest_overlap, largest_overlap: of two seeds, the share of the smaller test set that the other has; 1 where
            there is one seed.
    """

    seeds: list[int]
    sizes: list[int]
    total: int
    smallest_overlap: float
    largest_overlap: float

    @classmethod
    def of(cls, seed: pl.Series, first: pl.Series) -> Samples:
        """From the seed and the example of each row, [n]."""
        seeds, codes = np.unique(seed.to_numpy(), return_inverse=True)
        examples, places = np.unique(first.to_numpy(), return_inverse=True)
        tested = np.zeros((len(examples), len(seeds)), dtype=np.float32)
        tested[places, codes] = 1
        shared = (tested.T @ tested).astype(np.int64)
        sizes = shared.diagonal()
        overlap = (shared / np.minimum.outer(sizes, sizes))[np.triu_indices(len(seeds), 1)]
        smallest, largest = (float(overlap.min()), float(overlap.max())) if len(overlap) else (1.0, 1.0)
        return cls(seeds.tolist(), sizes.tolist(), len(examples), smallest, largest)

    @property
    def fixed(self) -> bool:
        """Whether the seeds have one test set, of which some may lack a few rows."""
        return self.smallest_overlap >= FIXED_OVERLAP


FIXED_OVERLAP = 0.9
"""Two seeds that share this much of the smaller test set have one split: new splits of a test share t share about t."""


def _of_samples(
    example: pl.Series, first: pl.Series, samples: Samples, split: Split | None, share: float | None
) -> Pairing:
    """Infer from the overlap of the seeds' test sets whether the split is fixed, and the test share."""
    sizes, total, several = samples.sizes, samples.total, len(samples.sizes) > 1
    if split == "varying" and several and samples.fixed and (share or 0.0) < FIXED_OVERLAP:
        raise InputError(
            f"the split is said to vary, but {_overlap(samples)}; leave it out, or give ids that tell the examples of "
            "different seeds apart"
        )
    vary = not samples.fixed if split is None else split == "varying"
    notes = []
    if split is None and several:
        evidence = "seeds have different examples" if vary else _overlap(samples)
        notes.append(f"Inferred from the table: {'a split per seed' if vary else 'one fixed split'}, since {evidence}.")
    if split == "fixed" and not samples.fixed:
        smallest = min(sizes)
        notes.append(f"The split is said to be fixed, though some seed has {smallest:,} of {total:,} examples only.")
    elif not vary and min(sizes) < total:
        lacking = [
            f"seed {seed} {total - size:,}" for seed, size in zip(samples.seeds, sizes, strict=True) if size < total
        ]
        notes.append(f"Of the {total:,} examples some were not tested in every seed; missing are: {listed(lacking)}.")
    if vary and share is None and several:
        share = float(np.mean(sizes)) / total
        notes.append(
            f"Test share {share:.2f}: a seed's examples over all distinct ones in the table; the share of all data is "
            "smaller where some examples were never tested."
        )
    return Pairing(example, first, "example", vary, share, tuple(notes))


def _overlap(samples: Samples) -> str:
    """What the test sets of the seeds have in common, in words."""
    if min(samples.sizes) == samples.total:
        return f"all {len(samples.sizes)} seeds have the same {samples.total:,} examples"
    return f"any two seeds share at least {100 * samples.smallest_overlap:.3g}% of the smaller's examples"


def _by_order(
    columns: Columns, rows: pl.DataFrame, facts: Sequence[str], split: Split | None, share: float | None
) -> Pairing:
    """Match rows by their position in their runs, where all facts agree at every position.

    The widest agreement is taken: of all runs, of the methods of each seed, of the seeds of each method.
    """
    where = f"{columns.source} names no column of example ids"
    if split != "varying" and rows["method"].n_unique() == rows["seed"].n_unique() == 1:  # nothing to be matched
        position = pl.int_range(len(rows), dtype=pl.get_index_type(), eager=True)
        return Pairing(position.cast(pl.String), position, "order", False, share, ())
    keyed = rows.with_columns(position=pl.int_range(pl.len()).over("method", "seed"))
    runs = _facts_by_run(rows, facts)
    seeds = len({seed for _, seed in runs})
    methods = len({method for method, _ in runs})
    # Where each seed has one method, there is nothing that could agree.
    by_seed = _agree(runs, 1) and (methods == 1 or len(runs) > seeds)
    if split != "varying" and _agree(runs, None):
        notes = [] if len(runs) == 1 else [_matched("all methods and seeds", runs)]
        return Pairing(*_ids(keyed, []), "order", False, share, tuple(notes))
    by_method = _agree(runs, 0)
    if split == "varying" and by_method and _seeds_of_a_method(runs) > 1:
        raise InputError(
            f"the split is said to vary, but {where} and the rows of all seeds agree in label and groups, in order, so "
            "that they seem to be one test set; leave it out, or name a column of ids"
        )
    if split == "fixed" and not by_method:
        raise InputError(f"the split is said to be fixed, but {where} and the rows of the seeds differ; name one")
    if by_seed:
        notes = []
        if methods > 1:
            notes.append(_matched("the methods of each seed", runs))
        if seeds > 1:
            notes.append("Without ids nobody knows which examples several seeds share: they count as different ones.")
        return Pairing(*_ids(keyed, ["seed"]), "order", seeds > 1, share, tuple(notes))
    unpaired = (
        "The rows of methods differ in labels, groups or number, and there are no example ids: methods are compared as "
        "unpaired, with wider intervals. Name a column of ids to pair them."
    )
    if split != "varying" and by_method:
        return Pairing(*_ids(keyed, ["method"]), "none", False, share, (unpaired,))
    return Pairing(*_ids(keyed, ["method", "seed"]), "none", seeds > 1, share, (unpaired,))


def _facts_by_run(rows: pl.DataFrame, facts: Sequence[str]) -> dict[tuple[str, int], np.ndarray]:
    """The facts of the rows of each method and seed, as codes int [m, facts], in their order."""
    ranked = rows.with_columns(pl.col(fact).rank("dense") for fact in facts)
    by_run = ranked.partition_by("method", "seed", as_dict=True, maintain_order=True)
    return {
        (str(method), int(seed)): of_run.select(facts).to_numpy().astype(np.int64)
        for (method, seed), of_run in by_run.items()
    }


def _seeds_of_a_method(runs: Mapping[tuple[str, int], np.ndarray]) -> int:
    """The most seeds that a method has."""
    return max(Counter(method for method, _ in runs).values())


def _agree(runs: Mapping[tuple[str, int], np.ndarray], key_index: int | None) -> bool:
    """Whether runs with the same method (0) or seed (1), or all of them (None), have the same facts in every row."""
    first: dict[object, np.ndarray] = {}
    return all(
        np.array_equal(first.setdefault(None if key_index is None else key[key_index], facts), facts)
        for key, facts in runs.items()
    )


def _sorted(facts: np.ndarray) -> bool:
    """Whether equal rows are next to each other, so that runs agree even on different examples."""
    blocks = 1 + int((facts[1:] != facts[:-1]).any(axis=1).sum())
    distinct = pl.DataFrame(facts).n_unique()
    return distinct < len(facts) and blocks == distinct


def _ids(keyed: pl.DataFrame, parts: list[str]) -> tuple[pl.Series, pl.Series]:
    """Ids made of these columns and the position in the run, and the first row of each."""
    ids = keyed.select(pl.concat_str([*parts, "position"], separator=":").alias("example")).to_series()
    return ids, _first_rows(ids)


def _matched(which: str, runs: Mapping[tuple[str, int], np.ndarray]) -> str:
    """The note that rows were matched by their order."""
    sorted_rows = _sorted(next(iter(runs.values())))
    text = f"Without example ids, rows of {which} were matched by their order: labels and groups agree in every row."
    return f"{text} They are sorted by label and group, so that this proves little: name ids." if sorted_rows else text


def _shown(value: object) -> str:
    return listed(str(value).split(SEPARATOR))
