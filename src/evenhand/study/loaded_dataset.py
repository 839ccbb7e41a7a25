"""A data set whose inputs are hashed at most once, and its rows in the table of examples."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.data.dataset import Dataset, content_hash
from evenhand.data.pairs import Pairs, pairs_hash
from evenhand.data.sft import Conversations

_NO_LABEL = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class LoadedDataset:
    """A data set that hashes each of its inputs at most once.

    Attributes:
        dataset: the examples.
        labelled: whether models learn its labels; the labels of reviews are used only by the split.
    """

    dataset: Dataset
    labelled: bool = True

    @cached_property
    def keys(self) -> list[str]:
        """The key of each input, which is hashed instead of the input."""
        return input_keys(self.dataset.inputs)

    def contents(self, index: np.ndarray) -> str:
        """Return the hash of the inputs and labels (or sources and targets) at these positions, in order."""
        inputs = [self.keys[int(i)] for i in index]
        if isinstance(self.dataset, Pairs):
            return pairs_hash(inputs, [self.dataset.targets[int(i)] for i in index])
        labels = self.dataset.labels[index]
        return content_hash(inputs, labels if self.labelled else np.zeros_like(labels))

    def fingerprint(self, index: np.ndarray) -> str:
        """Return the hash of the ids and inputs at these positions, which identifies them in records.

        Labels may change without new predictions. A model is measured on a response itself, so that the fingerprint of
        conversations is also of their responses, and of how they become texts.
        """
        ids = "\0".join(str(example) for example in self.dataset.example[index])
        inputs = content_hash([self.keys[int(i)] for i in index], np.zeros(len(index), dtype=np.int64))
        found = f"{hashlib.blake2b(ids.encode(), digest_size=16).hexdigest()}-{inputs}"
        if isinstance(self.dataset, Conversations):
            found = f"{found}-{self.contents(index)}-{self.dataset.template}"
        return found

    def rows(self, setting: str) -> pl.DataFrame:
        """Return the rows of the table `examples`."""
        dataset = self.dataset
        columns: dict[str, Any] = {
            "setting": [setting] * len(dataset),
            "example": [str(example) for example in dataset.example],
            "label": dataset.labels.astype(np.int64),
            "weight": dataset.weight.astype(np.float64),
            "unit": [str(unit) for unit in dataset.unit],
        }
        if isinstance(dataset, Pairs) or not self.labelled:
            # If texts are generated or learned as a whole, only the split uses their labels.
            columns["label"] = pl.Series([None] * len(dataset), dtype=pl.Int64)
        if isinstance(dataset, Pairs):
            columns["references"] = pl.Series([[target] for target in dataset.targets], dtype=records.LISTS)
        if isinstance(dataset, Conversations):
            columns["zlib_bytes"] = [len(zlib.compress(target.encode())) for target in dataset.targets]
        for name, attribute in dataset.attributes.items():
            columns[records.ATTRIBUTE + name] = pl.Series(attribute.lists(), dtype=records.LISTS)
        return pl.DataFrame(columns)


def input_keys(inputs: Sequence[Any]) -> list[str]:
    """Return the key by which each input is hashed: a text itself, and the hash of an image.

    An image may be a file that takes long to read, so it is hashed once.
    """
    return [value if isinstance(value, str) else content_hash([value], _NO_LABEL) for value in inputs]
