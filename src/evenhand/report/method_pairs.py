"""What a headline has a line on: the verdicts on one method against one reference, in the order of a reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import Kind, known
from evenhand.report.wording import (
    Row,
    able_to_answer,
    by_pair,
    claims,
    main_split,
    measure_named,
    place,
    places_of,
    settings_of,
    single_part,
)

_KINDS: tuple[Kind, ...] = (
    "membership",
    "translations",
    "options",
    "benchmarks",
    "probes",
    "values",
    "regression",
    "predictions",
)
"""The kinds of records in the order in which a headline is about them: predictions are there in most studies, and
whoever asked for another kind wants its answer first."""


def kind_rank(kind: Kind) -> int:
    """The place of a kind of records in the order in which a report answers.

    Example:
        >>> kind_rank("membership") < kind_rank("predictions")
        True
    """
    return _KINDS.index(kind)


@dataclass(frozen=True, eq=False)
class Pair:
    """The verdicts on one method against one reference, or on its gaps, in one setting or across settings.

    Attributes:
        setting: None: means over the settings.
        methods: one, or several in which no harm is shown, which share a sentence.
        reference: None where groups of the method are compared with others.
        rows: with verdicts, of the main split, without single parts such as single questions.
        alone: whether no other method has verdicts on its gaps there, so that a sentence need not name it.
        of: the pairs that share the sentence, where there are several.
    """

    setting: str | None
    methods: tuple[str, ...]
    reference: str | None
    rows: pl.DataFrame
    alone: bool = False
    of: tuple[Pair, ...] = ()

    @cached_property
    def judged(self) -> pl.DataFrame:
        """The rows that could be judged."""
        return self.rows.drop_nulls("contrast")

    @cached_property
    def lead(self) -> pl.DataFrame:
        """The judged rows of the kind of records that the sentence is about: what was asked for first."""
        return self.judged.filter(
            pl.col("measure").is_in([name for name in self._measures if measure_named(name).kind == self.kind])
        )

    @cached_property
    def kind(self) -> Kind:
        """The kind of records that the sentence is about."""
        return min((measure_named(name).kind for name in self._measures), key=kind_rank)

    @cached_property
    def _measures(self) -> list[str]:
        return self.judged["measure"].unique().to_list()

    @cached_property
    def worse(self) -> list[Row]:
        """The rows that are worse, the one that the sentence is about first."""
        return sorted(self.judged.filter(verdict="worse").iter_rows(named=True), key=_importance)

    @property
    def settings(self) -> list[str | None]:
        """The settings that the sentence is about."""
        return list(dict.fromkeys(pair.setting for pair in self.of or (self,)))

    @property
    def harmed(self) -> bool:
        """Whether anything is worse."""
        return bool(self.worse)


def _importance(row: Row) -> tuple[int, bool, bool, int, int, bool, float]:
    """The place of a worse row in the order of a reader, first things first.

    The kind that was asked for, the measure that is the easiest to understand, a group before everyone, what a group
    lost before what it lost more than others, and the largest harm.
    """
    measure = measure_named(row["measure"])
    names = list(known())
    rank = names.index(measure.name) if measure.name in names else len(names)
    level = 0 if row["group"] is not None else 2 if row["attribute"] is not None else 1
    if places_of(measure.name).by_condition:
        level = 2 * (row["correction"] is not None) + (row["condition"] is not None)
    return (
        kind_rank(measure.kind),
        measure.one_sided,
        not measure.display.detectable,
        rank,
        level,
        row["comparison"] != "change",
        -row["contrast"],
    )


def worst_first(pair: Pair) -> tuple[int, bool, bool, tuple[int, bool, bool, int, float]]:
    """The place of a pair in a headline: what was asked for, what holds across settings, then the most harmful first.

    Pairs whose worst rows are of the same measure are compared by the size of the harm.
    """
    asked = kind_rank(pair.kind)
    if not pair.harmed:
        return asked, pair.setting is not None, True, (0, False, False, 0, 0.0)
    kind, one_sided, hard, rank, *_, size = _importance(pair.worse[0])
    return asked, pair.setting is not None, False, (kind, one_sided, hard, rank, size)


def pairs_of(verdicts: pl.DataFrame, design: Design) -> list[Pair]:
    """Every pair of the main split that has verdicts, in the design's order, means over settings first.

    Rows that cannot answer are left out, see `able_to_answer`.
    """
    split = main_split(verdicts["split"])
    here = claims(verdicts).filter(~single_part(design), split=split or "").drop_nulls("verdict")
    here = able_to_answer(here)
    places: list[str | None] = [None, *settings_of(here, design)]
    pairs = []
    for setting in places:
        compared = by_pair(here.filter(pl.col("setting").eq_missing(pl.lit(setting, pl.String))), design, setting)
        alone = sum(reference is None for _, reference, _ in compared) == 1
        pairs += [Pair(setting, (method,), reference, rows, alone) for method, reference, rows in compared]
    return pairs


def merged(pairs: Sequence[Pair], over_settings: bool = False) -> list[Pair]:
    """The pairs with harm, followed by those without: the ones that share setting and reference as one.

    Args:
        pairs: in the order of a reader.
        over_settings: whether those of several settings become one, too; means over settings stay apart.
    """
    together: dict[tuple[str | None, str | None, Kind], list[Pair]] = {}
    for pair in pairs:
        if not pair.harmed:
            place = "" if over_settings and pair.setting is not None else pair.setting
            together.setdefault((place, pair.reference, pair.kind), []).append(pair)
    return [*(pair for pair in pairs if pair.harmed), *map(_as_one, together.values())]


def _as_one(pairs: Sequence[Pair]) -> Pair:
    if len(pairs) == 1:
        return pairs[0]
    methods = tuple(dict.fromkeys(method for pair in pairs for method in pair.methods))
    return Pair(
        pairs[0].setting, methods, pairs[0].reference, pl.concat([pair.rows for pair in pairs]), of=tuple(pairs)
    )


def subject(row: Row) -> str:
    """Whom or what a row is about, without its class: `shape = square`, `overall`, `crows_pairs_english`."""
    if not places_of(row["measure"]).by_condition:
        if row["group"] is not None:
            return f"{row['attribute']} = {row['group']}"
        return "overall" if row["attribute"] is None else f"between the groups of {row['attribute']}"
    return place({**row, "correction": None})
