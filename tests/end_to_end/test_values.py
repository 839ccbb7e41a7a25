"""Audits of numbers from the command line to a saved folder, its reports, its gate, and comparisons of folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

N = 400


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Two tables of a toxicity, the later one higher for women; and one of stars that were predicted."""
    rng = np.random.default_rng(3)
    sex, toxicity = rng.choice(["f", "m"], N), rng.beta(2, 8, N)
    for name, shift in (("may", 0.0), ("june", 0.15)):
        own = np.clip(toxicity + rng.normal(0, 0.02, N) + shift * (sex == "f"), 0.01, 1)
        pl.DataFrame({"id": range(N), "sex": sex, "toxicity": own}).write_csv(tmp_path / f"{name}.csv")
    stars = rng.integers(1, 6, N)
    guess = np.clip(stars + rng.normal(0, 0.7, N), 1, 5).round(2)
    pl.DataFrame({"stars": stars, "guess": guess, "sex": sex}).write_csv(tmp_path / "stars.csv")
    return tmp_path


TOXICITY = ("--value", "toxicity", "--more-is", "worse", "--group", "sex", "--example", "id")
IN_RANGE = ("--range", 0, 1, "--margin", "toxicity=0.1")
STARS = ("--label", "stars", "--prediction", "guess", "--group", "sex", "--task", "regression", "--range", 1, 5)


def test_a_toxicity_goes_from_the_command_line_through_reports_gate_and_verification(evenhand: Callable, tables: Path):
    out = tables / "june"
    done = evenhand("audit", tables / "june.csv", *TOXICITY, *IN_RANGE, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "model has a higher toxicity for sex = f than for the rest, by 0." in done.stdout
    design = json.loads((out / "design.json").read_text())
    assert design["declared"][0] | {"name": "toxicity", "more_is": "worse", "range": [0, 1]} == design["declared"][0]
    assert "Values" in (out / "report.html").read_text()
    checked = evenhand("check", out)
    assert checked.returncode == 1 and "toxicity, sex = f against the rest" in checked.stdout
    assert evenhand("verify", out).returncode == 0
    for format in ("md", "json", "latex", "card", "png"):
        done = evenhand("report", out, "--format", format)
        assert done.returncode == 0 and "toxicity" in done.stdout + (out / "report.md").read_text()
    assert (out / "figures" / "values-toxicity-sex.png").stat().st_size > 1000


def test_a_policy_limits_a_column_of_values(evenhand: Callable, tables: Path):
    out = tables / "may"
    assert evenhand("audit", tables / "may.csv", *TOXICITY, *IN_RANGE, "--out", out).returncode == 0
    policy = tables / "policy.yaml"
    policy.write_text("rules:\n  - {measure: toxicity, pass: [equivalent, not worse, better]}\n")
    done = evenhand("check", out, "--policy", policy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_logarithms_are_said_as_factors_everywhere(evenhand: Callable, tables: Path):
    out = tables / "june"
    done = evenhand("audit", tables / "june.csv", *TOXICITY, "--scale", "log", "--out", out)
    assert "by a factor of" in done.stdout and "log toxicity" in done.stdout
    assert "log toxicity" in evenhand("check", out).stdout


def test_the_folders_of_two_audits_of_values_are_compared(evenhand: Callable, tables: Path):
    for name in ("may", "june"):
        done = evenhand("audit", tables / f"{name}.csv", *TOXICITY, *IN_RANGE, "--out", tables / name)
        assert done.returncode == 0
    done = evenhand("compare", tables / "may", tables / "june", "--out", tables / "both.html")
    assert done.returncode == 0, done.stderr
    assert "equivalent → worse in 1" in done.stdout and "toxicity, gap" in (tables / "both.html").read_text()
    assert f"tested on the same {N} examples" in done.stdout and "worse" in done.stdout.splitlines()[1]
    done = evenhand("compare", tables / "may", tables / "may", "--out", tables / "both.html")
    assert done.returncode == 2


def test_a_regression_goes_from_the_command_line_through_reports_gate_and_verification(
    evenhand: Callable, tables: Path
):
    out = tables / "stars"
    done = evenhand("audit", tables / "stars.csv", *STARS, "--margin", "mean_absolute_error=0.5", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "mean absolute error" in done.stdout
    assert evenhand("check", out).returncode == 0
    assert evenhand("verify", out).returncode == 0
    assert evenhand("report", out, "--format", "png").returncode == 0
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert {"mean-calibration.png", "mean-calibration-sex.png", "regression-mean-absolute-error-sex.png"} <= drawn


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--value", "toxicity", "--more-is", "bad"), "more_is should be worse, better or neither, not 'bad'"),
        (("--value", "toxicity", "--range", 0, 0.1), "outside of the declared range from 0 to 0.1"),
        (("--value", "toxicity", "--more-is", "worse", "--more-is", "x=worse"), "give one word for all columns, or"),
        (("--label", "toxicity", "--prediction", "toxicity"), "is used as prediction too"),
    ],
)
def test_bad_options_end_in_one_sentence_and_status_2(evenhand: Callable, tables: Path, options, sentence):
    done = evenhand("audit", tables / "may.csv", "--group", "sex", *options)
    assert done.returncode == 2 and sentence in done.stderr and "\n" not in done.stderr.strip()
