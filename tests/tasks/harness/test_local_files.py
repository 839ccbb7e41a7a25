"""Documents of benchmarks on this machine: a cache for each folder, their number, and the layouts that are read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

from evenhand.errors import InputError
from evenhand.tasks.harness import stand_ins
from evenhand.tasks.harness.loading import load_benchmarks
from evenhand.tasks.harness.local_files import check_counts, local_source

pytest.importorskip("lm_eval")

FORMS = ("anti-stereotype", "stereotype", "unrelated", "related")

CHOICE = """\
task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: capitals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: label
doc_to_choice: options
metric_list: [{metric: acc}]
metadata: {version: 1.0}
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch) -> None:
    """Caches lie where the tests' own files do."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    """Made-up documents of every benchmark as the hub keeps them."""
    folder = tmp_path_factory.mktemp("hub")
    stand_ins.write_stand_ins(folder)
    return folder


def write_repositories(hub: Path, folder: Path) -> None:
    """Write the same documents as the authors of the benchmarks publish theirs."""
    pairs = folder / "crows_pairs"
    pairs.mkdir()
    frame = pl.read_parquet(hub / "crows_pairs_multilingual" / "english" / "test-00000-of-00001.parquet")
    named = frame.select(pl.col("id").alias(""), "sent_more", "sent_less", "stereo_antistereo", "bias_type")
    named.with_columns(annotations=pl.lit("[['gender']]"), anon_writer=pl.lit("a0")).write_csv(
        pairs / "crows_pairs_anonymized.csv"
    )
    sentences = folder / "winogender-schemas" / "data"
    sentences.mkdir(parents=True)
    frame = pl.read_csv(hub / "winogender" / "test.tsv", separator="\t")
    frame.select("sentid", "sentence").write_csv(sentences / "all_sentences.tsv", separator="\t")
    questions = folder / "BBQ" / "data"
    questions.mkdir(parents=True)
    for line in (hub / "bbq" / "data" / "All.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        row["additional_metadata"]["label_type"] = "not in the hub's columns"
        with (questions / f"{row['category']}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    stereoset = folder / "StereoSet" / "data"
    stereoset.mkdir(parents=True)
    parts = {}
    for name in ("intrasentence", "intersentence"):
        rows = pl.read_parquet(hub / "stereoset" / name / "validation-00000-of-00001.parquet").to_dicts()
        for row in rows:
            said = row["sentences"]
            columns = (said[key] for key in ("sentence", "id", "labels", "gold_label"))
            row["sentences"] = [
                {
                    "sentence": text,
                    "id": key,
                    "labels": [
                        {"label": FORMS[label], "human_id": who}
                        for label, who in zip(votes["label"], votes["human_id"], strict=True)
                    ],
                    "gold_label": FORMS[gold],
                }
                for text, key, votes, gold in zip(*columns, strict=True)
            ]
        parts[name] = rows
    (stereoset / "dev.json").write_text(json.dumps({"version": "1.0", "data": parts}), encoding="utf-8")


@pytest.mark.parametrize("name", ["crows_pairs_english", "winogender_all", "winogender_female", "bbq", "stereoset"])
def test_a_repositorys_files_are_read_as_the_hubs(name, hub, tmp_path):
    write_repositories(hub, tmp_path)
    here, there = (load_benchmarks((name,), below=folder) for folder in (tmp_path, hub))
    if name == "bbq":  # in the order of the files' names
        texts = [
            sorted(json.dumps(document, sort_keys=True) for document in loaded.tasks[name].eval_docs)
            for loaded in (here, there)
        ]
        assert texts[0] == texts[1]
    else:
        assert here.fingerprint == there.fingerprint  # which is that of all documents, in order
    assert here.notes == there.notes


@pytest.mark.slow
def test_the_authors_own_files(shared_data):
    if not all((shared_data / name).is_dir() for name in ("crows_pairs", "winogender")):
        pytest.skip("the authors' files are not there")
    benchmarks = load_benchmarks(("crows_pairs_english", "winogender_all"), below=shared_data)
    numbers = {name: len(task.eval_docs) for name, task in benchmarks.tasks.items()}
    assert numbers == {"crows_pairs_english": 1508, "winogender_all": 720}


@pytest.mark.slow
def test_folders_of_one_name_are_read_apart_side_by_side(hub, tmp_path):
    folders = [tmp_path / name for name in "ab"]
    file = Path("bbq") / "data" / "All.jsonl"
    for folder in folders:
        shutil.copytree(hub / "bbq", folder / "bbq")
    lines = (folders[0] / file).read_text(encoding="utf-8").splitlines()
    (folders[0] / file).write_text("".join(f"{line}\n" for line in [*lines, *lines] * 4), encoding="utf-8")
    code = "import sys\nfrom pathlib import Path\nfrom evenhand.tasks.harness.loading import load_benchmarks\n"
    code += (
        "for _ in range(2):\n    print(len(load_benchmarks(('bbq',), below=Path(sys.argv[1])).tasks['bbq'].eval_docs))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    readers = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], env=environment, stdout=subprocess.PIPE, text=True)
        for folder in folders
    ]
    numbers = [reader.communicate(timeout=200)[0].split() for reader in readers]
    assert numbers == [[str(8 * len(lines))] * 2, [str(len(lines))] * 2]
    assert not list((tmp_path / "cache").rglob("*.arrow")) and not list(tmp_path.glob("evenhand-documents-*"))


def test_other_numbers_than_those_of_the_files_are_refused(hub, tmp_path):
    shutil.copytree(hub / "bbq", tmp_path / "bbq")
    file = tmp_path / "bbq" / "data" / "All.jsonl"
    file.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:40]), encoding="utf-8")
    task = load_benchmarks(("bbq",), below=hub).tasks["bbq"]
    settings = {"dataset_path": "oskarvanderwal/bbq"}
    check_counts(task, local_source("oskarvanderwal/bbq", settings, hub, None))
    task.config.dataset_path = str(tmp_path / "bbq")
    with pytest.raises(ValueError, match="96 documents of the split test were read, and the files have 40"):
        check_counts(task, local_source("oskarvanderwal/bbq", settings, tmp_path, None))


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_files_of_every_kind_are_counted(ending, tmp_path):
    rows = [{"question": f"Is it,\n{number}?", "options": "no", "label": 0} for number in range(30)]
    file = tmp_path / f"capitals.{ending}"
    if ending.startswith("json"):
        text = "\n".join(map(json.dumps, rows)) + "\n\n" if ending == "jsonl" else json.dumps(rows)
        file.write_text(text, encoding="utf-8")
    else:
        getattr(pl.DataFrame(rows), f"write_{ending}")(file)
    text = CHOICE.replace("capitals.jsonl", file.name).replace("json\n", f"{ending.removesuffix('l')}\n", 1)
    (tmp_path / "capitals.yaml").write_text(text.replace("doc_to_choice: options", "doc_to_choice: ['no', 'yes']"))
    task = load_benchmarks(("capitals",), include=tmp_path).tasks["capitals"]
    assert len(task.eval_docs) == 30
    kind = ending.removesuffix("l")
    source = local_source(kind, {"dataset_kwargs": {"data_files": {"test": file.name}}}, None, tmp_path)
    check_counts(task, source)
    extra = tmp_path / "copies"
    extra.mkdir()
    shutil.copy(file, extra / file.name)
    both = {"data_files": {"test": [str(file), str(extra / file.name)]}}
    with pytest.raises(ValueError, match="30 documents of the split test were read, and the files have 60"):
        check_counts(task, local_source(kind, {"dataset_kwargs": both}, None, tmp_path))


def test_a_tasks_files_lie_beside_it_or_in_the_data_folder(tmp_path):
    rows = "".join(json.dumps({"question": f"{n}?", "options": ["a", "b"], "label": 1}) + "\n" for n in range(3))
    tasks, data = tmp_path / "tasks", tmp_path / "data"
    tasks.mkdir()
    data.mkdir()
    (tasks / "capitals.yaml").write_text(CHOICE, encoding="utf-8")
    (data / "capitals.jsonl").write_text(rows, encoding="utf-8")
    below = load_benchmarks(("capitals",), include=tasks, below=data)
    (data / "capitals.jsonl").rename(tasks / "capitals.jsonl")
    beside = load_benchmarks(("capitals",), include=tasks, below=data)
    assert len(beside.tasks["capitals"].eval_docs) == 3 and beside.fingerprint == below.fingerprint
    assert beside.tasks["capitals"].config.dataset_kwargs == {"data_files": {"test": "capitals.jsonl"}}


@pytest.mark.parametrize(
    ("files", "task", "said"),
    [
        (
            {"bbq/notes/": ""},
            "bbq",
            "it has no files; it should hold those of oskarvanderwal/bbq on the hub, or *.jsonl",
        ),
        ({"crows_pairs/crows_pairs_anonymized.csv": ",sent_more\n"}, "crows_pairs_english", "it has no documents"),
        (
            {"crows_pairs/crows_pairs_anonymized.csv": ",sent_more\n0,He waits.\n"},
            "crows_pairs_english",
            "crows_pairs_anonymized.csv is not as in the repository of the benchmark: there is no 'sent_less'",
        ),
        ({"winogender/all_sentences.tsv": "sentid\tsentence\n"}, "winogender_all", "it has no documents"),
        ({"BBQ/Age.jsonl": "\n"}, "bbq", "it has no documents"),
        ({"stereoset/dev.json": '{"data": {"intrasentence": []}}'}, "stereoset_intrasentence", "it has no documents"),
        ({"bbq/data/All.jsonl": "", "bbq/README.md": "---\nconfigs: []\n---\n"}, "bbq", "cannot be loaded"),
    ],
)
def test_a_folder_without_documents_is_refused_in_a_sentence(files, task, said, tmp_path):
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            file.mkdir()
        else:
            file.write_text(text, encoding="utf-8")
    before = set(Path(tempfile.gettempdir()).glob("evenhand-documents-*"))
    with pytest.raises(InputError) as refused:
        load_benchmarks((task,), below=tmp_path)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert set(Path(tempfile.gettempdir()).glob("evenhand-documents-*")) <= before
