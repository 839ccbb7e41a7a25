"""The table `probes` as estimates per layer, with intervals.

Selectivity has two sources of chance besides the model: the examples, and the labels that control tasks happened to
draw. Control tasks stand where runs stand elsewhere (`stats/contrast.py`), as templates do in `audit/options.py`:
two-way clustered variance, with the few control tasks' degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.audit.options import mean_interval
from evenhand.errors import InputError
from evenhand.metrics.probing import selectivity_by_example
from evenhand.stats.contrast import TwoWay


@dataclass(frozen=True, eq=False)
class Probed:
    """One label in one layer of one model.

    Attributes:
        target: the label's name.
        layer: 0 are the embeddings.
        examples: ids [n].
        correct: bool [n].
        control: bool [S, n].
    """

    target: str
    layer: int
    examples: tuple[str, ...]
    correct: np.ndarray
    control: np.ndarray

    def accuracy(self, unit: np.ndarray | None = None) -> TwoWay:
        """Of the label. `unit`: int [n], clusters of examples."""
        return mean_interval(self.correct[None].astype(float), unit)

    def control_accuracy(self, unit: np.ndarray | None = None) -> TwoWay:
        """Of the control tasks."""
        return mean_interval(self.control.astype(float), unit)

    def selectivity(self, unit: np.ndarray | None = None) -> TwoWay:
        """Accuracy minus control accuracy."""
        return mean_interval(selectivity_by_example(self.correct, self.control), unit)


def probed(probes: pl.DataFrame) -> list[Probed]:
    """Every label in every layer of one model.

    Args:
        probes: rows of one trial.

    Raises:
        InputError: rows of several trials; a label without control tasks, or a task that lacks examples.
    """
    if probes["trial"].n_unique() > 1:
        raise InputError(f"probes of {probes['trial'].n_unique()} trials; estimates are of one")
    found = []
    for (target, layer), rows in probes.group_by("target", "layer", maintain_order=True):
        tasks = {
            control: part.sort("example") for (control,), part in rows.group_by("control_seed", maintain_order=True)
        }
        real = tasks.pop(None, None)
        if real is None or not tasks:
            raise InputError(f"target {target}, layer {layer}: it should have the label itself and its control tasks")
        examples = real["example"].to_list()
        if any(part["example"].to_list() != examples for part in tasks.values()):
            raise InputError(f"target {target}, layer {layer}: not every control task has the same examples")
        control = np.stack([part["correct"].to_numpy() for part in tasks.values()])
        found.append(Probed(str(target), int(str(layer)), tuple(examples), real["correct"].to_numpy(), control))
    return found


def selectivity_contrast(method: Probed, reference: Probed, unit: np.ndarray | None = None) -> TwoWay:
    """Selectivity of a method minus that of its reference, example by example and control task by control task.

    Raises:
        InputError: other examples or another number of control tasks.
    """
    if method.examples != reference.examples or method.control.shape != reference.control.shape:
        raise InputError(
            f"target {method.target}, layer {method.layer}: a contrast needs the same examples and control tasks"
        )
    one, other = (selectivity_by_example(side.correct, side.control) for side in (method, reference))
    return mean_interval(one - other, unit)
