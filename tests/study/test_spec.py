"""What a study file may say, and what it is refused for."""

from __future__ import annotations

import pickle

import pytest
import yaml

from evenhand import LoRA, Study
from evenhand.errors import InputError


def test_every_default_is_resolved_and_written_out(small_study):
    study = Study(**small_study)
    written = yaml.safe_load(study.to_yaml())
    setting = written["settings"]["main"]
    assert setting["split"] == {"test": 0.2, "validation": 0.1, "vary": True, "column": None, "seed": 0}
    assert setting["train"]["batch_size"] == 32
    assert setting["methods"]["lora"]["dropout"] == 0.0
    assert setting["seeds"] == [0, 1]
    assert Study(**written) == study


def test_a_study_that_is_parsed_copied_or_pickled_can_still_be_run(small_study):
    study = Study(**small_study)
    for again in (Study.parse(small_study, ""), study.model_copy(), pickle.loads(pickle.dumps(study))):
        assert type(again) is Study
        assert again == study


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
        ({"seeds": []}, "there are no seeds, so nothing is trained; set seeds to 1 or more"),
        ({"seeds": 0}, "there are no seeds"),
        ({"membership": 7}, "membership.models is 7; a pool needs an even number of models"),
        ({"membership": 6}, "lira needs a pool of 8"),
        ({"membership": {"models": 2, "attack": "rmia"}}, "rmia needs a pool of 4"),
        ({"membership": {"modls": 8}}, 'membership has no key "modls"; did you mean "models"'),
        ({"membership": {"design": "shadows", "mode": "online"}}, "membership: mode: separate shadows saw none"),
        ({"membership": {"design": "shadows", "models": 2}}, "lira needs 3 shadows per target"),
        ({"membership": {"design": "shadows", "groups": 2}}, "membership.groups belongs to a pool"),
        ({"membership": {"shadows": "lorra"}}, '"lorra" is not a method; did you mean "lora"'),
        ({"membership": 8, "match": "validation_loss"}, "models of a pool have no validation examples"),
        ({"membership": 8, "methods": {"base": {"kind": "base"}}, "reference": ()}, "no method trains anything"),
        ({"seeds": [1, 1]}, "seeds should all be different"),
        ({"seeds": [1, 1.0, "1"]}, "seeds should all be different, not "),
        ({"seeds": [True, 2]}, "a seed should be a whole number, not True"),
        ({"seeds": True}, "not True"),
        ({"seeds": [1.5]}, "seeds.0 should be a whole number, not 1.5"),
        ({"methods": {}}, "methods should be a mapping from names to methods"),
        ({"methods": {"a": None}}, "methods.a should be a mapping such as"),
        ({"methods": {"a": {"rank": 3}}}, "methods.a lacks the key kind"),
        ({"reference": "fulll"}, 'reference "fulll" is not a method; did you mean "full"'),
        ({"margins": {"accuracy": 0}}, "accuracy must be above 0"),
        ({"margins": {"accuracy": float("inf")}}, "margins.accuracy should be a finite number, not inf"),
        ({"margins": {"acuracy": 0.1}}, 'did you mean "accuracy"'),
        ({"margins": 0.02}, "margins should be a mapping by measure"),
        ({"measures": 3}, "measures should be the name of a measure or a list of names, not 3"),
        ({"split": {"test": 2}}, "split.test should be less than 1, not 2"),
        ({"split": 3}, "split should be a mapping of some of test, validation, .*, not 3"),
        ({"limit": True}, "limit should be a mapping of some of train, test, not True"),
        ({"evaluate": {"test": "synthetic/posts"}}, '"test" is the name of a part'),
        ({"evaluate": ["synthetic/posts", "synthetic/posts"]}, 'two test sets have the name "synthetic/posts"'),
        ({"evaluate": 3}, "evaluate should be a task, a list of tasks"),
        (
            {"settings": {"a": {"margins": {"default": 1}}}},
            "settings.a: margins belongs to the whole study",
        ),
        ({"settings": {"a": 3}}, "settings.a should be a mapping"),
        ({"keep": "all"}, "keep should be 'none', 'adapters' or 'weights', not 'all'"),
    ],
)
def test_what_cannot_be_used_is_refused(small_study, change, sentence):
    with pytest.raises(InputError, match=sentence):
        Study(**{**small_study, **change})


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("sedes", "seeds"),
        ("split.tset", "test"),
        ("limit.trian", "train"),
        ("train.batchsize", "batch_size"),
        ("methods.lora.rnk", "rank"),
        ("methods.lora.train.batchsize", "batch_size"),
    ],
)
@pytest.mark.parametrize("place", ["", "settings.here"])
def test_an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one(small_study, place, path, nearest):
    *inside, key = path.split(".")
    changed: dict = {"methods": {**small_study["methods"], "lora": {"kind": "lora"}}}
    place_of_key = changed
    for name in inside:
        place_of_key = place_of_key.setdefault(name, {})
    place_of_key[key] = 3
    study = {**small_study, **({"settings": {"here": changed}} if place else changed)}
    where = ".".join([place, *inside]).strip(".") or "the study"
    with pytest.raises(InputError) as caught:
        Study(**study)
    assert str(caught.value) == f'{where} has no key "{key}"; did you mean "{nearest}"?'


def test_a_task_says_which_of_its_options_there_are(small_study):
    wrong = {"name": "synthetic/posts", "size": 3}
    for change, place in [
        ({"task": wrong}, "task"),
        ({"evaluate": {"others": wrong}}, "evaluate.others: task"),
        ({"settings": {"here": {"task": wrong}}}, "settings.here.task"),
    ]:
        with pytest.raises(InputError, match=f'^{place} synthetic/posts has no key "size"; did you mean "sizes"'):
            Study(**{**small_study, **change})


def test_a_setting_with_another_kind_of_method_starts_that_method_afresh(small_study):
    other = {"methods": {"lora": {"kind": "head", "lr": 1e-2}}}
    study = Study(**small_study, settings={"as it was": {}, "other": other})
    assert study.settings["other"].methods["lora"]["kind"] == "head"
    assert study.settings["as it was"].methods["lora"]["rank"] == 4


def test_a_test_set_is_named_by_its_task_or_by_the_study(small_study):
    task = {"name": "synthetic/posts", "seed": 9}
    by_task = Study(**small_study, evaluate=[task]).settings["main"].evaluate
    by_study = Study(**small_study, evaluate={"others": task}).settings["main"].evaluate
    assert list(by_task) == ["synthetic/posts"] and list(by_study) == ["others"]
    assert by_task["synthetic/posts"] == by_study["others"]


def test_the_study_written_out_reads_back_as_the_same_study(small_study):
    small_study["methods"]["planted"] = {"kind": "lora", "data": {"noise": {"topic=food": 0.5}}, "train": {"warmup": 0}}
    settings = {"posts": {}, "faces": {"task": "synthetic/faces", "model": "tiny-vit", "limit": 40, "seeds": [7]}}
    study = Study(**small_study, settings=settings, evaluate=["synthetic/posts"], measures=["accuracy"], keep="none")
    assert Study(**yaml.safe_load(study.to_yaml())) == study
