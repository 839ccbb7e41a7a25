"""A study file and the changes that `--set` makes to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.study_file import read_study_file

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def file(tmp_path, small_study):
    path = tmp_path / "study.yaml"

    def write(**changes):
        path.write_text(yaml.safe_dump({**small_study, **changes}))
        return path

    return write


def test_changes_reach_any_key(file):
    path = file(task="synthetic/posts")
    values = read_study_file(path, ["seeds=[5, 6]", "train.batch_size=8", "task.n=123", "methods.lora.rank=2"])
    setting = Study(**values).settings["main"]
    assert setting.seeds == (5, 6) and setting.train.batch_size == 8
    assert setting.task["n"] == 123 and setting.methods["lora"]["rank"] == 2


def test_a_change_of_one_setting_leaves_the_others(file):
    path = file(settings={"a": {}, "b": {"seeds": 4}})
    study = Study(**read_study_file(path, ["settings.a.seeds=3", "settings.b.methods.lora.rank=2"]))
    assert [len(setting.seeds) for setting in study.settings.values()] == [3, 4]
    assert [setting.methods["lora"]["rank"] for setting in study.settings.values()] == [4, 2]


def test_a_change_for_all_settings_reaches_those_that_say_otherwise(file):
    path = file(settings={"a": {}, "b": {"seeds": 4, "train": {"batch_size": 16}}})
    study = Study(**read_study_file(path, ["seeds=[7]", "train.batch_size=8", "methods.lora.rank=2"]))
    for setting in study.settings.values():
        assert setting.seeds == (7,) and setting.train.batch_size == 8 and setting.methods["lora"]["rank"] == 2


def test_a_change_reaches_a_study_that_was_written_out(tmp_path, small_study):
    methods = {"full": {"kind": "full"}, "head": {"kind": "head"}}
    settings = {"a": {}, "b": {"methods": methods}}
    path = tmp_path / "study.yaml"
    path.write_text(Study(**small_study, settings=settings).to_yaml())
    study = Study(
        **read_study_file(path, ["seeds=1", "methods.head.epochs=9", "margins.default=0.2", "measures=[accuracy]"])
    )
    assert [setting.seeds for setting in study.settings.values()] == [(0,), (0,)]
    assert "head" not in study.settings["a"].methods and study.settings["b"].methods["head"]["epochs"] == 9
    assert study.margins == {"default": 0.2} and study.measures == ("accuracy",)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("seeds", "--set takes KEY=VALUE, .*, not 'seeds'"),
        ("=3", "--set takes KEY=VALUE"),
        ("train..batch_size=3", "--set takes KEY=VALUE"),
        ("seeds=[1, 2", r"--set seeds: \[1, 2 is not a YAML value"),
        ("seeds.first=3", "--set seeds.first: seeds is not a mapping but 2"),
        ("measures.0=accuracy", r"--set measures.0: measures is not a mapping but \['accuracy'\]"),
        ("settings.faecs.seeds=3", 'there is no setting "faecs"; did you mean "faces"'),
        ("tran.batch_size=3", 'no key "tran"; did you mean "train"'),
        ("train.batchsize=3", '^train has no key "batchsize"; did you mean "batch_size"'),
        ("settings.faces.split.tset=0.3", 'settings.faces.split has no key "tset"; did you mean "test"'),
        ("methods.lroa.rank=3", "methods.lroa lacks the key kind"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(file, change, sentence):
    path = file(
        settings={"posts": {}, "faces": {"task": "synthetic/faces", "model": "tiny-vit"}}, measures=["accuracy"]
    )
    with pytest.raises(InputError, match=sentence):
        Study(**read_study_file(path, [change]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model: a\nmodel: b\n", '"model" is written twice'),
        ("train: {warmup: 0, warmup: 0.1}", '"warmup" is written twice'),
        ("- task", "should hold a mapping with the keys task, model and methods"),
        ("", "should hold a mapping"),
        ("task: [", "is not a YAML file"),
    ],
)
def test_a_file_that_holds_no_study_is_refused_by_name(tmp_path, text, sentence):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        read_study_file(path)
    assert "s.yaml" in str(caught.value)


def test_a_key_that_is_no_word_is_an_unknown_key(file, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("3: x\n")
    with pytest.raises(InputError, match='no key "3"'):
        Study(**read_study_file(path))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_study(path):
    study = Study(**read_study_file(path))
    assert study.settings and all(setting.reference for setting in study.settings.values())


STUDY = """task: {name: synthetic/posts, n: 300}
model: tiny-bert
methods:
  full: {kind: full, lr: 1.0e-3, epochs: 1}
  lora: {kind: lora, rank: 4}
reference: full
seeds: 2
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kind: full", "kind: [full]"),
        ("kind: full", "kind: {a: 1}"),
        ("kind: full", "kind: 3"),
        ("lr: 1.0e-3", "lr: .nan"),
        ("lr: 1.0e-3", "lr: .inf"),
        ("lr: 1.0e-3", "lr: 1" + "0" * 400),
        ("epochs: 1", "epochs: 1:30"),
        ("rank: 4", "rank: 1" + "0" * 30),
        ("n: 300", "n: 1" + "0" * 30),
        ("lora:", "yes:"),
        ("lora:", "null:"),
        ("seeds: 2", "seeds: 2024-01-01"),
        ("seeds: 2", "seeds: two"),
        ("seeds: 2", f"seeds: {2**70}"),
        ("seeds: 2", f"seeds: {10**30}"),
        ("seeds: 2", f"seeds: [{2**70}]"),
        ("seeds: 2", "seeds: [[1], [1]]"),
        ("seeds: 2", "seeds: [-1]"),
        ("seeds: 2", "seeds: 1:30"),
        ("seeds: 2", "seeds: " + "9" * 6000),
        ("seeds: 2", 'seeds: !!int "abc"'),
        ("seeds: 2", 'seeds: !!float "abc"'),
        ("seeds: 2", 'seeds: !!timestamp "abc"'),
        ("seeds: 2", 'seeds: !!python/object/apply:os.system ["echo"]'),
        ("seeds: 2", "seeds: 2\n? [a, b]\n: 1"),
        ("seeds: 2", "seeds: 2\n? {a: b}\n: 1"),
        ("seeds: 2", "seeds: 2\nself: 1"),
        ("seeds: 2", "seeds: 2\nx: " + "[" * 3000 + "]" * 3000),
        ("seeds: 2", "seeds: 2\nx: " + "{a: " * 3000 + "}" * 3000),
        ("seeds: 2", "seeds: 2\nx: &x [*x]"),
        ("seeds: 2", "seeds: 2\nmargins: {default: 1" + "0" * 400 + "}"),
    ],
)
def test_what_yaml_can_hold_and_a_study_cannot_is_refused_in_one_sentence(tmp_path, old, new):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace(old, new))
    with pytest.raises(InputError) as refused:
        Study(**read_study_file(path))
    sentence = str(refused.value).replace(str(path), "study.yaml")
    assert "\n" not in sentence and len(sentence) <= 300


def test_numbers_are_read_as_they_are_meant(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace("1.0e-3", "1e-3").replace("lora:", "0o17:").replace("rank: 4", "rank: 0x10"))
    methods = Study(**read_study_file(path)).settings["main"].methods
    assert methods["full"]["lr"] == 0.001
    assert methods["0o17"]["rank"] == 16
