"""docs/extending.md keeps its promises: the package that it prints brings a task, a method and a measure."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from evenhand import Results
from evenhand.stats.equivalence import verdict

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")


def block(language: str) -> str:
    """The page's only block of a language."""
    (text,) = re.findall(rf"^```{language}[^\n]*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return text


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """A folder in which pip has installed the page's package."""
    pytest.importorskip("setuptools")
    source, target = tmp_path_factory.mktemp("toy-fairness"), tmp_path_factory.mktemp("installed")
    (source / "pyproject.toml").write_text(block("toml"), "utf-8")
    (source / "toy_fairness.py").write_text(block("python"), "utf-8")
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def beside(*folders: Path) -> dict[str, str]:
    """The environment of a process that also sees the packages in some folders."""
    known = os.environ.get("PYTHONPATH", "")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [*map(str, folders), known]))}


@dataclass(frozen=True)
class Finished:
    """A finished study: its folder, the file that it was read from, and what the command printed."""

    folder: Path
    file: Path
    printed: str
    results: Results


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory) -> Finished:
    """The page's study, run as a process with tiny models."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "loans.yaml").write_text(block("yaml"), "utf-8")
    command = [sys.executable, "-m", "evenhand", "run", str(folder / "loans.yaml"), "--tiny", "--out"]
    done = subprocess.run([*command, str(folder / "out")], capture_output=True, text=True, env=beside(toy))
    assert done.returncode == 0, done.stderr
    return Finished(folder / "out", folder / "loans.yaml", done.stdout, Results.load(folder / "out"))


def by_hand(results: Results, group: str | None, method: str, seed: int) -> float | None:
    """The share of the examples that a run predicted negative whose label is positive; None without any."""
    (trial,) = results.trials.filter(method=method, seed=seed)["trial"]
    rows = results.predictions.filter(trial=trial, split="test").join(results.examples, on="example")
    if group is not None:
        rows = rows.filter(pl.col("attribute.town").list.contains(group))
    labels = rows["label"].to_numpy()[rows["logits"].to_numpy().argmax(axis=1) == 0]
    return float(labels.mean()) if len(labels) else None


def test_estimates_and_verdicts_of_a_study_hold_the_measure_with_the_right_values(finished):
    results = finished.results
    estimates = results.estimates.filter(measure="false_omission").drop_nulls("seed")
    verdicts = results.verdicts.filter(measure="false_omission")
    assert len(estimates) == 3 * 2 * 2 and len(verdicts) == 3
    assert set(results.estimates["measure"]) == {"accuracy", "false_omission"}
    values: dict[Any, float | None] = {}
    for row in estimates.iter_rows(named=True):
        key = (row["group"], row["method"], row["seed"])
        values[key] = by_hand(results, *key)
        assert row["value"] == (None if values[key] is None else pytest.approx(values[key], abs=1e-9)), key
    assert any(value is not None and 0 < value < 1 for value in values.values())
    compared = 0
    for row in verdicts.iter_rows(named=True):
        pairs = [[values[row["group"], name, seed] for name in ("embeddings", "full")] for seed in (0, 1)]
        assert row["margin"] == 0.1
        if row["contrast"] is not None:
            compared += 1
            assert row["contrast"] == pytest.approx(np.mean([ours - theirs for ours, theirs in pairs]), abs=1e-9)
            assert row["verdict"] == verdict(row["low"], row["high"], 0.1)
    assert compared


def test_the_terminal_and_the_report_show_the_measure_by_its_title(finished, toy, evenhand_process):
    assert "false omission rate" in finished.printed
    assert "false omission rate" in (finished.folder / "report.html").read_text("utf-8")
    evenhand_process("report", finished.folder, "--format", "md", env=beside(toy))
    assert "| false omission rate |" in (finished.folder / "report.md").read_text("utf-8")


def test_the_method_trains_what_its_key_says_and_versions_are_kept(finished):
    from safetensors import safe_open

    resolved = yaml.safe_load((finished.folder / "study.yaml").read_text("utf-8"))["settings"]["main"]["methods"]
    assert resolved["embeddings"]["positions"] is False and resolved["embeddings"]["lr"] == 0.01
    trials = finished.results.trials
    environments = {row["method"]: json.loads(row["environment"]) for row in trials.iter_rows(named=True)}
    assert environments["embeddings"]["toy-fairness"] == "0.1.0" and "toy-fairness" not in environments["full"]
    assert json.loads(finished.results.provenance["environment"])["toy-fairness"] == "0.1.0"
    assert "mixed" not in finished.results.provenance
    (trial,) = trials.filter(method="embeddings", seed=0)["trial"]
    (kept,) = (finished.folder / "trials" / trial).rglob("trained.safetensors")
    with safe_open(kept, "numpy") as file:
        names = list(file.keys())
    assert any("word_embeddings" in name for name in names) and not any("position" in name for name in names)


def test_without_the_package_results_open_and_the_study_is_refused(finished, evenhand_process, tmp_path):
    done = evenhand_process("report", finished.folder, "--format", "md")
    assert done.returncode == 0, done.stderr
    assert "| false omission |" in (finished.folder / "report.md").read_text("utf-8")
    refused(evenhand_process("run", finished.file, "--tiny", "--out", tmp_path / "never"), 'there is no task "loans"')


def test_an_audit_computes_the_measure_without_torch(toy, tmp_path):
    rng = np.random.default_rng(0)
    label, predicted = rng.integers(2, size=(2, 200))
    pl.DataFrame({"y": label, "yhat": predicted, "sex": ["f", "m"] * 100}).write_csv(tmp_path / "table.csv")
    arguments = ["audit", str(tmp_path / "table.csv"), "--label", "y", "--prediction", "yhat", "--group", "sex"]
    arguments += ["--measure", "false_omission", "--margin", "false_omission=0.02", "--json"]
    code = (
        "import sys\n"
        "from evenhand.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'peft', 'datasets'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=beside(toy))
    assert done.returncode == 0, done.stderr
    rows = {row["group"]: row for row in json.loads(done.stdout)["estimates"]}
    assert {row["measure"] for row in rows.values()} == {"false_omission"} and set(rows) == {None, "f", "m"}
    assert rows[None]["value"] == pytest.approx(label[predicted == 0].mean())
    assert rows["f"]["value"] == pytest.approx(label[::2][predicted[::2] == 0].mean())


def test_the_influence_of_the_measure_is_its_derivative_by_an_examples_weight():
    from evenhand.audit.measures.run_data import RunData, RunSubset

    names: dict[str, Any] = {}
    exec(compile(block("python"), "toy_fairness.py", "exec"), names)
    rng = np.random.default_rng(1)
    label, predicted, weight = rng.integers(2, size=20), rng.integers(2, size=20), rng.uniform(0.5, 2, 20)
    rows = np.arange(3, 20)

    def computed(weight: np.ndarray) -> Any:
        return names["false_omission"](RunData(label, predicted, None, weight, 1), RunSubset("group", rows))

    influence = computed(weight)
    assert influence.influence.sum() == pytest.approx(0) and influence.weights.sum() == pytest.approx(1)
    for place, row in enumerate(influence.rows):
        nudged = weight.copy()
        nudged[row] *= 1 + 1e-6
        slope = (computed(nudged).value - influence.value) / 1e-6
        assert influence.influence[place] == pytest.approx(slope, abs=1e-5)
    assert names["false_omission"](RunData(label, np.ones(20), None, weight, 1), RunSubset("group", rows)).reason


@pytest.mark.parametrize(
    ("what", "name"),
    [("tasks", "loans"), ("methods", "embeddings"), ("measures", "false_omission"), ("scorers", "exclaiming")],
)
def test_list_names_the_package_and_its_version(what, name, toy, evenhand_process):
    rows = json.loads(evenhand_process("list", what, "--json", env=beside(toy)).stdout)[what]
    assert [row["name"] for row in rows if row["package"] is not None] == [name]
    row = rows[-1]
    assert (row["name"], row["package"], row["version"]) == (name, "toy-fairness", "0.1.0") and row["summary"]
    assert f"{row['summary']} (toy-fairness 0.1.0)" in evenhand_process("list", what, env=beside(toy)).stdout


def test_a_misspelt_name_gets_the_nearest_of_the_package(toy, tmp_path, evenhand_process):
    (tmp_path / "loans.yaml").write_text(block("yaml"), "utf-8")
    for change, near in (
        ("task.name=laons", "loans"),
        ("methods.embeddings.kind=embedings", "embeddings"),
        ("margins.false_omision=0.1", "false_omission"),
        ("measures=[false_omision]", "false_omission"),
    ):
        done = evenhand_process("plan", tmp_path / "loans.yaml", "--tiny", "--set", change, env=beside(toy))
        refused(done, f'did you mean "{near}"?')


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith("evenhand: ") and all(word in sentence for word in words), sentence


# The names that packages may import


def public() -> dict[str, set[str]]:
    """The names that the page allows, by module."""
    rows = re.findall(r"^\| `(evenhand\.[a-z_.]+)` \| (`[A-Z].*|`[a-z]+_.*) \|$", PAGE, re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


def imported(text: str) -> Iterator[tuple[str, str]]:
    """Module and name of everything that a text imports from Evenhand."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evenhand"):
            yield from ((str(node.module), alias.name) for alias in node.names)


def test_the_names_that_packages_may_import_are_there():
    assert len(public()) > 10
    missing = [(m, name) for m, names in public().items() for name in names if not hasattr(import_module(m), name)]
    assert missing == []


def test_the_recipes_use_only_what_packages_may_import():
    recipes = re.findall(r"^```python\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M | re.S)
    used = {pair for text in (*recipes, block("python")) for pair in imported(text)}
    assert used and [pair for pair in used if pair[1] not in public().get(pair[0], set())] == []
