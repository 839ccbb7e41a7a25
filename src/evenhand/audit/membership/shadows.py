"""Targets with shadows of their own: the study's models, each compared with models that saw none of what is audited."""

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
    name: str, setting: SettingDesign, how: MembershipDesign, own: pl.DataFrame, uses: pl.DataFrame, here: pl.DataFrame
) -> Iterator[tuple[str, Targets]]:
    """The study's models of each method as targets, over all of the setting's labelled examples.

    Args:
        name, setting, how: the setting.
        own: its labelled examples.
        uses: its rows of `trials`.
        here: their predictions of `train` and `test`.

    Raises:
        InputError: shadows of a method that has none, or that were trained on what is audited.
    """
    study, pool = uses.filter(role="study"), uses.filter(role="pool", status="done")
    present = study["method"].unique(maintain_order=True).to_list()
    if how.shadows is not None and how.shadows not in pool["method"]:
        hint = did_you_mean(how.shadows, pool["method"].unique().sort())
        raise InputError(f'setting {name}: shadows are of the method "{how.shadows}", which has none; {hint}')
    for method in [method for method in dict.fromkeys([*setting.methods, *present]) if method in present]:
        done = study.filter(method=method, status="done").sort("seed")
        shadows = pool.filter(method=how.shadows or method)
        yield method, _attack_targets(f"setting {name}, method {method}", own, done, shadows, how, here)


def _attack_targets(
    where: str, own: pl.DataFrame, done: pl.DataFrame, pool: pl.DataFrame, how: MembershipDesign, here: pl.DataFrame
) -> Targets:
    """The study's models of one method, each with the shadows of its seed."""
    notes = [] if how.shadows is None else [f"compared with models of {how.shadows}"]
    found = answers_of(own, done["trial"].to_list(), here, where)
    if found is None:
        return no_targets(own, ONLY_LABELS, tuple(notes))
    least, kept = LEAST_SHADOWS[how.attack], []
    score, known = np.zeros(found.phi.shape), np.zeros(found.phi.shape, dtype=bool)
    for place, seed in enumerate(done["seed"]):
        trials = pool.filter(subset=f"seed {seed}").sort("seed")["trial"].to_list()
        trials = [trial for trial in trials if len(here.filter(trial=trial))]
        shadows = answers_of(own, trials, here, where)
        if shadows is None:
            return no_targets(own, ONLY_LABELS, tuple(notes))
        if (shadows.known & shadows.member).any():
            raise InputError(f"{where}: a shadow of seed {seed} was trained on examples that are audited")
        rows = found.known[place] & shadows.known.all(axis=0)
        if len(trials) < least or not rows.any():
            why = f"{len(trials)} shadows, and {how.attack} needs {least}" if rows.any() else "no audited examples"
            notes.append(f"seed {seed} is left out: {why}")
            continue
        options = how.model_dump(include={"attack", "mode", "variance", "gamma", "a"})
        try:
            target = found.phi[place : place + 1, rows]
            theirs = shadows.phi[:, rows] if trials else target
            score[place, rows] = attack_targets(target, theirs, **options)[0]
        except InputError as error:
            raise InputError(f"{where}, seed {seed}: {error}") from None
        known[place] = rows
        kept.append(place)
    if not kept:
        return no_targets(own, "; ".join(notes) or "no model was trained", tuple(notes))
    seeds = tuple(done["seed"].gather(kept))
    parts = {"loss": -loss_score(found.phi[kept]), "correct": found.correct[kept], "notes": tuple(notes)}
    return Targets(seeds, score[kept], found.member[kept], known[kept], unit_codes(own), **parts)
