"""The tables between training and audit: their schemas, and Parquet files validated on read and on write.

A table is a polars DataFrame. Its schema defines each column's type, which columns may be null, which columns identify
a row, and which words a column may hold. Files are Parquet, written under a temporary name and renamed, so that a
reader sees a complete table or none.
"""

from evenhand.records.files import UNREADABLE, metadata, read, stacked, write
from evenhand.records.schemas import (
    ATTRIBUTE,
    COMPARISONS,
    DISPARITIES,
    LISTS,
    LOGITS,
    PROBABILITIES,
    ROLES,
    SCOPES,
    STATUS,
    TABLES,
    VERDICTS,
    Table,
    attributes,
)
from evenhand.records.validation import from_rows, repeated_rows, validate

__all__ = [
    "ATTRIBUTE",
    "COMPARISONS",
    "DISPARITIES",
    "LISTS",
    "LOGITS",
    "PROBABILITIES",
    "ROLES",
    "SCOPES",
    "STATUS",
    "TABLES",
    "UNREADABLE",
    "VERDICTS",
    "Table",
    "attributes",
    "from_rows",
    "metadata",
    "read",
    "repeated_rows",
    "stacked",
    "validate",
    "write",
]
