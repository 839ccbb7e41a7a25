"""Cached features change no number and are computed once; what cannot be trusted, or does not fit, is not used."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertLayer

from evenhand import Study
from evenhand.methods import parse_method
from evenhand.study.store import Store
from evenhand.study.watcher import SilentWatcher
from evenhand.tasks.classification import Job, train, train_together
from evenhand.training import features
from evenhand.training.batches import Inputs, ProcessedImages
from evenhand.training.feature_cache import FeatureCache
from evenhand.training.features import CachedFeatures, start_from_features
from evenhand.training.frozen_prefix import install_split_point, possible_split_points, record_features
from evenhand.training.loop import fit
from evenhand.training.pack import Pack, Replica, single_pack
from evenhand.training.replicas import replica_pack
from small_models import classifier, encoded, examples_for, recipe, work

CPU = torch.device("cpu")
ARCHITECTURES = ("bert", "vit", "swinv2", "llama", "mistral", "gpt2")
HEAD = {"kind": "head", "lr": 1e-2, "epochs": 3}
LAST = {"kind": "last", "layers": 1, "lr": 1e-3, "epochs": 3}
# One of the two layers is adapted, the second.
BACK = {"kind": "lora", "rank": 0.5, "layers": "back", "lr": 1e-2, "epochs": 3, "dropout": 0.1}
READS = {"bert": "pooled", "vit": "first", "swinv2": "pooled", "llama": "last", "mistral": "last", "gpt2": "last"}


def wide(model_type: str, n: int, seed: int = 0) -> tuple[Inputs, np.ndarray]:
    """Examples for a model in float64."""
    dataset = examples_for(model_type, n, seed)
    inputs = encoded(dataset, model_type)
    return ProcessedImages(inputs.pixels.astype(np.float64)) if isinstance(
        inputs, ProcessedImages
    ) else inputs, dataset.labels


def made(method: dict, model_type: str, seed: int = 0) -> nn.Module:
    return parse_method("m", method).apply(classifier(model_type, seed), seed).double()


def pack_of(model: nn.Module, method: dict, model_type: str, seed: int = 0, **values) -> Pack:
    train = recipe(warmup=0.1, weight_decay=0.1, **values)
    inputs, labels = wide(model_type, 40, seed)
    return single_pack(model, inputs, labels, seed=seed, lr=method["lr"], epochs=method["epochs"], train=train)


def started(pack: Pack, folder: Path, model_of=None):
    return start_from_features(pack, model_of or (lambda _: pack.module), ["base"] * len(pack.replicas), folder)


def fitted(pack: Pack) -> Pack:
    fit(pack, [None] * len(pack.replicas), lambda place, row: None)
    return pack


@torch.no_grad()
def logits(model: nn.Module, inputs: Inputs) -> torch.Tensor:
    """In the precision of the model."""
    return model.eval()(**inputs.batch(np.arange(len(inputs)), CPU)).logits


def shelves(folder: Path) -> list[Path]:
    return sorted(folder.glob("*"))


@pytest.mark.parametrize("model_type", ARCHITECTURES)
@pytest.mark.parametrize("method", [HEAD, LAST, BACK], ids=["head", "last", "back"])
def test_a_model_that_starts_from_features_learns_and_answers_as_the_whole_model(method, model_type, tmp_path):
    asked, _ = wide(model_type, 24, seed=9)
    whole = fitted(pack_of(made(method, model_type), method, model_type))
    pack = pack_of(made(method, model_type), method, model_type)
    start = started(pack, tmp_path)
    assert isinstance(pack.replicas[0].inputs, CachedFeatures)
    before = logits(pack.module, asked)
    fitted(pack)
    expected = logits(whole.module, asked)
    assert (expected - before).abs().max() > 1e-3
    cached = start(0, asked)
    assert isinstance(cached, CachedFeatures)
    assert (logits(pack.module, cached) - expected).abs().max() < 1e-9
    # The same object still is the whole model to whoever gives it whole inputs.
    assert (logits(pack.module, asked) - expected).abs().max() < 1e-9


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_what_is_kept_is_what_the_head_reads_or_the_states_before_the_layer(model_type):
    inputs, _ = wide(model_type, 8)
    batch = inputs.batch(np.arange(8), CPU)
    model = made(HEAD, model_type).eval()
    possible = possible_split_points(model, batch)
    install_split_point(model, possible[0])
    # Every token of a decoder's base has the last one's state, so that any place would do.
    assert next(cut.reads for cut in possible if record_features(model, cut, batch) is not None) == READS[model_type]
    (cut,) = possible_split_points(made(LAST, model_type).eval(), batch)
    assert (cut.block, cut.reads) == (1, "states")


def test_a_texts_states_do_not_depend_on_its_neighbours_or_their_padding():
    inputs, _ = wide("bert", 12)
    model = made(LAST, "bert").eval()
    (cut,) = possible_split_points(model, inputs.batch(np.arange(12), CPU))
    install_split_point(model, cut)
    together = record_features(model, cut, inputs.batch(np.arange(12), CPU))
    for row, length in enumerate(inputs.lengths):
        (own,) = record_features(model, cut, inputs.batch(np.array([row]), CPU))
        assert (together[row, :length] - own).abs().max() < 1e-12
        assert not together[row, length:].any()


@pytest.mark.parametrize("model_type", ["bert", "vit", "llama"])
@pytest.mark.parametrize("method", [HEAD, BACK], ids=["head", "back"])
def test_a_pack_of_replicas_starts_from_features_too(method, model_type, tmp_path):
    asked, _ = wide(model_type, 24, seed=9)
    seeds = (0, 1, 2)
    spec = recipe(warmup=0.1, weight_decay=0.1)
    chosen = [Replica(seed, method["lr"], method["epochs"], spec, *wide(model_type, 40, seed)) for seed in seeds]
    pack = replica_pack((made(method, model_type, seed) for seed in seeds), chosen)
    start = started(pack, tmp_path, pack.model)
    assert all(isinstance(replica.inputs, CachedFeatures) for replica in pack.replicas)
    assert len(shelves(tmp_path)) == 1
    fitted(pack)
    for place, seed in enumerate(seeds):
        expected = logits(fitted(pack_of(made(method, model_type, seed), method, model_type, seed)).module, asked)
        assert (logits(pack.model(place), start(place, asked)) - expected).abs().max() < 1e-9


def test_an_adapter_and_the_layers_own_weights_share_what_is_below(tmp_path):
    for method in (LAST, BACK):
        started(pack_of(made(method, "bert"), method, "bert"), tmp_path)
    (shelf,) = shelves(tmp_path)
    assert len(list(shelf.iterdir())) == 1


def test_a_part_of_the_base_that_a_seed_draws_is_not_shared(tmp_path):
    """A pooler that the checkpoint lacks is above the layers and below the head."""
    for method, count in ((HEAD, 2), (LAST, 3)):
        for scale in (1.0, 2.0):
            model = made(method, "bert")
            with torch.no_grad():
                model.bert.pooler.dense.weight.mul_(scale)
            started(pack_of(model, method, "bert"), tmp_path)
        assert len(shelves(tmp_path)) == count


@dataclass
class Rows:
    """How many examples went through the layers of a BERT."""

    count: int = 0


@pytest.fixture
def computed(monkeypatch):
    rows, forward = Rows(), BertLayer.forward

    def counted(self, hidden_states, *args, **kwargs):
        rows.count += len(hidden_states)
        return forward(self, hidden_states, *args, **kwargs)

    monkeypatch.setattr(BertLayer, "forward", counted)
    return rows


def evaluations(model_type: str = "bert"):
    dataset = examples_for(model_type, 96)
    return {"validation": dataset.take(np.arange(64, 80)), "test": dataset.take(np.arange(80, 96))}


def answered(one, folder: Path, name: str, kept: Path | None) -> tuple[np.ndarray, float, float]:
    own = folder / name
    own.mkdir()
    outcome, rows = train(one, own, evaluations(one.base.model_type), features=kept)
    return np.stack(rows["logits"].to_list()), outcome.train_loss, outcome.validation_loss


@pytest.mark.parametrize(("model_type", "method"), [
    ("bert", HEAD), ("bert", LAST), ("bert", BACK), ("vit", HEAD), ("vit", LAST), ("swinv2", LAST),
    ("llama", HEAD), ("mistral", LAST), ("resnet", HEAD), ("resnet", LAST),
])  # fmt: skip
def test_a_trial_leaves_what_it_leaves_without_features(model_type, method, tmp_path):
    one = work(method, model_type)
    found, train_loss, validation_loss = answered(one, tmp_path, "with", tmp_path / "features")
    expected, *losses = answered(one, tmp_path, "without", None)
    assert shelves(tmp_path / "features")
    assert found == pytest.approx(expected, abs=1e-4)
    assert [train_loss, validation_loss] == pytest.approx(losses, abs=1e-4)
    # Weights are kept under the names that they have in the model.
    with_features, without = ({p.name for p in (tmp_path / name).rglob("*")} for name in ("with", "without"))
    assert with_features == without


def test_a_second_seed_and_the_base_method_compute_nothing_again(computed, tmp_path):
    kept = tmp_path / "features"
    answered(work(HEAD, seed=0), tmp_path, "first", kept)
    # Two layers: a probe, and 64 + 16 + 16 examples once, though they are trained on three times.
    assert computed.count == 2 * (96 + 2 * features.PROBE_EXAMPLES)
    for seed, method in ((1, HEAD), (2, {**HEAD, "epochs": 9}), (3, {"kind": "base"})):
        computed.count = 0
        found, *_ = answered(work(method, seed=seed), tmp_path, f"again {seed}", kept)
        assert computed.count <= 2 * 2 * features.PROBE_EXAMPLES
        assert found == pytest.approx(answered(work(method, seed=seed), tmp_path, f"plain {seed}", None)[0], abs=1e-4)


def test_trials_of_a_pack_share_what_is_kept(computed, tmp_path):
    jobs = []
    for seed in (0, 1, 2):
        (tmp_path / str(seed)).mkdir()
        jobs.append(Job(work(HEAD, seed=seed), tmp_path / str(seed), evaluations()))
    together = list(train_together(jobs, features=tmp_path / "features"))
    assert computed.count == 2 * (96 + 3 * 2 * features.PROBE_EXAMPLES)
    for job, (_, rows) in zip(jobs, together, strict=True):
        expected, *_ = answered(job.work, tmp_path, f"plain {job.work.seed}", None)
        assert np.stack(rows["logits"].to_list()) == pytest.approx(expected, abs=1e-4)


def test_training_in_bfloat16_and_prediction_in_float32_are_kept_apart(tmp_path):
    one = work(LAST, precision="bfloat16")
    found, *_ = answered(one, tmp_path, "with", tmp_path / "features")
    expected, *_ = answered(one, tmp_path, "without", None)
    assert len(shelves(tmp_path / "features")) == 2
    assert found == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("one", [
    work({"kind": "full"}),
    work({"kind": "lora", "rank": 4}),
    work({"kind": "prompt"}),
    work({"kind": "bitfit"}),
    work({"kind": "dp_lora", "rank": 2, "epsilon": 8.0, "epochs": 1}),
    work(HEAD, base_dropout=0.1),
], ids=["full", "lora", "prompt", "bitfit", "private", "base dropout"])  # fmt: skip
def test_where_nothing_is_frozen_or_something_is_drawn_nothing_is_kept(one, tmp_path):
    answered(one, tmp_path, "trial", tmp_path / "features")
    assert not (tmp_path / "features").exists()


class MeanPooled(BertForSequenceClassification):
    """A head that reads the mean of all tokens, which no single state is."""

    def forward(self, input_ids, attention_mask):
        states = self.bert(input_ids, attention_mask).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(states.mean(1)))


def test_a_head_that_reads_something_else_is_trained_the_ordinary_way(tmp_path):
    model = made(HEAD, "bert")
    model.__class__ = MeanPooled
    pack = pack_of(model, HEAD, "bert")
    before = pack.replicas[0].inputs
    start = started(pack, tmp_path)
    assert pack.replicas[0].inputs is before
    assert start(0, before) is before
    assert not shelves(tmp_path)


def test_without_room_nothing_is_kept_and_it_is_said_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "evenhand"):
        for _ in range(2):
            pack = pack_of(made(LAST, "bert"), LAST, "bert", features=1e-5)
            before = pack.replicas[0].inputs
            started(pack, tmp_path)
            assert pack.replicas[0].inputs is before
    (said,) = caplog.messages
    assert "no more than 1e-05 GB" in said
    assert not list(tmp_path.rglob("*.bin"))


def test_the_bound_holds_for_all_shelves_together(tmp_path):
    gigabytes = 6e-5
    one = pack_of(made(HEAD, "bert"), HEAD, "bert", features=gigabytes)
    started(one, tmp_path)
    other = pack_of(made(LAST, "bert"), LAST, "bert", features=gigabytes)
    started(other, tmp_path)
    assert isinstance(one.replicas[0].inputs, CachedFeatures)
    assert not isinstance(other.replicas[0].inputs, CachedFeatures)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1e9 * gigabytes


def test_with_no_gigabytes_nothing_is_kept(tmp_path):
    pack = pack_of(made(HEAD, "bert"), HEAD, "bert", features=0)
    before = pack.replicas[0].inputs
    started(pack, tmp_path)
    assert pack.replicas[0].inputs is before
    assert not shelves(tmp_path)


def flipped(part: Path) -> None:
    contents = bytearray((part / "states.bin").read_bytes())
    contents[len(contents) // 2] ^= 1
    (part / "states.bin").write_bytes(contents)


def cut_off(part: Path) -> None:
    os.truncate(part / "states.bin", (part / "states.bin").stat().st_size - 4)


def without_index(part: Path) -> None:
    (part / "index.json").unlink()


def with_half_an_index(part: Path) -> None:
    (part / "index.json").write_text((part / "index.json").read_text()[:50])


def with_another_order(part: Path) -> None:
    text = (part / "index.json").read_text()
    first, second = sorted(FeatureCache(part.parent).read())[:2]
    (part / "index.json").write_text(text.replace(first, "-").replace(second, first).replace("-", second))


def of_another_prefix(part: Path) -> None:
    """As if somebody had copied the folder of another model."""
    elsewhere = part.parent.with_name("0" * 32)
    part.parent.rename(elsewhere)
    states = torch.zeros(3, 1, 32, dtype=torch.float64)
    with FeatureCache(elsewhere).writing() as foreign:
        foreign.add(list("abc"), list(states))
        foreign.commit()
    elsewhere.rename(part.parent)


@pytest.mark.parametrize("damage", [
    flipped, cut_off, without_index, with_half_an_index, with_another_order, of_another_prefix,
])  # fmt: skip
def test_what_is_damaged_or_foreign_is_made_again(damage, tmp_path):
    first = pack_of(made(HEAD, "bert"), HEAD, "bert")
    started(first, tmp_path)
    (shelf,) = shelves(tmp_path)
    (part,) = shelf.iterdir()
    sound = {key: state.clone() for key, state in FeatureCache(shelf).read().items()}
    damage(part)
    again = pack_of(made(HEAD, "bert"), HEAD, "bert")
    started(again, tmp_path)
    found = FeatureCache(shelf).read()
    assert found.keys() == sound.keys()
    assert all(torch.equal(found[key], sound[key]) for key in sound)
    whole = fitted(pack_of(made(HEAD, "bert"), HEAD, "bert"))
    asked, _ = wide("bert", 24, seed=9)
    assert (logits(fitted(again).module, asked) - logits(whole.module, asked)).abs().max() < 1e-9


WRITES_AND_IS_KILLED = """
import os, signal, sys, torch
from pathlib import Path
from evenhand.training import feature_cache

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "indexed":
    os.rename = Path.rename = kill
