"""Audits those trials of a study that are complete so far, in memory, with the steps by which a run audits all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from evenhand.audit.design import Design
from evenhand.audit.results import Results
from evenhand.study.collection import collect_tables, provenance
from evenhand.study.expansion import Trial
from evenhand.study.loaded_setting import LoadedSetting
from evenhand.study.loading import load_settings
from evenhand.study.plan import Plan, plan_trials
from evenhand.study.selection import assume_longest_candidates
from evenhand.study.session import fingerprint
from evenhand.study.spec import StudySpec
from evenhand.study.store import Store
from evenhand.study.study_file import read_study_file

_NO_MODELS = "No pair of models for membership inference is complete yet, so that membership is not audited."


@dataclass(frozen=True)
class Planned:
    """The plan of the study in a folder.

    Attributes:
        plan: with every trial; where tuning has not chosen yet, the trials of its longest candidates stand for them.
        chosen: whether the trials are those that the study will have.
        key: identifies the study whose settings are loaded.
    """

    plan: Plan
    chosen: bool
    key: str

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial once, candidates of tuning first."""
        return tuple({trial.hash: trial for trial in (*self.plan.tried, *self.plan.distinct)}.values())


def read_plan(store: Store, data: Path | None, before: Planned | None = None) -> Planned:
    """Return the plan of the study in a folder, as a run makes it; data are loaded once.

    Args:
        store: of the study.
        data: the folder of `--data`.
        before: an earlier plan, whose data are used again if the study is the same apart from its margins' dates.

    Raises:
        InputError: the study file, the data or the base models cannot be read.
    """
    study = StudySpec(**read_study_file(store.study_file))
    key = fingerprint(study)
    loaded: Mapping[str, LoadedSetting]
    loaded = before.plan.settings if before is not None and before.key == key else load_settings(study, data)
    plan, chosen = assume_longest_candidates(plan_trials(study, loaded), store)
    return Planned(replace(plan, study=plan.study.model_copy(update={"declared": study.declared})), chosen, key)


def complete_part(plan: Plan, complete: Callable[[Trial], bool]) -> Plan:
    """Return the plan with those of its trials that are complete.

    A model of a pool counts when its twin is complete, too, since the attack needs both.
    """
    whole = {trial.hash for trial in (*plan.distinct, *plan.post_processed) if complete(trial)}
    kept = [trial for trial in plan.trials if trial.hash in whole and (trial.pair is None or trial.pair in whole)]
    tried = {trial.hash for trial in plan.tried if complete(trial)}
    return replace(
        plan, trials=tuple(kept), candidates=tuple(trial for trial in plan.candidates if trial.hash in tried)
    )


def preliminary_results(plan: Plan, store: Store, of: int, source: str) -> Results:
    """Return the audit of a part of a study, marked as preliminary in its name and before all verdicts.

    Args:
        plan: whose trials are complete, see `complete_part`.
        store: of the study; nothing is written to it.
        of: the number of trials that the study has.
        source: the study's name.

    Raises:
        InputError: what is complete cannot be audited by itself.
    """
    done = len(plan.distinct)
    tables = collect_tables(plan, store)
    design = _without_empty_pools(
        plan.design(f"{source} (preliminary: {done} of {of} trials)", tables["harness"]), plan
    )
    design = _marked(design, preliminary_sentence(done, of))
    return Results.of_valid(tables, design, provenance(plan, tables["trials"], store))


def preliminary_sentence(done: int, of: int) -> str:
    """Return the sentence that marks a report on a part of a study.

    Example:
        >>> print(preliminary_sentence(3, 10))
        Preliminary: 3 of 10 trials. Verdicts may change, and looking before the end does not hold the error rates: \
decide nothing from this page.
    """
    return (
        f"Preliminary: {done} of {of} trials. Verdicts may change, and looking before the end does not hold the "
        "error rates: decide nothing from this page."
    )


def _without_empty_pools(design: Design, plan: Plan) -> Design:
    """Return the design without attacks on settings that have no models for membership inference yet."""
    with_models = {trial.setting.name for trial in plan.trials if trial.subset is not None}
    settings = {
        name: setting
        if setting.membership is None or name in with_models
        else setting.model_copy(update={"membership": None, "notes": (*setting.notes, _NO_MODELS)})
        for name, setting in design.settings.items()
    }
    return design.model_copy(update={"settings": settings})


def _marked(design: Design, sentence: str) -> Design:
    """Return the design with a warning that every form of the report begins with, once."""
    (name, first), *others = design.settings.items()
    marked = first.model_copy(update={"warnings": (sentence, *first.warnings)})
    return design.model_copy(update={"settings": {name: marked, **dict(others)}})
