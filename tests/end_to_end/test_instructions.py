"""Benchmarks and prompts after supervised fine-tuning: records, verdicts by group and the report."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import evenhand as eh
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.study.execution import pending
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from lm_eval_logs import write_logs, write_real_tasks  # pyright: ignore[reportMissingImports]
from own_benchmarks import write_benchmarks

pytest.importorskip("lm_eval")

COLUMNS = {task: {"groups": "region", "unit": "template"} for task in ("capitals", "sums", "essays")}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    write_benchmarks(folder)
    return folder


def study(tasks: Path, **more) -> eh.Study:
    values = {
        "task": {"name": "synthetic/instructions", "n": 80},
        "model": "tiny-llama",
        "methods": {
            "base": {"kind": "base"},
            "full": {"kind": "full", "lr": 3e-3, "epochs": 2},
        },
        "reference": "base",
        "seeds": 2,
        "split": {"test": 0.5, "validation": 0.0},
        "keep": "weights",
        "margins": {"default": 0.1, "response_loss": 0.1, "exact_match": 0.1, "grade": 0.5, "content_effect": 0.2},
        "harness": {
            "tasks": ["capitals", "sums", "essays"],
            "include_path": str(tasks),
            "columns": COLUMNS,
            "metrics": {"grade": {"range": [0, 10]}},
        },
        "prompts": {"reviews": 12, "templates": ["cloze1"], "words": ["male-female"]},
    }
    return eh.Study(**{**values, **more})


@pytest.fixture(scope="module")
def run(tasks, tmp_path_factory) -> tuple[Path, Results]:
    out = tmp_path_factory.mktemp("study")
    return out, study(tasks).run(out)


@pytest.mark.slow
def test_responses_benchmarks_and_prompts_have_verdicts_by_group(run):
    _, results = run
    verdicts = results.verdicts
    judged = {
        (condition, measure): set(part["group"])
        for (condition, measure), part in verdicts.partition_by("condition", "measure", as_dict=True).items()
    }
    assert judged[None, "response_loss"] >= {None, "food", "travel", "music", "garden"}
    for condition, measure in (
        ("capitals", "acc"),
        ("sums", "exact_match (lm-eval)"),
        ("essays", "grade"),
        ("essays", "oddness"),
    ):
        assert judged[condition, measure] == {None, "asia", "europe"}, measure
    grade = verdicts.filter(pl.col("group").is_null(), measure="grade").row(0, named=True)
    assert grade["margin"] == 0.5 and grade["verdict"] in ("worse", "better", "equivalent", "inconclusive")
    assert "distance_from_equal" in set(verdicts["measure"])
    assert ("essays", "perplexity") not in judged
    shown = results.estimates.filter(measure="perplexity")
    assert len(shown) and shown["note"].str.contains("not a mean over documents").all()
    assert len(verdicts.filter(comparison="gap change", measure="acc"))  # one of two groups: the other is its rest


@pytest.mark.slow
def test_the_report_and_the_saved_study_have_them(run):
    out, results = run
    page = (out / "report.html").read_text(encoding="utf-8")
    for said in ("capitals", "exact_match (lm-eval)", "Answers to prompts", "response_loss"):
        assert said in page, said
    assert "perplexity (essays) is not a mean over documents" in page
    assert "grade (essays), a mean over documents: more is better; from 0 to 10." in page
    loaded = Results.load(out)
    assert loaded.verdicts.equals(results.verdicts) and loaded.harness.equals(results.harness)
    assert loaded.options.equals(results.options) and len(loaded.options)


@pytest.mark.slow
def test_prompts_are_about_what_users_wrote_and_asked_again_from_kept_weights(run, tasks):
    out, results = run
    plan, store = make_plan(study(tasks), None), Store(out)
    assert pending(plan, store) == []
    trial = plan.trials[-1]
    assert trial.questioning is not None and len(trial.questioning.texts) == 12
    assert all(not text.startswith("[{") for text in trial.questioning.texts.inputs)
    tested = set(trial.evaluations["test"].example)
    assert set(trial.questioning.texts.example) <= tested
    assert [each.hash for each in make_plan(study(tasks, prompts=None), None).trials] == [
        each.hash for each in plan.trials
    ]
    path = store.folder(trial.hash) / "options.parquet"
    before = pl.read_parquet(path)
    path.unlink()
    assert len(pending(plan, store)) == 1
    logs = {file: file.stat().st_mtime_ns for file in out.glob("trials/*/log.jsonl")}
    again = study(tasks).run(out)
    assert {file: file.stat().st_mtime_ns for file in logs} == logs
    assert pl.read_parquet(path).equals(before) and again.verdicts.equals(results.verdicts)


def test_prompts_need_texts_of_people(tasks):
    with pytest.raises(InputError, match="prompts need a task of reviews or pairs"):
        study(tasks, task={"name": "synthetic/translation", "n": 60}, harness=None)


@pytest.mark.slow
def test_scores_of_local_files_are_those_of_lm_eval_itself(tasks, shared_data, tmp_path):
    """The authors' own files, and a task of one's own, read by `lm_eval` with tasks that name the files themselves."""
    import torch

    from evenhand.models.find import find_model
    from evenhand.models.language import load_language_model
    from evenhand.models.load import load_tokenizer
    from evenhand.tasks.harness.loading import load_benchmarks
    from evenhand.tasks.harness.scoring import score_benchmarks

    if not all((shared_data / name).is_dir() for name in ("crows_pairs", "winogender")):
        pytest.skip("the authors' files are not there")
    base = find_model("tiny-llama")
    names, own = ("crows_pairs_english", "winogender_all"), ("capitals", "sums", "essays")
    model, tokenizer = load_language_model(base), load_tokenizer(base)
    write_real_tasks(tmp_path / "tasks", shared_data)
    theirs = write_logs(tmp_path / "tasks", names, tmp_path / "logs")["results"]
    for name in own:
        text = (tasks / f"{name}.yaml").read_text(encoding="utf-8")
        (tmp_path / "tasks" / f"{name}.yaml").write_text(text.replace("capitals.jsonl", str(tasks / "capitals.jsonl")))
    (tmp_path / "tasks" / "grades.py").write_text((tasks / "grades.py").read_text(encoding="utf-8"))
    theirs |= write_logs(tmp_path / "tasks", own, tmp_path / "logs")["results"]
    checked = 0
    for asked, folders in ((names, {"below": shared_data}), (own, {"include": tasks})):
        benchmarks = load_benchmarks(asked, **folders)
        ours = score_benchmarks(model, tokenizer, benchmarks, torch.device("cpu"))
        for task, metric, value in (
            ours.filter(pl.col("example").is_null()).select("task", "metric", "value").iter_rows()
        ):
            assert value == pytest.approx(theirs[task][f"{metric},none"], rel=1e-4, abs=1e-6), (task, metric)
            checked += 1
    assert checked == 9


@pytest.mark.slow
def test_a_folder_without_documents_ends_the_command_before_anything_is_trained(evenhand, tasks, tmp_path):
    (tmp_path / "data" / "bbq").mkdir(parents=True)
    file = tmp_path / "study.yaml"
    file.write_text(study(tasks, harness=["bbq"], margins={}).to_yaml(), encoding="utf-8")
    done = evenhand("run", file, "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert done.returncode == 2 and "it has no files; it should hold those of oskarvanderwal/bbq" in done.stderr
    assert not (tmp_path / "out" / "trials").exists()
