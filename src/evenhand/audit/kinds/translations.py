"""The reading of generated translations: which gender their pronouns give, and how close they are to the references.

What a text says of its referent is read from its pronouns; the referent's stereotype is the attribute `stereotype` with
the groups `male` and `female`. References are read under each pronoun, so that none costs points.
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
from evenhand.metrics.translation import bleu_statistics, rouge_l

STEREOTYPE = "stereotype"
"""The attribute that says what is stereotypical of a text's referent."""

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
        own = examples.filter(setting=setting).with_row_index("row")
        uses = studied.filter(setting=setting)
        here = final.filter(pl.col("trial").is_in(uses["trial"].unique().to_list()))
        placed = here.join(own.select("row", "example"), on="example", how="left")
        lost = placed.filter(pl.col("row").is_null())
        if len(lost):
            raise InputError(
                f"setting {setting}: {len(lost)} responses are to examples that the table examples lacks, such as "
                f"{lost['example'][0]!r} in the split {lost['split'][0]}"
            )
        population = _population(setting, own)
        reading = _Reading(own, population.unit)
        for split in sorted(placed["split"].unique().to_list(), key=lambda name: (name != "test", name)):
            yield _evaluation(setting, split, setting_design, population, uses, placed.filter(split=split), reading)


def _population(setting: str, own: pl.DataFrame) -> Population:
    groups = groups_of(own)
    return Population(
        _stereotypes(setting, len(own), groups),
        own["weight"].to_numpy(),
        unit_codes(own),
        groups,
        unit_names(own),
    )


def _stereotypes(setting: str, count: int, groups: tuple[Groups, ...]) -> np.ndarray:
    """int [n], codes of `GENDERS`; −1 where nothing is stereotypical."""
    found = np.full(count, -1, dtype=np.int64)
    for own in groups:
        if own.attribute == STEREOTYPE:
            for place, name in enumerate(own.names):
                if name not in ("male", "female"):
                    hint = did_you_mean(name, ["male", "female"])
                    raise InputError(f"setting {setting}: the attribute {STEREOTYPE} has the group {name!r}; {hint}")
                found[own.masks[:, place]] = GENDERS.index(name)
    return found


class _Reading:
    """What texts say, each read once however many runs wrote it."""

    def __init__(self, examples: pl.DataFrame, unit: np.ndarray) -> None:
        known = "references" in examples.columns
        self._given: Sequence[list[str] | None] = examples["references"].to_list() if known else [None] * len(examples)
        self._unit = unit
        self._readings: dict[int, list[str]] = {}
        self._scores: dict[tuple[int, str], tuple[np.ndarray, float]] = {}

    def texts(self, rows: np.ndarray, said: list[str]) -> Texts:
        """The scores of what was said of the examples at these positions."""
        unit = self._unit[rows]
        if any(not self._given[int(row)] for row in rows):
            return Texts(None, None, unit, NO_REFERENCES)
        keys = [(int(row), text) for row, text in zip(rows, said, strict=True)]
        try:
            self._score([key for key in dict.fromkeys(keys) if key not in self._scores])
        except InputError as error:
            return Texts(None, None, unit, str(error))
        found = [self._scores[key] for key in keys]
        bleu = np.stack([each for each, _ in found]) if found else np.empty((0, 10), dtype=np.int64)
        return Texts(bleu, np.array([each for _, each in found]), unit)

    def _score(self, keys: list[tuple[int, str]]) -> None:
        said, references = [text for _, text in keys], [self._references(row) for row, _ in keys]
        both = zip(bleu_statistics(said, references), rouge_l(said, references), strict=True)
        self._scores |= {key: (counts, float(share)) for key, (counts, share) in zip(keys, both, strict=True)}

    def _references(self, row: int) -> list[str]:
        """The example's references under each pronoun."""
        if row not in self._readings:
            given = self._given[row] or []
            self._readings[row] = list(dict.fromkeys(text for one in given for text in pronoun_readings(one)))
        return self._readings[row]


def _evaluation(
    setting: str,
    split: str,
    design: SettingDesign,
    population: Population,
    uses: pl.DataFrame,
    own: pl.DataFrame,
    reading: _Reading,
) -> Evaluation:
    samples: dict[bytes, np.ndarray] = {}
    parts = own.partition_by("trial", as_dict=True)
    known = {str(key[0]): _run(part, reading, samples) for key, part in parts.items()}
    left = by_run(uses, design.methods, known, "there are no responses")
    universe = np.zeros(len(population.label), dtype=bool)
    universe[own["row"].to_numpy()] = True
    return Evaluation(setting, split, design, population, left.methods, GENDERS, left.present, left.absent, universe)


def _run(part: pl.DataFrame, reading: _Reading, samples: dict[bytes, np.ndarray]) -> Run:
    part = part.sort("row")
    rows = part["row"].to_numpy().astype(np.int64)
    rows = samples.setdefault(rows.tobytes(), rows)
    said = part["text"].to_list()
    classes = np.array([GENDERS.index(pronoun_class(text)) for text in said], dtype=np.int64)
    return Run(rows, classes, None, reading.texts(rows, said))
