"""Turns the table `probes` into right/wrong arrays, per target and layer, of probes and control tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.errors import InputError


@dataclass(frozen=True, eq=False)
class ProbeRun:
    """The probes of one target in one layer of one model.

    Attributes:
        target: the label's name.
        layer: its number; 0 are the embeddings.
        examples: ids [n].
        correct: bool [n], whether the probe predicted the target correctly.
        control: bool [S, n], the same of each control task.
    """

    target: str
    layer: int
    examples: tuple[str, ...]
    correct: np.ndarray
    control: np.ndarray


def probe_runs(probes: pl.DataFrame) -> list[ProbeRun]:
    """The probes of every target in every layer of one model.

    Args:
        probes: rows of one trial.

    Raises:
        InputError: rows of several trials; a target without control tasks, or a task that lacks examples.
    """
    if probes["trial"].n_unique() > 1:
        raise InputError(f"probes of {probes['trial'].n_unique()} trials; estimates are of one")
    runs = []
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
        runs.append(ProbeRun(str(target), int(str(layer)), tuple(examples), real["correct"].to_numpy(), control))
    return runs
