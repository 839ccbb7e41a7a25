"""Attacks the study's models, each with separate shadows that were trained on none of the audited examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from evenhand.audit.design import MembershipDesign, SettingDesign
from evenhand.audit.evaluation import unit_codes
from evenhand.audit.membership.attack import LEAST_SHADOWS
from evenhand.audit.membership.confidences import ONLY_LABELS, answers_of
from evenhand.audit.membership.leakage import Targets, no_targets
from evenhand.errors import InputError, did_you_mean
from evenhand.metrics import attack_targets, loss_score


def with_shadows(
    name: str,
    setting: SettingDesign,
    design: MembershipDesign,
    examples: pl.DataFrame,
    trials: pl.DataFrame,
    predictions: pl.DataFrame,
) -> Iterator[tuple[str, Targets]]:
    """The study's models of each method as targets, over all of the setting's labelled examples.

    Args:
        name, setting, design: the setting and its attack.
        examples: its labelled examples.
        trials: its rows of `trials`.
        predictions: their predictions of `train` and `test`.

    Raises:
        InputError: shadows of a method that has none, or that were trained on what is audited.
    """
    study, pool = trials.filter(role="study"), trials.filter(role="pool", status="done")
    present = study["method"].unique(maintain_order=True).to_list()
    if design.shadows is not None and design.shadows not in pool["method"]:
        hint = did_you_mean(design.shadows, pool["method"].unique().sort())
        raise InputError(f'setting {name}: shadows are of the method "{design.shadows}", which has none; {hint}')
    for method in [method for method in dict.fromkeys([*setting.methods, *present]) if method in present]:
        done = study.filter(method=method, status="done").sort("seed")
        shadows = pool.filter(method=design.shadows or method)
        yield method, _attack_targets(f"setting {name}, method {method}", examples, done, shadows, design, predictions)


def _attack_targets(
    where: str,
    examples: pl.DataFrame,
    done: pl.DataFrame,
    pool: pl.DataFrame,
    design: MembershipDesign,
    predictions: pl.DataFrame,
) -> Targets:
    """The study's models of one method, each with the shadows of its seed."""
    notes = [] if design.shadows is None else [f"compared with models of {design.shadows}"]
    answers = answers_of(examples, done["trial"].to_list(), predictions, where)
    if answers is None:
        return no_targets(examples, ONLY_LABELS, tuple(notes))
    needed, kept = LEAST_SHADOWS[design.attack], []
    score, known = np.zeros(answers.phi.shape), np.zeros(answers.phi.shape, dtype=bool)
    for index, seed in enumerate(done["seed"]):
        trials = pool.filter(subset=f"seed {seed}").sort("seed")["trial"].to_list()
        trials = [trial for trial in trials if len(predictions.filter(trial=trial))]
        shadows = answers_of(examples, trials, predictions, where)
        if shadows is None:
            return no_targets(examples, ONLY_LABELS, tuple(notes))
        if (shadows.known & shadows.member).any():
            raise InputError(f"{where}: a shadow of seed {seed} was trained on examples that are audited")
        rows = answers.known[index] & shadows.known.all(axis=0)
        if len(trials) < needed or not rows.any():
            why = f"{len(trials)} shadows, and {design.attack} needs {needed}" if rows.any() else "no audited examples"
            notes.append(f"seed {seed} is left out: {why}")
            continue
        options = design.model_dump(include={"attack", "mode", "variance", "gamma", "a"})
        try:
            target_phi = answers.phi[index : index + 1, rows]
            shadow_phi = shadows.phi[:, rows] if trials else target_phi
            score[index, rows] = attack_targets(target_phi, shadow_phi, **options)[0]
        except InputError as error:
            raise InputError(f"{where}, seed {seed}: {error}") from None
        known[index] = rows
        kept.append(index)
    if not kept:
        return no_targets(examples, "; ".join(notes) or "no model was trained", tuple(notes))
    seeds = tuple(done["seed"].gather(kept))
    parts = {"loss": -loss_score(answers.phi[kept]), "correct": answers.take(kept).correct, "notes": tuple(notes)}
    return Targets(seeds, score[kept], answers.member[kept], known[kept], unit_codes(examples), **parts)
