"""Random tables, files and requests, each from a seed: plain ones, and ones with what goes wrong in real tables."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

WORDS = (
    "", " ", "a", "A", "a ", "é", "e\u0301", "01", "1", "1.0", "0", "000", "-1", "1e300", "1e20", "nan", "NaN", "inf",
    "true", "False", "TRUE", "١", "ß", "\u2028", "\x1b[31mRED", "a,b", 'a"b', "a;b", "\x00", "0,5", "1,234",
    "x" * 99, "y", "yhat", "(missing)", "null", "None", "🟠", "%", "{}", "{0}", "a=b", "a*", "_", "-", "+1", "0x1",
    "1_000", "2020-01-01",
)  # fmt: skip
NUMBERS = (0, 1, 2, -1, 10, 2**31, 2**62, -(2**62))
FLOATS = (
    0.0,
    1.0,
    0.5,
    -0.0,
    1e20,
    1e300,
    -1e300,
    5e-324,
    float("nan"),
    float("inf"),
    0.1,
    1 / 3,
    1 + 1e-7,
    1e18,
    2.0**63,
)
NAMES = (
    "y",
    "yhat",
    "p",
    "q",
    "g",
    "h",
    "id",
    "m",
    "s",
    "w",
    "u",
    "not_y",
    "p_a",
    "p_1",
    "p_0",
    "1",
    "0",
    "a",
    "",
    "é",
    "g_*",
    "x=y",
)


def column(rng: np.random.Generator, n: int) -> Any:
    """A column of n values of some type, often with holes."""
    kind = rng.integers(0, 14)
    pick = lambda values: [values[i] for i in rng.integers(0, len(values), n)]  # noqa: E731
    if kind == 0:
        return pl.Series(pick(WORDS))
    if kind == 1:
        return pl.Series(pick(NUMBERS))
    if kind == 2:
        return pl.Series(pick(FLOATS), dtype=[pl.Float64, pl.Float32][rng.integers(0, 2)], strict=False)
    if kind == 3:
        return pl.Series(pick((True, False)))
    if kind == 4:
        return pl.Series(pick((0, 1)))
    if kind == 5:
        return pl.Series(pick((0.0, 1.0, 0.25, 0.6)), dtype=[pl.Float64, pl.Float32, pl.Float16][rng.integers(0, 3)])
    if kind == 6:
        return pl.Series(pick((datetime.date(2020, 1, 1), datetime.date(2021, 1, 1))))
    if kind == 7:
        return pl.Series(pick((datetime.timedelta(1), datetime.timedelta(2, 1))))
    if kind == 8:
        return pl.Series(pick((["a"], ["a", "b"], [], None, ["", None])), dtype=pl.List(pl.String))
    if kind == 9:
        return pl.Series(pick((Decimal("1.00"), Decimal("0.50"))))
    if kind == 10:
        return pl.Series(pick(("a", "b", None)), dtype=pl.Categorical)
    if kind == 11:
        return pl.Series([None] * n, dtype=[pl.Null, pl.String, pl.Int64, pl.Float64][rng.integers(0, 4)])
    if kind == 12:
        return pl.Series(pick((b"a", b"\xff")))
    return pl.Series(pick((b"", {"a": 1}, None)[1:]), dtype=pl.Struct({"a": pl.Int64}))


def plain(rng: np.random.Generator, example: np.ndarray, run: np.ndarray) -> dict[str, pl.Series]:
    """A column for each role, for rows of these examples and runs, such as its role has."""
    n, cases = len(example), int(example.max()) + 1
    group = rng.integers(0, int(rng.integers(1, 5)), cases)
    return {
        "y": pl.Series(rng.integers(0, 2, cases)[example]),
        "yhat": pl.Series(rng.integers(0, 2, n)),
        "p": pl.Series(rng.random(n).round(int(rng.integers(1, 9)))),
        "g": pl.Series([f"g{code}" for code in group])[example],
        "id": pl.Series(example),
        "m": pl.Series([f"m{number % 2}" for number in run]),
        "s": pl.Series(run // 2),
        "w": pl.Series(rng.random(cases).round(3)[example] + 0.1),
        "u": pl.Series(example // 2),
    }


ROLES = ("y", "yhat", "p", "g", "id", "m", "s", "w", "u")


def table(rng: np.random.Generator, wildness: float, n: int) -> pl.DataFrame:
    """A table with a column for each role, some of them wild; now and then rows are lost or in another order."""
    runs = int(rng.integers(1, 7))
    example, run = (values.ravel() for values in np.meshgrid(np.arange(max(n // runs, 1)), np.arange(runs)))
    columns = plain(rng, example, run)
    for name in (*ROLES, *map(str, rng.choice(NAMES, 2))):
        if rng.random() < wildness:
            columns[name] = column(rng, len(example))
    frame = pl.DataFrame(columns)
    if rng.random() < wildness:
        frame = frame.sample(fraction=float(rng.choice([1.0, 0.9])), shuffle=True, seed=int(rng.integers(0, 99)))
    return frame


def request(rng: np.random.Generator, wildness: float) -> dict[str, Any]:
    """The keywords of an audit; the roles of some columns are mixed up."""

    def role(name: str, share: float) -> str | None:
        if rng.random() > share:
            return None
        return str(rng.choice(NAMES)) if rng.random() < wildness / 3 else name

    probability: Any = role("p", 0.6)
    if rng.random() < wildness / 3:
        probability = [str(name) for name in rng.choice(NAMES, int(rng.integers(0, 4)))]
    keywords: dict[str, Any] = {
        "label": role("y", 0.97),
        "prediction": role("yhat", 0.8),
        "probability": probability,
        "groups": [str(name) for name in rng.choice(NAMES, int(rng.integers(1, 3)))]
        if rng.random() < wildness
        else ["g"],
        "method": role("m", 0.5),
        "seed": role("s", 0.5),
        "example": role("id", 0.4),
        "unit": role("u", 0.2),
        "weight": role("w", 0.2),
        "split": [None, "fixed", "varying"][rng.choice(3, p=[0.8, 0.1, 0.1])],
        "test_share": [None, None, 0.2, 0.95][rng.integers(0, 4)],
    }
    if keywords["method"] is not None:
        keywords["reference"] = ["m0", "m1", "a"][rng.choice(3, p=[0.9, 0.08, 0.02])]
    if rng.random() < wildness / 3:
        keywords["positive"] = [1, "1", "a", True, 1.0][rng.integers(0, 5)]
    if rng.random() < 0.1:
        keywords |= {"member": role("u", 1), "score": role("p", 1)}
    return {name: value for name, value in keywords.items() if value is not None}


def as_library(rng: np.random.Generator, frame: pl.DataFrame) -> Any:
    """The table as a frame of some library, of pandas with a column that only it has."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return frame.lazy()
    if kind == 1:
        return frame.to_arrow()
    if kind == 2 and not any(isinstance(kind, pl.Struct) for kind in frame.dtypes):
        native = frame.to_pandas()
        n = len(native)
        odd = [
            pd.cut(np.arange(n), 2) if n > 1 else np.arange(n),
            pd.period_range("2020", periods=n, freq="D"),
            np.arange(n) * 1j,
            pd.Series([1, "a", None] * n, dtype=object)[:n].to_numpy(),
            pd.to_timedelta(np.arange(n), unit="h"),
            pd.array([1, None] * n, dtype="Int64")[:n],
            pd.array([True, None] * n, dtype="boolean")[:n],
            pd.Categorical([1, 2] * n)[:n],
        ]
        native = native.assign(**{str(rng.choice(ROLES)): odd[rng.integers(0, len(odd))]})
        if rng.random() < 0.2:
            native.columns = [*range(len(native.columns) - 1), "y"]
        return native if rng.random() < 0.9 else pd.concat([native, native[["y"]]], axis=1)
    return frame


def text_file(rng: np.random.Generator, frame: pl.DataFrame) -> bytes:
    """A table as the bytes of a CSV, in some encoding, now and then damaged."""
    flat = frame.select(
        pl.col(name)
        for name, kind in frame.schema.items()
        if not kind.is_nested() and kind not in (pl.Binary, pl.Duration)
    )
    text = flat.write_csv(separator=[",", ";", "\t"][rng.integers(0, 3)])
    text = text.replace("\n", ["\n", "\r\n", "\r"][rng.integers(0, 3)])
    data = text.encode(["utf-8", "utf-8-sig", "utf-16"][rng.integers(0, 3)])
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.5 else 0):
        place = int(rng.integers(0, len(data)))
        damage = [b"", b'"', b"\n", b"\xff", b",", b"\x00", bytes([rng.integers(0, 256)])][rng.integers(0, 7)]
        data = data[:place] + damage + data[place + int(rng.integers(0, 2)) :]
    return data
