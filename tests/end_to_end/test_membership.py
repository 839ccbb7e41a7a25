"""Membership inference from a study file to the report, with real trainings."""

from __future__ import annotations

import json

import polars as pl
import pytest
import yaml

from evenhand.audit.results import Results

GROUPS = ("food", "travel", "music", "garden")


@pytest.fixture
def leaky(tmp_path):
    """A study that learns few posts by heart: a fifth of the labels are wrong."""
    study = {
        "task": {"name": "synthetic/posts", "n": 320, "noise": dict.fromkeys(GROUPS, 0.2)},
        "model": "tiny-bert",
        "methods": {
            "full": {"kind": "full", "lr": 1e-3, "epochs": 20},
            "head": {"kind": "head", "lr": 1e-2, "epochs": 2},
        },
        "reference": "head",
        "seeds": 0,
        "membership": 8,
        "margins": {"membership_auc": 0.02},
        "keep": "none",
    }
    path = tmp_path / "leaky.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


@pytest.mark.slow
def test_a_study_that_leaks_is_told_and_its_pool_can_grow(leaky, tmp_path, evenhand):
    out = tmp_path / "out"
    ran = evenhand("run", leaky, "--out", out, "--json")
    assert ran.returncode == 0, ran.stderr
    results = Results.load(out)
    assert set(results.trials["role"]) == {"pool"} and len(results.trials) == 16 and results.estimates["value"].len()
    area = results.verdicts.filter(pl.col("group").is_null(), measure="membership_auc").row(0, named=True)
    assert area["verdict"] == "worse" and area["contrast"] > 0.1
    assert area["runs"] == 4  # pairs
    mine = results.estimates.filter(
        pl.col("seed").is_null(), pl.col("group").is_null(), measure="membership_auc", method="full"
    ).row(0, named=True)
    assert 0.5 < mine["low"] < mine["value"] < mine["high"]
    said = " ".join(json.loads(ran.stdout)["headline"])
    assert "full" in said and "member" in said
    page = (out / "report.html").read_text()
    assert "true positive rate" in page and "model 0 of the pool" not in page
    gate = evenhand("check", out)
    assert gate.returncode == 1
    for form in ("md", "json", "png"):
        assert evenhand("report", out, "--format", form).returncode == 0

    trained = {path.name: path.stat().st_mtime_ns for path in (out / "trials").iterdir()}
    more = evenhand("run", leaky, "--out", out, "--set", "membership=10")
    assert more.returncode == 0 and "16 of 20 trials are complete" in more.stderr, more.stderr
    now = {path.name: path.stat().st_mtime_ns for path in (out / "trials").iterdir()}
    assert len(now) == 20 and all(now[name] == time for name, time in trained.items())

    other = evenhand("run", leaky, "--out", out, "--set", "task.n=300")
    assert other.returncode == 2 and "models of two pools cannot be compared" in other.stderr


@pytest.mark.slow
def test_shadows_beside_the_studys_own_trials(leaky, tmp_path, evenhand):
    out = tmp_path / "out"
    changes = ("seeds=2", "membership={design: shadows, models: 4, shadows: full}", "methods.full.epochs=8")
    given = [part for change in changes for part in ("--set", change)]
    ran = evenhand("run", leaky, "--out", out, *given)
    assert ran.returncode == 0, ran.stderr
    results = Results.load(out)
    assert len(results.trials.filter(role="pool")) == 8 and len(results.trials.filter(role="study")) == 4
    over = results.estimates.filter(pl.col("seed").is_null(), pl.col("group").is_null())
    measures = set(over.drop_nulls("value")["measure"])
    assert {"accuracy", "membership_auc"} <= measures
    assert "train" not in set(results.estimates.filter(measure="accuracy")["split"])
    # Half of the 64 tested posts and as many trained on, in two seeds.
    assert results.members.group_by("trial").len()["len"].to_list() == [64] * 4
