"""The studies that come with the package, and finding a study by file or by name."""

from __future__ import annotations

import re

import pytest

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.presets import FOLDER, find_study, list_presets, read_preset

NAMES = [name for name, _ in list_presets()]


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_a_study_that_says_what_it_asks(name):
    study = Study(**read_preset(name))
    assert all(setting.reference for setting in study.settings.values()), "nothing would be compared"
    assert len(dict(list_presets())[name]) > 20


@pytest.mark.parametrize("name", NAMES)
def test_no_preset_points_outside_the_package(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    assert not re.search(r"(^|[\s:\[{'\"])(/|~|\.\.?/)\w", text)


def test_the_demo_plants_a_harm_in_one_group():
    methods = Study(**read_preset("demo")).settings["main"].methods
    assert [name for name, method in methods.items() if method["data"]] == ["planted"]
    planted, lora = methods["planted"], methods["lora"]
    assert {**planted, "data": {}} == {**lora, "data": {}}, "the noise is the only difference"


def test_a_file_is_found_before_a_preset_and_named_by_its_stem(tmp_path, monkeypatch):
    (tmp_path / "demo.yaml").write_text("model: mine")
    monkeypatch.chdir(tmp_path)
    assert find_study("demo.yaml") == ({"model": "mine"}, "demo")
    values, name = find_study("demo", ["seeds=2"])
    assert name == "demo" and values["seeds"] == 2 and values["model"] != "mine"


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ("dmeo", 'there is no preset "dmeo"; did you mean "demo"'),
        ("none.yaml", "there is no study file none.yaml"),
        ("study.txt", "study.txt does not end in .yaml"),
    ],
)
def test_what_is_neither_a_study_file_nor_a_preset_is_refused(tmp_path, monkeypatch, study, sentence):
    (tmp_path / "study.txt").write_text("model: mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(sentence)):
        find_study(study)
