"""Claims about HateXplain. No assertion here compares texts, so that none is ever printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evenhand.data.dataset import Dataset
from evenhand.data.hatespeech import HateXplain
from evenhand.data.splits import LimitSpec, SplitSpec, split
from evenhand.errors import InputError
from evenhand.tasks import parse_task


@pytest.fixture(scope="module")
def real() -> dict[str, Dataset]:
    folder = Path(__file__).parents[3] / "shared" / "data" / "hatexplain"
    if not folder.is_dir():
        pytest.skip(f"HateXplain is not at {folder}")
    return {groups: HateXplain(groups=groups).load(folder) for groups in ("domain", "targets")}


def sizes(data: Dataset) -> dict[str, int]:
    (attribute,) = data.attributes.values()
    return dict(zip(attribute.groups, attribute.masks.sum(axis=0).tolist(), strict=True))


def test_by_domain_every_post_has_one_community_or_is_in_the_group_none(real):
    data = real["domain"]
    assert len(data) == 20_148 and (data.labels == 0).sum() == 7_961 and data.classes == ("normal", "hateful")
    assert (data.attributes["domain"].masks.sum(axis=1) == 1).all()
    found = sizes(data)
    assert len(found) == 25
    wanted = {"none": 6796, "African": 2358, "Women": 1644, "Islam": 1531, "Jewish": 1418, "Asexual": 1}
    assert wanted.items() <= found.items()


def test_by_targets_only_listed_posts_are_used_and_their_communities_overlap(real):
    data = real["targets"]
    assert len(data) == 9_845 and (data.labels == 0).sum() == 5_124
    per_post = data.attributes["target"].masks.sum(axis=1)
    assert (per_post == 0).sum() == 4_639 and (per_post > 1).sum() == 1_339
    assert {"African": 1512, "Jewish": 969, "Women": 828, "Other": 576}.items() <= sizes(data).items()
    assert "None" not in sizes(data) and "none" not in sizes(data)


def test_listed_posts_are_half_normal_and_the_others_a_quarter_so_the_two_are_never_mixed(real):
    everything, listed = real["domain"], real["targets"]
    others = ~np.isin(everything.example, listed.example)
    assert others.sum() == 20_148 - 9_845
    assert (listed.labels == 0).mean() == pytest.approx(0.52, abs=0.005)
    assert (everything.labels[others] == 0).mean() == pytest.approx(0.28, abs=0.005)


def test_ids_name_the_same_post_under_both_kinds_of_groups(real):
    everything, listed = real["domain"], real["targets"]
    place = {example: position for position, example in enumerate(everything.example)}
    positions = np.array([place[example] for example in listed.example])
    assert (everything.labels[positions] == listed.labels).all()
    assert all(everything.inputs[int(p)] == text for p, text in zip(positions, listed.inputs, strict=True))


def test_posts_with_the_same_text_are_one_unit(real):
    data = real["domain"]
    assert len(set(data.unit)) == 20_109 == len(set(data.inputs))
    assert len({(unit, text) for unit, text in zip(data.unit, data.inputs, strict=True)}) == 20_109
    assert len(set(real["targets"].unit)) == 9_834


def test_the_notes_say_the_counts(real):
    assert "6,796" in real["domain"].notes[0] and "20,109 different texts" in real["domain"].notes[1]
    assert real["targets"].notes[0].startswith("9,845 of 20,148 posts")


def test_no_text_is_both_trained_on_and_tested_in_the_datas_own_split_neither(real):
    data = real["domain"]
    for spec in (SplitSpec(), SplitSpec(column=True)):
        found = split(data, spec, LimitSpec(), 0)
        texts = [{data.inputs[int(i)] for i in part} for part in (found.train, found.validation, found.test)]
        shared = len(texts[0] & texts[1]) + len(texts[0] & texts[2]) + len(texts[1] & texts[2])
        assert shared == 0
    assert len(found.test) == 1_924  # the official size


def test_communities_below_the_smallest_size_form_one_group_and_are_named(real, shared_data):
    before = sizes(real["domain"])
    data = HateXplain(smallest=200).load(shared_data / "hatexplain")
    large = {group: size for group, size in before.items() if size >= 200}
    assert len(large) == 13 and "none" in large
    assert sizes(data) == {**large, "smaller communities": sum(before.values()) - sum(large.values())}
    (note,) = [note for note in data.notes if "smaller communities" in note]
    assert "Asexual (1)" in note and all(f"{group} ({before[group]})" in note for group in before.keys() - large.keys())


@pytest.mark.parametrize("spec", [SplitSpec(), SplitSpec(column=True)])
@pytest.mark.parametrize("groups", ["domain", "targets"])
def test_the_smallest_size_does_not_change_what_a_limit_draws(real, shared_data, groups, spec):
    merged = HateXplain(groups=groups, smallest=200).load(shared_data / "hatexplain")
    for seed in range(3):
        drawn = [split(data, spec, LimitSpec(train=3000, test=500), seed) for data in (real[groups], merged)]
        assert (drawn[0].train == drawn[1].train).all() and (drawn[0].test == drawn[1].test).all()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Seven posts in the files' own format, one text three times, with two labels."""
    posts = [
        ("one", "train", "normal", "None"),
        ("two", "train", "hatespeech", "Women"),
        ("two", "train", "offensive", "Men"),
        ("two", "train", "offensive", "Asian"),
        ("three", "val", "offensive", "Islam"),
        ("four", "test", "normal", "Jewish"),
        ("five", "test", "hatespeech", "None"),
    ]
    rows = [dict(zip(("text", "split", "label", "domain"), post, strict=True)) for post in posts]
    (tmp_path / "hate_dataset.json").write_text(json.dumps(rows))
    listed = {
        "train": [("one", "normal", ["None"]), ("two", "offensive", ["Men", "Asian", "Men"])],
        "val": [("three", "offensive", ["Islam", "None"])],
        "test": [("four", "normal", [])],
    }
    for part, lines in listed.items():
        posts = [{"sentence": text, "gold_label": label, "uid": 1, "target": names} for text, label, names in lines]
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(post) + "\n" for post in posts))
    return tmp_path


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    """The made-up posts of `--tiny`."""
    folder = tmp_path_factory.mktemp("hatexplain")
    HateXplain().write_stand_in(folder)
    return folder


