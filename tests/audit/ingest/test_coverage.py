"""Claims about what methods were tested on in common: missing answers, ids that never match, copies."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand.audit.ingest.table import audit
from evenhand.audit.ingest.table_records import TableRequest, records_from_table
from evenhand.errors import InputError
from evenhand.report.headline import headline

N = 200
OPTIONS = {"label": "y", "prediction": "yhat", "groups": "g", "method": "m", "seed": "s", "reference": "a"}


def frame(n: int = N, seeds: int = 3, seed: int = 0) -> pl.DataFrame:
    """Two methods that err alike, on one test set."""
    rng = np.random.default_rng(seed)
    label, group = rng.integers(0, 2, n), np.where(np.arange(n) % 4 == 0, "few", "many")
    parts = []
    for run in range(seeds):
        for method in "ab":
            p = np.clip(label * 0.4 + 0.3 + rng.normal(0, 0.3, n), 0, 1)
            columns = {"id": np.arange(n), "y": label, "g": group, "p": p, "yhat": (p > 0.5).astype(int)}
            parts.append(pl.DataFrame(columns).with_columns(m=pl.lit(method), s=pl.lit(run)))
    return pl.concat(parts)


def test_a_method_that_does_not_answer_where_it_would_err_is_named_first_and_in_every_row():
    whole = frame()
    wrong = (pl.col("m") == "b") & (pl.col("yhat") != pl.col("y")) & (pl.col("g") == "few")
    kept = whole.filter(~wrong)
    lost = len(whole) - len(kept)
    results = audit(kept, **OPTIONS, example="id", measures=["accuracy"], margins={"accuracy": 0.05})
    first = headline(results)[0]
    assert first.startswith(f"b has no prediction of {100 * lost / (3 * N):.1f}% of the examples")
    assert f"g = few {100 * lost / (3 * N / 4):.1f}%" in first
    rows = results.verdicts.filter(pl.col("comparison") == "change")
    said = {row["group"]: row["note"] for row in rows.iter_rows(named=True)}
    assert f"predictions are missing: b {100 * lost / (3 * N):.1f}%, a 0.0%" in said[None]
    assert f"predictions are missing: b {100 * lost / (3 * N / 4):.1f}%, a 0.0%" in said["few"]
    assert "predictions are missing: b 0.0%, a 0.0%" in said["many"]


def test_nothing_is_said_where_nothing_is_missing():
    results = audit(frame(), **OPTIONS, example="id", measures=["accuracy"])
    assert results.design.settings["table"].warnings == ()
    assert not results.verdicts["note"].str.contains("are missing").any()


def test_ids_that_never_match_are_said_first_and_pass_no_gate(tmp_path, evenhand):
    apart = frame().with_columns(id=pl.format("{}-{}", "m", "id"))
    results = audit(apart, **OPTIONS, example="id", measures=["accuracy"], margins={"accuracy": 0.05}, out=tmp_path)
    assert headline(results)[0].startswith("b and a have no example id in common")
    with pytest.raises(InputError, match="no example id in common"):
        results.failed({"worse"})
    called = evenhand("check", tmp_path)
    assert called.returncode == 2 and "give the same examples the same ids" in called.stderr
    assert called.stderr.count("\n") == 1


def notes(table: pl.DataFrame, **options) -> str:
    found = records_from_table(table, TableRequest(**{**OPTIONS, "example": "id", "probability": "p", **options}))
    return " ".join(found.design.settings["table"].notes)


def test_copies_that_are_no_declared_unit_are_counted_and_named():
    once = frame(n=50)
    four = pl.concat([once.with_columns(id=pl.col("id") + 1000 * copy) for copy in range(4)])
    said = notes(four)
    assert "200 of 200 examples are alike in label" in said and "50 different ones, such as 0, 1000, 2000" in said
    assert "are alike in" not in notes(once)
    assert "are alike in" not in notes(four.with_columns(u=pl.col("id") % 1000), unit="u")
    one_copy = pl.concat([once, once.filter(pl.col("id") == 7).with_columns(id=pl.lit(99, pl.Int64))])
    assert "2 of 51 examples are alike in label" in notes(one_copy) and "such as 7, 99" in notes(one_copy)


@pytest.mark.parametrize("values", [101, 12])
def test_coincidences_of_rounded_probabilities_are_no_copies(values: int):
    rng = np.random.default_rng(0)
    p = rng.random(3000).round(2) if values > 100 else rng.choice(rng.random(values), 3000)
    label, g = rng.integers(0, 2, 3000), rng.choice(["a", "b"], 3000)
    table = pl.DataFrame({"id": range(3000), "y": label, "p": p, "g": g})
    options = {"label": "y", "probability": "p", "groups": "g", "example": "id"}
    (said,) = [
        note
        for note in records_from_table(table, TableRequest(**options)).design.settings["table"].notes
        if "are alike in" in note
    ]
    assert "which can be chance" in said and "copies of one case must" not in said
    once = table[:30].with_columns(p=pl.Series(rng.random(30)))
    copied = pl.concat([once.with_columns(id=pl.col("id") + 3000 * copy) for copy in range(4)])
    found = records_from_table(copied, TableRequest(**options)).design.settings["table"].notes
    assert "120 of 120 examples are alike in label" in " ".join(found)


def test_copies_are_noticed_by_labels_alone_where_every_pattern_is_repeated():
    once = frame(n=50).drop("p")
    three = pl.concat([once.with_columns(id=pl.col("id") + 1000 * copy) for copy in range(3)])
    said = notes(three, probability=None)
    assert "occurs 3 times or a multiple of it, as if every case stood in the table 3 times" in said
    assert "as if" not in notes(once, probability=None)
    assert "as if" not in notes(three.with_columns(u=pl.col("id") % 1000), probability=None, unit="u")
    one_less = three.filter(pl.col("id") != 2007)
    assert "as if" not in notes(one_less, probability=None), "labels coincide by chance, too"
    few = pl.concat([once.filter(pl.col("id") < 4).with_columns(id=pl.col("id") + 1000 * copy) for copy in range(3)])
    assert "as if" not in notes(few, probability=None), "a few patterns may all be even by chance"
