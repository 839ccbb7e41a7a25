"""Claims about results: what is kept, what reads back, what a gate says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import DeclaredMeasure, Design, HarnessDesign, MembershipDesign, ProbedDesign, SettingDesign
from evenhand.audit.record_tables import BY_TRIAL, STORED, RecordTables
from evenhand.audit.results import Results
from evenhand.errors import InputError
from small_records import design, study


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.compute(
        *study(n=300, seeds=3, harm={"c": 1.5}),
        design(margins={"default": 0.05}, source="small"),
        {"study": "task: small\n", "environment": '{"python": "3.11"}'},
    )


@pytest.fixture
def folder(results, tmp_path):
    results.save(tmp_path / "out")
    return tmp_path / "out"


def test_what_is_saved_reads_back(results, folder):
    again = Results.load(folder)
    for name in ("examples", "trials", "predictions", "estimates", "verdicts", "curves"):
        assert getattr(again, name).equals(getattr(results, name)), name
        assert records.read(folder / f"{name}.parquet", name).equals(getattr(results, name))
    assert again.design == results.design
    assert again.provenance == results.provenance
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


SAVE_AND_DIE = """
import os, sys
from evenhand.audit.results import Results
results, out, renames = Results.load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def die(event, arguments):
    global renames
    if event == "os.rename" and os.path.dirname(os.fspath(arguments[1])) == out:
        renames -= 1
        if renames < 0:
            os._exit(9)
