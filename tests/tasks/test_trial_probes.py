"""A trained model's probes: what is read of which model, whatever the method, and what lies in the trial's folder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModel

from evenhand import records
from evenhand.data.synthetic import SyntheticPosts
from evenhand.data.synthetic_reviews import SyntheticReviews
from evenhand.data.synthetic_translation import SyntheticTranslation
from evenhand.errors import InputError, TrainingError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.load import load_classifier, load_tokenizer
from evenhand.study.probing_spec import ProbingSpec
from evenhand.tasks import trainer
from evenhand.tasks.representations import representations
from evenhand.tasks.trial_probes import FILE, layer_numbers, probe_model, write_probes
from evenhand.tasks.work import Job, Work
from evenhand.training.recipe import TrainSpec

SPEC = SyntheticPosts(n=80)
POSTS = SPEC.load()
ASKED = POSTS.take(np.arange(40, 80))
PROBING = ProbingSpec(targets=("topic=food", "label")).of(ASKED, "classification", "posts")
METHODS = {
    "base": {},
    "full": {"lr": 1e-3, "epochs": 1},
    "head": {"lr": 1e-2, "epochs": 1},
    "lora": {"lr": 5e-3, "epochs": 1, "rank": 4},
    "prompt": {"lr": 1e-2, "epochs": 1, "tokens": 3},
}


def work(kind: str, model: str = "tiny-bert", seed: int = 0, **changes) -> Work:
    train = TrainSpec(batch_size=16, max_length=64, precision="float32")
    method = parse_method("m", {"kind": kind, **METHODS[kind]})
    examples = SPEC.training_examples(POSTS, np.arange(32), {}, 0)
    made = Work(
        find_model(model), method, train, seed, POSTS.classes, examples, None, probing=PROBING, trial=f"{kind}-{seed}"
    )
    return replace(made, **changes)


def left(folder) -> pl.DataFrame:
    assert records.metadata(folder / FILE) == {"split:test": PROBING.key}
    return records.read(folder / FILE, "probes")


def job_of(one: Work, folder, evaluations, keep="adapters") -> Job:
    """As a study makes it: probes are left once the model is trained."""
    return Job(one, folder, evaluations, keep, lambda model: write_probes(one, model, folder))


def trained(one: Work, folder, features=None) -> pl.DataFrame:
    folder.mkdir()
    job = job_of(one, folder, {"test": ASKED.take(np.arange(4))}, "weights")
    ((outcome, _),) = trainer("classification").train_together([job], features=features)
    assert outcome.seconds > 0
    return left(folder)


@pytest.mark.parametrize("kind", METHODS)
def test_a_trial_leaves_the_probes_that_its_kept_weights_give(kind, tmp_path):
    one = work(kind)
    found = trained(one, tmp_path / "trial", tmp_path / "features")
    assert set(found["target"]) == {"topic=food", "label", "topic=food/untrained", "label/untrained"}
    assert set(found["layer"]) == {0, 1, 2} and set(found["trial"]) == {f"{kind}-0"}
    assert found["control_seed"].n_unique() == 6
    again = trainer("classification").kept_model(one, tmp_path / "trial")
    assert again is not None and probe_model(one, again).equals(found)


def test_what_leaves_the_base_as_it_is_says_what_the_base_says_and_all_share_the_untrained(tmp_path):
    tables = {kind: trained(work(kind), tmp_path / kind).drop("trial") for kind in ("base", "head", "full")}
    assert tables["head"].equals(tables["base"])
    bare = {kind: table.filter(pl.col("target").str.ends_with("/untrained")) for kind, table in tables.items()}
    assert bare["full"].equals(bare["base"])
    assert not tables["full"].equals(tables["base"])


@pytest.mark.slow
def test_trials_of_one_pack_leave_what_they_leave_alone(tmp_path):
    works = [work("lora", seed=seed) for seed in (0, 1)]
    jobs = []
    for place, one in enumerate(works):
        (tmp_path / str(place)).mkdir()
        jobs.append(job_of(one, tmp_path / str(place), {"test": ASKED.take(np.arange(4))}))
    assert len(list(trainer("classification").train_together(jobs))) == 2
    for place, one in enumerate(works):
        alone = trained(one, tmp_path / f"alone {place}")
        same = (left(tmp_path / str(place))["correct"] == alone["correct"]).mean()
        assert same > 0.99  # float32 in matrices of another shape


@pytest.mark.parametrize("name", ["tiny-bert", "tiny-llama"])
def test_states_of_a_classifier_are_those_of_its_base(name):
    """A decoder's head is shown the last token everywhere, which must not reach what is probed."""
    base, texts = find_model(name), list(ASKED.inputs[:6])
    tokenizer = load_tokenizer(base)
    plain = AutoModel.from_pretrained(base.folder, dtype=torch.float32).eval()
    found = representations(load_classifier(base, ("a", "b"), 0), tokenizer, texts, pooling="mean")
    assert np.abs(found - representations(plain, tokenizer, texts, pooling="mean")).max() < 1e-5


