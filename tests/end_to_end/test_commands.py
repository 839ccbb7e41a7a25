"""The commands as a user calls them: one audit and one run in processes of their own, the others in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from evenhand import Study
from evenhand.study.session import session
from evenhand.study.store import Store
from evenhand.study.study_file import read_study_file
from evenhand.study.watcher import SilentWatcher

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def table(tmp_path):
    """Predictions of two models on 400 people, three seeds, as somebody else might hand them over."""
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(3):
        for method in ("a", "b"):
            for example in range(400):
                label = example % 2
                probability = float(np.clip(0.25 + 0.5 * label + rng.normal(0, 0.2), 0, 1))
                rows.append((method, seed, example, label, int(probability > 0.5), probability, "xyz"[example % 3]))
    columns = ["method", "seed", "example", "label", "prediction", "probability", "group"]
    path = tmp_path / "predictions.csv"
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(path)
    return path


AUDIT = ("--label", "label", "--prediction", "prediction", "--probability", "probability", "--group", "group")
PAIRED = ("--method", "method", "--seed", "seed", "--reference", "a", "--example", "example")


def test_neither_the_package_nor_an_audit_imports_torch(table, tmp_path):
    code = (
        "import sys, evenhand\n"
        "from evenhand.cli import app\n"
        f"app({['audit', str(table), *AUDIT, *PAIRED, '--out', str(tmp_path / 'out')]!r}, standalone_mode=False)\n"
        "assert not [name for name in ('torch', 'transformers', 'peft', 'datasets') if name in sys.modules]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_an_audit_writes_tables_and_a_report_and_prints_json(table, tmp_path, evenhand, evenhand_process):
    given = (table, *AUDIT, *PAIRED, "--margin", "default=0.05", "--out", tmp_path / "out")
    done = evenhand_process("audit", *given, "--json")
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)["verdicts"]
    assert {row["group"] for row in verdicts} >= {"x", "y", "z"}
    assert (tmp_path / "out" / "report.html").is_file()
    assert evenhand("check", tmp_path / "out", "--fail-on", "worse").returncode == 0
    assert evenhand("check", tmp_path / "out", "--fail-on", "equivalent,not worse,inconclusive,better").returncode == 1
    assert (
        "| " in evenhand("report", tmp_path / "out", "--format", "md").stdout + (tmp_path / "out/report.md").read_text()
    )
    for format, name, words in (("latex", "report.tex", r"\toprule"), ("card", "card.md", "model-index:")):
        assert evenhand("report", tmp_path / "out", "--format", format).stdout == f"{tmp_path}/out/{name}\n"
        assert words in (tmp_path / "out" / name).read_text("utf-8")


@pytest.fixture
def attacked(tmp_path):
    """Membership scores of two methods, two models each on random halves; lora's members stand out more."""
    rng = np.random.default_rng(0)
    half, person = rng.random(900) < 0.5, np.arange(900)
    frame = pl.concat(
        pl.DataFrame(
            {
                "method": method,
                "seed": seed,
                "example": person,
                "group": np.where(person % 9 == 8, "few", "many"),
                "in": half == (seed == 0),
                "score": rng.normal(size=900) + leak * (half == (seed == 0)),
            }
        )
        for method, leak in (("a", 0.3), ("lora", 2.0))
        for seed in range(2)
    )
    path = tmp_path / "attacked.csv"
    frame.write_csv(path)
    return path


ATTACKED = ("--member", "in", "--score", "score")