sys.addaudithook(die)
results.save(out)
"""
"""Saves the results of one folder into another, and is gone before the rename of a number, counted from 0."""


@pytest.mark.parametrize("renames", [0, 1, 4, 7])
def test_a_process_killed_while_saving_leaves_the_earlier_results_or_a_folder_that_is_refused(
    results, folder, tmp_path, renames
):
    other = Results.compute(*study(n=200, seeds=3), design(margins={"default": 0.02}, source="other"))
    other.save(tmp_path / "other")
    command = [sys.executable, "-c", SAVE_AND_DIE, str(tmp_path / "other"), str(folder), str(renames)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    if renames == 0:
        assert Results.load(folder).verdicts.equals(results.verdicts)
    else:
        with pytest.raises(InputError, match="is not the file that was saved with the other results") as refused:
            Results.load(folder)
        assert len(str(refused.value)) < 400
    other.save(folder)
    assert Results.load(folder).verdicts.equals(other.verdicts)
    assert not list(folder.glob(".*"))


def test_a_folder_mixed_from_two_audits_is_refused(results, folder, tmp_path):
    other = Results.compute(*study(n=200, seeds=3), design(margins={"default": 0.05}))
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "predictions.parquet", folder)
    mixed = Results.load(folder)
    assert mixed.verdicts.equals(results.verdicts)
    with pytest.raises(InputError, match=r"predictions\.parquet is not the file that was saved"):
        _ = mixed.predictions
    shutil.copy(tmp_path / "other" / "verdicts.parquet", folder)
    with pytest.raises(InputError, match=r"verdicts\.parquet is not the file that was saved"):
        Results.load(folder)


def test_a_folder_without_hashes_is_read_as_before(results, folder):
    path = folder / "design.json"
    values = json.loads(path.read_text())
    assert set(values.pop("contents")) == {path.name for path in folder.iterdir()} - {"design.json"}
    path.write_text(json.dumps(values))
    assert Results.load(folder).verdicts.equals(results.verdicts)


def test_predictions_kept_by_trial_are_gathered_and_not_written_again(results, tmp_path):
    for key, part in results.predictions.partition_by("trial", as_dict=True).items():
        path = tmp_path / "trials" / str(key[0]) / "predictions.parquet"
        records.write(part, path, "predictions")
    results.save(tmp_path)
    assert not (tmp_path / "predictions.parquet").exists()
    again = Results.load(tmp_path)
    assert again.predictions.sort("trial", "example").equals(results.predictions.sort("trial", "example"))


def row_of(table: str, trial: str, example: str = "e") -> pl.DataFrame:
    """A row of a table that trials leave."""
    values = {
        "predictions": {"split": "test", "predicted": 0},
        "responses": {"split": "test", "text": "yes"},
        "options": {"prompt": "p", "option": "o", "log_prob": -1.0, "tokens": 1, "bytes": 1},
        "harness": {"task": "t", "metric": "m", "value": 1.0},
        "probes": {"layer": 0, "target": "label", "correct": True},
        "values": {"split": "test", "name": "response_loss", "value": 1.0},
        "tokens": {
            "split": "test",
            **{name: pl.Series([[0.5]], dtype=pl.List(pl.Float32)) for name in ("means", "deviations", "log_probs")},
        },
    }
    return records.validate(pl.DataFrame({"trial": trial, "example": example, **values[table]}), table)


@pytest.fixture
def every_kind() -> Results:
    """Results of a setting of each kind, whose tables that trials leave are empty."""
    design = Design(
        settings={
            "classify": SettingDesign(),
            "translate": SettingDesign(kind="translation"),
            "ask": SettingDesign(kind="reviews"),
            "respond": SettingDesign(kind="sft"),
            "infer": SettingDesign(kind="sft", membership=MembershipDesign()),
            "probe": SettingDesign(harness=HarnessDesign(), probed=ProbedDesign(targets=("label",))),
        },
        declared=(DeclaredMeasure(name="response_loss", kind="values", more_is="worse"),),
    )
    trials = pl.DataFrame(
        {
            "setting": ["classify", "translate", "ask", "respond", "probe", "infer", "classify"],
            "method": "lora",
            "seed": 0,
            "role": [*["study"] * 5, "pool", "tuning"],
            "trial": ["a", "b", "c", "e", "d", "m", "t"],
            "status": "done",
        }
    )
    estimates = pl.DataFrame({"setting": ["classify"], "split": ["test"], "measure": ["accuracy"], "method": ["lora"]})
    empty = {name: records.TABLES[name].empty() for name in STORED}
    known = {
        "trials": records.validate(trials, "trials"),
        "estimates": records.validate(estimates, "estimates"),
    }
    return Results(RecordTables(empty | known), design, {})


def with_rows(results: Results, name: str, rows: pl.DataFrame) -> Results:
    return Results(RecordTables({**results.tables, name: rows}), results.design, results.provenance)


@pytest.mark.parametrize("name", BY_TRIAL)
def test_records_of_every_kind_are_one_file_where_there_are_no_folders_of_trials(every_kind, name, tmp_path):
    with_rows(every_kind, name, row_of(name, "a")).save(tmp_path)
    again = Results.load(tmp_path)
    assert again.tables[name].equals(row_of(name, "a"))
    assert all(again.tables[other].is_empty() for other in BY_TRIAL if other != name)
    assert {path.stem for path in tmp_path.glob("*.parquet")} & set(BY_TRIAL) == {"predictions", name}
    every_kind.save(tmp_path)
    assert Results.load(tmp_path).tables[name].is_empty()


@pytest.fixture
def study_folder(every_kind, tmp_path):
    """A folder whose trials left rows; that of the last setting left some of every table, as of earlier studies."""
    kept = [("predictions", "a"), ("responses", "b"), ("options", "c"), ("values", "e"), ("predictions", "t")]
    kept += [("values", "m"), ("tokens", "m")]
    for table, trial in [*kept, *((table, "d") for table in BY_TRIAL), ("probes", "a"), ("harness", "t")]:
        records.write(row_of(table, trial), tmp_path / "trials" / trial / f"{table}.parquet", table)
    every_kind.save(tmp_path)
    return tmp_path


def test_trials_are_read_for_what_their_settings_ask_for_and_those_of_tuning_for_nothing(study_folder):
    again = Results.load(study_folder)
    of_trials = {name: again.tables[name]["trial"].to_list() for name in BY_TRIAL}
    assert of_trials == {
        "predictions": ["a", "d"],
        "responses": ["b"],
        "options": ["c"],
        "values": ["e", "m"],
        "tokens": ["m"],
        "harness": ["d"],
        "probes": ["d"],
    }
    assert not {path.stem for path in study_folder.glob("*.parquet")} & set(BY_TRIAL)


def test_a_trial_may_lack_what_it_leaves_besides_and_nothing_else(study_folder):
    for name in ("harness", "probes", "responses"):
        (study_folder / "trials" / {"responses": "b"}.get(name, "d") / f"{name}.parquet").unlink()
    again = Results.load(study_folder)
    assert again.harness.is_empty() and again.probes.is_empty()
    with pytest.raises(InputError, match=r"responses\.parquet is missing"):
        _ = again.responses


def test_every_table_is_an_attribute_too(every_kind):
    assert all(getattr(every_kind, name) is every_kind.tables[name] for name in STORED)


def test_a_table_is_read_once_when_it_is_first_asked_for():
    read = []
    tables = RecordTables({"probes": lambda: read.append("probes") or row_of("probes", "a")})
    assert list(tables) == ["probes"] and repr(tables) == "<RecordTables: probes>" and read == []
    assert tables["probes"] is tables["probes"] and read == ["probes"]


def test_only_tables_of_records_are_audited(results):
    tables = results.examples, results.trials, results.predictions, results.design
    with pytest.raises(InputError, match='no table "respones" to audit; did you mean "responses"'):
        Results.compute(*tables, respones=results.predictions)
    with pytest.raises(InputError, match='no table "verdicts" to audit'):
        Results.compute(*tables, verdicts=results.verdicts)


def test_predictions_are_read_when_they_are_asked_for(folder):
    (folder / "predictions.parquet").unlink()
    again = Results.load(folder)
    assert len(again.verdicts)
    with pytest.raises(InputError, match=r"predictions\.parquet is missing"):
        _ = again.predictions


def test_logits_of_fewer_classes_are_padded_when_settings_are_stacked():
    def one(trial, values):
        logits = None if values is None else pl.Series([values], dtype=pl.Array(pl.Float32, len(values)))
        frame = pl.DataFrame({"trial": [trial], "split": ["test"], "example": ["e"], "predicted": [0]})
        return records.validate(frame if logits is None else frame.with_columns(logits=logits), "predictions")

    found = records.stacked([one("a", [0.5, 1.0]), one("b", [0.5, 1.0, 2.0]), one("c", None)])
    assert found["logits"].to_list() == [[0.5, 1.0, -np.inf], [0.5, 1.0, 2.0], None]


def test_a_folder_that_is_not_ours_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        Results.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no results"):
        Results.load(tmp_path / "empty")
    (tmp_path / "empty" / "study.yaml").touch()
    with pytest.raises(InputError, match="not been run to its end"):
        Results.load(tmp_path / "empty")
    (folder / "verdicts.parquet").unlink()
    with pytest.raises(InputError, match=r"verdicts\.parquet is missing"):
        Results.load(folder)


def test_a_design_that_does_not_fit_is_refused(folder):
    (folder / "design.json").write_text('{"settigns": {}}')
    with pytest.raises(InputError, match="settings"):
        Results.load(folder)
    (folder / "design.json").write_text("{")
    with pytest.raises(InputError, match="not readable JSON"):
        Results.load(folder)


def test_results_are_not_saved_over_a_file(results, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        results.save(tmp_path / "file")


def test_the_report_s_format_is_its_suffix_s_or_named(results, tmp_path):
    results.report(tmp_path / "r.html")
    results.report(tmp_path / "r.md")
    results.report(tmp_path / "r.json")
    results.report(tmp_path / "r.txt", format="md")
    assert (tmp_path / "r.html").read_text().lower().startswith("<!doctype html>")
    assert (tmp_path / "r.md").read_text() == (tmp_path / "r.txt").read_text()
    assert json.loads((tmp_path / "r.json").read_text())["source"] == "small"
    with pytest.raises(InputError, match=r"r\.pdf ends in none of"):
        results.report(tmp_path / "r.pdf")


def test_a_report_of_loaded_results_is_the_same(results, folder, tmp_path):
    results.report(tmp_path / "one.md")
    Results.load(folder).report(tmp_path / "two.md")
    assert (tmp_path / "one.md").read_text() == (tmp_path / "two.md").read_text()


def test_the_gate_names_the_rows_that_fail_it(results):
    failed = results.failed({"worse"})
    assert len(failed) and set(failed["verdict"]) == {"worse"}
    assert failed.equals(results.verdicts.filter(verdict="worse"))
    assert len(results.failed({"worse", "inconclusive"})) > len(failed)


def test_a_gate_that_cannot_say_anything_does_not_pass(results):
    with pytest.raises(InputError, match='did you mean "worse"'):
        results.failed({"wrose"})
    with pytest.raises(InputError, match="at least one verdict"):
        results.failed(set())
    without_verdicts = replace(
        results, tables=RecordTables(dict(results.tables) | {"verdicts": results.verdicts.clear()})
    )
    with pytest.raises(InputError, match="nothing was compared"):
        without_verdicts.failed({"worse"})


def test_the_gaps_of_one_method_are_verdicts_that_a_gate_can_fail():
    lonely = Results.compute(*study(n=2000, seeds=2, harm={"c": 3.0}), design(setting={"references": ()}))
    failed = lonely.failed({"worse"})
    assert set(failed["comparison"]) == {"gap"} and failed["reference"].null_count() == len(failed) > 0


def test_json_holds_plain_values_only(results):
    text = json.dumps(results.to_json(), allow_nan=False)
    back = json.loads(text)
    assert len(back["verdicts"]) == len(results.verdicts)
    assert back["verdicts"][0]["method"] == "lora"
    assert back["design"]["margins"] == {"default": 0.05}


def test_the_summary_leads_with_what_is_worse(results):
    lines = results.summary().splitlines()
    assert lines[0] == "small: 2 methods, 3 seeds, 300 examples"
    assert re.match(r"lora is less accurate than full for who = c, by [\d.]+ points \(90% interval", lines[1])
    grid, verdicts, details = "\n".join(lines[2:]).strip().split("\n\n")
    assert [line.split("  ")[0] for line in grid.splitlines()] == ["method", "lora against full"]
    table = [line.split("  ")[0] for line in verdicts.splitlines()[1:]]
    assert table[0] == "worse" and "worse" not in table[table.count("worse") :]
    meaning, *said = details.splitlines()
    assert meaning.startswith("Where harm could have been missed, ")
    assert said[0].startswith("lora against full: worse in")
    assert said[1].startswith("Compared with full, lora widens the gap between the rest and who = ")
    assert said[2].startswith("The smallest loss of accuracy of lora against full that this study detects")
    assert "families of verdicts" in said[3]


def test_the_summary_of_one_method_shows_its_groups():
    lonely = Results.compute(*study(n=60, seeds=2), design(setting={"references": ()}))
    assert "who = a against the rest" in lonely.summary() and "accuracy, gap" in lonely.summary()


def test_tables_are_pandas_frames_with_the_same_rows(results):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frames = results.to_pandas()
    assert {name: len(frame) for name, frame in frames.items()} == {
        name: len(table) for name, table in results.tables.items()
    }
    assert frames["verdicts"]["measure"].tolist() == results.verdicts["measure"].to_list()
    assert frames["verdicts"]["verdict"].isna().tolist() == results.verdicts["verdict"].is_null().to_list()
    assert list(frames["estimates"].columns) == results.estimates.columns
    assert set(results.to_pandas("verdicts", "trials")) == {"verdicts", "trials"}
    with pytest.raises(InputError, match='there is no table "verdict"; did you mean "verdicts"'):
        results.to_pandas("verdict")


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_a_pandas_frame_without_pandas_is_refused_in_one_sentence(results, library, monkeypatch):
    pytest.importorskip(library)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=f"needs pandas and pyarrow, and {library} is not installed") as refused:
        results.to_pandas("verdicts")
    assert "\n" not in str(refused.value)


def test_repr_is_one_line(results):
    assert repr(results).startswith("<Results of small: 2 methods, 3 seeds, 300 examples; verdicts: ")
    assert "\n" not in repr(results)


def test_tables_that_do_not_fit_are_refused(results):
    with pytest.raises(InputError, match='has no column "lable"'):
        Results.compute(
            results.examples.rename({"label": "lable"}), results.trials, results.predictions, results.design
        )


def test_a_copied_folder_is_whole(results, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert Results.load(tmp_path / "copy").predictions.equals(results.predictions)
