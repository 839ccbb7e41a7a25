"""Claims about results: what is kept, what reads back, what a gate says."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest

from evenhand import records
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


def test_predictions_kept_by_trial_are_gathered_and_not_written_again(results, tmp_path):
    for key, part in results.predictions.partition_by("trial", as_dict=True).items():
        path = tmp_path / "trials" / str(key[0]) / "predictions.parquet"
        records.write(part, path, "predictions")
    results.save(tmp_path)
    assert not (tmp_path / "predictions.parquet").exists()
    again = Results.load(tmp_path)
    assert again.predictions.sort("trial", "example").equals(results.predictions.sort("trial", "example"))


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
    lonely = Results.compute(*study(n=60, seeds=2), design(setting={"references": ()}))
    with pytest.raises(InputError, match="nothing was compared"):
        lonely.failed({"worse"})


def test_json_holds_plain_values_only(results):
    text = json.dumps(results.to_json(), allow_nan=False)
    back = json.loads(text)
    assert len(back["verdicts"]) == len(results.verdicts)
    assert back["verdicts"][0]["method"] == "lora"
    assert back["design"]["margins"] == {"default": 0.05}


def test_the_summary_leads_with_what_is_worse(results):
    lines = results.summary().splitlines()
    assert lines[0] == "small: 2 methods, 3 seeds, 300 examples"
    assert lines[1].startswith("lora against full: worse in")
    assert lines[2].startswith("The smallest loss of accuracy of lora against full that this study detects")
    table = [line.split("  ")[0] for line in lines[5:]]
    assert table[0] == "worse" and "worse" not in table[table.count("worse") :]


def test_the_summary_of_one_method_shows_its_groups():
    lonely = Results.compute(*study(n=60, seeds=2), design(setting={"references": ()}))
    assert "who = a" in lonely.summary() and "selection rate" in lonely.summary()


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
