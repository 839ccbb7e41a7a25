"""Policies of a gate: which verdicts pass, absolute limits, and waivers, read from YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from evenhand.errors import InputError, did_you_mean, shortened
from evenhand.records import COMPARISONS, VERDICTS
from evenhand.spec import Spec

PASSING = tuple(word for word in VERDICTS if word not in ("worse", "inconclusive"))
"""The verdicts that pass where a policy says nothing else."""


def _listed(value: Any) -> Any:
    """One value as a list of it; None as none."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""One name or a list of names; none means all."""


class Where(Spec):
    """The rows that a part of a policy is about; what is left out means all.

    Attributes:
        setting, split, measure, comparison, attribute, group, method: one value of the tables' column or several.
    """

    setting: Names = ()
    split: Names = ()
    measure: Names = ()
    comparison: Names = ()
    attribute: Names = ()
    group: Names = ()
    method: Names = ()

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of `verdicts` or `estimates` is one of these."""
        chosen = ((row[column], getattr(self, column)) for column in Where.model_fields)
        return all(not names or value in names for value, names in chosen)

    @property
    def about(self) -> str:
        """The rows in words: `accuracy, group female`."""
        parts = [
            ", ".join(names) if column == "measure" else f"{column} {', '.join(names)}"
            for column in ("measure", "comparison", "attribute", "group", "method", "setting", "split")
            if (names := getattr(self, column))
        ]
        return "; ".join(parts) or "every comparison"


class VerdictRule(Where):
    """Which verdicts pass for some rows.

    Attributes:
        passing: in YAML `pass`: the verdicts that pass; `inconclusive` is not among them.
        inconclusive: what to do with rows that are inconclusive; None: as the policy does elsewhere.
    """

    passing: Names = Field(default=PASSING, alias="pass")
    inconclusive: Literal["pass", "fail"] | None = None

    @model_validator(mode="after")
    def _known_words(self) -> VerdictRule:
        check_words(self.passing)
        return self


class Limit(Where):
    """An absolute limit of a measure, which its 95% interval is held against.

    It passes where the whole interval satisfies the limit, fails where no part of it does, and is inconclusive
    otherwise. `demographic_parity_ratio` at least 0.8 is the four-fifths rule, which is tested as a linear form: that
    the selection rate − 0.8 times the other one is at least 0.

    Attributes:
        at_least, at_most: in YAML `at least`, `at most`; one of them, or both.
        comparison: `level` (the default: the measure itself) or `gap` (to the rest).
    """

    at_least: float | None = Field(default=None, alias="at least")
    at_most: float | None = Field(default=None, alias="at most")
    comparison: Names = ("level",)

    @model_validator(mode="after")
    def _has_a_limit(self) -> Limit:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a limit needs `at least` or `at most`")
        if not self.measure:
            raise ValueError("a limit needs a `measure`")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"no value is at least {self.at_least:g} and at most {self.at_most:g}")
        for word in self.comparison:
            if word not in ("level", "gap"):
                raise ValueError(f"comparison should be level or gap, not {word}")
        return self

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of `estimates` over all seeds is one of these."""
        return row["seed"] is None and super().covers({**row, "comparison": row["comparison"] or "level"})

    def outcome(
        self, low: float, high: float, linear: tuple[float, float] | None = None
    ) -> Literal["passed", "failed", "inconclusive"]:
        """The outcome for an interval.

        Args:
            low, high: the interval of the measure.
            linear: of what tests `at least` in its place (`Measure.tested_by`): it fails below 0, passes above.

        Example:
            >>> from evenhand.audit.policy import Limit
            >>> limit = Limit(**{"measure": "demographic_parity_ratio", "at least": 0.8})
            >>> limit.outcome(0.7, 0.9), limit.outcome(0.7, 0.9, linear=(-0.2, -0.01))
            ('inconclusive', 'failed')
        """
        least = float("-inf") if self.at_least is None else self.at_least
        most = float("inf") if self.at_most is None else self.at_most
        passes, fails = least <= low and high <= most, high < least or low > most
        if linear is not None:
            passes, fails = linear[0] > 0 and high <= most, linear[1] < 0 or low > most
        if passes:
            return "passed"
        return "failed" if fails else "inconclusive"


