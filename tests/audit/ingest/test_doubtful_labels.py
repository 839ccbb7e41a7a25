"""Labels and units that are words for a missing value, or one number in two spellings, are refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand.errors import InputError


def table(first: str, **columns) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200).astype(str)
    predicted = np.where(rng.random(200) < 0.8, label, "1")
    own = pl.DataFrame({"y": label, "h": predicted, "g": ["a", "b"] * 100, **columns})
    return own.with_columns(y=pl.when(pl.int_range(200) < 3).then(pl.lit(first)).otherwise("y"))


def audited(frame: pl.DataFrame, **more) -> eh.Results:
    return eh.audit(frame, label="y", prediction="h", groups="g", **more)


@pytest.mark.parametrize("word", ["NA", "null", "N/A", "<NA>", "?", " "])
def test_a_label_that_stands_for_a_missing_value_is_no_class(word):
    with pytest.raises(InputError, match=r'the column "y" \(label\) is ".*" in 3 of 200 rows, first in row 0, which'):
        audited(table(word))


def test_none_is_a_class_beside_words_and_none_beside_numbers():
    with pytest.raises(InputError, match=r'is "None" in row 0, beside 0, 1; if it stands for a missing value'):
        audited(table("None"))
    words = table("0").with_columns(pl.col("y", "h").replace({"0": "none", "1": "hate"}))
    assert set(audited(words, positive="hate").design.settings["table"].classes) == {"none", "hate"}


@pytest.mark.parametrize("word", ["01", "+1", "1e0", "-0", " 1"])
def test_one_number_in_two_spellings_is_refused(word):
    with pytest.raises(InputError, match="which are the same number; write it in one way"):
        audited(table(word))


def test_a_word_among_zeros_and_ones_is_named_in_the_headline_and_a_third_number_is_not():
    assert 'The label is "yes" in 3 of 200 rows, beside 0 and 1' in audited(table("yes")).summary()
    assert "The label is" not in audited(table("2")).summary()


@pytest.mark.parametrize("word", ["NA", "None"])
def test_units_without_a_name_are_not_one_unit(word):
    units = [word if row < 40 else str(row) for row in range(200)]
    with pytest.raises(InputError, match=rf'the column "u" \(unit\) is "{word}" in 40 of 200 rows'):
        audited(table("0", u=units), unit="u")


def test_keywords_may_come_from_numpy_and_pandas():
    pandas = pytest.importorskip("pandas")
    plain = audited(table("0"), positive="1", measures=["accuracy"], margins={"default": 0.1})
    frame, texts = table("0"), np.array(["y", "h", "1", "accuracy", "default"])
    groups, margins = pandas.Index(["g"]), {texts[4]: np.float64(0.1)}
    given = eh.audit(
        frame,
        label=texts[0],
        prediction=texts[1],
        groups=groups,
        positive=texts[2],
        measures=texts[3:4],
        margins=margins,
    )
    assert given.verdicts.equals(plain.verdicts)
