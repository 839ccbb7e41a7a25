"""The comparison of several folders: facts, verdicts, estimates and tests on shared examples, and its sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evenhand.audit.results import Results
from evenhand.audit.strictness import expected_false_alarms
from evenhand.report.comparison.facts import Facts, compare_facts
from evenhand.report.comparison.folders import Folder, align_folders
from evenhand.report.comparison.paired import Pair, paired_comparisons
from evenhand.report.comparison.rows import (
    SideBySide,
    estimates_side_by_side,
    judged_in_several,
    judged_in_some,
    shared,
    unmatched,
    verdicts_side_by_side,
)
from evenhand.report.number_text import number
from evenhand.report.wording import claims, measure_in_place, place, tally

NO_TEST = (
    "Verdicts of two folders are not a test of their difference: one may be worse and the other inconclusive although "
    "nothing differs, and intervals that overlap do not show that nothing does."
)
"""What a reader must know before comparing two verdicts."""

HOW_TO_TEST = (
    "A difference between folders is tested only where both tested the same examples under the same ids. To test it "
    "elsewhere, put the predictions of both on the same examples into one table and run evenhand audit TABLE --method "
    "COL --reference NAME --example COL."
)

NOT_JUDGED = "not judged"
"""What stands in the place of a verdict where a folder has a comparison and does not judge it."""

_LISTED = 6
"""The most kinds of changes, and the most parts of one folder, that a sentence names."""

_MOST_PAIRS = 4
"""The most paired comparisons that have a sentence each."""

_NAMED = 3
"""The most worse differences that a sentence names."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several folders say beside each other.

    Attributes:
        folders: in the order in which they were named; differences are from the first one.
        facts: what differs in designs, data, versions and dates.
        verdicts, estimates: rows of the tables, aligned; each is in one folder at least.
        pairs: methods that were compared with those of the first folder on the same examples.
        not_paired: sentences on what could not be, with the reason.
    """

    folders: Sequence[Folder]
    facts: Facts
    verdicts: Sequence[SideBySide]
    estimates: Sequence[SideBySide]
    pairs: Sequence[Pair]
    not_paired: Sequence[str]

    @property
    def labels(self) -> list[str]:
        """The names of the folders."""
        return [folder.label for folder in self.folders]

    @cached_property
    def changed(self) -> list[SideBySide]:
        """The rows whose verdicts differ between folders."""
        return [row for row in self.verdicts if row.changed]

    @cached_property
    def lost(self) -> list[SideBySide]:
        """The rows that are judged in one folder and not in another, first those that are worse."""
        return judged_in_some(self.verdicts)

    @cached_property
    def unmatched(self) -> list[tuple[str, str, int]]:
        """What only one folder has: its label, which setting and method, and the number of verdicts."""
        return unmatched(self.verdicts, self.folders)

    def headline(self) -> list[str]:
        """Return the comparison in sentences."""
        designs = [folder.results.design for folder in self.folders]
        differ = [
            name
            for name in ("margins", "alpha")
            if any(getattr(each, name) != getattr(designs[0], name) for each in designs)
        ]
        lines = [*self._tested(), *self._false_alarms(), *self._changes()]
        if differ and self.changed:
            lines.append(
                f"The folders differ in their {' and '.join(differ)}: a verdict may have changed for this alone."
            )
        lines.append(NO_TEST if self.pairs else f"{NO_TEST} {HOW_TO_TEST}")
        if self.unmatched:
            parts = [f"{count} in {label} ({what})" for label, what, count in self.unmatched]
            more = [f"and {len(parts) - _LISTED} more kinds"] if len(parts) > _LISTED else []
            alone = sum(count for _, _, count in self.unmatched)
            have = "verdict has" if alone == 1 else "verdicts have"
            lines.append(f"{alone:,} {have} no counterpart: {'; '.join([*parts[:_LISTED], *more])}.")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values; what is not finite is None."""
        return {
            "folders": [
                {"label": folder.label, "source": folder.results.design.source, "dates": dict(folder.dates)}
                for folder in self.folders
            ],
            "headline": self.headline(),
            "different": {name: list(texts) for name, texts in self.facts.different.items()},
            "same": self.facts.same,
            "verdicts": [self._row(row) | {"changed": row.changed, "lost": row.lost} for row in shared(self.verdicts)],
            "estimates": [self._row(row) for row in shared(self.estimates)],
            "differences": [_pair_to_json(pair) for pair in self.pairs],
            "not_tested": list(self.not_paired),
            "unmatched": [{"folder": label, "what": what, "verdicts": count} for label, what, count in self.unmatched],
        }

    def _tested(self) -> list[str]:
        """Return a sentence for each of the first paired comparisons, those with most `worse` verdicts first."""
        worse = {id(pair): len(pair.verdicts.filter(verdict="worse")) for pair in self.pairs}
        ranked = sorted(self.pairs, key=lambda pair: -worse[id(pair)])
        shown, more = ranked[:_MOST_PAIRS], ranked[_MOST_PAIRS:]
        if not more:
            return [_outcome(pair) for pair in shown]
        harmed = sum(worse[id(pair)] > 0 for pair in more)
        said = f"{harmed} have" if harmed > 1 else "one has" if harmed else "none has"
        further = f"Of {len(more)} further methods and folders that were tested so, {said} a verdict of worse."
        return [*map(_outcome, shown), further]

    def _false_alarms(self) -> list[str]:
        """Return a sentence on how many tested families may say `worse` by chance; none below two families."""
        design = self.folders[0].results.design
        counted = [expected_false_alarms(pair.verdicts, design) for pair in self.pairs]
        families, expected = sum(each[0] for each in counted), sum(each[1] for each in counted)
        if families < 2:
            return []
        return [
            f"The tested differences are {families} families of verdicts: where nothing is worse, up to "
            f"{number(expected, 1)} of them are expected to say worse by chance."
        ]

    def _row(self, row: SideBySide) -> dict[str, Any]:
        return {**row.key, "folders": {self.labels[index]: _finite(cells) for index, cells in row.cells.items()}}

    def _changes(self) -> list[str]:
        """Return the sentences on verdicts that differ, and on comparisons that not every folder judges."""
        if not shared(self.verdicts):
            return ["The folders share no comparison: no verdict of one has a counterpart in another."]
        both, changed, lost = judged_in_several(self.verdicts), self.changed, self.lost
        if not both:
            lines = ["No comparison is judged in two folders."]
        elif changed:
            lines = [
                f"{len(changed):,} of {len(both):,} verdicts that folders share differ ({self._kinds_of(changed)})."
            ]
        else:
            lines = [f"All {len(both):,} verdicts that folders share are the same in them."]
        if lost:
            are = "comparison is" if len(lost) == 1 else "comparisons are"
            lines.append(f"{len(lost):,} {are} judged in one folder and not in another ({self._kinds_of(lost)}).")
        return lines

    def _kinds_of(self, rows: Sequence[SideBySide]) -> str:
        """Return the folders' names and how many rows have which verdicts in them, the most frequent first.

        Those that a verdict of worse is missing from come before all others.
        """
        counts = Counter(transition(row, len(self.folders)) for row in rows)
        kinds = sorted(counts.items(), key=lambda each: (not _loses_worse(each[0]), -each[1]))
        named = [f"{kind} in {count}" for kind, count in kinds[:_LISTED]]
        named += [f"and {len(kinds) - _LISTED} other changes"] if len(kinds) > _LISTED else []
        return f"{' → '.join(self.labels)}: {'; '.join(named)}"


