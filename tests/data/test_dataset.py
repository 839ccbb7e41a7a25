from __future__ import annotations

import numpy as np
import pytest

from evenhand.data.dataset import MISSING, Attribute, Dataset, DataSpec, content_hash, pick, repeat_groups
from evenhand.errors import InputError


class Counted:
    """Inputs that count how often they are read."""

    def __init__(self, n: int) -> None:
        self.n, self.read = n, 0

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, position):
        self.read += 1
        return f"text {position}"


def dataset(n: int = 40, **more) -> Dataset:
    values = {
        "name": "toy",
        "modality": "text",
        "inputs": [f"text {i}" for i in range(n)],
        "labels": np.arange(n) % 2,
        "classes": ("no", "yes"),
        "example": np.array([f"e{i}" for i in range(n)], dtype=object),
        "attributes": {"sex": Attribute.from_values(["f" if i % 4 < 2 else "m" for i in range(n)])},
    }
    return Dataset(**{**values, **more})


def test_values_make_groups_that_do_not_overlap_and_missing_is_one_of_them():
    attribute = Attribute.from_values(["b", None, "a", "b"])
    assert attribute.groups == (MISSING, "a", "b")
    assert (attribute.masks.sum(axis=1) == 1).all()
    assert attribute.masks[:, 2].tolist() == [True, False, False, True]


def test_lists_make_groups_that_overlap_and_an_empty_list_is_in_none():
    attribute = Attribute.from_lists([["x", "y"], [], None, ["y"]])
    assert attribute.lists() == [["x", "y"], [], [MISSING], ["y"]]
    assert attribute.masks.sum(axis=1).tolist() == [2, 0, 1, 1]


def test_without_a_unit_column_every_example_is_its_own():
    assert dataset().unit.tolist() == dataset().example.tolist() and dataset().weight.tolist() == [1.0] * 40


def test_taking_keeps_rows_together():
    index = np.array([5, 0, 7])
    part = dataset(split=np.array(["train", "test"] * 20, dtype=object)).take(index)
    assert part.example.tolist() == ["e5", "e0", "e7"] and part.inputs == ["text 5", "text 0", "text 7"]
    assert part.labels.tolist() == [1, 0, 1] and part.split.tolist() == ["test", "train", "test"]
    assert part.attributes["sex"].lists() == [["f"], ["f"], ["m"]]


def test_a_part_may_hold_one_class():
    assert set(dataset().take(np.arange(0, 40, 2)).labels) == {0}


def test_inputs_that_are_made_on_access_are_not_read_when_they_are_taken():
    inputs = Counted(40)
    part = dataset(inputs=inputs).take(np.array([3, 1, 2])).take(np.array([2, 0]))
    assert inputs.read == 0 and len(part) == 2
    assert list(part.inputs) == ["text 2", "text 3"] and list(part.inputs[1:]) == ["text 3"]
    assert pick(["a", "b"], np.array([1])) == ["b"]


def test_no_input_is_shown_by_a_repr():
    shown = dataset()
    learnt = DataSpec().training_examples(shown, np.arange(4), {}, 0)
    assert "text 3" not in repr(shown) and "text 3" not in repr(learnt)


def test_an_unknown_attribute_or_group_is_refused_with_what_there_is():
    assert dataset().group_mask("sex", "f").sum() == 20
    with pytest.raises(InputError, match="it has: sex"):
        dataset().group_mask("race", "a")
    with pytest.raises(InputError, match="it has: f, m"):
        dataset().group_mask("sex", "x")


def test_the_hash_of_training_is_of_inputs_and_labels_in_order():
    texts, labels = ["a", "b"], np.array([0, 1])
    known = content_hash(texts, labels)
    assert content_hash(list(texts), labels.astype(np.int32)) == known
    assert known not in (content_hash(["b", "a"], labels), content_hash(texts, labels[::-1]), content_hash(["ab"], [0]))
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    assert content_hash([image], [0]) != content_hash([image.reshape(3, 2, 3)], [0])


def test_noise_alters_that_share_of_one_groups_training_labels():
    data, index = dataset(400), np.arange(0, 400)
    noised = DataSpec().training_examples(data, index, {"noise": {"sex=f": 0.3}}, seed=1).labels
    changed = noised != data.labels
    assert changed[data.group_mask("sex", "f")].sum() == 60 and not changed[data.group_mask("sex", "m")].any()
    again = DataSpec().training_examples(data, index, {"noise": {"sex=f": 0.3}}, seed=1).labels
    assert (again == noised).all() and (data.labels == np.arange(400) % 2).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"nois": {}}, 'did you mean "noise"'),
        ({"noise": {"f": 0.1}}, "ATTRIBUTE=GROUP"),
        ({"noise": {"sex=f": 1.5}}, "between 0 and 1"),
        ({"noise": {"sex=x": 0.1}}, "it has: f, m"),
    ],
)
def test_data_options_that_mean_nothing_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        DataSpec().training_examples(dataset(), np.arange(10), options, 0)


def test_a_groups_training_examples_can_be_there_several_times():
    data, index = dataset(40), np.arange(0, 40, 2)
    plain = DataSpec().training_examples(data, index, {}, 0)
    found = repeat_groups(plain, data, index, {"sex=f": 3})
    women = data.group_mask("sex", "f")[index]
    assert len(found) == len(index) + 2 * women.sum()
    for row, text in enumerate(plain.inputs):
        assert list(found.inputs).count(text) == (3 if women[row] else 1) * list(plain.inputs).count(text)
    assert repeat_groups(plain, data, index, {}).labels.tolist() == plain.labels.tolist()


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (3, "repeat is a mapping such as"),
        ({"f": 3}, "ATTRIBUTE=GROUP"),
        ({"sex=x": 3}, "it has: f, m"),
        ({"sex=f": 0}, "whole number of 1 or more, not 0"),
        ({"sex=f": 1.5}, "whole number of 1 or more, not 1.5"),
    ],
)
def test_repeats_that_mean_nothing_are_refused(times, sentence):
    data, index = dataset(), np.arange(10)
    with pytest.raises(InputError, match=sentence):
        repeat_groups(DataSpec().training_examples(data, index, {}, 0), data, index, times)
