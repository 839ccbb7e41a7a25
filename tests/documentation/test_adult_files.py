"""examples/adult.py reads the files of UCI Adult as they are downloaded, and those with a header line."""

from __future__ import annotations

import sys

import pytest

from fenced_blocks import ROOT

HEADER = (
    "age, workclass, fnlwgt, education, education-num, marital-status, occupation, relationship, race, sex, "
    "capital-gain, capital-loss, hours-per-week, native-country, Y\n"
)
FIRST = "39, State-gov, 1, Bachelors, 13, Never-married, ?, Not-in-family, White, Male, 2174, 0, 40, Cuba, <=50K"
SECOND = "25, Private, 2, 11th, 7, Never-married, Sales, Own-child, Black, Female, 0, 0, 40, Cuba, >50K"


@pytest.fixture
def adult(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(sys, "path", [str(ROOT / "examples"), *sys.path])
    import adult

    return adult


def test_files_with_and_without_a_header_line_give_the_same_people(adult, tmp_path):
    for name, start in (("downloaded", ""), ("headed", HEADER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adult.data").write_text(f"{start}{FIRST}\n{SECOND}\n\n")
        comment = "" if start else "|1x3 Cross validator\n"
        (tmp_path / name / "adult.test").write_text(f"{comment}{start}{SECOND}.\n\n")
    people = adult.read(tmp_path / "downloaded")
    assert people["example"].to_list() == ["adult.data:0", "adult.data:1", "adult.test:0"]
    assert people["Y"].to_list() == ["<=50K", ">50K", ">50K"]
    assert people["age"].to_list() == [39.0, 25.0, 25.0] and people["occupation"].to_list() == ["?", "Sales", "Sales"]
    assert people.equals(adult.read(tmp_path / "headed"))
