"""Plans a study: its settings with their data, and every trial once, without contradictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from evenhand import records
from evenhand.audit.design import DeclaredMeasure, Design
from evenhand.audit.measures import check_design, declaring
from evenhand.data.dataset import Dataset, DataSpec
from evenhand.data.pairs import TrainingPairs
from evenhand.data.translation import Translations
from evenhand.errors import InputError
from evenhand.methods.fit import check_methods
from evenhand.methods.private import Private
from evenhand.models.find import BaseModel, find_model
from evenhand.study.benchmark_measures import benchmark_measures, found_metrics, metric_notes
from evenhand.study.expansion import Trial, candidate_trials, study_trials
from evenhand.study.generations_spec import generation_measures
from evenhand.study.loaded_setting import LoadedSetting
from evenhand.study.loading import load_settings, read_data
from evenhand.study.membership_models import pool_of_setting
from evenhand.study.mitigation import check_groups, check_validation_groups
from evenhand.study.response_measures import RESPONSES
from evenhand.study.setting import KEEP, MAIN
from evenhand.study.spec import StudySpec
from evenhand.study.tuning import Choice


@dataclass(frozen=True, eq=False)
class Plan:
    """The loaded settings of a study and its trials.

    Attributes:
        trials: every use of a trial; two uses of one trial share its hash. Trials of a tuned method are included once
            its hyperparameters are chosen.
        candidates: the trials that try hyperparameters; they predict validation examples only.
        looks: of a study that adds seeds until it is decided, how many looks were taken; 0 for other studies, and where
            the trials are those of all seeds.
    """

    study: StudySpec
    settings: Mapping[str, LoadedSetting]
    trials: tuple[Trial, ...]
    candidates: tuple[Trial, ...] = ()
    looks: int = 0

    @cached_property
    def distinct(self) -> tuple[Trial, ...]:
        """Each trained trial once, to be evaluated on the test sets of all its uses."""
        return _distinct(trial.source or trial for trial in self.trials)

    @cached_property
    def post_processed(self) -> tuple[Trial, ...]:
        """Each trial once whose predictions are made from those of a trained trial."""
        return _distinct(trial for trial in self.trials if trial.source is not None)

    @cached_property
    def tried(self) -> tuple[Trial, ...]:
        """Each trial of a candidate once."""
        return _distinct(self.candidates)

    def decided(self, chosen: tuple[Choice, ...]) -> Plan:
        """Return the plan with the chosen hyperparameters, in its study too, and with the trials of tuned methods."""
        study = self.study.model_copy(update={"chosen": chosen})
        return _joinable(replace(self, study=study, trials=tuple(study_trials(self.settings, chosen))))

    def examples(self) -> pl.DataFrame:
        """Return the table `examples` of all settings; a setting that has only a pool contributes its pool."""
        frames = []
        for prepared in self.settings.values():
            pool = None if prepared.spec.seeds else pool_of_setting(prepared)
            frames.append(prepared.examples() if pool is None else pool.examples())
        return records.validate(pl.concat(frames, how="diagonal"), "examples")

    def design(self, source: str, harness: pl.DataFrame | None = None) -> Design:
        """Return what the audit needs to know about the study besides its records.

        Args:
            source: the study's name.
            harness: the table `harness`, by which metrics of benchmarks are known to be shares; None: before training.
        """
        until, continued = self.study.until_decided, self._continued()
        designs, declared = {}, self.declared(harness)
        for name, prepared in self.settings.items():
            design = prepared.design()
            warnings = (*continued, *design.warnings) if name == next(iter(self.settings)) else design.warnings
            metrics = () if prepared.benchmarks is None else metric_notes(prepared.benchmarks, declared)
            designs[name] = design.model_copy(
                update={"ranks": prepared.spec.ranks(), "warnings": warnings, "notes": (*design.notes, *metrics)}
            )
        return Design(
            settings=designs,
            measures=self.study.measures,
            gaps=self.study.comparison == "gap",
            thresholds=self.study.thresholds,
            margins=self.study.margins,
            margin_history=self.study.declared,
            source=source,
            figure=self.study.figure,
            declared=declared,
            looks=until.design(self.looks) if until is not None and self.looks else None,
            subgroups=self.study.subgroups,
        )

    def check_names(self) -> None:
        """Raise InputError if the study names a measure that none of its tasks and benchmarks has."""
        study = self.study
        named = {"measures": study.measures, "margins": study.margins, "figure": study.figure}
        design = Design(settings={}, declared=self.declared(None), **named)
        with declaring(design):
            check_design(design)

    def declared(self, harness: pl.DataFrame | None) -> tuple[DeclaredMeasure, ...]:
        """Return the measures of responses, continuations and benchmarks that only this study has."""
        responses = RESPONSES if any(prepared.kind == "sft" for prepared in self.settings.values()) else ()
        scoring = [setting.generations for setting in self.study.settings.values() if setting.generations is not None]
        values = (*responses, *generation_measures(scoring))
        loaded = [prepared.benchmarks for prepared in self.settings.values() if prepared.benchmarks is not None]
        specs = [setting.harness for setting in self.study.settings.values() if setting.harness is not None]
        found = found_metrics(loaded, harness)
        return (*values, *benchmark_measures(specs, found, harness, [measure.name for measure in values]))

    def _continued(self) -> tuple[str, ...]:
        """Return the warning on a study that was continued after its verdicts had been seen; none for others."""
        continued = self.study.continued
        if not continued:
            return ()
        seen = " and ".join(f"{max(each.seeds.values())} ({each.date})" for each in continued)
        most = 100 * Design.model_fields["alpha"].default * (len(continued) + 1)
        return (
            f"The study was continued after its verdicts at {seen} seeds had been seen. Each audit holds its level; "
            f"without harm, up to {most:g}% of families have a worse verdict in one of these audits, and as many a "
            "harm of the margin that is called harmless.",
        )

    def with_seeds(self, number: int) -> Plan:
        """Return the plan of the study with its first seeds only, without the hyperparameters that tuning chose."""
        settings = {name: loaded.with_seeds(number) for name, loaded in self.settings.items()}
        return plan_trials(self.study, settings)


def make_plan(
    study: StudySpec,
    data: Path | None,
    find: Callable[[str], BaseModel] = find_model,
    read: Callable[[DataSpec, Path | None], Dataset] = read_data,
) -> Plan:
    """Load a study's data and plan its trials; trains nothing.

    Args:
        study: resolved.
        data: the folder of `--data`, with one folder per data set.
        find, read: find a base model by its name, and read a data set from its folder.

    Raises:
        InputError: as `load_settings` and `plan_trials`.
    """
    return plan_trials(study, load_settings(study, data, find, read))


def plan_trials(study: StudySpec, settings: Mapping[str, LoadedSetting]) -> Plan:
    """Expand a study to its trials and refuse those that cannot be trained.

    Args:
        study: resolved.
        settings: its settings with their data, as `load_settings` returns them.

    Raises:
        InputError: a method that does not fit its base model, a private one whose budget does not fit its examples, a
            loss or thresholds by groups that the examples do not have, lines of a translation that are too long for
            the model, tuning without validation examples, settings that share a trial but not the examples of a split
            of the same name, or a measure that no benchmark has.
    """
    if study.until_decided is not None:
        attributes = [
            pair
            for prepared in settings.values()
            for dataset in (prepared.dataset, *prepared.continued)
            for pair in dataset.attributes.items()
        ]
        study.until_decided.check_groups((name, group) for name, each in attributes for group in each.groups)
    for name, prepared in settings.items():
        spec = prepared.spec
        methods = {method: spec.method(method) for method in spec.methods}
        for method in spec.methods:
            for candidate in spec.candidates(method):
                methods[f"{method} ({candidate})"] = spec.with_method(method, candidate.method).method(method)
        where = "" if name == MAIN else f"settings.{name}."
        check_methods(
            prepared.base, len(prepared.dataset.classes) if prepared.kind == "classification" else None, methods, where
        )
    candidates = tuple(trial for prepared in settings.values() for trial in candidate_trials(prepared))
    for trial in candidates:
        if trial.sample.validation is None:
            where = "" if trial.setting.name == MAIN else f"settings.{trial.setting.name}."
            raise InputError(
                f"{where}tuning needs validation examples, and the split of these data has none; leave tuning out"
            )
    where = {name: "" if name == MAIN else f"settings.{name}." for name in settings}
    for name, prepared in settings.items():
        check_validation_groups(prepared, where[name])
    trials = tuple(study_trials(settings, ()))
    _check_budgets((*candidates, *trials))
    _check_translated_lines((*candidates, *trials))
    check_groups((*candidates, *trials), where)
    plan = Plan(study, settings, trials, candidates)
    plan.check_names()
    return _joinable(plan)


def _check_budgets(trials: Iterable[Trial]) -> None:
    """Refuse private trials with too few training examples for their privacy budget."""
    checked: set[tuple[str, int]] = set()
    for trial in trials:
        key = f"{trial.setting.name}.{trial.method} {trial.candidate}", len(trial.examples)
        if not isinstance(trial.spec, Private) or key in checked:
            continue
        checked.add(key)
        where = "" if trial.setting.name == MAIN else f"settings.{trial.setting.name}."
        tried = "" if trial.candidate is None else f" ({trial.candidate})"
        try:
            trial.spec.check_budget(len(trial.examples))
        except InputError as error:
            raise InputError(f"{where}methods.{trial.method}{tried}: {error}") from None


def _check_translated_lines(trials: Iterable[Trial]) -> None:
    """Refuse trials of translation whose training or validation lines do not fit the model, at any seed."""
    of_method: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.setting.kind == "translation" and not trial.setting.stated:
            of_method.setdefault(f"{trial.setting.name}.{trial.method} {trial.candidate}", []).append(trial)
    if not of_method:
        return
    from evenhand.tasks import translation

    for same in of_method.values():
        setting, first = same[0].setting, same[0]
        lines = [each for trial in same for each in (trial.examples, trial.sample.validation)]
        learned = [each for each in lines if isinstance(each, TrainingPairs | Translations)]
        try:
            translation.check_learned(setting.base, first.spec, first.train.max_length, learned)
        except InputError as error:
            raise InputError(f"{error}" if setting.name == MAIN else f"settings.{setting.name}: {error}") from None


def _distinct(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return each trial once, with the uses of one trial joined."""
    by_hash: dict[str, Trial] = {}
    for trial in trials:
        known = by_hash.get(trial.hash)
        by_hash[trial.hash] = trial if known is None else _joined(known, trial)
    return tuple(by_hash.values())


