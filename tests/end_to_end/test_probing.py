"""`probing:` from a study to its report: what is recorded, what is done again, what is refused."""

from __future__ import annotations

import json

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from evenhand import records
from evenhand.audit.results import Results
from evenhand.cli import app, main

STUDY = {
    "task": {"name": "synthetic/posts", "n": 240},
    "model": "tiny-bert",
    "methods": {"base": {"kind": "base"}, "lora": {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 1}},
    "reference": "base",
    "seeds": 2,
    "split": {"test": 0.4, "validation": 0},
    "margins": {"default": 0.1},
    "measures": ["probe_accuracy", "control_accuracy", "selectivity"],
    "probing": ["topic", "label"],
}


def invoked(folder, *more: str, command: str = "run", **changes):
    return CliRunner().invoke(app, [command, *arguments(folder, changes), *more])


def arguments(folder, changes) -> list[str]:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}))
    return [str(path), "--out", str(folder / "out")]


def stamps(folder, name: str) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in (folder / "out" / "trials").glob(f"*/{name}")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probing")
    ran = invoked(folder)
    assert ran.exit_code == 0, ran.output
    return folder


def test_a_study_ends_in_estimates_by_layer_verdicts_and_pictures(finished):
    results = Results.load(finished / "out")
    found = results.estimates.filter(measure="selectivity").filter(pl.col("seed").is_null())
    assert set(found["condition"]) == {f"{target}/{layer}" for target in ("topic", "label") for layer in range(3)}
    assert set(found["method"]) == {"base", "lora", "untrained"}
    assert found.filter(condition="topic/0", method="base")["low"][0] > 0.1  # words say the topic
    verdicts = results.verdicts.filter(measure="selectivity")
    judged = verdicts.filter(reference="base")
    assert set(judged["condition"]) == {"topic/2", "label/2"} and judged["verdict"].is_not_null().all()
    assert set(results.probes["trial"]) == set(results.trials["trial"])
    assert {"probes-topic.png", "probes-label.png"} <= {path.name for path in (finished / "out/figures").iterdir()}
    assert "Information in representations" in (finished / "out/report.html").read_text()


@pytest.mark.slow
def test_running_again_does_nothing_and_killed_trials_start_again(finished):
    before = stamps(finished, "probes.parquet")
    ran = invoked(finished)
    assert ran.exit_code == 0 and "all 4 trials are complete" in ran.stderr
    assert stamps(finished, "probes.parquet") == before and len(before) == 4
    # A run that was killed while it probed has neither predictions nor probes: the folder has no final name.
    trial = sorted(before)[0]
    (finished / "out" / "trials" / trial).rename(finished / "out" / "trials" / f".{trial}.1")
    ran = invoked(finished)
    assert ran.exit_code == 0 and "3 of 4 trials are complete" in ran.stderr
    assert stamps(finished, "probes.parquet").keys() == before.keys()


def test_other_targets_are_probed_for_in_kept_weights(finished):
    probes, predictions = stamps(finished, "probes.parquet"), stamps(finished, "predictions.parquet")
    ran = invoked(finished, probing="topic=food")
    assert ran.exit_code == 0 and "predicted" in ran.stderr and ": trained" not in ran.stderr
    assert stamps(finished, "predictions.parquet") == predictions
    after = stamps(finished, "probes.parquet")
    assert all(after[trial] != probes[trial] for trial in probes)
    results = Results.load(finished / "out")
    assert set(results.probes["target"]) == {"topic=food", "topic=food/untrained"}


@pytest.mark.slow
def test_a_study_that_no_longer_probes_leaves_the_records_and_audits_none(finished):
    assert invoked(finished, probing="topic=food").exit_code == 0
    ran = invoked(finished, probing=None)
    assert ran.exit_code == 0 and "all 4 trials are complete" in ran.stderr
    results = Results.load(finished / "out")
    assert results.probes.is_empty() and results.estimates.filter(measure="selectivity").is_empty()
    ran = invoked(finished, probing="topic=food")
    assert ran.exit_code == 0 and "all 4 trials are complete" in ran.stderr


@pytest.mark.slow
def test_predictions_are_audited_as_ever_beside_probes(finished):
    assert invoked(finished, measures=["accuracy", "selectivity"]).exit_code == 0
    assert set(Results.load(finished / "out").verdicts["measure"]) == {"accuracy", "selectivity"}


@pytest.mark.slow
def test_weights_that_were_not_kept_are_trained_again_and_it_is_said(tmp_path):
    few = {"methods": {"lora": STUDY["methods"]["lora"]}, "reference": [], "seeds": 1, "keep": "none"}
    assert invoked(tmp_path, probing=None, **few).exit_code == 0
    ran = invoked(tmp_path, probing={"targets": "topic", "untrained": False}, **few)
    assert ran.exit_code == 0 and "its weights were not kept" in ran.stderr
    (folder,) = (tmp_path / "out" / "trials").iterdir()
    assert set(records.read(folder / "probes.parquet", "probes")["target"]) == {"topic"}


@pytest.mark.parametrize(("changes", "said"), [
    ({"probing": "gender"}, 'no attribute "gender" to probe for; it has: label, topic'),
    ({"probing": {"targets": "topic", "layers": [7]}}, "there is no layer 7"),
    ({"task": "synthetic/faces", "model": "tiny-vit", "probing": "label"}, "probing needs a model of texts"),
    ({"task": {"name": "synthetic/reviews", "women": 1.0}, "model": "tiny-llama", "methods": {"base": {"kind": "base"}},
      "probing": "author"}, "author has one value"),
])  # fmt: skip
def test_bad_input_is_refused_with_exit_code_2(changes, said, tmp_path, monkeypatch, capsys):
    for command in ("run", "plan"):
        monkeypatch.setattr("sys.argv", ["evenhand", command, *arguments(tmp_path, changes)])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "out" / "trials").exists() or not any((tmp_path / "out" / "trials").iterdir())


def test_a_plan_knows_that_probes_are_missing(finished):
    ran = invoked(finished, "--no-calibrate", "--json", command="plan", probing=["label"])
    assert ran.exit_code == 0 and json.loads(ran.stdout)["to_train"] == 4


@pytest.mark.slow
def test_the_preset_ends_in_its_figure(tmp_path):
    ran = CliRunner().invoke(app, ["run", "paper/probing", "--tiny", "--out", str(tmp_path), "--json"])
    assert ran.exit_code == 0, ran.output
    assert all((tmp_path / "figures" / f"probing.{ending}").stat().st_size > 5000 for ending in ("png", "svg", "pdf"))
    results = Results.load(tmp_path)
    assert set(results.trials["status"]) == {"done"} and len(results.probes)
    assert set(results.verdicts.filter(measure="selectivity")["condition"]) == {"stereotype/2", "gender=men/2"}