def test_the_stand_in_is_read_by_the_real_loader_and_has_groups_of_every_kind(stand_in):
    everything, listed = HateXplain().load(stand_in), HateXplain(groups="targets").load(stand_in)
    found = sizes(everything)
    assert len(found) == 6 and found["none"] > 200 and min(found.values()) == 2
    assert 0.35 < len(listed) / len(everything) < 0.6, "some posts are missing from the jsonl files"
    assert (listed.labels == 0).mean() > (everything.labels == 0).mean() + 0.05
    per_post = listed.attributes["target"].masks.sum(axis=1)
    assert (per_post == 0).any() and (per_post > 1).any()
    assert set(everything.split) == {"train", "validation", "test"}


def test_the_stand_in_has_the_oddities_of_the_real_files(stand_in):
    rows = json.loads((stand_in / "hate_dataset.json").read_text())
    by_text: dict[str, list] = {}
    for row in rows:
        by_text.setdefault(row["text"], []).append(row)
    copies = [same for same in by_text.values() if len(same) > 1]
    assert any(len({row["label"] for row in same}) > 1 for same in copies)
    assert any(len({row["split"] for row in same}) > 1 for same in copies)
    targets = [
        json.loads(line)["target"]
        for part in ("train", "val", "test")
        for line in (stand_in / f"{part}.jsonl").read_text().splitlines()
    ]
    assert any(names == [] for names in targets) and any(len(set(names)) < len(names) for names in targets)
    assert any("None" in names and len(set(names)) > 1 for names in targets)


def test_the_stand_in_has_the_keys_of_the_real_files(stand_in, shared_data):
    def keys(folder: Path) -> list[set[str]]:
        with (folder / "test.jsonl").open(encoding="utf-8") as lines:
            return [set(json.loads((folder / "hate_dataset.json").read_text())[0]), set(json.loads(next(lines)))]

    assert keys(stand_in) == keys(shared_data / "hatexplain")


