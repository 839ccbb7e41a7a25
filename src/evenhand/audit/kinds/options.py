"""From options to estimates and verdicts, in one pass, as `evenhand.audit.tables` does with predictions.

Rows are about one question (`condition`: its template, form and words), about all questions of a kind where several
were asked (`condition`: `cloze`, `yes_no` or `multiple_choice`), or about all of them (`condition` null). `correction`
is null for what the model said, `permutation`, `PriDe` or `contextual calibration` for what is left of it without its
preference for identifiers and positions. Every review counts once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.across_settings import Compared, across_settings
from evenhand.audit.comparisons import Contrast
from evenhand.audit.design import AskedDesign, Design
from evenhand.audit.kinds.estimands import Case
from evenhand.audit.kinds.option_quantities import CONTEXTUAL, PERMUTATION, PRIDE, Answers, Key, Taken, answers_taken
from evenhand.audit.kinds.question_means import Mean, compared_means, mean_of
from evenhand.audit.measures import Measure, select
from evenhand.audit.trial_records import gaps, left_by, seeds_of, shared_seeds
from evenhand.audit.verdicts import judged, pairs, pooled_later
from evenhand.errors import InputError
from evenhand.records.prompts import CONTENT_FREE

SIGNED = {"distance_from_equal": "guess_lean", "content_effect": "content_log_odds"}
"""Measures that are the distance from 0 of another, which has a sign."""

LEVEL = 0.95


@dataclass(frozen=True)
class Place:
    """Where a measure of options is taken.

    Attributes:
        condition: see the module.
        questions: which it is the mean over.
        correction: what was done to the answers.
    """

    condition: str | None
    questions: tuple[str, ...]
    correction: str | None


@dataclass(frozen=True, eq=False)
class Asking:
    """One setting's answers.

    Attributes:
        setting: its name.
        design: what was asked of what.
        methods: in the reader's order.
        references: who the others are compared with.
        answers: by method and seed.
        absent: why a (method, seed) has none.
        unit: int, by example, its resampling unit.
        vary: whether there is a new split per seed.
    """

    setting: str
    design: AskedDesign
    methods: tuple[str, ...]
    references: tuple[str, ...]
    answers: Mapping[tuple[str, int], Answers]
    absent: Mapping[tuple[str, int], str]
    unit: Mapping[str, int]
    vary: bool

    def units(self, answers: Answers) -> np.ndarray:
        """int [n], the resampling unit of each review."""
        return np.array([self.unit[example] for example in answers.examples], dtype=np.int64)

    def seeds(self, method: str) -> list[int]:
        """The seeds that a method was run with, failed ones included."""
        return seeds_of(method, self.answers, self.absent)

    def places(self, measure: str) -> list[Place]:
        """Where the measure is taken: everywhere together, by kind, by question; raw, then corrected."""
        of = SIGNED.get(measure, measure)
        kinds: dict[str, str] = {}
        having: dict[str | None, dict[str, None]] = {}
        for answers in self.answers.values():
            kinds |= answers.kinds
            for key in answers.taken:
                if key.measure == of:
                    having.setdefault(key.correction, {})[key.question] = None
        several = len(set(kinds.values())) > 1
        found = []
        for correction in (None, PERMUTATION, PRIDE, CONTEXTUAL):
            questions = tuple(having.get(correction, ()))
            if not questions:
                continue
            if correction is None or not several:
                found.append(Place(None, questions, correction))
            if several:
                for kind in dict.fromkeys(kinds[name] for name in questions):
                    own = tuple(name for name in questions if kinds[name] == kind)
                    found.append(Place(kind, own, correction))
            found += [Place(name, (name,), correction) for name in questions]
        return found


def asked(
    examples: pl.DataFrame, trials: pl.DataFrame, options: pl.DataFrame, design: Design
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What options say, as rows of the tables `estimates` and `verdicts`.

    Intervals are two-way, by review and seed, and where a row is about several questions these cluster, too
    (`stats.questions`). What any design of prompts confounds is shown and not judged. What is pooled over settings is
    about all questions, as they were answered.

    Args:
        examples, trials, options: the tables. Only final options (`step` null) of trials of the role `study` count.
        design: who is compared with whom; its settings of the kind `reviews` are audited.

    Raises:
        InputError: an unknown measure, options of examples that are not in the table, prompts without a name, or
            answers that lack reviews.
    """
    measures = select(design.measures, "options")
    estimates: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    everywhere: list[Compared] = []
    for asking in _askings(examples, trials, options, design):
        found: list[Compared] = []
        for measure in measures:
            for place in asking.places(measure.name):
                estimates += _estimates(asking, measure, place, design)
                if measure.direction:
                    found += _compared(asking, measure, place, design)
        verdicts += [row for family in judged(found, design) for row in family.rows()]
        # Of several settings what all questions say together is pooled, as it was answered.
        overall = [one for one in found if one.case.condition is None and one.case.correction is None]
        everywhere += pooled_later(overall, design)
    verdicts += across_settings(everywhere, examples, design)
    return records.from_rows(estimates, "estimates"), records.from_rows(verdicts, "verdicts")


