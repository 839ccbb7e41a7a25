"""Runs packs as tasks of a Ray cluster: an existing one, or one that lasts as long as the run."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from evenhand.errors import InputError, first_line
from evenhand.spec import Spec
from evenhand.study.executors import dispatch
from evenhand.study.executors.dispatch import LostError, Task
from evenhand.study.executors.requested import complete, group
from evenhand.study.executors.round import Executor
from evenhand.yaml_file import read_mapping

GB = 10**9

_LOOK_AGAIN = 0.05
"""Seconds between two looks at whether a call has ended."""


class RayOptions(Spec):
    """What `--cluster KEY=VALUE` can say of Ray.

    Attributes:
        address: of an existing cluster (`auto`, `HOST:6379`, `ray://HOST:10001`); None: `RAY_ADDRESS`, else a cluster
            on this machine that ends with the run.
        runtime_env: a YAML file with Ray's runtime environment, such as packages that the cluster's machines lack.
        restarts: how often a pack is started again whose process or machine was lost.
    """

    address: str | None = None
    runtime_env: str | None = None
    restarts: int = 3


class RayCluster:
    """A Ray cluster that calls functions; see `Cluster`."""

    slots = None

    def __init__(self, restarts: int) -> None:
        import ray

        self._ray: Any = ray
        # Made once: Ray keeps the order only among calls of one remote function, and gives it a process that is warm.
        self._functions: dict[Any, Any] = {function: ray.remote(function) for function in (complete, group)}
        self._restarts = restarts
        self._has_gpus = ray.cluster_resources().get("GPU", 0) > 0

    def submit(self, tasks: Sequence[Task]) -> list[Any]:
        """Ask for calls and return their references."""
        return [self._submit(task) for task in tasks]

    def _submit(self, task: Task) -> Any:
        needs = task.needs
        gpus = needs.gpus if needs.gpus is not None else float(self._has_gpus)
        wanted = {"CPU": needs.cpus or 1, "GPU": gpus, "memory": (needs.memory or 0) * GB}
        for what, count in wanted.items():
            there = self._ray.cluster_resources().get(what, 0)
            if count > there:
                size = f"{count / GB:g} GB of memory" if what == "memory" else f"{count:g} {what}s"
                raise InputError(
                    f"{task.label} needs {size} (resources:), more than the whole Ray cluster has; ask for less, or "
                    "add machines"
                )
        function = self._functions[task.function].options(
            num_cpus=wanted["CPU"],
            num_gpus=wanted["GPU"],
            memory=int(wanted["memory"]) or None,
            max_retries=self._restarts,
            retry_exceptions=False,
            name=task.label,
        )
        return function.remote(task.request)

    def finished(self, handles: Collection[Any], seconds: float) -> list[Any]:
        """Return the references whose calls have ended."""
        until = time.monotonic() + seconds
        while True:
            # Never waits inside Ray, where the exception of a signal (Ctrl-C) becomes a SystemError.
            ended, _ = self._ray.wait(list(handles), num_returns=len(handles), timeout=0, fetch_local=False)
            if ended or time.monotonic() > until:
                return ended
            time.sleep(_LOOK_AGAIN)

    def result(self, handle: Any) -> Any:
        """Return what a call returned."""
        lost = self._ray.exceptions
        try:
            return self._ray.get(handle)
        except lost.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, InputError) else error) from None
        except (lost.WorkerCrashedError, lost.NodeDiedError, lost.LocalRayletDiedError, lost.OutOfMemoryError) as error:
            raise LostError(f"its process was lost {self._restarts + 1} times ({first_line(error)})") from None

    def leave(self, handles: Collection[Any]) -> None:
        """Cancel calls, with their processes."""
        for handle in handles:
            self._ray.cancel(handle, force=True)


@contextmanager
def executor(options: Mapping[str, Any]) -> Iterator[Executor]:
    """Context manager that connects to a Ray cluster, or starts one on this machine, and yields its executor.

    Raises:
        InputError: Ray is not installed, an option is unknown, or there is no cluster at the address.
    """
    wanted = RayOptions.parse(options, "cluster")
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise InputError("--executor ray needs Ray; install it with: pip install 'evenhand[train,ray]'") from None
    connected_before = ray.is_initialized()
    if not connected_before:
        _connect(ray, wanted)
    try:
        yield partial(dispatch.execute, RayCluster(wanted.restarts))
    finally:
        if not connected_before:
            ray.shutdown()


def _connect(ray: Any, wanted: RayOptions) -> None:
    """Connect to the cluster that the options or the environment name, else start one here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    environment = None
    if wanted.runtime_env is not None:
        path = Path(wanted.runtime_env)
        if not path.is_file():
            raise InputError(f"cluster.runtime_env: there is no file {path}")
        environment = read_mapping(path, "with the keys of Ray's runtime environment, such as pip or env_vars")
    address = wanted.address or os.environ.get("RAY_ADDRESS") or None
    logging.getLogger("ray").setLevel(logging.ERROR)
    local = {"include_dashboard": False} if address is None else {}
    where = "cannot be started on this machine" if address is None else f"does not answer at {address}"
    try:
        _check_answers(address)
        ray.init(
            address=address or "local",
            runtime_env=environment,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **local,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"a Ray cluster {where}: {first_line(error)}") from None


def _check_answers(address: str | None) -> None:
    """Raise OSError if nothing listens at an address: Ray itself would try for minutes."""
    named = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address or "")
    if named is not None:
        socket.create_connection((named[1], int(named[2])), timeout=10).close()
