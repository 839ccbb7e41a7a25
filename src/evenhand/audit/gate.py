"""Decides whether results satisfy a policy, row by row: pass, fail, or cannot be decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.policy import Limit, Policy, VerdictRule, Waiver
from evenhand.audit.policy_check import as_verdict, check_policy
from evenhand.audit.strictness import SEARCH, Family, Undirected, directed, families_of, family_of, holm_levels
from evenhand.errors import InputError
from evenhand.records.schemas import MAX_T

Outcome = Literal["failed", "waived", "inconclusive", "not judged", "passed"]


@dataclass(frozen=True)
class Finding:
    """One row of results and whether it satisfies the policy.

    Attributes:
        row: of `verdicts`, or of `estimates` where a limit is held against it.
        outcome: `waived` is a failure that a waiver lets pass; `not judged` is a row without an interval.
        limit: the limit that the row was held against; None for a verdict.
        linear: the row of what tests the limit in place of the measure's own interval (the four-fifths rule).
        reason: of the waiver.
        fails: whether it closes the gate.
    """

    row: Mapping[str, Any]
    outcome: Outcome
    limit: Limit | None = None
    reason: str | None = None
    fails: bool = False
    linear: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """The answer of a gate.

    Attributes:
        findings: one for each row that the policy is about.
        families: the number of families of verdicts, a search of subgroups being one, each of which is wrong with
            probability alpha where nothing is worse.
        alpha: that probability.
        strict: whether verdicts `worse` were held to it over all families together.
        undirected: the settings and measures of which neither direction is worse.
        ended: the waivers whose last day is over and that cover a row that fails.
    """

    findings: Sequence[Finding]
    families: int
    alpha: float
    strict: bool
    undirected: frozenset[Undirected] = frozenset()
    ended: Sequence[Waiver] = ()

    @property
    def failed(self) -> list[Finding]:
        """The findings that close the gate."""
        return [finding for finding in self.findings if finding.fails]

    @property
    def passed(self) -> bool:
        """Whether the gate opens."""
        return not self.failed

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many findings there are of each outcome."""
        return dict(Counter(finding.outcome for finding in self.findings))

    @property
    def places(self) -> int:
        """The number of settings and splits that the findings are about."""
        return len({(finding.row["setting"], finding.row["split"]) for finding in self.findings})

    @property
    def largest_open(self) -> Mapping[str, Any] | None:
        """Of the inconclusive rows that pass, the one that could hide most, in shares of its measure's range."""
        from evenhand.audit.measures import known

        spread = {name: measure.limits[1] - measure.limits[0] for name, measure in known().items()}
        rows = [
            finding.row
            for finding in self.findings
            if finding.outcome == "inconclusive"
            and not finding.fails
            and finding.limit is None
            and finding.row["high"] is not None
            and finding.row["verdict"] == "inconclusive"  # else the interval is not the one that decided
            and np.isfinite(spread.get(finding.row["measure"], np.inf))
        ]
        return max(rows, key=lambda row: self.possible(row) / spread[row["measure"]], default=None)

    def possible(self, row: Mapping[str, Any]) -> float:
        """The largest harm that a row's interval does not exclude; of an undirected measure the largest difference."""
        return max(row["high"], -row["low"]) if self.is_undirected(row) else row["high"]

    def is_undirected(self, row: Mapping[str, Any]) -> bool:
        """Whether neither direction of a row is worse."""
        return (row["setting"], row["measure"]) in self.undirected


