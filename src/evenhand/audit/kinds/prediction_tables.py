"""Makes the audit's arrays (`Evaluation`) from the tables of predictions, for each setting and audited split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import NOT_AUDITED, Evaluation, Population, Run, groups_of, unit_codes, unit_names
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.kinds.run_pairs import run_pair_readings
from evenhand.audit.trial_records import by_run
from evenhand.errors import InputError, did_you_mean


def evaluations(
    examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design
) -> Iterator[Evaluation]:
    """One `Evaluation` per setting and audited split, in the order of the design.

    Only trials of the role `study` and final predictions (`step` null) are used. `train` and `validation` are not
    audited; settings without labels have nothing to audit here.

    Raises:
        InputError: a setting that the design does not know, or predictions of examples that are not in the table.
    """
    studied = trials.filter(role="study")
    for setting in studied["setting"].unique(maintain_order=True):
        if setting not in design.settings:
            raise InputError(f'the design has no setting "{setting}"; {did_you_mean(setting, design.settings)}')
    for setting in design.settings:
        yield from _evaluations_of(setting, examples, studied, predictions, design)


def _evaluations_of(
    setting: str, examples: pl.DataFrame, studied: pl.DataFrame, predictions: pl.DataFrame, design: Design
) -> list[Evaluation]:
    """The evaluations of one setting: a list, so that the tables they are made from are not kept while they are
    audited."""
    setting_examples = examples.filter(setting=setting)
    if setting_examples["label"].null_count() == len(setting_examples):
        return []
    setting_examples = setting_examples.with_row_index("row")
    codes, names = _units(setting_examples, pooled=len(design.settings) > 1)
    population = Population(
        setting_examples["label"].fill_null(-1).to_numpy(),
        setting_examples["weight"].to_numpy(),
        codes,
        groups_of(setting_examples),
        names,
    )
    setting_trials = studied.filter(setting=setting)
    final = predictions.filter(
        pl.col("step").is_null(),
        ~pl.col("split").is_in(NOT_AUDITED),
        pl.col("trial").is_in(setting_trials["trial"].unique().to_list()),
    ).drop("step")
    placed = final.join(setting_examples.select("row", "example"), on="example", how="left")
    placed = _known(setting, placed).drop("example")
    splits = sorted(placed["split"].unique().to_list(), key=lambda name: (name != "test", name))
    classes = _classes(design.settings[setting], population, placed)
    return [
        _evaluation(setting, split, design.settings[setting], population, setting_trials, placed, classes)
        for split in splits
    ]


def readings(
    examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design
) -> Iterator[PredictionReading]:
    """The readings of all settings and audited splits. Args, Raises: `evaluations`."""
    for evaluation in evaluations(examples, trials, predictions, design):
        yield PredictionReading(evaluation, design)
        yield from run_pair_readings(evaluation, design)


def _units(examples: pl.DataFrame, pooled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the resampling units, and their names, by which settings are matched that are pooled; else none.

    Without names nothing depends on the order of the codes, so that where each example is a unit of its own they are in
    the order of the examples: then nothing has to be sorted by them.
    """
    codes = unit_codes(examples)
    if not pooled and codes.max() + 1 == len(codes):
        codes = np.arange(len(codes))
    return codes, unit_names(examples) if pooled else np.empty(0, dtype=object)


def _known(setting: str, placed: pl.DataFrame) -> pl.DataFrame:
    """The predictions of the setting's own examples.

    A trial that several settings use may have their test sets, too: those splits are left out here. A split of which
    only a part is in the table of examples is refused.
    """
    if not placed["row"].null_count():
        return placed
    known = placed.filter(pl.col("row").is_not_null())
    unknown = placed.filter(pl.col("row").is_null())
    mixed = unknown.filter(pl.col("split").is_in(known["split"].unique().to_list())) if len(known) else unknown
    if len(mixed):
        raise InputError(
            f"setting {setting}: {len(mixed)} predictions are of examples that the table examples lacks, "
            f"such as {mixed['example'][0]!r} in the split {mixed['split'][0]}"
        )
    return known


def _evaluation(
    setting: str,
    split: str,
    design: SettingDesign,
    population: Population,
    trials: pl.DataFrame,
    placed: pl.DataFrame,
    classes: tuple[str, ...],
) -> Evaluation:
    labelled = population.label >= 0
    of_split = placed.filter(split=split).drop("split")
    samples: dict[bytes, np.ndarray] = {}
    by_trial = {
        str(key[0]): _run(part, labelled, len(classes), samples)
        for key, part in of_split.partition_by("trial", as_dict=True).items()
    }
    trial_records = by_run(trials, design.methods, by_trial, "there are no predictions")
    universe = np.zeros(len(labelled), dtype=bool)
    if split == "test":  # all that is not another test set's own, so that a group that was never drawn is still shown
        elsewhere = placed.filter(pl.col("split") != "test")["row"].to_numpy()
        universe[:] = True
        universe[elsewhere] = False
    universe[of_split["row"].to_numpy()] = True
    return Evaluation(
        setting,
        split,
        design,
        population,
        trial_records.methods,
        classes,
        trial_records.present,
        trial_records.absent,
        universe,
    )


def _run(predictions: pl.DataFrame, labelled: np.ndarray, classes: int, samples: dict[bytes, np.ndarray]) -> Run:
    """A trial's predictions; its rows are those of an earlier one on the same examples, which `samples` remembers."""
    predictions = predictions.sort("row")
    rows = predictions["row"].to_numpy().astype(np.int64)
    keep = slice(None) if labelled[rows].all() else labelled[rows]
    rows = samples.setdefault(rows[keep].tobytes(), rows[keep])
    predicted = predictions["predicted"].fill_null(-1).to_numpy()[keep]
    column = next((name for name in ("probabilities", "logits") if predictions[name].null_count() == 0), None)
    if column is None:
        return Run(rows, predicted, None)
    scores = predictions[column].to_numpy()[keep, :classes].astype(np.float64)
    predicted = np.where(predicted < 0, scores.argmax(axis=1), predicted)
    if column == "probabilities":
        return Run(rows, predicted, scores)
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return Run(rows, predicted, shifted / shifted.sum(axis=1, keepdims=True))


def _classes(design: SettingDesign, population: Population, placed: pl.DataFrame) -> tuple[str, ...]:
    """The names of the classes: the design's, else the codes up to the highest in labels, predictions and logits."""
    if design.classes:
        return design.classes
    highest = [int(population.label.max()), 1]
    if placed["predicted"].null_count() < len(placed):
        highest.append(int(placed["predicted"].max()))  # pyright: ignore[reportArgumentType]
    for column in ("logits", "probabilities"):
        if placed[column].null_count() < len(placed):
            highest.append(placed.schema[column].shape[0] - 1)  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(str(code) for code in range(max(highest) + 1))
