"""Reads a table from a file: CSV, TSV, Parquet, Arrow, JSON; several encodings and separators.

A CSV has no types: its columns are read as text, so 01 remains 01; only plainly written integers become integers.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from evenhand.errors import InputError, did_you_mean, first_line
from evenhand.tables.values import without_nan

Source = Path | io.BytesIO


def _json_lines(source: Source) -> pl.DataFrame:
    return pl.read_ndjson(source, infer_schema_length=None)


READERS: Mapping[str, Callable[[Source], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".arrow": lambda source: pl.read_ipc(source),
    ".feather": lambda source: pl.read_ipc(source),
    ".json": lambda source: pl.read_json(source, infer_schema_length=None),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
"""Functions that read files with typed columns, by suffix."""

SEPARATORS = {".csv": (",", ";", "\t", "|"), ".tsv": ("\t",)}
"""The possible separators of a text file, by suffix, the most likely first."""

_UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
_ARCHIVES = (".zip", ".zst", ".7z", ".tar", ".tgz", ".rar")
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Byte order marks, with the encodings that they announce."""

_UNREADABLE = (pl.exceptions.PolarsError, OSError, EOFError, lzma.LZMAError, zlib.error)
_JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (*SEPARATORS, *READERS)


def is_table(path: Path) -> bool:
    """Whether `read_file` reads tables with a file name like this."""
    return _kind(path)[0] in SUFFIXES


