"""From benchmarks that lm-evaluation-harness scored to estimates and verdicts, in one pass.

Rows are about one benchmark (`condition`), all of its documents or a group of them: a kind of bias, a category of
questions, a pronoun. `measure` is the harness's name for a metric, and a mean over documents here is the harness's own
number. Documents of one unit, such as a template with its names exchanged, are resampled together, and so are seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.across_settings import Compared, across_settings
from evenhand.audit.comparisons import Contrast
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.kinds.benchmark_documents import Documents, Scored, scored
from evenhand.audit.kinds.estimands import Case
from evenhand.audit.kinds.option_quantities import Taken
from evenhand.audit.kinds.question_means import compared_means, mean_of
from evenhand.audit.measures import Measure, select
from evenhand.audit.trial_records import gaps, left_by, seeds_of, shared_seeds
from evenhand.audit.verdicts import judged, pairs, pooled_later

LEVEL = 0.95

DISTANCES: Mapping[str, tuple[str, float]] = {
    "pct_stereotype_distance": ("pct_stereotype", 0.5),
    "pct_stereotype_norm_distance": ("pct_stereotype_norm", 0.5),
    "amb_bias_distance": ("amb_bias_score", 0.0),
    "disamb_bias_distance": ("disamb_bias_score", 0.0),
}
"""Measures that are the distance of a metric from where there is no preference."""

GAPS: Mapping[str, str] = {"acc_gap": "acc", "acc_norm_gap": "acc_norm"}
"""Measures that are the distance between two groups' means of a metric."""
BETWEEN = ("gender", "male", "female")
"""The attribute and the two groups."""

UNBOUNDED = frozenset({"amb_bias_score", "disamb_bias_score", "likelihood_diff"})
"""Metrics that one document may change by anything: scores whose documents' values are linearised, and differences."""
BARE = frozenset({"icat", "icat_norm"})
"""Metrics that are shown without an interval: they have a kink just where there is no preference."""
UNITS = "units (templates, occupations, targets)"
NO_INTERVAL = "the harness's number, no mean over documents: shown without an interval"


@dataclass(frozen=True)
class Place:
    """Where a measure is taken: a benchmark, and a group of its documents (None: all)."""

    task: str
    attribute: str | None = None
    group: str | None = None


@dataclass(frozen=True, eq=False)
class Setting:
    """One setting's benchmarks.

    Attributes:
        name: of the setting.
        design: of it.
        methods: in the reader's order.
        models: what was scored, by method and seed.
        absent: why a (method, seed) has nothing.
    """

    name: str
    design: SettingDesign
    methods: tuple[str, ...]
    models: Mapping[tuple[str, int], Scored]
    absent: Mapping[tuple[str, int], str]

    @property
    def split(self) -> str:
        """That of the setting's other rows, so that a report shows them together."""
        return "test" if self.design.asked is None else self.design.asked.split

    def seeds(self, method: str) -> list[int]:
        """The seeds that a method was run with, failed ones included."""
        return seeds_of(method, self.models, self.absent)

    def places(self, measure: Measure) -> list[Place]:
        """Where the measure is taken: each benchmark that has its metric, then groups of its documents."""
        metric = metric_of(measure.name)
        found: dict[Place, None] = {}
        for model in self.models.values():
            for task in model.tasks:
                if measure.name in GAPS:
                    found |= {Place(task): None} if _has_both(model.of(task, metric, None)) else {}
                    continue
                if (task, metric) in model.totals:
                    found[Place(task)] = None
                if "group" in measure.levels and measure.name not in BARE:
                    found |= {Place(task, *group): None for group in model.groups(task, metric)}
        order = [] if self.design.harness is None else list(self.design.harness.tasks)
        return sorted(found, key=lambda place: order.index(place.task) if place.task in order else len(order))


def _has_both(documents: Documents | None) -> bool:
    """Whether there are documents of both groups that a gap is between."""
    attribute, *both = BETWEEN
    return documents is not None and all(f"{attribute}={group}" in documents.groups for group in both)


def metric_of(measure: str) -> str:
    """The harness's name for what a measure is made of."""
    return GAPS.get(measure) or DISTANCES.get(measure, (measure, 0.0))[0]


