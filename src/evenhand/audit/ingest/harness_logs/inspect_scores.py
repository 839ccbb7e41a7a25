"""Turns the scores of an Inspect log into values by sample, as Inspect's metrics and reducers do.

Inspect reduces the epochs of a sample to one score (their mean unless the task says otherwise) and computes metrics
over the samples. Its mapping of scores to numbers is `value_to_float` (inspect_ai/scorer/_metric.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenhand.audit.ingest.harness_logs.evaluations import MetricScores, is_mean, shares
from evenhand.audit.ingest.harness_logs.json_files import entry, mapping, number

_LETTERS: Mapping[str, float] = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partially correct, incorrect, no answer."""

_WORDS: Mapping[str, float] = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}

_OF_SPREAD = ("stderr", "bootstrap_stderr", "std", "var", "ci")
"""Metrics that say how a mean varies; the audit has intervals of its own."""

_ACCURACY = "accuracy"
"""The metric whose larger values are better."""

_OF_GROUPS = "grouped"
"""The metric that repeats another one for groups of samples; the audit has groups of its own."""


def to_number(value: Any) -> float | None:
    """A score as Inspect's metrics take it; None where there is none, or it is no number and no letter.

    Example:
        >>> to_number("C"), to_number("P"), to_number(0.25), to_number("0.5"), to_number(float("nan"))
        (1.0, 0.5, 0.25, 0.5, None)
    """
    if not isinstance(value, str):
        return number(value)
    if value in _LETTERS:
        return _LETTERS[value]
    if value.lower() in _WORDS:
        return _WORDS[value.lower()]
    try:
        return number(float(value)) if len(value) < 64 else None
    except ValueError:
        return None


@dataclass(frozen=True)
class SampleScore:
    """The score that a scorer gave to a sample, in one epoch or over its epochs.

    Attributes:
        sample: the sample's id.
        value: the score: a letter, a number, or several of them by name.
    """

    sample: str
    value: Any


def metrics(
    results: Mapping[str, Any], reductions: Sequence[Any], scores: Mapping[str, Sequence[SampleScore]], where: str
) -> list[MetricScores]:
    """The metrics of a log.

    Args:
        results: `results` of the log, with the numbers that Inspect reports.
        reductions: `reductions` of the log: by scorer and reducer, the score of each sample over its epochs.
        scores: by scorer, the score of each sample in each epoch, for logs without reductions.
        where: the log, for messages.

    Raises:
        InputError: a part of the results is not what Inspect writes.
    """
    listed = [mapping(one, f'a score in "results" of {where}') for one in entry(results, "scores", list, where)]
    reduced = _reduced(reductions)
    names = [str(one.get("name")) for one in listed]
    by_reducer = {(str(one.get("name")), str(one.get("scorer"))) for one in listed}
    several = {name for name in names if sum(name == other for other, _ in by_reducer) > 1}
    reducers = {key: sum((str(one.get("name")), str(one.get("scorer"))) == key for one in listed) for key in by_reducer}
    found = []
    for one in listed:
        name, scorer, reducer = str(one.get("name")), str(one.get("scorer")), one.get("reducer")
        of_samples = reduced.get((scorer, reducer))
        if of_samples is None:
            of_samples = scores.get(scorer, ())
        values = by_sample(of_samples, None if name == scorer else name)
        shown = f"{scorer}.{name}" if name in several else name
        shown = f"{shown} ({reducer})" if reducers[name, scorer] > 1 and reducer else shown
        found += _of_score(shown, values, mapping(one.get("metrics"), f'"metrics" of {name} in {where}'))
    return found


def _of_score(shown: str, values: Mapping[str, float], reported: Mapping[str, Any]) -> list[MetricScores]:
    """The mean of a score, if Inspect reports it under some name, and its other metrics as numbers."""
    totals = {
        str(key): (metric, total)
        for key, metric in reported.items()
        if isinstance(metric, dict) and (total := number(metric.get("value"))) is not None
    }
    means = [key for key, (_, total) in totals.items() if is_mean(values, total)]
    found = []
    if means:
        accuracy = any(_plain(totals[key][0], key) == _ACCURACY for key in means)
        within = all(0 <= value <= 1 for value in values.values())
        share = (accuracy and within) or shares(values)
        found.append(MetricScores(shown, "better" if accuracy else "neither", share, totals[means[0]][1], values))
    for key, (metric, total) in totals.items():
        kinds = {_plain(metric, key), str(metric.get("group"))}
        if key not in means and not kinds & {*_OF_SPREAD, _OF_GROUPS}:
            found.append(MetricScores(f"{shown} {key}", "neither", False, total, None))
    return found


def by_sample(scores: Iterable[SampleScore], key: str | None) -> dict[str, float]:
    """The mean score of each sample over its epochs; samples without a score are left out.

    Args:
        scores: of one scorer.
        key: of scores that are several values by name, which; None: the score is one value.

    Example:
        >>> by_sample([SampleScore("1", "C"), SampleScore("1", "I"), SampleScore("2", "C")], None)
        {'1': 0.5, '2': 1.0}
    """
    numbers: dict[str, list[float]] = {}
    for score in scores:
        value = score.value
        if key is not None:
            value = value.get(key) if isinstance(value, dict) else None
        if (converted := to_number(value)) is not None:
            numbers.setdefault(score.sample, []).append(converted)
    return {sample: math.fsum(values) / len(values) for sample, values in numbers.items()}


def _reduced(reductions: Sequence[Any]) -> dict[tuple[str, Any], list[SampleScore]]:
    """The scores over epochs, by scorer and reducer."""
    found = {}
    for reduction in reductions:
        if isinstance(reduction, dict) and isinstance(reduction.get("samples"), list):
            samples = [one for one in reduction["samples"] if isinstance(one, dict)]
            reducer = reduction.get("reducer")
            key = str(reduction.get("scorer")), reducer if isinstance(reducer, str) else None
            found[key] = [SampleScore(str(one.get("sample_id")), one.get("value")) for one in samples]
    return found


def _plain(metric: Mapping[str, Any], key: str) -> str:
    """A metric's name without its package: `inspect_ai/accuracy` is accuracy."""
    return str(metric.get("name", key)).rpartition("/")[2]
