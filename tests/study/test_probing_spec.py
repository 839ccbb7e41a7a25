"""`probing:` of a study: what it resolves to, which examples have a target, and what is refused before training."""

from __future__ import annotations

import numpy as np
import pytest

import evenhand as eh
from evenhand.data.dataset import MISSING, Attribute, Dataset
from evenhand.data.synthetic import SyntheticPosts
from evenhand.data.synthetic_translation import SyntheticTranslation
from evenhand.errors import InputError
from evenhand.study.plan import make_plan
from evenhand.study.probing_spec import ProbingSpec, probe_target


def study(**changes):
    values = {
        "task": {"name": "synthetic/posts", "n": 200},
        "model": "tiny-bert",
        "methods": {"base": {"kind": "base"}, "full": {"kind": "full"}},
        "reference": "base",
        "seeds": 2,
        "probing": "topic",
    }
    return eh.Study(**{**values, **changes})


def setting(**changes):
    return study(**changes).settings["main"]


def data(values, groups=None) -> Dataset:
    n = len(values)
    attribute = Attribute.from_values(values) if groups is None else Attribute.from_lists(groups)
    ids = np.array([f"e{row}" for row in range(n)], dtype=object)
    return Dataset(
        "d", "text", [f"text {row}" for row in range(n)], np.arange(n) % 2, ("no", "yes"), ids, {"who": attribute}
    )


def test_a_name_a_list_and_a_mapping_say_targets_and_every_default_is_written_out():
    resolved = setting().probing
    assert resolved == setting(probing=["topic"]).probing == setting(probing={"targets": "topic"}).probing
    assert resolved is not None
    assert resolved.more == {"topic": "worse"} and resolved.untrained and resolved.controls == 5
    both = setting(probing={"targets": ["label", "topic"], "more": {"topic": "neither"}}).probing
    assert both is not None and both.more == {"label": "better", "topic": "neither"}
    again = eh.Study(**{key: value for key, value in _yaml(study()).items() if value is not None})
    assert again.settings["main"].probing == resolved


def _yaml(one) -> dict:
    import yaml

    return yaml.safe_load(one.to_yaml())


def test_examples_without_a_group_or_with_a_missing_one_are_no_part_of_a_target():
    found = probe_target(data(["m", None, "f", "m"]), "who")
    assert found.examples == ("e0", "e2", "e3") and found.labels.tolist() == [1, 0, 1]
    assert MISSING in data(["m", None]).attributes["who"].groups
    several = data([""] * 4, [["a", "b"], [], ["b"], None])
    found = probe_target(several, "who=a")
    assert found.examples == ("e0", "e1", "e2") and found.labels.tolist() == [1, 0, 0]
    assert probe_target(several, "label").labels.tolist() == [0, 1, 0, 1]


def test_control_labels_are_fixed_per_occupation_or_per_text():
    lines = SyntheticTranslation(n=64).load()
    found = probe_target(lines, "stereotype")
    assert set(found.types) == {target.split()[1] for target in lines.targets}
    assert (found.units == lines.unit).all()
    twice = Dataset(
        "d", "text", ["x", "y", "x"], np.array([0, 1, 0]), ("a", "b"), np.array(["0", "1", "2"], dtype=object)
    )
    assert probe_target(twice, "label").types.tolist() == ["0", "1", "0"]


def test_what_identifies_probes_depends_on_what_they_are_of_and_on_nothing_else():
    posts = SyntheticPosts(n=80).load()

    def key(dataset=posts, **values) -> str:
        return ProbingSpec(**{"targets": "topic", **values}).of(dataset, "classification", "f").key

    first = key()
    assert first == key(examples=5, judged=(1,), more={"topic": "neither"})
    others = [key(targets="label"), key(controls=6), key(layers=(1,)), key(pooling="last"), key(untrained=False)]
    others += [key(test=0.5), key(penalty=1.0), key(posts.take(np.arange(70)))]
    assert len({first, *others}) == len(others) + 1


def test_a_plan_holds_the_same_probes_for_all_methods_of_a_seed():
    planned = make_plan(study(), None)
    by_seed = {}
    for trial in planned.trials:
        by_seed.setdefault(trial.seed, set()).add(id(trial.probing))
    assert len(by_seed) == 2 and all(len(found) == 1 for found in by_seed.values())
    design = planned.design("x").settings["main"].probed
    assert design is not None and design.targets == ("topic",) and design.judged is None
    last = make_plan(study(probing={"targets": "topic", "judged": [-1, 0]}), None).design("x").settings["main"].probed
    assert last is not None and last.judged == (0, 2)


@pytest.mark.parametrize(("changes", "said"), [
    ({"probing": "gender"}, 'synthetic/posts has no attribute "gender" to probe for; it has: label, topic'),
    ({"probing": "topic=fod"}, 'attribute topic has no group "fod"'),
    ({"probing": []}, "should name one or more different targets"),
    ({"probing": {"targets": "topic", "controls": 4}}, "controls should be greater than or equal to 5"),
    ({"probing": {"targets": "topic", "layer": 1}}, 'has no key "layer"'),
    ({"probing": {"targets": "topic", "layers": [3]}}, "there is no layer 3; the model has 0"),
    ({"probing": {"targets": "topic", "layers": [1], "judged": [2]}}, "layer 2 is not among those that are probed"),
    ({"probing": {"targets": "topic", "more": "bad"}}, "'worse', 'better' or 'neither'"),
    ({"probing": {"targets": "topic", "more": {"label": "worse"}}}, '"label" is not a target'),
    ({"probing": {"targets": "topic=food", "examples": 4}}, "one value"),
    ({"methods": {"untrained": {"kind": "full"}}, "reference": []}, "the baseline of probing has this name"),
    ({"seeds": 0, "membership": 16}, "there are no seeds"),
    ({"task": "synthetic/faces", "model": "tiny-vit", "probing": "label"}, "probing reads texts"),
    ({"task": "synthetic/reviews", "model": "tiny-llama", "probing": "label"}, "has no label to probe for"),
    ({"task": {"name": "synthetic/reviews", "women": 0}, "model": "tiny-llama", "probing": "author"}, "one value"),
])  # fmt: skip
def test_what_cannot_be_probed_is_refused_in_a_sentence(changes, said):
    with pytest.raises(InputError, match=_literal(said)):
        make_plan(study(**changes), None)


def test_overlapping_groups_and_texts_without_a_word_are_refused():
    with pytest.raises(InputError, match=r"2 of 4 examples are in several groups of who; probe .* such as who=a"):
        probe_target(data([""] * 4, [["a", "b"], ["a", "b"], ["b"], []]), "who")
    blank = data(["m", "f"] * 20)
    blank.inputs[3] = "  "  # pyright: ignore[reportIndexIssue]
    with pytest.raises(InputError, match="the example e3 has no text to represent"):
        ProbingSpec(targets="who").of(blank, "classification", "f")


def _literal(said: str) -> str:
    import re

    return re.escape(said)
