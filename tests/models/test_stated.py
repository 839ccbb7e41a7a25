"""Base models of the presets are stated where they are not on this machine, and never downloaded for arithmetic."""

from __future__ import annotations

import pytest

from evenhand.errors import InputError
from evenhand.models import stated
from evenhand.models.find import find_model
from evenhand.models.stated import STATED, find_or_state_model, is_stated
from evenhand.study.presets import list_presets, read_preset
from evenhand.study.spec import StudySpec


def test_every_model_of_the_papers_presets_is_stated():
    papers = [name for name, _ in list_presets() if name.startswith("paper/")]
    models = {setting.model for name in papers for setting in StudySpec(**read_preset(name)).settings.values()}
    assert models == set(STATED)


def test_models_that_share_a_configuration_are_different_models():
    found = [find_or_state_model(model) for model in STATED]
    assert len({base.fingerprint for base in found}) == len(STATED)
    assert all(is_stated(base) for base in found)
    assert {base.modality for base in found} == {"text", "image"}


def test_a_model_of_this_machine_is_read():
    assert find_or_state_model("tiny-bert") == find_model("tiny-bert")
    assert not is_stated(find_model("tiny-bert"))


def test_a_downloaded_model_is_read_from_the_cache(monkeypatch):
    model = next(iter(STATED))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: "a file")
    monkeypatch.setattr(stated, "find_model", lambda name: f"read {name}")
    assert find_or_state_model(model) == f"read {model}"


def test_other_models_have_to_be_here():
    with pytest.raises(InputError, match="the hub cannot be reached"):
        find_or_state_model("somebody/else")
