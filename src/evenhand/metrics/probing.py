"""Metrics of linear probes: accuracy, and selectivity against control tasks.

Hewitt and Liang (2019), "Designing and Interpreting Probes with Control Tasks", arXiv:1909.03368.
"""

from __future__ import annotations

import numpy as np

from evenhand.errors import InputError


def probe_accuracy(correct: np.ndarray) -> np.ndarray:
    """The share of labels that a probe predicts correctly [...], from bool [..., n]; nan without examples."""
    correct = np.asarray(correct, dtype=float)
    return correct.mean(axis=-1) if correct.shape[-1] else np.full(correct.shape[:-1], np.nan)


def selectivity(correct: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Accuracy on the label minus mean accuracy on its control tasks [...], between −1 and 1.

    About 0: whatever the probe reaches, it could have learnt by heart. Args as `selectivity_by_example`.
    """
    return selectivity_by_example(correct, control).mean(axis=(-2, -1))


def selectivity_by_example(correct: np.ndarray, control: np.ndarray) -> np.ndarray:
    """The terms of selectivity by control task and example, float [..., S, n]; their mean is the selectivity.

    Args:
        correct: bool [..., n], whether the label was predicted correctly.
        control: bool [..., S, n], the same of each control task.

    Raises:
        InputError: shapes that do not fit, no control task or no example.
    """
    correct, control = np.asarray(correct, dtype=float), np.asarray(control, dtype=float)
    if control.shape[:-2] + control.shape[-1:] != correct.shape or 0 in control.shape:
        raise InputError(
            f"correct has the shape {correct.shape} and control {control.shape}; they should be [..., n] and "
            "[..., control tasks, n], of one or more each"
        )
    return correct[..., None, :] - control
