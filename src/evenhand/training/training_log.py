"""What is noted down while a pack trains: losses, gradient norms and learning rates, and whether they are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from evenhand.training.pack import Pack

Log = Callable[[int, dict[str, Any]], None]
"""Takes a replica's place in the pack and one row of its `log.jsonl`."""


class Window:
    """The losses of an epoch: kept on the device until they are looked at, then logged and summed up."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.unread: list[tuple[torch.Tensor, torch.Tensor, list[float], tuple[int, ...]]] = []
        self.losses: list[np.ndarray] = []
        self.sizes: list[tuple[int, ...]] = []

    def add(self, losses: torch.Tensor, norms: torch.Tensor, rates: list[float], sizes: tuple[int, ...]) -> None:
        """One step: losses, gradient norms, learning rates and numbers of examples, each [K]."""
        self.unread.append((losses, norms, rates, sizes))

    def look(self, pack: Pack, log: Log) -> None:
        """Log the steps since the last look and fail the replicas whose loss was no number."""
        if not self.unread:
            return
        losses = torch.stack([entry[0] for entry in self.unread]).cpu().numpy()
        norms = torch.stack([entry[1] for entry in self.unread]).cpu().numpy()
        for place, replica in enumerate(pack.replicas):
            took = [index for index, entry in enumerate(self.unread) if entry[3][place]]
            for count, index in enumerate(took):
                if replica.failed is not None:
                    break
                step, rate = replica.taken - len(took) + count, self.unread[index][2][place]
                loss, norm = float(losses[index, place]), float(norms[index, place])
                if not np.isfinite(loss):
                    replica.failed = (
                        f"the loss was {loss} at step {step + 1} of {replica.steps} (learning rate {rate:.3g})"
                    )
                    break
                log(place, {"epoch": self.epoch, "step": step, "loss": loss, "lr": rate, "gradient_norm": norm})
        self.losses += list(losses)
        self.sizes += [entry[3] for entry in self.unread]
        self.unread = []

    def mean(self, place: int) -> float:
        """A replica's mean loss over the examples of the epoch; NaN when no batch held any, as a private one may."""
        weights = np.array([sizes[place] for sizes in self.sizes], dtype=float)
        if not weights.any():
            return float("nan")
        return float(np.average(np.stack(self.losses)[:, place], weights=weights))
