"""Claims about D-Lab. No assertion here compares texts, so that none is ever printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from data.hub import serving
from evenhand import Study
from evenhand.data.dataset import Dataset
from evenhand.data.hatespeech import DLab
from evenhand.data.hatespeech.dlab import GROUPS, HUB
from evenhand.errors import InputError
from evenhand.study.tiny import shrink
from evenhand.tasks import parse_task

NAME = "measuring_hate_speech.csv"


@pytest.fixture(scope="module")
def real() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data" / "dlab"
    if not folder.is_dir():
        pytest.skip(f"the rows of D-Lab are not at {folder}")
    return folder


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    """The made-up posts of `--tiny`."""
    folder = tmp_path_factory.mktemp("dlab")
    DLab().write_stand_in(folder)
    return folder


def sizes(data: Dataset, attribute: str) -> dict[str, int]:
    found = data.attributes[attribute]
    return dict(zip(found.groups, found.masks.sum(axis=0).tolist(), strict=True))


def row(text: str, score: object = 1.0, **targets: object) -> dict[str, object]:
    """A row of the table; `christian=True` is a target of religion."""
    columns = [
        f"target_{subset}{group}" for subset in GROUPS for group in ("", *(f"_{name}" for name in GROUPS[subset]))
    ]
    marked = {f"target_religion_{name}": value for name, value in targets.items()}
    marked["target_religion"] = any(targets.values())
    return {"text": text, "hate_speech_score": score, **dict.fromkeys(columns, False), **marked}


def loaded(folder: Path, rows: list[dict[str, object]], **options: object) -> Dataset:
    pl.DataFrame(rows, strict=False).write_parquet(folder / "rows.parquet")
    return DLab(**{"target": "religion", **options}).load(folder)


def test_of_several_annotations_of_a_text_the_first_one_counts_with_its_targets(tmp_path):
    rows = [row("a", 1.0, hindu=True), row("b", 1.0), row("a", 1.0, muslim=True), row("b", 1.0, jewish=True)]
    data = loaded(tmp_path, [*rows, row("c", 0.0, other=True)])
    assert data.example.tolist() == ["0", "4"], "the text b has no religion in its first annotation"
    assert data.attributes["religion"].lists() == [["hindu"], ["other"]]
    assert data.notes[0] == "5 annotations of 3 different texts; of each the first annotation is kept"


def test_a_score_above_the_threshold_is_hateful_and_the_threshold_itself_is_not(tmp_path):
    rows = [row(text, score, hindu=True) for text, score in (("a", 0.5), ("b", 0.51), ("c", -2.0), ("d", 1.2))]
    assert loaded(tmp_path, rows).labels.tolist() == [0, 1, 0, 1]
    assert loaded(tmp_path, rows, threshold=-3).labels.tolist() == [1, 1, 1, 1]


def test_a_text_can_be_in_several_groups_or_in_none(tmp_path):
    data = loaded(
        tmp_path, [row("a", hindu=True, muslim=True), {**row("b"), "target_religion": True}, row("c", hindu=True)]
    )
    assert data.attributes["religion"].lists() == [["hindu", "muslim"], [], ["hindu"]]
    assert "religion: in several groups: 1 texts, in none: 1" in data.notes


def test_all_keeps_every_text_with_the_attributes_of_every_subset(real):
    data = DLab().load(real)
    assert len(data) == 99 and list(data.attributes) == list(GROUPS) and data.classes == ("normal", "hateful")
    assert data.labels.sum() == 21


@pytest.mark.parametrize(
    ("target", "size"), [("gender", 33), ("race", 31), ("religion", 13), ("sexuality", 18), ("age", 1)]
)
def test_a_subset_keeps_the_texts_with_that_target(real, target, size):
    data = parse_task(f"dlab/{target}")[1].load(real)
    assert len(data) == size and list(data.attributes) == [target]
    assert set(sizes(data, target)) <= set(GROUPS[target])


def test_a_size_unlike_the_papers_is_said_and_the_papers_own_too(tmp_path):
    rows = [row(str(number), float(number % 2), hindu=True) for number in range(6_081)]
    assert "texts with the target religion: 6,081, as in the paper" in loaded(tmp_path, rows).notes
    assert "texts with the target religion: 6,080, not 6,081 as in the paper" in loaded(tmp_path, rows[:-1]).notes


def test_the_stand_in_has_the_columns_of_the_real_table(stand_in, real):
    made, given = (pl.read_csv(path, infer_schema=False) for path in (stand_in / NAME, real / "smaller_file.csv"))
    assert made.columns == given.columns and len(made.columns) == 131
    assert set(made["target_religion"]) == set(given["target_religion"]) == {"true", "false"}


def test_the_stand_in_has_the_oddities_of_the_real_table(stand_in):
    frame = pl.read_csv(stand_in / NAME, infer_schema=False)
    per_text = frame.group_by("text").agg(pl.len(), pl.col("comment_id", "target_religion").n_unique())
    assert per_text["len"].max() >= 3 and per_text["comment_id"].max() > 1
    assert per_text["target_religion"].max() == 2, "annotators of a text differ about its targets"
    assert frame["text"].str.contains('"').any() and frame["text"].str.contains("\n").any()


@pytest.mark.parametrize("target", [*GROUPS, "all"])
def test_the_stand_in_is_read_by_the_real_loader_in_every_subset(stand_in, target):
    data = DLab(target=target).load(stand_in)
    assert len(data) > 100 and 0.2 < data.labels.mean() < 0.6
    assert all(set(sizes(data, name)) == set(GROUPS[name]) for name in data.attributes)
    assert any(attribute.masks.sum(axis=1).max() > 1 for attribute in data.attributes.values())
    assert len(set(data.inputs)) == len(data) == len(set(data.example))


def test_the_stand_in_is_the_same_every_time(stand_in, tmp_path):
    DLab(target="race").write_stand_in(tmp_path)
    assert (tmp_path / NAME).read_bytes() == (stand_in / NAME).read_bytes()


@pytest.mark.parametrize("true", ["true", "True", "1", 1, 1.0, True])
def test_every_way_of_writing_true_is_read_and_every_kind_of_file(tmp_path, true):
    false = (
        {"true": "false", "True": "False", "1": "0"}.get(true, type(true)(0))
        if isinstance(true, str)
        else type(true)(0)
    )
    rows = [row("a", hindu=True), row("b", 0.0, muslim=True), row("c")]
    rows = [
        {name: {True: true, False: false}[value] if isinstance(value, bool) else value for name, value in each.items()}
        for each in rows
    ]
    frame = pl.DataFrame(rows)
    (tmp_path / "csv").mkdir()
    frame.write_csv(tmp_path / "csv" / "rows.csv")
    (tmp_path / "parquet").mkdir()
    frame.write_parquet(tmp_path / "parquet" / "rows.parquet")
    for kind in ("csv", "parquet"):
        data = DLab(target="religion").load(tmp_path / kind)
        assert sizes(data, "religion") == {"hindu": 1, "muslim": 1} and data.labels.tolist() == [1, 0]


def test_a_folder_of_the_hub_is_read_as_the_hub_has_it(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    (tmp_path / "dlab" / "data").mkdir(parents=True)
    pl.read_csv(stand_in / NAME).write_parquet(tmp_path / "dlab" / "data" / "train-00000-of-00001.parquet")
    data, same = DLab(target="race").load(tmp_path / "dlab"), DLab(target="race").load(stand_in)
    assert data.example.tolist() == same.example.tolist() and (data.labels == same.labels).all()


LOAD = """
import json
from evenhand.data.hatespeech import DLab
from evenhand.errors import InputError
try:
    data = DLab(target="religion").load(None)