def test_a_text_is_its_last_token_where_only_that_has_read_it(tmp_path):
    by_pooling = {}
    for pooling in ("auto", "last", "mean"):
        for model in ("tiny-bert", "tiny-llama"):
            one = work("base", model, probing=replace(PROBING, pooling=pooling, untrained=False))
            kept = trainer("classification").kept_model(one, tmp_path)
            assert kept is not None
            by_pooling[model, pooling] = probe_model(one, kept)["correct"]
    assert by_pooling["tiny-llama", "auto"].equals(by_pooling["tiny-llama", "last"])
    assert by_pooling["tiny-bert", "auto"].equals(by_pooling["tiny-bert", "mean"])
    assert not by_pooling["tiny-llama", "auto"].equals(by_pooling["tiny-llama", "mean"])


def language_work(task: str, spec, target: str, **method) -> Work:
    """A trial of a language model whose last layer is probed, with the examples that are probed as they are given."""
    data = spec.load()
    asked = data.take(spec.tested(data, np.arange(20, len(data)))[:60])
    probing = ProbingSpec(targets=target, layers=(-1,)).of(asked, task, "x")
    examples = spec.training_examples(data, np.arange(16), {}, 0)
    train = TrainSpec(batch_size=8, max_length=128, precision="float32")
    base, made = find_model("tiny-llama"), parse_method("m", method)
    return Work(base, made, train, 0, data.classes, examples, None, probing=probing, trial="t")


def test_a_translator_is_probed_at_the_end_of_what_it_is_asked(tmp_path):
    one = language_work("translation", SyntheticTranslation(n=80), "stereotype", kind="lora", lr=1e-3, epochs=1)
    assert one.probing is not None
    ((outcome, _),) = trainer("translation").train_together([job_of(one, tmp_path, {}, "weights")])
    found = records.read(tmp_path / FILE, "probes")
    assert outcome.train_loss is not None and set(found["layer"]) == {0, 2}
    again = trainer("translation").kept_model(one, tmp_path)
    assert again is not None and probe_model(one, again).equals(found)
    assert all(text.startswith("Turkish: ") and text.endswith(" English:") for text in one.probing.texts)


def test_a_writer_of_reviews_is_probed_for_the_author(tmp_path):
    one = language_work("reviews", SyntheticReviews(n=80, shows=1.0), "author", kind="base")
    model = trainer("reviews").kept_model(one, tmp_path)
    assert model is not None
    assert set(probe_model(one, model)["target"]) == {"author", "author/untrained"}


def test_the_embeddings_are_always_among_the_layers():
    assert layer_numbers(None, 3) == (0, 1, 2)
    assert layer_numbers((-1,), 13) == (0, 12) == layer_numbers((12, 0, -1), 13)
    with pytest.raises(InputError, match=r"there is no layer 13; the model has 0 \(its embeddings\) to 12"):
        layer_numbers((13,), 13)


def test_states_that_are_no_numbers_fail_the_trial_and_not_the_study(tmp_path):
    one = work("base")
    model = trainer("classification").kept_model(one, tmp_path)
    assert model is not None
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="states that are not finite"):
        probe_model(one, model)
