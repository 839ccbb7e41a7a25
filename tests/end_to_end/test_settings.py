"""A study of two base models on one data set: one answer from both, in every way of reporting."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from evenhand import Study
from evenhand.audit.across_settings import SHARED
from evenhand.audit.results import Results
from evenhand.cli import app


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("settings")
    study = Study(
        task={"name": "synthetic/posts", "n": 200},
        methods={
            "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
            "lora": {"kind": "lora", "rank": 4, "alpha": 8, "lr": 5e-3, "epochs": 1},
        },
        reference="full",
        seeds=2,
        margins={"default": 0.05},
        settings={"bert": {"model": "tiny-bert"}, "llama": {"model": "tiny-llama"}},
    )
    return out, study.run(out)


def test_contrasts_of_both_settings_are_pooled_and_share_their_examples(finished):
    _, results = finished
    across = results.verdicts.filter(pl.col("setting").is_null())
    accuracy = pl.col("attribute").is_null() & (pl.col("measure") == "accuracy")
    row = across.filter(accuracy).row(0, named=True)
    own = results.verdicts.filter(accuracy & pl.col("setting").is_not_null())["contrast"]
    assert row["runs"] == 2 and row["contrast"] == pytest.approx(own.mean())
    assert across["note"].str.contains(SHARED).any()


def test_what_was_pooled_survives_saving_and_every_format(finished, tmp_path):
    out, results = finished
    again = Results.load(out)
    assert again.verdicts.equals(results.verdicts)
    for name in ("report.html", "report.md", "report.json"):
        again.report(tmp_path / name)
    assert '<section id="across">' in (tmp_path / "report.html").read_text()
    assert "## Across settings: lora against full (test)" in (tmp_path / "report.md").read_text()
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["headline"][0].startswith("Across 2 settings ")
    assert any(line.startswith("Across settings, lora against full") for line in told["details"])
    assert any(row["setting"] is None for row in told["verdicts"])


def test_the_gate_says_which_setting_and_what_holds_across_them(finished):
    out, results = finished
    told = CliRunner().invoke(app, ["check", str(out), "--fail-on", "inconclusive"])
    failed = results.failed(["inconclusive"])
    assert told.exit_code == 1
    lines = told.output.splitlines()
    assert sum("(across settings, test;" in line for line in lines) == failed["setting"].null_count() > 0
    assert sum("(bert, test;" in line for line in lines) == len(failed.filter(setting="bert"))
