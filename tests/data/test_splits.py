from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenhand.data.dataset import Attribute, Dataset
from evenhand.data.splits import LimitSpec, Split, SplitSpec, provided_split, split
from evenhand.errors import InputError

NO_LIMIT = LimitSpec()


def dataset(labels, units=None, attributes=None, own=None) -> Dataset:
    labels = np.asarray(labels, dtype=np.int64)
    n = len(labels)
    return Dataset(
        name="toy",
        modality="text",
        inputs=[str(i) for i in range(n)],
        labels=labels,
        classes=tuple(f"c{i}" for i in range(int(labels.max()) + 1)),
        example=np.array([f"e{i}" for i in range(n)], dtype=object),
        attributes=attributes or {},
        unit=np.empty(0, dtype=object) if units is None else np.array([f"u{u}" for u in units], dtype=object),
        split=None if own is None else provided_split(own, "own"),
    )


def parts(found: Split) -> list[np.ndarray]:
    return [found.train, found.validation, found.test]


@st.composite
def datasets(draw) -> Dataset:
    """60 to 200 examples of two or three classes, in units of 1 to 4."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(60, 200))
    labels = rng.integers(0, draw(st.integers(2, 3)), n)
    labels[:3] = [0, 1, labels.max()]
    units = rng.permutation(np.repeat(np.arange(n), rng.integers(1, 5, n))[:n])
    return dataset(labels, units, {"g": Attribute.from_values([str(g) for g in rng.integers(0, 3, n)])})


SPECS = st.builds(SplitSpec, test=st.sampled_from([0.2, 0.35, 0.5]), validation=st.sampled_from([0, 0.1, 0.25]))


@pytest.mark.fuzz
@given(datasets(), SPECS, st.integers(0, 2**31))
def test_parts_are_sorted_disjoint_and_cover_everything(data, spec, seed):
    found = parts(split(data, spec, NO_LIMIT, seed))
    assert all((np.diff(part) > 0).all() and part.dtype == np.int64 for part in found)
    assert sorted(np.concatenate(found)) == list(range(len(data)))


@pytest.mark.fuzz
@given(datasets(), SPECS, st.integers(0, 2**31))
def test_units_are_never_split(data, spec, seed):
    held = [set(data.unit[part]) for part in parts(split(data, spec, NO_LIMIT, seed))]
    assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])


@pytest.mark.fuzz
@given(datasets(), SPECS, st.integers(0, 2**31))
def test_shares_are_kept_within_one_unit(data, spec, seed):
    found = split(data, spec, NO_LIMIT, seed)
    largest = max(np.unique(data.unit, return_counts=True)[1])
    rest = len(data) - len(found.test)
    assert abs(len(found.test) - spec.test * len(data)) <= largest / 2 + 0.5
    assert abs(len(found.validation) - spec.validation * rest) <= largest / 2 + 0.5


@pytest.mark.fuzz
@given(datasets(), SPECS, st.integers(0, 2**31))
def test_units_of_every_label_are_tested_in_proportion_within_one_unit(data, spec, seed):
    tested = np.isin(np.arange(len(data)), split(data, spec, NO_LIMIT, seed).test)
    names, unit, sizes = np.unique(data.unit, return_inverse=True, return_counts=True)
    counts = np.zeros((len(names), len(data.classes)), dtype=int)
    np.add.at(counts, (unit, data.labels), 1)
    stratum = counts.argmax(axis=1)[unit]
    for label in range(len(data.classes)):
        of_label = stratum == label
        assert abs(tested[of_label].sum() - spec.test * of_label.sum()) <= sizes.max() + 1


@pytest.mark.fuzz
@given(datasets(), SPECS, st.integers(0, 2**31), st.integers(5, 300))
def test_a_limit_takes_that_many_of_the_same_part(data, spec, seed, most):
    whole, limited = (split(data, spec, limit, seed) for limit in (NO_LIMIT, LimitSpec(test=most)))
    largest = max(np.unique(data.unit, return_counts=True)[1])
    assert set(limited.test) <= set(whole.test) and (limited.train == whole.train).all()
    slack = len(data.classes) * largest / 2
    assert abs(len(limited.test) - min(most, len(whole.test))) <= slack


@pytest.mark.fuzz
@given(datasets(), st.integers(0, 2**31), st.integers(0, 2**31))
def test_a_split_is_a_function_of_the_seed(data, seed, other):
    first, again = (split(data, SplitSpec(), LimitSpec(train=30), seed) for _ in range(2))
    assert all((a == b).all() for a, b in zip(parts(first), parts(again), strict=True))
    fixed = [parts(split(data, SplitSpec(vary=False, seed=seed), NO_LIMIT, trial)) for trial in (0, other)]
    assert all((a == b).all() for a, b in zip(*fixed, strict=True))
    assert all((a == b).all() for a, b in zip(fixed[0], parts(split(data, SplitSpec(), NO_LIMIT, seed)), strict=True))


def test_another_seed_is_another_split():
    data = dataset(np.arange(200) % 2)
    assert set(split(data, SplitSpec(), NO_LIMIT, 0).test) != set(split(data, SplitSpec(), NO_LIMIT, 1).test)


def test_the_test_set_does_not_depend_on_the_share_of_validation():
    data = dataset(np.arange(200) % 2)
    with_, without = (split(data, SplitSpec(validation=share), NO_LIMIT, 4).test for share in (0.3, 0))
    assert (with_ == without).all()


def test_names_of_units_do_not_matter():
    data = dataset(np.arange(80) % 2, np.arange(80) // 2)
    renamed = dataset(np.arange(80) % 2, 1000 - 7 * (np.arange(80) // 2))
    assert (split(data, SplitSpec(), NO_LIMIT, 0).test == split(renamed, SplitSpec(), NO_LIMIT, 0).test).all()


def test_every_label_has_its_share_in_every_part():
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    found = split(dataset(labels), SplitSpec(test=0.2, validation=0.25), NO_LIMIT, 0)
    for part, wanted in ((found.test, [140, 50, 10]), (found.validation, [140, 50, 10]), (found.train, [420, 150, 30])):
        assert np.bincount(labels[part]).tolist() == wanted


def test_every_example_is_as_likely_to_be_tested():
    """0.2 of 50 over 2,000 seeds: each example's count is binomial, 400 ± 18."""
    data = dataset(np.arange(50) % 2)
    counts = np.bincount(
        np.concatenate([split(data, SplitSpec(), NO_LIMIT, s).test for s in range(2000)]), minlength=50
    )
    assert counts.sum() == 20_000 and abs(counts - 400).max() < 5 * 18


