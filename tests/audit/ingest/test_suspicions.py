"""Doubts about what columns hold: probabilities of the other class, predictions that go against the labels."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand.errors import InputError


def table(rng: np.random.Generator, n: int = 400) -> pl.DataFrame:
    """Probabilities of the class 1 that tell the classes apart."""
    label = rng.integers(0, 2, n)
    p = 1 / (1 + np.exp(-(2.0 * label - 1) - rng.normal(size=n)))
    return pl.DataFrame({"y": label, "p": p, "said": (p > 0.5).astype(int), "g": rng.choice(["a", "b"], n)})


def warnings(frame: pl.DataFrame, **columns: str) -> tuple[str, ...]:
    return eh.audit(frame, label="y", groups="g", **columns).design.settings["table"].warnings


def test_probabilities_of_the_other_class_are_doubted():
    frame = table(np.random.default_rng(0))
    assert warnings(frame, probability="p") == ()
    (doubt,) = warnings(frame.with_columns(p=1 - pl.col("p")), probability="p")
    assert doubt.startswith("The probabilities of model rank the classes the wrong way round (ROC AUC 0.")
    assert doubt.endswith("make sure that they are those of the class 1.")


def test_the_confidence_in_what_is_predicted_is_no_probability_of_a_class():
    frame = table(np.random.default_rng(0)).with_columns(p=pl.max_horizontal("p", 1 - pl.col("p")))
    few = frame.filter((pl.col("said") == 0) | (pl.int_range(pl.len()) % 4 == 0))
    (doubt,) = warnings(few, probability="p", prediction="said")
    assert "make sure that" in doubt and doubt.endswith("those of the class 1.")


def test_predictions_that_go_against_the_labels_are_doubted_in_the_method_that_has_them():
    frame = table(np.random.default_rng(0))
    both = pl.concat(
        [frame.with_columns(m=pl.lit("old")), frame.with_columns(m=pl.lit("new"), said=1 - pl.col("said"))]
    )
    found = eh.audit(both, label="y", prediction="said", groups="g", method="m", reference="old")
    (doubt,) = found.design.settings["table"].warnings
    assert doubt.startswith("The predictions of new rank the classes the wrong way round")


def test_models_that_know_nothing_are_not_doubted():
    rng = np.random.default_rng(0)
    frame = table(rng).with_columns(p=rng.random(400))
    assert warnings(frame, probability="p") == ()


def test_a_margin_of_a_measure_that_is_not_computed_is_refused():
    frame = table(np.random.default_rng(0))
    with pytest.raises(InputError, match="margins: roc_auc is not computed"):
        eh.audit(frame, label="y", probability="p", groups="g", margins={"roc_auc": 0.02})
    eh.audit(frame, label="y", probability="p", groups="g", margins={"roc_auc": 0.02}, measures=["roc_auc"])


def test_a_url_is_no_folder_of_an_audit(evenhand, tmp_path):
    table(np.random.default_rng(0)).write_csv(tmp_path / "t.csv")
    ran = evenhand("audit", tmp_path / "t.csv", "--label=y", "--prediction=said", "--group=g", "--out=s3://bucket/x")
    assert ran.returncode == 2 and "is a URL" in ran.stderr


def test_words_for_a_missing_value_are_groups_with_a_note():
    frame = table(np.random.default_rng(0)).with_columns(g=pl.Series(["NULL", "n/a", "a", "b"] * 100))
    notes = eh.audit(frame, label="y", prediction="said", groups="g").design.settings["table"].notes
    assert 'Group of g: "NULL", "n/a" are groups; leave such cells empty if the group is not known.' in notes
