"""The measures that an audit knows, by name and by kind of records."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from numbers import Real
from typing import Any, get_args

from evenhand.audit.design import Design
from evenhand.audit.figure_design import Figure
from evenhand.audit.measures.benchmarks import BENCHMARKS
from evenhand.audit.measures.declared import declared_measure
from evenhand.audit.measures.measure import RANGE_NOTE, Kind, Measure
from evenhand.audit.measures.membership import MEMBERSHIP
from evenhand.audit.measures.options import OPTIONS
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.audit.measures.probes import PROBES
from evenhand.audit.measures.regression import REGRESSION, regression_measures
from evenhand.audit.measures.stability import STABILITY
from evenhand.audit.measures.translations import TRANSLATIONS
from evenhand.errors import InputError, did_you_mean
from evenhand.plugins import Registry

__all__ = [
    "RANGE_NOTE",
    "Kind",
    "Measure",
    "check_design",
    "check_figures",
    "check_margins",
    "check_measures",
    "declaring",
    "doubtful_margins",
    "free_name",
    "is_selected",
    "known",
    "list_measures",
    "measure_named",
    "of_kind",
    "select",
    "shown_in",
    "wide_margins",
]


SEVERAL = ("default", "all")
"""Words that stand for several measures."""


def known() -> Mapping[str, Measure]:
    """Every measure by its name: the package's own, kind by kind, those of installed packages, those of the design.

    The design is that of the results that are computed or reported at the moment, see `declaring`.
    """
    return {**registry(), **_DECLARED.get()}


@cache
def registry() -> Mapping[str, Measure]:
    """The measures that every audit knows."""
    built_in = {
        **PREDICTIONS,
        **STABILITY,
        **TRANSLATIONS,
        **OPTIONS,
        **BENCHMARKS,
        **PROBES,
        **MEMBERSHIP,
        **REGRESSION,
    }
    return dict(Registry("measures", built_in, _fault))


_DECLARED: ContextVar[Mapping[str, Measure]] = ContextVar("declared measures", default={})  # noqa: B039 — never changed


@contextmanager
def declaring(*designs: Design) -> Iterator[None]:
    """Context manager in which the measures that designs declare are known beside all others; the first one's first.

    Everything that computes or reports results of the design happens inside of it; `evenhand.Results` sees to that.

    Raises:
        InputError: a declared measure has the name of another one.

    Example:
        >>> from evenhand.audit.design import DeclaredMeasure, Design
        >>> toxicity = DeclaredMeasure(name="mc2", kind="benchmarks", more_is="better", range=(0.0, 1.0))
        >>> with declaring(Design(settings={}, declared=(toxicity,))):
        ...     measure_named("mc2").direction
        -1
    """
    declared: dict[str, Measure] = {}
    for design in reversed(designs):
        for measure in design.declared:
            if measure.name in registry() or measure.name in SEVERAL:
                raise InputError(f'"{measure.name}" is the name of another measure; give {measure.subject} another one')
            declared[measure.name] = declared_measure(measure)
        for setting in design.settings.values():
            declared |= {} if setting.regression is None else regression_measures(setting.regression)
    token = _DECLARED.set(declared)
    try:
        yield
    finally:
        _DECLARED.reset(token)


def _fault(name: str, measure: Any) -> str | None:
    """What is wrong with the measure of another package, as the end of a sentence; None if nothing is."""
    if not isinstance(measure, Measure):
        return "is not a Measure of evenhand.audit.measures"
    if measure.kind not in get_args(Kind):
        return f'has the kind "{measure.kind}", which is none of {", ".join(get_args(Kind))}'
    if name in SEVERAL:
        return "cannot have this name, which stands for several measures"
    return None if measure.name == name else f'has the name "{measure.name}"; its entry point has to be named so'


def measure_named(name: str) -> Measure:
    """The measure with this name.

    Raises:
        InputError: there is none, with the nearest known name.

    Example:
        >>> measure_named("accuracy").direction
        -1
    """
    measure = known().get(name)
    if measure is None:
        raise InputError(f'there is no measure "{name}"; {did_you_mean(name, known())}')
    return measure


def free_name(name: str, mark: str, taken: Collection[str] = ()) -> str:
    """A name that no measure has: this one, or this one with a mark behind it.

    Args:
        name: the wanted one.
        mark: what tells it apart, in parentheses.
        taken: further names that are not free.

    Example:
        >>> free_name("mc2", "lm-eval"), free_name("accuracy", "lm-eval")
        ('mc2', 'accuracy (lm-eval)')
    """
    while name in known() or name in SEVERAL or name in taken:
        name = f"{name} ({mark})"
    return name


def of_kind(*kinds: Kind) -> list[str]:
    """The names of the measures of some kinds of records, in order."""
    return [name for name, measure in known().items() if measure.kind in kinds]


def shown_in(part: str) -> list[Measure]:
    """The measures that a part of a report shows (`Display.shown_in`), in order."""
    return [measure for measure in known().values() if measure.display.shown_in == part]


def select(names: Iterable[str], kind: Kind) -> list[Measure]:
    """The measures of a kind that are asked for, in the registry's order.

    Those that test a limit of one of them are among them, too.

    Args:
        names: of measures of any kind. `default`, or no names: those that are not computed on request only; `all`: all.
        kind: of records.

    Raises:
        InputError: a name that no measure of any kind has, with the nearest known one.

    Example:
        >>> [measure.name for measure in select(["accuracy"], "predictions")]
        ['accuracy']
    """
    names = list(names)
    check_measures(names)
    names += [tested[1] for name in names if name in known() and (tested := known()[name].tested_by) is not None]
    return [measure for measure in known().values() if measure.kind == kind and is_selected(measure.name, names)]


def is_selected(name: str, names: Collection[str]) -> bool:
    """Whether a measure is one of these names, or among the several that one of them stands for.

    Args:
        name: of a measure that is known.
        names: see `select`.

    Example:
        >>> is_selected("accuracy", []), is_selected("accuracy", ["all"]), is_selected("accuracy", ["selection_rate"])
        (True, True, False)
    """
    by_default = not names or "default" in names
    return name in names or "all" in names or (by_default and not known()[name].on_request)


def check_measures(names: Iterable[str]) -> None:
    """Raises InputError for a name that no measure has, unless it stands for several (`SEVERAL`)."""
    for name in names:
        if name not in SEVERAL:
            measure_named(name)


def check_margins(margins: Mapping[str, float]) -> None:
    """Refuse margins that mean nothing; `default` is the margin of measures on a 0–1 scale.

    Raises:
        InputError: no mapping, an unknown measure, a margin that is no number above 0, or one that no contrast exceeds:
            at or above the measure's range.

    Example:
        >>> from evenhand.audit.measures import check_margins
        >>> check_margins({"default": 2.0})
        Traceback (most recent call last):
        evenhand.errors.InputError: margins: default is 2; no contrast can be larger than 1, so a margin is below that
    """
    if not isinstance(margins, Mapping):
        raise InputError(f"margins: name the measure of each margin, such as {{'default': 0.02}}, not {margins!r}")
    for name, margin in margins.items():
        if name not in ("default", *known()):
            raise InputError(f'margins: no measure "{name}"; {did_you_mean(str(name), ["default", *known()])}')
        if isinstance(margin, bool) or not isinstance(margin, Real):
            raise InputError(f"margins: {name} must be a number above 0, not {margin!r}")
        if not 0 < margin < math.inf:
            raise InputError(f"margins: {name} must be above 0 and finite, not {margin}")
        if margin >= _range(name):
            raise InputError(
                f"margins: {name} is {margin:g}; no contrast can be larger than {_range(name):g}, so a margin is below "
                "that"
            )


def wide_margins(margins: Mapping[str, float]) -> list[str]:
    """A sentence for each margin above a quarter of the measure's range, which calls great harm harmless."""
    return [
        f"The margin of {name}, {margin:g}, is more than a quarter of what a contrast can be ({_range(name):g}): a "
        "loss of that size would be called harmless."
        for name, margin in margins.items()
        if margin > _range(name) / 4
    ]


