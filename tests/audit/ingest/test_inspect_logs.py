"""Logs that Inspect wrote: archives, JSON and tables of samples; scores, epochs, groups and errors."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

import evenhand as eh
from evenhand.audit.ingest.harness_logs.inspect_scores import SampleScore, by_sample, to_number
from evenhand.audit.results import Results
from evenhand.errors import InputError
from inspect_logs import KEPT, write_log

ONE = KEPT / "2026-01-01T00-00-00_sums_json.json"
EPOCHS = KEPT / "2026-01-01T00-00-00_sums_json_epochs.json"
ARCHIVE = KEPT / "2026-01-01T00-00-00_sums_eval.eval"


def level(results: Results, measure: str, **where: Any) -> dict[str, Any]:
    rows = results.estimates.filter(pl.col("comparison").is_null(), pl.col("seed").is_null(), measure=measure)
    rows = rows.filter(**where) if where else rows.filter(pl.col("group").is_null())
    return rows.row(0, named=True)


def reported(log: Path) -> dict[str, float]:
    """Inspect's numbers, `SCORE METRIC` or `SCORE (REDUCER) METRIC`."""
    scores = json.loads(log.read_text(encoding="utf-8"))["results"]["scores"]
    several = len({score.get("reducer") for score in scores}) > 1
    numbers = {}
    for score in scores:
        shown = f"{score['name']} ({score['reducer']})" if several else score["name"]
        numbers |= {f"{shown} {name}": metric["value"] for name, metric in score["metrics"].items()}
    return numbers


@pytest.fixture
def changed(tmp_path) -> Callable[..., Path]:
    """A copy of a JSON log, changed by a function."""

    def change(how: Callable[[dict[str, Any]], object], name: str = "2026-01-02T00-00-00_sums.json") -> Path:
        content = json.loads(ONE.read_text(encoding="utf-8"))
        how(content)
        path = tmp_path / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return change


def test_every_mean_is_inspects_own_number():
    results, numbers = eh.audit_logs("inspect", ONE), reported(ONE)
    for measure, metric in (("match", "accuracy"), ("length", "mean"), ("tone", "mean"), ("polite", "accuracy")):
        assert level(results, measure)["value"] == pytest.approx(numbers[f"{measure} {metric}"], abs=1e-12)
    assert not set(results.estimates["measure"]) - {"match", "length", "tone", "polite"}  # neither stderr nor std


def test_epochs_are_reduced_within_the_sample_as_inspect_does():
    results, numbers = eh.audit_logs("inspect", EPOCHS), reported(EPOCHS)
    assert len(results.trials) == 1 and len(results.examples) == 12
    for reducer in ("mean", "mode"):
        for score, metric in (("match", "accuracy"), ("length", "mean"), ("polite", "accuracy")):
            shown = f"{score} ({reducer})"
            assert level(results, shown)["value"] == pytest.approx(numbers[f"{shown} {metric}"], abs=1e-12)


def test_the_interval_of_units_is_inspects_clustered_standard_error_with_students_quantile():
    """Inspect's `stderr(cluster=…)` is that of Miller 2024 with the factor G/(G − 1)."""
    row, error = level(eh.audit_logs("inspect", ONE, unit="template"), "length"), reported(ONE)["length stderr"]
    half = stats.t.ppf(0.975, 3 - 1) * error
    assert [row["low"], row["high"]] == pytest.approx([row["value"] - half, row["value"] + half], rel=1e-9)


def test_groups_come_from_metadata_nested_fields_too():
    results = eh.audit_logs("inspect", ONE, groups=["gender", "metadata.about.kind"])
    samples = json.loads(ONE.read_text(encoding="utf-8"))["samples"]
    women = [to_number(sample["scores"]["match"]["value"]) for sample in samples if sample["metadata"]["gender"] == "f"]
    assert level(results, "match", group="f")["value"] == pytest.approx(np.mean(women))
    assert set(results.examples["attribute.about.kind"].explode()) == {"x", "y", "z"}


def test_letters_are_shares_with_a_direction_and_numbers_have_the_one_that_is_declared():
    paths = {"a": ONE, "b": ONE}
    silent = eh.audit_logs("inspect", paths, reference="a")
    assert set(silent.verdicts["measure"]) == {"match", "polite"}
    spoken = eh.audit_logs(
        "inspect", paths, reference="a", more_is={"length": "worse"}, margins={"length": 0.5, "default": 0.1}
    )
    assert "length" in set(spoken.verdicts["measure"]) and "tone" not in set(spoken.verdicts["measure"])
    every = eh.audit_logs("inspect", paths, reference="a", more_is="worse")
    assert {"length", "tone"} <= set(every.verdicts["measure"])
    assert every.design.declared[0].more_is == "better"  # letters keep their own


