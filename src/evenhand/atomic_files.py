"""Writes files and folders whole or not at all, and removes what killed processes left half-written."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evenhand.processes import machine_name, process_runs, temporary_name

FORGOTTEN = 86400.0
"""Seconds after which a file that another machine was writing counts as left by a killed process."""

_ASIDE = re.compile(r"\.(?:([0-9a-f]{12})-)?(\d+)-.+")
"""The name of a file that is being written: machine, which earlier versions left out, process, and final name."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to instead of `path`, which is replaced at the end of the block.

    Where the block raises, `path` is as it was and nothing is left beside it. The path to write to has the same
    suffix, and the same folder, which is made if it does not exist.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    remove(aside)
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        remove(aside)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Remove a file, a link (not what it points to) or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Return the path, beside `path`, that this process writes to before it replaces `path`."""
    return path.with_name(f".{temporary_name()}-{path.name}")


def remove_leftovers(folder: Path, *, locked: bool = False) -> None:
    """Remove from a folder what killed processes left half-written; with `locked`, whatever this process did not write.

    Processes of this machine are known to run or not. What another machine or container wrote is removed when it is
    older than a day, because nothing is written for so long.

    `locked` says that this process holds the folder's lock, so that no other one is writing there.
    """
    for left in folder.glob(".*"):
        named = _ASIDE.fullmatch(left.name)
        if named and (locked or _is_left(left, named[1], int(named[2]))):
            remove(left)


def _is_left(path: Path, machine: str | None, process: int) -> bool:
    """Return whether the process that was writing a file is gone."""
    if machine == machine_name():
        return not process_runs(process)
    with suppress(FileNotFoundError):  # finished in the meantime
        return time.time() - path.lstat().st_mtime > FORGOTTEN
    return False