def compare_folders(
    labels: Sequence[str], results: Sequence[Results], dates: Sequence[Mapping[str, str]] | None = None
) -> Comparison:
    """Compare the results of several folders.

    Args:
        labels: of the folders; all different.
        results: of the folders; differences are from the first one.
        dates: of each folder, by what happened; see `dates_of`.

    Raises:
        InputError: fewer than two folders, or two with the same label.

    Example:
        >>> import evenhand, polars as pl
        >>> table = {"y": [0, 1] * 40, "guess": [0, 1, 1, 1] * 20, "sex": ["f", "m", "m", "f"] * 20}
        >>> columns = {"label": "y", "prediction": "guess", "groups": "sex"}
        >>> may = evenhand.audit(pl.DataFrame(table), **columns)
        >>> june = evenhand.audit(pl.DataFrame({**table, "guess": [0, 1] * 40}), **columns)
        >>> compare_folders(["may", "june"], [may, june]).labels
        ['may', 'june']
    """
    folders = align_folders(labels, results, dates)
    pairs, not_paired = paired_comparisons(folders)
    return Comparison(
        folders,
        compare_facts(folders),
        verdicts_side_by_side(folders),
        estimates_side_by_side(folders),
        pairs,
        not_paired,
    )


def transition(row: SideBySide, folders: int) -> str:
    """Return the verdicts of a row from folder to folder: `worse → not judged`; `·` where one has no such row."""
    words = dict.fromkeys(row.cells, NOT_JUDGED) | row.verdicts
    return " → ".join(words.get(index, "·") for index in range(folders))


def _loses_worse(words: str) -> bool:
    return NOT_JUDGED in words and "worse" in words.replace("not worse", "")


def _outcome(pair: Pair) -> str:
    """Return the counts of a paired comparison's verdicts in a sentence, with the names of those that are worse."""
    judged = claims(pair.verdicts).drop_nulls(["verdict", "contrast"])
    worse = judged.filter(verdict="worse")
    named = [f"{measure_in_place(row)}, {place(row)}" for row in worse.head(_NAMED).iter_rows(named=True)]
    named += [f"and {len(worse) - _NAMED} more"] if len(worse) > _NAMED else []
    seeds = f"{len(pair.seeds)} seeds" if len(pair.seeds) > 1 else "one run each"
    margins = "" if pair.margins else "; without margins, since the folders declare different ones"
    outcome = tally(judged, f" ({'; '.join(named)})" if named else "") if len(judged) else "nothing could be compared"
    return (
        f"{pair.method} of {pair.label} against that of {pair.reference}, tested on the same {pair.examples:,} "
        f"examples ({seeds}{margins}): {outcome}."
    )


def _pair_to_json(pair: Pair) -> dict[str, Any]:
    named = {name: getattr(pair, name) for name in ("setting", "method", "label", "reference", "examples", "margins")}
    return {
        **named,
        "seeds": list(pair.seeds),
        "verdicts": [_finite(row) for row in pair.verdicts.iter_rows(named=True)],
    }


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }
