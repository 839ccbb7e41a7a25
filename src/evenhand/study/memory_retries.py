"""Makes the trial that is trained in place of one that ran out of memory."""

from __future__ import annotations

from dataclasses import replace

from evenhand.study.expansion import Trial


def with_smaller_passes(trial: Trial) -> Trial | None:
    """Return a trial with the same steps, each in more forward passes; None if that is not possible.

    It is not possible if a pass has one example already, or if the loss needs all examples of a step in one pass.

    The number of examples of a step stays, so that the trial keeps its identity and its result but for rounding (and
    for what a dropout draws): `batch_size: 32, accumulate: 1` becomes `batch_size: 16, accumulate: 2`.
    """
    train = trial.train
    if trial.spec.loss is not None and trial.spec.loss.kind == "group_dro":
        return None
    if train.tokens_per_pass is not None and train.tokens_per_pass > 1:
        fewer = {"tokens_per_pass": train.tokens_per_pass // 2}
    elif train.batch_size > 1 and train.tokens_per_pass is None:
        parts = next(divisor for divisor in range(2, train.batch_size + 1) if train.batch_size % divisor == 0)
        fewer = {"batch_size": train.batch_size // parts, "accumulate": train.accumulate * parts}
    else:
        return None
    return replace(trial, train=train.model_copy(update=fewer))


def why_not_smaller(trial: Trial) -> str:
    """Return the sentence on a trial that ran out of memory and cannot be trained in smaller passes."""
    if trial.spec.loss is not None and trial.spec.loss.kind == "group_dro":
        return (
            f"its memory ran out with {trial.passes} in a forward pass, and its loss group_dro needs the examples of a "
            "step in one pass"
        )
    return "its memory ran out, even with a single example in a forward pass"
