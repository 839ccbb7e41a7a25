"""Turns the values of a column into texts or numbers, whichever file or library they come from.

Integers and `x.0` become the same text: 1, 1.0 and "1" are equal, but "01" is different. Other text is unchanged.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

import polars as pl

from evenhand.decimals import as_meant

FOR_MISSING = frozenset(("#n/a", "n/a", "na", "nan", "nat", "null", "<na>", "\\n"))
"""Words that tables hold for a missing value, in small letters; `none` is a group too often."""
NO_NAME = FOR_MISSING | {"", "?"}
"""Likewise with blanks and question marks, which name no class and no unit."""

_WHOLE = r"^-?(?:0|[1-9][0-9]*)(?:\.0+)?$"
_PLAIN = r"^[+-]?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?$"
_COMMA = r"^[+-]?[0-9]+(?:,[0-9]+)?$"
_POINTS = r"^(?:0|[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})*)$"
_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+$"
_NAN = r"^(?i:nan)$"
_EXTENSION = getattr(pl, "BaseExtension", ())
"""Types of other libraries; older versions of polars have none."""
_EXACT = 2.0**63
"""Whole floats below this fit into Int64."""


def as_text(values: pl.Series) -> pl.Series | None:
    """Values as text, nulls as nulls; None for types without plain values (lists, bytes, objects).

    If all floats of a column are whole numbers, they are written as integers; so is `1.0` as text. 1e20 remains a
    float.

    Args:
        values: a column [n].

    Returns:
        str [n].

    Example:
        >>> import polars as pl
        >>> from evenhand.tables.values import as_text
        >>> as_text(pl.Series([1.0, 2.0])).to_list(), as_text(pl.Series(["01", "1"])).to_list()
        (['1', '2'], ['01', '1'])
    """
    kind = values.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object) or isinstance(kind, _EXTENSION):
        return None
    if kind == pl.Duration:
        return _durations(values)
    if kind.is_float():
        known = values.drop_nulls()
        if (known.is_finite() & (known == known.round()) & (known.abs() < _EXACT)).all():
            values = values.cast(pl.Int64)
    if kind.is_decimal():
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        fraction = values.str.contains(".0", literal=True)
        whole = fraction.any() and values.str.contains(_WHOLE).all()
        return values.str.replace(r"\.0+$", "") if whole else values
    return values.cast(pl.String)


def as_numbers(values: pl.Series) -> pl.Series | None:
    """Values as float64 [n], nulls as nulls; None if some are not numbers.

    In text the decimal separator is a point, or a comma if every value with a comma can only mean decimals. float16 and
    float32 become the shortest decimal with the same stored value: .6 and not .60009765625, as intended.

    Example:
        >>> import polars as pl
        >>> from evenhand.tables.values import as_numbers
        >>> as_numbers(pl.Series(["0,5", "1"])).to_list(), as_numbers(pl.Series([0.6], dtype=pl.Float32)).to_list()
        ([0.5, 1.0], [0.6])
    """
    kind = values.dtype
    if kind == pl.String:
        return _parsed(values)
    if not kind.is_numeric():
        return None
    if kind in (pl.Float16, pl.Float32):
        meant = pl.Series(values.name, as_meant(values.fill_null(0).to_numpy()))
        return pl.select(pl.when(values.is_not_null()).then(meant).alias(values.name)).to_series()
    return values.cast(pl.Float64)


def in_thousands(values: pl.Series) -> str | None:
    """A text whose point may separate thousands, such as 1.718 beside 782; None where every point means decimals.

    In such a column, whole numbers of two or three digits stand beside numbers of which each has three digits behind
    every point.

    Example:
        >>> import polars as pl
        >>> from evenhand.tables.values import in_thousands
        >>> in_thousands(pl.Series(["782", "1.718"])), in_thousands(pl.Series(["782", "1.718", "0.5"]))
        ('1.718', None)
    """
    if values.dtype != pl.String:
        return None
    known = without_nan(values).drop_nulls().str.strip_chars()
    pointed = known.filter(known.str.contains(".", literal=True))
    whole = known.str.contains(r"^[+-]?[0-9]{2,3}$")
    if pointed.is_empty() or not whole.any() or not known.str.contains(_POINTS).all():
        return None
    return str(pointed[0])


def not_numbers(values: pl.Series) -> pl.Series:
    """A mask of the texts that are not numbers, bool [n]."""
    return values.is_not_null() & values.cast(pl.Float64, strict=False).is_null()


def is_quantity(values: pl.Series) -> bool:
    """Whether all values are numbers, and no text is a code such as 007, whose zeros are significant."""
    if values.dtype != pl.String:
        return values.dtype.is_numeric()
    known = values.drop_nulls()
    return len(known) > 0 and bool((known.str.contains(_PLAIN) & known.str.contains("[0-9]")).all())


def without_nan(values: pl.Series) -> pl.Series:
    """Values with nulls for NaN, for empty texts, and for `nan` among texts that are otherwise numbers."""
    if values.dtype.is_float():
        return values.fill_nan(None)
    if values.dtype != pl.String:
        return values
    values = values.replace("", None)
    nan = values.str.contains(_NAN)
    if not nan.any():
        return values
    filled = pl.select(pl.when(~nan).then(values).alias(values.name)).to_series()
    return filled if is_quantity(filled) else values


def says_missing(values: pl.Series, words: Collection[str] = NO_NAME) -> pl.Series:
    """A mask of the texts that are words for a missing value, such as NA, ? or blanks, bool [n].

    Args:
        values: a column.
        words: which, in small letters.

    Example:
        >>> import polars as pl
        >>> from evenhand.tables.values import says_missing
        >>> says_missing(pl.Series(["1", "NA", " ", "none"])).to_list()
        [False, True, True, False]
    """
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
    texts = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    return texts.is_in([*words]).fill_null(False)


def spelled_alike(words: pl.Series) -> list[list[tuple[str, int]]]:
    """Texts that differ only by case, spaces or Unicode form, with their counts; none in most columns.

    Example:
        >>> import polars as pl
        >>> from evenhand.tables.values import spelled_alike
        >>> spelled_alike(pl.Series(["Male", "male ", "Male", "f"]))
        [[('Male', 2), ('male ', 1)]]
    """
    counts = words.drop_nulls().value_counts(name="rows").rows()
    by_form: dict[str, list[tuple[str, int]]] = {}
    for word, rows in sorted(counts, key=lambda entry: (-entry[1], entry[0])):
        form = " ".join(unicodedata.normalize("NFKC", word).casefold().split())
        by_form.setdefault(form, []).append((word, rows))
    return [alike for alike in by_form.values() if len(alike) > 1]


def spelling_notes(what: str, words: pl.Series) -> list[str]:
    """Return a note for each set of texts that are spelled alike, with the rows of each.

    Args:
        what: description of the texts, such as `group of sex`.
        words: str [n].

    Example:
        >>> import polars as pl
        >>> from evenhand.tables.values import spelling_notes
        >>> print(*spelling_notes("group of sex", pl.Series(["m", "M", "m"])))
        group of sex: "m" (2 rows) and "M" (1 row) differ by case, spaces or Unicode form only and count as different
    """
    notes = []
    for alike in spelled_alike(words):
        shown = [f'"{word}" ({rows:,} row{"s" if rows != 1 else ""})' for word, rows in alike]
        listed = f"{', '.join(shown[:-1])} and {shown[-1]}"
        notes.append(f"{what}: {listed} differ by case, spaces or Unicode form only and count as different")
    return notes


def _parsed(values: pl.Series) -> pl.Series | None:
    """Texts as numbers; None if some are not numbers."""
    stripped = values.str.strip_chars()
    numbers = stripped.cast(pl.Float64, strict=False)
    if numbers.null_count() == values.null_count():
        return numbers
    commas = stripped.str.contains(",", literal=True)
    if stripped.str.contains(_COMMA).all() and not stripped.filter(commas).str.contains(_THOUSANDS).all():
        return stripped.str.replace(",", ".", literal=True).cast(pl.Float64)
    return None


def _durations(values: pl.Series) -> pl.Series:
    """Spans of time as seconds, in text."""
    unit = {"ns": 9, "us": 6, "ms": 3}[values.dtype.time_unit]  # pyright: ignore[reportAttributeAccessIssue]
    seconds = as_text(values.cast(pl.Int64) / 10**unit)
    assert seconds is not None
    return pl.select(pl.concat_str(pl.lit(seconds), pl.lit(" s")).alias(values.name)).to_series()
