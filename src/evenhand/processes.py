"""Identifies processes of machines and containers that share a folder, and gives each a name for its temporary files.

Processes of two containers may have the same number, so a number alone identifies nothing.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from typing import Any


def identity() -> dict[str, Any]:
    """Return what identifies this process: its host, its machine or container, and its number there."""
    return _identity_of(os.getpid())


def machine_name() -> str:
    """Return a name of this machine or container for the names of files: 12 hexadecimal digits."""
    return hashlib.blake2b(identity()["machine"].encode(), digest_size=6).hexdigest()


def temporary_name() -> str:
    """Return a name that no other process uses for its temporary files, on whatever machine it runs.

    Example:
        >>> import os
        >>> from evenhand.processes import machine_name, temporary_name
        >>> temporary_name() == f"{machine_name()}-{os.getpid()}"
        True
    """
    return f"{machine_name()}-{os.getpid()}"


def process_runs(process: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@cache
def _identity_of(process: int) -> dict[str, Any]:
    """Return what identifies a process of this machine; processes of two containers are of two machines."""
    named = [socket.gethostname()]
    for path, read in (("/proc/sys/kernel/random/boot_id", Path.read_text), ("/proc/self/ns/pid", os.readlink)):
        try:
            named.append(str(read(Path(path))).strip())
        except OSError:
            continue
    return {"host": named[0], "machine": " ".join(named), "process": process}
