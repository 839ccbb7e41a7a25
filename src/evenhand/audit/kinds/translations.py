"""Estimates and compares translations: the gender of their pronouns, and how close they are to the references.

The gender of a text's referent is read from its pronouns; the referent's stereotype is the attribute `stereotype` with
the groups `male` and `female`. References are varied over all pronouns, so that no pronoun costs points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from evenhand.audit.arrays.texts import Texts
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import (
    NOT_AUDITED,
    Evaluation,
    Groups,
    Population,
    Run,
    groups_of,
    unit_codes,
    unit_names,
)
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.measures.translations import GENDERS
from evenhand.audit.trial_records import by_run
from evenhand.errors import InputError, did_you_mean
from evenhand.metrics.pronouns import pronoun_class, pronoun_readings
from evenhand.metrics.text_quality import bleu_statistics, rouge_l

STEREOTYPE = "stereotype"
"""The attribute that holds the stereotypical gender of a text's referent."""

NO_REFERENCES = "some tested texts have no references"


def readings(
    examples: pl.DataFrame, trials: pl.DataFrame, responses: pl.DataFrame, design: Design
) -> Iterator[PredictionReading]:
    """The readings of all settings and splits. Args, Raises: `evaluations`."""
    for evaluation in evaluations(examples, trials, responses, design):
        yield PredictionReading(evaluation, design, "translations")


def evaluations(
    examples: pl.DataFrame, trials: pl.DataFrame, responses: pl.DataFrame, design: Design
) -> Iterator[Evaluation]:
    """One `Evaluation` per setting of translations and audited split, in which labels and classes are genders.

    Intervals and verdicts are those of predictions: two-way over units and runs, units resampled whole. Corpus BLEU,
    which is no mean, has the jackknife's influence of each unit.

    Args:
        examples, trials, responses: the tables. Only final responses (`step` null) of trials of the role `study` count.
        design: who is compared with whom; its settings of the kind `translation` are audited.

    Raises:
        InputError: responses to examples that are not in the table.
    """
    studied = trials.filter(role="study")
    final = responses.filter(pl.col("step").is_null() & ~pl.col("split").is_in(NOT_AUDITED))
    for setting, setting_design in design.settings.items():
        if setting_design.kind != "translation":
            continue
        setting_examples = examples.filter(setting=setting).with_row_index("row")
        setting_trials = studied.filter(setting=setting)
        setting_responses = final.filter(pl.col("trial").is_in(setting_trials["trial"].unique().to_list()))
        placed = setting_responses.join(setting_examples.select("row", "example"), on="example", how="left")
        unknown = placed.filter(pl.col("row").is_null())
        if len(unknown):
            raise InputError(
                f"setting {setting}: {len(unknown)} responses are to examples that the table examples lacks, such as "
                f"{unknown['example'][0]!r} in the split {unknown['split'][0]}"
            )
        population = _population(setting, setting_examples)
        scorer = _TextScorer(setting_examples, population.unit)
        for split in sorted(placed["split"].unique().to_list(), key=lambda name: (name != "test", name)):
            yield _evaluation(
                setting, split, setting_design, population, setting_trials, placed.filter(split=split), scorer
            )


def _population(setting: str, examples: pl.DataFrame) -> Population:
    """A setting's examples, whose labels are the stereotypical genders."""
    groups = groups_of(examples)
    return Population(
        _stereotypes(setting, len(examples), groups),
        examples["weight"].to_numpy(),
        unit_codes(examples),
        groups,
        unit_names(examples),
    )


def _stereotypes(setting: str, count: int, groups: tuple[Groups, ...]) -> np.ndarray:
    """The stereotypical gender of each text's referent, int [n], codes of `GENDERS`; −1 where there is none."""
    stereotypes = np.full(count, -1, dtype=np.int64)
    for attribute_groups in groups:
        if attribute_groups.attribute == STEREOTYPE:
            for index, name in enumerate(attribute_groups.names):
                if name not in ("male", "female"):
                    hint = did_you_mean(name, ["male", "female"])
                    raise InputError(f"setting {setting}: the attribute {STEREOTYPE} has the group {name!r}; {hint}")
                stereotypes[attribute_groups.masks[:, index]] = GENDERS.index(name)
    return stereotypes


class _TextScorer:
    """Scores generated texts against the references; a text that several runs generated is scored once."""

    def __init__(self, examples: pl.DataFrame, unit: np.ndarray) -> None:
        known = "references" in examples.columns
        self._given: Sequence[list[str] | None] = examples["references"].to_list() if known else [None] * len(examples)
        self._unit = unit
        self._readings: dict[int, list[str]] = {}
        self._scores: dict[tuple[int, str], tuple[np.ndarray, float]] = {}

    def texts(self, rows: np.ndarray, texts: list[str]) -> Texts:
        """The scores of texts that translate the examples at these positions."""
        unit = self._unit[rows]
        if any(not self._given[int(row)] for row in rows):
            return Texts(None, None, unit, NO_REFERENCES)
        keys = [(int(row), text) for row, text in zip(rows, texts, strict=True)]
        try:
            self._score([key for key in dict.fromkeys(keys) if key not in self._scores])
        except InputError as error:
            return Texts(None, None, unit, str(error))
        scores = [self._scores[key] for key in keys]
        bleu = np.stack([each for each, _ in scores]) if scores else np.empty((0, 10), dtype=np.int64)
        references = [self._references(int(row)) for row in rows]
        return Texts(bleu, np.array([each for _, each in scores]), unit, None, texts, references)

    def _score(self, keys: list[tuple[int, str]]) -> None:
        """Score texts, given as (position of the example, text), and keep the scores."""
        texts, references = [text for _, text in keys], [self._references(row) for row, _ in keys]
        text_scores = zip(bleu_statistics(texts, references), rouge_l(texts, references), strict=True)
        self._scores |= {key: (counts, float(share)) for key, (counts, share) in zip(keys, text_scores, strict=True)}

    def _references(self, row: int) -> list[str]:
        """The example's references, each in its variants with other pronouns."""
        if row not in self._readings:
            references = self._given[row] or []
            self._readings[row] = list(
                dict.fromkeys(variant for reference in references for variant in pronoun_readings(reference))
            )
        return self._readings[row]


def _evaluation(
    setting: str,
    split: str,
    design: SettingDesign,
    population: Population,
    trials: pl.DataFrame,
    responses: pl.DataFrame,
    scorer: _TextScorer,
) -> Evaluation:
    samples: dict[bytes, np.ndarray] = {}
    parts = responses.partition_by("trial", as_dict=True)
    by_trial = {str(key[0]): _run(part, scorer, samples) for key, part in parts.items()}
    trial_records = by_run(trials, design.methods, by_trial, "there are no responses")
    universe = np.zeros(len(population.label), dtype=bool)
    universe[responses["row"].to_numpy()] = True
    return Evaluation(
        setting,
        split,
        design,
        population,
        trial_records.methods,
        GENDERS,
        trial_records.present,
        trial_records.absent,
        universe,
    )


def _run(responses: pl.DataFrame, scorer: _TextScorer, samples: dict[bytes, np.ndarray]) -> Run:
    responses = responses.sort("row")
    rows = responses["row"].to_numpy().astype(np.int64)
    rows = samples.setdefault(rows.tobytes(), rows)
    texts = responses["text"].to_list()
    classes = np.array([GENDERS.index(pronoun_class(text)) for text in texts], dtype=np.int64)
    return Run(rows, classes, None, scorer.texts(rows, texts))
