from __future__ import annotations

import numpy as np
import pytest

from evenhand.data import drawings, phrases
from evenhand.data.dataset import content_hash
from evenhand.data.synthetic import Synthetic, SyntheticFaces, SyntheticPosts
from evenhand.errors import InputError
from evenhand.seeds import generator

BOTH = pytest.mark.parametrize("kind", [SyntheticFaces, SyntheticPosts])


def groups(spec: Synthetic) -> np.ndarray:
    return np.array(list(spec.usual_sizes), dtype=object)[spec.plan().group]


def same(left, right) -> np.ndarray:
    """bool [n]: whether two lists hold equal examples."""
    return np.array([np.array_equal(a, b) for a, b in zip(left, right, strict=True)])


def looks(spec: Synthetic) -> np.ndarray:
    """What a reader without error sees in each example: mouth and brows, or the majority of the cues."""
    if isinstance(spec, SyntheticFaces):
        return drawings.smiling(spec.faces(spec.plan()))
    balance = []
    for text in spec.load().inputs:
        clauses = text.split(". ")
        denied = [("not " in clause) or ("nobody " in clause) or ("never " in clause) for clause in clauses]
        marks = []
        for clause, turned in zip(clauses, denied, strict=True):
            words = clause.split()
            good = any(word in words for word, _ in phrases.PRAISE)
            bad = any(word in words for word, _ in phrases.COMPLAINT)
            if good or bad:
                marks.append(1 if good != turned else -1)
        assert sum(marks) != 0, text
        balance.append(sum(marks) > 0)
    return np.array(balance)


@BOTH
def test_the_same_spec_gives_the_same_bytes(kind):
    first, second, other = kind(n=80).load(), kind(n=80).load(), kind(n=80, seed=1).load()
    assert content_hash(first.inputs, first.labels) == content_hash(second.inputs, second.labels)
    assert content_hash(first.inputs, first.labels) != content_hash(other.inputs, other.labels)


@BOTH
def test_groups_have_their_shares_to_the_example(kind):
    spec = kind(n=1000)
    dataset = spec.load()
    found = {group: int(dataset.group_mask(spec.attribute, group).sum()) for group in spec.usual_sizes}
    assert list(found.values()) == [400, 300, 200, 100]
    name = list(spec.usual_sizes)[3]
    assert kind(sizes={name: 0.55}).shares() == pytest.approx(
        dict(zip(spec.usual_sizes, [0.2, 0.15, 0.1, 0.55], strict=True))
    )


@BOTH
def test_an_oracle_finds_no_difference_between_groups(kind):
    spec = kind(n=1000)
    dataset = spec.load()
    right = looks(spec) == (dataset.labels == 1)
    for group in spec.usual_sizes:
        mask = dataset.group_mask(spec.attribute, group)
        assert right[mask].mean() == pytest.approx(0.9)
        assert dataset.labels[mask].mean() == pytest.approx(0.5)
        assert looks(spec)[mask].mean() == pytest.approx(0.5)


@BOTH
def test_an_example_looks_like_its_label_where_nothing_is_ambiguous(kind):
    spec = kind(n=200, ambiguity=0)
    assert np.array_equal(looks(spec), spec.load().labels == 1)


@BOTH
def test_noise_flips_that_share_of_one_group_and_leaves_the_rest(kind):
    spec = kind(n=400)
    group = list(spec.usual_sizes)[1]
    clean, noisy = spec.load(), kind(n=400, noise={group: 0.25}).load()
    flipped = clean.labels != noisy.labels
    assert flipped[clean.group_mask(spec.attribute, group)].mean() == 0.25
    assert not flipped[~clean.group_mask(spec.attribute, group)].any()
    assert same(clean.inputs, noisy.inputs).all()
    assert "25%" in noisy.notes[0] and group in noisy.notes[0]


@BOTH
def test_a_cue_tells_nothing_unless_a_shortcut_is_planted(kind):
    group = next(iter(kind.usual_sizes))
    fair, short = kind(n=1000).plan(), kind(n=1000, shortcut={group: 0.8}).plan()
    for code in range(4):
        rows = fair.group == code
        assert np.mean(fair.cue[rows] == (fair.labels[rows] == 1)) == pytest.approx(0.5, abs=0.02)
    rows = short.group == 0
    assert np.mean(short.cue[rows] == (short.labels[rows] == 1)) == pytest.approx(0.9, abs=0.03)
    assert np.array_equal(short.cue[~rows], fair.cue[~rows])


@BOTH
def test_a_shortcut_changes_the_cue_and_nothing_else(kind):
    spec = kind(n=200)
    group = next(iter(spec.usual_sizes))
    plain, short = spec.load(), kind(n=200, shortcut={group: 1.0}).load()
    unchanged = same(plain.inputs, short.inputs)
    assert unchanged[~plain.group_mask(spec.attribute, group)].all()
    assert 0.3 < unchanged[plain.group_mask(spec.attribute, group)].mean() < 0.7
    for before, after in zip(plain.inputs, short.inputs, strict=True):
        if spec.modality == "image":
            assert np.array_equal(before[7:], after[7:]), "something below the badge changed"
        else:
            assert before.split("sent from")[0] == after.split("sent from")[0]


