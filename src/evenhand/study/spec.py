"""Defines the contents of a study file with every default written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from evenhand.audit.design import Design, MarginChange, SubgroupsDesign
from evenhand.audit.figure_design import Figures
from evenhand.audit.measures import check_figures, check_margins, check_measures, declaring, is_selected
from evenhand.audit.subgroups.searchable import refusal
from evenhand.data.splits import LimitSpec, SplitSpec
from evenhand.errors import InputError, did_you_mean, shortened
from evenhand.spec import Spec, explain, field_names
from evenhand.study.benchmark_measures import named_measures
from evenhand.study.generations_spec import generation_measures
from evenhand.study.merging import merge
from evenhand.study.setting import MAIN, Setting
from evenhand.study.trackers_spec import parse_trackers
from evenhand.study.tuning import Choice
from evenhand.study.until_decided import UntilDecided, until_decided
from evenhand.training.recipe import TrainSpec


class Continuation(Spec):
    """A study of fixed seeds that was continued after its verdicts were seen.

    Attributes:
        date: when.
        seeds: by setting, how many seeds had been audited then.
    """

    date: str
    seeds: dict[str, int]


def _named(values: Mapping[str, Any]) -> Design:
    """Return a design with the measures that settings may name, see `named_measures`."""
    settings: Mapping[str, Setting] = values.get("settings", {})
    scored = generation_measures([each.generations for each in settings.values() if each.generations is not None])
    return named_measures([setting.harness for setting in settings.values() if setting.harness is not None], scored)


class StudySpec(Spec):
    """The settings of a study and the keys that they share; `evenhand.Study` is one that can be run.

    Accepts what a YAML file may say: the fields of a setting at the top level (then the study has the one setting
    `main`), or `settings:` whose entries override the top level: mappings are merged, lists and values replaced.

    Attributes:
        settings: by name, every default resolved.
        measures: names of measures; empty means the defaults.
        comparison: `gap`: gaps between groups get verdicts although there is a reference; None: only where there is
            none.
        thresholds: whether rates are computed at every threshold on the probability, where there are two classes.
        margins: by measure, `default` for measures on a 0–1 scale: the largest contrast that is declared harmless.
        subgroups: which conjunctions of groups are searched for one that fares worse; None: none.
        trackers: experiment trackers that training curves and results are sent to, see `evenhand.study.trackers`.
        figure: figures to draw besides the report's own charts: one figure, or a list of them.
        until_decided: of a study whose seeds are `{until: decided}`, the planned looks; its settings then have the most
            seeds that it may train.
        declared: margins and the dates on which they were declared, oldest first.
        continued: when it was continued after its verdicts had been seen, oldest first.
        chosen: the hyperparameters that tuning chose when the study was last run.

    Raises:
        InputError: an unknown key (with the nearest known one), a missing or an unusable value.
    """

    settings: dict[str, Setting]
    measures: tuple[str, ...] = ()
    comparison: Literal["gap"] | None = None
    thresholds: bool = False
    margins: dict[str, float] = Field(default_factory=dict)
    subgroups: SubgroupsDesign | None = None
    trackers: tuple[str, ...] = ()
    figure: Figures = ()
    until_decided: UntilDecided | None = None
    declared: tuple[MarginChange, ...] = ()
    continued: tuple[Continuation, ...] = ()
    chosen: tuple[Choice, ...] = ()

    def __init__(self, /, **values: Any) -> None:
        """Resolve the keys of a study. Raises InputError."""
        try:
            super(Spec, self).__init__(**_resolved_keys(values))  # not in the name of the class: a YAML knows none
        except ValidationError as error:
            raise InputError(explain(error, "")) from None

    @field_validator("measures", mode="before")
    @classmethod
    def _measures(cls, value: Any, info: ValidationInfo) -> Any:
        """Read `default` as no names, and refuse unknown measures."""
        if value is None or value == "default":
            return ()
        if not isinstance(value, str | list | tuple):
            raise InputError(f"measures should be the name of a measure or a list of names, not {value!r}")
        names = (value,) if isinstance(value, str) else tuple(value)
        for name in names:
            if not isinstance(name, str):
                raise InputError(f"measures should hold names of measures, not {shortened(repr(name))}")
        with declaring(_named(info.data)):
            check_measures(names)
        return names

    @field_validator("trackers", mode="before")
    @classmethod
    def _trackers(cls, value: Any) -> Any:
        """Refuse names that are no trackers."""
        return parse_trackers(value)

    @field_validator("margins", mode="before")
    @classmethod
    def _by_measure(cls, value: Any) -> Any:
        """Refuse margins that are not a mapping."""
        if not isinstance(value, Mapping):
            raise InputError(f"margins should be a mapping by measure, such as {{default: 0.02}}, not {value!r}")
        return value

    @field_validator("margins")
    @classmethod
    def _margins(cls, value: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        """Refuse margins of unknown measures, and impossible values."""
        with declaring(_named(info.data)):
            check_margins(value)
        return value

    @model_validator(mode="after")
    def _figure_can_be_drawn(self) -> Self:
        """Refuse a figure that shows settings, methods or measures the study lacks."""
        check_figures(self.figure)
        for panel in (panel for figure in self.figure for panel in figure.panels):
            if panel.setting not in self.settings:
                hint = did_you_mean(panel.setting, self.settings)
                raise ValueError(f'figure: there is no setting "{panel.setting}"; {hint}')
            for name in panel.methods:
                if name not in self.settings[panel.setting].methods:
                    hint = did_you_mean(name, self.settings[panel.setting].methods)
                    raise ValueError(f'figure: the setting {panel.setting} has no method "{name}"; {hint}')
            for name in panel.measures:
                with declaring(_named({"settings": self.settings})):
                    selected = is_selected(name, self.measures)
                if not selected:
                    raise ValueError(f"figure: it shows {name}, which is not among the study's measures; add it there")
        return self

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        """Refuse seeds until decided where the study has no comparisons that can be."""
        if self.until_decided is not None:
            gaps, searched = self.comparison == "gap", self.subgroups is not None
            self.until_decided.check(self.settings, self.measures, self.margins, gaps, searched)
        return self

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        """Refuse a search of subgroups by measures that are not searched."""
        with declaring(_named({"settings": self.settings})):
            refused = None if self.subgroups is None else refusal(self.measures)
        if refused is not None:
            raise ValueError(refused)
        return self

    def to_yaml(self) -> str:
        """Return the resolved study as a YAML text that reads back as the same study."""
        values = self.model_dump(mode="json")
        for key in ("until_decided", "continued"):
            if not values[key]:
                del values[key]
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)


def _resolved_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's keys in resolved form: `settings` by name, each merged into the top level."""
    study_keys = set(field_names(StudySpec))
    setting_keys = set(field_names(Setting))
    for key in values:
        if key not in study_keys | setting_keys:
            raise InputError(f'the study has no key "{key}"; {did_you_mean(str(key), study_keys | setting_keys)}')
    shared = {key: value for key, value in values.items() if key in setting_keys}
    rest = {key: value for key, value in values.items() if key in study_keys}
    planned = until_decided(shared.get("seeds"))
    if planned is not None:
        shared["seeds"], rest["until_decided"] = planned.most, planned
    named = rest.get("settings")
    if named is None:
        named = {MAIN: {}}
    if not isinstance(named, Mapping) or not named:
        raise InputError("settings should be a mapping from names to the keys in which settings differ")
    for key, spec in (("split", SplitSpec), ("limit", LimitSpec), ("train", TrainSpec)):
        if key in shared:  # refused here, where it is written, rather than in the first setting that it lies below
            spec.parse(shared[key], key)
    settings = {}
    for name, keys in named.items():
        if isinstance(keys, Setting):
            settings[str(name)] = keys
            continue
        where = "" if rest.get("settings") is None else f"settings.{name}"
        if not isinstance(keys, Mapping | None):
            raise InputError(f"{where} should be a mapping of the keys in which that setting differs, not {keys!r}")
        if isinstance((keys or {}).get("seeds"), Mapping):
            raise InputError(f"{where}: seeds until decided belong to the whole study; write them at the top level")
        merged = merge(shared, keys or {})
        for key in merged:
            if key in study_keys:
                raise InputError(
                    f"{where}: {key} belongs to the whole study, not to a setting; write it at the top level"
                )
        for needed in ("task", "model", "methods"):
            if needed not in merged:
                raise InputError(f"{where or 'the study'} lacks the key {needed}")
        settings[str(name)] = Setting.parse(merged, where)
    if planned is not None:
        rest["until_decided"] = planned.for_settings(settings)
    return {**rest, "settings": settings}
