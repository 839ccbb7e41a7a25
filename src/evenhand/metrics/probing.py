"""Metric functions for linear probes: accuracy, and selectivity against control tasks, from arrays.

Hewitt and Liang (2019), "Designing and Interpreting Probes with Control Tasks", arXiv:1909.03368.
"""

from __future__ import annotations

import numpy as np

from evenhand.errors import InputError


def probe_accuracy(correct: np.ndarray) -> np.ndarray:
    """Share of labels that a probe predicts correctly [...], from bool [..., n]; nan without examples.

    Args:
        correct: bool [..., n], whether the probe predicts each example's label correctly.

    Example:
        >>> from evenhand.metrics import probe_accuracy
        >>> float(probe_accuracy([True, True, False, True]))
        0.75
    """
    correct = np.asarray(correct, dtype=float)
    return correct.mean(axis=-1) if correct.shape[-1] else np.full(correct.shape[:-1], np.nan)


def selectivity(correct: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Accuracy on the label minus mean accuracy on its control tasks [...], between −1 and 1.

    About 0 means that memorization can explain the probe's accuracy. Args as `selectivity_by_example`.

    Raises:
        InputError: as `selectivity_by_example`.

    Source: Hewitt and Liang (2019).

    Example:
        >>> from evenhand.metrics import selectivity
        >>> float(selectivity([True, True], [[True, False], [False, False]]))  # 1 − .25
        0.75
    """
    return selectivity_by_example(correct, control).mean(axis=(-2, -1))


def selectivity_by_example(correct: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Each example's part of the selectivity against each control task, float [..., S, n]; the mean is the selectivity.

    Args:
        correct: bool [..., n], whether the label was predicted correctly.
        control: bool [..., S, n], the same for each control task.

    Raises:
        InputError: shapes that do not fit, no control task or no example.

    Source: Hewitt and Liang (2019).

    Example:
        >>> from evenhand.metrics import selectivity_by_example
        >>> selectivity_by_example([True, False], [[False, False]]).tolist()
        [[1.0, 0.0]]
    """
    correct, control = np.asarray(correct, dtype=float), np.asarray(control, dtype=float)
    if control.shape[:-2] + control.shape[-1:] != correct.shape or 0 in control.shape:
        raise InputError(
            f"correct has the shape {correct.shape} and control {control.shape}; they should be [..., n] and "
            "[..., control tasks, n], of one or more each"
        )
    return correct[..., None, :] - control
