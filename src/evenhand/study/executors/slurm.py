"""Runs packs as jobs of a Slurm cluster through submitit, or of this machine where there is no Slurm."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from evenhand.atomic_files import write_text
from evenhand.errors import InputError, first_line
from evenhand.spec import Spec
from evenhand.study.executors import dispatch
from evenhand.study.executors.dispatch import LostError, Task
from evenhand.study.executors.request import Request
from evenhand.study.executors.requested import complete
from evenhand.study.executors.round import Executor, Round
from evenhand.study.expansion import Trial
from evenhand.study.remote_store import is_url
from evenhand.study.resources import ResourcesSpec
from evenhand.study.trial_runner import TrialOutcome

MARGIN_MINUTES = 10
"""What a job gets besides the minutes of its trials, to load the study and its base model."""

DAY_MINUTES = 1440

ASK_AGAIN = 10.0
"""Seconds between two questions to Slurm about the jobs that it knows."""

PATIENCE = 60.0
"""Seconds for which a job may be unknown to Slurm and without a result before it counts as lost."""

_UNUSUAL = re.compile(r"[^\w.=-]+")
"""What a label has and the name of a file should not."""


class SlurmOptions(Spec):
    """What `--cluster KEY=VALUE` can say of Slurm.

    Attributes:
        partition, account, qos, constraint: as `sbatch` takes them.
        jobs: the most jobs that run at a time; None: as many as the cluster allows.
        minutes: the time limit of a job whose trials have none (`resources.minutes`).
        folder: for logs, and for calls and results, which all machines must see; None: `slurm` in the study's folder.
        requeues: how often a job is started again after its time limit; a preempted job always is.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    jobs: int | None = Field(default=None, ge=1)
    minutes: int = Field(default=DAY_MINUTES, ge=1)
    folder: str | None = None
    requeues: int = Field(default=3, ge=0)