def judge(
    verdicts: pl.DataFrame,
    estimates: pl.DataFrame,
    policy: Policy,
    *,
    alpha: float = 0.05,
    strict: bool = False,
    today: date | None = None,
    findings: pl.DataFrame | None = None,
    undirected: Collection[Undirected] = (),
) -> Answer:
    """Hold results against a policy.

    Args:
        verdicts, estimates: the tables of results.
        policy: what must hold.
        alpha: the one-sided level of a family of verdicts.
        strict: hold `worse` to alpha over all families together (Holm 1979), instead of over each. A search of
            subgroups is one of them, unless the policy lets its findings pass.
        today: the day on which waivers are looked at; the current one unless given.
        findings: the table of subgroups that were searched, if any were. Those that fare worse fail the gate unless the
            policy lets them pass; rules and waivers know them by the attribute `subgroup`.
        undirected: the settings and measures of which neither direction is worse: their families raise no false alarm.

    Raises:
        InputError: nothing can be decided: the policy names what the results lack, nothing was judged at all, or
            everything is inconclusive and the policy does not say that this passes.

    Example:
        >>> import evenhand
        >>> import polars as pl
        >>> from evenhand.audit.gate import judge
        >>> from evenhand.audit.policy import Policy
        >>> label = [1] * 100 + [0] * 100
        >>> guess = [1] * 90 + [0] * 100 + [1] * 10  # right about 90 of 100 people of group a, and about 50 of group b
        >>> table = {"y": label * 2, "guess": guess + [1, 0] * 100, "group": ["a"] * 200 + ["b"] * 200}
        >>> results = evenhand.audit(pl.DataFrame(table), label="y", prediction="guess", groups="group")
        >>> judge(results.verdicts, results.estimates, Policy()).passed
        False
    """
    found = _worse_subgroups(findings)
    check_policy(policy, verdicts, estimates, findings)
    given = verdicts.drop_nulls("verdict")
    searched = findings if policy.findings == "fail" else None
    looked = bool(policy.limits) or (searched is not None and len(searched) > 0)
    if given.is_empty() and not looked:
        raise InputError(
            "nothing was compared, so there is no verdict to pass or fail; give groups, or name a reference method"
        )
    if given["low"].null_count() == len(given) and not looked:
        reasons = given["note"].drop_nulls()
        because = f" ({reasons[0]})" if len(reasons) else ""
        raise InputError(f"none of the {len(given)} comparisons could be judged{because}, so there is nothing to pass")
    families = families_of(directed(given, undirected), searched)
    kept = holm_levels(families, alpha) if strict else None
    held = [_of_verdict(row, policy, kept, alpha) for row in given.iter_rows(named=True)]
    held += [each for limit in policy.limits for each in _of_limit(limit, estimates, policy)]
    held += [_of_subgroup(row, policy, kept) for row in found]
    undecided = not _decided(given, held, found) and not any(finding.fails for finding in held)
    if undecided and "inconclusive" not in policy.model_fields_set:
        raise InputError(
            "nothing is decided: every row is inconclusive or could not be judged; more examples or runs may decide, "
            "and a policy with `inconclusive: pass` lets them pass"
        )
    day = today or date.today()
    waived = [_waived(finding, policy.waivers, day) for finding in held]
    ended = [
        waiver
        for waiver in policy.waivers
        if waiver.until < day and any(each.fails and waiver.covers(_waivable(each)) for each in waived)
    ]
    return Answer(waived, len(families), alpha, strict, frozenset(undirected), ended)


