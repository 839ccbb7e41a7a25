"""Stores cached features in files that are found by content and trusted by checksum.

Files are written under a temporary name and renamed.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import torch

from evenhand.processes import temporary_name

STATES, INDEX = "states.bin", "index.json"


@dataclass(frozen=True)
class FeatureCache:
    """A folder of cached features of one frozen prefix, in parts: one for each time that examples were missing.

    Attributes:
        folder: named after the prefix that computed the contents; the caches of a study are sibling folders.
        limit: bytes that the caches may take together. A cache never takes more than half of the free disk.
    """

    folder: Path
    limit: float = math.inf

    def read(self) -> dict[str, torch.Tensor]:
        """Return all features by example key, each [tokens, ...], mapped from the files.

        A part that is damaged, incomplete or made by another prefix is deleted.
        """
        features: dict[str, torch.Tensor] = {}
        for file, index in self.parts():
            size = sum(index["tokens"]) * math.prod(index["shape"])
            flat = torch.from_file(str(file), size=size, dtype=getattr(torch, index["dtype"]))
            states = flat.view(-1, *index["shape"]).split(index["tokens"])
            features |= dict(zip(index["keys"], states, strict=True))
        return features

    def parts(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the file and the index of each valid part, and delete the invalid ones."""
        for part in sorted(self.folder.glob("[!.]*")):
            index = _index(part, self.folder.name)
            if index is None:
                shutil.rmtree(part, ignore_errors=True)
            else:
                yield part / STATES, index

    def has_room(self, size: int) -> bool:
        """Return whether `size` bytes may be added."""
        all_caches = self.folder.parent
        all_caches.mkdir(parents=True, exist_ok=True)
        # Files of the caches' parts; deeper files belong to something else.
        taken = sum(path.stat().st_size for path in all_caches.glob("*/*/*") if path.is_file())
        return taken + size <= self.limit and size <= shutil.disk_usage(all_caches).free // 2

    @contextmanager
    def writing(self) -> Iterator[CachePartWriter]:
        """Context manager that writes a new part; without a call of `commit` the part is deleted."""
        temporary_folder = self.folder / f".{temporary_name()}"
        shutil.rmtree(temporary_folder, ignore_errors=True)
        temporary_folder.mkdir(parents=True)
        try:
            with (temporary_folder / STATES).open("wb") as file:
                yield CachePartWriter(temporary_folder, file)
        finally:
            shutil.rmtree(temporary_folder, ignore_errors=True)


@dataclass(eq=False)
class CachePartWriter:
    """Writes one part of a feature cache.

    Attributes:
        temporary_folder: the part's folder, under a name that readers ignore.
        file: file of the states, one example after the other.
        keys, tokens: keys and numbers of tokens of the examples so far.
        sample: the state of one example, for the type and the shape.
    """

    temporary_folder: Path
    file: BinaryIO
    keys: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    sample: torch.Tensor | None = None

    def add(self, keys: Sequence[str], states: Sequence[torch.Tensor]) -> None:
        """Append the features of some examples, each [tokens, ...]."""
        for key, features in zip(keys, states, strict=True):
            self.file.write(tensor_bytes(features))
            self.keys.append(key)
            self.tokens.append(len(features))
            self.sample = features

    def commit(self) -> None:
        """Write the index and rename the part, so that readers see it."""
        assert self.sample is not None
        self.file.flush()
        index = {
            "shelf": self.temporary_folder.parent.name,
            "dtype": str(self.sample.dtype).removeprefix("torch."),
            "shape": list(self.sample.shape[1:]),
            "keys": self.keys,
            "tokens": self.tokens,
        }
        checksum = _checksum(self.temporary_folder / STATES, index)
        (self.temporary_folder / INDEX).write_text(json.dumps({**index, "checksum": checksum}), encoding="utf-8")
        final = self.temporary_folder.with_name(checksum)
        try:
            self.temporary_folder.rename(final)
        except OSError:
            # Another process may have written the same.
            if not final.exists():
                raise


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a tensor's numbers, in order."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data


def _index(part: Path, cache_name: str) -> dict[str, Any] | None:
    """Return the index of a part, or None if it cannot be trusted."""
    states, index = part / STATES, part / INDEX
    if not states.is_file() or not index.is_file():
        return None
    stamps = tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in (states.stat(), index.stat()))
    contents = _trusted(part, stamps)
    return contents if contents is not None and contents["shelf"] == cache_name else None


@lru_cache(maxsize=64)
def _trusted(part: Path, stamps: tuple[tuple[int, ...], ...]) -> dict[str, Any] | None:
    """Return the index if its checksum is right; cached until a file changes."""
    try:
        index = json.loads((part / INDEX).read_text(encoding="utf-8"))
        checksum = index.pop("checksum")
    except (ValueError, KeyError, AttributeError):
        return None
    return index if _checksum(part / STATES, index) == checksum else None


def _checksum(states: Path, index: dict[str, Any]) -> str:
    """Return the checksum of a part's features and index."""
    with states.open("rb") as file:
        contents = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    described = json.dumps(index, sort_keys=True).encode()
    return hashlib.blake2b(contents + described, digest_size=16).hexdigest()
