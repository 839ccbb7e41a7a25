"""Sentences on what results do not show: groups, measures, data and runs that were not tested."""

from __future__ import annotations

from collections.abc import Mapping

from evenhand.audit.measures import Kind, of_kind, shown_in
from evenhand.records import ATTRIBUTE
from evenhand.records.schemas import THE_METHODS
from evenhand.report.reportable import Reportable, levels
from evenhand.report.tables import absent_rows
from evenhand.report.wording import one_run_each

_ABOUT: Mapping[Kind, str] = {
    "predictions": "accuracy, parity, error rates and calibration of predictions",
    "membership": "whether membership in the training set can be inferred",
    "translations": "genders in translations",
    "options": "answers to prompts",
    "benchmarks": "benchmarks of bias",
    "probes": "what the model's representations tell about people",
}
"""What the measures of each kind of records are about."""


def untested_lines(results: Reportable) -> list[str]:
    """What was not tested: groups, measures, values that could not be computed, runs, and other data."""
    return [*_groups(results), *_measures(results), *_values(results), *_runs(results), *_data(results)]


def _groups(results: Reportable) -> list[str]:
    given = [name.removeprefix(ATTRIBUTE) for name in results.examples.columns if name.startswith(ATTRIBUTE)]
    named = set(results.estimates["attribute"].drop_nulls()) if len(results.estimates) else set()
    tested = [name for name in given if name in named]
    without = [name for name in given if name not in named]
    if not tested:
        return ["Groups: none were given, so nothing is known about any group of people."]
    lines = [f"Groups: attributes other than {_listed(tested)} were not tested, nor were people in no group of these."]
    if without:
        lines.append(f"{_listed(without)}: given, but without groups that could be compared.")
    if len(tested) > 1:
        lines.append("Combinations of groups were not tested, such as a group of one attribute within another.")
    return lines


def _measures(results: Reportable) -> list[str]:
    present = set(levels(results)["measure"])
    missing = [text for kind, text in _ABOUT.items() if not present & set(of_kind(kind))]
    lines = [f"Measures: {'; '.join(missing)}."] if missing else []
    known = set(levels(results).drop_nulls("value")["measure"])
    calibration = {measure.name for measure in shown_in("calibration")}
    if present & set(of_kind("predictions")) and not known & calibration:
        lines.append("Calibration could not be tested, since no probabilities were given.")
    return lines


def _values(results: Reportable) -> list[str]:
    absent = absent_rows(levels(results), results.design)
    if not absent:
        return []
    reasons = list(dict.fromkeys(reason for *_, reason in absent))
    more = f", and {len(reasons) - 1} further reasons" if len(reasons) > 1 else ""
    return [f"{len(absent)} values could not be computed ({reasons[0]}{more})."]


def _runs(results: Reportable) -> list[str]:
    scopes = set(results.verdicts.drop_nulls("contrast")["scope"]) - {THE_METHODS}
    if one_run_each(results.trials):
        which = "this model" if results.trials["method"].n_unique() == 1 else "these models"
        return [f"Runs: {which} only. Training in the same way again, with other seeds, may give other results."]
    lines = ["Runs: other hyperparameters, base models and training sets were not tested."]
    if scopes:
        lines.append(f"Some verdicts are about {_listed(sorted(scopes))} and not about the methods.")
    return lines


def _data(results: Reportable) -> list[str]:
    tasks = list(dict.fromkeys(setting.task for setting in results.design.settings.values() if setting.task))
    data = _listed(tasks) if tasks else "the table that was audited"
    return [f"Data: nothing but {data}. Other languages, places, times and uses were not tested."]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
