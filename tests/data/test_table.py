from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evenhand.data.dataset import Dataset
from evenhand.errors import InputError
from evenhand.tasks import parse_task

N = 12
FRAME = pl.DataFrame(
    {
        "text": [f"text {i}" for i in range(N)],
        "y": [0, 1] * 6,
        "word": ["ham", "spam"] * 6,
        "kind": ["c", "a", "b"] * 4,
        "sex": ["f", "m", None] * 4,
        "age": [20.0, float("nan"), 30.0] * 4,
        "is_tall": [True, False, None] * 4,
        "is_old": [False, True, None] * 4,
        "pair": [i // 2 for i in range(N)],
        "id": [f"id{i}" for i in range(N)],
        "part": ["train", "dev", "test"] * 4,
        "w": [0.5, 1.5] * 6,
        "nobody": pl.Series([None] * N, dtype=pl.String),
        "half": [0.5, 1.0] * 6,
        "one": [1] * N,
    }
)
LISTS = pl.Series("religions", [["x", "y"], ["y"], [], None] * 3)


@pytest.fixture
def folder(tmp_path) -> Path:
    FRAME.write_csv(tmp_path / "t.csv")
    FRAME.write_csv(tmp_path / "t.tsv", separator="\t")
    FRAME.with_columns(LISTS).write_parquet(tmp_path / "t.parquet")
    FRAME.with_columns(LISTS, pl.col("age").fill_nan(None)).write_ndjson(tmp_path / "t.jsonl")
    return tmp_path


def load(below: Path | None = None, **options) -> Dataset:
    _, spec = parse_task({"name": "table", **({"text": "text", "label": "y"} | options)})
    return spec.load(below)


def sizes(data: Dataset, attribute: str) -> dict[str, int]:
    found = data.attributes[attribute]
    return dict(zip(found.groups, found.masks.sum(axis=0).tolist(), strict=True))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.jsonl"])
def test_every_format_gives_the_same_examples(folder, name):
    data = load(path=str(folder / name), groups=["sex", "age", "tall=is_tall"], example="id", unit="pair", weight="w")
    assert (data.name, data.modality, data.classes, len(data)) == (name, "text", ("0", "1"), N)
    assert data.inputs[3] == "text 3" and data.labels.tolist() == [0, 1] * 6
    assert sizes(data, "sex") == {"(missing)": 4, "f": 4, "m": 4}
    assert sizes(data, "age") == {"(missing)": 4, "20": 4, "30": 4}
    assert sizes(data, "tall") == {"(missing)": 4, "false": 4, "true": 4}
    assert data.example[:2].tolist() == ["id0", "id1"] and data.unit[:3].tolist() == ["0", "0", "1"]
    assert data.weight.tolist() == [0.5, 1.5] * 6 and data.split is None


def test_a_relative_path_is_looked_for_below_the_data_folder_first(folder, tmp_path_factory, monkeypatch):
    here = tmp_path_factory.mktemp("here")
    FRAME.head(6).write_csv(here / "t.csv")
    monkeypatch.chdir(here)
    assert len(load(folder, path="t.csv")) == N and len(load(None, path="t.csv")) == 6
    (folder / "t.csv").unlink()
    assert len(load(folder, path="t.csv")) == 6


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_a_column_of_lists_gives_groups_that_overlap(folder, name):
    data = load(path=str(folder / name), groups="religions")
    assert sizes(data, "religions") == {"(missing)": 3, "x": 3, "y": 6}
    assert data.attributes["religions"].lists()[:4] == [["x", "y"], ["y"], [], ["(missing)"]]


def test_a_pattern_of_columns_gives_groups_that_overlap(folder):
    data = load(path=str(folder / "t.csv"), groups="looks=is_*")
    assert sizes(data, "looks") == {"(missing)": 4, "old": 4, "tall": 4}


@pytest.mark.parametrize("true", [1, "True", "TRUE", "1", 1.0])
def test_a_pattern_reads_every_way_of_writing_true(tmp_path, true):
    false = {1: 0, "True": "False", "TRUE": "FALSE", "1": "0"}[true]
    FRAME.select("text", "y").with_columns(
        r_a=pl.Series([true, false] * 6), r_b=pl.Series([true, true, false] * 4)
    ).write_parquet(tmp_path / "t.parquet")
    assert sizes(load(path=str(tmp_path / "t.parquet"), groups="r=r_*"), "r") == {"a": 6, "b": 8}


def test_the_positive_class_comes_second(folder):
    path = str(folder / "t.csv")
    assert load(path=path, label="word", positive="ham").classes == ("spam", "ham")
    assert load(path=path, label="word", positive="ham").labels.tolist() == [1, 0] * 6
    assert load(path=path, positive=0).classes == ("1", "0")
    assert load(path=path, label="kind").classes == ("a", "b", "c")


@pytest.mark.parametrize("labels", [[True, False], ["True", "False"], ["true", "false"], [1.0, 0.0], [1, -1]])
def test_plain_pairs_need_no_positive(tmp_path, labels):
    FRAME.select("text").with_columns(y=pl.Series(labels * 6)).write_parquet(tmp_path / "t.parquet")
    assert load(path=str(tmp_path / "t.parquet")).labels.tolist() == [1, 0] * 6
    if isinstance(labels[0], bool | str):
        assert load(path=str(tmp_path / "t.parquet"), positive=False).labels.tolist() == [0, 1] * 6


def test_many_number_labels_keep_their_order(tmp_path):
    FRAME.select("text").with_columns(y=pl.Series([10, 9, 2] * 4)).write_csv(tmp_path / "t.csv")
    assert load(path=str(tmp_path / "t.csv")).classes == ("2", "9", "10")


def test_a_split_column_is_the_datas_own_split(folder):
    data = load(path=str(folder / "t.csv"), split_column="part")
    assert data.split[:3].tolist() == ["train", "validation", "test"]


def test_repeated_texts_without_a_unit_are_noted(tmp_path):
    FRAME.with_columns(text=pl.lit("same")).write_csv(tmp_path / "t.csv")
    assert "11 rows repeat a text" in load(path=str(tmp_path / "t.csv")).notes[0]
    assert load(path=str(tmp_path / "t.csv"), unit="pair").notes == ()


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return [np.full((4, 5, 3), 20 * i, dtype=np.uint8) for i in range(4)]


def test_images_are_files_beside_the_table_read_on_access(tmp_path, pictures):
    from PIL import Image

    (tmp_path / "faces").mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "faces" / f"{i}.png")
    frame = pl.DataFrame({"file": [f"faces/{i}.png" for i in range(4)], "y": [0, 1, 0, 1]})
    frame.write_csv(tmp_path / "t.csv")
    data = load(path=str(tmp_path / "t.csv"), text=None, image="file")
    assert data.modality == "image" and all((np.asarray(data.inputs[i]) == pictures[i]).all() for i in range(4))
    part = data.take(np.array([3, 1]))
    (tmp_path / "faces" / "1.png").write_text("no image")
    assert (np.asarray(part.inputs[0]) == pictures[3]).all()
    with pytest.raises(InputError, match=r"1.png cannot be read as an image"):
        np.asarray(part.inputs[1])
    (tmp_path / "faces" / "2.png").unlink()
    with pytest.raises(InputError, match=r"1 of 4 image files are missing, the first is .*2.png"):
        load(path=str(tmp_path / "t.csv"), text=None, image="file")


