"""The keys `against:` and `comparison:` of a study: what they may say, what is refused, and which rows they lead to."""

from __future__ import annotations

import pytest
import yaml

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.plan import make_plan

FACES = {"task": "synthetic/faces", "model": "tiny-vit"}
REVIEWS = {"task": "synthetic/reviews", "model": "tiny-llama"}


def designed(study: dict, **changes):
    """The design that the audit of a study gets."""
    return make_plan(Study(**{**study, **changes}), None).design("")


def rows(results, comparison: str) -> set[tuple[str, str]]:
    """The groups that have verdicts, each with whom it is compared with."""
    return set(results.verdicts.filter(comparison=comparison).drop_nulls("group").select("group", "against").rows())


def test_whom_groups_are_compared_with_is_written_out_and_read_back(small_study):
    for against, names in ((None, []), ("food", ["food"]), (["overall", "food"], ["overall", "food"]), (3, ["3"])):
        study = Study(**small_study, against=against, comparison="gap")
        written = yaml.safe_load(study.to_yaml())
        assert written["settings"]["main"]["against"] == names and written["comparison"] == "gap"
        assert Study(**written) == study


def test_a_study_file_of_an_earlier_version_compares_with_the_rest(small_study):
    written = yaml.safe_load(Study(**small_study).to_yaml())
    del written["settings"]["main"]["against"], written["comparison"]
    assert Study(**written) == Study(**small_study)
    design = designed(written)
    assert design.settings["main"].against == {} and not design.gaps


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"against": True}, "against should be rest, overall, a group or a list of groups, not True; write"),
        ({"against": [["food"]]}, r"a list of groups, not \['food'\]"),
        ({"comparison": "gaps"}, "comparison should be 'gap', not 'gaps'"),
        ({"settings": {"a": {"comparison": "gap"}}}, "settings.a: comparison belongs to the whole study"),
    ],
)
def test_what_does_not_name_groups_is_refused_at_once(small_study, change, sentence):
    with pytest.raises(InputError, match=sentence):
        Study(**{**small_study, **change})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"against": "fod"},
            '^against fod: no attribute has the group "fod"; name rest, overall or a group '
            r"\(there are topic: food, garden, music, travel\)$",
        ),
        ({"against": "topic=fod"}, '^against topic=fod: topic has no group "fod"; did you mean "food"'),
        ({"against": ["food", "music"]}, "^against: the groups of topic are compared with one: food or music"),
        ({"against": ["rest", "overall"]}, "^against: name rest or overall, not both"),
        ({"against": "food", "settings": {"posts": {}, "faces": FACES}}, "^settings.faces: against food: no attribute"),
        ({"against": "food", "settings": {"asked": REVIEWS}}, "^settings.asked: against food needs predictions and"),
        ({"against": "food", "seeds": 0, "membership": 8}, "^against food needs predictions and groups, which are"),
    ],
)
def test_groups_that_the_data_lack_are_refused_once_these_are_loaded(small_study, change, sentence):
    with pytest.raises(InputError, match=sentence):
        designed(small_study, **change)


def test_a_setting_may_name_other_groups_than_the_study(small_study):
    settings = {"posts": {}} | {str(name): {"against": name} for name in ("overall", "rest", None)}
    design = designed(small_study, against="food", settings=settings)
    assert {name: setting.against for name, setting in design.settings.items()} == {
        "posts": {"topic": "food"}, "overall": {"topic": "overall"}, "rest": {}, "None": {}
    }  # fmt: skip


def test_an_attribute_without_the_group_is_noted(small_study, tmp_path):
    path = tmp_path / "t.csv"
    lines = [f"text {row},{row % 2},{'ab'[row % 2]},{'xy'[row // 2 % 2]}" for row in range(80)]
    path.write_text("\n".join(["text,label,who,place", *lines]))
    task = {"name": "table", "path": str(path), "text": "text", "label": "label", "groups": ["who", "place"]}
    (setting,) = designed(small_study, task=task, against="a").settings.values()
    assert setting.against == {"who": "a"}
    assert any(note.startswith("Place has no group a: its groups are compared with the rest") for note in setting.notes)


def test_the_verdicts_of_a_study_are_against_the_named_group(small_study, tmp_path):
    others = {"others": {"name": "synthetic/posts", "n": 100, "seed": 5, "sizes": {"food": 0}}}
    study = {**small_study, "seeds": 1, "measures": ["accuracy"], "evaluate": others}
    before = Study(**study).run(tmp_path)
    assert rows(before, "gap change") == {(name, "rest") for name in ("food", "garden", "music", "travel")}
    assert rows(before, "gap") == set()
    results = Study(**study, against="food", comparison="gap").run(tmp_path)
    assert results.trials.equals(before.trials), "a study that only compares otherwise trains nothing again"
    for comparison in ("gap", "gap change"):
        assert rows(results, comparison) == {(name, "food") for name in ("garden", "music", "travel")}
    gaps = results.verdicts.filter(comparison="gap", group="travel", method="lora")
    assert gaps.filter(split="test")["contrast"].null_count() == 0
    (lacking,) = gaps.filter(split="others").iter_rows(named=True)
    assert lacking["contrast"] is None and lacking["note"]
