"""Locks the folder of a study for a short time, and clears what killed processes left in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evenhand.atomic_files import remove, remove_leftovers
from evenhand.errors import InputError

_UNFINISHED = re.compile(r"\.(\w+)\.(?:[0-9a-f]{12}-)?\d+(\.earlier)?")
"""The name of a trial's folder that is being written, or of the earlier one that it replaces; earlier versions did not
name the machine."""

_LOOK_AGAIN = 0.2
"""Seconds between two attempts to get the lock."""


@contextmanager
def locked_folder(out: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Context manager that holds the lock of a study's folder, and waits for it while another process does.

    The lock is the file `.lock`, held through filelock; where the file system has no locks, the file's existence is
    the lock.

    Args:
        out: the folder, which is made if it does not exist.
        say: called with a sentence, once, if another process holds the lock.

    Raises:
        InputError: the folder cannot be written to, or `out` is a file.
    """
    from filelock import FileLock, Timeout

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; it should be a folder")
    path = out / ".lock"
    try:
        (out / "trials").mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            raise InputError(f"{path} is a link, and a lock is never written through one; remove it")
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            say(f"Waiting for another process, which is writing to {out}")
            lock.acquire(timeout=-1, poll_interval=_LOOK_AGAIN)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written to: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def clear_leftovers(out: Path) -> None:
    """Remove unfinished folders and files; put back the earlier folder of a trial whose replacement never came.

    Nobody else may be writing to the folder. Files that this package did not write (`.DS_Store`, say) are left alone.
    """
    for left in (out / "trials").glob(".*"):
        unfinished = _UNFINISHED.fullmatch(left.name)
        if unfinished is None:
            continue
        final = left.with_name(unfinished[1])
        if unfinished[2] and not final.exists():
            left.rename(final)
        else:
            remove(left)
    for left in (out / "features").rglob(".*"):
        remove(left)
    for folder in (out, out / "figures", *(out / "trials").glob("*/")):
        remove_leftovers(folder, locked=True)
