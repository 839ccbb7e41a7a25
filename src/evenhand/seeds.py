"""Turns a seed into random numbers; no other file does.

Every use of a seed has a separate stream ("split", "order", "head", "adapter", "dropout", "noise" and others). So
drawing more numbers for one purpose never shifts another, and methods with the same seed share its split, its order and
its head initialisation, whatever else they draw.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *stream: str | int) -> int:
    """Return a 63-bit integer that depends only on the seed and the stream's names, on every machine."""
    text = "/".join(str(part) for part in (seed, *stream))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *stream: str | int) -> np.random.Generator:
    """Return a NumPy generator for one stream of a seed."""
    return np.random.default_rng(derive(seed, *stream))
