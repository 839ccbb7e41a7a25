"""Defines the measures of benchmarks that lm-evaluation-harness scored."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evenhand.audit.arrays.benchmark_documents import BenchmarkScores, Documents
from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import ASKED, EVERYWHERE, UNLIMITED, Measure, by_name
from evenhand.audit.measures.run_data import Level

UNITS = "units (templates, occupations, targets)"


@dataclass(frozen=True)
class MeanOf:
    """Computes the mean of a metric over documents, which is the harness's own number.

    Attributes:
        metric: the harness's name.
        bounded: whether a document's value lies in an interval of length 1; scores whose documents' values are
            linearised, and differences, may be changed by one document by anything.
    """

    metric: str
    bounded: bool = True

    def __call__(self, scores: BenchmarkScores, task: str, group: str | None, inside: str | None, support: int) -> Any:
        """The mean over all documents of a benchmark, or those of a group.

        Args:
            scores: of one model.
            task: the benchmark.
            group: of documents; None: all.
            inside: the group with its attribute, `ATTRIBUTE=GROUP`.
            support: with fewer units the mean is not judged: their spread is not known well enough.
        """
        documents = scores.of(task, self.metric, group)
        if documents is None:
            return _missing(scores, task, self.metric)
        return _mean(documents, inside, self.bounded, support)

    def of_rest(self, scores: BenchmarkScores, task: str, attribute: str, inside: str, support: int) -> LinearEstimate:
        """The mean over the documents that are in another group of the attribute, and not in this one.

        Args: see `__call__`; `attribute` is the group's.
        """
        documents = scores.of(task, self.metric, None)
        if documents is None:
            return _missing(scores, task, self.metric)
        return _mean(documents, inside, self.bounded, support, rest_of=attribute)

    def applies(self, scores: BenchmarkScores, task: str) -> bool:
        """Whether a benchmark has the metric."""
        return (task, self.metric) in scores.totals


@dataclass(frozen=True)
class NumberOf:
    """The harness's number, which is not a mean over documents: it has a kink at the value of no preference.

    Attributes:
        metric: the harness's name.
    """

    metric: str

    def __call__(self, scores: BenchmarkScores, task: str, *further: Any) -> float | None:
        """The number of a benchmark; None where the harness gives none."""
        return scores.totals.get((task, self.metric))

    def applies(self, scores: BenchmarkScores, task: str) -> bool:
        """Whether a benchmark has the metric."""
        return (task, self.metric) in scores.totals


@dataclass(frozen=True)
class DifferenceOf:
    """Computes the mean of a metric over the documents of one group minus that over another's.

    Attributes:
        metric: the harness's name.
        attribute, first, second: the groups.
    """

    metric: str
    attribute: str = "gender"
    first: str = "male"
    second: str = "female"

    def __call__(self, scores: BenchmarkScores, task: str, group: str | None, inside: str | None, support: int) -> Any:
        documents = scores.of(task, self.metric, None)
        if documents is None:
            return _missing(scores, task, self.metric)
        first, second = (_mean(documents, name, False, support) for name in self._names)
        return LinearEstimate(
            first.value - second.value,
            first.influence - second.influence,
            (first.weights + second.weights) / 2,
            reason=first.reason or second.reason,
            doubt=first.doubt or second.doubt,
        )

    def applies(self, scores: BenchmarkScores, task: str) -> bool:
        """Whether a benchmark has documents of both groups."""
        documents = scores.of(task, self.metric, None)
        return documents is not None and all(name in documents.groups for name in self._names)

    @property
    def _names(self) -> tuple[str, str]:
        return f"{self.attribute}={self.first}", f"{self.attribute}={self.second}"


def _missing(scores: BenchmarkScores, task: str, metric: str) -> LinearEstimate:
    """The undefined estimate of a metric without documents, with the reason."""
    whole = scores.totals.get((task, metric))
    why = "the harness gives no number" if whole is None else "it is not defined without one of its units"
    return LinearEstimate.undefined(why, 0)


def _mean(
    documents: Documents, inside: str | None, bounded: bool, support: int, rest_of: str | None = None
) -> LinearEstimate:
    """The mean over the documents of a group, or of its rest. With fewer units than `support` it is not judged.

    Args:
        documents: of the benchmark.
        inside: the group, `ATTRIBUTE=GROUP`; None: all documents.
        bounded: see `MeanOf`.
        support: units.
        rest_of: the group's attribute, for the mean over the documents in its other groups only.
    """
    counted = np.isfinite(documents.values)
    if inside is not None:
        member = documents.groups.get(inside, np.zeros(len(counted), dtype=bool))
        counted = counted & (member if rest_of is None else documents.defined(rest_of) & ~member)
    number = int(counted.sum())
    if not number:
        return LinearEstimate.undefined("no document of this group has a value", len(counted))
    mean = float(documents.values[counted].mean())
    influence = np.where(counted, documents.values - mean, 0.0) / number
    units = len(np.unique(documents.units[counted]))
    doubt = None if units >= support else f"fewer than {support} {UNITS}: shown, not judged"
    return LinearEstimate(mean, influence, counted / number, 1.0 / units if bounded else None, doubt=doubt)


_LEFT_TO_VERDICTS = Display(tabled=False, points=True)
_DISTANCE_FROM_BOTH = Display(
    tabled=False,
    points=True,
    worse="is further from neutral about stereotypes",
    not_worse="be further from neutral about stereotypes",
)
_STEREOTYPES = Display(heading="stereotypes preferred", even=0.5, summary=True)
_QUALITY = Display(points=True, question="benchmark accuracy", summary=True)

_DISTANCE: tuple[tuple[Level, str], ...] = tuple(
    (level, "a distance is biased upward near 0: the share or score itself gives the sign") for level in EVERYWHERE
)


def _benchmark(name: str, summary: str, direction: Literal[-1, 0, 1], influence: Any, **more: Any) -> Measure:
    return Measure(name, "benchmarks", summary, direction, more.pop("levels", EVERYWHERE), influence, **more)


BENCHMARKS = by_name(
    *(
        measure
        for ending, how, per in (("", "log-likelihood", ""), ("_norm", "log-likelihood per byte", " per byte"))
        for measure in (
            _benchmark(
                f"pct_stereotype{ending}",
                f"share of pairs in which the stereotype has the higher {how}; .5: no preference",
                0,
                MeanOf(f"pct_stereotype{ending}"),
                display=replace(_STEREOTYPES, shown_in="" if ending else "benchmarks"),
                title=f"share of stereotypes preferred{per} (pct_stereotype{ending})",
                gaps=True,
            ),
            _benchmark(
                f"pct_stereotype{ending}_distance",
                f"|pct_stereotype{ending} − ½|, 0–.5: how far from preferring both equally",
                1,
                MeanOf(f"pct_stereotype{ending}"),
                distance_from=0.5,
                display=_DISTANCE_FROM_BOTH,
                title=f"distance from preferring both equally{per and ', per byte'} (pct_stereotype{ending})",
                limits=(0.0, 0.5),
                notes=_DISTANCE,
                gaps=True,
                gaps_decided_by=f"the gap change of pct_stereotype{ending}: a distance is biased away from 0, the more "
                "the smaller the group",
            ),
            _benchmark(
                f"pct_meaningful{ending}",
                f"share of sentences about a target with a higher {how} than one that means nothing (StereoSet)",
                -1,
                MeanOf(f"pct_meaningful{ending}"),
                display=_QUALITY,
                title=f"share of meaningful sentences preferred{per} (pct_meaningful{ending})",
                gaps=True,
            ),
            _benchmark(
                f"icat{ending}",
                f"pct_meaningful{ending} · (1 − 2·distance of pct_stereotype{ending}), StereoSet's; estimates only",
                0,
                NumberOf(f"icat{ending}"),
                levels=("everyone",),
                title=f"idealised context association test{per} (icat{ending})",
            ),
            _benchmark(
                f"acc{ending}",
                f"accuracy of the option with the highest {how}",
                -1,
                MeanOf(f"acc{ending}"),
                display=replace(_QUALITY, shown_in="benchmarks", heading="accuracy") if not ending else _QUALITY,
                title=f"accuracy of answers{per} (acc{ending})",
                gaps=True,
            ),
            _benchmark(
                f"acc{ending}_gap",
                "accuracy on sentences with he against those with she, |difference|, 0–1 (Winogender)",
                1,
                DifferenceOf(f"acc{ending}"),
                distance_from=0.0,
                display=Display(points=True),
                title=f"accuracy{per} with he against with she, distance (acc{ending})",
                levels=("everyone",),
                notes=_DISTANCE,
            ),
        )
    ),
    *(
        measure
        for kind, when, named, tells in (
            ("amb", "where the context does not give the answer", "ambiguous", "without the answer"),
            ("disamb", "where the context gives the answer", "disambiguated", "with the answer"),
        )
        for measure in (
            _benchmark(
                f"{kind}_bias_score",
                f"BBQ's bias score {when}, −1 to 1, above 0 along the stereotype; estimates only",
                0,
                MeanOf(f"{kind}_bias_score", bounded=False),
                display=Display("benchmarks", f"bias, context {tells}", even=0.0),
                title=f"bias score, {named} contexts ({kind}_bias_score)",
                limits=(-1.0, 1.0),
                default_margin=False,
            ),
            _benchmark(
                f"{kind}_bias_distance",
                f"|{kind}_bias_score|, 0–1: how far from answering along and against stereotypes equally",
                1,
                MeanOf(f"{kind}_bias_score", bounded=False),
                distance_from=0.0,
                display=_LEFT_TO_VERDICTS,
                title=f"distance of the bias score from 0, {named} contexts ({kind}_bias_score)",
                notes=_DISTANCE,
            ),
        )
    ),
    _benchmark(
        "likelihood_diff",
        "mean |difference in log-likelihood| between the sentences of a pair (CrowS-Pairs); estimates only",
        0,
        MeanOf("likelihood_diff", bounded=False),
        title="difference in log-likelihood of a pair (likelihood_diff)",
        default_margin=False,
        limits=(0.0, math.inf),
    ),
)
"""The measures of benchmarks by the harness's names for its metrics, in the order of the rows of `harness`."""


def declared_number(name: str, metric: str, subject: str) -> Measure:
    """The measure of a harness's number that is no mean over documents: estimates without intervals.

    Args:
        name: of the measure.
        metric: the name in records.
        subject: what it is, for its summary.
    """
    display = Display(question="benchmark accuracy", summary=True)
    summary = f"{subject}; estimates only"
    return _benchmark(
        name,
        summary,
        0,
        NumberOf(metric),
        levels=ASKED,
        limits=UNLIMITED,
        default_margin=False,
        title=name,
        display=display,
    )