def test_gaps_of_numbers_without_a_range_have_no_verdict():
    free = eh.audit_logs("inspect", ONE, groups="gender")
    gaps = free.verdicts.filter(measure="length")
    assert gaps["verdict"].null_count() == len(gaps) == 1 and "no coverage is promised" in gaps["note"][0]
    bounded = eh.audit_logs("inspect", ONE, groups="gender", range={"length": (0, 10)})
    assert bounded.verdicts.filter(measure="length")["verdict"].null_count() == 0
    with pytest.raises(InputError, match=r"range: length has the value .* outside of 0 to 1"):
        eh.audit_logs("inspect", ONE, range={"length": (0, 1)})


def test_samples_without_a_score_are_counted_and_left_out(changed):
    def unscored(log: dict[str, Any]) -> None:
        for reduction in log["reductions"]:
            if reduction["scorer"] == "length":
                kept = [sample["value"] for sample in reduction["samples"][3:]]
                for sample in reduction["samples"][:3]:
                    sample["value"] = math.nan
        for score in log["results"]["scores"]:
            if score["name"] == "length":
                score["metrics"]["mean"]["value"] = sum(kept) / len(kept)

    results = eh.audit_logs("inspect", changed(unscored))
    assert level(results, "length")["n"] == 9
    assert "length of sums, mockllm/model: 9 of 12 documents have a value." in results.design.settings["logs"].notes


def test_a_number_that_is_no_mean_is_shown_without_an_interval(changed):
    def further(log: dict[str, Any]) -> None:
        log["results"]["scores"][0]["metrics"]["median"] = {"name": "median", "value": 0.123, "params": {}}

    row = level(eh.audit_logs("inspect", changed(further)), "match median")
    assert row["value"] == 0.123 and row["low"] is None and "not a mean over documents" in row["note"]


def test_a_log_without_reductions_is_read_from_its_samples(changed):
    def older(log: dict[str, Any]) -> None:
        log.pop("reductions")

    assert level(eh.audit_logs("inspect", changed(older)), "match")["value"] == pytest.approx(
        reported(ONE)["match accuracy"], abs=1e-12
    )


def test_an_archive_is_read_to_inspects_numbers(tmp_path):
    pytest.importorskip("zstandard")
    results = eh.audit_logs("inspect", ARCHIVE, groups=["gender", "about.kind"], unit="template")
    assert len(results.examples) == 24 and "24 documents in 6 units" in results.design.settings["logs"].notes[0]
    folder = eh.audit_logs("inspect", {"a": ARCHIVE, "b": ARCHIVE}, reference="a")
    assert set(folder.verdicts["contrast"].drop_nulls()) == {0.0}


def test_a_field_that_an_archive_does_not_hold_whole_is_refused(tmp_path):
    """Inspect's summaries cut texts at 1,024 characters, and leave out other values that are longer."""
    log = json.loads(ONE.read_text(encoding="utf-8"))
    for sample in log["samples"]:
        sample["metadata"] |= {"about": "Key removed from summary (> 1k)", "passage": "word " * 203 + "..."}
    archived = classic_archive(tmp_path / "long.eval", log)
    for more in ({"groups": "about"}, {"groups": "passage"}, {"unit": "passage"}):
        with pytest.raises(InputError, match=r"too long for the summaries of an \.eval file; convert the log"):
            eh.audit_logs("inspect", archived, **more)


def classic_archive(path: Path, log: dict[str, Any]) -> Path:
    """An archive in the classic compression, of the parts of a JSON log."""
    parts = {
        "header.json": {key: value for key, value in log.items() if key not in ("samples", "reductions")},
        "reductions.json": log["reductions"],
        "summaries.json": log["samples"],
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, json.dumps(content))
    return path


def test_an_archive_in_the_classic_compression_needs_no_further_package(tmp_path):
    """What Inspect wrote before it used Zstandard; made of the parts of a log that it wrote."""
    path = classic_archive(tmp_path / "2025-01-01T00-00-00_sums.eval", json.loads(ONE.read_text(encoding="utf-8")))
    archived, plain = (eh.audit_logs("inspect", log) for log in (path, ONE))
    assert archived.estimates.equals(plain.estimates)


