"""Reads membership and attack scores from a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.ingest.columns import Columns
from evenhand.errors import InputError


@dataclass(frozen=True, eq=False)
class Scored:
    """Membership and scores of the rows of a table.

    Attributes:
        member: bool [n], whether the row's model was trained on its example.
        score: float64 [n]; more is more member-like.
    """

    member: np.ndarray
    score: np.ndarray

    def varies(self, example: pl.Series) -> bool:
        """Whether some example [n] was in one model's training set and not in another's."""
        known = pl.DataFrame({"example": example, "member": self.member})
        return known.unique()["example"].n_unique() < len(known.unique())


def scored(columns: Columns, member: str | None, score: str | None) -> Scored | None:
    """Read the columns of membership and scores; None where neither is named.

    Raises:
        InputError: one of them without the other; a membership that is missing, neither true nor false, or the same in
            every row; a score that is missing or no finite number.
    """
    if member is None and score is None:
        return None
    if member is None or score is None:
        present, absent = ("score", "member") if member is None else ("member", "score")
        raise InputError(
            f"{columns.source}: the column of {present} is named and that of {absent} is not; an audit of membership "
            "needs both, who was trained on and what the attack says"
        )
    columns.full(member, "member")
    meaning = "it is true (1) where the model was trained on the example, else false (0)"
    is_member = columns.flags(member, "member", meaning).to_numpy()
    if is_member.all() or not is_member.any():
        raise InputError(
            f"{columns.subject(member, 'member')} is {str(bool(is_member[0])).lower()} in every row; members and "
            "non-members are both needed"
        )
    return Scored(is_member, columns.numbers(score, "score"))


def scored_tables(trial: pl.Series, example: pl.Series, membership: Scored | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables `members` and `scores` of rows with these trials and examples; empty without scores."""
    if membership is None:
        return records.TABLES["members"].empty(), records.TABLES["scores"].empty()
    rows = {"trial": trial, "example": example}
    return (
        records.validate(pl.DataFrame({**rows, "member": membership.member}), "members"),
        records.validate(pl.DataFrame({**rows, "score": membership.score}), "scores"),
    )
