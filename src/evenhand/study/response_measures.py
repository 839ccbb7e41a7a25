"""Declares the measures of the task `sft`, which are means of the values that its trials leave for held-out pairs."""

from __future__ import annotations

from evenhand.audit.design import DeclaredMeasure
from evenhand.tasks.sft import LOSS, MATCH

RESPONSES = (
    DeclaredMeasure(name=LOSS, kind="values", more_is="worse"),
    DeclaredMeasure(name=MATCH, kind="values", more_is="better", range=(0.0, 1.0), shares=True),
)
"""`response_loss`, in nats per token, and `exact_match`."""
