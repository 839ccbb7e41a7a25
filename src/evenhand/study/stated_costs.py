"""Plans studies whose data or base models are not on this machine from their stated sizes, without times."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evenhand.data.dataset import Dataset, DataSpec
from evenhand.data.stated import stated_data
from evenhand.errors import UnavailableError
from evenhand.models.find import BaseModel
from evenhand.models.stated import find_else_state_model, is_stated
from evenhand.study.arithmetic import memory_bytes
from evenhand.study.expansion import Trial
from evenhand.study.trial_cost import Cost, disk_bytes
from evenhand.study.trial_size import CHARACTERS_PER_TOKEN, SizeReader


class Sources:
    """Reads data and finds base models, or states those that are not to be had; remembers which.

    Attributes:
        sentences: what was stated, one sentence each.
    """

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def read(self, spec: DataSpec, folder: Path | None) -> Dataset:
        """Return a data set as it is read, or as it is stated. Raises InputError if it is neither."""
        try:
            return spec.load(folder)
        except UnavailableError as error:
            stated = stated_data(spec)
            if stated is None:
                raise
            self._say(f"Stated, not read: {stated.sentence}; group sizes and labels are unknown. {error}.")
            return stated.dataset

    def find(self, model: str) -> BaseModel:
        """Return a base model as `find_else_state_model` does."""
        base = find_else_state_model(model)
        if is_stated(base):
            self._say(f"Shape stated, not read, and {CHARACTERS_PER_TOKEN:g} characters taken as a token: {model}.")
        return base

    def _say(self, sentence: str) -> None:
        if sentence not in self.sentences:
            self.sentences.append(sentence)


def stated_costs(trials: Iterable[Trial]) -> dict[str, Cost | None]:
    """Return the memory, disk and parameters of trials by hash, calculated from their sizes; no times."""
    read = SizeReader()
    found: dict[str, Cost | None] = {}
    for trial in trials:
        size = read(trial)
        kept = trial.keep == "weights" or (trial.keep == "adapters" and not trial.spec.whole)
        weights = 4 * (size.shape.parameters if trial.spec.whole else size.shape.trained) if kept else 0
        found[trial.hash] = Cost(
            seconds=None,
            peak_bytes=round(memory_bytes(size)),
            disk_bytes=disk_bytes(trial, size.steps, weights),
            parameters=size.shape.trained,
            parameters_total=size.shape.parameters,
        )
    return found
