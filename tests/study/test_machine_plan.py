"""Wall time and cost on stated machines are those of arithmetic, and nothing runs here."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from evenhand import Study
from evenhand.study import cost
from evenhand.study.arithmetic import memory_bytes, work_of_size
from evenhand.study.machine_plan import forecast_on
from evenhand.study.machine_times import (
    GENERATION_SECONDS,
    LOADING,
    START_SECONDS,
    TrialForecast,
    trial_forecast,
    utilisation,
)
from evenhand.study.machines import ACCELERATORS, Machines, parse_machines
from evenhand.study.plan import make_plan
from evenhand.study.trial_size import SizeReader


@pytest.fixture(autouse=True)
def untimed(monkeypatch):
    """No step may be timed."""

    def refuse(works, tested):
        raise AssertionError("a step was timed")

    monkeypatch.setattr(cost, "measure_times", refuse)


def foreseen(study, machines: str | Machines, out, **changes):
    if isinstance(machines, str):
        machines = parse_machines(machines)
    return forecast_on(machines, Study(**{**study, **changes}), None, out)[1]


def test_seconds_are_operations_over_the_share_of_the_peak_and_loading(small_study, tmp_path):
    found = foreseen(small_study, "T4", tmp_path)
    by_method = {one.method: one for one in found.methods}
    assert {one.trials for one in found.methods} == {2}
    for trial in make_plan(Study(**small_study), None).trials:
        work, t4 = work_of_size(SizeReader()(trial)), ACCELERATORS["T4"]
        speed = t4.float32 * utilisation(64, "float32", t4)
        expected = START_SECONDS + work.loaded / LOADING + (work.trained + work.predicted) / speed
        expected += work.moved / t4.bandwidth
        assert by_method[trial.method].seconds == pytest.approx(expected, rel=0.02)
        assert by_method[trial.method].memory == pytest.approx(memory_bytes(SizeReader()(trial)), rel=0.05)


def test_wall_time_is_scheduled_and_the_cost_is_that_of_all_machines(small_study, tmp_path):
    one, two, many = (foreseen(small_study, f"{count}xT4", tmp_path) for count in (1, 2, 40))
    assert one.wall_seconds == pytest.approx(sum(each.trials * each.seconds for each in one.methods))
    assert one.wall_seconds / 2 <= two.wall_seconds < one.wall_seconds
    assert many.wall_seconds == pytest.approx(max(each.seconds for each in many.methods), rel=0.01)
    assert many.accelerator_seconds == one.accelerator_seconds
    assert many.cost == pytest.approx(many.wall_seconds / 3600 * 40 * ACCELERATORS["T4"].price)


def test_a_measured_share_replaces_the_assumed_one(small_study, tmp_path):
    found = foreseen(small_study, "CPU-2", tmp_path)
    assert any("measured on such a machine" in sentence for sentence in found.basis)
    assert utilisation(64, "float32", ACCELERATORS["CPU-2"]) == ACCELERATORS["CPU-2"].measured
    assert any("not measured" in sentence for sentence in foreseen(small_study, "H100", tmp_path).basis)


def test_wide_models_reach_a_larger_share_and_float32_more_than_bfloat16():
    h100, t4 = ACCELERATORS["H100"], ACCELERATORS["T4"]
    shares = [utilisation(width, "bfloat16", h100) for width in (64, 768, 4096)]
    assert shares == sorted(shares) and shares[0] < shares[-1]
    assert utilisation(768, "float32", h100) > utilisation(768, "bfloat16", h100)
    assert utilisation(768, "bfloat16", t4) == utilisation(768, "float32", t4), "emulated"


def test_a_trial_that_does_not_fit_is_trained_in_smaller_passes_or_sharded_or_left_out(small_study, tmp_path):
    t4, size = ACCELERATORS["T4"], SizeReader()(make_plan(Study(**small_study), None).trials[0])
    whole, half, least = (memory_bytes(replace(size, batch=batch)) for batch in (32, 16, 1))
    assert least < half < whole and size.batch == 32
    roomy = foreseen(small_study, Machines(replace(t4, memory=whole * 1.01), 2, 1.0), tmp_path)
    assert roomy.methods[0].passes is None and roomy.methods[0].fits
    narrow = foreseen(small_study, Machines(replace(t4, memory=(half + whole) / 2), 2, 1.0), tmp_path)
    assert narrow.methods[0].passes == 16 and "fits, in passes of 16" in narrow.lines()[0]
    assert narrow.wall_seconds == roomy.wall_seconds
    small = replace(t4, memory=least * 0.6)
    sharded = foreseen(small_study, Machines(small, 2, 1.0), tmp_path)
    assert sharded.methods[0].accelerators == 2 and sharded.methods[0].fits
    assert "on 2 at once" in sharded.lines()[0] and any("--use_fsdp" in line for line in sharded.basis)
    alone = foreseen(small_study, Machines(small, 1, 1.0), tmp_path)
    assert not alone.methods[0].fits and "does not fit 1xT4" in alone.lines()[0]
    assert alone.wall_seconds == 0 and any("4 trials do not fit 1xT4" in line for line in alone.basis)


def test_a_sharded_trial_divides_its_time():
    size = SizeReader()(
        make_plan(
            Study(task="synthetic/posts", model="tiny-bert", methods={"f": {"kind": "full"}}, seeds=1), None
        ).trials[0]
    )
    t4 = ACCELERATORS["T4"]
    slow = replace(t4, float32=1e9)
    one, two = (trial_forecast(size, Machines(slow, 4, 1.0), wanted, int(wanted)) for wanted in (1.0, 2.0))
    idle = trial_forecast(size, Machines(slow, 4, 1.0), 2.0)
    assert isinstance(one, TrialForecast) and two.accelerators == idle.accelerators == 2
    assert idle.seconds == one.seconds, "one process uses one accelerator"
    fixed = START_SECONDS + 4 * size.shape.parameters / LOADING
    assert two.seconds - fixed == pytest.approx((one.seconds - fixed) / 2)


def test_generation_waits_for_weights_or_for_kernels():
    study = Study(
        task={"name": "synthetic/translation", "n": 80}, model="tiny-llama", methods={"base": {"kind": "base"}}, seeds=1
    )
    size = SizeReader()(make_plan(study, None).trials[0])
    assert size.answers is not None
    h100 = ACCELERATORS["H100"]
    quick, slow = (
        trial_forecast(size, Machines(replace(h100, bandwidth=bandwidth), 1, 1.0)).seconds for bandwidth in (1e18, 1e6)
    )
    silent = trial_forecast(replace(size, answers=replace(size.answers, steps=0)), Machines(h100, 1, 1.0)).seconds
    assert quick - silent == pytest.approx(size.answers.steps * len(size.shape.layers) * GENERATION_SECONDS)
    assert slow - silent == pytest.approx(size.answers.steps * 4 * size.shape.parameters / 1e6)


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_complete_trials_are_those_of_the_precision_of_the_machines(small_study, tmp_path):
    Study(**small_study).run(tmp_path)  # in float32, as on every CPU
    assert foreseen(small_study, "T4", tmp_path).methods == []
    again = foreseen(small_study, "H100", tmp_path)
    assert sum(one.trials for one in again.methods) == again.listed.to_train == 4, "in bfloat16 they are others"
    assert foreseen(small_study, "T4", tmp_path).lines() == ["4 trials, 0 to train"]


def test_trials_get_the_accelerators_that_the_study_names(small_study, tmp_path):
    alone = foreseen(small_study, "1xT4", tmp_path)
    halves = foreseen(small_study, "1xT4", tmp_path, resources={"gpus": 0.5})
    assert halves.wall_seconds == pytest.approx(alone.wall_seconds / 2, rel=0.1)
    both = foreseen(small_study, "2xT4", tmp_path, resources={"gpus": 2, "processes": 2})
    assert both.accelerator_seconds == pytest.approx(2 * both.wall_seconds)
    assert not foreseen(small_study, "1xT4", tmp_path, resources={"gpus": 2}).methods[0].fits


def test_matched_trials_follow_their_reference(small_study, tmp_path):
    found = foreseen(small_study, "40xT4", tmp_path, match="train_loss")
    assert found.wall_seconds == pytest.approx(sum(one.seconds for one in found.methods), rel=0.01)


def test_candidates_come_first_and_the_longest_stands_for_the_chosen(small_study, tmp_path):
    found = foreseen(small_study, "40xT4", tmp_path, tuning={"grid": {"lora": {"epochs": [1, 3]}}})
    seconds = {(one.method, one.role): one.seconds for one in found.methods}
    assert set(seconds) == {("lora", "tuning"), ("full", "study"), ("lora", "study")}
    assert found.wall_seconds > seconds["lora", "tuning"] + seconds["lora", "study"] * 0.9
    assert any("longest candidate" in line for line in found.lines())


def test_a_model_that_is_not_here_is_stated_and_said(tmp_path):
    study = {
        "task": {"name": "synthetic/faces", "n": 100},
        "model": "google/vit-base-patch16-224-in21k",
        "methods": {"full": {"kind": "full"}, "lora": {"kind": "lora", "rank": 8}},
        "reference": "full",
        "seeds": 1,
    }
    found = foreseen(study, "8xH100", tmp_path)
    assert "Shape stated, not read: google/vit-base-patch16-224-in21k." in found.basis
    full, lora = found.methods
    assert full.parameters == 85_800_194 and full.trained == full.parameters
    assert lora.trained == 12 * 2 * 2 * 768 * 8 + 2 * 768 + 2
    assert full.seconds > lora.seconds - 1 and full.memory > lora.memory


def test_the_command_says_it_in_words_and_in_json(small_study, tmp_path, evenhand):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(small_study))
    said = evenhand("plan", path, "--out", tmp_path / "none", "--on", "8xH100", "--price", "2")
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert all("2 to train: 2.0 s each" in line and line.endswith("GB: fits") for line in lines[:2])
    assert "On 8xH100: about" in said.stdout and "at 2 USD an hour" in said.stdout
    assert "smallest loss of accuracy" in said.stdout, "the harms are said as without --on"
    found = json.loads(evenhand("plan", path, "--out", tmp_path / "none", "--on", "8xH100", "--json").stdout)
    assert found["to_train"] == len(found["trials"]) == 4 and found["seconds"] is None
    assert found["on"]["machines"] == "8xH100" and found["on"]["cost"] > 0 and found["on"]["basis"]
    assert {one["method"] for one in found["on"]["methods"]} == {"full", "lora"}
    assert found["detectable"] and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--on", "8xH10"), 'did you mean "H100"?'),
        (("--price", "3"), "--price is the price of the machines that --on names"),
        (("--on", "H100", "--price", "-1"), "--price"),
    ],
)
def test_wrong_machines_are_one_sentence(small_study, tmp_path, evenhand, options, said):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(small_study))
    refused = evenhand("plan", path, *options)
    assert refused.returncode == 2 and said in refused.stderr
