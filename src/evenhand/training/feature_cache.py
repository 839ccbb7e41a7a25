"""Where cached features are kept: files written aside and renamed, found by contents, trusted by their checksums."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import torch

STATES, INDEX = "states.bin", "index.json"


@dataclass(frozen=True)
class FeatureCache:
    """What leaves one frozen prefix: a folder with a part for the examples that were missing each time.

    Attributes:
        folder: named after what made the contents; all shelves of a study lie side by side.
        limit: bytes that they may take together. Never more than half of what is free on the disk is added.
    """

    folder: Path
    limit: float = math.inf

    def read(self) -> dict[str, torch.Tensor]:
        """What is kept by the key of its example, [tokens, ...], mapped from the file. A part that is damaged, cut off
        or made by another prefix is deleted."""
        found: dict[str, torch.Tensor] = {}
        for file, index in self.parts():
            size = sum(index["tokens"]) * math.prod(index["shape"])
            flat = torch.from_file(str(file), size=size, dtype=getattr(torch, index["dtype"]))
            states = flat.view(-1, *index["shape"]).split(index["tokens"])
            found |= dict(zip(index["keys"], states, strict=True))
        return found

    def parts(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The file of each part that can be trusted, and its index; the others are deleted."""
        for part in sorted(self.folder.glob("[!.]*")):
            index = _index(part, self.folder.name)
            if index is None:
                shutil.rmtree(part, ignore_errors=True)
            else:
                yield part / STATES, index

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may be added."""
        shelves = self.folder.parent
        shelves.mkdir(parents=True, exist_ok=True)
        # A shelf's parts' files: what lies deeper is not these shelves'.
        taken = sum(path.stat().st_size for path in shelves.glob("*/*/*") if path.is_file())
        return taken + size <= self.limit and size <= shutil.disk_usage(shelves).free // 2

    @contextmanager
    def writing(self) -> Iterator[Part]:
        """A new part. It is there once it is kept; otherwise nothing is left of it when the block ends."""
        aside = self.folder / f".{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            with (aside / STATES).open("wb") as file:
                yield Part(aside, file)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@dataclass(eq=False)
class Part:
    """A part that is being written.

    Attributes:
        aside: its folder, under a name that is not read.
        file: of the states, one example's after the other's.
        keys, tokens: of the examples so far.
        like: one of them, for the type and the shape.
    """

    aside: Path
    file: BinaryIO
    keys: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    like: torch.Tensor | None = None

    def add(self, keys: Sequence[str], states: Sequence[torch.Tensor]) -> None:
        """The states of some examples, each [tokens, ...]."""
        for key, one in zip(keys, states, strict=True):
            self.file.write(raw(one))
            self.keys.append(key)
            self.tokens.append(len(one))
            self.like = one

    def keep(self) -> None:
        """Give it the name under which it is read."""
        assert self.like is not None
        self.file.flush()
        index = {
            "shelf": self.aside.parent.name,
            "dtype": str(self.like.dtype).removeprefix("torch."),
            "shape": list(self.like.shape[1:]),
            "keys": self.keys,
            "tokens": self.tokens,
        }
        checksum = _checksum(self.aside / STATES, index)
        (self.aside / INDEX).write_text(json.dumps({**index, "checksum": checksum}), encoding="utf-8")
        final = self.aside.with_name(checksum)
        try:
            self.aside.rename(final)
        except OSError:
            # Another process may have written the same.
            if not final.exists():
                raise


def raw(tensor: torch.Tensor) -> memoryview:
    """The bytes of a tensor's numbers, in order."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data


def _index(part: Path, shelf: str) -> dict[str, Any] | None:
    """The index of a part, or None where it cannot be trusted."""
    states, index = part / STATES, part / INDEX
    if not states.is_file() or not index.is_file():
        return None
    stamps = tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in (states.stat(), index.stat()))
    found = _trusted(part, stamps)
    return found if found is not None and found["shelf"] == shelf else None


@lru_cache(maxsize=64)
def _trusted(part: Path, stamps: tuple[tuple[int, ...], ...]) -> dict[str, Any] | None:
    """The index whose checksum is right; read again when a file was touched."""
    try:
        index = json.loads((part / INDEX).read_text(encoding="utf-8"))
        checksum = index.pop("checksum")
    except (ValueError, KeyError, AttributeError):
        return None
    return index if _checksum(part / STATES, index) == checksum else None


def _checksum(states: Path, index: dict[str, Any]) -> str:
    with states.open("rb") as file:
        contents = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    described = json.dumps(index, sort_keys=True).encode()
    return hashlib.blake2b(contents + described, digest_size=16).hexdigest()
