"""Ways to run trials: in one process, in all processes of a launch, or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from evenhand.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from evenhand.study.executors.round import Executor

EXECUTORS = ("serial", "ray", "slurm")
"""The values of `--executor`."""


def executor(name: str, options: Mapping[str, Any]) -> AbstractContextManager[Executor]:
    """Return the context manager of an executor: what it connects to is left at the end.

    Args:
        name: one of `EXECUTORS`.
        options: of its cluster, see `RayOptions` and `SlurmOptions`; `serial` has none.

    Raises:
        InputError: there is no such executor, an option is unknown, or its cluster cannot be reached.
    """
    if name not in EXECUTORS:
        raise InputError(f'there is no executor "{name}"; {did_you_mean(name, EXECUTORS)}')
    return import_module(f"evenhand.study.executors.{name}").executor(options)
