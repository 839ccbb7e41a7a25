"""Defines `seeds: {until: decided}`: a study that adds seeds, look by look, until its comparisons have a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from evenhand.audit.design import LooksDesign, Waited
from evenhand.audit.measures import check_measures, is_selected, known
from evenhand.errors import InputError, did_you_mean
from evenhand.spec import Spec
from evenhand.stats.runs_needed import MOST_RUNS

if TYPE_CHECKING:
    from evenhand.study.setting import Setting

LOOKS = (3, 5, 8, 12, 20)
"""The numbers of seeds at which a study is looked at unless it says otherwise, as far as its most seeds allow."""

LEAST_SEEDS = 2
"""The fewest seeds of a look: one run of each method shows nothing about the methods."""


class UntilDecided(Spec):
    """The planned looks of a study that adds seeds until its comparisons are decided; see `evenhand.audit.looks`.

    Attributes:
        most: the most seeds; they are 0, 1, … below it.
        looks: the numbers of seeds at which the study is audited, ascending; the last one is the most.
        measures: those whose comparisons are waited for.
        comparisons: which of their comparisons: `everyone` (the change of everyone), `groups` (the change of each
            group), `gap changes` (of each group), `gaps` (of each group, of a single method). Unless given, everyone
            and gap changes; gaps where there is no reference.
        groups: the groups whose comparisons are waited for, by name, or as ATTRIBUTE=GROUP where several attributes
            have the group; none: every group that is large enough.
    """

    most: int = 20
    looks: tuple[int, ...] = LOOKS
    measures: tuple[str, ...] = ("accuracy",)
    comparisons: tuple[Waited, ...] = Field(default=())
    groups: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _looks_end_with_the_most(cls, values: Any) -> Any:
        """Give the looks their default below the most seeds, and the most that of the last look."""
        if not isinstance(values, Mapping):
            return values
        most, looks = values.get("most"), values.get("looks")
        if looks is None and isinstance(most, int) and not isinstance(most, bool):
            return {**values, "looks": (*(look for look in LOOKS if look < most), most)}
        if most is None and isinstance(looks, list | tuple) and looks:
            return {**values, "most": looks[-1]}
        return values

    @field_validator("measures", "comparisons", "groups", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Read a plain name as a list of one."""
        return (value,) if isinstance(value, str) else value

    @field_validator("measures")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse unknown measures, and those that have no verdicts."""
        if not value:
            raise InputError("measures should name at least one measure, such as [accuracy]")
        check_measures(value)
        for name in value:
            measure = known()[name]
            if not measure.decides or measure.decided_by:
                instead = f"; what decides is {measure.decided_by}" if measure.decided_by else ""
                raise InputError(f"measures: {name} has no verdicts, so it is never decided{instead}")
        return value

    @model_validator(mode="after")
    def _can_be_planned(self) -> UntilDecided:
        """Refuse looks that are no plan."""
        looks = self.looks
        if not looks or looks[0] < LEAST_SEEDS or list(looks) != sorted(set(looks)):
            raise InputError(
                f"looks should be ascending numbers of seeds from {LEAST_SEEDS}, such as {list(LOOKS)}, not "
                f"{list(looks)}"
            )
        if looks[-1] != self.most:
            raise InputError(
                f"looks end at {looks[-1]} seeds, and most is {self.most}; let the last look have the most seeds"
            )
        if self.most > MOST_RUNS:
            raise InputError(
                f"most is {self.most}, and whether going on is futile is predicted up to {MOST_RUNS} seeds; set most "
                f"to {MOST_RUNS} or less, or seeds to a number"
            )
        return self

    def design(self, taken: int) -> LooksDesign:
        """Return what the audit needs to know, after so many looks."""
        return LooksDesign(
            seeds=self.looks,
            taken=taken,
            measures=self.measures,
            comparisons=self.comparisons,
            groups=self.groups,
        )

    def for_settings(self, settings: Mapping[str, Setting]) -> UntilDecided:
        """Return the plan with its default comparisons written out."""
        if self.comparisons:
            return self
        compares = any(setting.reference for setting in settings.values())
        return self.model_copy(update={"comparisons": ("everyone", "gap changes") if compares else ("gaps",)})

    def check_groups(self, groups: Iterable[tuple[str, str]]) -> None:
        """Refuse groups that the data do not have.

        Args:
            groups: attribute and name of each group in any setting.

        Raises:
            InputError: a name that is none of them.
        """
        names = [name for pair in groups for name in (pair[1], "=".join(pair))]
        for name in self.groups:
            if name not in names:
                raise InputError(f'seeds.groups: there is no group "{name}"; {did_you_mean(name, names)}')

    def check(
        self,
        settings: Mapping[str, Setting],
        measures: Sequence[str],
        margins: Mapping[str, float],
        gaps: bool,
        searched: bool,
    ) -> None:
        """Refuse a study whose comparisons cannot be decided in this way.

        Args:
            settings, measures, margins: of the study.
            gaps: whether gaps have verdicts although there is a reference.
            searched: whether subgroups are searched.

        Raises:
            InputError: with what would be right.
        """
        for name in self.measures:
            if not is_selected(name, measures):
                raise InputError(f"seeds.measures: {name} is not among the study's measures; add it there")
            if known()[name].margin(margins) is None and not known()[name].one_sided:
                raise InputError(
                    f"seeds until decided need a margin for {name}, such as margins: {{{name}: 0.02}}: without one, a "
                    "comparison without harm is never decided"
                )
        if searched:
            raise InputError(
                "subgroups: a search at every look would need a level of its own; give this study a number of seeds, "
                "or search in an audit of its predictions"
            )
        for name, setting in settings.items():
            self._check_setting(name, setting, gaps)

    def _check_setting(self, name: str, setting: Setting, gaps: bool) -> None:
        """Refuse a setting that does not fit the plan."""
        if setting.seeds != tuple(range(self.most)):
            raise InputError(
                f"settings.{name}.seeds: seeds until decided belong to the whole study, so that all settings are "
                "looked at together; leave them out here"
            )
        if setting.membership is not None:
            raise InputError(
                "membership: an attack with more models is a stronger one, so that looks at pools of different sizes "
                "would answer different questions; give this study a number of seeds"
            )
        others = [each for each in self.comparisons if each != "gaps"]
        if others and (not setting.reference or len(setting.methods) < 2):
            raise InputError(
                f"seeds.comparisons: {others[0]} compare methods, and the setting {name} has no reference with another "
                "method; name a reference, or wait for gaps"
            )
        if "gaps" in self.comparisons and setting.reference and not gaps:
            raise InputError(
                "seeds.comparisons: where there is a reference, gaps of single methods have verdicts only with "
                "comparison: gap; add it, or wait for gap changes"
            )


def until_decided(value: Any) -> UntilDecided | None:
    """Return the plan that a study's key `seeds` holds; None where it is no mapping.

    Raises:
        InputError: a mapping that is no such plan.

    Example:
        >>> until_decided({"until": "decided", "most": 10, "measures": ["accuracy"]}).looks
        (3, 5, 8, 10)
    """
    if not isinstance(value, Mapping):
        return None
    if value.get("until") != "decided":
        raise InputError(
            "seeds should be a number, a list, or {until: decided, most: 20, looks: [3, 5, 8, 12, 20]}; until "
            f"is {value.get('until')!r}"
        )
    return UntilDecided.parse({key: given for key, given in value.items() if key != "until"}, "seeds")