def _askings(examples: pl.DataFrame, trials: pl.DataFrame, options: pl.DataFrame, design: Design) -> Iterator[Asking]:
    final = options.filter(pl.col("step").is_null())
    for setting, own in design.settings.items():
        if own.kind != "reviews":
            continue
        rows = examples.filter(setting=setting)
        # The codes that contrasts of several settings are matched by follow the names of units.
        codes = rows["unit"].rank("dense").cast(pl.Int64) - 1
        unit = dict(zip(rows["example"], codes, strict=True))
        uses = trials.filter(setting=setting, role="study")
        here = final.filter(pl.col("trial").is_in(uses["trial"].unique().to_list()))
        lost = here.filter(~pl.col("example").is_in(list(unit)), ~pl.col("example").str.starts_with(CONTENT_FREE))
        if len(lost):
            raise InputError(
                f"setting {setting}: {len(lost)} options are of examples that the table examples lacks, such as "
                f"{lost['example'][0]!r}"
            )
        how = own.asked or AskedDesign()
        authors, parts = _authors(rows, how), here.partition_by("trial", as_dict=True)
        known = {str(key[0]): answers_taken(part, how, authors) for key, part in parts.items()}
        left = left_by(uses, own.methods, known, "there are no options")
        if left.found:
            yield Asking(setting, how, left.methods, own.references, left.found, left.absent, unit, own.vary)


def _authors(examples: pl.DataFrame, design: AskedDesign) -> dict[str, str]:
    """By review, which of the two contents its author is: the first attribute that has both as groups says it. Reviews
    of neither or of both, and all where there is no such attribute, are left out."""
    for name in examples.columns:
        if not name.startswith(records.ATTRIBUTE):
            continue
        groups = examples[name].drop_nulls().explode().drop_nulls()
        if set(design.contents) <= set(groups):
            found = {}
            for example, own in zip(examples["example"], examples[name], strict=True):
                named = [content for content in design.contents if own is not None and content in own]
                if len(named) == 1:
                    found[str(example)] = named[0]
            return found
    return {}


def _taken(answers: Answers, measure: str, place: Place) -> list[Taken]:
    """The measure in each question of a place; distances are made of what has a sign later."""
    of = SIGNED.get(measure, measure)
    n = len(answers.examples)
    missing = Taken(math.nan, np.zeros(n), np.zeros(n), reason="it was not asked")
    return [answers.taken.get(Key(of, name, place.correction), missing) for name in place.questions]


def _row(asking: Asking, measure: Measure, place: Place) -> dict[str, Any]:
    return {
        "setting": asking.setting,
        "split": asking.design.split,
        "measure": measure.name,
        "condition": place.condition,
        "correction": place.correction,
    }


def _estimates(asking: Asking, measure: Measure, place: Place, design: Design) -> Iterator[dict[str, Any]]:
    absolute = measure.name in SIGNED
    for method in asking.methods:
        base = {**_row(asking, measure, place), "method": method}
        seeds = asking.seeds(method)
        runs = {seed: asking.answers[method, seed] for seed in seeds if (method, seed) in asking.answers}
        taken = {seed: _taken(answers, measure.name, place) for seed, answers in runs.items()}
        units = {seed: asking.units(answers) for seed, answers in runs.items()}
        for seed in runs:
            made = mean_of([taken[seed]], [units[seed]], absolute)
            yield {**base, "seed": seed, **_values(measure, made, len(units[seed]), [], design)}
        notes = gaps(method, seeds, asking.absent, "have no options")
        if len(runs) == 1:
            notes.append("one seed: the interval does not hold the noise of training")
        n = len({example for answers in runs.values() for example in answers.examples})
        made = mean_of([taken[seed] for seed in runs], [units[seed] for seed in runs], absolute)
        yield {**base, "seed": None, **_values(measure, made, n, notes, design)}


def _values(measure: Measure, made: Mean, n: int, notes: Sequence[str], design: Design) -> dict[str, Any]:
    notes = [*made.notes, *notes, *(note for note in [measure.note("everyone")] if note)]
    if n < design.support:
        notes.append(f"fewer than {design.support} reviews")
    row: dict[str, Any] = {"value": None, "low": None, "high": None, "n": n, "note": "; ".join(dict.fromkeys(notes))}
    row["note"] = row["note"] or None
    if made.interval is None:
        return row
    row["value"] = made.interval.estimate
    if math.isnan(made.interval.variance):
        return row
    low, high = measure.within(made.interval.bounds((1 - LEVEL) / 2))
    return {**row, "low": low, "high": high}


def _compared(asking: Asking, measure: Measure, place: Place, design: Design) -> Iterator[Compared]:
    case = Case(measure, None, None, "everyone", None, None, place.condition, place.correction)
    margin = measure.margin(design.margins)
    for method, reference in pairs(asking.methods, asking.references):
        made = _contrast(asking, measure, place, method, reference, design)
        yield Compared(asking.setting, asking.design.split, method, reference, case, margin, made)


def _contrast(asking: Asking, measure: Measure, place: Place, method: str, reference: str, design: Design) -> Contrast:
    """The measure of a method minus that of its reference, by seed on the reviews that both were asked about."""
    both, notes = shared_seeds(asking.seeds(method), asking.seeds(reference))
    ours, theirs, units = [], [], []
    for seed in both:
        pair = [asking.answers.get((name, seed)) for name in (method, reference)]
        if pair[0] is None or pair[1] is None:
            notes.append(f"seed {seed} has options of one method only")
        elif pair[0].examples != pair[1].examples:
            notes.append(f"at seed {seed} the methods were asked about different reviews")
        else:
            ours.append(_taken(pair[0], measure.name, place))
            theirs.append(_taken(pair[1], measure.name, place))
            units.append(asking.units(pair[0]))
    return compared_means(
        ours,
        theirs,
        units,
        sign=measure.direction,
        absolute=measure.name in SIGNED,
        planned=len(both),
        support=design.support,
        vary=asking.vary,
        notes=[*notes, *(note for note in [measure.note("everyone")] if note)],
    )
