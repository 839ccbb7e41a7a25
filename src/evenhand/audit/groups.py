"""Groups of examples as masks: an attribute's groups may overlap, and an example may be in none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand import records


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of one attribute over the examples of one setting.

    Attributes:
        attribute: its name.
        names: of the groups [G], sorted; a missing value is the group `(missing)`.
        masks: bool [n, G].
        defined: bool [n]; False where the attribute does not exist for an example (a further test set without it).
            Such examples are neither in a group nor in a group's complement.
    """

    attribute: str
    names: tuple[str, ...]
    masks: np.ndarray
    defined: np.ndarray


def groups_of(examples: pl.DataFrame) -> tuple[Groups, ...]:
    """Every attribute of an `examples` table (one setting's rows) that is defined for at least one example."""
    found = []
    for attribute in records.attributes(examples):
        column = examples[records.ATTRIBUTE + attribute]
        defined = column.is_not_null().to_numpy()
        if not defined.any():
            continue
        long = pl.DataFrame({"row": np.arange(len(column)), "group": column}).explode("group").drop_nulls("group")
        names = sorted(long["group"].unique().to_list())
        masks = np.zeros((len(column), len(names)), dtype=bool)
        codes = long["group"].replace_strict(names, range(len(names)), return_dtype=pl.Int64) if names else long["row"]
        masks[long["row"].to_numpy(), codes.to_numpy()] = True
        found.append(Groups(attribute, tuple(names), masks, defined))
    return tuple(found)