def test_the_stand_in_is_the_same_every_time(stand_in, tmp_path):
    HateXplain(groups="targets").write_stand_in(tmp_path / "again")
    for name in ("hate_dataset.json", "train.jsonl", "val.jsonl", "test.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (stand_in / name).read_bytes()


def test_a_listed_post_is_found_by_text_label_and_split(folder):
    data = HateXplain(groups="targets").load(folder)
    assert data.example.tolist() == ["0", "2", "4", "5"]
    assert data.attributes["target"].lists() == [[], ["Asian", "Men"], ["Islam"], []]
    assert data.split.tolist() == ["train", "train", "validation", "test"]


def test_what_counts_as_hateful_is_an_option(folder):
    assert HateXplain().load(folder).labels.tolist() == [0, 1, 1, 1, 1, 0, 1]
    narrow = parse_task({"name": "hatexplain", "hateful": "hatespeech"})[1]
    assert narrow.load(folder).labels.tolist() == [0, 1, 0, 0, 0, 0, 1]


def test_units_are_texts_and_ids_are_rows(folder):
    data = HateXplain().load(folder)
    assert data.unit.tolist() == ["0", "1", "1", "1", "4", "5", "6"] and data.example.tolist() == list("0123456")


def test_merged_communities_hold_a_post_of_several_once_and_leave_no_community_alone(folder):
    domains = HateXplain(smallest=5).load(folder).attributes["domain"]
    assert domains.groups == ("none", "smaller communities") and (domains.masks.sum(axis=1) == 1).all()
    targets = HateXplain(groups="targets", smallest=2).load(folder).attributes["target"]
    assert targets.lists() == [[], ["smaller communities"], ["smaller communities"], []]


def test_a_limit_draws_the_same_posts_of_the_stand_in_whatever_is_merged(stand_in):
    drawn = [
        split(HateXplain(smallest=smallest).load(stand_in), SplitSpec(), LimitSpec(train=300), 4).train
        for smallest in (0, 60, 1000)
    ]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] == drawn[2]).all()


@pytest.mark.parametrize("options", [{}, {"groups": "targets"}, {"hateful": "hatespeech"}, {"smallest": 200}])
def test_the_options_written_out_read_back(options):
    name, spec = parse_task({"name": "hatexplain", **options})
    assert parse_task({"name": name, **spec.model_dump(mode="json")}) == (name, spec)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"group": "domain"}, 'did you mean "groups"'),
        ({"groups": "race"}, "'domain' or 'targets'"),
        ({"smallest": -1}, "smallest should be greater than or equal to 0"),
        ({"hateful": "offensive"}, r"hateful is hatespeech, or \[hatespeech, offensive\]"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_task({"name": "hatexplain", **options})


def test_without_data_the_folder_to_give_is_named(tmp_path):
    for folder in (None, tmp_path / "hatexplain"):
        with pytest.raises(InputError, match="--data DIR must name a folder that holds hatexplain/"):
            HateXplain().load(folder)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("hate_dataset.json", None, "hate_dataset.json is missing"),
        ("hate_dataset.json", "{", "is not JSON"),
        ("hate_dataset.json", '[{"text": "a"}]', "each with text, split, label, domain"),
        ("hate_dataset.json", '[{"text": "a", "split": "train", "label": "odd", "domain": "x"}]', 'a label "odd"'),
        ("val.jsonl", None, "val.jsonl is missing"),
        ("val.jsonl", "\n{}\n", "line 2 of .*val.jsonl should be JSON with sentence"),
        (
            "val.jsonl",
            '{"sentence": "SECRET", "gold_label": "normal", "target": []}',
            r"line 1 of .* is not in hate_dataset.json",
        ),
    ],
)
def test_files_that_read_otherwise_are_refused_without_their_texts(folder, name, text, sentence):
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        HateXplain(groups="targets").load(folder)
    assert "SECRET" not in str(caught.value)
