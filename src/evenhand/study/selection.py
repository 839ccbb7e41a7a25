"""Selects hyperparameters among the trained candidates of a study's tuning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from evenhand import records
from evenhand.data.dataset import Dataset
from evenhand.errors import InputError
from evenhand.study.expansion import Trial
from evenhand.study.plan import Plan
from evenhand.study.setting import MAIN
from evenhand.study.store import Store
from evenhand.study.tuning import SCORES, TIES, Choice, TuningSpec, best, hyperparameters_text


def select_hyperparameters(planned: Plan, store: Store) -> tuple[Choice, ...]:
    """Return the best candidate of each tuned method, once or for each seed.

    Args:
        planned: the plan; its candidates must be complete in the store.
        store: where they are kept.

    Raises:
        InputError: every candidate of a method failed.
    """
    groups: dict[tuple[str, str, int], list[Trial]] = {}
    for trial in planned.candidates:
        groups.setdefault((trial.setting.name, trial.method, trial.seed), []).append(trial)
    return tuple(_chosen(trials, store) for trials in groups.values())


def candidate_score(trial: Trial, store: Store) -> float | None:
    """Return a candidate's validation loss or accuracy; None if its training failed."""
    kept = store.read(trial.hash)
    if kept is None or kept["status"] == "failed":
        return None
    if _tuning(trial).score == "loss":
        return kept["validation_loss"]
    return validation_accuracy(trial.hash, trial.evaluations["validation"], store)


def validation_accuracy(trial: str, validation: Dataset, store: Store) -> float:
    """Return the accuracy of a trial's recorded predictions on the validation examples."""
    labels = pl.DataFrame({"example": [str(example) for example in validation.example], "label": validation.labels})
    rows = records.read(store.folder(trial) / "predictions.parquet", "predictions").filter(split="validation")
    rows = rows.join(labels, on="example", how="inner")
    return float(np.mean(rows["logits"].to_numpy().argmax(axis=1) == rows["label"].to_numpy()))


def assume_longest_candidates(planned: Plan, store: Store) -> tuple[Plan, bool]:
    """Return the plan with every trial, assuming the longest candidates while none is chosen yet.

    Returns:
        The plan, and whether its hyperparameters have been chosen.
    """
    if all(store.complete(trial) for trial in planned.tried):
        return planned.decided(select_hyperparameters(planned, store)), True
    longest: dict[tuple[str, str, int | None], Trial] = {}
    for trial in planned.candidates:
        key = trial.setting.name, trial.method, trial.seed if _tuning(trial).seeds == "each" else None
        if key not in longest or trial.spec.epochs > longest[key].spec.epochs:
            longest[key] = trial
    assumed = (_choice(key, trial, float("nan"), 0, 0) for key, trial in longest.items())
    return planned.decided(tuple(assumed)), False


def is_chosen(trial: Trial, chosen: tuple[Choice, ...]) -> bool:
    """Return whether the trial's candidate is the one that the study continues with."""
    where = {(trial.setting.name, trial.method, seed) for seed in (trial.seed, None)}
    return any(
        (choice.setting, choice.method, choice.seed) in where
        and trial.candidate is not None
        and choice.hyperparameters == dict(trial.candidate.values)
        for choice in chosen
    )


def selection_notes(planned: Plan) -> Iterator[str]:
    """Yield for each tuned setting a sentence of the report on how its hyperparameters were chosen."""
    for name, prepared in planned.settings.items():
        tuning = prepared.spec.tuning
        if tuning is not None:
            where = "" if name == MAIN else f"{name}: "
            when = f"once, on seed {tuning.seed}" if tuning.seeds == "one" else "for each seed by itself"
            private = any("epsilon" in type(prepared.spec.method(method)).model_fields for method in tuning.grid)
            spent = " What choosing tells of the examples is no part of ε, which counts one training." * private
            yield (
                f"{where}Hyperparameters of {', '.join(tuning.grid)} were chosen {when}, by {SCORES[tuning.score]} "
                f"({TIES}), and then frozen. No candidate decided anything by the test split.{spent}"
            )


def _chosen(trials: list[Trial], store: Store) -> Choice:
    """Select the best of the candidates of one method and seed."""
    (first, *_), tuning = trials, _tuning(trials[0])
    scores = [candidate_score(trial, store) for trial in trials]
    index = best([(trial.spec, value) for trial, value in zip(trials, scores, strict=True)], tuning.score)
    if index is None:
        reasons = {str((store.read(trial.hash) or {}).get("reason")) for trial in trials}
        where = "" if first.setting.name == MAIN else f"settings.{first.setting.name}."
        raise InputError(
            f"{where}tuning.grid.{first.method}: every candidate failed on seed {first.seed}, so there is nothing to "
            f"choose: {'; '.join(sorted(reasons))}"
        )
    value = scores[index]
    assert value is not None
    key = first.setting.name, first.method, first.seed if tuning.seeds == "each" else None
    return _choice(key, trials[index], value, len(trials), sum(candidate_value is None for candidate_value in scores))


def _choice(key: tuple[str, str, int | None], trial: Trial, value: float, count: int, failed: int) -> Choice:
    """Return the record of a choice."""
    assert trial.candidate is not None
    return Choice(
        setting=key[0],
        method=key[1],
        seed=key[2],
        hyperparameters=dict(trial.candidate.values),
        score=_tuning(trial).score,
        value=value,
        candidates=count,
        failed=failed,
    )


def choice_line(choice: Choice) -> str:
    """Return a choice as the line that a watcher of the run sees."""
    setting = "" if choice.setting == MAIN else f"{choice.setting} · "
    seed = "" if choice.seed is None else f" · seed {choice.seed}"
    failed = f", {choice.failed} of which failed" if choice.failed else ""
    return (
        f"{setting}{choice.method}{seed}: chose {hyperparameters_text(choice.hyperparameters)} "
        f"(validation {choice.score} {choice.value:.4g}) among {choice.candidates} candidates{failed}"
    )


def _tuning(trial: Trial) -> TuningSpec:
    """Return the tuning that a candidate's trial belongs to."""
    tuning = trial.setting.spec.tuning
    assert tuning is not None
    return tuning
