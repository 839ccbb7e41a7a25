"""The studies that come with the package, and finding a study by file or by name."""

from __future__ import annotations

import re

import pytest

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.presets import FOLDER, find_study, list_presets, read_preset

NAMES = [name for name, _ in list_presets()]


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_a_study_that_says_what_it_asks(name):
    study = Study(**read_preset(name))
    assert all(setting.reference for setting in study.settings.values()), "nothing would be compared"
    assert len(dict(list_presets())[name]) > 20


@pytest.mark.parametrize("name", NAMES)
def test_no_preset_points_outside_the_package(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    assert not re.search(r"(^|[\s:\[{'\"])(/|~|\.\.?/)\w", text)


def test_the_demo_plants_a_harm_in_one_group():
    methods = Study(**read_preset("demo")).settings["main"].methods
    assert [name for name, method in methods.items() if method["data"]] == ["planted"]
    planted, lora = methods["planted"], methods["lora"]
    assert {**planted, "data": {}} == {**lora, "data": {}}, "the noise is the only difference"


PAPER = {
    # preset and setting: target, model, LoRA's rank, epochs and rate of full fine-tuning, those of LoRA
    ("fig1", "age-vit"): ("age", "vit-base-patch16-224-in21k", 16, (3, 1e-4), (3, 1e-3)),
    ("fig1", "age-swin"): ("age", "swinv2-large-patch4-window12-192-22k", 16, (2, 1e-4), (8, 3e-4)),
    ("fig1", "gender-vit"): ("gender", "vit-base-patch16-224-in21k", 16, (2, 3e-5), (2, 3e-4)),
    ("fig1", "gender-swin"): ("gender", "swinv2-large-patch4-window12-192-22k", 16, (6, 3e-6), (2, 1e-3)),
    ("fig2", "religion-llama"): ("religion", "Llama-2-7b-hf", 8, (2, 1e-5), (6, 3e-4)),
    ("fig2", "religion-mistral"): ("religion", "Mistral-7B-v0.1", 8, (2, 1e-5), (4, 3e-4)),
    ("dlab", "gender-llama"): ("gender", "Llama-2-7b-hf", 8, (1, 1e-5), (2, 3e-4)),
    ("dlab", "race-llama"): ("race", "Llama-2-7b-hf", 8, (1, 1e-5), (6, 3e-4)),
    ("dlab", "sexuality-llama"): ("sexuality", "Llama-2-7b-hf", 8, (1, 1e-5), (4, 1e-4)),
    ("dlab", "gender-mistral"): ("gender", "Mistral-7B-v0.1", 8, (4, 1e-5), (2, 3e-4)),
    ("dlab", "race-mistral"): ("race", "Mistral-7B-v0.1", 8, (4, 5e-5), (4, 1e-4)),
    ("dlab", "sexuality-mistral"): ("sexuality", "Mistral-7B-v0.1", 8, (3, 1e-5), (12, 1e-4)),
}
"""What the paper's scripts say."""


@pytest.mark.parametrize(("preset", "setting"), PAPER)
def test_a_preset_of_the_paper_has_the_papers_hyperparameters(preset, setting):
    target, model, rank, full, lora = PAPER[preset, setting]
    found = Study(**read_preset(f"paper/{preset}")).settings[setting]
    assert found.task["target"] == target and found.model.rpartition("/")[2] == model
    assert set(found.methods) == {"full", "lora"} and found.reference == ("full",)
    for name, values in (("full", full), ("lora", lora)):
        assert (found.methods[name]["kind"], found.methods[name]["epochs"], found.methods[name]["lr"]) == (
            name,
            *values,
        )
    adapter = found.methods["lora"]
    assert (adapter["rank"], adapter["alpha"], adapter["dropout"], adapter["targets"]) == (rank, 16, 0, None)


@pytest.mark.parametrize("preset", ["fig1", "fig2", "fig3", "fig8", "dlab"])
def test_the_presets_of_the_paper_share_its_split_seeds_and_recipe(preset):
    study = Study(**read_preset(f"paper/{preset}"))
    for setting in study.settings.values():
        assert setting.seeds == (13, 1337, 42, 666, 888)
        assert (setting.split.test, setting.split.validation, setting.split.vary) == (0.2, 0, True)
        train = setting.train
        assert (train.batch_size, train.schedule, train.warmup, train.weight_decay) == (32, "cosine", 0.01, 0.001)
        assert train.precision == "bfloat16" and train.accumulate == 1 and train.base_dropout == 0
        assert train.augment == ("flip" if setting.task["name"] == "utkface" else None)
    assert study.margins["default"] <= 0.03 and [figure.name for figure in study.figure] == [preset]


def test_the_dlab_presets_hold_each_subset_once_and_figure_3_is_made_of_settings_of_figures_1_and_2():
    assert len(PAPER) == sum(len(Study(**read_preset(f"paper/{name}")).settings) for name in ("fig1", "fig2", "dlab"))
    third = Study(**read_preset("paper/fig3")).settings
    for preset, setting in (("fig2", "religion-llama"), ("fig1", "gender-swin")):
        assert third[setting] == Study(**read_preset(f"paper/{preset}")).settings[setting]


def test_figure_8_goes_from_the_head_alone_to_rank_768_and_holds_the_scale_as_the_authors_did():
    (setting,) = Study(**read_preset("paper/fig8")).settings.values()
    assert setting.methods["full"]["lr"] == 3e-5 and all(one["epochs"] == 2 for one in setting.methods.values())
    others = {name: one for name, one in setting.methods.items() if name != "full"}
    assert all(one["lr"] == 3e-4 for one in others.values())
    whole = sorted(rank.rank for rank in setting.ranks().values() if rank.layers is None)
    assert whole == [0, *(2**power for power in range(10)), 768]
    shares = {(rank.rank, rank.layers) for rank in setting.ranks().values() if rank.layers is not None}
    assert shares == {(share, which) for share in (0.25, 0.5, 0.75) for which in ("front", "back", "random")}
    assert {one["alpha"] for one in others.values() if "alpha" in one} == {16}
    assert (
        setting.methods["r16"].items()
        >= Study(**read_preset("paper/fig1")).settings["gender-vit"].methods["lora"].items()
    )


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"setting": "faces"}, 'figure: there is no setting "faces"; known: gender-vit'),
        ({"measures": ["selection_rate"]}, "figure: it shows selection_rate, which is not among the study's measures"),
    ],
)
def test_a_figure_of_what_the_study_lacks_is_refused_before_anything_is_trained(changed, sentence):
    values = read_preset("paper/fig8")
    values["figure"]["panels"][0] |= changed
    with pytest.raises(InputError, match=re.escape(sentence)):
        Study(**values)


def test_a_file_is_found_before_a_preset_and_named_by_its_stem(tmp_path, monkeypatch):
    (tmp_path / "demo.yaml").write_text("model: mine")
    monkeypatch.chdir(tmp_path)
    assert find_study("demo.yaml") == ({"model": "mine"}, "demo")
    values, name = find_study("demo", ["seeds=2"])
    assert name == "demo" and values["seeds"] == 2 and values["model"] != "mine"


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ("dmeo", 'there is no preset "dmeo"; did you mean "demo"'),
        ("none.yaml", "there is no study file none.yaml"),
        ("study.txt", "study.txt does not end in .yaml"),
    ],
)
def test_what_is_neither_a_study_file_nor_a_preset_is_refused(tmp_path, monkeypatch, study, sentence):
    (tmp_path / "study.txt").write_text("model: mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(sentence)):
        find_study(study)