class Call:
    """The call of a task in a job, which starts again from the beginning when the job is queued again.

    Trials that are complete are kept, so that only those that were being trained begin again.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self) -> tuple[str, Any]:
        """Return `done` and the result, or `refused` and the sentence of an InputError."""
        try:
            return "done", self.task.function(self.task.request)
        except InputError as error:
            return "refused", str(error)

    def checkpoint(self) -> Any:
        """Return what submitit queues again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class SlurmCluster:
    """A Slurm cluster, or this machine, that calls functions in jobs; see `Cluster`.

    Attributes:
        folder: for logs, submitted calls and results; all machines must see it.
        options: of the cluster.
        local: whether there is no Slurm, and jobs are processes of this machine.
    """

    def __init__(self, folder: Path, options: SlurmOptions, local: bool) -> None:
        self.folder = folder.absolute()
        self.options = options
        self.local = local
        self._asked = -math.inf
        self._known: set[str] | None = None
        self._missing: dict[str, float] = {}

    @property
    def slots(self) -> int | None:
        """The most jobs at a time on this machine; Slurm has a queue."""
        cores = os.cpu_count() or 1
        return (self.options.jobs or cores) if self.local else None

    def submit(self, tasks: Sequence[Task]) -> list[Any]:
        """Queue jobs, as one array for each kind of resources, unless an earlier run queued them; return the jobs."""
        jobs: dict[int, Any] = {}
        new: dict[ResourcesSpec, list[int]] = {}
        earlier = self._earlier()
        for place, task in enumerate(tasks):
            known = earlier.get(_key(task.request)) if task.function is complete else None
            if known is None:
                new.setdefault(task.needs, []).append(place)
            else:
                jobs[place] = known
        for needs, places in new.items():
            submitted = self._queue([tasks[place] for place in places], needs)
            jobs |= dict(zip(places, submitted, strict=True))
        return [jobs[place] for place in range(len(tasks))]

    def _queue(self, tasks: Sequence[Task], needs: ResourcesSpec) -> list[Any]:
        """Queue jobs of the same resources, remember them, and give their logs the names of their trials."""
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        kind = "local" if self.local else "slurm"
        requeues = {f"{kind}_max_num_timeout": self.options.requeues}
        executor = submitit.AutoExecutor(self.folder, cluster=kind, **requeues)
        executor.update_parameters(**self._parameters(tasks, needs))
        try:
            with executor.batch():
                jobs = [executor.submit(Call(task)) for task in tasks]
        except (FailedSubmissionError, FailedJobError) as error:
            raise InputError(f"Slurm refuses the jobs: {first_line(error)}") from None
        self._remember(tasks, jobs)
        for task, job in zip(tasks, jobs, strict=True):
            link = self.folder / f"{_UNUSUAL.sub('-', task.label)}-{task.request.trials[0][:8]}.log"
            link.unlink(missing_ok=True)
            link.symlink_to(Path(job.paths.stdout).name)
        return jobs

    def _parameters(self, tasks: Sequence[Task], needs: ResourcesSpec) -> dict[str, Any]:
        """Return the parameters of jobs, as submitit names them."""
        trials = max(len(task.request.trials) for task in tasks) if tasks[0].function is complete else 1
        minutes = self.options.minutes if needs.minutes is None else needs.minutes * trials + MARGIN_MINUTES
        options = self.options
        found: dict[str, Any] = {
            "name": "evenhand",
            "timeout_min": math.ceil(minutes),
            "cpus_per_task": needs.cpus or 1,
            "gpus_per_node": math.ceil(needs.gpus or 0),
            "stderr_to_stdout": True,
        }
        if needs.memory is not None:
            found["mem_gb"] = needs.memory
        named = {key: getattr(options, key) for key in ("partition", "account", "qos", "constraint")}
        found |= {f"slurm_{key}": value for key, value in named.items() if value is not None}
        if options.jobs is not None:
            found["slurm_array_parallelism"] = options.jobs
        return found

    def _remember(self, tasks: Sequence[Task], jobs: Sequence[Any]) -> None:
        """Write down which job completes which trials, so that a later run waits for it."""
        new = {
            _key(task.request): job.job_id for task, job in zip(tasks, jobs, strict=True) if task.function is complete
        }
        if new and not self.local:  # whose jobs end with this run
            write_text(self.folder / "jobs.json", json.dumps(self._read() | new, indent=1))

    def _read(self) -> dict[str, str]:
        path = self.folder / "jobs.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:  # cut off
            return {}

    def _earlier(self) -> dict[str, Any]:
        """Return the jobs of earlier runs that have not ended, by what they complete."""
        from submitit import SlurmJob

        if self.local:
            return {}
        queued = _queued()
        return {
            key: SlurmJob(folder=self.folder, job_id=name, tasks=[0])
            for key, name in self._read().items()
            if queued is None or name in queued
        }

    def finished(self, handles: Collection[Any], seconds: float) -> list[Any]:
        """Return the jobs that have ended: those with a result, and those that Slurm no longer knows."""
        until = time.monotonic() + seconds
        while not (ended := [job for job in handles if self._has_ended(job)]) and time.monotonic() < until:
            time.sleep(0.1)
        return ended

    def _has_ended(self, job: Any) -> bool:
        """Return whether a job has a result, or was lost."""
        if job.paths.result_pickle.exists():
            return True
        if self.local:
            return job.done()
        now = time.monotonic()
        if now - self._asked > ASK_AGAIN:
            self._asked, queued = now, _queued()
            missing = () if queued is None else {each for each in self._missing if each not in queued}
            self._missing = {each: self._missing[each] for each in missing}
            self._known = queued
        if self._known is None or job.job_id in self._known:
            return False
        # Its result may be there and not yet seen from this machine.
        return now - self._missing.setdefault(job.job_id, now) > PATIENCE

    def result(self, handle: Any) -> Any:
        """Return what a job returned, and remove the files in which it was passed on; its log stays."""
        from submitit.core.utils import UncompletedJobError

        if not self.local and not handle.paths.result_pickle.exists():
            raise LostError(f"its job {handle.job_id} ended without a result, see {handle.paths.stdout}")
        try:
            said, result = handle.result()
        except UncompletedJobError as error:
            if "with trace" in str(error):
                raise  # an error of the program itself
            raise LostError(f"its job {handle.job_id} ended without a result ({first_line(error)})") from None
        for path in (handle.paths.result_pickle, handle.paths.submitted_pickle):
            path.unlink(missing_ok=True)
        if said == "refused":
            raise InputError(result)
        return result

    def leave(self, handles: Collection[Any]) -> None:
        """Cancel the jobs of this machine; those of Slurm go on, and the next run waits for them."""
        for job in handles if self.local else ():
            job.cancel(check=False)


def _queued() -> set[str] | None:
    """Return the names of this user's jobs that Slurm knows; None if it does not answer."""
    command = ["squeue", "--me", "--array", "--noheader", "--format=%i"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return set(done.stdout.split()) if done.returncode == 0 else None


def _key(request: Request) -> str:
    """Return what identifies a request, whoever asks: its trials, what the study wants of them, and where they go."""
    text = json.dumps([request.study, request.data, request.out, request.trials, request.tried])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@contextmanager
def executor(options: Mapping[str, Any]) -> Iterator[Executor]:
    """Context manager that yields the executor of a Slurm cluster; of this machine where `sbatch` is not on the path.

    Raises:
        InputError: submitit is not installed, or an option is unknown.
    """
    wanted = SlurmOptions.parse(options, "cluster")
    try:
        import submitit  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "submitit":
            raise
        raise InputError(
            "--executor slurm needs submitit; install it with: pip install 'evenhand[train,slurm]'"
        ) from None
    yield partial(_execute, wanted)


def _execute(options: SlurmOptions, this: Round) -> Generator[tuple[Trial, TrialOutcome]]:
    """Complete the trials of a round in jobs."""
    local = shutil.which("sbatch") is None
    if local and this.trials:
        this.watcher.say("There is no sbatch on the path, so that jobs run on this machine")
    if options.folder is None and is_url(this.store.address) and not local:
        raise InputError(
            f"the study is at {this.store.address}, and Slurm passes calls and results through a folder that all "
            "machines see; name one with --cluster folder=DIR"
        )
    folder = this.store.out / "slurm" if options.folder is None else Path(options.folder)
    return dispatch.execute(SlurmCluster(folder, options, local), this)
