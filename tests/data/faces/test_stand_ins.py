"""The drawn stand-ins of `--tiny`: written in the data sets' own formats, and learned above chance."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from evenhand import Study
from evenhand.study.file import read
from evenhand.study.plan import plan
from evenhand.study.tiny import shrink


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize(
    ("task", "at_least"), [("utkface/gender", 0.7), ("fairface/gender", 0.7), ("utkface/age", 0.3)]
)
def test_a_tiny_model_learns_from_the_stand_in_well_above_chance(tmp_path, task, at_least):
    methods = {"full": {"kind": "full", "lr": 1e-3, "epochs": 10}}
    study = Study(task=task, model="google/vit-base-patch16-224-in21k", methods=methods, seeds=1)
    small, data, said = shrink(study, tmp_path / "stand-in")
    assert any("made-up examples stand in for" in line for line in said)
    results = small.run(tmp_path / "out", data)
    (accuracy,) = results.estimates.filter(pl.col("group").is_null(), measure="accuracy", method="full")[
        "value"
    ].unique()
    assert accuracy > at_least
    assert not (tmp_path / "out" / "features").exists()


def test_the_example_study_has_a_tiny_form(tmp_path):
    study = Study(**read(Path(__file__).parents[3] / "examples" / "fairface.yaml"))
    small, data, _ = shrink(study, tmp_path / "stand-in")
    found = plan(small, data)
    assert {trial.method for trial in found.candidates} == {"full", "lora_4", "lora_16", "head"}
    assert set(found.settings["main"].dataset.attributes) == {"race", "race_age"}
