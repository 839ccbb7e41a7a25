"""What the audit needs besides records: who is compared with whom, how splits were made, what is harmless."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evenhand.spec import Spec

DEFAULT_SUPPORT = 10
"""Groups with fewer test examples in some seed are shown but left out of max − min and of ratios."""


class SettingDesign(Spec):
    """One setting of a study, as the audit sees it.

    Attributes:
        references: methods that the others are compared with.
        methods: in the order in which a reader wants them.
        classes: class names; empty when unknown.
        positive: code of the favourable or flagged class of a binary task.
        vary: a new split per seed (the paper's design) or one fixed split.
        test_share: share of the examples that is tested, for the corrected resampled t.
        task, model: for the report only.
    """

    references: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    positive: int = 1
    vary: bool = True
    test_share: float | None = None
    task: str = ""
    model: str = ""
    notes: tuple[str, ...] = ()


class MarginChange(Spec):
    """A margin that was declared or changed, and when; a margin is worth most when declared before looking."""

    date: str
    margins: dict[str, float]


class Design(Spec):
    """Frozen; built by a study or by the audit command, kept beside the records as `design.json`.

    Attributes:
        settings: by name.
        measures: names from `evenhand.audit.measures`; empty means the defaults.
        margins: by measure; `default` serves measures on a 0–1 scale.
        margin_history: earlier declarations, oldest first.
        support: see DEFAULT_SUPPORT.
        alpha: one-sided level of a verdict; verdict intervals are 1 − 2·alpha.
        paired: "example" (by id), "order" (row order agreed), or "none" (unpaired; said in the report).
        source: where the records came from: a study's name or a table's file name.
    """

    settings: dict[str, SettingDesign]
    measures: tuple[str, ...] = ()
    margins: dict[str, float] = Field(default_factory=dict)
    margin_history: tuple[MarginChange, ...] = ()
    support: int = DEFAULT_SUPPORT
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    paired: Literal["example", "order", "none"] = "example"
    source: str = ""
