"""The presets of attacks, reviews and translations against the values that the authors' released scripts name."""

from __future__ import annotations

import re

import pytest

from evenhand import Study
from evenhand.study.presets import FOLDER, list_presets, read_preset

SEEDS = (13, 1337, 42, 666, 888)
FEWER = SEEDS[:3]

ATTACKED = {
    # setting: epochs and rate of full fine-tuning, those of LoRA, LoRA's rank, epochs of its shadows
    ("fig4", "gender-swin"): ((6, 3e-6), (6, 1e-3), 16, 3),
    ("fig4", "gender-vit"): ((2, 3e-5), (5, 3e-4), 16, 3),
    ("fig5", "religion-llama"): ((2, 1e-5), (8, 3e-4), 8, 4),
    ("fig5", "religion-mistral"): ((2, 1e-5), (5, 3e-4), 8, 3),
}

ASKED = {
    # setting: model, ranks of LoRA; full fine-tuning always has 4 epochs at 3e-5, LoRA 12 at 1e-3, alpha is 16
    ("fig6", "llama"): ("meta-llama/Llama-2-7b-hf", {8}),
    ("fig6", "llama-chat"): ("meta-llama/Llama-2-7b-chat-hf", {8}),
    ("fig6", "mistral"): ("mistralai/Mistral-7B-v0.1", {256}),
    ("fig6", "mistral-instruct"): ("mistralai/Mistral-7B-Instruct-v0.2", {32, 64, 128, 256}),
    ("tableA", "llama"): ("meta-llama/Llama-2-7b-hf", {8}),
    ("tableA", "mistral"): ("mistralai/Mistral-7B-v0.1", {256}),
}

TRANSLATED = {
    # setting of figure 7, training lines: epochs and rate of full fine-tuning, those of LoRA
    ("mistral", "general"): ((1, 3e-6), (2, 1e-3)),
    ("mistral", "pro"): ((2, 3e-6), (3, 1e-3)),
    ("llama", "general"): ((2, 1e-5), (6, 3e-3)),
    ("llama", "pro"): ((4, 1e-5), (12, 3e-3)),
}


def setting_of(preset, name):
    return Study(**read_preset(f"paper/{preset}")).settings[name]


def trained(method):
    return method["epochs"], method["lr"]


def first_comment(preset):
    """The lines of comment with which a preset begins, as one text."""
    lines = (FOLDER / "paper" / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()
    end = next(place for place, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.lstrip("# ") for line in lines[:end])


@pytest.mark.parametrize(("preset", "name"), ATTACKED)
def test_targets_and_shadows_train_as_long_as_the_scripts_say(preset, name):
    full, lora, rank, shadows = ATTACKED[preset, name]
    for setting in (setting_of(preset, name), setting_of(preset, f"{name}-loss")):
        assert trained(setting.methods["full"]) == full and trained(setting.methods["lora"]) == lora
        assert (setting.methods["lora"]["rank"], setting.methods["lora"]["alpha"]) == (rank, 16)
        attack = setting.membership
        assert (attack.design, attack.shadows, attack.models, attack.epochs) == ("shadows", "lora", 16, shadows)
        assert setting.seeds == SEEDS


@pytest.mark.parametrize(("preset", "says"), [("fig4", "seeds, from 2044 to 101"), ("fig5", "step 304")])
def test_an_attack_says_first_where_it_differs_from_the_scripts(preset, says):
    assert says in first_comment(preset) and "nearest to full fine-tuning's" in first_comment(preset)
    assert setting_of(preset, next(name for each, name in ATTACKED if each == preset)).match.by == "train_loss"


@pytest.mark.parametrize(("preset", "name"), ASKED)
def test_models_of_reviews_are_trained_as_those_that_the_scripts_ask(preset, name):
    model, ranks = ASKED[preset, name]
    setting = setting_of(preset, name)
    assert setting.model == model and setting.train.blocks == 256 and setting.limit.train == 50_000
    assert trained(setting.methods["full"]) == (4, 3e-5)
    adapters = [method for method in setting.methods.values() if method["kind"] == "lora"]
    assert all(trained(method) == (12, 1e-3) and method["alpha"] == 16 for method in adapters)
    assert {method["rank"] for method in adapters} == ranks


def test_the_chat_model_of_mistral_is_called_lora_at_the_rank_of_the_papers_text():
    assert setting_of("fig6", "mistral-instruct").methods["lora"]["rank"] == 64


@pytest.mark.parametrize("preset", ["fig6", "tableA"])
def test_presets_of_reviews_say_first_that_the_paper_has_one_model_of_each_kind(preset):
    assert (
        "one model of each kind" in (FOLDER / "paper" / f"{preset}.yaml").read_text(encoding="utf-8").split("task:")[0]
    )


def test_the_balanced_design_of_tables_a2_to_a6_lacks_the_inverted_orders_of_three_alone():
    prompts = setting_of("tableA", "llama").prompts
    assert prompts is not None
    balanced, paper = (
        {str(prompt.name) for prompt in prompts.model_copy(update={"design": design}).asked(None)}
        for design in ("balanced", "paper")
    )
    assert {name.split("@")[0].split("/")[0] + "@" + name.split("@")[1][:3] for name in paper - balanced} == {
        "mc1@210",
        "mc3@102",
    }


@pytest.mark.parametrize(("name", "lines"), TRANSLATED)
def test_translators_are_trained_as_the_scripts_say(name, lines):
    full, lora = TRANSLATED[name, lines]
    setting = setting_of("fig7", name)
    assert setting.seeds == SEEDS
    assert trained(setting.methods[f"full_{lines}"]) == full and trained(setting.methods[f"lora_{lines}"]) == lora
    assert (setting.methods[f"lora_{lines}"]["rank"], setting.methods[f"lora_{lines}"]["alpha"]) == (8, 16)


@pytest.mark.parametrize("lines", ["general", "pro"])
def test_figure_9_trains_at_every_rank_as_figure_7_does(lines):
    full, lora = TRANSLATED["mistral", lines]
    setting = setting_of("fig9", lines)
    assert setting.seeds == FEWER and setting.model == "mistralai/Mistral-7B-v0.1"
    assert trained(setting.methods["full"]) == full
    adapters = [method for method in setting.methods.values() if method["kind"] == "lora"]
    assert {trained(method) for method in adapters} == {lora} and {method["alpha"] for method in adapters} == {16}
    assert [method["rank"] for method in adapters] == [2**power for power in range(13)]


@pytest.mark.parametrize("preset", [name.removeprefix("paper/") for name, _ in list_presets() if "/" in name])
def test_all_presets_share_the_split_and_the_recipe_of_the_scripts(preset):
    for setting in Study(**read_preset(f"paper/{preset}")).settings.values():
        train = setting.train
        assert (setting.split.test, setting.split.validation, setting.split.vary) == (0.2, 0, True)
        assert (train.batch_size, train.accumulate, train.schedule, train.warmup) == (32, 1, "cosine", 0.01)
        assert (train.weight_decay, train.precision, train.base_dropout) == (0.001, "bfloat16", 0)
        assert train.max_length == 256
        assert all(method.get("dropout", 0) == 0 for method in setting.methods.values())
        assert all(method.get("targets") is None for method in setting.methods.values())


def test_no_comment_of_a_preset_points_to_a_place_that_a_user_lacks():
    for path in sorted((FOLDER / "paper").glob("*.yaml")):
        assert not re.search(r"EXPERIMENTS|shared/", path.read_text(encoding="utf-8")), path.name
