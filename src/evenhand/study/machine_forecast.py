"""Defines the predicted wall time and cost of a study on some machines, as lines for a terminal and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evenhand.study.cost import Forecast
from evenhand.study.machines import Machines
from evenhand.study.progress import duration


@dataclass(frozen=True)
class MethodForecast:
    """What the trials of one method will take.

    Attributes:
        setting, method: their names.
        role: study, tuning or pool.
        trials: number of trials that are not complete.
        seconds: of each, on average.
        memory: bytes of the largest.
        passes: examples in a forward pass of the largest, where memory allows no more; None: as the study says.
        accelerators: of the largest.
        fits: whether all fit.
        parameters, trained: numbers of parameters.
    """

    setting: str
    method: str
    role: str
    trials: int
    seconds: float
    memory: float
    passes: int | None
    accelerators: float
    fits: bool
    parameters: int
    trained: int


@dataclass(frozen=True)
class MachineForecast:
    """Wall time and cost of a study on some machines.

    Attributes:
        machines: the machines.
        listed: the trials of the study, without costs on this machine.
        methods: one for each setting, method and role.
        wall_seconds: until the last trial that fits ends.
        accelerator_seconds: sum over trials that fit of seconds times accelerators.
        basis: sentences on what the numbers rest on.
    """

    machines: Machines
    listed: Forecast
    methods: Sequence[MethodForecast]
    wall_seconds: float
    accelerator_seconds: float
    basis: Sequence[str]

    @property
    def cost(self) -> float:
        """USD for all machines, from the first trial's start to the last one's end."""
        return self.wall_seconds / 3600 * self.machines.count * self.machines.price

    def to_json(self) -> dict[str, Any]:
        """Return the trials as `Forecast.to_json` does, with the forecast under the key `on`."""
        return {
            **self.listed.to_json(),
            "on": {
                "machines": str(self.machines),
                "accelerator": asdict(self.machines.accelerator),
                "count": self.machines.count,
                "methods": [asdict(method) for method in self.methods],
                "wall_seconds": self.wall_seconds,
                "gpu_hours": self.accelerator_seconds / 3600,
                "price": self.machines.price,
                "cost": self.cost,
                "basis": list(self.basis),
            },
        }

    def lines(self) -> list[str]:
        """Return the lines that a terminal shows: one for each method, then wall time, cost and what they rest on."""
        lines = [_line(method, self.machines) for method in self.methods]
        lines.append(f"{len(self.listed.rows)} trials, {self.listed.to_train} to train")
        if not self.listed.chosen:
            lines.append("Tuned methods are shown with their longest candidate, until one is chosen.")
        if not self.methods:
            return lines
        lines.append(
            f"On {self.machines}: about {duration(self.wall_seconds)} of wall time, "
            f"{self.accelerator_seconds / 3600:.3g} GPU-hours, {self.cost:,.2f} USD at {self.machines.price:g} USD an "
            "hour for each, besides the audit and the report"
        )
        return [*lines, *self.basis]


def _line(method: MethodForecast, machines: Machines) -> str:
    """Return the line that a terminal shows for one method."""
    roles = {"tuning": " candidates", "pool": " models for membership inference"}
    if not method.fits:
        fit = f"does not fit {machines}"
    else:
        fit = "fits" if method.accelerators <= 1 else f"on {method.accelerators:g} at once"
    if method.passes is not None:
        fit += f", in passes of {method.passes}"
    return (
        f"{method.setting}  {method.method}{roles.get(method.role, '')}  {method.trials} to train: "
        f"{duration(method.seconds)} each, {method.memory / 1e9:.3g} GB: {fit}"
    )
