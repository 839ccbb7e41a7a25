"""Follows a folder: what its study has done, and the report of what is complete, made again when trials are added."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenhand.audit.results_folder import DESIGN
from evenhand.errors import InputError
from evenhand.viewing.folder_state import STUDY, has_begun, is_finished, report_stamp, saved_report

if TYPE_CHECKING:
    from evenhand.viewing.preliminary import Planned
    from evenhand.viewing.trial_states import TrialReader, TrialStates

INTERVAL = 1.0
"""The least number of seconds between two looks at the folder."""

_PAUSE = 9.0
"""After a look of t seconds (at 10,000 trials on a network, say) the next one begins at least t times this later."""

_REST = 4.0
"""After an audit of t seconds the next one begins t times this later, so that training keeps the machine."""

_NICENESS = 5
"""The thread that audits gives way to training by this much."""


def first_status(folder: Path) -> dict[str, Any]:
    """Return the status of a folder that has not been looked at, with every key."""
    return {
        "folder": str(folder),
        "source": folder.absolute().name,
        "state": "reading",
        "notes": [],
        "trials": None,
        "at_work": [],
        "finished": [],
        "report": None,
    }


@dataclass
class FolderWatcher:
    """Looks at a folder again and again; what takes long (data, audits) is done in another thread meanwhile.

    Attributes:
        folder: that a run or an audit writes to, or will write to.
        data: the folder of `--data`; None: the study's stand-in data, if it has some.
    """

    folder: Path
    data: Path | None = None
    _report: dict[str, Any] | None = None
    _page: bytes | None = None
    _stamp: object = None
    _study: _StudyWatcher | None = None
    _failed: str | None = None

    def look(self) -> tuple[dict[str, Any], bytes | None]:
        """Return the status as plain values, and the page of the report; None while there is none."""
        try:
            status = self._status()
        except OSError as error:  # a file is being replaced; at the next look it is there
            status = {
                "state": "running",
                "notes": [f"{error.filename or self.folder} cannot be read: {error.strerror}"],
            }
        except ModuleNotFoundError as error:
            missing = (error.name or "a library").partition(".")[0]
            note = f"An unfinished study is viewed with the libraries that train it, and {missing} is not installed: "
            status = {"state": "stopped", "notes": [f"{note}pip install 'evenhand[train]'"]}
        return {**first_status(self.folder), **status, "report": self._report}, self._page

    def close(self) -> None:
        """Stop what is being done in another thread, as far as it can be stopped."""
        if self._study is not None:
            self._study.close()

    def _status(self) -> dict[str, Any]:
        if not self.folder.is_dir() or not has_begun(self.folder):
            return {"state": "waiting", "notes": [f"There is no study in {self.folder} yet."]}
        if is_finished(self.folder):
            return self._finished()
        if not (self.folder / STUDY).is_file():
            return {"state": "waiting", "notes": ["The run has not written its study yet."]}
        if self._study is None:
            data = self.data or next((each for each in (self.folder / "stand-in",) if each.is_dir()), None)
            self._study = _StudyWatcher(self.folder, data, self._show_preliminary)
        status = self._study.look()
        if (self.folder / DESIGN).is_file() and status["state"] != "finished":
            status["notes"].append("The results that are saved here are of an earlier form of this study.")
        return status

    def _finished(self) -> dict[str, Any]:
        self.close()
        self._study = None
        if report_stamp(self.folder) != self._stamp:
            try:
                self._stamp, self._page = saved_report(self.folder)
                self._show(preliminary=False)
                self._failed = None
            except InputError as error:
                self._failed, self._stamp = str(error), report_stamp(self.folder)
        return {"state": "finished", "notes": [] if self._failed is None else [self._failed]}

    def _show_preliminary(self, page: bytes, done: int, of: int) -> None:
        self._page, self._stamp = page, None
        self._show(preliminary=True, trials=done, of=of)

    def _show(self, **facts: Any) -> None:
        version = 1 if self._report is None else self._report["version"] + 1
        self._report = {"version": version, "made": datetime.now(UTC).isoformat(timespec="seconds"), **facts}


@dataclass
class _StudyWatcher:
    """Follows a study that is not finished.

    Attributes:
        folder, data: see `FolderWatcher`.
        show: called with each new page, the number of trials it is about, and the number that the study has.
    """

    folder: Path
    data: Path | None
    show: Callable[[bytes, int, int], None]
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _job: Future[Any] | None = None
    _planned: Planned | None = None
    _text: str | None = None
    _audited: object = None
    _notes: dict[str, str] = field(default_factory=dict)
    _not_before: float = 0.0
    _reader: TrialReader | None = None

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def look(self) -> dict[str, Any]:
        # Imported here: the audit of a table is viewed without the libraries of training.
        from evenhand.study.store import Store
        from evenhand.viewing.trial_states import TrialReader, trials_in

        if self._reader is None:
            self._reader = TrialReader(Store(self.folder))
        if self._job is not None and self._job.done():
            self._job = None
        states = self._reader.read(None if self._planned is None else self._planned.trials)
        if self._job is None:
            self._begin(states)
        notes = list(self._notes.values())
        if states.planned and not states.done + states.failed and (others := trials_in(self.folder)):
            notes.append(
                f"The folder holds {others} trials, none of which is in the plan that this machine makes of the study: "
                "the data, the base model or the precision differ from those of the machine that trains."
            )
        state = "running" if states.active else "stopped"
        doing = "reading" if self._planned is None and not self._notes else state
        return {"state": doing, "notes": notes, **states.to_json()}

    def _begin(self, states: TrialStates) -> None:
        """Begin what is due: a plan if the study file has changed, else an audit if a trial was added."""
        text = (self.folder / STUDY).read_text(encoding="utf-8")
        if text != self._text:
            self._text = text
            self._job = self._thread.submit(self._guarded, "plan", self._plan)
        elif self._planned is not None and self._planned.chosen:
            self._begin_audit(states, self._planned)

    def _begin_audit(self, states: TrialStates, planned: Planned) -> None:
        assert self._reader is not None
        complete = frozenset(trial.hash for trial in planned.plan.distinct if self._reader.complete(trial))
        # The run that has completed the last trial is auditing all of them at this moment.
        audited_by_run = states.active and len(complete) == len(planned.plan.distinct)
        early = states.active and time.monotonic() < self._not_before
        if complete and (self._text, complete) != self._audited and not audited_by_run and not early:
            self._audited = self._text, complete
            self._job = self._thread.submit(self._guarded, "audit", self._audit, planned, complete)

    def _guarded(self, what: str, step: Callable[..., None], *given: Any) -> None:
        """Take a step; say on the page why it failed, and go on following the study."""
        try:
            step(*given)
        except InputError as error:
            self._notes[what] = _EXPLAINED[what].format(error=error)
        except OSError:
            self._text = self._audited = None  # a trial is being replaced: once more at the next look
        except Exception as error:  # the page has to say what went wrong, and go on with what can be followed
            traceback.print_exc()
            self._notes[what] = _EXPLAINED[what].format(error=f"{type(error).__name__}: {error}")
        else:
            self._notes.pop(what, None)

    def _plan(self) -> None:
        from evenhand.study.store import Store
        from evenhand.viewing.preliminary import read_plan

        self._planned = read_plan(Store(self.folder), self.data, self._planned)

    def _audit(self, planned: Planned, complete: frozenset[str]) -> None:
        from evenhand.report.page import html
        from evenhand.study.store import Store
        from evenhand.viewing.preliminary import complete_part, preliminary_results

        _give_way()
        began, store = time.monotonic(), Store(self.folder)
        part = complete_part(planned.plan, lambda trial: trial.hash in complete or store.complete(trial))
        of = len(planned.plan.distinct)
        if not part.trials:  # half a pair of models for membership inference
            return
        results = preliminary_results(part, store, of, self.folder.absolute().name)
        self.show(html(results).encode(), len(part.distinct), of)
        self._not_before = time.monotonic() + _REST * (time.monotonic() - began)


def _give_way() -> None:
    """Lower the priority of this thread alone, so that the status still follows the trials; only Linux can do that."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


_EXPLAINED: Mapping[str, str] = {
    "plan": "The trials that are missing cannot be counted, and what is complete cannot be audited: {error}. A study "
    "on data below --data DIR is viewed with the same --data DIR.",
    "audit": "What is complete so far cannot be audited by itself: {error}",
}
"""What is said on the page where a step fails."""


def watch(folder: str, data: str | None, answers: Connection) -> None:
    """Follow a folder in a process of its own, and send the status, and each new page, until the other end is closed.

    Args:
        folder, data: see `FolderWatcher`.
        answers: receives pairs of the status and the page; None for the page if it is the one that was sent before.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the other one ends this one
    watcher = FolderWatcher(Path(folder), None if data is None else Path(data))
    sent: tuple[dict[str, Any], bytes | None] = {}, None
    with suppress(BrokenPipeError, EOFError, ConnectionError):
        while True:
            began = time.monotonic()
            status, page = watcher.look()
            pause = max(INTERVAL, _PAUSE * (time.monotonic() - began))
            if (status, page) != sent:
                answers.send((status, None if page is sent[1] else page))
                sent = status, page
            if answers.poll(pause):  # nothing is ever sent this way: the other end is closed
                return
