"""Writes documents as the hub keeps data sets: files of each split, and a card that says which files they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

CARD = "README.md"
"""The name of a data set's card."""

STEREOSET_FORMS = ("anti-stereotype", "stereotype", "unrelated")
"""StereoSet's gold labels, by their codes."""


def write_split(folder: Path, config: str, split: str, frame: pl.DataFrame) -> None:
    """Write one split of a configuration as a Parquet file."""
    (folder / config).mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / config / f"{split}-00000-of-00001.parquet")


def write_card(
    folder: Path, configs: Mapping[str, Mapping[str, str]], options: Mapping[str, str] | None = None, **more: Any
) -> None:
    """Write the card by which `datasets` knows the configurations.

    Args:
        folder: of the data set.
        configs: by configuration and split, the pattern of its files.
        options: of the reader of the files, such as the separator of a table.
        more: further keys of the card, such as the types of columns.
    """
    described = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": path} for split, path in splits.items()],
            **(options or {}),
        }
        for name, splits in configs.items()
    ]
    card = yaml.safe_dump({**more, "configs": described}, sort_keys=False)
    (folder / CARD).write_text(f"---\n{card}---\n", encoding="utf-8")


def has_card(folder: Path) -> bool:
    """Return whether a folder has a card with the configurations or columns of a data set, as the hub's have."""
    try:
        text = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    head = text.split("\n---", 1)[0] if text.startswith("---\n") else ""
    return any(line.startswith(("configs:", "dataset_info:")) for line in head.splitlines())


def write_stereoset(folder: Path, parts: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write StereoSet by configuration; `sentences` of a document is a structure of lists, with labels as codes."""
    for name, rows in parts.items():
        write_split(folder, name, "validation", pl.DataFrame(rows))
    forms = dict(enumerate(STEREOSET_FORMS))
    label, gold = ({"class_label": {"names": names}} for names in ({**forms, len(forms): "related"}, forms))
    features = [
        *({"name": name, "dtype": "string"} for name in ("id", "target", "bias_type", "context")),
        {
            "name": "sentences",
            "sequence": [
                {"name": "sentence", "dtype": "string"},
                {"name": "id", "dtype": "string"},
                {
                    "name": "labels",
                    "sequence": [{"name": "label", "dtype": label}, {"name": "human_id", "dtype": "string"}],
                },
                {"name": "gold_label", "dtype": gold},
            ],
        },
    ]
    described = [{"config_name": name, "features": features} for name in parts]
    configs = {name: {"validation": f"{name}/validation-*.parquet"} for name in parts}
    write_card(folder, configs, dataset_info=described)
