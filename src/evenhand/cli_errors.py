"""Turns what ends a command early (bad input, a full disk, Ctrl-C) into one sentence and an exit status."""

from __future__ import annotations

import errno
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from evenhand.errors import InputError
from evenhand.visible_text import visible

_UNWRITABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.EISDIR,
    errno.ELOOP,
    errno.EIO,
)
"""What a machine refuses, such as a folder in a file or a name that is too long; not what is wrong in the program."""

_TRAINING = (
    "accelerate",
    "datasets",
    "filelock",
    "fsspec",
    "huggingface_hub",
    "peft",
    "PIL",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
)
"""The packages that the extra `train` installs."""


class Stopped(BaseException):
    """Raised where a signal arrives; not KeyboardInterrupt, which typer swallows."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def one_sentence() -> Iterator[None]:
    """Context manager that ends the process with a sentence on standard error where a command is ended early.

    The status is 2 for bad input, missing packages and what cannot be written, 130 for Ctrl-C and 143 for SIGTERM.
    Errors of the program itself have a traceback, and 2 too: 1 is how a gate says that results fail it.
    """
    try:
        with _signals_raised():
            yield
    except InputError as error:
        _end(str(error), 2)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _TRAINING:
            _fail()
        _end(f"training needs {missing}; install it with: pip install 'evenhand[train]'", 2)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            _fail()
        _end(f"{error.filename or 'the disk'}: {error.strerror}; what was complete before is kept", 2)
    except Stopped as stopped:
        _end("interrupted; what is complete is kept, and the same command continues from there", 128 + stopped.number)
    # Any exception: whatever is wrong in the program.
    except Exception:
        _fail()


def _fail() -> NoReturn:
    """End the process with the traceback of an error of the program."""
    traceback.print_exc()
    sys.exit(2)


def _end(sentence: str, status: int) -> NoReturn:
    print(f"evenhand: {visible(sentence)}", file=sys.stderr)
    sys.exit(status)


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Context manager in which Ctrl-C and SIGTERM raise `Stopped`; in the main thread, where signals arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
