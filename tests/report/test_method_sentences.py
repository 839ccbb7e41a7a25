"""The headline's sentences on a method name it, and say by how much it harms whom."""

from __future__ import annotations

import numpy as np
import polars as pl

import evenhand as eh


def test_values_without_a_direction_do_not_hide_who_is_harmed():
    rng = np.random.default_rng(0)
    group, label, parts = rng.choice(["a", "b"], 1000), rng.integers(0, 2, 1000), []
    for method in ("old", "new"):
        bad = (method == "new") & (group == "b")
        predicted = np.where(rng.random(1000) < np.where(bad, 0.6, 0.9), label, 1 - label)
        part = {"id": np.arange(1000), "y": label, "h": predicted, "g": group, "v": rng.normal(size=1000) + 2.0 * bad}
        parts.append(pl.DataFrame(part).with_columns(method=pl.lit(method)))
    table = pl.concat(parts)
    given = {"label": "y", "prediction": "h", "groups": "g", "example": "id", "source": "t"}
    compared = {**given, "method": "method", "reference": "old"}
    without, beside = (eh.audit(table, **compared, **more).summary().splitlines()[1] for more in ({}, {"value": "v"}))
    assert without.startswith("new is less accurate than old for g = b, by ") and beside.startswith(without)
    assert "Different, with neither direction declared worse: v, higher for g = b by " in beside
    only = {**compared, "label": None, "prediction": None, "value": "v"}
    alone = eh.audit(table, **only).summary().splitlines()[1]
    assert alone.startswith(
        "Different, with neither direction declared worse: v, higher for g = b under new than under old by "
    )
