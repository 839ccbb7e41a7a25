"""Draws study files that are nearly right: real ones with values, keys or characters changed at random."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "src/evenhand/presets").rglob("*.yaml"), *(ROOT / "examples").glob("*.yaml")]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3.5, 1e-9, 1e30, -0.0, float("inf"), float("nan"), 2**31, 2**53 + 1, 2**70, 10**30,
    "", " ", "none", "default", "a", "ü", "\u202e", "\x1b[31m", "a\nb", "x" * 5000, "1e-3", "0.5", "2024-01-01",
    "lora", "full", "accuracy", "test", "train", "main", "rest", "auto", "../../etc", "http://x", "tiny-bert", "self",
    [], [None], [1, 1], [[1]], ["a", "a"], [0, 1, 2], {}, {"name": None}, {"a": {"b": {}}}, {"kind": "lora"}, {1: 2},
    {"kind": "lora", "rank": 10**6}, {"name": "synthetic/posts"}, [{"name": "table"}],
)  # fmt: skip
"""Values that somebody may write where another is expected."""

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

TEXTS = ("{", "}", "[", "]", ":", "- ", "\t", "&a ", "*a", "<<: ", "!!python/object:os.system ", "!!int ", "|\n", '"')


def sources() -> list[dict[str, Any]]:
    """Return the mappings of the presets and the examples."""
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in SOURCES]


def mutated(rng: np.random.Generator, study: dict[str, Any], changes: int) -> dict[str, Any]:
    """Return a copy of a study with some values, keys or entries changed at random."""
    study = copy.deepcopy(study)
    for _ in range(changes):
        places = list(_places(study))
        if not places:
            break
        holder, key = places[rng.integers(len(places))]
        _change(rng, holder, key)
    return study


def as_text(rng: np.random.Generator, study: dict[str, Any], changes: int) -> str:
    """Return a study as YAML with some characters inserted, deleted or repeated at random."""
    text = yaml.dump(study, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    for _ in range(changes):
        at = int(rng.integers(0, len(text) + 1))
        match rng.integers(4):
            case 0:
                text = text[:at] + text[at + 1 :]
            case 1:
                text = text[:at] + TEXTS[rng.integers(len(TEXTS))] + text[at:]
            case 2:
                text = text[:at] + text[at : at + 40] + text[at:]
            case _:
                text = text[:at] + chr(int(rng.integers(1, 0x3000))) + text[at:]
    return text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every entry of nested mappings and lists, as the holder and the key."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield value, key
        yield from _places(inner)


def _change(rng: np.random.Generator, holder: Any, key: Any) -> None:
    """Change one entry: its value, its key, or whether it is there."""
    value = VALUES[rng.integers(len(VALUES))]
    match rng.integers(5):
        case 0 | 1:
            holder[key] = copy.deepcopy(value)
        case 2:
            del holder[key]
        case 3 if isinstance(holder, dict) and isinstance(key, str):
            at = int(rng.integers(0, len(key) + 1))
            holder[key[:at] + "x" + key[at:]] = holder.pop(key)
        case _ if isinstance(holder[key], bool) or not isinstance(holder[key], int | float):
            holder[key] = [holder[key]]
        case _:
            holder[key] = holder[key] * [-1, 0, 0.5, 2, 1000][rng.integers(5)]