def test_gray_and_transparent_images_become_rgb_and_turned_ones_upright(tmp_path):
    from PIL import Image

    from evenhand.data.images import decode

    Image.fromarray(np.full((4, 6), 9, dtype=np.uint8)).save(tmp_path / "gray.png")
    Image.fromarray(np.full((4, 6, 4), 9, dtype=np.uint8)).save(tmp_path / "clear.png")
    turned = Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    shapes = [decode(tmp_path / f"{name}.png").shape for name in ("gray", "clear", "turned")]
    assert shapes == [(4, 6, 3), (4, 6, 3), (6, 4, 3)]


def test_a_hugging_face_data_set_on_disk_is_read_with_its_splits_and_class_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    features = datasets.Features({"text": datasets.Value("string"), "y": datasets.ClassLabel(names=["neg", "pos"])})
    train, test = (
        datasets.Dataset.from_dict({"text": [f"{name} {i}" for i in range(n)], "y": [0, 1] * (n // 2)}, features)
        for name, n in (("a", 6), ("b", 4))
    )
    datasets.DatasetDict({"train": train, "test": test}).save_to_disk(tmp_path / "d")
    data = load(tmp_path, path="d", positive="pos", split_column="split")
    assert data.classes == ("neg", "pos") and data.labels.tolist() == [0, 1] * 5
    assert data.split.tolist() == ["train"] * 6 + ["test"] * 4 and data.inputs[6] == "b 0"


@pytest.mark.parametrize("saved", ["folder", "parquet"])
def test_images_in_a_hugging_face_data_set_are_read_on_access(tmp_path, pictures, saved):
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    datasets.disable_progress_bars()
    features = datasets.Features({"face": datasets.Image(), "y": datasets.Value("int64")})
    data = datasets.Dataset.from_dict({"face": [Image.fromarray(p) for p in pictures], "y": [0, 1, 0, 1]}, features)
    path = tmp_path / ("d" if saved == "folder" else "d.parquet")
    (data.save_to_disk if saved == "folder" else data.to_parquet)(path)
    loaded = load(path=str(path), text=None, image="face")
    assert all((image == picture).all() for image, picture in zip(loaded.inputs, pictures, strict=True))
    assert (loaded.take(np.array([2])).inputs[0] == pictures[2]).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": "u.csv"}, r"there is no file .*u.csv"),
        ({"path": "t.xyz"}, r"there is no file"),
        ({"text": "txt"}, r't.csv has no column "txt" for text:; did you mean "text"'),
        ({"label": "lable"}, r'no column "lable" for label:'),
        ({"label": "one"}, r'"one" is "1" in every row; two or more'),
        ({"label": "half"}, "holds fractions, not categories"),
        ({"label": "nobody"}, r'"nobody" \(label:\) is empty in 12 of 12 rows'),
        ({"label": "word"}, r'classes "ham" and "spam"; say which is the positive one, such as positive: spam'),
        ({"label": "word", "positive": "spma"}, r'is never "spma" \(positive:\); did you mean "spam"'),
        ({"label": "kind", "positive": "a"}, "has 3 classes; positive: is for two"),
        ({"groups": ["sexx"]}, r'no column "sexx" for groups:; did you mean "sex"'),
        ({"groups": ["nobody"]}, r'the group column "nobody" is empty in every row'),
        ({"groups": ["looks=iz_*"]}, r'no column like "iz_\*"'),
        ({"groups": ["looks=se*"]}, r'"sex" says "f" in row 0; .* true or false'),
        ({"groups": ["is=is_nothing*"]}, "no column like"),
        ({"groups": ["sex", "sex=kind"]}, '"sex" is named twice'),
        ({"example": "sex"}, r'"sex" \(example:\) is empty in 4 of 12 rows, first in row 2'),
        ({"example": "kind"}, "repeats an id in 9 rows"),
        ({"unit": "sex"}, r'"sex" \(unit:\) is empty'),
        ({"weight": "kind"}, r"\(weight:\) holds String, not numbers"),
        ({"weight": "pair"}, r"must hold finite numbers above 0"),
        ({"weight": "y"}, "is named as label: and as weight:"),
        ({"text": "y"}, "is named as label: and as text:"),
        ({"groups": ["sex", "kind=y"]}, "is named as label: and as groups:"),
        ({"split_column": "kind"}, r't.csv: kind says "c" in row 0'),
        ({"image": "text"}, "either text: COLUMN or image: COLUMN"),
        ({"text": None}, "either text: COLUMN or image: COLUMN"),
        ({"text": None, "image": "text"}, r"t.csv: text: 12 of 12 image files are missing"),
        ({"lable": "y"}, 'task table has no key "lable"; did you mean "label"'),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(folder, options, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        load(folder, **{"path": "t.csv", **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl", "t.txt"])
def test_files_that_are_no_tables_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"" if name == "t.csv" else b"no table")
    with pytest.raises(InputError, match=r"cannot be read|its format is unknown"):
        load(path=str(tmp_path / name))


def test_a_table_without_rows_is_refused(tmp_path):
    FRAME.head(0).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="has no rows"):
        load(path=str(tmp_path / "t.parquet"))


def test_a_folder_that_is_no_data_set_is_refused(tmp_path):
    pytest.importorskip("datasets")
    with pytest.raises(InputError, match="cannot be read as a Hugging Face data set"):
        load(path=str(tmp_path))


def test_the_options_written_out_read_back():
    name, spec = parse_task({"name": "table", "path": "t.csv", "text": "a", "label": "b", "groups": "g", "positive": 1})
    assert parse_task({"name": name, **spec.model_dump(mode="json")}) == (name, spec)


def test_the_fixture_of_measuring_hate_speech_reads_by_patterns(shared_data):
    """Group sizes of 99 rows, as counted from the file; a fixture for loaders, about which nothing is claimed."""
    data = load(
        path=str(shared_data / "dlab" / "smaller_file.csv"),
        label="target_race",
        groups=["race=target_race_*", "religion=target_religion_*"],
        unit="comment_id",
    )
    assert len(data) == 99 and data.classes == ("false", "true") and data.labels.sum() == 31
    assert sizes(data, "religion") == {"christian": 3, "jewish": 1, "mormon": 2, "muslim": 6, "other": 3}
    assert sizes(data, "race")["black"] == 15 and data.attributes["race"].masks.sum(axis=1).max() > 1