class Waiver(Where):
    """Rows that may fail until a day, with the reason.

    Attributes:
        until: the last day on which the waiver holds.
        reason: why, for those who read the gate's answer.
    """

    until: date
    reason: str = Field(min_length=1)

    @field_validator("until", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        """Refuse what is neither a date nor text that is one."""
        try:
            return date.fromisoformat(value) if isinstance(value, str) else date(value.year, value.month, value.day)
        except (AttributeError, ValueError):
            raise ValueError(f"{shortened(repr(value))} is no day; write one such as 2027-05-31") from None

    @model_validator(mode="after")
    def _names_rows(self) -> Waiver:
        if not any(getattr(self, column) for column in Where.model_fields):
            raise ValueError(
                f"a waiver of everything is no gate; say which rows it is for: {', '.join(Where.model_fields)}"
            )
        return self


class Policy(Spec):
    """What must hold of results for a gate to open.

    Attributes:
        passing: in YAML `pass`: the verdicts that pass where no rule says otherwise.
        inconclusive: what to do with rows that are inconclusive where no rule says otherwise. They pass beside rows
            that are decided; results in which nothing is decided pass only if `pass` is given here.
        gap_gains: what a gap change counts as that is `better`: a group seems to gain where another one lost.
        findings: what to do with subgroups that a search found to fare worse.
        rules: the first that covers a row decides about it.
        limits: absolute limits.
        waivers: what may fail for the time being.

    Example:
        >>> from evenhand.audit.policy import Policy
        >>> rule = {"measure": "accuracy", "pass": "better"}
        >>> policy = Policy.parse({"inconclusive": "fail", "rules": [rule]}, "policy.yaml")
        >>> policy.rules[0].passing
        ('better',)
    """

    passing: Names = Field(default=PASSING, alias="pass")
    inconclusive: Literal["pass", "fail"] = "pass"
    gap_gains: Literal["pass", "inconclusive"] = "inconclusive"
    findings: Literal["pass", "fail"] = "fail"
    rules: tuple[VerdictRule, ...] = ()
    limits: tuple[Limit, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @model_validator(mode="after")
    def _known_words(self) -> Policy:
        check_words(self.passing)
        return self

    @classmethod
    def failing_on(cls, words: Iterable[str]) -> Policy:
        """The policy of `--fail-on`: these verdicts fail, all others pass.

        Raises:
            InputError: no word, or one that is no verdict.
        """
        fail = set(words)
        for word in sorted(fail):
            if word not in VERDICTS:
                raise InputError(f'there is no verdict "{word}"; {did_you_mean(word, VERDICTS)}')
        if not fail:
            raise InputError(f"name at least one verdict that fails the gate: {', '.join(VERDICTS)}")
        passing = [word for word in VERDICTS if word not in fail and word != "inconclusive"]
        undecided = {"inconclusive": "fail"} if "inconclusive" in fail else {}
        return cls(
            **{
                "pass": passing,
                **undecided,
                "gap_gains": "inconclusive" if "better" in fail else "pass",
                "findings": "fail" if "worse" in fail else "pass",
            }
        )


def check_words(words: Iterable[str]) -> None:
    """Raise ValueError unless every word is a verdict that can pass."""
    for word in words:
        if word == "inconclusive":
            raise ValueError("pass: write `inconclusive: pass` or `inconclusive: fail` for what is inconclusive")
        if word not in VERDICTS:
            raise ValueError(f'pass: there is no verdict "{word}"; {did_you_mean(word, VERDICTS)}')


def check_names(where: Where, known: Mapping[str, Iterable[str]], place: str) -> None:
    """Raise InputError for a name that none of the tables has.

    Args:
        where: a part of a policy.
        known: by column, the values of the tables.
        place: of the part in the policy, for the error.
    """
    for column, names in known.items():
        present = sorted(names)
        if column == "comparison":
            present = ["level", *COMPARISONS]
        for name in getattr(where, column):
            if name not in present:
                raise InputError(f'{place}.{column}: there is no {column} "{name}"; {did_you_mean(name, present)}')


def read_policy(path: str | Path) -> Policy:
    """Read a policy from a YAML file.

    Raises:
        InputError: there is no such file, it is not YAML, or it holds what no policy has.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no policy {path}")
    from evenhand.yaml_file import read_mapping

    values = read_mapping(path, f"of {', '.join(field_keys())}; docs/gate.md has a complete policy")
    return Policy.parse(values, str(path))


def field_keys() -> list[str]:
    """The keys of a policy."""
    return [field.alias or name for name, field in Policy.model_fields.items()]
