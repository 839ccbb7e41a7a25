"""Claims about files of tables: the same rows from every encoding, separator and compression, or one sentence."""

from __future__ import annotations

import bz2
import gzip
import lzma

import polars as pl
import pytest

import evenhand as eh
from evenhand.errors import InputError
from evenhand.tables.files import distinct_names, read_file
from evenhand.tables.values import as_numbers, as_text

TEXT = "y,g,p\n0,é,0.5\n1,01,0.25\n"
ROWS = [(0, "é", "0.5"), (1, "01", "0.25")]


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace("\n", '"\n"').replace(",", '","').join('""').removesuffix('""').encode() + b"\n",
        TEXT.removesuffix("\n").encode(),
    ],
)
def test_a_csv_is_read_whatever_its_encoding_line_ends_and_separator(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    frame = read_file(tmp_path / "t.csv")
    assert frame.columns == ["y", "g", "p"] and frame.rows() == ROWS


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_are_unpacked(tmp_path, suffix, pack):
    (tmp_path / f"t.csv{suffix}").write_bytes(pack(TEXT.encode("utf-16")))
    assert read_file(tmp_path / f"t.csv{suffix}").rows() == ROWS
    pl.DataFrame({"y": [1]}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / f"t.parquet{suffix}").write_bytes(pack((tmp_path / "t.parquet").read_bytes()))
    assert read_file(tmp_path / f"t.parquet{suffix}").rows() == [(1,)]


@pytest.mark.parametrize("name", ["t.arrow", "t.feather"])
def test_arrow_files_are_read(tmp_path, name):
    pl.DataFrame({"y": [1, 2]}).write_ipc(tmp_path / name)
    assert read_file(tmp_path / name).rows() == [(1,), (2,)]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (
            "t.csv",
            "y,g\n0,a\n1,é\n".encode("latin-1"),
            "is not UTF-8 in line 3 (byte 0xe9, as in Latin-1 or Windows-1252)",
        ),
        ("t.csv", b"\xff\xfey\x00,", "is not UTF-16"),
        ("t.xlsx", b"PK", "save its sheet as CSV"),
        ("t.ods", b"PK", "save its sheet as CSV"),
        ("t.csv.zip", b"PK", "unpack it"),
        ("t.csv.zst", b"x", "unpack it"),
        ("t.csv.gz", b"no gzip", "cannot be read"),
        ("t.csv.xz", b"no xz", "cannot be read"),
        ("t.dat", b"", "does not end in any of .csv"),
        ("t.gz", b"", "does not end in any of .csv"),
        ("t", b"", "does not end in any of .csv"),
        ("t.csv", b'y,g\n1,"2\n3"\n1,2,3\n', "line 4 has 3 fields, and the header has 2 names"),
        ("t.csv", b"y,g,h\n1,2,3\n\n1,2,\n1,2\n", "line 5 has 2 fields, and the header has 3 names; is it complete"),
        ("t.tsv", b"y\tg\n1\t2\n1\n", "line 3 has 1 field, and the header has 2 names"),
        ("t.jsonl", b'{"y": 1}\n\n{"y": 2}\nbroken\n', "line 4 is not JSON"),
        ("t.jsonl", b'{"y": 1}\n[1]\n', "line 2 is not a JSON object"),
        ("t.csv", b"", "cannot be read"),
        ("t.parquet", b"PAR1", "cannot be read"),
        ("t.arrow", b"x", "cannot be read"),
        ("t.json", b"[1", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_file(tmp_path / name)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "t.csv", tmp_path):
        with pytest.raises(InputError, match="there is no file"):
            read_file(path)


def test_decimals_may_have_commas_where_they_can_mean_nothing_else(tmp_path):
    assert as_numbers(pl.Series(["0,5", "1", "0,125"])).to_list() == [0.5, 1.0, 0.125]
    assert as_numbers(pl.Series(["1,234", "2,000"])) is None
    (tmp_path / "t.csv").write_text("y;g;p\n" + "0;a;0,25\n1;b;0,75\n" * 20)
    results = eh.audit(tmp_path / "t.csv", label="y", probability="p", groups="g", measures=["accuracy"])
    assert results.predictions["probabilities"][0].to_list() == [0.75, 0.25]
    assert results.design.source == "t.csv"


def test_repeated_headers_are_told_apart(tmp_path):
    (tmp_path / "t.csv").write_text("p,y,p\n1,2,3\n")
    assert read_file(tmp_path / "t.csv").rows(named=True) == [{"p (1 of 2)": 1, "y": 2, "p (2 of 2)": 3}]
    assert distinct_names(["a", "a", "a"]) == ["a (1 of 3)", "a (2 of 3)", "a (3 of 3)"]


def test_nan_is_missing_among_numbers_and_a_word_among_words(tmp_path):
    (tmp_path / "t.csv").write_text("p,g\n1.5,nan\nNaN,x\n")
    frame = read_file(tmp_path / "t.csv")
    assert frame["p"].to_list() == ["1.5", None] and frame["g"].to_list() == ["nan", "x"]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, 2.0], ["1", "2"]),
        (["1.0", "2"], ["1", "2"]),
        (["1.0", "2.5"], ["1.0", "2.5"]),
        ([1.0, 2.5], ["1.0", "2.5"]),
        (["01", "1.0"], ["01", "1.0"]),
        ([True, None], ["true", None]),
        ([1e20, 1.0], ["1e+20", "1.0"]),
    ],
)
def test_only_integers_and_point_zero_are_one_text(values, texts):
    assert as_text(pl.Series(values)).to_list() == texts
