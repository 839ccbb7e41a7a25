"""Wording of measures, groups and verdicts in reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import OVERALL, REST, Design
from evenhand.audit.measures import Kind, Measure, known, of_kind
from evenhand.audit.measures.measure import unknown_measure
from evenhand.audit.membership.attack import BASE
from evenhand.records import VERDICTS
from evenhand.records.probes import LAST, named

EVERYONE = "everyone"

ASKED: Mapping[str | None, str] = {
    None: "all questions",
    "cloze": "cloze",
    "yes_no": "yes/no",
    "multiple_choice": "multiple choice",
}
"""The words for rows about several questions; a row about one question has its name."""

Row = Mapping[str, Any]


def measure_named(name: str) -> Measure:
    """The measure with this name; an unknown one, from a plug-in or an older folder, has only a name."""
    return known().get(name) or unknown_measure(name)


def title(measure: str) -> str:
    """A measure's title for readers."""
    return measure_named(measure).title


def digits(measure: str) -> int:
    """The number of decimals for values of a measure."""
    return measure_named(measure).digits


@dataclass(frozen=True)
class Places:
    """The wording of the subject of rows (a group, a question, a layer) for a kind of records.

    Attributes:
        name: what a row is about, without its class and correction.
        part: the column that is null in a row about the whole, such as all groups or all questions.
        single: which rows are about one of many parts, which tables have and charts of verdicts do not.
        by_condition: whether the condition is what a row is about, and nothing that is added to it.
        preposition: the word before the place in a sentence: `in crows_pairs_english`, `for author, layer 2`.
    """

    name: Callable[[Row], str]
    part: str = "group"
    single: pl.Expr | None = None
    by_condition: bool = True
    preposition: str = "in"


def others(against: str | None) -> str:
    """Whom a group is compared with, in words: `the rest`, `everybody`, or the name of a group.

    Example:
        >>> others("rest"), others("overall"), others("White")
        ('the rest', 'everybody', 'White')
    """
    return {None: "the rest", REST: "the rest", OVERALL: "everybody"}.get(against, str(against))


def others_of(gaps: pl.DataFrame) -> str:
    """Whom the groups of several gaps are compared with: the rest, everybody or a group; in general words if mixed."""
    compared = [others(name) for name in gaps["against"].drop_nulls().unique(maintain_order=True)]
    return "those it is compared with" if len(compared) > 1 else "".join(compared) or "the rest"


def _group(row: Row) -> str:
    if row["group"] is not None:
        against = "" if row.get("against") is None else f" against {others(row['against'])}"
        return f"{row['attribute']} = {row['group']}{against}"
    return EVERYONE if row["attribute"] is None else f"over the groups of {row['attribute']}"


def _benchmark(row: Row) -> str:
    return row["condition"] if row["group"] is None else f"{row['condition']} · {row['attribute']} = {row['group']}"


def _question(row: Row) -> str:
    return ASKED.get(row["condition"], row["condition"])


def _layer(row: Row) -> str:
    target, layer = named(row["condition"])
    return f"{target}, {layer_name(layer)}"


_GROUPS = Places(_group, by_condition=False)
_PLACES: Mapping[Kind, Places] = {
    "options": Places(_question, "condition", pl.col("condition").fill_null("").str.contains("/", literal=True)),
    "benchmarks": Places(_benchmark, "group", pl.col("group").is_not_null()),
    "probes": Places(_layer, "condition", preposition="for"),
}
"""The wordings for kinds of records whose rows are not about groups of examples."""


def places_of(measure: str) -> Places:
    """The wording for rows of a measure."""
    return _PLACES.get(measure_named(measure).kind, _GROUPS)


def place(row: Row) -> str:
    """The subject of a row of estimates or verdicts in words, with its class, condition and correction."""
    places = places_of(row["measure"])
    further = [] if row["class"] is None else [f"class {row['class']}"]
    if row["condition"] is not None and not places.by_condition:
        further.append(measure_named(row["measure"]).display.condition.format(row["condition"]))
    further += [] if row["correction"] is None else [f"correction {row['correction']}"]
    return " · ".join([places.name(row), *further])


