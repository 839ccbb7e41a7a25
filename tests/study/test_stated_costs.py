"""A preset can be planned without its data and base models: trials, parameters, memory and disk from stated sizes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evenhand import Study
from evenhand.data.faces.utkface import UTKFace
from evenhand.data.hatespeech.dlab import PUBLISHED, DLab
from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.data.stated import PAIRS, stated_data
from evenhand.data.winomt_task import WinoMTTask
from evenhand.errors import UnavailableError
from evenhand.study import cost
from evenhand.study.plan import make_plan
from evenhand.study.presets import list_presets, read_preset
from evenhand.study.stated_costs import Sources, stated_costs
from evenhand.study.store import Store

PRESETS = [name for name, _ in list_presets() if name.startswith("paper/")]

TRIALS = {"fig1": 40, "fig2": 20, "fig3": 20, "fig4": 180, "fig5": 180, "fig6": 45, "fig7": 40, "fig8": 110, "fig9": 84}
TRIALS |= {"dlab": 60, "tableA": 18, "probing": 18}


def planned(name):
    sources = Sources()
    return make_plan(Study(**read_preset(name)), None, sources.find, sources.read), sources.sentences


def distinct(plan):
    return {trial.hash: trial for trial in plan.trials}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_planned_without_data_or_weights(name):
    plan, sentences = planned(name)
    found = stated_costs(distinct(plan).values())
    assert len(found) == TRIALS[name.partition("/")[2]]
    for trial in plan.trials:
        one = found[trial.hash]
        assert one is not None and one.seconds is None and one.disk_bytes > 2000
        assert one.peak_bytes > 4 * one.parameters_total, "the weights alone, in float32"
        assert 0 <= one.parameters <= one.parameters_total
        assert (one.parameters == one.parameters_total) == (trial.spec.kind == "full")
    assert any("group sizes and labels are unknown" in sentence for sentence in sentences)


def test_sizes_are_those_that_were_published():
    for target, count in PUBLISHED.items():
        stated = stated_data(DLab(target=target))
        assert stated is not None and len(stated.dataset) == count and f"{count:,} posts" in stated.sentence
        assert not stated.dataset.attributes, "nobody has said how large the groups are"
    assert stated_data(DLab(target="all")) is None
    faces = stated_data(UTKFace(target="age"))
    assert faces is not None and len(faces.dataset.classes) == 9


def test_lines_of_winomt_are_split_and_tested_as_the_real_ones_are():
    stated = stated_data(WinoMTTask())
    assert stated is not None
    data, spec = stated.dataset, WinoMTTask()
    parts = split(data, SplitSpec(test=0.2, validation=0), LimitSpec(), 13)
    tested = spec.tested(data, parts.test)
    assert len(tested) == pytest.approx(2 * 159, abs=2), "the paper's number of lines"
    assert not set(data.unit[parts.test]) & set(data.unit[parts.train])
    pro = spec.training_examples(data, parts.train, {"part": "pro"}, 13)
    assert len(pro) == PAIRS - len(tested)


def test_data_without_a_stated_size_are_still_missing():
    values = read_preset("paper/fig2") | {"task": {"name": "hatexplain"}, "settings": None, "figure": None}
    values = {key: value for key, value in values.items() if value is not None} | {"model": "tiny-llama"}
    with pytest.raises(UnavailableError, match="must name a folder that holds hatexplain/"):
        make_plan(Study(**values), None, Sources().find, Sources().read)


def test_nothing_is_stated_that_is_here(small_study):
    sources = Sources()
    plan = make_plan(Study(**small_study), None, sources.find, sources.read)
    assert sources.sentences == [] and not any(setting.stated for setting in plan.settings.values())
    assert {trial.hash for trial in plan.trials} == {
        trial.hash for trial in make_plan(Study(**small_study), None).trials
    }


@pytest.mark.slow
def test_the_command_says_what_was_stated_and_times_nothing(evenhand, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "measure_times", lambda *_: pytest.fail("a step was timed"))
    ran = evenhand("plan", "paper/fig2", "--out", tmp_path / "out")
    assert "20 trials, 20 to train" in ran.stdout and "Not timed: " in ran.stdout
    assert "dlab religion: 6,081 posts" in ran.stdout and "religion-llama  everyone" in ran.stdout
    found = json.loads(evenhand("plan", "paper/fig2", "--out", tmp_path / "out", "--json").stdout)
    assert len(found["stated"]) == 3 and found["seconds"] is None and found["peak_bytes"] > 1e11
    assert {row["parameters"] == row["parameters_total"] for row in found["trials"]} == {True, False}
    assert all(row["stated"] for row in found["trials"]) and not Store(tmp_path / "out").out.exists()


def test_memory_of_stated_trials_is_that_of_the_plan_for_machines():
    from evenhand.study.arithmetic import memory_bytes
    from evenhand.study.trial_size import SizeReader

    plan, _ = planned("paper/fig2")
    trials = [trial for trial in distinct(plan).values() if trial.seed == 13]
    memory = np.array([found.peak_bytes for found in stated_costs(trials).values() if found is not None])
    assert memory == pytest.approx([memory_bytes(SizeReader()(trial)) for trial in trials], rel=1e-6)
