"""Reviews as a trial: what is learned, what is asked, what is refused, and that kept weights answer new prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import evenhand as eh
from evenhand.audit.results import Results
from evenhand.data.synthetic_reviews import SyntheticReviews
from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.records.prompts import CONTENT_FREE
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.tasks import trainer
from evenhand.tasks.prompts.prompt import PromptSelection
from evenhand.tasks.prompts.scoring import score_options
from evenhand.tasks.reviews import cut_notes
from evenhand.tasks.work import Job, Work
from evenhand.training.language import LanguagePack, example_losses
from evenhand.training.prompted_texts import encode_whole_texts
from evenhand.training.recipe import TrainSpec

TRAINER = trainer("reviews")
DATA = SyntheticReviews(n=60).load()
PROMPTS = PromptSelection(
    templates=("cloze1", "mc1"), forms=("plain",), words=("male-female", "female-male-neutral")
).prompts()
TESTED = {"test": DATA.take(np.arange(48, 54))}


def work(**method) -> Work:
    examples = SyntheticReviews(n=60).training_examples(DATA, np.arange(32), {}, 0)
    train = TrainSpec(batch_size=8, max_length=128, precision="float32")
    values = {"validation": DATA.take(np.arange(40, 44)), "prompts": PROMPTS}
    return Work(find_model("tiny-llama"), parse_method("m", method), train, 0, DATA.classes, examples, **values)


@pytest.mark.parametrize("kind", ["full", "lora", "base"])
def test_a_trial_is_trained_asked_kept_and_read_back(kind, tmp_path):
    trial = work(**({"kind": kind} if kind == "base" else {"kind": kind, "lr": 3e-3, "epochs": 1}))
    ((outcome, rows),) = TRAINER.train_together([Job(trial, tmp_path, TESTED, "weights")])
    assert (outcome.train_loss is None) == (kind == "base") and outcome.validation_loss is not None
    assert set(rows["example"]) == set(TESTED["test"].example) and "trial" not in rows.columns
    assert set(rows["prompt"]) == {str(prompt.name) for prompt in PROMPTS}
    again = TRAINER.predict(trial, tmp_path, TESTED)
    assert again is not None and again.equals(rows)
    if kind == "base":  # what was asked is the base model itself
        base = find_model("tiny-llama")
        plain = score_options(load_language_model(base), load_tokenizer(base), PROMPTS, list(TESTED["test"].inputs))
        first = rows.filter(prompt=str(PROMPTS[0].name))["log_prob"].to_numpy().reshape(-1, 2)
        assert np.abs(first - plain.log_prob[0]).max() < 1e-5


def test_texts_without_content_are_asked_about_as_reviews_are(tmp_path):
    trial = replace(work(kind="base"), content_free=("N/A", ""))
    ((_, rows),) = TRAINER.train_together([Job(trial, tmp_path, TESTED, "none")])
    nothing = rows.filter(pl.col("example").str.starts_with(CONTENT_FREE))
    assert set(nothing["example"]) == {CONTENT_FREE + "N/A", CONTENT_FREE}
    assert set(nothing["prompt"]) == set(rows["prompt"])
    base = find_model("tiny-llama")
    plain = score_options(load_language_model(base), load_tokenizer(base), PROMPTS, ["N/A"])
    first = nothing.filter(prompt=str(PROMPTS[0].name), example=CONTENT_FREE + "N/A")["log_prob"].to_numpy()
    assert np.abs(first - plain.log_prob[0][0]).max() < 1e-5


def test_reviews_that_are_cut_are_counted_before_training_as_the_model_counts_them(tmp_path):
    base = find_model("tiny-llama")
    texts = [*TESTED["test"].inputs, "bread soup " * 200, "ok"]
    scores = score_options(load_language_model(base), load_tokenizer(base), PROMPTS, texts)
    methods = [parse_method("m", {"kind": "full"}), parse_method("p", {"kind": "prompt", "tokens": 4})]
    (note,) = cut_notes(base, methods[:1], PROMPTS, texts)
    assert note.startswith(f"{scores.truncated:,} of 8 texts") and scores.truncated >= 1
    (fewer,) = cut_notes(base, methods, PROMPTS, texts)
    assert "beside the most virtual tokens of a method" in fewer
    assert list(cut_notes(base, methods, PROMPTS, ["ok"])) == []
    rows = {"text": [f"{row} " + "bread soup " * 200 for row in range(60)], "gender": ["female", "male"] * 30}
    pl.DataFrame(rows).write_csv(tmp_path / "reviews.csv")
    task = {"name": "reviews", "path": str(tmp_path / "reviews.csv"), "groups": ["gender"]}
    (setting,) = make_plan(study(task=task), None).settings.values()
    said = "12 of 12 texts that the prompts are about are too long for the model"
    assert any(note.startswith(said) for note in setting.design().notes)


def test_a_texts_weight_in_the_loss_depends_on_no_neighbour():
    base = find_model("tiny-llama")
    tokenizer, model = load_tokenizer(base), load_language_model(base)
    inputs = encode_whole_texts(tokenizer, list(DATA.inputs[:4]), 128)
    losses = example_losses(model, inputs, torch.device("cpu"))
    for row, text in enumerate(DATA.inputs[:4]):
        ids = torch.tensor([tokenizer(text + tokenizer.eos_token)["input_ids"]])
        ids = ids[:, :-1] if ids[0, -2:].tolist() == [tokenizer.eos_token_id] * 2 else ids
        with torch.inference_mode():
            plain = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:])
        assert losses[row] == pytest.approx(float(plain), abs=1e-4)
    trial = work(kind="full", lr=1e-3, epochs=1)
    pack = LanguagePack.of(
        trial.method.pack(model, inputs, np.zeros(4, int), seed=0, train=trial.train, device=torch.device("cpu"))
    )
    together = float(pack.sum_of_losses(np.arange(4)).detach())
    assert together == pytest.approx(float(losses.sum()), abs=1e-3)


def test_a_long_review_is_cut_and_a_cut_one_has_no_end():
    tokenizer = load_tokenizer(find_model("tiny-llama"))
    whole, cut = (encode_whole_texts(tokenizer, [DATA.inputs[0]], most) for most in (128, 10))
    assert len(cut.tokens[0]) == 10 and (cut.tokens[0] == whole.tokens[0][:10]).all()
    assert whole.tokens[0][-1] == tokenizer.eos_token_id != cut.tokens[0][-1]
    assert whole.tokens[0].tolist().count(tokenizer.eos_token_id) == 1
    with pytest.raises(InputError, match="there is nothing to learn"):
        encode_whole_texts(tokenizer, ["A review."], 1)


def study(**more) -> eh.Study:
    values = {
        "task": {"name": "synthetic/reviews", "n": 80},
        "model": "tiny-llama",
        "methods": {"base": {"kind": "base"}, "lora": {"kind": "lora", "rank": 2, "epochs": 1, "lr": 3e-3}},
        "reference": "base",
        "seeds": 2,
        "split": {"test": 0.2, "validation": 0.0},
        "margins": {"default": 0.1},
        "prompts": {"reviews": 12, "templates": ["cloze1"], "words": ["male-female"]},
    }
    return eh.Study(**{**values, **more})


def test_what_is_asked_is_no_part_of_a_trial_and_part_of_what_it_must_hold():
    first = make_plan(study(), None).trials
    more = make_plan(
        study(prompts={"reviews": 12, "templates": ["cloze1", "cloze2"], "words": ["male-female"]}), None
    ).trials
    scored = make_plan(
        study(prompts={**study().settings["main"].prompts.model_dump(), "score": "sequence_loss"}), None
    ).trials
    seen = make_plan(study(prompts={"split": "train", "reviews": None}), None).trials
    free = make_plan(
        study(prompts={**study().settings["main"].prompts.model_dump(), "content_free": ["N/A"]}), None
    ).trials
    for other in (more, scored, seen, free):
        assert [trial.hash for trial in other] == [trial.hash for trial in first]
        assert other[0].fingerprints != first[0].fingerprints
    assert set(seen[0].fingerprints) == {"train"} and set(first[0].fingerprints) == {"test"}
    assert set(seen[0].evaluations["train"].example).isdisjoint(first[0].evaluations["test"].example)
    assert len(first[0].evaluations["test"]) == 12
    assert len(seen[0].evaluations["train"]) == len(seen[0].parts.train)


def test_packing_is_no_part_of_a_trial():
    plain, packed = (make_plan(study(train={"packing": packing}), None).trials for packing in (False, True))
    assert packed[1].train.packing and not plain[1].train.packing
    assert [trial.hash for trial in plain] == [trial.hash for trial in packed]


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_packed_reviews_train_the_same_model(kind, tmp_path):
    found = []
    for packing in (False, True):
        trial = work(kind=kind, lr=3e-3, epochs=1)
        trial = replace(trial, train=trial.train.model_copy(update={"packing": packing}))
        folder = tmp_path / str(packing)
        folder.mkdir()
        ((outcome, rows),) = TRAINER.train_together([Job(trial, folder, TESTED, "none")])
        found.append((outcome.train_loss, outcome.validation_loss, *rows["log_prob"]))
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert found[0] != found[1]  # or nothing was packed


def test_prompts_are_a_small_set_unless_said_and_examples_have_no_labels():
    setting = study(prompts=None).settings["main"]
    assert setting.prompts is not None and setting.prompts.split == "test"
    prompts = make_plan(study(prompts=None), None).settings["main"].prompts
    assert {prompt.name.template for prompt in prompts} == {"cloze1", "cloze3", "yn1", "mc1"} and len(prompts) < 100
    assert make_plan(study(), None).examples()["label"].null_count() == 80


def test_which_half_is_longer_is_no_part_of_what_is_learned():
    one, other = (
        make_plan(study(task={"name": "synthetic/reviews", "n": n}), None).settings["main"] for n in (80, 200)
    )
    first = np.arange(4)
    assert one.loaded.contents(first) == other.loaded.contents(first)


def test_templates_of_ones_own_lie_beside_the_data(tmp_path):
    (tmp_path / "mine.yaml").write_text("cloze:\n  mine: {text: '{review} Thanks, a {option}', words: [man-woman]}\n")
    asked = {"path": "mine.yaml", "templates": ["mine"], "words": ["man-woman"]}
    prompts = make_plan(study(prompts=asked), tmp_path).settings["main"].prompts
    assert [str(prompt.name) for prompt in prompts] == ["mine/plain/man-woman"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"prompts": {"templates": ["cloze99"]}}, 'no template fits "cloze99"'),
        ({"prompts": {"split": "validation"}}, "prompts.split"),
        ({"prompts": {"reviews": 0}}, "prompts.reviews"),
        ({"prompts": {"content_free": ["N/A", "N/A"]}}, "content-free texts should all be different"),
        ({"prompts": {"design": "balances"}}, "prompts.design"),
        ({"evaluate": ["synthetic/reviews"]}, "asked about its own reviews"),
        ({"data": {"part": "pro"}}, 'has no option "part"'),
        ({"model": "tiny-bert"}, "a bert cannot continue a text"),
        ({"methods": {"m": {"kind": "head"}}, "reference": []}, "head trains a classification head"),
        ({"task": "synthetic/posts"}, "prompts need a task of reviews"),
        ({"membership": 8}, "the attacks need a classifier"),
        (
            {"train": {"packing": True}, "methods": {"m": {"kind": "lora", "dropout": 0.1}}, "reference": []},
            "methods.m: train.packing would change what its dropout draws",
        ),
        (
            {"train": {"packing": True}, "task": "synthetic/posts", "prompts": None},
            "train.packing is for language models, and synthetic/posts trains classifiers",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_before_training(more, said):
    with pytest.raises(InputError) as refused:
        make_plan(study(**more), None)
    assert said in str(refused.value)


@pytest.mark.slow
def test_a_study_of_reviews_runs_resumes_and_answers_new_prompts_without_training(tmp_path):
    first = study().run(tmp_path)
    store, trials = Store(tmp_path), make_plan(study(), None).trials
    assert all(store.complete(trial) for trial in trials)
    assert (
        Results.load(tmp_path)
        .options.sort("trial", "example", "prompt", "option")
        .equals(first.options.sort("trial", "example", "prompt", "option"))
    )
    logs = {trial.hash: (store.folder(trial.hash) / "log.jsonl").stat().st_mtime_ns for trial in trials}
    asked = {"reviews": 12, "templates": ["cloze1", "cloze2"], "words": ["male-female"]}
    again = study(prompts=asked).run(tmp_path)
    assert {name: (store.folder(name) / "log.jsonl").stat().st_mtime_ns for name in logs} == logs
    assert again.options["prompt"].n_unique() == 2
    same = ["trial", "example", "prompt", "option", "log_prob"]
    kept = again.options.filter(prompt="cloze1/plain/male-female").select(same).sort(same[:-1])
    before = first.options.select(same).sort(same[:-1])
    assert kept.drop("log_prob").equals(before.drop("log_prob"))
    assert (kept["log_prob"] - before["log_prob"]).abs().max() < 1e-4
    assert set(again.verdicts["measure"]) == {"distance_from_equal", "content_effect", "option_mass"}
    assert not again.verdicts.filter(pl.col("verdict").is_null()).height
    page = (tmp_path / "report.html").read_text()
    assert "Answers to prompts" in page and (tmp_path / "figures" / "answers.png").is_file()
