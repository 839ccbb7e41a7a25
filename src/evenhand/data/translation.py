"""Defines data sets for translation: sources, their English, and the parts of the data to train on.

A data set of translations is a `Dataset` whose inputs are the sources. Its labels only mark kinds of lines, so that
each part of a split gets its share of every kind. It adds the targets, and says which lines follow a stereotype, which
contradict it, and which are tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from evenhand.data.dataset import Dataset, DataSpec, pick
from evenhand.data.pairs import Pairs, TrainingPairs
from evenhand.errors import InputError, did_you_mean

StereotypePart = Literal["general", "pro", "anti"]
STEREOTYPE_PARTS: tuple[StereotypePart, ...] = get_args(StereotypePart)

PROMPT = "Turkish: {source} English:"
"""The prompt of a translation; a space and the translation follow (Ding et al. 2024)."""


@dataclass(frozen=True, eq=False)
class Translations(Pairs):
    """The lines of a data set of translations.

    Attributes:
        inputs, targets: [n] sources, and English.
        labels, classes: kinds of lines, by which splits are stratified; no model learns them.
        attributes: `stereotype`, with the groups `male` and `female`, if the referent's occupation has a stereotype.
        part: object [n], `pro` or `anti` if a line follows or contradicts a stereotype, else None.
        part_inputs: [n] sources in the versions of the parts `pro` and `anti`; empty: as `inputs`.
        asked: bool [n], the lines that are translated and scored if they are in the test part.
        about: object [n], the occupation of the line's referent; empty: unknown.
    """

    part: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))
    part_inputs: Sequence[str] = field(default=(), repr=False)
    asked: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    about: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))

    def take(self, index: np.ndarray) -> Translations:
        """Return the lines at these positions, in this order."""
        taken = super().take(index)
        assert isinstance(taken, Translations)
        return replace(
            taken,
            part=self.part[index],
            part_inputs=pick(list(self.part_inputs), index) if self.part_inputs else (),
            asked=self.asked[index],
            about=self.about[index] if self.about.size else self.about,
        )


class TranslationSpec(DataSpec):
    """Base class of translation tasks."""

    def tested(self, dataset: Dataset, index: np.ndarray) -> np.ndarray:
        """Return the positions of the lines that are translated in a test."""
        assert isinstance(dataset, Translations)
        return index[dataset.asked[index]]

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingPairs:
        """Return the lines to train on: `part: general` (all, the default), `pro` or `anti`.

        Args:
            dataset: what `load` of this spec returned.
            index: its training lines.
            options: `part`.
            seed: of the trial.

        Raises:
            InputError: an unknown option, an unknown part, or a part without lines.
        """
        assert isinstance(dataset, Translations)
        for key in options:
            if key != "part":
                raise InputError(f'data: {dataset.name} has no option "{key}"; {did_you_mean(str(key), ["part"])}')
        return training_pairs(dataset, index[in_part(dataset, index, options)], options)


def in_part(dataset: Translations, index: np.ndarray, options: Mapping[str, Any]) -> np.ndarray:
    """Return which of the lines at `index` belong to the part of the options, bool.

    Raises:
        InputError: there is no such part.
    """
    part = options.get("part", "general")
    if part not in STEREOTYPE_PARTS:
        raise InputError(f'data: {dataset.name} has no part "{part}"; {did_you_mean(str(part), STEREOTYPE_PARTS)}')
    return np.ones(len(index), dtype=bool) if part == "general" else dataset.part[index] == part


def training_pairs(dataset: Translations, index: np.ndarray, options: Mapping[str, Any]) -> TrainingPairs:
    """Return the lines at `index` with the sources in the version of the part in `options`.

    Raises:
        InputError: there are none.
    """
    part = options.get("part", "general")
    if not len(index):
        raise InputError(f"data: no training line of {dataset.name} is of the part {part}; use more lines")
    sources = dataset.inputs if part == "general" or not dataset.part_inputs else dataset.part_inputs
    return TrainingPairs(
        [sources[int(line)] for line in index],
        np.zeros(len(index), dtype=np.int64),
        [dataset.targets[int(line)] for line in index],
    )
