"""The attributes of `Results` that reports read, as a typing protocol, so that reports need not import it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import polars as pl

from evenhand.audit.design import Design


class Reportable(Protocol):
    """The attributes of `evenhand.audit.results.Results` that the report reads."""

    @property
    def examples(self) -> pl.DataFrame: ...
    @property
    def trials(self) -> pl.DataFrame: ...
    @property
    def design(self) -> Design: ...
    @property
    def estimates(self) -> pl.DataFrame: ...
    @property
    def verdicts(self) -> pl.DataFrame: ...
    @property
    def curves(self) -> pl.DataFrame: ...
    @property
    def looks(self) -> pl.DataFrame: ...
    @property
    def findings(self) -> pl.DataFrame: ...
    @property
    def provenance(self) -> Mapping[str, str]: ...


def levels(results: Reportable) -> pl.DataFrame:
    """Estimates of measures themselves, without the gaps between groups and their rests."""
    return results.estimates.filter(pl.col("comparison").is_null())
