"""The interval of a mean over questions, runs and examples, clustered by all three.

For J runs, T questions and U units let c_jtu be the contribution of unit u in question t of run j to the error of the
mean (`stats/contrast.py`). Runs and units are clustered as there, with values averaged over questions. The scatter of
questions beyond what their reviews explain is added to that variance:

    V_question = max(T/(T−1) · Σ_t (Σ_ju c)² − Σ_tu (Σ_j c)², 0)

The contribution of seeds to that scatter is not subtracted, so that the interval is rather too wide. The degrees of
freedom are Satterthwaite's, with T − 1 for V_question.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evenhand.stats.contrast import TwoWay, degrees_of_freedom, two_way


@dataclass(frozen=True)
class OverQuestions:
    """A mean over questions with its variance.

    Attributes:
        whole: the mean; its variance, and the part of it that more runs cannot remove, hold that of questions.
        v_question: the questions' part.
        questions: T.
        of_these: the mean as one of these questions alone, whose variance is that of runs and units.
    """

    whole: TwoWay
    v_question: float
    questions: int
    of_these: TwoWay


def over_questions(values: np.ndarray, moves: np.ndarray, shares: np.ndarray) -> OverQuestions:
    """The mean over runs and questions.

    Args:
        values: float [J, T], the quantity in each run and question.
        moves: float [J, T, U], each unit's influence over the size of the sample; they sum to 0 over units.
        shares: float [J, T, U], each unit's share of the sample; they sum to 1.

    Returns:
        With one question it is the two-way mean over runs and units; with one run the variance is that of units and
        questions.
    """
    runs, questions = values.shape
    # Units may hold several documents, and differ in how many; where they do not, nothing changes.
    whole = two_way(values.mean(axis=1), moves.mean(axis=1), shares.mean(axis=1), clustered=True)
    if questions < 2 or np.isnan(whole.variance):
        return OverQuestions(whole, 0.0, questions, whole)
    cells = ((values - values.mean())[:, :, None] * shares + moves) / (runs * questions)
    by_question = cells.sum(axis=(0, 2))
    scatter = questions / (questions - 1) * float((by_question**2).sum())
    extra = max(scatter - float((cells.sum(axis=0) ** 2).sum()), 0.0)
    if not extra:
        return OverQuestions(whole, 0.0, questions, whole)
    variance = whole.variance + extra
    return OverQuestions(
        replace(
            whole,
            variance=variance,
            df=_degrees(whole, variance, extra, questions),
            v_example=whole.v_example + extra,
        ),
        extra,
        questions,
        whole,
    )


def apart(moves: np.ndarray, shares: np.ndarray) -> int:
    """The number of units that differ from the most common value in some run and question.

    For a contrast these are mostly units whose answers differ between methods, for a mean those with a rare answer.

    Args:
        moves, shares: as of `over_questions`. Moves are centred, so counting values other than 0 would not do.
    """
    own = np.divide(moves, shares, out=np.full(moves.shape, np.nan), where=shares > 0).reshape(-1, moves.shape[2])
    found = np.zeros(moves.shape[2], dtype=bool)
    for cell in np.round(own, 9):
        values, counts = np.unique(cell[~np.isnan(cell)], return_counts=True)
        if len(values):
            found |= ~np.isnan(cell) & (cell != values[counts.argmax()])
    return int(found.sum())


def _degrees(whole: TwoWay, variance: float, extra: float, questions: int) -> float:
    """Satterthwaite's degrees of freedom, where V_seed and V_question are the parts known imprecisely."""
    most = max(whole.units - 1, 1)
    if whole.runs == 1 or not whole.v_seed > 0:
        return degrees_of_freedom(variance, extra, questions, whole.units)
    parts = whole.v_seed**2 / (whole.runs - 1) + extra**2 / (questions - 1)
    return float(min(max(variance**2 / parts, min(whole.runs, questions) - 1), most))
