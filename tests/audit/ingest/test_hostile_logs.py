"""Logs that are damaged, cut off, malicious or do not fit each other: one sentence each, and nothing is written."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evenhand as eh
from evenhand.audit.ingest.harness_logs import archives, json_files
from evenhand.errors import InputError
from inspect_logs import KEPT as INSPECT
from lm_eval_logs import KEPT

ONE = INSPECT / "2026-01-01T00-00-00_sums_json.json"


@pytest.fixture
def log(tmp_path) -> Path:
    """A copy of a log of lm-evaluation-harness."""
    folder = tmp_path / "log"
    shutil.copytree(KEPT / "tiny-llama", folder)
    return folder


def only(folder: Path, pattern: str) -> Path:
    (file,) = folder.glob(pattern)
    return file


def edited(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def edited_lines(file: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    change(lines)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def refused(tool: Any, path: Any, **more: Any) -> str:
    with pytest.raises(InputError) as error:
        eh.audit_logs(tool, path, **more)
    sentence = str(error.value)
    assert "\n" not in sentence and len(sentence) <= 300
    return sentence


def test_results_without_samples_say_how_to_keep_them(log):
    only(log, "samples_colours_*").unlink()
    assert "run lm_eval with --log_samples" in refused("lm-eval", log)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing", "there is no file or folder"),
        ("empty", "holds no results of lm-evaluation-harness (results_DATE.json)"),
        ("notes.json", "is not named as lm-evaluation-harness names its results"),
    ],
)
def test_a_path_without_results_is_named(path, said, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    assert said in refused("lm-eval", tmp_path / path)
    assert "there is no tool" in refused("lm_eval", tmp_path)
    assert 'did you mean "lm-eval"' in refused("lm_eval", tmp_path)
    assert "name the folder or file of at least one log" in refused("lm-eval", [])


def test_samples_that_are_cut_off_are_refused(log):
    file = only(log, "samples_colours_*")
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: len(text) // 2], encoding="utf-8")
    assert "is not JSON" in refused("lm-eval", log) and "cut off?" in refused("lm-eval", log)
    lines = text.splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    assert "it holds 23 of 24 documents" in refused("lm-eval", log)
    file.write_text(text + lines[0], encoding="utf-8")
    assert "document 0 is there twice" in refused("lm-eval", log)
    file.write_text("", encoding="utf-8")
    assert "it holds 0 of 24 documents" in refused("lm-eval", log)


def test_scores_that_were_changed_are_refused(log):
    def wrong(lines: list[dict[str, Any]]) -> None:
        lines[0]["acc"] = 1.0 - lines[0]["acc"]

    edited_lines(only(log, "samples_colours_*"), wrong)
    assert "the file is not whole" in refused("lm-eval", log)


def test_documents_of_another_evaluation_are_refused(log):
    def other(lines: list[dict[str, Any]]) -> None:
        lines[3]["doc_hash"] = "0" * 64

    edited_lines(only(log, "samples_colours_*"), other)
    assert "the hashes of its documents are others" in refused("lm-eval", log)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[1, 2]", "should hold a JSON object, not a list"),
        ("{" * 100_000, "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        (f'{{"results": {"9" * 5000}}}', "cannot be read as JSON"),
        ('{"results": 1}', '"results" in .* should be a JSON object, not a number'),
        ('{"results": {}}', 'has no "configs"'),
        ('{"results": {}, "configs": {}, "model_name": "m"}', "has results of no task"),
        ('{"results": {"t": null}, "configs": {"t": {}}, "model_name": "m"}', "no samples_t_"),
        ('{"results": {}, "configs": {"../../etc/passwd": {}}, "model_name": "m"}', "no samples_.. .. etc passwd_"),
        ('{"results": {"a": "\\ud800"}, "configs": {}}', "half of a character"),
    ],
)
def test_results_that_are_no_results_are_refused(text, said, tmp_path):
    import re

    file = tmp_path / "results_2026-01-01T00-00-00.json"
    file.write_text(text, encoding="utf-8")
    sentence = refused("lm-eval", tmp_path)
    assert re.search(said if "*" in said else re.escape(said), sentence), sentence


@pytest.mark.parametrize("value", [None, "x", [], {}, float("nan"), float("inf"), 10**400, True, -1, "9" * 5000])
@pytest.mark.parametrize("key", ["doc_id", "doc", "filter", "acc", "doc_hash", "target", "metrics"])
def test_any_value_in_a_sample_is_read_or_refused(key, value, log):
    def change(lines: list[dict[str, Any]]) -> None:
        lines[1][key] = value

    edited_lines(only(log, "samples_colours_*"), change)
    edited(only(log, "results_*"), lambda found: found.pop("task_hashes"))
    try:
        eh.audit_logs("lm-eval", log, benchmarks="colours", groups="gender")
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("value", [None, "x", [], {}, [[]], {"a": None}, float("nan"), 10**400, True])
@pytest.mark.parametrize(
    "key",
    [
        "results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "group_subtasks", "config",
        "task_hashes", "model_name", "lm_eval_version",
    ],
)  # fmt: skip
def test_any_value_in_the_results_is_read_or_refused(key, value, log):
    edited(only(log, "results_*"), lambda found: found.update({key: value}))
    try:
        eh.audit_logs("lm-eval", log, groups="gender", benchmarks="colours")
    except InputError as error:
        assert "\n" not in str(error)


def test_groups_of_tasks_that_contain_themselves_end(log):
    def loop(found: dict[str, Any]) -> None:
        found["group_subtasks"] = {"rooms": ["rooms", "inner", "rooms_big"], "inner": ["rooms", "rooms_small"]}

    edited(only(log, "results_*"), loop)
    assert "rooms" in set(eh.audit_logs("lm-eval", log).harness["task"])


def test_what_is_no_file_is_not_opened(log):
    """A pipe that nobody writes to would be waited for, and a device never ends."""
    os.mkfifo(log / "results_2026-01-01T00-00-00.json")
    (log / "results_2026-01-02T00-00-00.json").symlink_to("/dev/zero")
    (log / "results_2026-01-03T00-00-00.json").symlink_to(log / "results_2026-01-03T00-00-00.json")
    (log / "round").symlink_to(log)
    assert len(eh.audit_logs("lm-eval", log).trials) == 1


def test_files_beyond_the_limit_are_not_read(log, monkeypatch):
    monkeypatch.setattr(json_files, "LARGEST", 10_000)
    assert "files of evaluation logs are read up to" in refused("lm-eval", log)


def test_two_evaluations_in_one_folder_are_not_mixed(log):
    for file in list(log.iterdir()):
        shutil.copy(file, log / file.name.replace("2026-", "2027-"))
    sentence = refused("lm-eval", log)
    assert "holds two evaluations of" in sentence and "name one of these files" in sentence
    assert len(eh.audit_logs("lm-eval", only(log, "results_2027-*")).trials) == 1


def test_different_models_with_one_name_are_not_taken_for_runs(log, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(log, other)
    edited(only(other, "results_*"), lambda found: found["config"]["model_args"].update(revision="step1000"))
    sentence = refused("lm-eval", [log, other])
    assert "different models are called tiny-llama" in sentence and "step1000" in sentence
    assert len(eh.audit_logs("lm-eval", {"a": log, "b": other}, reference="a").trials) == 2


def test_models_are_compared_on_the_same_documents_only(log, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(KEPT / "tiny-mistral", other)

    def fewer(lines: list[dict[str, Any]]) -> None:
        del lines[20:]

    def changed(lines: list[dict[str, Any]]) -> None:
        lines[7]["doc_hash"] = "0" * 64

    paths = {"a": log, "b": other}
    edited(only(other, "results_*"), lambda found: (found.pop("task_hashes"), found.pop("n-samples")))
    edited_lines(only(other, "samples_pairs_*"), changed)
    sentence = refused("lm-eval", paths, reference="a", benchmarks="pairs")
    assert "a and b were scored on different documents of pairs (document 7 is another one)" in sentence
    edited_lines(only(other, "samples_pairs_*"), fewer)
    edited(only(other, "results_*"), lambda found: found["results"]["pairs"].clear())
    sentence = refused("lm-eval", paths, reference="a", benchmarks="pairs")
    assert "24 and 20, of which 20 are the same" in sentence


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"groups": "gendr"}, 'no document has the field "gendr" (group); did you mean "gender"?'),
        ({"groups": "meta.kindd"}, 'did you mean "meta.kind"?'),
        ({"groups": "meta"}, "holds further fields; name one of them, such as meta.kind"),
        ({"groups": "a=b"}, 'without "="'),
        ({"unit": "templat"}, 'no document has the field "templat" (unit); did you mean "template"?'),
        ({"unit": "partly"}, 'of 24 documents of .* have no "partly" \\(unit\\), such as document 0'),
        ({"benchmarks": "colour"}, 'has no task "colour" (benchmark); did you mean "colours"?'),
        ({"reference": "gpt"}, 'no log is of the method "gpt" (reference)'),
        ({"margins": {"ac": 0.1}}, 'no measure "ac"'),
        ({"measures": ["accurac"]}, 'no measure "accurac"'),
        ({"more_is": {"f1": "better"}}, 'no mean over documents is called "f1" (more is)'),
        ({"more_is": "higher"}, "should be worse or better, not 'higher'"),
        ({"range": (1, 0)}, "should be a least and a larger number, not 1 and 0"),
        ({"comparison": "gaps"}, "comparison should be gap, not 'gaps'"),
    ],
)
def test_what_the_logs_do_not_have_is_refused_by_name(more, said, log):
    import re

    sentence = refused("lm-eval", log, **more)
    assert re.search(said if "\\(" in said else re.escape(said), sentence), sentence


def test_a_group_that_would_be_taken_for_a_metric_is_refused(log):
    def named(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            line["doc"]["gender"] = "norm"

    edited_lines(only(log, "samples_rooms_big_*"), named)
    assert "cannot be told apart" in refused("lm-eval", log, groups="gender", benchmarks="rooms_big")


def test_texts_are_no_groups(log):
    def long(lines: list[dict[str, Any]]) -> None:
        lines[0]["doc"]["gender"] = "a long story " * 100

    edited_lines(only(log, "samples_colours_*"), long)
    sentence = refused("lm-eval", log, groups="gender", benchmarks="colours")
    assert "is a text of 1,300 characters" in sentence and "story" not in sentence


def test_nothing_is_written_where_logs_are_refused(log, tmp_path):
    refused("lm-eval", log, groups="nothing", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.json", content)
    return path


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "UNPACKED", 1 << 20)
    bomb = archive(tmp_path / "bomb.eval", header=b"0" * (4 << 20))
    assert bomb.stat().st_size < 10_000
    assert "unpacks to 4 MiB" in refused("inspect", bomb)


def test_an_archive_that_unpacks_to_more_than_it_declares_is_refused(tmp_path):
    path = archive(tmp_path / "liar.eval", header=b'{"status": "success"}' + b" " * 100_000)
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.index(mark) + place
        content[start : start + 4] = (21).to_bytes(4, "little")
    path.write_bytes(content)
    sentence = refused("inspect", path)
    assert "damaged" in sentence or "cannot be read" in sentence


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "cannot be read"), (b"PK\x03\x04 half a file", "cannot be read"), (b"\0" * 1000, "cannot be read")],
)
def test_a_file_that_is_no_archive_is_refused(content, said, tmp_path):
    path = tmp_path / "log.eval"
    path.write_bytes(content)
    assert said in refused("inspect", path)


def test_archives_lacking_parts_are_refused(tmp_path):
    assert "has no header.json" in refused("inspect", archive(tmp_path / "a.eval", other=b"{}"))
    started = archive(tmp_path / "b.eval", header=b'{"status": "started"}')
    assert "did not finish: its status is started" in refused("inspect", started)
    alone = archive(tmp_path / "c.eval", header=b'{"status": "success", "eval": {"task": "t", "model": "m"}}')
    assert "has no samples" in refused("inspect", alone)


def test_an_archive_cut_anywhere_is_read_or_refused(tmp_path):
    log = json.loads(ONE.read_text(encoding="utf-8"))
    whole = archive(
        tmp_path / "whole.eval",
        header=json.dumps({key: value for key, value in log.items() if key not in ("samples", "reductions")}).encode(),
        reductions=json.dumps(log["reductions"]).encode(),
        summaries=json.dumps(log["samples"]).encode(),
    ).read_bytes()
    for cut in range(0, len(whole), max(1, len(whole) // 25)):
        path = tmp_path / "cut.eval"
        path.write_bytes(whole[:cut])
        refused("inspect", path)


@pytest.mark.parametrize("value", [None, "x", [], {}, [1], {"a": 1}, float("nan"), 10**400, True, 7])
@pytest.mark.parametrize("key", ["version", "status", "eval", "results", "reductions", "samples"])
def test_any_value_in_a_log_of_inspect_is_read_or_refused(key, value, tmp_path):
    content = json.loads(ONE.read_text(encoding="utf-8"))
    content[key] = value
    path = tmp_path / "log.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        eh.audit_logs("inspect", path)
    except InputError as error:
        assert "\n" not in str(error)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.fuzz
@settings(deadline=None)
@given(value=_JSON, data=st.data())
def test_logs_with_any_value_anywhere_are_read_or_refused(value, data, tmp_path_factory):
    tool = data.draw(st.sampled_from(["lm-eval", "inspect"]))
    folder = tmp_path_factory.mktemp("fuzz")
    if tool == "inspect":
        file = folder / ONE.name
        content = json.loads(ONE.read_text(encoding="utf-8"))
    else:
        for source in (KEPT / "tiny-llama").glob("*"):
            shutil.copy(source, folder)
        file = only(folder, data.draw(st.sampled_from(["results_*", "samples_colours_*"])))
        lines = file.read_text(encoding="utf-8")
        content = [json.loads(line) for line in lines.splitlines()] if file.suffix == ".jsonl" else json.loads(lines)
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            place[key] = value
            break
        place = inner
    if file.suffix == ".jsonl":
        file.write_text("".join(f"{json.dumps(line)}\n" for line in content), encoding="utf-8")
    else:
        file.write_text(json.dumps(content), encoding="utf-8")
    try:
        eh.audit_logs(tool, folder, groups="gender", benchmarks="sums" if tool == "inspect" else "colours")
    except InputError as error:
        assert "\n" not in str(error)