def doubtful_margins(margins: Mapping[str, float], compared: Iterable[str]) -> list[str]:
    """A sentence for each margin that calls great harm harmless, and for each that serves no compared measure."""
    return [*wide_margins(margins), *_idle_margins(margins, compared)]


def _idle_margins(margins: Mapping[str, float], compared: Iterable[str]) -> list[str]:
    """A sentence for each margin that none of the compared measures has, as where it is meant for another one."""
    there = [known()[name] for name in compared if name in known()]
    serves = {
        name: any(measure.margin({name: margin}) is not None for measure in there) for name, margin in margins.items()
    }
    return [
        f"The margin of {name} serves no measure of this audit"
        + (": it is for measures between 0 and 1, so name each other measure's own." if name == "default" else ".")
        for name in margins
        if there and not serves[name]
    ]


def _range(name: str) -> float:
    """The largest that a contrast of a measure can be."""
    least, most = (0.0, 1.0) if name == "default" or name not in known() else known()[name].limits
    return most - least


def check_design(design: Design) -> None:
    """Raises InputError where a design names an unknown measure: in its measures, its margins, or a figure."""
    check_measures(design.measures)
    check_margins(design.margins)
    check_figures(design.figure)


def check_figures(figures: Iterable[Figure]) -> None:
    """Raises InputError for a panel of a figure that shows an unknown measure."""
    for name in (name for figure in figures for panel in figure.panels for name in panel.measures):
        if name not in known():
            raise InputError(f'figure.panels: there is no measure "{name}"; {did_you_mean(name, known())}')


def list_measures() -> list[tuple[str, str]]:
    """Name and summary of every measure, for `evenhand list measures`; it says which are computed on request only."""
    request = {True: " (on request)", False: ""}
    return [(measure.name, measure.summary + request[measure.on_request]) for measure in known().values()]