def _joinable(plan: Plan) -> Plan:
    """Return the plan, or raise InputError if two uses of one trial contradict each other."""
    _distinct((*plan.candidates, *plan.trials, *plan.distinct))
    return plan


def _joined(first: Trial, second: Trial) -> Trial:
    """Return one trial for two uses: it is tested on the examples of both and keeps whatever either use requires."""
    asked = [each.benchmarks for each in (first, second) if each.benchmarks is not None]
    written = [each.generations for each in (first, second) if each.generations is not None]
    scored = [each.scoring for each in (first, second) if each.scoring is not None]
    probed = {each.probing.key for each in (first, second) if each.probing}
    questioned = {each.questioning.key for each in (first, second) if each.questioning}
    others = [name for name, value in second.fingerprints.items() if first.fingerprints.get(name, value) != value]
    problems = {
        **{f", but their {name} examples differ": True for name in others},
        ", but their benchmarks (harness:) differ": len({each.fingerprint for each in asked}) > 1,
        ", but their continuations (generations:) differ": len({str(sorted(each.keys.items())) for each in written})
        > 1,
        ", and probe it for different things": len(probed) > 1,
        ", and ask it different prompts": len(questioned) > 1,
        ", but their pools differ": len({tuple(sorted(each.keys.items())) for each in scored}) > 1,
    }
    problem = next((words for words, holds in problems.items() if holds), None)
    if problem is not None:
        raise InputError(
            f"settings {first.setting.name} and {second.setting.name} share the training of {second.label}{problem}; "
            "keep these settings in studies of their own"
        )
    return replace(
        first,
        benchmarks=asked[0] if asked else None,
        generations=next((each for each in written if each.keep_texts), written[0] if written else None),
        probing=first.probing or second.probing,
        questioning=first.questioning or second.questioning,
        scoring=scored[0] if scored else None,
        is_compressed=first.is_compressed or second.is_compressed,
        keep=max(first.keep, second.keep, key=KEEP.index),
        evaluations={**first.evaluations, **second.evaluations},
        fingerprints={**first.fingerprints, **second.fingerprints},
    )