except InputError as error:
    print(json.dumps({"refused": str(error)}))
else:
    print(json.dumps({"ids": data.example.tolist(), "labels": data.labels.tolist()}))
"""


def from_hub(folder: Path, home: Path, name: str = HUB) -> dict:
    """What a process of its own finds on a hub with this folder: the library reads once where its hub is."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    with serving(name, folder) as url:
        environment = {**kept, "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        process = subprocess.run(
            [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.strip().splitlines()[-1])


def test_without_a_folder_the_hubs_table_is_read(stand_in, tmp_path):
    (tmp_path / "hub" / "data").mkdir(parents=True)
    pl.read_csv(stand_in / NAME).write_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet")
    same = DLab(target="religion").load(stand_in)
    found = from_hub(tmp_path / "hub", tmp_path / "home")
    assert found == {"ids": same.example.tolist(), "labels": same.labels.tolist()}


def test_a_hub_without_the_data_set_or_with_other_columns_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "hub").mkdir()
    pl.DataFrame({"text": ["a"], "label": [1]}).write_parquet(tmp_path / "hub" / "train.parquet")
    refused = from_hub(tmp_path / "hub", tmp_path / "home")["refused"]
    assert (
        'ucberkeley-dlab/measuring-hate-speech has no column "hate_speech_score"; it should have text, hate' in refused
    )
    refused = from_hub(tmp_path / "hub", tmp_path / "other", "org/name")["refused"]
    assert "cannot be read as a Hugging Face data set" in refused
    assert refused.endswith("its table can also lie in DIR/dlab, with --data DIR")