def benchmarked(trials: pl.DataFrame, harness: pl.DataFrame, design: Design) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What benchmarks say, as rows of the tables `estimates` and `verdicts`.

    Intervals are two-way, by unit of documents and by seed (`audit.mean_answers`). Of several settings that were asked
    the same benchmarks, contrasts are pooled, benchmark by benchmark.

    Args:
        trials, harness: the tables; of trials only those of the role `study` count.
        design: who is compared with whom.

    Raises:
        InputError: an unknown measure; documents whose mean is not the number that the harness gave for all of them.
    """
    measures = select(design.measures, "benchmarks")
    estimates: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    everywhere: list[Compared] = []
    units: list[pl.DataFrame] = []
    for setting, names in _settings(trials, harness, design):
        units.append(names)
        found: list[Compared] = []
        for measure in measures:
            for place in setting.places(measure):
                estimates += _estimates(setting, measure, place, design)
                if measure.direction:
                    found += _compared(setting, measure, place, design)
        verdicts += [row for family in judged(found, design) for row in family.rows()]
        everywhere += pooled_later(found, design)
    for task in dict.fromkeys(one.case.condition for one in everywhere):
        own = [one for one in everywhere if one.case.condition == task]
        verdicts += [{**row, "condition": task} for row in across_settings(own, pl.concat(units), design)]
    return records.from_rows(estimates, "estimates"), records.from_rows(verdicts, "verdicts")


def _settings(trials: pl.DataFrame, harness: pl.DataFrame, design: Design) -> Iterator[tuple[Setting, pl.DataFrame]]:
    """Each setting that was scored, with the names of its units."""
    for name, own in design.settings.items():
        uses = trials.filter(setting=name, role="study")
        here = harness.filter(pl.col("trial").is_in(uses["trial"].unique().to_list()))
        if here.is_empty():
            continue
        # The codes that contrasts of several settings are matched by follow the names of units.
        named = here.select("unit").drop_nulls().unique().sort("unit").with_columns(setting=pl.lit(name))
        codes = {unit: code for code, unit in enumerate(named["unit"])}
        parts = {str(key[0]): part for key, part in here.partition_by("trial", as_dict=True).items()}
        known = {trial: scored(part, codes, f"setting {name}, trial {trial}") for trial, part in parts.items()}
        left = left_by(uses, own.methods, known, "no benchmark was scored")
        yield Setting(name, own, left.methods, left.found, left.absent), named


def taken(model: Scored, measure: Measure, place: Place, support: int) -> Taken:
    """The measure of one model at a place; of a distance the metric less where there is no preference."""
    metric = metric_of(measure.name)
    documents = model.of(place.task, metric, place.group)
    if documents is None:
        whole = model.totals.get((place.task, metric))
        why = "the harness gives no number" if whole is None else "it is not defined without one of its units"
        return Taken(math.nan, np.zeros(0), np.zeros(0), reason=why)
    if measure.name in GAPS:
        attribute, *both = BETWEEN
        first, second = (_mean(documents, f"{attribute}={group}", None, support) for group in both)
        shares = (first.shares + second.shares) / 2
        value, moves = first.value - second.value, first.moves - second.moves
        return Taken(value, moves, shares, reason=first.reason or second.reason, doubt=first.doubt or second.doubt)
    inside = None if place.group is None else f"{place.attribute}={place.group}"
    found = _mean(documents, inside, None if metric in UNBOUNDED else 1.0, support)
    centre = DISTANCES.get(measure.name, (metric, 0.0))[1]
    return replace(found, value=found.value - centre)


def _mean(documents: Documents, inside: str | None, width: float | None, support: int) -> Taken:
    """The mean over the documents of a group; `width` is that of the range of a value. With fewer units than `support`
    it is not judged: their spread says too little."""
    own = np.isfinite(documents.values)
    if inside is not None:
        own = own & documents.groups.get(inside, np.zeros(len(own), dtype=bool))
    number = int(own.sum())
    if not number:
        return Taken(math.nan, np.zeros(len(own)), np.zeros(len(own)), reason="no document of this group has a value")
    mean = float(documents.values[own].mean())
    moves = np.where(own, documents.values - mean, 0.0) / number
    units = len(np.unique(documents.units[own]))
    doubt = None if units >= support else f"fewer than {support} {UNITS}: shown, not judged"
    return Taken(mean, moves, own / number, None if width is None else width / units, doubt=doubt)


def _row(setting: Setting, measure: Measure, place: Place) -> dict[str, Any]:
    return {
        "setting": setting.name,
        "split": setting.split,
        "measure": measure.name,
        "attribute": place.attribute,
        "group": place.group,
        "condition": place.task,
    }


def _estimates(setting: Setting, measure: Measure, place: Place, design: Design) -> Iterator[dict[str, Any]]:
    for method in setting.methods:
        base = {**_row(setting, measure, place), "method": method}
        seeds = setting.seeds(method)
        runs = {seed: setting.models[method, seed] for seed in seeds if (method, seed) in setting.models}
        for seed, model in runs.items():
            yield {**base, "seed": seed, **_values([model], measure, place, [], design)}
        notes = gaps(method, seeds, setting.absent, "were not scored")
        if len(runs) == 1 and measure.name not in BARE:
            notes.append("one seed: the interval does not hold the noise of training")
        yield {**base, "seed": None, **_values(list(runs.values()), measure, place, notes, design)}


def _values(
    models: Sequence[Scored], measure: Measure, place: Place, notes: Sequence[str], design: Design
) -> dict[str, Any]:
    metric = metric_of(measure.name)
    row: dict[str, Any] = {"value": None, "low": None, "high": None, "n": None, "note": None}
    if measure.name in BARE:
        known = [model.totals.get((place.task, metric)) for model in models]
        numbers = [value for value in known if value is not None]
        row["value"] = float(np.mean(numbers)) if numbers and len(numbers) == len(known) else None
        return {**row, "note": "; ".join([NO_INTERVAL, *notes])}
    found = [taken(model, measure, place, design.support) for model in models]
    documents = [model.of(place.task, metric, place.group) for model in models]
    units = [np.zeros(0, dtype=np.int64) if one is None else one.units for one in documents]
    made = mean_of([[one] for one in found], units, measure.name in DISTANCES or measure.name in GAPS)
    n = max((int((one.shares > 0).sum()) for one in found), default=0)
    said = [*made.notes, *notes, *(note for note in [measure.note("everyone")] if note)]
    if n < design.support:
        said.append(f"fewer than {design.support} documents")
    row |= {"n": n, "note": "; ".join(dict.fromkeys(said)) or None}
    if made.interval is None:
        return row
    row["value"] = made.interval.estimate
    if math.isnan(made.interval.variance):
        return row
    low, high = measure.within(made.interval.bounds((1 - LEVEL) / 2))
    return {**row, "low": low, "high": high}


def _compared(setting: Setting, measure: Measure, place: Place, design: Design) -> Iterator[Compared]:
    level = "everyone" if place.group is None else "group"
    case = Case(measure, None, None, level, place.attribute, place.group, place.task)
    margin = measure.margin(design.margins)
    for method, reference in pairs(setting.methods, setting.design.references):
        made = _contrast(setting, measure, place, method, reference, design)
        yield Compared(setting.name, setting.split, method, reference, case, margin, made)


def _contrast(
    setting: Setting, measure: Measure, place: Place, method: str, reference: str, design: Design
) -> Contrast:
    """The measure of a method minus that of its reference, by seed on the documents that both were asked."""
    metric = metric_of(measure.name)
    both, notes = shared_seeds(setting.seeds(method), setting.seeds(reference))
    ours, theirs, units = [], [], []
    for seed in both:
        pair = [setting.models.get((name, seed)) for name in (method, reference)]
        if pair[0] is None or pair[1] is None:
            notes.append(f"seed {seed} was scored with one method only")
            continue
        documents = [model.of(place.task, metric, place.group) for model in pair if model is not None]
        if documents[0] is None or documents[1] is None:
            reasons = {taken(model, measure, place, design.support).reason for model in pair if model is not None}
            notes.append(f"not defined at seed {seed} ({', '.join(sorted(map(str, reasons - {None})))})")
        elif documents[0].examples != documents[1].examples:
            notes.append(f"at seed {seed} the methods were asked different documents")
        else:
            ours.append([taken(pair[0], measure, place, design.support)])
            theirs.append([taken(pair[1], measure, place, design.support)])
            units.append(documents[0].units)
    return compared_means(
        ours,
        theirs,
        units,
        sign=measure.direction,
        absolute=measure.name in DISTANCES or measure.name in GAPS,
        planned=len(both),
        support=design.support,
        vary=setting.design.vary,
        notes=[*notes, *(note for note in [measure.note("everyone")] if note)],
        of="documents",
    )
