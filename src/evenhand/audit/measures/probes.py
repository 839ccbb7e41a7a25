"""Defines the measures of linear probes: accuracy, and selectivity against control tasks."""

from __future__ import annotations

import numpy as np

from evenhand.audit.arrays.probe_answers import ProbeRun
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import ASKED, Measure, by_name
from evenhand.metrics.probing import selectivity_by_example


def probe_accuracy(probe: ProbeRun) -> np.ndarray:
    """float [1, n], whether each example's target was predicted correctly; control tasks are not used."""
    return probe.correct[None].astype(float)


def control_accuracy(probe: ProbeRun) -> np.ndarray:
    """float [T, n], whether each example's label was predicted correctly, by control task."""
    return probe.control.astype(float)


def selectivity(probe: ProbeRun) -> np.ndarray:
    """float [T, n], each example's term of accuracy minus control accuracy, by control task."""
    return selectivity_by_example(probe.correct, probe.control)


PROBES = by_name(
    Measure(
        "probe_accuracy",
        "probes",
        "share of held-out examples whose target a linear probe predicts from a layer's states; estimates only",
        0,
        ASKED,
        probe_accuracy,
        display=Display("probes", fitted=True),
        proportion=True,
    ),
    Measure(
        "control_accuracy",
        "probes",
        "the same of targets drawn at random per type: what a probe learns by heart or guesses; estimates only",
        0,
        ASKED,
        control_accuracy,
        display=Display("probes", "on control tasks", fitted=True),
        title="probe accuracy on control tasks",
    ),
    Measure(
        "selectivity",
        "probes",
        "probe accuracy minus control accuracy: what the states say; whether more is worse is declared by target",
        1,
        ASKED,
        selectivity,
        display=Display("probes", "selectivity", points=True),
        title="selectivity (probe − control accuracy)",
        limits=(-1.0, 1.0),
    ),
)
"""The measures of probes by name, in the order of the rows of `probes`."""