def _decided(verdicts: pl.DataFrame, held: Sequence[Finding], subgroups: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some comparison has a verdict, some limit is met or missed, or a subgroup is found to fare worse."""
    limits = any(finding.limit is not None and finding.outcome != "inconclusive" for finding in held)
    return limits or bool(subgroups) or (verdicts["verdict"] != "inconclusive").any()


def _worse_subgroups(findings: pl.DataFrame | None) -> list[Mapping[str, Any]]:
    """The subgroups that a search found to fare worse, as rows of verdicts; without those that fold under another."""
    if findings is None or findings.is_empty():
        return []
    worse = findings.filter(pl.col("parent").is_null(), selection=MAX_T, verdict="worse")
    return [as_verdict(row) for row in worse.iter_rows(named=True)]


def _of_subgroup(row: Mapping[str, Any], policy: Policy, kept: Mapping[Family, float] | None) -> Finding:
    """Whether a subgroup that fares worse closes the gate."""
    rule = next((rule for rule in policy.rules if rule.covers(row)), None)
    if kept is not None and SEARCH in kept and row["p_adjusted"] > kept[SEARCH]:
        undecided = policy.inconclusive if rule is None else rule.inconclusive or policy.inconclusive
        return Finding(row, "inconclusive", fails=undecided == "fail")
    passes = policy.findings == "pass" if rule is None else "worse" in rule.passing
    return Finding(row, "passed" if passes else "failed", fails=not passes)


def _of_verdict(row: Mapping[str, Any], policy: Policy, kept: Mapping[Family, float] | None, alpha: float) -> Finding:
    rule: Policy | VerdictRule = next((rule for rule in policy.rules if rule.covers(row)), policy)
    word = row["verdict"]
    if row["comparison"] == "gap change" and word == "better" and policy.gap_gains == "inconclusive":
        word = "inconclusive"
    # A row that sums up the groups of an attribute has no p-value of its own: it holds where its family does.
    level = 1.0 if kept is None else kept.get(family_of(row), 0.0)
    if word == "worse" and (not level or (row["p_adjusted"] or 0.0) > level):
        word = "inconclusive"
    if word == "inconclusive":
        sums_up = row["comparison"] == "gap change" and row["group"] is None
        outcome = "not judged" if row["low"] is None and not sums_up else "inconclusive"
        return Finding(row, outcome, fails=(rule.inconclusive or policy.inconclusive) == "fail")
    failed = word not in rule.passing
    return Finding(row, "failed" if failed else "passed", fails=failed)


def _of_limit(limit: Limit, estimates: pl.DataFrame, policy: Policy) -> Iterator[Finding]:
    for row in estimates.iter_rows(named=True):
        if not limit.covers(row):
            continue
        linear = _linear_row(limit, row, estimates)
        decided_by_linear = linear is not None and linear["low"] is not None and limit.at_most is None
        if not decided_by_linear and (row["low"] is None or row["high"] is None):
            reason = f" ({row['note']})" if row["note"] else ""
            raise InputError(f"the limit on {limit.about} cannot be decided for {_who(row)}: no interval{reason}")
        bounds = None if linear is None or linear["low"] is None else (linear["low"], linear["high"])
        low, high = (-np.inf, np.inf) if row["low"] is None else (row["low"], row["high"])
        outcome = limit.outcome(low, high, bounds)
        fails = outcome == "failed" or (outcome == "inconclusive" and policy.inconclusive == "fail")
        yield Finding(row, outcome, limit, fails=fails, linear=linear if bounds else None)


def _linear_row(limit: Limit, row: Mapping[str, Any], estimates: pl.DataFrame) -> Mapping[str, Any] | None:
    """The row of the measure that tests this limit in place of the row's own, if there is such a measure and row."""
    from evenhand.audit.measures import known

    measure = known().get(row["measure"])
    if measure is None or measure.tested_by is None or limit.at_least != measure.tested_by[0]:
        return None
    key = [column for column in records.TABLES["estimates"].key if column != "measure"]
    same = [pl.col(column).eq_missing(pl.lit(row[column])) for column in key]
    found = estimates.filter(pl.col("measure") == measure.tested_by[1], *same)
    return found.row(0, named=True) if len(found) else None


def _who(row: Mapping[str, Any]) -> str:
    parts = [str(row[key]) for key in ("attribute", "group", "class", "method") if row[key] is not None]
    return " ".join(parts) or "everyone"


def _waivable(finding: Finding) -> Mapping[str, Any]:
    """The row of a finding as waivers know it."""
    row = finding.row
    return row if finding.limit is None else {**row, "comparison": row["comparison"] or "level"}


def _waived(finding: Finding, waivers: Sequence[Waiver], day: date) -> Finding:
    """The finding; waived where it fails and a waiver that still holds covers it."""
    if not finding.fails:
        return finding
    for waiver in waivers:
        if day <= waiver.until and waiver.covers(_waivable(finding)):
            reason = f"{waiver.reason} (until {waiver.until})"
            return Finding(finding.row, "waived", finding.limit, reason, linear=finding.linear)
    return finding
