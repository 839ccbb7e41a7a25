"""Defines what a trial needs and may use (`resources:` in a study, and in a method of it)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field, field_validator, model_validator

from evenhand.spec import Spec


class ResourcesSpec(Spec):
    """What a trial needs and may use. No part of a trial's identity.

    Attributes:
        minutes: the longest that a trial may take; then it fails with that reason, and the others go on. A pack of
            trials that are trained together may take so long for each of them. None: no limit.
        gpus: accelerators that a cluster gives to a pack: a whole number, or a share of one, such as .25, so that four
            packs are trained on one. None: one where the cluster has any, else none.
        cpus: cores that a cluster gives to a pack, and the most threads that a trial computes with, on any executor.
            None: one core, and as many threads as pay.
        memory: GB (10⁹ bytes) of main memory that a cluster gives to a pack; None: the cluster's default.
        processes: processes that share the training of one trial, started by the executor as `torchrun` starts them;
            each gets an equal part of `gpus` and `cpus`.
        sharded: whether these processes also share the weights (FSDP2), for a model that one accelerator cannot hold.
            Else each has all of them (data parallel).
    """

    minutes: float | None = Field(default=None, gt=0)
    gpus: float | None = Field(default=None, ge=0)
    cpus: int | None = Field(default=None, ge=1)
    memory: float | None = Field(default=None, gt=0)
    processes: int = Field(default=1, ge=1, le=1024)
    sharded: bool = False

    @field_validator("gpus")
    @classmethod
    def _whole(cls, value: float | None) -> float | None:
        """Refuse shares of more than one accelerator, which no scheduler gives."""
        if value is not None and value > 1 and value != int(value):
            raise ValueError(f"gpus above 1 should be a whole number, not {value:g}")
        return value

    @model_validator(mode="after")
    def _several(self) -> ResourcesSpec:
        """Refuse to shard over one process."""
        if self.sharded and self.processes == 1:
            raise ValueError("sharded needs several processes, as in {processes: 2, sharded: true}")
        return self


def largest(needs: Iterable[ResourcesSpec]) -> ResourcesSpec:
    """Return resources that suffice for each of several trials that are trained together; one at least."""
    each = list(needs)
    found = {}
    for name in ("gpus", "cpus", "memory", "minutes"):
        values = [value for value in (getattr(one, name) for one in each) if value is not None]
        found[name] = max(values) if values else None
    processes, sharded = max(one.processes for one in each), any(one.sharded for one in each)
    return ResourcesSpec(**found, processes=processes, sharded=sharded)
