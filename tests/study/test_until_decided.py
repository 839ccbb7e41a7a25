"""What a study may say of seeds until decided, and what it is refused for."""

from __future__ import annotations

import pytest
import yaml

from evenhand import InputError, Study
from evenhand.study.plan import make_plan
from evenhand.study.spec import StudySpec
from evenhand.study.until_decided import LOOKS, until_decided

UNTIL = {"until": "decided"}


def test_a_study_of_fixed_seeds_says_nothing_of_looks(small_study):
    study = Study(**small_study)
    assert study.until_decided is None and "until_decided" not in study.to_yaml()


def test_seeds_until_decided_become_a_plan_and_the_most_seeds_of_each_setting(small_study):
    study = Study(**{**small_study, "seeds": UNTIL})
    assert study.until_decided is not None
    assert study.until_decided.looks == LOOKS and study.until_decided.most == 20
    assert study.until_decided.measures == ("accuracy",)
    assert study.until_decided.comparisons == ("everyone", "gap changes")
    assert study.settings["main"].seeds == tuple(range(20))


def test_a_resolved_study_reads_back_as_the_same_study(small_study):
    study = StudySpec(**{**small_study, "seeds": {**UNTIL, "most": 10, "comparisons": "everyone"}})
    assert StudySpec(**yaml.safe_load(study.to_yaml())) == study


@pytest.mark.parametrize(
    ("given", "looks"),
    [
        ({"most": 10}, (3, 5, 8, 10)),
        ({"most": 8}, (3, 5, 8)),
        ({"most": 3}, (3,)),
        ({"looks": [2, 4, 6]}, (2, 4, 6)),
        ({"looks": [2, 4, 6], "most": 6}, (2, 4, 6)),
    ],
)
def test_looks_end_with_the_most_seeds(given, looks):
    plan = until_decided({**UNTIL, **given})
    assert plan is not None and plan.looks == looks and plan.most == looks[-1]


def test_a_study_without_reference_waits_for_gaps(small_study):
    study = Study(**{**small_study, "seeds": UNTIL, "reference": []})
    assert study.until_decided is not None and study.until_decided.comparisons == ("gaps",)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ({"most": 20}, "seeds should be a number, a list, or {until: decided"),
        ({"until": "done"}, "until is 'done'"),
        ({**UNTIL, "look": [3]}, 'seeds has no key "look"; did you mean "looks"?'),
        ({**UNTIL, "looks": [5, 3]}, r"looks should be ascending numbers of seeds from 2"),
        ({**UNTIL, "looks": [1, 3]}, r"looks should be ascending numbers of seeds from 2"),
        ({**UNTIL, "looks": [3, 5], "most": 20}, "looks end at 5 seeds, and most is 20"),
        ({**UNTIL, "looks": [3, 50]}, "most is 50, and whether going on is futile is predicted up to 40 seeds"),
        ({**UNTIL, "measures": ["acuracy"]}, "acuracy"),
        ({**UNTIL, "measures": []}, "measures should name at least one measure"),
        ({**UNTIL, "measures": "demographic_parity_difference"}, "has no verdicts, so it is never decided"),
        ({**UNTIL, "comparisons": "gaps"}, "gaps of single methods have verdicts only with comparison: gap"),
        ({**UNTIL, "comparisons": "nobody"}, "seeds.comparisons"),
    ],
)
def test_seeds_that_are_no_plan_are_refused(small_study, seeds, said):
    with pytest.raises(InputError) as refused:
        Study(**{**small_study, "seeds": seeds})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"margins": {}}, "seeds until decided need a margin for accuracy"),
        ({"measures": ["selection_rate"]}, "accuracy is not among the study's measures"),
        ({"reference": [], "seeds": {**UNTIL, "comparisons": "everyone"}}, "everyone compare methods"),
        ({"membership": 8}, "an attack with more models is a stronger one"),
    ],
)
def test_studies_whose_comparisons_cannot_be_decided_are_refused(small_study, changes, said):
    with pytest.raises(InputError) as refused:
        Study(**{**small_study, "seeds": UNTIL, **changes})
    assert said in str(refused.value)


def test_settings_have_no_seeds_of_their_own(small_study):
    settings = {"one": {}, "two": {"seeds": 5}}
    with pytest.raises(InputError, match=r"settings\.two\.seeds: seeds until decided belong to the whole study"):
        Study(**{**small_study, "seeds": UNTIL, "settings": settings})
    with pytest.raises(InputError, match=r"settings\.two: seeds until decided belong to the whole study"):
        Study(**{**small_study, "settings": {"one": {}, "two": {"seeds": UNTIL}}})


def test_groups_that_the_data_lack_are_refused_before_anything_is_trained(small_study):
    study = Study(**{**small_study, "seeds": {**UNTIL, "groups": ["food", "topic=musik"]}})
    with pytest.raises(InputError, match=r'seeds\.groups: there is no group "topic=musik"; did you mean "topic=music"'):
        make_plan(study, None)
    fine = Study(**{**small_study, "seeds": {**UNTIL, "most": 3, "groups": ["food", "topic=music"]}})
    assert make_plan(fine, None).study.until_decided == fine.until_decided
