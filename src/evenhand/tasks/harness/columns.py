"""Names the columns of benchmark documents that give their groups and their resampling units.

The documents of BBQ come from some 300 templates with names and questions exchanged, those of Winogender from 60
occupations with six sentences and three pronouns each, and StereoSet asks several times about one target. The units
are the template, the occupation and the target: documents of one unit are not independent, and intervals that treat
them as independent are too narrow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from evenhand.errors import InputError, did_you_mean

MISSING = "(missing)"
"""The group of a document that has none in this column."""


@dataclass(frozen=True)
class DocumentColumns:
    """The columns of a benchmark's documents that give their groups and their units.

    Attributes:
        groups: columns that become attributes; their values are groups.
        unit: columns that together name the unit, which is resampled as a whole and never split; none: the document
            with its copies.
    """

    groups: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """The text that represents the columns in a fingerprint; a different text would score kept trials again."""
        return f"Columns(groups={self.groups!r}, unit={self.unit!r})"

    def check(self, task: str, columns: list[str]) -> None:
        """Raise InputError if the documents lack a column."""
        for column in (*self.groups, *self.unit):
            if column not in columns:
                raise InputError(
                    f'harness.columns.{task}: its documents have no column "{column}"; {did_you_mean(column, columns)}'
                )

    def groups_of(self, document: Mapping[str, Any]) -> list[str]:
        """Return a document's groups as `ATTRIBUTE=GROUP`."""
        values = ((column, document[column]) for column in self.groups)
        return [f"{column}={MISSING if value in (None, '') else value}" for column, value in values]

    def unit_of(self, data: str, document: Mapping[str, Any]) -> str:
        """Return the name of a document's unit: a hash, so that it does not reveal the document's text.

        A document of the data set `data` has the same unit in every task that uses it.
        """
        named = {column: document[column] for column in self.unit} or document
        text = json.dumps([data, named], sort_keys=True, default=str, ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


KNOWN: Mapping[str, DocumentColumns] = MappingProxyType(
    {
        "jannalu/crows_pairs_multilingual": DocumentColumns(("bias_type",)),
        "oskarvanderwal/bbq": DocumentColumns(("category", "context_condition"), ("category", "question_index")),
        "oskarvanderwal/winogender": DocumentColumns(("gender",), ("occupation",)),
        "McGill-NLP/stereoset": DocumentColumns(("bias_type",), ("bias_type", "target")),
    }
)
"""The built-in columns, by data set of the hub."""

BY_GROUP: Mapping[str, str] = MappingProxyType({"amb_bias_score": "category", "disamb_bias_score": "category"})
"""Metrics that the harness also reports for each group of an attribute, as `METRIC_GROUP`."""

OF_CONTEXTS = ("accuracy_amb", "accuracy_disamb")
"""Metrics of BBQ that are another one (`acc`) of a group of documents (`context_condition`)."""
