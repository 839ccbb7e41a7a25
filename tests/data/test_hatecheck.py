"""Claims about HateCheck. No assertion here compares texts, so that none is ever printed."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evenhand import Study
from evenhand.data.dataset import Dataset
from evenhand.data.hatespeech import HateCheck
from evenhand.errors import InputError
from evenhand.study.plan import make_plan
from evenhand.study.tiny import shrink
from evenhand.tasks import parse_task

FILE = "test_suite_cases.csv"
IDENTITIES = ("Muslims", "black people", "disabled people", "gay people", "immigrants", "trans people", "women")


@pytest.fixture(scope="module")
def real() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data" / "hatecheck"
    if not folder.is_dir():
        pytest.skip(f"HateCheck is not at {folder}")
    return folder


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    """The made-up cases of `--tiny`."""
    folder = tmp_path_factory.mktemp("hatecheck")
    HateCheck().write_stand_in(folder)
    return folder


def sizes(data: Dataset, attribute: str = "identity") -> dict[str, int]:
    found = data.attributes[attribute]
    return dict(zip(found.groups, found.masks.sum(axis=0).tolist(), strict=True))


def test_all_3728_cases_are_there_with_their_published_numbers(real):
    data = HateCheck().load(real)
    assert len(data) == 3_728 and data.labels.sum() == 2_563 and data.classes == ("normal", "hateful")
    wanted = (484, 482, 484, 551, 463, 463, 509)
    assert sizes(data) == {**dict(zip(IDENTITIES, wanted, strict=True)), "none": 292}
    assert len(set(data.example)) == 3_728 and len(set(data.inputs)) == 3_728 and len(set(data.unit)) == 845
    assert any(note.startswith("292 cases mention no protected identity") for note in data.notes)


def test_matched_cases_are_the_same_templates_once_for_each_of_the_seven_identities(real):
    data = HateCheck(cases="matched").load(real)
    assert sizes(data) == dict.fromkeys(IDENTITIES, 421)
    assert set(Counter(data.unit.tolist()).values()) == {7}
    identity = data.attributes["identity"].masks
    for unit in set(data.unit):
        assert (identity[data.unit == unit].sum(axis=0) == 1).all()
    normal = data.labels == 0
    assert (identity[normal].sum(axis=0) == 96).all(), "false-positive rates rest on the same sentences"
    assert data.notes[0].startswith("2,947 of 3,728 cases are matched: 421 templates")
    assert data.notes[1].startswith("21 templates are left out that name an identity in several ways")


def test_the_cases_of_a_template_share_their_label(real):
    data = HateCheck().load(real)
    labels = {(unit, label) for unit, label in zip(data.unit, data.labels, strict=True)}
    assert len(labels) == len(set(data.unit))


def test_normal_cases_alone_are_asked_for_by_their_label(real):
    normal, hateful = (HateCheck(cases="matched", labels=label).load(real) for label in ("normal", "hateful"))
    assert sizes(normal) == dict.fromkeys(IDENTITIES, 96) and sizes(hateful) == dict.fromkeys(IDENTITIES, 325)
    assert set(normal.labels) == {0} and set(hateful.labels) == {1} and normal.classes == hateful.classes
    assert "only the 672 normal cases are used" in normal.notes


def test_functionality_is_an_attribute_for_who_asks(real):
    data = HateCheck(groups="functionality").load(real)
    assert list(data.attributes) == ["functionality"] and len(sizes(data, "functionality")) == 29
    both = parse_task({"name": "hatecheck", "groups": ["identity", "functionality"]})[1].load(real)
    assert list(both.attributes) == ["identity", "functionality"]
    masks, labels = both.attributes["functionality"].masks, both.labels
    assert all(len(set(labels[mask])) == 1 for mask in masks.T), "a functionality has one label only"


def test_the_stand_in_has_the_columns_and_the_oddities_of_the_real_file(stand_in, real):
    made, given = (pl.read_csv(folder / FILE, infer_schema=False) for folder in (stand_in, real))
    assert made.columns == given.columns
    for frame in (made, given):
        assert not (frame[""] == frame["case_id"]).all(), "the row number is no id"
        assert frame["target_ident"].null_count() and frame["ref_case_id"].null_count()
        per_template = frame.group_by("templ_id").len()["len"]
        assert set(per_template) >= {1, 7} and per_template.max() > 7
    assert set(made["functionality"]) <= set(given["functionality"])


def test_the_stand_in_is_read_by_the_real_loader_with_cases_of_every_kind(stand_in):
    everything, matched = HateCheck().load(stand_in), HateCheck(cases="matched").load(stand_in)
    assert len(sizes(everything)) == 8 and sizes(everything)["none"] == 20
    assert len(set(sizes(matched).values())) == 1 and len(sizes(matched)) == 7
    assert 0 < matched.labels.mean() < 1 and len(matched) < len(everything)


def test_the_stand_in_is_the_same_every_time(stand_in, tmp_path):
    HateCheck(cases="matched").write_stand_in(tmp_path / "again")
    assert (tmp_path / "again" / FILE).read_bytes() == (stand_in / FILE).read_bytes()


@pytest.fixture
def rows() -> list[dict[str, str]]:
    """Two templates for two identities, one template with an identity twice, one case of nobody."""
    cases = [
        ("1", "a", "hateful", "x", "1"),
        ("2", "b", "hateful", "y", "1"),
        ("3", "c", "non-hateful", "x", "2"),
        ("4", "d", "non-hateful", "y", "2"),
        ("5", "e", "hateful", "x", "3"),
        ("6", "f", "hateful", "x", "3"),
        ("7", "g", "hateful", "y", "3"),
        ("8", "h", "non-hateful", "", "4"),
    ]
    names = ("case_id", "test_case", "label_gold", "target_ident", "templ_id")
    return [{"functionality": "f", **dict(zip(names, case, strict=True))} for case in cases]


def written(folder: Path, rows: list[dict[str, str]]) -> Path:
    with (folder / FILE).open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        table.writeheader()
        table.writerows(rows)
    return folder


def test_ids_labels_units_and_groups_are_those_of_the_file(tmp_path, rows):
    data = HateCheck().load(written(tmp_path, rows))
    assert data.example.tolist() == list("12345678") and data.labels.tolist() == [1, 1, 0, 0, 1, 1, 1, 0]
    assert [unit.split()[-1] for unit in data.unit] == list("11223334")
    assert data.attributes["identity"].lists() == [["x"], ["y"], ["x"], ["y"], ["x"], ["x"], ["y"], ["none"]]


def test_a_template_that_names_an_identity_twice_is_not_matched(tmp_path, rows):
    data = HateCheck(cases="matched").load(written(tmp_path, rows))
    assert data.example.tolist() == list("1234") and "none" not in data.attributes["identity"].groups


@pytest.mark.parametrize(
    ("row", "changes", "sentence"),
    [
        (0, {"label_gold": "odd"}, 'a label "odd"; known: hateful, non-hateful'),
        (1, {"case_id": "1"}, "repeats a case_id"),
        (2, {"templ_id": ""}, "the column templ_id is empty in row 2"),
        (2, {"test_case": ""}, "the column test_case is empty in row 2"),
    ],
)
def test_a_file_that_reads_otherwise_is_refused_without_its_texts(tmp_path, rows, row, changes, sentence):
    rows[row] |= changes
    rows[3]["test_case"] = "SECRET"
    with pytest.raises(InputError, match=sentence) as caught:
        HateCheck().load(written(tmp_path, rows))
    assert "SECRET" not in str(caught.value)


def test_a_file_that_is_missing_empty_or_lacks_a_column_is_refused(tmp_path, rows):
    with pytest.raises(InputError, match="--data DIR must name a folder that holds hatecheck/"):
        HateCheck().load(None)
    with pytest.raises(InputError, match=f"{FILE} is missing"):
        HateCheck().load(tmp_path)
    (tmp_path / FILE).write_text(",".join(rows[0]) + "\n")
    with pytest.raises(InputError, match="has no rows"):
        HateCheck().load(tmp_path)
    without = [{key: value for key, value in row.items() if key != "templ_id"} for row in rows]
    with pytest.raises(InputError, match='no column "templ_id"; it should have functionality, case_id'):
        HateCheck().load(written(tmp_path, without))


def test_no_case_of_a_label_is_a_sentence(tmp_path, rows):
    with pytest.raises(InputError, match="has no normal cases that are left; use labels: all"):
        HateCheck(labels="normal").load(written(tmp_path, rows[4:7]))


def test_without_a_template_for_every_identity_nothing_is_matched(tmp_path, rows):
    with pytest.raises(InputError, match="no template with one case for each identity; use cases: all"):
        HateCheck(cases="matched").load(written(tmp_path, rows[4:]))


@pytest.mark.parametrize("options", [{}, {"cases": "matched"}, {"groups": ["functionality"]}, {"labels": "normal"}])
def test_the_options_written_out_read_back(options):
    name, spec = parse_task({"name": "hatecheck", **options})
    assert parse_task({"name": name, **spec.model_dump(mode="json")}) == (name, spec)


@pytest.mark.parametrize("options", [{"groups": []}, {"groups": "race"}, {"cases": "some"}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        parse_task({"name": "hatecheck", **options})


def study(**changes: object) -> Study:
    lora = {"kind": "lora", "rank": 4, "alpha": 8, "lr": 5e-3}
    values = {
        "task": "hatexplain",
        "model": "tiny-bert",
        "methods": {"full": {"kind": "full", "lr": 1e-3}, "lora": lora},
    }
    return Study(**{**values, "reference": "full", "seeds": 1, **changes})


def test_training_on_it_is_refused(tmp_path):
    small, data, _ = shrink(study(task="hatecheck"), tmp_path)
    with pytest.raises(InputError, match="hatecheck is made for testing, not for training; name it under evaluate:"):
        make_plan(small, data)


@pytest.mark.usefixtures("unreported")
def test_beside_hatexplain_it_is_tested_on_matched_cases_by_identity(tmp_path):
    tests = {"hatecheck": {"name": "hatecheck"}, "matched": {"name": "hatecheck", "cases": "matched"}}
    tests["normal"] = {**tests["matched"], "labels": "normal"}
    small, data, _ = shrink(
        study(evaluate=tests, seeds=1, measures=["accuracy", "false_positive_rate"]), tmp_path / "data"
    )
    results = small.run(tmp_path / "out", data)
    levels = results.estimates.filter(pl.col("comparison").is_null())
    rates = levels.filter(pl.col("group").is_not_null(), measure="false_positive_rate", seed=0)
    of_cases = rates.filter(pl.col("split") == "matched", pl.col("attribute") == "identity", method="full")
    assert len(of_cases) == 7 and of_cases["n"].n_unique() == 1 and np.isfinite(of_cases["value"].to_numpy()).all()
    assert set(rates.filter(pl.col("split") == "test")["attribute"]) == {"domain"}
    assert set(rates.filter(pl.col("split") == "hatecheck")["attribute"]) == {"identity"}
    accuracy = results.estimates.filter(pl.col("group").is_null(), measure="accuracy", split="matched", method="full")
    assert accuracy["value"].min() > 0.6, "what is learned of the made-up posts tells the made-up cases apart"
    # Of normal cases alone, the false-positive rate is judged as accuracy: the two are one number.
    normal = levels.filter(measure="accuracy", split="normal", seed=0, method="full")
    right = dict(normal.filter(pl.col("group").is_not_null()).select("group", "value").iter_rows())
    falsely = dict(of_cases.select("group", "value").iter_rows())
    assert right == pytest.approx({group: 1 - rate for group, rate in falsely.items()})
    judged = results.verdicts.filter(pl.col("group").is_not_null(), measure="accuracy", split="normal")
    assert set(judged["group"]) == set(falsely)
