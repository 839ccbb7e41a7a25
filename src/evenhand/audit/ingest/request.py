"""What an audit of a table is asked for: the keywords of `evenhand.audit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SETTING = "table"
"""The one setting of a table."""


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """The keywords of `evenhand.audit.ingest.table.audit`, which describes them."""

    label: str | None = None
    prediction: str | None = None
    probability: str | Sequence[str] | None = None
    groups: str | Sequence[str] = ()
    positive: object | None = None
    favourable: Literal["positive", "negative"] | None = None
    method: str | None = None
    seed: str | None = None
    reference: str | Sequence[str] | None = None
    example: str | None = None
    unit: str | None = None
    weight: str | None = None
    margins: Mapping[str, float] | None = None
    measures: Sequence[str] | None = None
    comparison: Literal["gap"] | None = None
    against: str | Sequence[str] | None = None
    thresholds: bool = False
    split: Literal["fixed", "varying"] | None = None
    test_share: float | None = None
    member: str | None = None
    score: str | None = None
    task: Literal["classification", "regression"] = "classification"
    value: str | Sequence[str] | None = None
    more_is: str | Mapping[str, str] | None = None
    range: Sequence[float] | Mapping[str, Sequence[float]] | None = None
    scale: str | Mapping[str, str] | None = None
    subgroups: Mapping[str, Any] | None = None
    source: str = "table"


def several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names as texts, from none, one or several."""
    if names is None:
        return ()
    return tuple(map(str, names)) if isinstance(names, Sequence) and not isinstance(names, str) else (str(names),)
