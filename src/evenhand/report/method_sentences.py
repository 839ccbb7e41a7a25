"""Sentences on one method: whom it harms and by how much, whom else, and which harm is excluded or could be missed."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from evenhand.audit.design import Design
from evenhand.report.amounts import difference, reach, size, within_range
from evenhand.report.contrast_panels import positive_is
from evenhand.report.gap_sentences import excluded, first_measure, group_of
from evenhand.report.method_pairs import Pair, subject
from evenhand.report.wording import (
    Row,
    measure_named,
    others,
    others_of,
    place,
    places_of,
    title,
)

_NAMED = 2
"""The most subjects that are named besides the one that fares worst."""

_NOUNS = {"change": "harms", "gap": "gaps", "gap change": "changes of gaps"}
"""What differences against a group are called, by what is compared."""

_MOST_METHODS = 4
"""The most methods that are named in one sentence."""


def sentence(pair: Pair, design: Design, several_settings: bool) -> str:
    """What the headline says of a pair: the harm, who else is harmed, and what could have been missed or is excluded.

    Args:
        pair: with judged rows.
        design: of the study.
        several_settings: whether settings are named.
    """
    level = round(100 * (1 - 2 * design.alpha))
    asked = pair.harmed and pair.worse[0]["measure"] in pair.lead["measure"]
    said = [] if asked else _harmless(pair, design)
    if pair.harmed:
        first, named = _harm(pair, level) if not said else (said[0], [])
        said = [first, *_beside(pair, named)]
    said += _differing(pair, first=not said)
    text, lead = " ".join(said), _lead(pair, several_settings)
    return lead + (text[:1].lower() + text[1:] if text.startswith("No ") and lead.endswith("settings ") else text)


def _lead(pair: Pair, several_settings: bool) -> str:
    if len(pair.settings) > 1:
        return f"In {len(pair.settings)} settings "
    if pair.setting is not None:
        return f"{pair.setting}: " if several_settings else ""
    counted = sorted(set(pair.judged["runs"].drop_nulls()))
    many = f"{counted[0]} settings" if len(counted) == 1 else f"{counted[0]} to {counted[-1]} settings"
    return f"Across {many} "


def _harm(pair: Pair, level: int) -> tuple[str, list[str]]:
    """The sentence on whom a method harms most, and the subjects that it names."""
    row, method = pair.worse[0], pair.methods[0]
    measure, by = measure_named(row["measure"]), difference(row, level)
    worse, named = measure.display.worse or f"has a worse {measure.title}", [subject(row)]
    if row["comparison"] == "gap change":
        begin = "From" if pair.setting is not None else "from"
        text = f"{begin} {pair.reference} to {method}, {measure.title} changed less favourably {_about(row)} "
        text += f"than for {others(row['against'])}, by {by}"
    elif row["comparison"] == "gap":
        text = f"{method} {worse} {_about(row)} than for {others(row['against'])}, by {by}"
    else:
        text = f"{method} {worse} than {pair.reference} {_about(row)}, by {by}"
        whole = next((each for each in pair.worse if each["attribute"] is None and _same(each, row)), None)
        alike = whole is not None and _consistency(pair, whole) == _consistency(pair, row)
        if whole is not None and row["group"] is not None and alike:
            text += f", and {_about(whole)} by {size(whole)}"
            named.append(subject(whole))
    return f"{text}.{_consistency(pair, row)}", named


def _same(one: Row, other: Row) -> bool:
    return all(one[key] == other[key] for key in ("measure", "comparison", "class", "condition", "correction"))


def _consistency(pair: Pair, row: Row) -> str:
    """What a mean over settings says of a new setting, as a further sentence; empty in a single setting."""
    if pair.setting is not None:
        return ""
    if row["predict_low"] is None:
        return " Two settings are too few to call that consistent."
    if row["predict_low"] > 0:
        return " That is consistent: a new setting is expected to show it too."
    return " That is so on average and not consistent: a new setting may show no harm."


def _harmless(pair: Pair, design: Design) -> list[str]:
    """The sentence on methods in which no harm is shown of what was asked for first: what is excluded.

    None where neither direction of it is worse and something differs, which another sentence says.
    """
    first = first_measure(pair.lead)
    if positive_is(first, design, *([pair.setting] if pair.setting else design.settings)) == "higher":
        return _alike(pair, first) if "different" not in pair.lead["verdict"] else []
    ending, grouped = _excluded(pair, first)
    absent = len(pair.rows) - len(pair.judged)
    # Of several methods, groups that could not be judged under one of them are not those of another.
    open_ = f"; {absent} could not be judged" if pair.of and absent else ""
    return [f"{_not_shown(pair, first, grouped)}{ending}{open_}{_open(pair)}."]


def _alike(pair: Pair, measure: str) -> list[str]:
    """The sentence on methods that are not shown to differ in a measure of which neither direction is worse."""
    ending, grouped = _excluded(pair, measure, either_way=True)
    if pair.reference is None:
        under = "" if pair.alone else f" under {_methods(pair, 'or')}"
        shown = f"No group is shown to differ from {others_of(pair.lead)} in {title(measure)}{under}"
    else:
        are, whom = "are" if len(pair.methods) > 1 else "is", " for any group" if grouped else ""
        shown = f"{_methods(pair, 'and')} {are} not shown to differ from {pair.reference} in {title(measure)}{whom}"
    return [f"{shown}{ending}{_open(pair)}."]


def _methods(pair: Pair, word: str) -> str:
    """The names of the methods of a pair, as an enumeration."""
    more = len(pair.methods) - _MOST_METHODS
    names = [*pair.methods[:_MOST_METHODS], *([f"{more} other methods"] if more > 1 else pair.methods[_MOST_METHODS:])]
    return _listed(names, word)


def _excluded(pair: Pair, measure: str, *, either_way: bool = False) -> tuple[str, bool]:
    """Which harms in a measure are excluded, as the end of a sentence, and whether that is about groups.

    Where neither direction is worse, these are differences, `either_way`.
    """
    rows = pair.rows.filter(measure=measure)
    # Every measure that has changes has those of everyone; what a group lost says more than what it lost beside others.
    kind = "change" if "change" in rows["comparison"] else rows["comparison"][0]
    rows = rows.filter(comparison=kind)
    by_group = rows.drop_nulls("group")
    grouped = bool(by_group["contrast"].count())
    shown = by_group if grouped else rows.filter(pl.col("attribute").is_null())
    raw = shown.filter(pl.col("correction").is_null())
    shown = shown if raw.is_empty() else raw
    shown = shown.drop_nulls("contrast") if pair.of else shown
    of_methods = "differences" if either_way else "harms"
    return excluded(shown, "gaps" if pair.reference is None else of_methods, either_way=either_way), grouped


def _not_shown(pair: Pair, first: str, grouped: bool) -> str:
    """The beginning of that sentence."""
    any_of, all_of = _methods(pair, "or"), _methods(pair, "and")
    within = f" in {title(first)}" if pair.harmed else ""
    if pair.reference is None:
        under = "" if pair.alone else f" under {any_of}"
        return f"No group is shown to fare worse than {others_of(pair.lead)}{within}{under}"
    if pair.setting is None:
        return f"there is no consistent pattern of {any_of} being worse than {pair.reference}{within}"
    words = measure_named(first).display.not_worse
    if grouped and not words and not pair.harmed:
        return f"No group is shown to be harmed by {any_of} compared with {pair.reference}"
    worse = words or f"be worse{within}"
    are, whom = "are" if len(pair.methods) > 1 else "is", " for any group" if grouped else ""
    return f"{all_of} {are} not shown to {worse} than {pair.reference}{whom}"


def _open(pair: Pair) -> str:
    """How many comparisons are inconclusive, as the end of a sentence."""
    count, of = len(pair.judged.filter(verdict="inconclusive")), len(pair.judged)
    if not count or pair.harmed:
        return ""
    many = f"all {of}" if 1 < count == of else f"{count} of {of}"
    return f"; {many} comparison{'' if of == 1 else 's'} {'is' if count == 1 else 'are'} inconclusive"


def _beside(pair: Pair, named: Sequence[str]) -> list[str]:
    """The sentences on who else is harmed, and what is excluded or could have been missed in the other groups."""
    row = pair.worse[0]
    # What is worse between all groups of an attribute sums up what is worse in some, and is said where nothing else is.
    worse = [each for each in pair.worse if each["group"] is not None or each["attribute"] is None] or pair.worse
    also = _subjects([each for each in worse if subject(each) not in named], row["measure"] if named else "")
    sentences = [f"Also worse: {also}."] if also else []
    if not named:
        return sentences
    first = first_measure(pair.lead)
    if row["measure"] in pair.lead["measure"] and first not in [each["measure"] for each in pair.worse]:
        ending, grouped = _excluded(pair, first)
        fares = "be worse off" if pair.reference else f"fare worse than {others_of(pair.lead)}"
        nobody = f"No group is shown to {fares}" if grouped else "Nothing worse is shown"
        return [*sentences, f"{nobody} in {title(first)}{ending}."]
    lost = [each for each in pair.worse if each["measure"] == row["measure"] and each["comparison"] == "change"]
    if row["comparison"] == "gap change" and not lost:
        # A group that gained less than others is worse off beside them, and may have lost nothing.
        ending, _ = _excluded(pair, row["measure"])
        return [*sentences, f"No group by itself is shown to be worse off in {title(row['measure'])}{ending}."]
    alike = [each for each in worse if (each["measure"], each["comparison"]) == (row["measure"], row["comparison"])]
    harmed = {subject(each) for each in alike}
    same = pair.rows.filter(measure=row["measure"], comparison=row["comparison"]).drop_nulls("group")
    rest = [each for each in same.iter_rows(named=True) if subject(each) not in harmed]
    judged = [each["detectable"] for each in rest if each["contrast"] is not None]
    absent = len({subject(each) for each in rest if each["contrast"] is None})
    unknown = f"; {absent} {'group' if absent == 1 else 'groups'} could not be judged" if absent else ""
    if not judged:
        return sentences
    could = f"{_missed(row, judged)}{unknown}"
    if also:
        whom = "the other group" if len(judged) == 1 else "the other groups"
        if len(alike) < len(worse):
            whom = f"groups that are not shown to be worse in {title(row['measure'])}"
        return [*sentences, f"In {whom}, {could}."]
    other = "No other group" if row["group"] is not None else "No single group"
    fares = f"fare worse than {others_of(same)}" if pair.reference is None else "be harmed"
    return [f"{other} is shown to {fares}; {could}."]


def _differing(pair: Pair, *, first: bool) -> list[str]:
    """The sentence on what differs without being worse, since no direction was declared to be; empty without such.

    Where it is the first sentence on a pair, it names the method.
    """
    rows = list(pair.judged.filter(verdict="different").iter_rows(named=True))
    if not rows:
        return []
    most = max(rows, key=lambda row: (row["group"] is not None, abs(row["contrast"])))
    way = "higher" if most["contrast"] > 0 else "lower"
    others = len({subject(row) for row in rows} - {subject(most)})
    more = f", and {others} more" if others else ""
    by = size({**most, "contrast": abs(most["contrast"])})
    under = f" under {most['method']}" if pair.of or (first and not pair.alone) else ""
    under += f" than under {most['reference']}" if under and most["comparison"] == "change" else ""
    what = f"{title(most['measure'])}, {way} {_about(most)}{under} by {by}"
    return [f"Different, with neither direction declared worse: {what}{more}."]


def _missed(row: Row, detectable: Sequence[float | None]) -> str:
    """The harm in the measure of a row that 80% power would not have found in several groups, in words."""
    measure, noun = row["measure"], f"{_NOUNS[row['comparison']]} in {title(row['measure'])}"
    possible = [size for size in detectable if size is not None and within_range(measure, size)]
    if not possible:
        return f"{noun} of any size could have been missed"
    without = len(detectable) - len(possible)
    text = f"{noun} under {reach(measure, possible)} could have been missed"
    groups = "one group" if without == 1 else f"{without} groups"
    return text + (f", and in {groups} {_NOUNS[row['comparison']]} of any size" if without else "")


def _about(row: Row) -> str:
    """The end of a clause that says whom or what a row is about: `for shape = square`, `overall`."""
    if places_of(row["measure"]).by_condition:
        return f"{places_of(row['measure']).preposition} {place(row)}"
    if row["group"] is None:
        whom = "overall" if row["attribute"] is None else f"over the groups of {row['attribute']}"
        return whom if row["class"] is None else f"{whom} (class {row['class']})"
    return f"for {group_of(row)}"


def _subjects(rows: Sequence[Row], measure: str) -> str:
    """Subjects with the first measure that each is named for: `race = White in accuracy and 2 more`; empty for none.

    Where all are of the measure that the sentence before names, none is named again.
    """
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(subject(row), row["measure"])
    same = set(first.values()) == {measure}
    texts = [name if same else f"{name} in {title(of)}" for name, of in first.items()]
    return _listed([*texts[:_NAMED], f"{len(texts) - _NAMED} more"] if len(texts) > _NAMED else texts)


def _listed(names: Sequence[str], word: str = "and") -> str:
    """Names as an enumeration: `a, b and c`."""
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else "".join(names)