def read_file(path: Path) -> pl.DataFrame:
    """Return the rows of a file; its suffix determines the format, and `.gz`, `.bz2` or `.xz` may follow.

    If several columns have the same header, each is renamed: `p (1 of 2)`, `p (2 of 2)`.

    Raises:
        InputError: the file is missing, of another kind, not UTF-8 or UTF-16, or unreadable.
    """
    suffix, packing = _kind(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if suffix in _SPREADSHEETS:
        raise InputError(f"{path} is a spreadsheet; save its sheet as CSV (UTF-8) and name that file")
    if suffix in _ARCHIVES:
        raise InputError(f"{path} is an archive; unpack it and name the file inside")
    if suffix not in SUFFIXES:
        raise InputError(f"{path} does not end in any of {', '.join(SUFFIXES)}, so its format is unknown")
    source: Source = path
    try:
        source = io.BytesIO(_UNPACK[packing](path.read_bytes())) if packing else path
        frame = _read_text(source, suffix, path) if suffix in SEPARATORS else READERS[suffix](source)
    except (*_UNREADABLE, pl.exceptions.PanicException) as error:
        unpacked = not packing or source is not path
        fault = _fault(source, suffix) if unpacked and not isinstance(error, OSError) else ""
        raise InputError(f"{path} cannot be read: {fault or first_line(error)}") from None
    if (
        suffix == ".json"
        and _contents(source).lstrip().startswith(b"{")
        and all(isinstance(kind, pl.Struct) for kind in frame.dtypes)
    ):
        raise InputError(
            f"{path} holds an object for each column; a list with an object for each row is needed (in pandas "
            'to_json(orient="records"))'
        )
    return frame


def distinct_names(names: Sequence[object]) -> list[str]:
    """Names as distinct texts: repeated names become `NAME (1 of 2)` and so on.

    Example:
        >>> from evenhand.tables.files import distinct_names
        >>> distinct_names(["p", "y", "p", 3])
        ['p (1 of 2)', 'y', 'p (2 of 2)', '3']
    """
    texts = [str(name) for name in names]
    total, seen = Counter(texts), Counter[str]()
    distinct = []
    for name in texts:
        seen[name] += 1
        distinct.append(name if total[name] == 1 else f"{name} ({seen[name]} of {total[name]})")
    return distinct


def no_column(source: str, name: str, role: str, names: Sequence[str]) -> InputError:
    """The error for a table without a column of this name, or with several such columns.

    Args:
        source: the name of the table.
        name: the requested name.
        role: the purpose of the column, as it follows the name in the message.
        names: names of the table's columns, see `distinct_names`.
    """
    repeats = [other for other in names if re.fullmatch(rf"{re.escape(name)} \(\d+ of \d+\)", other)]
    if repeats:
        return InputError(
            f'{source} has {len(repeats)} columns "{name}" {role}; give each a name of its own, or name one as '
            f'"{repeats[0]}"'
        )
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and all(part in names for part in parts):
        return InputError(f'{source} has no column "{name}" {role}; name {" and ".join(parts)} one by one')
    return InputError(f'{source} has no column "{name}" {role}; {did_you_mean(name, names)}')


def _kind(path: Path) -> tuple[str, str]:
    """The suffix of a file's format, and that of its compression or nothing, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and suffixes[-1] in _UNPACK:
        return (suffixes[0] if len(suffixes) == 2 else ""), suffixes[-1]
    return path.suffix.lower(), ""


def _read_text(source: Source, suffix: str, path: Path) -> pl.DataFrame:
    """The rows of a CSV or TSV."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source.getvalue()) as file:
        start = file.read(1 << 16)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    old_line_ends = b"\r" in start and b"\n" not in start
    if encoding or old_line_ends:
        data = source.read_bytes() if isinstance(source, Path) else source.getvalue()
        source = io.BytesIO(_as_utf8(data, encoding, old_line_ends, path))
        start = source.getvalue()[: 1 << 16]
    separator = _separator(start, SEPARATORS[suffix])
    try:
        head = pl.read_csv(source, has_header=False, n_rows=1, infer_schema=False, separator=separator)
        frame = pl.read_csv(source, infer_schema=False, separator=separator)
    except pl.exceptions.ComputeError as error:
        if "utf-8" in str(error).lower():
            raise InputError(_not_utf8(source, path)) from None
        if "more fields" in str(error):
            wide = _other_width(source, separator) or "some row has more fields than the header has names"
            raise InputError(f"{path} cannot be read: {wide}") from None
        raise
    # Rows that are too short are filled up with empty cells, the last one too.
    if frame.width > 1 and frame[:, -1].null_count() and (short := _other_width(source, separator)):
        raise InputError(f"{path} cannot be read: {short}; is it complete?")
    names = distinct_names(["" if name is None else name for name in head.row(0)])
    if len(names) == len(frame.columns) and len(set(names)) == len(names):
        frame.columns = names
    frame = frame.with_columns(_typed(column) for column in frame)
    # A blank line is not a row.
    return frame if frame.width < 2 else frame.filter(~pl.all_horizontal(pl.all().is_null()))


def _other_width(source: Source, separator: str) -> str:
    """The first line of a CSV or TSV with more or fewer fields than the header, in words; empty without one."""
    text = (source.read_bytes() if isinstance(source, Path) else source.getvalue()).decode("utf-8-sig", "replace")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        names = len(next(rows, []))
        for row in rows:
            if row and len(row) != names:
                fields = "1 field" if len(row) == 1 else f"{len(row):,} fields"
                return f"line {rows.line_num:,} has {fields}, and the header has {names:,} names"
    except csv.Error:  # a field that is larger than the reader takes
        pass
    return ""


def _contents(source: Source) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source.getvalue()


def _fault(source: Source, suffix: str) -> str:
    """What is wrong with a file that its reader refused, in words; empty where only the reader knows."""
    if not _contents(source).strip():
        return "it is empty"
    if suffix in _JSON_LINES:
        return _broken_line(source)
    one_in_each = suffix == ".json" and not _broken_line(source)
    return "it has a JSON object in each line, which is JSONL; name it .jsonl" if one_in_each else ""


def _broken_line(source: Source) -> str:
    """The first line of a JSONL that is no JSON object, in words; empty where every line is one."""
    data = source.read_bytes() if isinstance(source, Path) else source.getvalue()
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            if line.strip() and not isinstance(json.loads(line), dict):
                return f"line {number:,} is not a JSON object"
        except (ValueError, RecursionError):
            return f"line {number:,} is not JSON"
    return ""


def _as_utf8(data: bytes, encoding: str | None, old_line_ends: bool, path: Path) -> bytes:
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not {(encoding or 'utf-8').upper()} from byte {error.start:,} on") from None
    lone = old_line_ends or ("\r" in text and "\n" not in text)
    return (text.replace("\r", "\n") if lone else text).encode()


def _separator(start: bytes, separators: Sequence[str]) -> str:
    """The most frequent separator in the header, outside quotes; the first if there is none."""
    header, quoted, counts = start.decode("utf-8", "replace"), False, Counter[str]()
    for letter in header:
        quoted ^= letter == '"'
        if letter in "\r\n" and not quoted:
            break
        counts[letter] += not quoted
    return max(separators, key=lambda separator: counts[separator])


def _not_utf8(source: Source, path: Path) -> str:
    """Advice for a file that is not UTF-8."""
    data = source.read_bytes() if isinstance(source, Path) else source.getvalue()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return (
            f"{path} is not UTF-8 in line {line:,} (byte {data[error.start]:#04x}, as in Latin-1 or Windows-1252); "
            "save it as UTF-8"
        )
    return f"{path} is not UTF-8; save it as UTF-8"


def _typed(column: pl.Series) -> pl.Series:
    """A column of integers without leading zeros or signs as integers; any other column unchanged, as text."""
    column = without_nan(column)
    numbers = column.cast(pl.Int64, strict=False)
    same = numbers.null_count() == column.null_count() < len(column) and (numbers.cast(pl.String) == column).all()
    return numbers if same else column