def test_membership_scores_are_audited_to_a_report_a_gate_and_pictures(attacked, tmp_path, evenhand):
    out = tmp_path / "out"
    done = evenhand("audit", attacked, *ATTACKED, *PAIRED, "--group", "group", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    area = next(row for row in found["verdicts"] if row["measure"] == "membership_auc" and row["group"] is None)
    assert area["verdict"] == "worse" and area["contrast"] > 0.2
    refusals = [row["note"] for row in found["estimates"] if row["group"] == "few" and row["value"] is None]
    assert any("100 distinct non-members: TPR at an FPR of 0.01 needs 300" in note for note in refusals)
    assert any(row["measure"] == "membership_roc" and row["group"] == "few" for row in found["curves"])
    assert 'id="membership"' in (out / "report.html").read_text()
    assert evenhand("check", out).returncode == 1
    assert evenhand("report", out, "--format", "png").returncode == 0
    assert (out / "figures" / "membership-group.png").read_bytes().startswith(b"\x89PNG")
    assert "membership AUC" in evenhand("audit", attacked, *ATTACKED, "--seed", "seed", *PAIRED[:2], *PAIRED[4:]).stdout


def test_bad_membership_scores_are_refused(attacked, tmp_path, evenhand):
    frame = pl.read_csv(attacked)
    for name, column, words in [
        ("one class", pl.lit(True).alias("in"), ("member", "true in every row")),
        ("words", pl.lit("high").alias("score"), ("score", "numbers are needed")),
        ("nan", pl.lit(float("nan")).alias("score"), ("score",)),
    ]:
        path = tmp_path / f"{name}.csv"
        frame.with_columns(column).write_csv(path)
        refused(evenhand("audit", path, *ATTACKED, *PAIRED, "--out", tmp_path / "never"), *words)
    refused(evenhand("audit", attacked, *ATTACKED[:2], *PAIRED), "score", "member")
    refused(evenhand("audit", attacked, "--group", "group"), "labels", "member")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("what", ["tasks", "methods", "measures", "presets"])
def test_list_names_what_there_is(what, evenhand):
    rows = json.loads(evenhand("list", what, "--json").stdout)[what]
    assert rows and all(row["summary"] for row in rows)


def test_without_the_training_wing_a_run_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        f"sys.argv = ['evenhand', 'run', 'demo', '--out', {str(tmp_path / 'never')!r}]\n"
        "from evenhand.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    refused(done, "transformers", "pip install 'evenhand[train]'")
    assert not (tmp_path / "never").exists()


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit 2 and one sentence that names what and where."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("evenhand: ")]
    assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
    for word in words:
        assert word in lines[0]


def test_bad_tables_are_refused(table, tmp_path, evenhand):
    refused(evenhand("audit", tmp_path / "no.csv", *AUDIT), "no.csv")
    refused(
        evenhand("audit", table, "--label", "lable", "--prediction", "prediction", "--group", "group"), "lable", "label"
    )
    refused(evenhand("audit", table, "--label", "label", "--prediction", "prediction", "--group", "gruop"), "gruop")
    frame = pl.read_csv(table)
    for name, column, words in [
        ("one class", pl.lit(1).alias("label"), ("label",)),
        ("no groups", pl.lit(None, dtype=pl.String).alias("group"), ("group",)),
        ("nan", pl.lit(float("nan")).alias("probability"), ("probability",)),
        ("above one", (pl.col("probability") + 1).alias("probability"), ("probability",)),
    ]:
        path = tmp_path / f"{name}.csv"
        frame.with_columns(column).write_csv(path)
        refused(evenhand("audit", path, *AUDIT, *PAIRED, "--out", tmp_path / "never"), *words)
    assert not (tmp_path / "never").exists()


def test_bad_studies_are_refused(small_study, tmp_path, evenhand):
    def run(**changes):
        path = tmp_path / "bad.yaml"
        path.write_text(yaml.safe_dump({**small_study, **changes}))
        return evenhand("run", path, "--out", tmp_path / "never")

    refused(evenhand("run", tmp_path / "missing.yaml"), "missing.yaml")
    refused(run(methods={"m": {"kind": "lorra"}}), "lorra", "lora")
    refused(run(methods={"m": {"kind": "lora", "rnk": 3}}), "rnk", "rank")
    refused(run(margin={"default": 0.1}), "margin", "margins")
    refused(run(train={"batchsize": 3}), "batchsize", "batch_size")
    refused(run(task={"name": "synthetic/postz"}), "synthetic/postz", "synthetic/posts")
    refused(run(reference="ful"), "ful")
    refused(run(measures=["acuracy"]), "acuracy", "accuracy")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    refused(run(model=str(tmp_path / "empty")), "empty")
    refused(evenhand("run", "paper/no-such-figure"), "paper/no-such-figure")
    refused(run(task={"name": "hatexplain"}), "hatexplain")
    assert not (tmp_path / "never").exists()


def test_a_bad_table_of_a_study_is_refused(small_study, tmp_path, evenhand):
    frame = pl.DataFrame({"text": ["good", "bad"] * 30, "label": [0, 1] * 30, "who": ["a", "b", "c"] * 20})
    frame.with_columns(one=pl.lit(1), nobody=pl.lit(None, dtype=pl.String)).write_csv(tmp_path / "t.csv")

    def run(**options):
        task = {"name": "table", "path": str(tmp_path / "t.csv"), "text": "text", "label": "label", "groups": ["who"]}
        path = tmp_path / "bad.yaml"
        path.write_text(yaml.safe_dump({**small_study, "task": {**task, **options}}))
        return evenhand("run", path, "--out", tmp_path / "never")

    refused(run(path=str(tmp_path / "u.csv")), "u.csv")
    refused(run(text="txt"), "txt")
    refused(run(label="one"), "one")
    refused(run(groups=["whom"]), "whom", "who")
    refused(run(groups=["nobody"]), "nobody")
    assert not (tmp_path / "never").exists()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A study that was run, and the process that ran it."""
    folder = tmp_path_factory.mktemp("ran")
    methods = {"full": {"kind": "full", "lr": 1e-3, "epochs": 1}, "wild": {"kind": "full", "lr": 1e30, "epochs": 1}}
    task = {"name": "synthetic/posts", "n": 200}
    study = {"task": task, "model": "tiny-bert", "methods": methods, "reference": "full", "seeds": 2}
    (folder / "study.yaml").write_text(yaml.safe_dump({**study, "train": {"clip_norm": None}}))
    command = [sys.executable, "-m", "evenhand", "run", str(folder / "study.yaml"), "--out", str(folder / "out")]
    return folder, subprocess.run([*command, "--json"], capture_output=True, text=True)


def test_a_run_prints_one_json_object_and_tells_of_every_trial_elsewhere(ran):
    folder, done = ran
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["source"] == "study" and len(results["trials"]) == 4
    lines = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert len(lines) == 4 and lines[0].startswith("[1/4] full · seed 0: trained in ")
    assert "wild · seed 0: failed after " in lines[1] and "loss" in lines[1]
    assert str(folder / "out") not in (folder / "out" / "study.yaml").read_text()


def test_a_plan_prints_one_json_object(ran, evenhand):
    folder, _ = ran
    planned = evenhand("plan", folder / "study.yaml", "--out", folder / "out", "--set", "seeds=3", "--json")
    found = json.loads(planned.stdout)
    assert found["to_train"] == 2 and [trial["done"] for trial in found["trials"]] == [True] * 4 + [False] * 2


def test_another_study_in_the_same_folder_at_the_same_time_is_refused(ran, evenhand):
    folder, _ = ran
    planned = Study(**read_study_file(folder / "study.yaml", ["seeds=3"]))
    with session(Store(folder / "out"), planned, SilentWatcher()):
        said = f"process {os.getpid()} on ", f"is running another study in {folder / 'out'}; wait for it"
        refused(evenhand("run", folder / "study.yaml", "--out", folder / "out"), *said)


def test_an_earlier_study_that_cannot_be_read_is_refused_by_name(ran, evenhand):
    folder, _ = ran
    path = folder / "out" / "study.yaml"
    before = path.read_text()
    path.write_text(before.replace("kind: full", "kind: fulll"))
    refused(evenhand("run", folder / "study.yaml", "--out", folder / "out"), str(path), "fulll")
    path.write_text(before)


@pytest.mark.slow
def test_the_demo_prints_one_json_object(tmp_path, evenhand):
    done = evenhand("demo", "--out", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source"] == "demo"


def test_tiny_runs_the_real_loader_on_a_stand_in(tmp_path, evenhand):
    done = evenhand(
        "run", ROOT / "examples" / "hatexplain.yaml", "--tiny", "--set", "seeds=2", "--out", tmp_path / "tiny"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tiny" / "report.html").is_file()
    assert "stand in" in done.stderr


FACES = {"task": {"name": "synthetic/faces", "n": 300}, "margins": {}}
GRID = {"m": {"lr": [1e-3, 1e-2]}}


@pytest.mark.parametrize(
    ("method", "changes", "words"),
    [
        ({"kind": "lora", "rank": 65}, {}, ("methods.m", "rank 65 is above 64", "at most 64")),
        ({"kind": "lora", "targets": ["q_prj"]}, {}, ("methods.m", '"q_prj"', "there are: ", "query")),
        ({"kind": "dp_lora", "epsilon": 0}, {}, ("methods.m.epsilon", "greater than 0")),
        ({"kind": "dp_full", "epsilon": -1}, {}, ("methods.m.epsilon", "greater than 0")),
        ({"kind": "dp_lora", "delta": 0.1}, {}, ("methods.m", "delta 0.1", "below 1/216")),
        ({"kind": "prompt"}, {**FACES, "model": "tiny-vit"}, ("methods.m", "ViTForImageClassification", "kind: lora")),
        ({"kind": "dp_lora"}, {**FACES, "model": "tiny-swinv2"}, ("methods.m", "Swinv2", "opacus")),
        ({"kind": "lora"}, {"tuning": {"grid": GRID, "score": "test"}}, ("tuning.score", "of the validation part")),
        ({"kind": "lora"}, {"tuning": {"grid": GRID}, "split": {"validation": 0}}, ("tuning", "split.validation is 0")),
        ({"kind": "lora"}, {"tuning": {"grid": {"m": {"rank": [4, 65]}}}}, ("methods.m (rank 65)", "at most 64")),
    ],
)
def test_a_method_that_cannot_be_trained_as_asked_is_refused_before_anything_is(
    small_study, tmp_path, evenhand, method, changes, words
):
    path = tmp_path / "bad.yaml"
    methods = {"full": small_study["methods"]["full"], "m": method}
    path.write_text(yaml.safe_dump({**small_study, "methods": methods, **changes}))
    refused(evenhand("run", path, "--out", tmp_path / "never"), *words)
    assert not (tmp_path / "never").exists()
