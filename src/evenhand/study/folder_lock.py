"""Locks the folder of a study for one process, and clears what killed processes left in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evenhand.atomic_files import remove, remove_leftovers
from evenhand.errors import InputError

_UNFINISHED = re.compile(r"\.(\w+)\.\d+(\.earlier)?")
"""The name of a trial's folder that is being written, or of the earlier one that it replaces."""


@contextmanager
def locked_folder(out: Path) -> Iterator[None]:
    """Context manager that holds the lock of a study's folder, and first clears what killed processes left.

    The lock is the file `.lock`, held through filelock; where the file system has no locks, the file's existence is
    the lock. Files that this package did not write (`.DS_Store`, say) are left alone.

    Raises:
        InputError: another process holds the lock, the folder cannot be written to, or `out` is a file.
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
        lock.acquire()
    except Timeout:
        raise InputError(f"another process is running a study in {out}; wait for it or choose another --out") from None
    except OSError as error:
        raise InputError(f"--out {out} cannot be written to: {error.strerror}") from None
    try:
        _clear(out)
        yield
    finally:
        lock.release()


def _clear(out: Path) -> None:
    """Remove unfinished folders and files; put back the earlier folder of a trial whose replacement never came."""
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
