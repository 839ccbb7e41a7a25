"""Trials of supervised fine-tuning, from the study to verdicts on held-out pairs by group."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from evenhand import Study
from evenhand.errors import InputError
from evenhand.models.find import find_model
from evenhand.study.plan import make_plan
from evenhand.study.store import Store

STUDY = {
    "task": {"name": "synthetic/instructions", "n": 80},
    "model": "tiny-llama",
    "methods": {
        "base": {"kind": "base"},
        "full": {"kind": "full", "lr": 3e-3, "epochs": 4},
        "lora": {"kind": "lora", "rank": 4, "lr": 1e-2, "epochs": 2, "dropout": 0},
    },
    "reference": ["base", "full"],
    "seeds": 1,
    "split": {"test": 0.4, "validation": 0.1, "vary": False},
    "margins": {"default": 0.05, "response_loss": 0.1, "exact_match": 0.1},
    "keep": "weights",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sft")
    return Study(**STUDY).run(folder), folder


def test_each_held_out_pair_has_a_loss_and_a_match(ran):
    results, _ = ran
    values = results.values
    assert set(values["name"]) == {"response_loss", "exact_match"} and set(values["split"]) == {"test"}
    per = values.group_by("trial", "name").len()
    assert set(per["len"]) == {32} and len(per) == 6
    assert set(values.filter(name="exact_match")["value"]) <= {0.0, 1.0}


def test_training_lowers_the_loss_and_verdicts_are_by_group(ran):
    results, _ = ran
    rows = results.estimates.filter(pl.col("group").is_null(), pl.col("seed").is_null(), measure="response_loss")
    mean = dict(rows.filter(pl.col("comparison").is_null()).select("method", "value").iter_rows())
    assert mean["full"] < mean["base"] - 1
    groups = set(results.verdicts.filter(measure="response_loss")["group"])
    assert {None, "food", "travel", "music", "garden"} <= groups
    assert set(results.verdicts["measure"]) == {"response_loss", "exact_match"}


def test_values_are_measured_again_from_kept_weights(ran, tmp_path):
    results, folder = ran
    plan, store = make_plan(Study(**STUDY), None), Store(folder)
    trial = next(trial for trial in plan.trials if trial.method == "lora")
    path = store.folder(trial.hash) / "values.parquet"
    before = pl.read_parquet(path)
    path.unlink()
    again = Study(**STUDY).run(folder)
    assert pl.read_parquet(path).equals(before) and again.verdicts.equals(results.verdicts)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny-llama", "tiny-mistral"])
def test_virtual_tokens_learn_conversations_and_are_measured_again_from_kept_weights(model, tmp_path):
    kinds = {"prefix": 0.1, "prompt": 0.1, "p_tuning": 0.01}
    methods = {kind: {"kind": kind, "tokens": 5, "lr": lr, "epochs": 3} for kind, lr in kinds.items()}
    study = {**STUDY, "model": model, "methods": {"base": {"kind": "base"}, **methods}, "reference": "base"}
    results = Study(**study).run(tmp_path)
    rows = results.estimates.filter(pl.col("group").is_null(), pl.col("seed").is_null(), measure="response_loss")
    mean = dict(rows.filter(pl.col("comparison").is_null()).select("method", "value").iter_rows())
    assert all(mean[kind] < mean["base"] - 1 for kind in kinds)
    for trial in make_plan(Study(**study), None).trials:
        path = Store(tmp_path).folder(trial.hash) / "values.parquet"
        before = pl.read_parquet(path)
        path.unlink()
        Study(**study).run(tmp_path)
        after = pl.read_parquet(path)
        assert after.drop("value").equals(before.drop("value"))
        assert after["value"].to_list() == pytest.approx(before["value"].to_list(), abs=1e-5)


def test_a_conversation_that_leaves_no_room_for_virtual_tokens_is_refused_before_training(tmp_path):
    pairs = {"prompt": [f"a{row}" for row in range(40)], "response": ["c", "d " * 235] * 20}
    pl.DataFrame(pairs).write_csv(tmp_path / "pairs.csv")
    task = {"name": "sft", "path": str(tmp_path / "pairs.csv"), "template": "plain"}
    study = {**STUDY, "task": task, "methods": {"m": {"kind": "full"}}, "reference": []}
    make_plan(Study(**study), None)
    with pytest.raises(
        InputError, match="beside 20 virtual tokens of prompt, the prompt and the response of the example '11' have"
    ):
        make_plan(Study(**{**study, "methods": {"m": {"kind": "prompt"}}}), None)
    with pytest.raises(InputError, match="prompt: 300 tokens leave no room for a text in the 256 positions"):
        make_plan(Study(**{**study, "methods": {"m": {"kind": "prompt", "tokens": 300}}}), None)
    windowed = {**study, "model": "tiny-mistral", "methods": {"m": {"kind": "prefix", "tokens": 200}}}
    with pytest.raises(InputError, match="prefix: 200 tokens leave no room for a text in the attention window of 128"):
        make_plan(Study(**windowed), None)


def test_the_template_is_part_of_a_trials_identity():
    trial = make_plan(Study(**STUDY), None).trials[0]
    assert trial.identity["prompt"] == "plain" and trial.identity["task"] == "sft"


@pytest.mark.parametrize(
    ("rows", "changes", "sentence"),
    [
        ({"prompt": ["a", "b"], "response": ["c", ""]}, {}, "the response in row 1 is empty"),
        ({"prompt": ["a", "b"], "response": ["c", "d"]}, {}, "the tokenizer has no chat template"),
        (
            {"prompt": ["a", "b"], "response": ["c", "d " * 300]},
            {"template": "plain"},
            "have 305 tokens, and 256 is the most that train.max_length or the model allows",
        ),
    ],
)
def test_bad_pairs_end_a_command_before_anything_is_trained(rows, changes, sentence, evenhand, tmp_path):
    pl.DataFrame(rows).write_csv(tmp_path / "pairs.csv")
    task = {"name": "sft", "path": str(tmp_path / "pairs.csv"), **changes}
    methods = {"full": {"kind": "full"}, "base": {"kind": "base"}}
    study = {"task": task, "model": "tiny-llama", "methods": methods, "reference": "base", "seeds": 1}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    ran = evenhand("run", tmp_path / "study.yaml", "--out", tmp_path / "out")
    assert ran.returncode == 2 and sentence in ran.stderr and not (tmp_path / "out" / "trials").exists()


def test_a_further_test_set_is_checked_before_anything_is_trained(tmp_path):
    tasks = {}
    for name, longest in {"pairs": 3, "long": 300}.items():
        rows = {"prompt": [f"a{row}" for row in range(40)], "response": ["c", "d " * longest] * 20}
        pl.DataFrame(rows).write_csv(tmp_path / f"{name}.csv")
        tasks[name] = {"name": "sft", "path": str(tmp_path / f"{name}.csv"), "template": "plain"}
    study = {**STUDY, "task": tasks["pairs"]}
    make_plan(Study(**study, evaluate={"same": tasks["pairs"]}), None)
    with pytest.raises(InputError, match=r"^the test set other: .* of the example 'other/11' have 307 tokens"):
        make_plan(Study(**study, evaluate={"other": tasks["long"]}), None)


ROLES = """\
{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }}
{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"""
NO_ROLES = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def chat_model(folder: Path, template: str) -> str:
    """Write the tiny Llama with a chat template; returns its folder."""
    shutil.copytree(find_model("tiny-llama").folder, folder)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return str(folder)


def test_the_date_that_a_template_writes_is_part_of_a_trials_identity_and_noted(tmp_path):
    template = f"{{{{ strftime_now('%Y') }}}} {ROLES}"
    rows = {"prompt": [f"a{row}" for row in range(40)], "response": ["c", "d d"] * 20}
    pl.DataFrame(rows).write_csv(tmp_path / "pairs.csv")
    task = {"name": "sft", "path": str(tmp_path / "pairs.csv")}
    for written, dated in ((ROLES, False), (template, True)):
        model = chat_model(tmp_path / f"dated-{dated}", written)
        plan = make_plan(Study(**{**STUDY, "task": task, "model": model}), None)
        assert plan.trials[0].identity["prompt"] == (f"{written}\n2024-07-26" if dated else written)
        (setting,) = plan.settings.values()
        assert any("always 26 Jul 2024" in note for note in setting.design().notes) == dated


def unknown_gguf(file: Path) -> str:
    """Write a GGUF file of an architecture that nobody knows; returns its name."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(str(file), "unheard-of")
    writer.add_block_count(1)
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "response", "template", "sentence"),
    [
        (lambda folder: chat_model(folder, ROLES), "", "chat", "the response in row 1 is empty"),
        (lambda folder: chat_model(folder, NO_ROLES), "d", "chat", "chat template does not tell roles apart"),
        (
            lambda folder: chat_model(folder, ROLES),
            "d " * 300,
            "chat",
            "256 is the most that train.max_length or the m",
        ),
        (
            lambda folder: unknown_gguf(folder.with_suffix(".gguf")),
            "d",
            "plain",
            'transformers does not read GGUF files of the architecture "unheard-of"',
        ),
    ],
)
def test_bad_models_and_pairs_end_a_command_in_a_sentence(
    model, response, template, sentence, evenhand, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = {"prompt": ["a", "b", "e", "g"], "response": ["c", response, "f", "h"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "pairs.parquet")
    task = {"name": "sft", "path": str(tmp_path / "pairs.parquet"), "template": template}
    methods = {"full": {"kind": "full"}, "base": {"kind": "base"}}
    study = {"task": task, "model": model(tmp_path / "model"), "methods": methods, "reference": "base", "seeds": 1}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    ran = evenhand("run", tmp_path / "study.yaml", "--out", tmp_path / "out")
    assert ran.returncode == 2 and not (tmp_path / "out" / "trials").exists()
    (error,) = [line for line in ran.stderr.splitlines() if sentence in line]
    assert error.startswith("evenhand: ") and error == ran.stderr.splitlines()[-1]
    assert "indexing errors" not in ran.stderr and "Traceback" not in ran.stderr


def test_what_conversations_do_not_have_is_refused():
    with pytest.raises(InputError, match="probing reads single texts"):
        Study(**STUDY, probing={"targets": "topic"})
    with pytest.raises(InputError, match='has no option "part"'):
        make_plan(Study(**{**STUDY, "data": {"part": "pro"}}), None)
