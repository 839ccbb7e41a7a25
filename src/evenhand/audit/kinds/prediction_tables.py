"""Predictions as arrays: each run's predicted classes and probabilities of each audited split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import NOT_AUDITED, Evaluation, Population, Run, groups_of, unit_codes, unit_names
from evenhand.audit.kinds.predictions import PredictionReading
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
    final = predictions.filter(pl.col("step").is_null() & ~pl.col("split").is_in(NOT_AUDITED))
    for setting, setting_design in design.settings.items():
        own = examples.filter(setting=setting)
        if own["label"].null_count() == len(own):
            continue
        own = own.with_row_index("row")
        population = Population(
            own["label"].fill_null(-1).to_numpy(),
            own["weight"].to_numpy(),
            unit_codes(own),
            groups_of(own),
            unit_names(own),
        )
        uses = studied.filter(setting=setting)
        here = final.filter(pl.col("trial").is_in(uses["trial"].unique().to_list()))
        placed = here.join(own.select("row", "example"), on="example", how="left")
        placed = _known(setting, placed)
        splits = sorted(placed["split"].unique().to_list(), key=lambda name: (name != "test", name))
        classes = _classes(setting_design, population, placed)
        for split in splits:
            yield _evaluation(setting, split, setting_design, population, uses, placed, classes)


def readings(
    examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design
) -> Iterator[PredictionReading]:
    """The readings of all settings and audited splits. Args, Raises: `evaluations`."""
    for evaluation in evaluations(examples, trials, predictions, design):
        yield PredictionReading(evaluation, design)


def _known(setting: str, placed: pl.DataFrame) -> pl.DataFrame:
    """The predictions of the setting's own examples. A trial that several settings use may have test sets of theirs:
    those splits are left out here. A split of which only a part is known is refused.
    """
    known = placed.filter(pl.col("row").is_not_null())
    lost = placed.filter(pl.col("row").is_null())
    mixed = lost.filter(pl.col("split").is_in(known["split"].unique().to_list())) if len(known) else lost
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
    uses: pl.DataFrame,
    placed: pl.DataFrame,
    classes: tuple[str, ...],
) -> Evaluation:
    labelled = population.label >= 0
    own = placed.filter(split=split)
    samples: dict[bytes, np.ndarray] = {}
    found = {
        str(key[0]): _run(part, labelled, len(classes), samples)
        for key, part in own.partition_by("trial", as_dict=True).items()
    }
    left = by_run(uses, design.methods, found, "there are no predictions")
    universe = np.zeros(len(labelled), dtype=bool)
    if split == "test":  # all that is not another test set's own, so that a group that was never drawn is still shown
        elsewhere = placed.filter(pl.col("split") != "test")["row"].to_numpy()
        universe[:] = True
        universe[elsewhere] = False
    universe[own["row"].to_numpy()] = True
    return Evaluation(setting, split, design, population, left.methods, classes, left.present, left.absent, universe)


def _run(part: pl.DataFrame, labelled: np.ndarray, classes: int, samples: dict[bytes, np.ndarray]) -> Run:
    """A trial's predictions; its rows are those of an earlier one on the same examples, which `samples` remembers."""
    part = part.sort("row")
    rows = part["row"].to_numpy().astype(np.int64)
    keep = labelled[rows]
    rows = samples.setdefault(rows[keep].tobytes(), rows[keep])
    logits = None
    if part["logits"].null_count() == 0:
        logits = part["logits"].to_numpy().astype(np.float64)[keep, :classes]
    predicted = part["predicted"].fill_null(-1).to_numpy()[keep]
    if logits is None:
        return Run(rows, predicted, None)
    unknown = predicted < 0
    predicted = np.where(unknown, logits.argmax(axis=1), predicted)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Run(rows, predicted, shifted / shifted.sum(axis=1, keepdims=True))


def _classes(design: SettingDesign, population: Population, placed: pl.DataFrame) -> tuple[str, ...]:
    if design.classes:
        return design.classes
    highest = [int(population.label.max()), 1]
    if placed["predicted"].null_count() < len(placed):
        highest.append(int(placed["predicted"].max()))  # pyright: ignore[reportArgumentType]
    if placed["logits"].null_count() < len(placed):
        highest.append(placed.schema["logits"].shape[0] - 1)  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(str(code) for code in range(max(highest) + 1))
