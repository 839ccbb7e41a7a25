"""`evenhand audit --from`: names of paths, options that mean nothing for logs, and what the report says of logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import evenhand as eh
from evenhand.audit.results import Results
from inspect_logs import KEPT as INSPECT
from lm_eval_logs import KEPT

LLAMA, MISTRAL = KEPT / "tiny-llama", KEPT / "tiny-mistral"
ONE = INSPECT / "2026-01-01T00-00-00_sums_json.json"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "lm-eval", LLAMA, "--label", "y"], "--label is an option for tables; it means nothing with --from"),
        (["--from", "lm-eval", LLAMA, "--split", "fixed"], "--split is an option for tables"),
        (["--from", "lm-eval", f"a={LLAMA}", MISTRAL], "has no name and other paths have one; name all"),
        (["--from", "lm-eval", f"={LLAMA}"], "should be a path, or NAME=PATH"),
        (["--from", "lm-eval", LLAMA, "--more-is", "better", "--more-is", "worse"], "METRIC=WORD for each"),
        (["--from", "lm-eval", LLAMA, "--more-is", "acc=up"], "more is: acc should be worse or better, not 'up'"),
        (["--from", "lm-eval", f"a={LLAMA}", f"b={MISTRAL}"], "say which is the reference"),
        ([LLAMA], "is no table; logs of a harness are audited with --from"),
        (["a.csv", "b.csv"], "a.csv and b.csv: an audit is of one table"),
        (["a.csv", "--benchmark", "x"], "--benchmark is an option for logs; say with --from"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(arguments, said, evenhand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = evenhand("audit", *arguments)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_metrics_with_spaces_are_named_in_margins_and_a_folder_may_have_an_equals_sign(evenhand, tmp_path):
    folder = tmp_path / "seed=1"
    folder.symlink_to(LLAMA)
    done = evenhand(
        "audit", "--from", "lm-eval", folder, "--margin", "exact_match (strict)=0.1", "--benchmark", "counts", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["design"]["margins"] == {"exact_match (strict)": 0.1}


def test_an_audit_of_logs_keeps_the_history_of_margins_and_takes_no_folder_of_a_study(tmp_path):
    for margin in (0.1, 0.2):
        eh.audit_logs("lm-eval", LLAMA, benchmarks="pairs", margins={"default": margin}, out=tmp_path / "out")
    history = Results.load(tmp_path / "out").design.margin_history
    assert [change.margins for change in history] == [{"default": 0.1}, {"default": 0.2}]
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").write_text("", encoding="utf-8")
    with pytest.raises(eh.InputError, match="holds a study"):
        eh.audit_logs("lm-eval", LLAMA, benchmarks="pairs", out=tmp_path / "study")


def planted(folder: Path, wrong: str) -> Path:
    """Logs in the format of the harness in which one group's questions are answered worse than those of the other."""
    folder.mkdir()
    lines = []
    for number in range(400):
        gender = ("f", "m")[number % 2]
        right = number % 10 < (2 if gender == wrong else 8)
        doc = {"number": number, "gender": gender}
        lines.append({"doc_id": number, "doc": doc, "target": "0", "filter": "none", "acc": float(right)})
    mean = sum(line["acc"] for line in lines) / len(lines)
    results = {
        "results": {"quiz": {"alias": "quiz", "acc,none": mean, "acc_stderr,none": 0.02}},
        "configs": {"quiz": {"task": "quiz"}},
        "higher_is_better": {"quiz": {"acc": True}},
        "config": {"model": "hf", "model_args": "pretrained=org/one"},
        "model_name": "org/one",
    }
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "samples_quiz_2026-01-01T00-00-00.jsonl").write_text(text, encoding="utf-8")
    (folder / "results_2026-01-01T00-00-00.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


def test_the_headline_names_the_group_that_fares_worse(tmp_path):
    alone = eh.audit_logs("lm-eval", planted(tmp_path / "alone", "f"), groups="gender")
    assert alone.to_json()["headline"][0].startswith(
        "org/one has a worse accuracy of answers (acc) in quiz · gender = f"
    )
    paths = {"before": planted(tmp_path / "before", "none"), "after": planted(tmp_path / "after", "f")}
    compared = eh.audit_logs("lm-eval", paths, groups="gender", reference="before")
    assert "gender = f" in compared.to_json()["headline"][0] and "worse" in compared.to_json()["headline"][0]
    (row,) = compared.verdicts.filter(comparison="change", group="f").iter_rows(named=True)
    assert row["verdict"] == "worse" and row["contrast"] == pytest.approx(0.6)
    assert compared.gate().passed is False


def test_the_page_explains_the_benchmarks_that_it_shows_and_no_others(tmp_path):
    eh.audit_logs("inspect", ONE, groups="gender", out=tmp_path / "inspect")
    page = (tmp_path / "inspect" / "report.html").read_text(encoding="utf-8")
    assert "does not prove harm or its absence elsewhere" in page and "Blodgett" not in page and "CrowS" not in page
    assert "Benchmark scores" in page  # the chart
    names = {measure.name for measure in Results.load(tmp_path / "inspect").design.declared}
    assert names == {"match", "length", "tone", "polite"}
