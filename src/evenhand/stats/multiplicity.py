"""Corrections for asking many questions: p-values adjusted so that they compare with the level directly."""

from __future__ import annotations

import numpy as np


def bonferroni(p: np.ndarray) -> np.ndarray:
    """p·m, at most 1. Controls the familywise error; has simultaneous intervals: each at level/m."""
    p = np.asarray(p, dtype=float)
    return np.minimum(p * len(p), 1.0)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down p-values (1979), monotone step included. Controls the familywise error."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _back(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's step-up p-values (1995). Controls the false discovery rate."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _back(np.minimum(stepped, 1.0), order)


def _back(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    adjusted = np.empty_like(values)
    adjusted[order] = values
    return adjusted
