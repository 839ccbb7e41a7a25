"""Writes the answer of the gate as text, Markdown, JSON and JUnit XML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from evenhand.audit.gate import Answer, Finding
from evenhand.report.markdown import escaped
from evenhand.report.number_text import interval, number
from evenhand.report.wording import compared, digits, heading, measure_in_place, place, title
from evenhand.visible_text import visible

_MOST = 50
"""The most rows that the summary of a job names."""


def lines(answer: Answer) -> list[str]:
    """The answer as lines for a terminal: what fails, what was waived, what stays open, and `passed` or `failed`."""
    told = [f"{_word(finding)}: {described(finding, answer)}" for finding in answer.failed]
    told += [
        f"waived: {described(finding, answer)}: {finding.reason}"
        for finding in answer.findings
        if finding.outcome == "waived"
    ]
    waived = answer.counts.get("waived", 0)
    passed = f"passed, with {_many(waived, 'row')} waived" if waived else "passed"
    return [*told, *summary(answer), passed if answer.passed else f"failed: {_many(len(answer.failed), 'row')}"]


def summary(answer: Answer) -> list[str]:
    """Sentences on what the gate could not see, and how many of its failures chance alone would produce."""
    counts, said = answer.counts, []
    open_rows = counts.get("inconclusive", 0)
    if open_rows:
        widest = answer.largest_open
        worst = ""
        if widest is not None:
            what = "a difference" if answer.is_undirected(widest) else "a harm"
            size = number(answer.possible(widest), digits(widest["measure"]))
            worst = f"; {what} of up to {size} is still possible ({described_row(widest, answer)})"
        said.append(f"{_many(open_rows, 'row')} of {len(answer.findings)} inconclusive{worst}.")
    for waiver in answer.ended:
        said.append(f"A waiver ended on {waiver.until}: {visible(waiver.reason)}.")
    if counts.get("not judged", 0):
        said.append(f"{_many(counts['not judged'], 'row')} could not be judged.")
    if answer.families:
        if answer.strict:
            said.append(
                f"Strict: at most {answer.alpha:.0%} of studies without harm have a worse verdict in any of the "
                f"{_many(answer.families, 'family', 'families')}."
            )
        elif answer.families > 1:
            said.append(
                f"{answer.families} families of verdicts, each worse by chance alone in up to {answer.alpha:.0%} of "
                f"studies without harm: up to {answer.families * answer.alpha:.1f} false alarms are to be expected; "
                "--strict holds all of them together to that rate."
            )
    return said


def described(finding: Finding, answer: Answer) -> str:
    """The row of a finding in words, with its numbers."""
    row = finding.row
    if finding.limit is None:
        return described_row(row, answer)
    limit, decimals = finding.limit, digits(row["measure"])
    asked = [
        f"at {name} {bound:g}"
        for name, bound in (("least", limit.at_least), ("most", limit.at_most))
        if bound is not None
    ]
    value, bounds = number(row["value"], decimals), interval(row["low"], row["high"], decimals)
    about = f"{heading(row['measure'], row['comparison'])} of {place(row)}, {row['method']}"
    tested = ""
    if finding.linear is not None:
        linear = [finding.linear[name] for name in ("value", "low", "high")]
        tested = f" ({title(finding.linear['measure'])}: {number(linear[0], decimals, signed=True)} "
        tested += f"{interval(linear[1], linear[2], decimals, signed=True)})"
    return visible(f"{about}: {value} {bounds}, asked {' and '.join(asked)}{tested}")


def described_row(row: Mapping[str, Any], answer: Answer) -> str:
    """A row of `verdicts` in words, with its numbers."""
    decimals = digits(row["measure"])
    where = f"{row['setting'] or 'across settings'}, {row['split']}; " if answer.places > 1 else ""
    numbers = ""
    if row["contrast"] is not None:
        bounds = interval(row["low"], row["high"], decimals, signed=True)
        numbers = f": {number(row['contrast'], decimals, signed=True)} {bounds}"
    what = f"{compared(row['method'], row['reference'])}, {measure_in_place(row)}, {place(row)}"
    return visible(f"{what} ({where}{row['scope']}){numbers}")


def to_json(answer: Answer) -> dict[str, Any]:
    """The answer as plain values: `passed`, counts by outcome, the rows that fail, and those that were waived."""

    def rows(outcome: str | None) -> list[dict[str, Any]]:
        chosen = answer.failed if outcome is None else [each for each in answer.findings if each.outcome == outcome]
        return [{**finding.row, "outcome": finding.outcome, "reason": finding.reason} for finding in chosen]

    return {
        "passed": answer.passed,
        "counts": answer.counts,
        "families": answer.families,
        "strict": answer.strict,
        "failed": rows(None),
        "waived": rows("waived"),
    }


def markdown(answer: Answer, source: str) -> str:
    """The answer in Markdown, for the summary of a CI job."""
    word = "passed" if answer.passed else "failed"
    rows = [
        f"| {escaped(_word(finding))} | {escaped(described(finding, answer))} |" for finding in answer.failed[:_MOST]
    ]
    rows += [
        f"| waived | {escaped(f'{described(finding, answer)}: {finding.reason}')} |"
        for finding in answer.findings
        if finding.outcome == "waived"
    ]
    table = ["| | |", "| --- | --- |", *rows, ""] if rows else []
    return "\n".join(
        [
            f"## Evenhand: {escaped(visible(source))} {word}",
            "",
            *table,
            *(f"- {escaped(line)}" for line in summary(answer)),
            "",
        ]
    )


def junit(answer: Answer, source: str) -> str:
    """The answer as JUnit XML: a test case for each row; inconclusive rows that pass and waived ones are skipped."""
    skipped = [each for each in answer.findings if not each.fails and each.outcome != "passed"]
    suite = ElementTree.Element(
        "testsuite",
        name=visible(f"evenhand {source}"),
        tests=str(len(answer.findings)),
        failures=str(len(answer.failed)),
        skipped=str(len(skipped)),
        errors="0",
    )
    for finding in answer.findings:
        row = finding.row
        case = ElementTree.SubElement(
            suite, "testcase", classname=visible(title(row["measure"])), name=described(finding, answer)
        )
        if finding.fails:
            ElementTree.SubElement(case, "failure", message=_word(finding))
        elif finding.outcome != "passed":
            ElementTree.SubElement(case, "skipped", message=visible(finding.reason or finding.outcome))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _word(finding: Finding) -> str:
    """What is wrong with a failing row: its verdict, or how it stands to its limit."""
    if finding.limit is not None:
        return "outside its limit" if finding.outcome == "failed" else "not surely inside its limit"
    return finding.row["verdict"] if finding.outcome == "failed" else finding.outcome


def _many(count: int, one: str, several: str | None = None) -> str:
    return f"{count} {one if count == 1 else several or f'{one}s'}"
