"""Buffers an epoch's losses, gradient norms and learning rates, logs them, and marks replicas that diverged as failed.

A replica has diverged if its loss is not finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from evenhand.training.pack import Pack

Log = Callable[[int, dict[str, Any]], None]
"""Takes a replica's index in the pack and one row of its `log.jsonl`."""


class LossWindow:
    """The losses of an epoch: buffered on the device until flushed, then logged and averaged."""

    def __init__(self, epoch: int) -> None:
        """Start the epoch without losses."""
        self.epoch = epoch
        self.pending: list[tuple[torch.Tensor, torch.Tensor, list[float], tuple[int, ...]]] = []
        self.losses: list[np.ndarray] = []
        self.sizes: list[tuple[int, ...]] = []

    def add(self, losses: torch.Tensor, norms: torch.Tensor, rates: list[float], sizes: tuple[int, ...]) -> None:
        """Buffer one step: losses, gradient norms, learning rates and numbers of examples, each [K]."""
        self.pending.append((losses, norms, rates, sizes))

    def flush(self, pack: Pack, log: Log) -> None:
        """Log the buffered steps, and mark the replicas whose loss is not finite as failed."""
        if not self.pending:
            return
        losses = torch.stack([entry[0] for entry in self.pending]).cpu().numpy()
        norms = torch.stack([entry[1] for entry in self.pending]).cpu().numpy()
        for index, replica in enumerate(pack.replicas):
            steps_taken = [step for step, entry in enumerate(self.pending) if entry[3][index]]
            for count, row in enumerate(steps_taken):
                if replica.failed is not None:
                    break
                step, rate = replica.steps_taken - len(steps_taken) + count, self.pending[row][2][index]
                loss, norm = float(losses[row, index]), float(norms[row, index])
                if not np.isfinite(loss):
                    replica.failed = (
                        f"the loss was {loss} at step {step + 1} of {replica.steps} (learning rate {rate:.3g})"
                    )
                    break
                log(index, {"epoch": self.epoch, "step": step, "loss": loss, "lr": rate, "gradient_norm": norm})
        self.losses += list(losses)
        self.sizes += [entry[3] for entry in self.pending]
        self.pending = []

    def mean(self, index: int) -> float:
        """Return a replica's mean loss over the epoch's examples; NaN if there were none, as may happen with DP-SGD."""
        weights = np.array([sizes[index] for sizes in self.sizes], dtype=float)
        if not weights.any():
            return float("nan")
        return float(np.average(np.stack(self.losses)[:, index], weights=weights))
