"""What is searched can be said on the command line, in Python and in a study."""

from __future__ import annotations

import pytest

from evenhand.cli_values import subgroups_of
from evenhand.errors import InputError
from evenhand.study.spec import StudySpec

STUDY = {"task": "synthetic/faces", "model": "tiny-vit", "methods": {"full": {"kind": "full"}}, "reference": "full"}


def test_a_text_of_the_command_line_has_depth_support_and_cuts():
    assert subgroups_of("depth=2, support=30,age=25:45,income=4") == {
        "depth": 2,
        "support": 30,
        "cuts": {"age": [25.0, 45.0], "income": 4},
    }
    assert subgroups_of("") == {} and subgroups_of(None) is None


@pytest.mark.parametrize("text", ["depth=deep", "age=old", "depth", "age=1:x"])
def test_a_text_that_means_nothing_is_refused(text):
    with pytest.raises(InputError, match="--subgroups takes depth=N"):
        subgroups_of(text)


def test_a_study_says_what_is_searched():
    study = StudySpec(**STUDY, subgroups={"depth": 2, "cuts": {"age": [30, 50]}})
    assert study.subgroups is not None
    assert (study.subgroups.depth, study.subgroups.support, study.subgroups.cuts) == (2, 50, {"age": (30.0, 50.0)})
    assert StudySpec(**STUDY).subgroups is None


def test_a_study_that_misspells_it_is_refused_with_the_nearest_key():
    with pytest.raises(InputError, match='has no key "dept"; did you mean "depth"'):
        StudySpec(**STUDY, subgroups={"dept": 2})


def test_a_study_that_searches_by_no_measure_that_can_be_is_refused_before_it_trains():
    with pytest.raises(InputError, match="by none of these measures can be searched"):
        StudySpec(**STUDY, subgroups={}, measures=["average_precision"])
    assert StudySpec(**STUDY, subgroups={}, measures=["average_precision", "log_loss"]).subgroups is not None
