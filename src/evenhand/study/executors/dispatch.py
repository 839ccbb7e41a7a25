"""Spreads the packs of a round over the machines of a cluster: longest first, until every trial is complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from evenhand.study.arithmetic import work_of_size
from evenhand.study.executors.claimed import completed_elsewhere
from evenhand.study.executors.request import Request, request_for
from evenhand.study.executors.requested import complete, group
from evenhand.study.executors.round import Round
from evenhand.study.expansion import Trial
from evenhand.study.packs import packs_without_timing
from evenhand.study.resources import ResourcesSpec, largest
from evenhand.study.trial_runner import TrialOutcome, fail_for_now
from evenhand.study.trial_size import SizeReader

LOOK_AGAIN = 1.0
"""Seconds after which the progress is shown again."""


class LostError(RuntimeError):
    """Raised if the process that should complete a request was lost as often as the cluster starts it again."""


@dataclass(frozen=True)
class Task:
    """A function of a request that some machine of a cluster calls.

    Attributes:
        function: at the top level of a module, so that another machine finds it.
        request: its argument.
        needs: what the machine must have free.
        label: its name in the cluster's own displays.
    """

    function: Callable[[Request], Any]
    request: Request
    needs: ResourcesSpec
    label: str


class Cluster(Protocol):
    """Machines that call functions. Each call has a handle, which is hashable."""

    @property
    def slots(self) -> int | None:
        """The most calls to ask for at a time; None: the cluster keeps a queue."""
        ...

    def submit(self, tasks: Sequence[Task]) -> list[Any]:
        """Ask for calls, in the order in which they should begin, and return their handles."""
        ...

    def finished(self, handles: Collection[Any], seconds: float) -> list[Any]:
        """Return the handles whose calls have ended; wait so many seconds if there are none."""
        ...

    def result(self, handle: Any) -> Any:
        """Return what a call returned.

        Raises:
            LostError: its process was lost.
            Exception: what the call raised.
        """
        ...

    def leave(self, handles: Collection[Any]) -> None:
        """Called when the run ends early, with the calls that have not ended: cancel them, or let them go on."""
        ...


def execute(cluster: Cluster, this: Round) -> Generator[tuple[Trial, TrialOutcome]]:
    """Complete the trials of a round on a cluster and yield each when its folder is complete. See `Executor`."""
    if not this.trials:
        return
    by_hash = {trial.hash: trial for trial in this.trials}
    asked = request_for(this, this.trials)
    known = packs_without_timing(this.trials, this.store)
    if known is None:
        # By what is fast where trials are trained, which need not be fast here.
        grouping = Task(group, asked, largest(trial.resources for trial in this.trials), "grouping")
        known = [tuple(by_hash[name] for name in pack) for pack in _waited_for(cluster, grouping)]
    queue = _longest_first(known)
    running: dict[Hashable, list[Trial]] = {}
    elsewhere: list[Trial] = []
    try:
        while queue or running or elsewhere:
            free = len(queue) if cluster.slots is None else max(cluster.slots - len(running), 0)
            started, queue = queue[:free], queue[free:]
            done = dict(completed_elsewhere([trial for pack in started for trial in pack], this.store))
            yield from done.items()
            started = [left for pack in started if (left := [trial for trial in pack if trial not in done])]
            if started:
                handles = cluster.submit([_task(pack, asked) for pack in started])
                running |= dict(zip(handles, started, strict=True))
            ended = cluster.finished(list(running), LOOK_AGAIN) if running else []
            if elsewhere and not running:
                time.sleep(LOOK_AGAIN)
            for handle in ended:
                pack = running.pop(handle)
                outcomes = _outcomes(cluster, handle, pack, this)
                yield from ((trial, outcomes[trial.hash]) for trial in pack if trial.hash in outcomes)
                elsewhere += [trial for trial in pack if trial.hash not in outcomes]
            if elsewhere:
                done = dict(completed_elsewhere(elsewhere, this.store))
                yield from done.items()
                held = this.store.claims.held()
                left = [trial for trial in elsewhere if trial not in done]
                elsewhere = [trial for trial in left if trial.hash in held]
                queue += [[trial] for trial in left if trial.hash not in held]
            _show(running, this)
    finally:
        cluster.leave(list(running))


def _longest_first(packs: Sequence[Sequence[Trial]]) -> list[list[Trial]]:
    """Return packs by the operations of their training and predictions, most first."""
    read = SizeReader()
    operations = []
    for pack in packs:
        work = [work_of_size(read(trial)) for trial in pack]
        operations.append(sum(each.trained + each.predicted for each in work))
    order = sorted(range(len(packs)), key=lambda place: -operations[place])
    return [list(packs[place]) for place in order]


def _task(pack: Sequence[Trial], asked: Request) -> Task:
    """Return the task that completes a pack."""
    label = pack[0].label + (f" and {len(pack) - 1} more" if len(pack) > 1 else "")
    request = replace(asked, trials=tuple(trial.hash for trial in pack))
    return Task(complete, request, largest(trial.resources for trial in pack), label)


def _waited_for(cluster: Cluster, task: Task) -> Any:
    """Return the result of a task that everything else waits for."""
    (handle,) = cluster.submit([task])
    try:
        while not cluster.finished([handle], LOOK_AGAIN):
            pass
        return cluster.result(handle)
    except LostError:
        raise
    except BaseException:
        cluster.leave([handle])
        raise


def _outcomes(cluster: Cluster, handle: Any, pack: Sequence[Trial], this: Round) -> dict[str, TrialOutcome]:
    """Return the outcomes of a pack by hash; its trials fail for now if their process was lost again and again."""
    try:
        return cluster.result(handle)
    except LostError as error:
        done = {trial.hash: outcome for trial, outcome in completed_elsewhere(pack, this.store)}
        lost = [trial for trial in pack if trial.hash not in done]
        return {**done, **{trial.hash: fail_for_now(trial, this.store, str(error)) for trial in lost}}


def _show(running: dict[Hashable, list[Trial]], this: Round) -> None:
    """Show how far the packs are, as their claims say."""
    shares = this.store.claims.shares()
    for pack in running.values():
        this.watcher.share(pack, max((shares.get(trial.hash, 0.0) for trial in pack), default=0.0))
