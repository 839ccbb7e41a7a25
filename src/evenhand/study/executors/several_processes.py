"""Trains a pack in several processes of this machine, which `torchrun` starts (`resources: {processes: 4}`).

As a module it is the program of these processes: the main one completes the trials, the others train with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from evenhand.atomic_files import write_text
from evenhand.errors import InputError
from evenhand.study.executors.request import Request
from evenhand.study.resources import ResourcesSpec
from evenhand.study.trial_runner import TrialOutcome

_RESULT, _SHARE, _LOG = "result.json", "share", "log"

_LOOK_AGAIN = 0.5
"""Seconds between two looks at how far the processes are."""

_PROGRAM = ("-m", __name__)
"""What each process runs: this module, with the folder of the request."""

_SHARDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
"""What `accelerate launch --use_fsdp --fsdp_version 2` tells the processes."""

_GRACE = 10.0
"""Seconds that the processes get to end before they are killed."""


def complete_in_processes(
    request: Request, resources: ResourcesSpec, progress: Callable[[float], None]
) -> dict[str, TrialOutcome]:
    """Complete the trials of a request, which the caller has claimed, in several processes; return their outcomes.

    Args:
        request: of trials that are trained one after the other.
        resources: how many processes there are, how many cores they share, and whether they share the weights.
        progress: called with the share of the training that is done.

    Raises:
        InputError: several processes would not train these trials as one does, with the reason.
        RuntimeError: the processes ended without a result; with the end of what they printed.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "request.json").write_text(json.dumps(asdict(request)), encoding="utf-8")
        command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={resources.processes}"]
        command += [*_PROGRAM, str(folder)]
        known = os.environ | (_SHARDED if resources.sharded else {})
        if resources.cpus is not None:
            known["OMP_NUM_THREADS"] = str(max(resources.cpus // resources.processes, 1))
        with (folder / _LOG).open("w") as log:
            running = subprocess.Popen([sys.executable, *command], env=known, stdout=log, stderr=log)
            try:
                while running.poll() is None:
                    time.sleep(_LOOK_AGAIN)
                    if (folder / _SHARE).is_file():
                        progress(float((folder / _SHARE).read_text(encoding="utf-8")))
            finally:
                _end(running)
        if not (folder / _RESULT).is_file():
            printed = (folder / _LOG).read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{resources.processes} processes ended without a result:\n{printed[-5000:]}")
        result = json.loads((folder / _RESULT).read_text(encoding="utf-8"))
    if "refused" in result:
        raise InputError(result["refused"])
    return {name: TrialOutcome(**outcome) for name, outcome in result.items()}


def _end(running: subprocess.Popen[bytes]) -> None:
    """End the processes, if they have not ended."""
    if running.poll() is not None:
        return
    running.terminate()
    try:
        running.wait(_GRACE)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


def main(folder: Path) -> None:
    """Complete the trials of the request in a folder, in the main process; train with it, in the others."""
    from evenhand.study.executors.launched import check_launch
    from evenhand.study.executors.requested_trials import trials_of
    from evenhand.study.remote_store import open_store
    from evenhand.study.trial_runner import run_trials
    from evenhand.tasks.workers import stop_workers, worker_loop
    from evenhand.training import launch

    if not launch.this_process().main:
        worker_loop()
        return
    values = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    request = Request(**{**values, "trials": tuple(values["trials"])})
    outcomes: dict[str, TrialOutcome] = {}
    shown = 0.0

    def progress(share: float) -> None:
        nonlocal shown
        if time.monotonic() - shown > _LOOK_AGAIN:
            shown = time.monotonic()
            write_text(folder / _SHARE, str((len(outcomes) + share) / len(request.trials)))

    try:
        store, trials = open_store(request.out, request.run), trials_of(request)
        check_launch(trials)
        for trial in trials:
            for done, outcome in run_trials([trial], store, progress):
                outcomes[done.hash] = outcome
        result = {name: asdict(outcome) for name, outcome in outcomes.items()}
    except InputError as error:
        result = {"refused": str(error)}
    write_text(folder / _RESULT, json.dumps(result))
    stop_workers()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
