"""Sets of counterfactual prompts: which are refused, and what their examples are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from evenhand.errors import InputError
from evenhand.tasks.generations.prompt_sets import BUILT_IN, PromptSet, prompt_examples, read_prompt_set

GOOD = {
    "attribute": "town",
    "groups": {"north": ["Ada", "Bo"], "south": ["Cy", "Di"]},
    "templates": ["{person} is", "we asked {person} to"],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"templates": ["{person} is", "they are"]}, "'they are' lacks the slot {person}"),
        ({"templates": ["{person} is", "{person} and {person}"]}, "has more than once the slot {person}"),
        ({"templates": ["{person} is", "{person} in {city}"]}, "has the slot {city}; only {person} is known"),
        ({"templates": ["{person} is", "{person"]}, "a brace of '{person' is not closed"),
        ({"templates": ["{person} is", "{Person}  IS".replace("Person", "person")]}, "is given twice"),
        ({"templates": ["{person} is", "{person} was "]}, "begins or ends in a space"),
        ({"templates": ["{person} is"]}, "templates should be two or more, not 1"),
        ({"groups": {"north": ["Ada"]}}, "two groups or more, not 1"),
        ({"groups": {"north": ["Ada", "Bo"], "south": ["Cy"]}}, "groups.south has 1 fillers and groups.north 2"),
        ({"groups": {"north": ["Ada", "Bo"], "south": ["Cy", "ada"]}}, "the filler 'ada' is given twice"),
        ({"groups": {"north": ["Ada", " "], "south": ["Cy", "Di"]}}, "a filler is empty"),
        ({"atribute": "x"}, 'has no key "atribute"; did you mean "attribute"?'),
    ],
)
def test_a_faulty_set_is_refused_in_one_sentence(change, words, tmp_path):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**GOOD, **change}), encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        read_prompt_set("own.yaml", tmp_path)
    assert words in str(refusal.value) and str(refusal.value).startswith("generations.prompts: own.yaml")


def test_a_set_that_is_not_there_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(InputError, match=r'no file "gendre" and no built-in set .* did you mean "gender"'):
        read_prompt_set("gendre", tmp_path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_sets_have_many_short_templates_and_groups_of_one_size(name):
    prompts = read_prompt_set(name)
    assert prompts.attribute == name and len(prompts.templates) >= 30
    assert all(len(template.split()) <= 10 for template in prompts.templates)
    examples = prompt_examples(prompts)
    assert len(set(examples.example)) == len(examples) == len(set(examples.inputs))
    sizes = examples.attributes[name].masks.sum(axis=0)
    assert (sizes == sizes[0]).all() and sizes.sum() == len(examples)


def test_examples_are_prompts_with_their_groups_and_templates_as_units():
    examples = prompt_examples(PromptSet(**GOOD), samples=2)
    assert examples.name == "generations/town" and len(examples) == 2 * 2 * 2 * 2
    assert list(dict.fromkeys(examples.inputs))[:5] == ["Ada is", "Bo is", "Cy is", "Di is", "We asked Ada to"]
    assert examples.example[1] == "generations/town/1/north/1#2"
    assert set(examples.unit) == {"generations/town/1", "generations/town/2"}
    north = examples.group_mask("town", "north")
    assert all(
        np.unique(north[examples.unit == unit], return_counts=True)[1].tolist() == [4, 4] for unit in examples.unit
    )


def test_a_slot_may_have_another_name(tmp_path: Path):
    own = PromptSet(attribute="a", slot="name", groups={"x": ["X"], "y": ["Y"]}, templates=["{name} is", "for {name}"])
    assert [text for *_, text in own.prompts()] == ["X is", "Y is", "For X", "For Y"]