def test_no_text_of_the_subset_is_a_sentence(tmp_path):
    with pytest.raises(
        InputError, match="no text has target_religion true in its first annotation, so nothing is left"
    ):
        loaded(tmp_path, [row("a"), row("b"), row("a", hindu=True)])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hate_speech_score": None}, "the column hate_speech_score is not a number in 1 of 2 rows, first in row 1"),
        ({"hate_speech_score": float("nan")}, "hate_speech_score is not a number"),
        ({"target_religion_hindu": None}, "the column target_religion_hindu is neither true nor false in row 1"),
        ({"target_religion": None}, "the column target_religion is neither true nor false in row 1"),
        ({"text": None}, "the column text is empty in row 1"),
    ],
)
def test_a_table_that_reads_otherwise_is_refused_without_its_texts(tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        loaded(tmp_path, [row("SECRET", hindu=True), {**row("SECRET too", hindu=True), **changes}])
    assert "SECRET" not in str(caught.value)


def test_a_folder_without_or_with_several_tables_or_a_file_that_is_none_is_refused(tmp_path, stand_in):
    with pytest.raises(InputError, match="--data DIR must name a folder that holds dlab/"):
        DLab(path="rows.csv").load(None)
    with pytest.raises(InputError, match=r"rows\.parquet is missing"):
        DLab(path="rows.parquet").load(tmp_path)
    (tmp_path / "rows.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"rows\.parquet cannot be read as Parquet"):
        DLab().load(tmp_path)
    (tmp_path / "rows.csv").write_bytes((stand_in / NAME).read_bytes())
    with pytest.raises(InputError, match=r"holds several tables \(rows.csv, rows.parquet\); name one as path:"):
        DLab().load(tmp_path)
    assert len(DLab(path="rows.csv").load(tmp_path)) > 100


@pytest.mark.parametrize("options", [{}, {"target": "race"}, {"threshold": 1, "path": "rows.csv"}])
def test_the_options_written_out_read_back(options):
    name, spec = parse_task({"name": "dlab", **options})
    assert parse_task({"name": name, **spec.model_dump(mode="json")}) == (name, spec)


def test_a_subset_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="target should be 'gender', 'race', 'religion'"):
        parse_task("dlab/origin")


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_a_study_of_it_can_be_learned_by_the_tiny_model(tmp_path):
    methods = {"full": {"kind": "full", "lr": 1e-3}, "head": {"kind": "head", "lr": 3e-2}}
    study = Study(
        task="dlab/religion", model="tiny-bert", methods=methods, reference="full", seeds=1, measures=["accuracy"]
    )
    small, data, said = shrink(study, tmp_path / "data")
    results = small.run(tmp_path / "out", data)
    accuracy = results.estimates.filter(pl.col("group").is_null(), measure="accuracy", method="full", split="test")
    assert accuracy["value"].min() > 0.65 and any("stand in for dlab" in line for line in said)
    assert set(GROUPS["religion"]) >= set(results.estimates["group"].drop_nulls())
