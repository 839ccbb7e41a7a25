"""What a plan foretells: trials that run, what each will take, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evenhand import Study
from evenhand.study import cost
from evenhand.study.calibration import Rates
from evenhand.study.cost import forecast
from evenhand.study.plan import plan


@pytest.fixture
def study(small_study):
    methods = {**small_study["methods"], "head": {"kind": "head", "lr": 1e-2, "epochs": 2}}
    return {**small_study, "methods": methods, "split": {"vary": False}}


@pytest.fixture
def rates(monkeypatch):
    """Rates that a reader can reckon with, of a machine that is never waited for."""
    made = Rates(
        start=1.0,
        encode=0.01,
        fill=0.1,
        prefix="frozen",
        step=2.0,
        predict=0.001,
        peak_bytes=10**6,
        of_process=True,
        example_bytes=100,
        kept={"none": (0.0, 0), "adapters": (0.5, 1000), "weights": (0.5, 1000)},
    )
    monkeypatch.setattr(cost, "calibrate", lambda works, tested: made)
    return made


def foretold(study, out, timed=True, **changes):
    said: list[str] = []
    return forecast(plan(Study(**{**study, **changes}), None), out, timed, said.append), said


def test_a_plan_times_each_kind_once_and_leaves_nothing_behind(study, tmp_path):
    found, said = foretold(study, tmp_path / "out", seeds=3)
    assert said == [f"Timing a few steps of {method}" for method in ("full", "lora", "head")]
    assert not (tmp_path / "out").exists()
    assert len(found.rows) == found.to_train == 9
    assert all(row["seconds"] > 0 and row["peak_bytes"] > 10**6 for row in found.rows)


@pytest.mark.usefixtures("unreported")
def test_disk_is_foretold_to_within_a_third(study, tmp_path):
    found, _ = foretold(study, tmp_path)
    Study(**study).run(tmp_path)
    for row in found.rows:
        files = [path for path in (tmp_path / "trials" / row["trial"]).rglob("*") if path.is_file()]
        assert row["disk_bytes"] == pytest.approx(sum(path.stat().st_size for path in files), rel=1 / 3)
    again, said = foretold(study, tmp_path)
    assert again.to_train == 0 and said == []
    assert {row["seconds"] for row in again.rows} == {None}


def test_a_plan_that_is_not_to_time_anything_says_nothing_of_costs(study, tmp_path):
    found, said = foretold(study, tmp_path, timed=False)
    assert said == [] and found.costs is None and found.to_json()["seconds"] is None
    assert not any("on this machine" in line for line in found.lines())


def test_seconds_are_those_of_loading_encoding_steps_predictions_and_writing(study, tmp_path, rates):
    found, _ = foretold(study, tmp_path, seeds=1, methods={"full": study["methods"]["full"]})
    (row,) = found.rows  # 216 training, 24 validation and 60 test examples
    steps, encoded, predicted = 7, 300, 24 + 60 + 24
    expected = 1.0 + 2.0 * steps + 0.01 * encoded + 0.1 * 300 + 0.001 * predicted + 0.5
    assert row["seconds"] == pytest.approx(expected)


def test_features_of_a_frozen_prefix_are_counted_for_the_first_trial_that_needs_them(study, tmp_path, rates):
    found, _ = foretold(study, tmp_path, methods={"head": study["methods"]["head"]}, reference="head")
    first, second = (row["seconds"] for row in found.rows)
    assert first - second == pytest.approx(0.1 * 300), "the split is fixed, so the second seed has the same examples"


def test_a_pack_shares_what_it_takes(study, tmp_path, rates):
    changes = {"methods": {"lora": study["methods"]["lora"]}, "reference": ()}
    alone, _ = foretold(study, tmp_path, **changes, train={"replicas": 1})
    together, said = foretold(study, tmp_path, **changes, train={"replicas": 2})
    assert said == ["Timing a few steps of lora, 2 trials at a time"]
    saved = alone.to_json()["seconds"] - together.to_json()["seconds"]
    assert saved == pytest.approx(1.0 + 2.0 * 7 + 0.01 * 300)


@pytest.mark.parametrize("option", [{"checkpointing": True}, {"compile": True}, {"tokens_per_pass": 512}])
def test_what_saves_memory_or_time_is_timed_by_itself(study, tmp_path, rates, option):
    methods = {"full": study["methods"]["full"], "frugal": {**study["methods"]["full"], "train": option}}
    _, said = foretold(study, tmp_path, methods=methods)
    assert said == ["Timing a few steps of full"], "the same training is one trial"
    _, said = foretold(study, tmp_path, methods={**methods, "frugal": {**methods["frugal"], "lr": 1e-4}})
    assert said == ["Timing a few steps of full", "Timing a few steps of frugal"]


@pytest.mark.parametrize(("match", "looks"), [(None, 0), ("train_loss", 1), ("validation_loss", 2)])
def test_a_matched_trial_looks_at_validation_examples_more_often(study, tmp_path, rates, match, looks):
    methods = {name: study["methods"][name] for name in ("full", "lora")}
    alike = {"seeds": 1, "methods": methods, "train": {"replicas": 1}}
    plain, _ = foretold(study, tmp_path, **alike)
    matched, _ = foretold(study, tmp_path, **alike, match=match)
    more = matched.to_json()["seconds"] - plain.to_json()["seconds"]
    assert more == pytest.approx(looks * 24 * rates.predict)


@pytest.mark.parametrize(("of_process", "expected"), [(True, [3, 5, 5, 5]), (False, [3, 5, 3, 5])])
def test_a_process_never_gives_up_a_peak_and_a_gpu_does(study, tmp_path, monkeypatch, rates, of_process, expected):
    def calibrate(works, tested):
        peak = {"full": 3, "lora": 5}[works[0].method.kind]
        return replace(rates, peak_bytes=peak, of_process=of_process)

    monkeypatch.setattr(cost, "calibrate", calibrate)
    methods = {name: study["methods"][name] for name in ("full", "lora")}
    found, _ = foretold(study, tmp_path, methods=methods, train={"replicas": 1})
    assert [row["peak_bytes"] for row in found.rows] == expected


def test_a_trial_that_does_not_fit_the_memory_has_no_cost(study, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "calibrate", lambda works, tested: None)
    found, _ = foretold(study, tmp_path)
    assert {row["seconds"] for row in found.rows} == {None}
    assert found.to_json()["seconds"] is None
    assert "6 trials do not fit this machine's memory" in found.lines()


def test_a_tuned_method_is_foretold_with_its_longest_candidate(study, tmp_path, rates):
    tuning = {"grid": {"lora": {"epochs": [1, 3, 2]}}}
    found, _ = foretold(study, tmp_path, tuning=tuning)
    studied = [row for row in found.rows if row["method"] == "lora" and row["candidate"] is None]
    assert [row["epochs"] for row in studied] == [3, 3]
    assert [row["candidate"] for row in found.rows[:3]] == ["epochs 1", "epochs 3", "epochs 2"]
    assert not found.chosen and "until one is chosen" in "\n".join(found.lines())


LANGUAGE = {
    "translation": {"task": {"name": "synthetic/translation", "n": 80}},
    "reviews": {"task": {"name": "synthetic/reviews", "n": 60}, "prompts": {"reviews": 10}},
}


@pytest.mark.parametrize("kind", LANGUAGE)
@pytest.mark.usefixtures("unreported")
def test_what_writes_or_is_asked_is_timed_too(kind, tmp_path):
    study = {
        **LANGUAGE[kind],
        "model": "tiny-llama",
        "seeds": 1,
        "split": {"validation": 0.1},
        "train": {"batch_size": 8},
        "methods": {"full": {"kind": "full", "epochs": 1}, "lora": {"kind": "lora", "rank": 2, "epochs": 2}},
        "reference": "full",
    }
    found, said = foretold(study, tmp_path)
    assert said == ["Timing a few steps of full", "Timing a few steps of lora"]
    assert all(row["seconds"] > 0 and row["peak_bytes"] > 10**6 for row in found.rows)
    Study(**study).run(tmp_path)
    for row in found.rows:
        files = [path for path in (tmp_path / "trials" / row["trial"]).rglob("*") if path.is_file()]
        assert row["disk_bytes"] == pytest.approx(sum(path.stat().st_size for path in files), rel=1 / 2)
