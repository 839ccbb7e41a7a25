"""One run as measures see it, from plain lists."""

from __future__ import annotations

import numpy as np

from evenhand.audit.measures.run_data import RunData, RunSubset


def view(label, predicted, probability=None, weight=None, positive: int | None = 1) -> RunData:
    label, predicted = np.asarray(label), np.asarray(predicted)
    if probability is not None:
        probability = np.asarray(probability, dtype=float)
        if probability.ndim == 1:
            probability = np.stack([1 - probability, probability], axis=1)
    weight = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=float)
    return RunData(label, predicted, probability, weight, positive)


def everyone(run: RunData) -> RunSubset:
    return RunSubset("everyone", np.arange(len(run.label)))


def one_group(run: RunData, member) -> RunSubset:
    return RunSubset("group", np.flatnonzero(member), np.flatnonzero(~np.asarray(member)), np.arange(len(run.label)))


def between(run: RunData, group) -> RunSubset:
    group = np.asarray(group)
    members = [np.flatnonzero(group == name) for name in sorted(set(group))]
    every = list(range(len(members)))
    return RunSubset(
        "attribute",
        np.arange(len(group)),
        members=members,
        eligible={"all": every, "positive": every, "negative": every},
    )