def test_a_unit_counts_for_the_label_that_most_of_it_has():
    """20 units of three with label 1 twice, among 60 single zeros: the units are drawn as ones."""
    labels = np.concatenate([np.tile([1, 1, 0], 20), np.zeros(60, int)])
    units = np.concatenate([np.repeat(np.arange(20), 3), np.arange(20, 80)])
    found = split(dataset(labels, units), SplitSpec(test=0.5, validation=0), NO_LIMIT, 3)
    assert labels[found.test].sum() == 20 and len(found.test) == 60


def test_a_limit_draws_labels_and_groups_in_proportion():
    labels = np.repeat([0, 1], [600, 400])
    groups = np.tile(np.repeat(["a", "b"], [80, 20]), 10)
    attribute = Attribute.from_values(groups.tolist())
    data = dataset(labels, attributes={"g": attribute})
    found = split(data, SplitSpec(test=0.2, validation=0), LimitSpec(train=100, test=50), 0)
    assert np.bincount(labels[found.train]).tolist() == [60, 40] and np.bincount(labels[found.test]).tolist() == [
        30,
        20,
    ]
    share_b = (groups[found.train] == "b").sum()
    available = split(data, SplitSpec(test=0.2, validation=0), NO_LIMIT, 0).train
    assert abs(share_b - 100 * (groups[available] == "b").mean()) <= 2
    assert found.notes[0] == "limit: 100 of 800 train examples, drawn by label and group"


