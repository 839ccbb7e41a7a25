"""Runs commands in forks of one process that has loaded the libraries, so that a run takes seconds less.

    python forked_commands.py FOLDER    # reads requests from standard input, a JSON object a line

A request is `{"command": [...], "kill_after": seconds or null}`; the answer is `{"status": n, "seconds": t}`, and what
the command printed is in `FOLDER/stdout` and `FOLDER/stderr`. The status of a killed command is -9.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class ForkedCommands:
    """The commands of `evenhand`, each in a fork of a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, str(folder)]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *command: object, kill_after: float | None = None) -> tuple[int, float]:
        """Run a command, kill it after so many seconds, and return its status and the seconds that it ran."""
        assert self._server.stdin is not None and self._server.stdout is not None
        print(
            json.dumps({"command": [*map(str, command)], "kill_after": kill_after}), file=self._server.stdin, flush=True
        )
        answer = json.loads(self._server.stdout.readline())
        return answer["status"], answer["seconds"]

    @property
    def stderr(self) -> str:
        """What the last command printed on standard error."""
        return (self.folder / "stderr").read_text(encoding="utf-8")

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


def _load_libraries() -> None:
    """Import what a study of texts uses. Nothing may start a thread: forks would inherit its locks."""
    import lxml.etree  # noqa: F401
    import peft  # noqa: F401
    import torch
    import vl_convert  # noqa: F401
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast  # noqa: F401

    import evenhand.study.run
    import evenhand.tasks.classification
    import evenhand.training.replicas  # noqa: F401

    torch.set_num_threads(1)


def _serve(folder: Path) -> None:
    _load_libraries()
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if not child:
            _run(request["command"], folder)
        status = _ended(child, request["kill_after"])
        print(json.dumps({"status": status, "seconds": time.monotonic() - began}), flush=True)


def _ended(child: int, kill_after: float | None) -> int:
    """Wait for a process, kill it when its time is up, and return its status."""
    deadline = np.inf if kill_after is None else time.monotonic() + kill_after
    while True:
        done, status = os.waitpid(child, os.WNOHANG if kill_after is not None else 0)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(0.001)


def _run(command: Sequence[str], folder: Path) -> None:
    """Run a command in this process, which it ends."""
    import traceback

    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from evenhand.cli import main

    sys.argv = ["evenhand", *command]
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