@BOTH
def test_data_options_alter_training_examples_of_the_named_group_only(kind):
    spec = kind(n=400)
    dataset = spec.load()
    index = np.flatnonzero(generator(0, "half").random(400) < 0.5)
    group = list(spec.usual_sizes)[1]
    inside = dataset.group_mask(spec.attribute, group)[index]
    name = f"{spec.attribute}={group}"
    examples = spec.training_examples(dataset, index, {"noise": {name: 0.5}, "shortcut": {name: 1.0}}, seed=3)
    plain = spec.training_examples(dataset, index, {}, seed=3)
    flipped, unchanged = plain.labels != examples.labels, same(plain.inputs, examples.inputs)
    assert flipped[inside].mean() == pytest.approx(0.5, abs=0.01)
    assert not flipped[~inside].any()
    assert unchanged[~inside].all()
    told = np.where(unchanged, spec.plan().cue[index], ~spec.plan().cue[index])
    assert np.array_equal(told[inside], examples.labels[inside] == 1), "the cue tells the label that is trained on"
    again = spec.training_examples(dataset, index, {"noise": {name: 0.5}, "shortcut": {name: 1.0}}, seed=3)
    assert content_hash(examples.inputs, examples.labels) == content_hash(again.inputs, again.labels)
    assert np.array_equal(plain.labels, dataset.labels[index])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shortcuts": {}}, 'no option "shortcuts"; did you mean "shortcut"'),
        ({"shortcut": {"shape=sqare": 0.5}}, 'no group "sqare"'),
        ({"shortcut": {"square": 0.5}}, "ATTRIBUTE=GROUP"),
        ({"shortcut": {"shape=square": 1.5}}, "between 0 and 1"),
        ({"shortcut": 0.5}, "mapping"),
    ],
)
def test_unusable_data_options_are_refused(options, words):
    spec = SyntheticFaces(n=60)
    with pytest.raises(InputError, match=words):
        spec.training_examples(spec.load(), np.arange(40), options, seed=0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"noise": {"sqare": 0.2}}, 'no group "sqare"; did you mean "square"'),
        ({"noise": {"square": 1.2}}, "less than or equal to 1"),
        ({"sizes": {"square": 0.7, "circle": 0.5}}, "add up to 1, not to 1.2"),
        ({"sizes": {"square": 0.2, "circle": 0.2, "hexagon": 0.2, "triangle": 0.2}}, "not to 0.8"),
        ({"n": 3}, "greater than or equal to 40"),
        ({"nosie": {}}, 'did you mean "noise"'),
    ],
)
def test_unusable_knobs_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        SyntheticFaces.parse(values, "task synthetic/faces")


def test_posts_vary_in_length_and_copies_are_one_unit():
    dataset = SyntheticPosts(n=2400).load()
    words = np.array([len(text.split()) for text in dataset.inputs])
    assert np.quantile(words, 0.9) > 3 * np.quantile(words, 0.1)
    units: dict[str, set[str]] = {}
    for text, unit in zip(dataset.inputs, dataset.unit, strict=True):
        units.setdefault(text, set()).add(unit)
    assert all(len(found) == 1 for found in units.values())
    assert len(units) == len(set(dataset.unit)) > 2300


def test_all_outlines_have_one_area_and_hold_the_face():
    faces = drawings.random_faces(generator(0), 60)
    areas, inked = {}, {}
    for name, corners in drawings.CORNERS.items():
        same_faces = drawings.replace(
            faces,
            corners=np.full(60, corners),
            size=np.full(60, 0.85),
            centre=np.tile(drawings.MIDDLE, (60, 1)),
            grain=0 * faces.grain,
            skin=np.full((60, 3), 255.0),
            backdrop=np.full((60, 3), 128.0),
        )
        pixels = drawings.draw(same_faces)[:, 7:]
        inked[name] = (pixels.max(axis=3) < 100).sum(axis=(1, 2))
        areas[name] = ((pixels.min(axis=3) > 200).sum(axis=(1, 2)) + inked[name]).mean()
    assert max(areas.values()) / min(areas.values()) < 1.1
    for counts in inked.values():
        assert np.array_equal(counts, inked["circle"]), "a part of the face is cut off by an outline"


def test_pre_training_texts_have_no_topic():
    texts = [phrases.topic_free_text(generator(row), "english")[0] for row in range(300)]
    assert not any(text.startswith(tuple(f"{topic}:" for topic in phrases.NOUNS)) for text in texts)
    mixed = [sum(any(noun in text for noun, _ in nouns) for nouns in phrases.NOUNS.values()) for text in texts]
    assert np.mean(np.array(mixed) > 1) > 0.5