def test_a_limit_above_what_there_is_changes_nothing():
    found = split(dataset(np.arange(50) % 2), SplitSpec(), LimitSpec(train=1000), 0)
    assert len(found.train) == 36 and found.notes == ()


def test_a_bare_number_limits_training():
    assert LimitSpec.model_validate(7) == LimitSpec(train=7)


def test_the_datas_own_split_is_taken():
    own = ["train"] * 50 + ["dev"] * 20 + ["test"] * 30
    found = split(dataset(np.arange(100) % 2, own=own), SplitSpec(column="part"), NO_LIMIT, 0)
    assert [len(part) for part in parts(found)] == [50, 20, 30] and found.test.tolist() == list(range(70, 100))


def test_validation_is_drawn_where_the_datas_own_split_has_none():
    own = ["train"] * 80 + ["test"] * 20
    found = split(dataset(np.arange(100) % 2, own=own), SplitSpec(column=True, validation=0.25), NO_LIMIT, 0)
    assert [len(part) for part in parts(found)] == [60, 20, 20]


def test_copies_of_tested_units_are_left_out_of_training_and_the_own_test_set_stays_whole():
    own = ["train"] * 60 + ["validation"] * 20 + ["test"] * 20
    units = np.arange(100)
    units[[0, 1]], units[60], units[5] = 99, 98, 61
    found = split(dataset(np.arange(100) % 2, units, own=own), SplitSpec(column=True), NO_LIMIT, 0)
    assert [len(part) for part in parts(found)] == [57, 19, 20]
    assert not {0, 1, 5} & set(found.train) and 60 not in found.validation
    assert found.notes == (
        "left out of validation: 1 whose unit is also in test",
        "left out of train: 3 whose unit is also in test or validation",
    )


def test_the_words_of_a_split_column_are_understood_or_refused():
    assert provided_split(["Training", "val", "dev", "valid", "TEST"], "x").tolist() == [
        "train",
        "validation",
        "validation",
        "validation",
        "test",
    ]
    with pytest.raises(InputError, match=r'part says "holdout" in row 1; it may say train, validation or test'):
        provided_split(["train", "holdout"], "part")
    with pytest.raises(InputError, match="says nothing in row 0"):
        provided_split([None], "part")


@pytest.mark.parametrize(
    ("data", "spec", "limit", "sentence"),
    [
        (dataset([0, 1] * 2), SplitSpec(test=0.1), NO_LIMIT, "no test examples"),
        (dataset([0, 1] * 10), SplitSpec(validation=0.01), NO_LIMIT, "no validation examples"),
        (dataset([0, 1] * 10, [0] * 20), SplitSpec(test=0.9, validation=0), NO_LIMIT, "no train examples"),
        (dataset([0] * 50 + [1] * 10, [0] * 50 + [1] * 10), SplitSpec(test=0.5, validation=0), NO_LIMIT, '"c0"'),
        (dataset([0] * 99 + [1]), SplitSpec(), LimitSpec(train=1), 'no training example has the label "c1"'),
        (dataset([1] * 20), SplitSpec(), NO_LIMIT, 'every label is "c1"'),
        (dataset([0, 1] * 20), SplitSpec(column="part"), NO_LIMIT, "provides no split"),
        (dataset([0, 1] * 5, own=["train"] * 10), SplitSpec(column="part"), NO_LIMIT, "no test examples"),
    ],
)
def test_a_split_that_cannot_be_trained_on_is_refused(data, spec, limit, sentence):
    with pytest.raises(InputError, match=sentence):
        split(data, spec, limit, 0)


@pytest.mark.parametrize("values", [{"test": 0}, {"test": 1}, {"validation": 1}, {"tset": 0.2}, {"validation": -0.1}])
def test_shares_outside_their_range_and_unknown_keys_are_refused(values):
    with pytest.raises(InputError, match="split"):
        SplitSpec.parse(values, "split")
