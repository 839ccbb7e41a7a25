"""Which measures a search is made of, and why it is not made of the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from evenhand.audit.measures import Kind, Measure, known, select
from evenhand.audit.measures.calibration import CalibrationError
from evenhand.audit.measures.influence import RateOf
from evenhand.audit.measures.membership import AreaOf as MembershipAreaOf
from evenhand.audit.measures.membership import BalancedAccuracyOf, TprAt
from evenhand.audit.measures.numbers import MeanOfValues, RankOf
from evenhand.audit.measures.ranking import AreaOf
from evenhand.audit.measures.regression import MeanError
from evenhand.audit.measures.scores import BalancedAccuracy, F1Score, MeanScoreOf, PredictiveValueOf

RATIOS = (RateOf, MeanScoreOf, PredictiveValueOf, F1Score, BalancedAccuracy, MeanOfValues, MeanError)
"""The measures that are ratios of sums over examples, or means of such ratios."""
AREAS = (AreaOf, MembershipAreaOf)
"""The measures that rank positives above negatives."""
KINDS: tuple[Kind, ...] = ("predictions", "values", "regression", "membership")
"""The kinds of records that are searched."""


def searched_measures(names: Iterable[str], *kinds: Kind) -> list[Measure]:
    """The measures among these that a search is made of.

    Args:
        names: as the design has them.
        kinds: of records; all that are searched unless given.

    Example:
        >>> [measure.name for measure in searched_measures(["accuracy", "average_precision", "roc_auc"])]
        ['accuracy', 'roc_auc']
    """
    chosen = [measure for kind in kinds or KINDS for measure in select(names, kind)]
    return [measure for measure in chosen if why_not(measure) is None]


def why_not(measure: Measure) -> str | None:
    """Why no subgroups are searched by a measure, as the end of a sentence; None where they are.

    Example:
        >>> from evenhand.audit.measures import measure_named
        >>> why_not(measure_named("calibration_error_squared"))
        'a search by it would find something where everybody is calibrated'
        >>> why_not(measure_named("log_loss")) is None
        True
    """
    if measure.kind not in KINDS:
        return f"records of {measure.kind} are not searched"
    if not measure.decides:
        return f"what decides is {measure.decided_by}" if measure.decided_by else "it has no verdict"
    if not measure.gaps:
        return "a group's value is not compared with that of the others"
    if isinstance(measure.influence, (*RATIOS, *AREAS)):
        return None
    if isinstance(measure.influence, TprAt | BalancedAccuracyOf):
        return "its threshold would be chosen among a subgroup's few non-members; membership AUC is searched"
    if isinstance(measure.influence, CalibrationError):
        return "a search by it would find something where everybody is calibrated"
    if isinstance(measure.influence, RankOf):
        return "ranks of a subgroup among its rest are no means over examples; a log scale is searched"
    return "it is no ratio of sums over examples"


NO_RECORDS = (
    "subgroups: there are no records to search: predictions, values or membership scores whose rates, means or areas "
    "are compared"
)


def refusal(names: Collection[str]) -> str | None:
    """The sentence that refuses a search by measures none of which is searched; None where some may be.

    Args:
        names: as the design has them.

    Example:
        >>> refusal(["accuracy", "average_precision"]) is None
        True
    """
    named = [measure for name in names if (measure := known().get(name)) is not None]
    reasons = [f"{measure.name}: {reason}" for measure in named if (reason := why_not(measure)) is not None]
    if not named or len(reasons) < len(named) or searched_measures(names):
        return None
    return (
        f"subgroups: by none of these measures can be searched ({'; '.join(reasons)}); name one that is a rate, a "
        "mean over examples or an area, too, such as accuracy, brier_score, mean_absolute_error or roc_auc"
    )