with feature_cache.FeatureCache(Path(sys.argv[1])).writing() as part:
    part.add(["a", "b"], [torch.ones(3, 2), torch.ones(1, 2)])
    if sys.argv[2] == "open":
        part.file.flush()
        kill()
    part.commit()
"""


@pytest.mark.parametrize("moment", ["open", "indexed"])
def test_a_writer_that_is_killed_leaves_nothing_that_is_read(moment, tmp_path):
    killed = subprocess.run([sys.executable, "-c", WRITES_AND_IS_KILLED, str(tmp_path / "shelf"), moment])
    assert killed.returncode == -signal.SIGKILL
    assert [path.name[0] for path in (tmp_path / "shelf").iterdir()] == ["."]
    shelf = FeatureCache(tmp_path / "shelf")
    assert shelf.read() == {}
    with shelf.writing() as part:
        part.add(["a"], [torch.ones(3, 2)])
        part.commit()
    assert list(shelf.read()) == ["a"]


def test_a_part_that_is_not_kept_leaves_nothing(tmp_path):
    shelf = FeatureCache(tmp_path / "shelf")
    with shelf.writing() as part:
        part.add(["a"], [torch.ones(3, 2)])
    assert list(shelf.folder.iterdir()) == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_states_come_back_as_they_were(dtype, tmp_path):
    shelf = FeatureCache(tmp_path / "shelf")
    states = [torch.randn(count, 3, 2).to(dtype) for count in (4, 1, 7)]
    for name, own in (("first", states[:2]), ("second", states[2:])):
        with shelf.writing() as part:
            part.add([f"{name} {place}" for place in range(len(own))], own)
            part.commit()
    found = shelf.read()
    for key, expected in zip(("first 0", "first 1", "second 0"), states, strict=True):
        assert found[key].dtype == dtype
        assert torch.equal(found[key], expected)


def test_only_what_is_missing_is_added_to_what_is_kept(computed, tmp_path):
    dataset = examples_for("bert", 56)
    few, all_of_them = (encoded(dataset.take(np.arange(count)), "bert") for count in (40, 56))
    pack = single_pack(made(HEAD, "bert"), few, dataset.labels[:40], seed=0, lr=0.1, epochs=1, train=recipe())
    start = started(pack, tmp_path)
    computed.count = 0
    assert len(start(0, all_of_them)) == 56
    assert computed.count == 2 * 16
    start(0, all_of_them)
    assert computed.count == 2 * 16


class Interrupted(SilentWatcher):
    """Ctrl-C when the first trial is complete; sees how many shelves of features there are by then."""

    def __init__(self, features: Path) -> None:
        object.__setattr__(self, "features", features)

    def finish(self, trial, outcome, seconds) -> None:
        object.__setattr__(self, "kept", len(shelves(self.features)))
        raise KeyboardInterrupt


@pytest.mark.usefixtures("unreported")
def test_a_study_that_is_interrupted_leaves_no_features_and_goes_on(small_study, tmp_path):
    """Features are large and reveal as much as the examples, so the last run to leave a folder removes them."""
    head = {"kind": "head", "lr": 1e-2, "epochs": 2}
    values = {**small_study, "methods": {"head": head, "base": {"kind": "base"}}, "reference": "head", "seeds": 3}
    study = Study(**values, train={"replicas": 1})
    watcher = Interrupted(tmp_path / "out" / "features")
    with pytest.raises(KeyboardInterrupt):
        study.run(tmp_path / "out", watcher=watcher)
    assert watcher.kept == 1 and not (tmp_path / "out" / "features").exists()
    results = study.run(tmp_path / "out")
    assert not (tmp_path / "out" / "features").exists()
    assert results.trials["status"].to_list() == ["done"] * 6


def test_a_study_is_cleared_of_what_a_killed_writer_left(tmp_path):
    store = Store(tmp_path)
    left = store.features / "shelf" / ".123"
    left.mkdir(parents=True)
    store.clear_leftovers()
    assert not left.exists()
    assert left.parent.exists()
