"""The headline: the answer in at most eight lines, the same on the page, in Markdown, in JSON and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evenhand.audit.measures import doubtful_margins
from evenhand.report.collapsed_sentences import collapsed_lines, constant_lines
from evenhand.report.detail_sentences import (
    disparity_lines,
    false_alarm_lines,
    nothing_judged,
    pattern_lines,
    verdict_lines,
)
from evenhand.report.detectable_harm import detectable_lines
from evenhand.report.doubts import doubts, overlap_lines, scope_lines
from evenhand.report.gap_sentences import gap_lines
from evenhand.report.looks import look_lines
from evenhand.report.membership_sentences import area_sentence, membership_lines
from evenhand.report.method_pairs import Pair, merged, pairs_of, worst_first
from evenhand.report.method_sentences import sentence
from evenhand.report.reportable import Reportable, levels
from evenhand.report.subgroups import finding_lines, finding_sentence

MOST = 8
"""The most lines of a headline."""

_MISSED = "could have been missed"
_MEANING = "Where harm could have been missed, a larger one would have been found with a power of at least 80%."


def headline(results: Reportable) -> list[str]:
    """The answer in at most eight lines of one to three short sentences each, for any study, in the reader's order.

    1. What must be known before any answer: warnings about the data, models that learned nothing, wide margins,
       intervals that may be too short.
    2. A line for each method: whom it harms most and by how much, who else is harmed, and which harm could have been
       missed or is excluded. Means over settings come first, then what is harmful, the most harmful first. It is about
       what was asked for besides predictions (membership, translations, prompts, benchmarks, probes), else about
       predictions, accuracy first. Where not all fit, methods without harm share a line; the rest is counted.
    3. The subgroup that fares worst, where conjunctions of groups were searched and one survives the search.
    4. What the answers are about, where that is less than a reader may think: single models, collapsed runs,
       comparisons that could not be made.

    At most three lines are doubts (1 and 4). `details` has everything else.

    Example:
        >>> import polars as pl, evenhand
        >>> guess, sex = [0, 1, 0, 1, 1, 0, 0, 1] * 50, ["f", "f", "m", "m"] * 100
        >>> people = pl.DataFrame({"y": [0, 1] * 200, "guess": guess, "sex": sex})
        >>> results = evenhand.audit(people, label="y", prediction="guess", groups="sex")
        >>> headline(results)[0].partition(" (")[0]
        'model is less accurate for sex = f than for the rest, by 50 points'
    """
    return _composed(results).lines


def details(results: Reportable) -> list[str]:
    """The sentences that the headline has no room for: every count, pattern, gap, and what each of them means.

    Harm that the headline only counts, doubts, gaps of single methods, patterns across settings, counts of verdicts,
    collapsed runs, widened gaps, membership, the harm that could be detected, and how many verdicts are false alarms.
    """
    verdicts, design = results.verdicts, results.design
    headline_ = _composed(results)
    lines = [
        *([_MEANING] if any(_MISSED in line for line in headline_.lines) else []),
        *(sentence(pair, design, len(design.settings) > 1) for pair in headline_.counted),
        *doubtful_margins(design.margins, verdicts["measure"].unique()),
        *(warning for setting in design.settings.values() for warning in setting.warnings),
        *constant_lines(results.estimates, design),
        *overlap_lines(verdicts),
        *look_lines(results),
        *gap_lines(verdicts, design),
        *pattern_lines(verdicts, design),
        *verdict_lines(verdicts, design),
        *scope_lines(verdicts, results.trials, design),
        *collapsed_lines(verdicts, design),
        *disparity_lines(verdicts, design),
        *finding_lines(results),
        *membership_lines(levels(results), verdicts, design),
        *detectable_lines(results.curves, design),
        *false_alarm_lines(verdicts, design),
    ]
    return [line for line in lines if not any(line in whole for whole in headline_.lines)]


@dataclass(frozen=True)
class _Headline:
    """The lines of a headline, and the harmful pairs that it only counts."""

    lines: list[str]
    counted: list[Pair]


def _composed(results: Reportable) -> _Headline:
    pairs = pairs_of(results.verdicts, results.design)
    doubt = doubts(results, pairs)
    judged = [pair for pair in pairs if len(pair.judged)]
    if not judged:
        return _Headline([*doubt.before, nothing_judged(results.verdicts), *doubt.after], [])
    finding = finding_sentence(results)
    subgroup = [] if finding is None else [finding]
    chosen, left = _chosen(judged, MOST - len(doubt.before) - len(doubt.after) - len(subgroup))
    several = len(results.design.settings) > 1
    lines = [_line(pair, results, several) for pair in chosen]
    lines += [_rest(left, several)] if left else []
    lines += subgroup
    return _Headline([*doubt.before, *lines, *doubt.after], [pair for pair in left if pair.harmed])


def _chosen(pairs: Sequence[Pair], room: int) -> tuple[list[Pair], list[Pair]]:
    """The pairs that have a line each, in the order of lines, and those that are counted in one.

    Where not all fit, those without harm share lines, first within a setting, then over settings.
    """
    for candidates in (pairs, merged(pairs), merged(pairs, over_settings=True)):
        chosen = sorted(candidates, key=worst_first)
        if len(chosen) <= room:
            return chosen, []
    # What is harmful, and what holds across settings, is worth more than a line on methods without harm.
    chosen = sorted(chosen, key=lambda pair: not pair.harmed and pair.setting is not None)[: room - 1]
    told = {id(pair) for each in chosen for pair in each.of or (each,)}
    return sorted(chosen, key=worst_first), [pair for pair in pairs if id(pair) not in told]


def _line(pair: Pair, results: Reportable, several_settings: bool) -> str:
    text = sentence(pair, results.design, several_settings)
    areas = area_sentence(levels(results), pair.lead) if not pair.of else ""
    return f"{text} {areas}" if areas else text


def _rest(left: Sequence[Pair], several_settings: bool) -> str:
    """The sentence that counts the pairs without a line of their own."""
    harmful = sum(pair.harmed for pair in left)
    harmless = len(left) - harmful
    compared = "comparison of methods" if all(pair.reference is not None for pair in left) else "comparison of groups"
    where = " in single settings" if several_settings and all(pair.setting is not None for pair in left) else ""
    unclear = sum("inconclusive" in pair.judged["verdict"] for pair in left if not pair.harmed)
    doubt = f", though {_many(unclear, 'has', 'have')} inconclusive verdicts" if unclear else ""
    several = compared.replace("comparison", "comparisons", 1)
    if not harmful:
        return f"The other {_many(harmless, f'{compared}{where} shows', f'{several}{where} show')} no harm{doubt}."
    others = f"; the other {_many(harmless, 'shows', 'show')} none{doubt}" if harmless else ""
    shows = _many(harmful, f"more {compared}{where} shows", f"more {several}{where} show")
    return f"{shows} harm, under Details{others}."


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
