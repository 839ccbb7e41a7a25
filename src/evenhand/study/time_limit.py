"""Ends the training of a trial that takes longer than its study allows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from evenhand.errors import InputError, ShortageError


class _TimedOut(BaseException):
    """Raised where the time is up; no `except Exception` of a library catches it."""


@contextmanager
def time_limit(minutes: float | None) -> Iterator[None]:
    """Context manager in which a block may take so many minutes; None sets no limit.

    The limit is a timer of the process, not the clock of the machine, so that a clock that is set does not matter. It
    ends whatever runs Python or waits (for a disk, for a server). It cannot end a call into a driver that never
    returns.

    Raises:
        ShortageError: the time is up.
        InputError: there is a limit, and the platform or the thread has no timers.
    """
    if minutes is None:
        yield
        return
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise InputError("resources.minutes needs the main thread of a process on Linux or macOS; leave it out here")
    before = signal.signal(signal.SIGALRM, _end)
    try:
        # Again every second, in case the first exception arises in a destructor, which Python ignores.
        signal.setitimer(signal.ITIMER_REAL, minutes * 60, 1.0)
        yield
    except _TimedOut:
        raise ShortageError(f"it took longer than {minutes:g} minutes, the limit that resources.minutes sets") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end(number: int, frame: FrameType | None) -> None:
    raise _TimedOut
