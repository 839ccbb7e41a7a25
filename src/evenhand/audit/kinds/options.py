"""Estimates gender preferences from answers to cloze, yes/no and multiple-choice prompts.

Rows are about one question (`condition`: its template, form and words), about all questions of a kind where several
were asked (`condition`: `cloze`, `yes_no` or `multiple_choice`), or about all of them (`condition` null). `correction`
is null for the model's answers as they are, and `permutation`, `PriDe` or `contextual calibration` for the answers
corrected for its preference for identifiers and positions. Every review counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.arrays.option_questions import AnsweredQuestions, answered_questions
from evenhand.audit.design import AskedDesign, Design
from evenhand.audit.estimands import Estimand
from evenhand.audit.evaluation import unit_codes, unit_names
from evenhand.audit.kinds.items import ItemReading
from evenhand.audit.measures import Kind, Measure
from evenhand.audit.measures.option_quantities import CORRECTIONS
from evenhand.audit.trial_records import by_run
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.errors import InputError
from evenhand.records.prompts import CONTENT_FREE

NOT_ASKED = "it was not asked"


@dataclass(frozen=True, eq=False)
class OptionReading(ItemReading[AnsweredQuestions]):
    """One setting's answers; items are questions.

    Attributes:
        unit: int, by review, the code of its resampling unit.
    """

    unit: Mapping[str, int]

    kind: Kind = field(default="options", init=False)
    examples: ClassVar[str] = "reviews"
    missing: ClassVar[str] = "have no options"
    one_method: ClassVar[str] = "has options of one method only"
    other_sample: ClassVar[str] = "were asked about different reviews"

    def estimands(self, measure: Measure) -> Iterator[Estimand]:
        """By correction: all questions together, by kind, by question."""
        kinds: dict[str, str] = {}
        asked: dict[str | None, dict[str, None]] = {}
        for sample in self.samples.values():
            kinds |= {name: question.kind for name, question in sample.questions.items()}
            for name, estimates in sample.quantity(measure.influence).items():
                for correction in estimates:
                    asked.setdefault(correction, {})[name] = None
        several = len(set(kinds.values())) > 1
        for correction in CORRECTIONS:
            questions = tuple(asked.get(correction, ()))
            if not questions:
                continue
            if correction is None or not several:
                yield Estimand(measure, correction=correction)
            if several:
                for kind in dict.fromkeys(kinds[name] for name in questions):
                    yield Estimand(measure, condition=kind, correction=correction, family="kind of question")
            for name in questions:
                yield Estimand(measure, condition=name, correction=correction, family="question")

    def items(self, sample: AnsweredQuestions, estimand: Estimand) -> Sequence[LinearEstimate]:
        """The measure in each question that the estimand is about."""
        missing = LinearEstimate.undefined(NOT_ASKED, len(sample.examples))
        by_question = sample.quantity(estimand.measure.influence)
        return [by_question.get(name, {}).get(estimand.correction, missing) for name in self._questions(estimand)]

    def units(self, sample: AnsweredQuestions, estimand: Estimand) -> np.ndarray:
        """int [n], the code of each review's resampling unit."""
        return np.array([self.unit[example] for example in sample.examples], dtype=np.int64)

    def sampled(self, sample: AnsweredQuestions, estimand: Estimand) -> Sequence[str]:
        """The reviews."""
        return sample.examples

    def pooled(self, contrasts: Sequence[SettingContrast]) -> Iterator[SettingContrast]:
        """The contrasts over all questions together, without correction."""
        for contrast in super().pooled(contrasts):
            estimand = contrast.comparison.estimand
            if estimand.condition is None and estimand.correction is None:
                yield contrast

    def _questions(self, estimand: Estimand) -> list[str]:
        """The questions that an estimand is the mean over."""
        asked: dict[str, None] = {}
        for sample in self.samples.values():
            for name, estimates in sample.quantity(estimand.measure.influence).items():
                kind = sample.questions[name].kind
                if estimand.correction in estimates and estimand.condition in (None, name, kind):
                    asked[name] = None
        return list(asked)


def readings(
    examples: pl.DataFrame, trials: pl.DataFrame, options: pl.DataFrame, design: Design
) -> Iterator[OptionReading]:
    """The reading of each setting that has options: of the kind `reviews`, or with prompts of its own.

    Intervals are two-way, by review and seed, and where a row is about several questions these cluster, too
    (`stats.questions`). What any design of prompts confounds is shown and not judged.

    Args:
        examples, trials, options: the tables. Only final options (`step` null) of trials of the role `study` count.
        design: who is compared with whom.

    Raises:
        InputError: options of examples that are not in the table, prompts without a name, or answers that lack reviews.
    """
    final = options.filter(pl.col("step").is_null())
    for setting, setting_design in design.settings.items():
        if setting_design.kind != "reviews" and setting_design.asked is None:
            continue
        setting_examples = examples.filter(setting=setting)
        unit = dict(zip(setting_examples["example"], unit_codes(setting_examples), strict=True))
        setting_trials = trials.filter(setting=setting, role="study")
        setting_options = final.filter(pl.col("trial").is_in(setting_trials["trial"].unique().to_list()))
        unknown = setting_options.filter(
            ~pl.col("example").is_in(list(unit)), ~pl.col("example").str.starts_with(CONTENT_FREE)
        )
        if len(unknown):
            raise InputError(
                f"setting {setting}: {len(unknown)} options are of examples that the table examples lacks, such as "
                f"{unknown['example'][0]!r}"
            )
        asked = setting_design.asked or AskedDesign()
        authors, parts = _authors(setting_examples, asked), setting_options.partition_by("trial", as_dict=True)
        by_trial = {str(key[0]): answered_questions(part, asked, authors) for key, part in parts.items()}
        runs = by_run(setting_trials, setting_design.methods, by_trial, "there are no options")
        if runs.present:
            common = (
                runs.methods,
                setting_design.references,
                runs.present,
                runs.absent,
                setting_design.vary,
                design.support,
            )
            yield OptionReading(setting, asked.split, *common, unit_names(setting_examples), unit)


def _authors(examples: pl.DataFrame, design: AskedDesign) -> dict[str, str]:
    """The content (of two) that describes each review's author, by the first attribute that has both as groups.

    Reviews of neither or of both are left out, and all reviews where there is no such attribute.
    """
    for name in examples.columns:
        if not name.startswith(records.ATTRIBUTE):
            continue
        groups = examples[name].drop_nulls().explode().drop_nulls()
        if set(design.contents) <= set(groups):
            authors = {}
            for example, groups_of_example in zip(examples["example"], examples[name], strict=True):
                named = [
                    content
                    for content in design.contents
                    if groups_of_example is not None and content in groups_of_example
                ]
                if len(named) == 1:
                    authors[str(example)] = named[0]
            return authors
    return {}
