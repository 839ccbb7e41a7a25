"""Writes files and folders whole or not at all, and removes what killed processes left half-written."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ASIDE = re.compile(r"\.(\d+)-.+")


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
    return path.with_name(f".{os.getpid()}-{path.name}")


def remove_leftovers(folder: Path, *, locked: bool = False) -> None:
    """Remove from a folder what killed processes left half-written; with `locked`, whatever this process did not write.

    `locked` says that this process holds the folder's lock, so that no other one is writing there.
    """
    for left in folder.glob(".*"):
        named = _ASIDE.fullmatch(left.name)
        if named and (locked or not process_runs(int(named[1]))):
            remove(left)


def process_runs(process: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