def test_a_table_of_samples_has_the_same_means(tmp_path):
    rows = []
    for sample in json.loads(EPOCHS.read_text(encoding="utf-8"))["samples"]:
        row = {"id": sample["id"], "epoch": sample["epoch"], "input": sample["input"], "target": sample["target"]}
        row |= {
            "metadata_gender": sample["metadata"]["gender"],
            "metadata_about": json.dumps(sample["metadata"]["about"]),
        }
        for name, score in sample["scores"].items():
            row[f"score_{name}"] = json.dumps(score["value"]) if isinstance(score["value"], dict) else score["value"]
        rows.append(row | {"model": "mockllm/model", "task_name": "sums", "log": "one.eval"})
    numbers = reported(EPOCHS)
    for name in ("samples.parquet", "samples.csv"):
        path = tmp_path / name
        frame = pl.DataFrame(rows)
        frame.write_csv(path) if name.endswith("csv") else frame.write_parquet(path)
        results = eh.audit_logs("inspect", path, groups=["gender", "about.kind"])
        for score, metric in (("match", "accuracy"), ("length", "mean"), ("tone", "mean"), ("polite", "accuracy")):
            assert level(results, score)["value"] == pytest.approx(numbers[f"{score} (mean) {metric}"], abs=1e-12)
        assert set(results.examples["attribute.about.kind"].explode()) == {"x", "y", "z"}
    with pytest.raises(InputError, match=r"does not say of which model it is; name it, as in NAME=.*bare\.csv"):
        pl.DataFrame(rows).drop("model").write_csv(tmp_path / "bare.csv")
        eh.audit_logs("inspect", tmp_path / "bare.csv")


def test_a_folder_holds_the_logs_of_several_models_and_tasks(tmp_path, changed):
    def other(log: dict[str, Any]) -> None:
        log["eval"]["model"] = "openai/other"

    def failed(log: dict[str, Any]) -> None:
        log["status"] = "error"

    changed(other)
    changed(failed, "2026-01-03T00-00-00_sums.json")
    shutil.copy(ONE, tmp_path)
    (tmp_path / "logs.json").write_text("{}", encoding="utf-8")  # of another tool
    results = eh.audit_logs("inspect", tmp_path, reference="mockllm/model")
    assert set(results.trials["method"]) == {"mockllm/model", "openai/other"}
    assert any("a log of unfinished evaluations left out" in note for note in results.design.settings["logs"].notes)


@pytest.mark.parametrize(
    ("scores", "key", "means"),
    [
        ([("1", "C"), ("1", "P"), ("2", "N")], None, {"1": 0.75, "2": 0.0}),
        ([("1", True), ("2", "yes"), ("3", "no"), ("4", "0.25")], None, {"1": 1.0, "2": 1.0, "3": 0.0, "4": 0.25}),
        ([("1", {"a": 2, "b": "I"}), ("2", {"a": None})], "a", {"1": 2.0}),
        ([("1", [1, 2]), ("2", "grade A"), ("3", None), ("4", math.inf)], None, {}),
    ],
)
def test_scores_become_numbers_as_inspects_metrics_take_them(scores, key, means):
    assert by_sample([SampleScore(sample, value) for sample, value in scores], key) == means


def test_scores_are_mapped_as_by_inspects_own_function():
    pytest.importorskip("inspect_ai")
    from inspect_ai.scorer import value_to_float

    theirs = value_to_float()
    for value in ("C", "I", "P", "N", True, False, 0, 1, 0.25, -3, "yes", "No", "TRUE", "false", "0.5", "12"):
        assert to_number(value) == theirs(value), value


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["eval", "json"])
@pytest.mark.parametrize(("epochs", "reducer"), [(1, None), (3, None), (3, ["mean", "at_least_2"])])
def test_logs_of_the_inspect_that_is_installed_are_read_to_its_own_numbers(tmp_path, kind, epochs, reducer):
    pytest.importorskip("inspect_ai")
    log = write_log(tmp_path, epochs=epochs, reducer=reducer, kind=kind, samples=40, unscored=(3, 5))
    results = eh.audit_logs("inspect", tmp_path, groups=["gender", "about.kind"], unit="template")
    checked = 0
    for score in log.results.scores:
        for name, metric in score.metrics.items():
            if name in ("accuracy", "mean"):
                shown = f"{score.name} ({score.reducer})" if isinstance(reducer, list) else score.name
                assert level(results, shown)["value"] == pytest.approx(metric.value, abs=1e-12)
                checked += 1
    assert checked == (8 if isinstance(reducer, list) else 4)
    assert level(results, "length (mean)" if isinstance(reducer, list) else "length")["n"] == 38


@pytest.mark.slow
def test_a_table_that_inspects_own_samples_df_made_is_read(tmp_path):
    pytest.importorskip("inspect_ai")
    from inspect_ai.analysis import EvalInfo, EvalModel, EvalTask, SampleSummary, samples_df

    log = write_log(tmp_path / "logs", epochs=2, samples=20)
    frame = samples_df(str(tmp_path / "logs"), columns=EvalInfo + EvalModel + EvalTask + SampleSummary, quiet=True)
    frame.to_parquet(tmp_path / "samples.parquet")
    results = eh.audit_logs("inspect", tmp_path / "samples.parquet", groups=["gender", "about.kind"])
    for score in log.results.scores:
        mean = score.metrics.get("accuracy") or score.metrics["mean"]
        assert level(results, score.name)["value"] == pytest.approx(mean.value, abs=1e-12)
