"""Logs that lm-evaluation-harness wrote: their numbers, groups, units, models and runs."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import evenhand as eh
from evenhand.audit.results import Results
from evenhand.errors import InputError
from lm_eval_logs import KEPT, TASKS, write_logs, write_real_tasks, write_tasks

LLAMA, MISTRAL = KEPT / "tiny-llama", KEPT / "tiny-mistral"


@pytest.fixture(scope="module")
def results() -> Results:
    return eh.audit_logs(
        "lm-eval",
        {"llama": LLAMA, "mistral": MISTRAL},
        reference="llama",
        groups=["gender", "tags", "meta.kind", "partly"],
        unit="template",
        margins={"default": 0.1},
    )


def reported(folder: Path) -> dict[str, dict[str, float]]:
    """The harness's numbers, by task and metric, as the file has them."""
    (file,) = folder.glob("results_*.json")
    return json.loads(file.read_text(encoding="utf-8"))["results"]


def samples(folder: Path, task: str) -> list[dict]:
    (file,) = folder.glob(f"samples_{task}_2*.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def level(results: Results, task: str, measure: str, method: str = "llama", **where) -> dict:
    rows = results.estimates.filter(
        pl.col("comparison").is_null(), pl.col("seed").is_null(), condition=task, measure=measure, method=method
    )
    rows = rows.filter(**where) if where else rows.filter(pl.col("group").is_null())
    return rows.row(0, named=True)


@pytest.fixture
def copied(tmp_path) -> Callable[..., Path]:
    """A copy of the logs of one model, whose results were changed by a function."""

    def copy(name: str, change: Callable[[dict], object] = lambda found: None, source: Path = LLAMA) -> Path:
        folder = tmp_path / name
        shutil.copytree(source, folder)
        (file,) = folder.glob("results_*.json")
        content = json.loads(file.read_text(encoding="utf-8"))
        change(content)
        file.write_text(json.dumps(content), encoding="utf-8")
        return folder

    return copy


def test_every_mean_is_the_harnesss_own_number(results):
    checked = 0
    for method, folder in (("llama", LLAMA), ("mistral", MISTRAL)):
        for task, numbers in reported(folder).items():
            for key, value in numbers.items():
                name, _, filtered = key.partition(",")
                if not filtered or name.endswith("_stderr"):
                    continue
                shown = name if filtered == "none" else f"{name} ({filtered})"
                if (task, name) == ("rooms", "acc_norm"):
                    continue  # an unweighted mean of tasks, which is left out with a note
                assert level(results, task, shown, method)["value"] == pytest.approx(value, abs=1e-9)
                checked += 1
    assert checked == 2 * 12
    assert any(
        "acc_norm of the group of tasks rooms is left out" in note for note in results.design.settings["logs"].notes
    )


def test_numbers_that_are_no_means_have_neither_intervals_nor_verdicts(results):
    for task, measure in (("endings", "perplexity"), ("pairs", "f1")):
        row = level(results, task, measure)
        assert row["value"] is not None and row["low"] is None and "not a mean over documents" in row["note"]
    assert not set(results.verdicts["measure"]) & {"perplexity", "f1"}


def test_the_interval_of_documents_is_the_harnesss_standard_error_with_students_quantile():
    results = eh.audit_logs("lm-eval", LLAMA)
    row, numbers = level(results, "pairs", "acc", "tiny-llama"), reported(LLAMA)["pairs"]
    half = stats.t.ppf(0.975, 24 - 1) * numbers["acc_stderr,none"]
    assert [row["low"], row["high"]] == pytest.approx([row["value"] - half, row["value"] + half], rel=1e-9)


def test_with_few_right_answers_the_interval_is_wider_than_the_harnesss_standard_error():
    """8 of 24 are right: a normal approximation would be too narrow, whatever the standard error is."""
    results = eh.audit_logs("lm-eval", LLAMA)
    row, numbers = level(results, "rooms_big", "acc", "tiny-llama"), reported(LLAMA)["rooms_big"]
    half = stats.t.ppf(0.975, 24 - 1) * numbers["acc_stderr,none"]
    assert (
        row["value"] == pytest.approx(8 / 24) and row["low"] < row["value"] - half and row["high"] > row["value"] + half
    )


def test_groups_come_from_fields_nested_ones_and_lists_too(results):
    rows = samples(LLAMA, "rooms_big")
    for attribute, group, chosen in (
        ("gender", "female", [sample["acc"] for sample in rows if sample["doc"]["gender"] == "female"]),
        ("meta.kind", "y", [sample["acc"] for sample in rows if sample["doc"]["meta"]["kind"] == "y"]),
        ("tags", "rare", [sample["acc"] for sample in rows if "rare" in sample["doc"]["tags"]]),
        ("tags", "old", [sample["acc"] for sample in rows if "old" in sample["doc"]["tags"]]),
        ("partly", "(missing)", [sample["acc"] for sample in rows if sample["doc"]["partly"] is None]),
    ):
        row = level(results, "rooms_big", "acc", attribute=attribute, group=group)
        assert (row["value"], row["n"]) == (pytest.approx(np.mean(chosen)), len(chosen))
    assert set(results.examples["attribute.gender"].explode()) == {"female", "male"}


def test_a_prefix_for_the_document_means_the_same_field():
    plain, prefixed = (eh.audit_logs("lm-eval", LLAMA, groups=name) for name in ("gender", "doc.gender"))
    assert plain.estimates.equals(prefixed.estimates)


def test_no_text_of_a_document_is_kept(results, tmp_path):
    results.save(tmp_path)
    for file in tmp_path.glob("*.parquet"):
        assert "Where is the" not in str(pl.read_parquet(file).to_dicts()), file
    assert "Where is the" not in "".join(file.read_text(encoding="utf-8") for file in tmp_path.glob("*.json"))


def test_a_group_of_tasks_is_audited_over_all_documents_of_its_tasks(results):
    assert level(results, "rooms", "acc")["n"] == 24 + 12
    assert "rooms" in results.design.settings["logs"].harness.tasks


def test_changes_gaps_and_changes_of_gaps_have_verdicts(results):
    kinds = results.verdicts.filter(measure="acc", condition="rooms_big").drop_nulls("verdict")
    assert {"change", "gap change"} <= set(kinds["comparison"])
    assert set(results.verdicts["scope"]) == {"these models"}
    alone = eh.audit_logs("lm-eval", LLAMA, groups="gender", unit="template")
    assert set(alone.verdicts["comparison"]) == {"gap"}


def test_a_saved_audit_is_loaded_reported_verified_and_gated(evenhand, tmp_path):
    out = tmp_path / "audit"
    logs = [f"llama={LLAMA}", f"mistral={MISTRAL}"]
    more = ["--reference", "llama", "--group", "gender", "--margin", "default=0.1"]
    said = evenhand("audit", "--from", "lm-eval", *logs, *more, "--out", str(out))
    assert said.returncode == 0 and "2 models" in said.stdout and str(KEPT) not in said.stdout
    again = Results.load(out)
    assert again.audited_again().verdicts.equals(again.verdicts)
    assert evenhand("verify", str(out)).returncode == 0
    assert evenhand("report", str(out), "--format", "md").returncode == 0
    assert evenhand("check", str(out)).returncode in (0, 1)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "lm-evaluation-harness" in page and str(KEPT) not in page and "Where is the" not in page


def test_models_are_named_by_the_harness_and_compared():
    both = eh.audit_logs("lm-eval", KEPT, reference="tiny-llama", benchmarks="rooms_big")
    assert set(both.trials["method"]) == {"tiny-llama", "tiny-mistral"}
    assert set(both.harness["task"]) == {"rooms_big"}
    named = eh.audit_logs("lm-eval", {"a": LLAMA, "b": MISTRAL}, reference="a", benchmarks="rooms_big")
    assert both.verdicts["contrast"].to_list() == named.verdicts["contrast"].to_list()


def test_several_paths_of_a_method_are_its_runs(copied):
    def second(found: dict) -> None:
        found["config"].update(dict.fromkeys(("random_seed", "numpy_seed", "torch_seed", "fewshot_seed"), 2))

    runs = {"llama": [LLAMA, copied("llama", second)], "mistral": [MISTRAL, copied("mistral", second, MISTRAL)]}
    results = eh.audit_logs("lm-eval", runs, reference="llama", benchmarks="rooms_big")
    assert results.trials.select("method", "seed").rows() == [
        ("llama", 1),
        ("llama", 2),
        ("mistral", 1),
        ("mistral", 2),
    ]
    assert set(results.verdicts["scope"]) == {"the methods"}
    assert "the same value for every document" in results.design.settings["logs"].warnings[0]


def test_paths_with_different_tasks_are_parts_of_one_run(copied):
    def only(*tasks: str) -> Callable[[dict], None]:
        def change(found: dict) -> None:
            found["configs"] = {task: found["configs"][task] for task in tasks}
            found["results"] = {task: found["results"][task] for task in tasks}
            found["group_subtasks"] = {}

        return change

    parts = [copied("first", only("pairs")), copied("second", only("colours"))]
    results = eh.audit_logs("lm-eval", parts)
    assert len(results.trials) == 1 and set(results.harness["task"]) == {"pairs", "colours"}
    with pytest.raises(InputError, match=r"a was evaluated on pairs and b was not; .* but they have none in common"):
        eh.audit_logs("lm-eval", {"a": parts[0], "b": parts[1]}, reference="a")


def test_a_metric_whose_tasks_disagree_about_better_is_not_compared(copied):
    def worse(found: dict) -> None:
        found["higher_is_better"]["colours"]["acc_norm"] = False
        found["higher_is_better"]["rooms_big"]["acc_norm"] = False
        found["higher_is_better"]["rooms_small"]["acc_norm"] = False

    paths = {"a": copied("a", worse), "b": copied("b", worse, MISTRAL)}
    results = eh.audit_logs("lm-eval", paths, reference="a")
    # The package's own acc_norm is better where it is higher: a log that says otherwise means something else.
    assert "acc_norm (lm-eval)" in set(results.verdicts["measure"]) and "acc_norm" not in set(
        results.verdicts["measure"]
    )


def test_a_direction_that_the_logs_do_not_give_can_be_declared(copied):
    def unsaid(found: dict) -> None:
        for known in found["higher_is_better"].values():
            known.pop("exact_match", None)

    paths = {"a": copied("a", unsaid), "b": copied("b", unsaid, MISTRAL)}
    name = "exact_match (strict)"
    silent = eh.audit_logs("lm-eval", paths, reference="a", benchmarks="counts")
    assert silent.verdicts.filter(measure=name, comparison="change").is_empty()
    declared = eh.audit_logs("lm-eval", paths, reference="a", benchmarks="counts", more_is={name: "better"})
    assert len(declared.verdicts.filter(measure=name, comparison="change")) == 1


def test_a_metric_with_the_name_of_a_measure_of_predictions_gets_another_one(copied):
    def renamed(found: dict) -> None:
        for part in ("results", "configs"):
            text = json.dumps(found[part]["colours"]).replace("acc", "accuracy")
            found[part]["colours"] = json.loads(text)
        found["higher_is_better"]["colours"] = {"accuracy": True}

    folder = copied("a", renamed)
    (file,) = folder.glob("samples_colours_*")
    file.write_text(file.read_text(encoding="utf-8").replace('"acc"', '"accuracy"'), encoding="utf-8")
    results = eh.audit_logs("lm-eval", folder, benchmarks="colours", margins={"accuracy (lm-eval)": 0.1})
    assert "accuracy (lm-eval)" in set(results.estimates["measure"])


def test_documents_that_were_not_asked_the_same_way_are_named(copied):
    def later(found: dict) -> None:
        found["versions"]["colours"] = 3.0

    results = eh.audit_logs("lm-eval", {"a": LLAMA, "b": copied("b", later)}, reference="a", benchmarks="colours")
    assert "colours: a was scored with version 2.0, b with 3.0" in results.design.settings["logs"].warnings[0]


@pytest.mark.slow
def test_logs_of_the_harness_that_is_installed_are_read_to_its_own_numbers(tmp_path):
    pytest.importorskip("lm_eval")
    write_tasks(tmp_path / "tasks")
    found = write_logs(tmp_path / "tasks", TASKS, tmp_path / "out")
    results = eh.audit_logs("lm-eval", tmp_path / "out", groups=["gender", "tags"], unit="template")
    checked = 0
    for task, numbers in found["results"].items():
        for key, value in numbers.items():
            name, _, filtered = key.partition(",")
            if filtered and not name.endswith("_stderr") and (task, name) != ("rooms", "acc_norm"):
                shown = name if filtered == "none" else f"{name} ({filtered})"
                assert level(results, task, shown, "tiny-llama")["value"] == pytest.approx(value, abs=1e-9)
                checked += 1
    assert checked == 12


@pytest.mark.slow
def test_real_benchmarks_are_read_to_the_numbers_and_standard_errors_of_the_harness(tmp_path, shared_data):
    """CrowS-Pairs and Winogender, as their authors published them, scored by lm-evaluation-harness."""
    pytest.importorskip("lm_eval")
    for name in ("crows_pairs", "winogender"):
        if not (shared_data / name).is_dir():
            pytest.skip(f"{shared_data / name} is not there")
    write_real_tasks(tmp_path / "tasks", shared_data)
    names = ("crows_pairs_english", "winogender_all")
    found = write_logs(tmp_path / "tasks", names, tmp_path / "out")["results"]
    results = eh.audit_logs("lm-eval", tmp_path / "out", groups=["gender", "bias_type"])
    assert len(results.examples) == 1508 + 720
    for task, metric, n in (
        ("crows_pairs_english", "pct_stereotype", 1508),
        ("crows_pairs_english", "likelihood_diff", 1508),
        ("winogender_all", "acc", 720),
    ):
        row, numbers = level(results, task, metric, "tiny-llama"), found[task]
        assert row["value"] == pytest.approx(numbers[f"{metric},none"], abs=1e-9)
        half = stats.t.ppf(0.975, n - 1) * numbers[f"{metric}_stderr,none"]
        assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=1e-9)
    (file,) = (tmp_path / "out").rglob("samples_crows_*")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    kinds = {sample["doc"]["bias_type"] for sample in rows}
    assert len(kinds) == 9
    for kind in kinds:
        values = [sample["pct_stereotype"] for sample in rows if sample["doc"]["bias_type"] == kind]
        row = level(results, "crows_pairs_english", "pct_stereotype", "tiny-llama", group=kind)
        assert (row["value"], row["n"]) == (pytest.approx(np.mean(values), abs=1e-9), len(values))
    rows = sorted(rows, key=lambda sample: sample["doc_id"])
    for unit, metric, clusters in (("block", "pct_stereotype", 377), ("block", "likelihood_diff", 377)):
        by_unit = eh.audit_logs("lm-eval", tmp_path / "out", unit=unit, benchmarks="crows_pairs_english")
        assert f"1,508 documents in {clusters} units ({unit})" in by_unit.design.settings["logs"].notes[0]
        values, units = (np.array(column) for column in zip(*((s[metric], s["doc"][unit]) for s in rows), strict=True))
        row = level(by_unit, "crows_pairs_english", metric, "tiny-llama")
        half = stats.t.ppf(0.975, clusters - 1) * clustered(values, units)
        assert [row["low"], row["high"]] == pytest.approx([row["value"] - half, row["value"] + half], rel=1e-9)
    # Most occupations have six right answers of twelve: units that hardly differ say little of how much others would.
    by_occupation = eh.audit_logs("lm-eval", tmp_path / "out", unit="occupation", benchmarks="winogender_all")
    (file,) = (tmp_path / "out").rglob("samples_winogender_*")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    values = np.array([sample["acc"] for sample in rows])
    units = np.array([sample["doc"]["occupation"] for sample in rows])
    row = level(by_occupation, "winogender_all", "acc", "tiny-llama")
    half = stats.t.ppf(0.975, 60 - 1) * clustered(values, units)
    assert row["low"] < row["value"] - half and row["high"] > row["value"] + half


def clustered(values: np.ndarray, units: np.ndarray) -> float:
    """The clustered standard error of Miller 2024 (its equation 4) with the factor G/(G − 1) for G clusters."""
    sums = np.array([(values[units == unit] - values.mean()).sum() for unit in np.unique(units)])
    return math.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values)
