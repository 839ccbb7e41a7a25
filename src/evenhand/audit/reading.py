"""The one path from records to tables: the interface of every kind of records, and the loop over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from evenhand import records
from evenhand.audit.across_settings import across_settings
from evenhand.audit.comparisons import Evidence, conclude
from evenhand.audit.design import REST, Design
from evenhand.audit.estimands import Comparison, Estimand
from evenhand.audit.harm_curves import with_planted_harm
from evenhand.audit.measures import Measure, select
from evenhand.audit.measures.measure import Kind
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import Family, families, in_order
from evenhand.stats.null import NoiseFloor

LEVEL = 0.95
"""The level of the marginal intervals of estimates."""
INSIDE = "inside its noise floor: at these group sizes chance alone produces as much"


@dataclass(frozen=True)
class Estimate:
    """A measure's value in one run, or over all runs of a method.

    Attributes:
        value: None where it is undefined.
        low, high: its 95% interval; None where there is none.
        n: the number of distinct examples behind it; None where that is not known.
        notes: why it is undefined, and caveats.
        corrected: the debiased value, where there is one.
        floor: the size of the measure by chance alone at these sample sizes.
        against: whom a group is compared with, as tables name it; of a gap the rest where it is None.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int | None
    notes: tuple[str, ...] = ()
    corrected: float | None = None
    floor: NoiseFloor | None = None
    against: str | None = None


class Reading(Protocol):
    """One setting and split of one kind of records, as arrays.

    A new kind of records is a schema, a `Reading`, its measures, and a section of the report.

    Attributes:
        kind: of records.
        setting, split: whose records they are.
        methods: in the order of the report.
    """

    @property
    def kind(self) -> Kind: ...
    @property
    def setting(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def methods(self) -> Sequence[str]: ...

    def estimands(self, measure: Measure) -> Iterable[Estimand]:
        """The estimands of a measure, in the order of the report."""
        ...

    def estimates(self, estimand: Estimand, method: str) -> Iterable[tuple[int | None, Estimate]]:
        """The estimate of each run by seed, and under None that over all runs."""
        ...

    def gaps(self, estimand: Estimand, method: str) -> Iterable[tuple[int | None, Estimate]]:
        """The gap of the estimand's group to whom it is compared with, by run and over all; none without gaps."""
        ...

    def comparisons(self, estimand: Estimand) -> Iterable[Comparison]:
        """The comparisons of methods; none where the measure has no direction."""
        ...

    def evidence(self, comparison: Comparison) -> Evidence:
        """The estimate of a comparison with its variance and caveats."""
        ...

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterable[SettingContrast]:
        """The contrasts that are pooled over settings, with the names of their units."""
        ...

    def curves(self, judged: Sequence[Family]) -> Iterable[dict[str, Any]]:
        """Rows of the table `curves`: curves of the records, noise floors, planted harm."""
        ...


@dataclass(frozen=True)
class Assessment:
    """The results of readings: the tables `estimates`, `verdicts` and `curves`, and the families of the verdicts."""

    estimates: pl.DataFrame
    verdicts: pl.DataFrame
    curves: pl.DataFrame
    families: Sequence[Family] = ()


def assess(
    readings: Iterable[Reading], design: Design, trials: pl.DataFrame | None = None, *, only_verdicts: bool = False
) -> Assessment:
    """Estimates, verdicts and curves of readings of one kind of records: the only loop from records to tables.

    Args:
        readings: one per setting and split.
        design: who is compared with whom, and what was declared harmless.
        trials: the table, for settings that share trials; None where none do.
        only_verdicts: whether estimates and curves are left out, which take most of the time.

    Raises:
        InputError: an unknown measure.
    """
    estimates: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    everywhere: list[SettingContrast] = []
    every_family: list[Family] = []
    references = {name: setting.references for name, setting in design.settings.items()}
    for reading in readings:
        judged: list[Family] = []
        measures = select(design.measures, reading.kind)
        planted = {measure.name for measure in measures if measure.planted}
        for measure in measures:
            contrasts: list[SettingContrast] = []
            for estimand in reading.estimands(measure):
                estimates += () if only_verdicts else estimate_rows(reading, estimand)
                contrasts += setting_contrasts(reading, estimand, design)
            judged += [family.settled for family in families(contrasts, design)]
            if len(design.settings) > 1:
                everywhere += reading.pooled(contrasts)
        judged = in_order(judged)
        drawn = [] if only_verdicts else list(reading.curves(judged))
        verdicts += with_planted_harm((row for family in judged for row in family.rows()), drawn, references, planted)
        curves += drawn
        every_family += judged
    verdicts += across_settings(everywhere, design, trials)
    return Assessment(
        records.from_rows(estimates, "estimates"),
        records.from_rows(verdicts, "verdicts"),
        records.from_rows(curves, "curves"),
        every_family,
    )


def setting_contrasts(reading: Reading, estimand: Estimand, design: Design) -> Iterator[SettingContrast]:
    """The contrasts of an estimand, concluded but not yet judged."""
    for comparison in reading.comparisons(estimand):
        contrast = conclude(reading.evidence(comparison), design.support)
        measure = estimand.measure
        margin = measure.margin(design.margins) if comparison.decides else design.margins.get(measure.name)
        yield SettingContrast(reading.setting, reading.split, comparison, contrast, margin)


def estimate_rows(reading: Reading, estimand: Estimand) -> Iterator[dict[str, Any]]:
    """Rows of the table `estimates`: an estimand in every method and run, then the gap of its group."""
    for method in reading.methods:
        for seed, estimate in reading.estimates(estimand, method):
            yield _estimate_row(reading, estimand, method, seed, estimate)
    for method in reading.methods:
        for seed, estimate in reading.gaps(estimand, method):
            row = _estimate_row(reading, estimand, method, seed, estimate)
            yield row | {"comparison": "gap", "against": estimate.against or REST}


def _estimate_row(
    reading: Reading, estimand: Estimand, method: str, seed: int | None, estimate: Estimate
) -> dict[str, Any]:
    notes, floor = estimate.notes, estimate.floor
    if floor is not None and estimate.value is not None and estimate.value <= floor.high:
        notes = (INSIDE, *notes)
    return {
        "comparison": None,
        "against": estimate.against,
        "setting": reading.setting,
        "split": reading.split,
        "measure": estimand.measure.name,
        "class": estimand.class_name,
        "attribute": estimand.subset.attribute,
        "group": estimand.subset.group,
        "condition": estimand.condition,
        "correction": estimand.correction,
        "method": method,
        "seed": seed,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "corrected": estimate.corrected,
        "noise_floor": None if floor is None else floor.mean,
        "noise_high": None if floor is None else floor.high,
        "note": "; ".join(dict.fromkeys(notes)) or None,
    }
