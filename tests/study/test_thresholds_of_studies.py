"""A study can ask for the rates of groups at every threshold."""

from __future__ import annotations

import pytest
import yaml

from evenhand import InputError, Study
from evenhand.study.plan import make_plan


def test_the_key_is_written_out_read_back_and_reaches_the_audit(small_study):
    for asked in (True, False):
        study = Study(**small_study, thresholds=asked)
        written = yaml.safe_load(study.to_yaml())
        assert written["thresholds"] is asked
        assert Study(**written) == study
        assert make_plan(study, None).design("").thresholds is asked


def test_a_study_file_of_an_earlier_version_asks_for_none(small_study):
    written = yaml.safe_load(Study(**small_study).to_yaml())
    del written["thresholds"]
    assert Study(**written) == Study(**small_study)


def test_it_belongs_to_the_whole_study(small_study):
    with pytest.raises(InputError, match="thresholds"):
        Study(**{**small_study, "settings": {"a": {"thresholds": True}}})
