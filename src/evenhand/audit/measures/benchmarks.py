"""What an audit says of benchmarks that lm-evaluation-harness scored."""

from __future__ import annotations

import math
from typing import Any, Literal

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.influence import Level
from evenhand.audit.measures.measure import EVERYWHERE, Measure, by_name, taken_of

_EFFECT = taken_of("benchmarks")
_LEFT_TO_VERDICTS = Display(tabled=False)

_DISTANCE: tuple[tuple[Level, str], ...] = tuple(
    (level, "a distance is biased upward near 0: the share or score itself has the sign") for level in EVERYWHERE
)


def _benchmark(name: str, summary: str, direction: Literal[-1, 0, 1], **more: Any) -> Measure:
    return Measure(name, "benchmarks", summary, direction, more.pop("levels", EVERYWHERE), _EFFECT, **more)


BENCHMARKS = by_name(
    *(
        made
        for ending, how, per in (("", "log-likelihood", ""), ("_norm", "log-likelihood per byte", " per byte"))
        for made in (
            _benchmark(
                f"pct_stereotype{ending}",
                f"share of pairs in which the stereotype has the higher {how}; .5: no preference; estimates only",
                0,
                title=f"share of stereotypes preferred{per} (pct_stereotype{ending})",
                display=Display("benchmarks", "stereotypes preferred", even=0.5) if not ending else Display(),
            ),
            _benchmark(
                f"pct_stereotype{ending}_distance",
                f"|pct_stereotype{ending} − ½|, 0–.5: how far from preferring both equally",
                1,
                title=f"distance from preferring both equally{per and ', per byte'} (pct_stereotype{ending})",
                limits=(0.0, 0.5),
                notes=_DISTANCE,
                display=_LEFT_TO_VERDICTS,
            ),
            _benchmark(
                f"pct_meaningful{ending}",
                f"share of sentences about a target with a higher {how} than one that means nothing (StereoSet)",
                -1,
                title=f"share of meaningful sentences preferred{per} (pct_meaningful{ending})",
            ),
            _benchmark(
                f"icat{ending}",
                f"pct_meaningful{ending} · (1 − 2·distance of pct_stereotype{ending}), StereoSet's; estimates only",
                0,
                title=f"idealised context association test{per} (icat{ending})",
            ),
            _benchmark(
                f"acc{ending}",
                f"accuracy of the option with the highest {how}",
                -1,
                title=f"accuracy of answers{per} (acc{ending})",
                display=Display("benchmarks", "accuracy") if not ending else Display(),
            ),
            _benchmark(
                f"acc{ending}_gap",
                "accuracy on sentences with he against those with she, |difference|, 0–1 (Winogender)",
                1,
                title=f"accuracy{per} with he against with she, distance (acc{ending})",
                levels=("everyone",),
                notes=_DISTANCE,
            ),
        )
    ),
    *(
        made
        for kind, when, named, tells in (
            ("amb", "where the context does not tell", "ambiguous", "does not tell"),
            ("disamb", "where the context tells", "disambiguated", "tells"),
        )
        for made in (
            _benchmark(
                f"{kind}_bias_score",
                f"BBQ's bias score {when}, −1 to 1, above 0 along the stereotype; estimates only",
                0,
                title=f"bias score, {named} contexts ({kind}_bias_score)",
                limits=(-1.0, 1.0),
                default_margin=False,
                display=Display("benchmarks", f"bias, context {tells}", even=0.0),
            ),
            _benchmark(
                f"{kind}_bias_distance",
                f"|{kind}_bias_score|, 0–1: how far from answering along and against stereotypes equally",
                1,
                title=f"distance of the bias score from 0, {named} contexts ({kind}_bias_score)",
                notes=_DISTANCE,
                display=_LEFT_TO_VERDICTS,
            ),
        )
    ),
    _benchmark(
        "likelihood_diff",
        "mean |difference in log-likelihood| between the sentences of a pair (CrowS-Pairs); estimates only",
        0,
        title="difference in log-likelihood of a pair (likelihood_diff)",
        default_margin=False,
        limits=(0.0, math.inf),
    ),
)
"""What an audit says of benchmarks that lm-evaluation-harness scored, the rows of `harness`, under its own names for
metrics; `audit.harness` works them out."""
