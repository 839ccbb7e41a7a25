"""What a study file may say, and what it is refused for."""

from __future__ import annotations

import pytest
import yaml

from evenhand import LoRA, Study
from evenhand.errors import InputError
from evenhand.study.spec import read


def test_every_default_is_resolved_and_written_out(small_study):
    study = Study(**small_study)
    written = yaml.safe_load(study.to_yaml())
    setting = written["settings"]["main"]
    assert setting["split"] == {"test": 0.2, "validation": 0.1, "vary": True, "column": None, "seed": 0}
    assert setting["train"]["batch_size"] == 32
    assert setting["methods"]["lora"]["dropout"] == 0.0
    assert setting["seeds"] == [0, 1]
    assert Study(**written) == study


def test_settings_are_laid_over_the_top_level(small_study):
    methods = {"full": {"kind": "full", "lr": 1e-4}, "lora": {"kind": "lora", "rank": 4}}
    study = Study(
        **{**small_study, "methods": methods},
        settings={
            "posts": {"seeds": [3]},
            "faces": {"task": "synthetic/faces", "model": "tiny-vit", "methods": {"lora": {"epochs": 7}}},
        },
    )
    posts, faces = study.settings["posts"], study.settings["faces"]
    assert posts.seeds == (3,) and faces.seeds == (0, 1)
    assert posts.task["n"] == 300 and faces.task["name"] == "synthetic/faces"
    assert faces.methods["lora"]["rank"] == 4 and faces.methods["lora"]["epochs"] == 7
    assert faces.methods["full"]["lr"] == 1e-4


def test_python_and_yaml_say_the_same(small_study):
    small_study["methods"]["lora"] = LoRA(rank=4, alpha=8, lr=5e-3, epochs=1)
    assert Study(**small_study).settings["main"].methods["lora"]["kind"] == "lora"


def test_numbers_that_yaml_reads_as_text_are_numbers(small_study):
    small_study["methods"]["full"]["lr"] = "3e-5"
    assert Study(**small_study).settings["main"].methods["full"]["lr"] == 3e-5


def test_a_method_overrides_train_and_data(small_study):
    small_study["train"] = {"batch_size": 8}
    small_study["methods"]["lora"] |= {"train": {"batch_size": 4}, "data": {"noise": {"topic=a": 0.5}}}
    setting = Study(**small_study).settings["main"]
    assert setting.training("lora").batch_size == 4 and setting.training("full").batch_size == 8
    assert setting.alterations("lora") == {"noise": {"topic=a": 0.5}} and setting.alterations("full") == {}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sedes": 3}, 'no key "sedes"; did you mean "seeds"'),
        ({"seeds": 0}, "one or more different seeds"),
        ({"seeds": [1, 1]}, "one or more different seeds"),
        ({"seeds": True}, "not True"),
        ({"methods": {}}, "methods"),
        ({"methods": {"a": {"rank": 3}}}, "kind"),
        ({"methods": {"a": {"kind": "full", "train": {"batch": 3}}}, "reference": "a"}, "batch"),
        ({"reference": "fulll"}, 'did you mean "full"'),
        ({"margins": {"accuracy": 0}}, "accuracy must be above 0"),
        ({"margins": {"acuracy": 0.1}}, 'did you mean "accuracy"'),
        ({"split": {"tset": 0.2}}, "tset"),
        ({"evaluate": {"test": "synthetic/posts"}}, '"test" is the name of a part'),
        ({"settings": {"a": {"margins": {"default": 1}}}}, "margins"),
        ({"task": {"name": "synthetic/posts", "m": 3}}, "m"),
    ],
)
def test_what_cannot_be_used_is_refused(small_study, change, sentence):
    with pytest.raises(InputError, match=sentence):
        Study(**{**small_study, **change})


def test_changes_reach_any_key(tmp_path, small_study):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**small_study, "task": "synthetic/posts"}))
    values = read(path, ["seeds=[5, 6]", "train.batch_size=8", "task.n=123", "methods.lora.rank=2"])
    setting = Study(**values).settings["main"]
    assert setting.seeds == (5, 6) and setting.train.batch_size == 8
    assert setting.task["n"] == 123 and setting.methods["lora"]["rank"] == 2
    with pytest.raises(InputError, match="KEY=VALUE"):
        read(path, ["seeds"])


def test_a_key_that_is_written_twice_is_refused(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("model: a\nmodel: b\n")
    with pytest.raises(InputError, match='"model" is written twice'):
        read(path)