def heading(measure: str, comparison: str | None) -> str:
    """A measure's name with what is compared, where that is not the measure itself: `accuracy, gap change`."""
    return title(measure) if comparison in (None, "change") else f"{title(measure)}, {comparison}"


BETWEEN = (pl.col("comparison") == "gap change") & pl.col("group").is_null()
"""Rows about all groups of an attribute, which sum up the gap changes of the groups."""


def changes(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Comparisons of two methods in the same examples, without those of gaps."""
    return verdicts.filter(comparison="change")


def claims(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Distinct claims: without the rows that sum up those of the groups."""
    return verdicts.filter(~BETWEEN)


def able_to_answer(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Rows without those that can say only `worse` or `inconclusive` (spreads), where they are inconclusive.

    What decides in their place has rows of its own.
    """
    mute = [name for name in verdicts["measure"].unique() if measure_named(name).one_sided]
    return verdicts.filter(~(pl.col("measure").is_in(mute) & (pl.col("verdict") == "inconclusive")))


def scope_in_words(row: Row) -> str:
    """What a row of verdicts is about, with the number of runs: `this model against the mean of 5 runs`."""
    return row["scope"].replace(" N ", f" {row['runs']} ")


def measure_in_place(row: Row) -> str:
    """The measure of a row whose place is named beside it, which says that a gap is one: `g = b against everybody`."""
    return title(row["measure"]) if row["comparison"] == "gap" else heading(row["measure"], row["comparison"])


def layer_name(layer: str) -> str:
    """A layer of a model in words."""
    return {"0": "embeddings", LAST: "last layer"}.get(layer, f"layer {layer}")


def single_part(design: Design | None = None) -> pl.Expr:
    """An expression that is true for rows about one of many questions, or one group of a benchmark's documents.

    Groups are no mere parts in settings of the design where nothing but benchmarks was audited: somebody named them.
    """
    settings = {} if design is None else design.settings
    asked = [name for name, setting in settings.items() if setting.kind == "benchmarks"]
    single = pl.lit(False)
    for kind, places in _PLACES.items():
        if places.single is not None:
            single |= pl.col("measure").is_in(of_kind(kind)) & places.single
    return single & ~pl.col("setting").is_in(asked).fill_null(False)


def main_split(splits: Iterable[str]) -> str | None:
    """The split that the headline is about: `test` if there is one, else the first."""
    present = list(dict.fromkeys(splits))
    return "test" if "test" in present else (present[0] if present else None)


def settings_of(frame: pl.DataFrame, design: Design) -> list[str]:
    """The settings of a table, in the design's order."""
    present = set(frame["setting"].unique())
    return [name for name in design.settings if name in present]


def splits_of(frame: pl.DataFrame) -> list[str]:
    """The splits of a table, `test` first."""
    return sorted(frame["split"].unique(), key=lambda split: (split != "test", split))


def by_setting_and_split(frame: pl.DataFrame, design: Design) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """The rows of each setting and split, in the design's order, `test` before other splits."""
    parts = frame.partition_by("setting", "split", as_dict=True, maintain_order=True)
    for setting in settings_of(frame, design):
        for key in sorted((key for key in parts if key[0] == setting), key=lambda key: (key[1] != "test", key[1])):
            yield setting, str(key[1]), parts[key]


def methods_of(frame: pl.DataFrame, design: Design, setting: str | None = None) -> list[str]:
    """The methods of a table in the design's order, followed by others sorted by name."""
    present = set(frame["method"].unique())
    chosen = [design.settings[setting]] if setting is not None else list(design.settings.values())
    order = [name for each in chosen for name in each.methods]
    order += [name for each in chosen for name in each.references]
    ordered = [name for name in dict.fromkeys(order) if name in present]
    return ordered + sorted(present - set(ordered))


def by_pair(
    frame: pl.DataFrame, design: Design, setting: str | None = None
) -> list[tuple[str, str | None, pl.DataFrame]]:
    """The method, reference and rows of each comparison, in the design's order of methods.

    The reference is None where groups of one method are compared with others.
    """
    parts = frame.partition_by("method", "reference", as_dict=True, maintain_order=True)
    order = {method: rank for rank, method in enumerate(methods_of(frame, design, setting))}
    return [(key[0], key[1], parts[key]) for key in sorted(parts, key=lambda key: order[key[0]])]


def compared(method: str, reference: str | None) -> str:
    """What rows compare, in words: `lora against full`, or `gaps of lora` where its groups are compared with others.

    Example:
        >>> compared("lora", "full"), compared("lora", None)
        ('lora against full', 'gaps of lora')
    """
    return f"gaps of {method}" if reference is None else f"{method} against {reference}"


def same_reference(reference: str | None) -> pl.Expr:
    """An expression that is true for rows with this reference; for None, for rows about the gaps of one method."""
    return pl.col("reference").eq_missing(pl.lit(reference, pl.String))


def one_run_each(trials: pl.DataFrame) -> bool:
    """Whether every method of every setting has a single run, so that methods are single models."""
    audited = trials.filter(pl.col("role") != "tuning")
    return bool(len(audited)) and not audited.select("setting", "method").is_duplicated().any()


def trained(trials: pl.DataFrame) -> list[str]:
    """The numbers of methods, seeds and pool models in words: `2 methods`, `5 seeds`, `16 pool models each`.

    Methods with one run each are models: `2 models`. Where methods differ in their seeds: `1 to 5 seeds`.
    """
    trials = trials.filter(pl.col("subset").ne_missing(pl.lit(BASE)))  # what an attack compares with is no result
    audited = trials.filter(pl.col("role") != "tuning")
    if one_run_each(trials):
        return [f"{len(audited)} model{'' if len(audited) == 1 else 's'}"]
    methods, study = audited["method"].n_unique(), audited.filter(role="study")
    seeds, runs = study["seed"].n_unique(), study.group_by("setting", "method").len()["len"]
    pool = audited.filter(role="pool").group_by("setting", "method").len()["len"]
    parts = [f"{methods} method{'' if methods == 1 else 's'}"]
    if seeds or pool.is_empty():
        fewest, most = runs.min(), runs.max()
        parts.append(f"{seeds} seed{'' if seeds == 1 else 's'}" if fewest == most else f"{fewest} to {most} seeds")
    if len(pool):
        low, high = pool.min(), pool.max()
        parts.append(f"{low if low == high else f'{low} to {high}'} pool models each")
    return parts


GAP_WORDS: Mapping[str, str] = {"widens": "gap widens", "reversed": "gap reversed", "narrows": "gap narrows"}
"""What becomes of a gap, in words that can stand beside verdicts."""


def counts(verdicts: pl.DataFrame) -> dict[str, int]:
    """How often each verdict was given, those that occur only, in the order of `records.VERDICTS`.

    Words of `GAP_WORDS`, which stand for a verdict in figures of disparities, come last.
    """
    number_of = dict(verdicts.drop_nulls("verdict").group_by("verdict").len().iter_rows())
    return {verdict: number_of[verdict] for verdict in (*VERDICTS, *GAP_WORDS.values()) if verdict in number_of}


def tally(judged: pl.DataFrame, worse: str = "") -> str:
    """The counts of verdicts in words: `worse in 1 of 24 comparisons, equivalent in 3, inconclusive in 20`.

    Args:
        judged: contrasts that exist and have a verdict.
        worse: which are worse, in brackets.
    """
    number_of = counts(judged)
    plural = "" if len(judged) == 1 else "s"
    parts = [f"worse in {number_of.pop('worse', 0)} of {len(judged)} comparison{plural}{worse}"]
    return ", ".join([*parts, *(f"{verdict} in {count}" for verdict, count in number_of.items())])
