"""What a checkpoint lacks of a classifier is part of the head: drawn under the seed, and trained with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evenhand.methods import METHODS, parse_method
from evenhand.methods.fit import model_skeleton
from evenhand.models.classifier_parts import head_modules
from evenhand.models.find import TINY, find_model
from evenhand.models.load import load_classifier
from small_models import CLASSES, examples_for, inputs, work

torch = pytest.importorskip("torch")
tf = pytest.importorskip("transformers")

METHODS_OF_A_BERT = [
    kind for kind in METHODS if kind not in ("base", "qlora", "rounded") and not kind.startswith("dp_")
]


@pytest.fixture(scope="module")
def poolerless(tmp_path_factory):
    """A BERT saved by what fills in masked words."""
    return find_model(str(saved(tmp_path_factory.mktemp("poolerless"), tf.BertForMaskedLM)))


def saved(folder: Path, cls, **sizes) -> Path:
    """The small BERT's files, its weights saved by another class."""
    import shutil

    from small_models import base

    whole = base("bert")
    shutil.copytree(whole.folder, folder, dirs_exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cls.from_pretrained(whole.folder, **sizes).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", TINY)
def test_the_built_in_checkpoints_lack_their_head_only(name):
    contents = find_model(name).contents
    assert contents.fresh == () and contents.head is None and find_model(name).notes == ()


def test_a_checkpoint_without_a_pooler_says_so(poolerless):
    assert poolerless.contents.fresh == ("bert.pooler",)
    (note,) = poolerless.notes
    assert "no weights for bert.pooler" in note and "learns with the head" in note


@pytest.mark.parametrize(
    ("cls", "fresh", "head"),
    [
        (tf.BertModel, (), None),
        (tf.BertForPreTraining, (), None),
        (tf.BertForSequenceClassification, (), 2),
        (tf.BertForTokenClassification, ("bert.pooler",), 2),
        (tf.BertLMHeadModel, ("bert.pooler",), None),
    ],
)
def test_what_a_checkpoint_brings_is_read_off_its_names(cls, fresh, head, tmp_path):
    contents = find_model(str(saved(tmp_path, cls))).contents
    assert (contents.fresh, contents.head) == (fresh, head)


@pytest.mark.parametrize(
    ("config", "bare", "fresh"),
    [
        (tf.AlbertConfig, tf.AlbertForMaskedLM, ("albert.pooler",)),
        (tf.RobertaConfig, tf.RobertaForMaskedLM, ()),
        (tf.ElectraConfig, tf.ElectraModel, ()),
    ],
)
def test_other_encoders_have_a_pooler_where_their_classifier_reads_one(config, bare, fresh, tmp_path):
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    bare(config(**sizes, embedding_size=32, vocab_size=60, max_position_embeddings=40)).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    base = find_model(str(tmp_path))
    assert base.contents.fresh == fresh
    load_classifier(base, CLASSES, 0)


def test_a_fresh_pooler_is_the_seeds_and_the_head_is_what_it_would_be_beside_a_pooler(poolerless, tmp_path):
    first, again, other = (load_classifier(poolerless, CLASSES, seed) for seed in (0, 0, 1))
    weights = [model.bert.pooler.dense.weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert weights[0].std().item() == pytest.approx(0.2, rel=0.1)
    whole = load_classifier(find_model(str(saved(tmp_path, tf.BertModel))), CLASSES, 0)
    assert torch.equal(first.classifier.weight, whole.classifier.weight)
    assert [type(module).__name__ for module in head_modules(first)] == ["Linear", "BertPooler"]
    assert [type(module).__name__ for module in head_modules(whole)] == ["Linear"]


@pytest.mark.parametrize("kind", METHODS_OF_A_BERT)
def test_every_method_trains_it_with_the_head(kind, poolerless):
    method = parse_method("m", {"kind": kind, **({"factors": 1} if kind == "boft" else {})})
    method.check(model_skeleton(poolerless, 2))
    model = method.apply(load_classifier(poolerless, CLASSES, 0), 0)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for part in ("pooler", "classifier"):
        assert any(f"{part}." in name and name.endswith(".weight") for name in learning)
    assert not any("pooler" in name and ("lora_" in name or "bottleneck" in name) for name in learning)


def test_a_base_that_trains_nothing_leaves_it_as_it_was_drawn(poolerless):
    model = parse_method("m", {"kind": "base"}).apply(load_classifier(poolerless, CLASSES, 0), 0)
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["full", "lora", "head", "bitfit", "prefix", "prompt", "ia3"])
def test_what_was_trained_of_it_is_kept(kind, poolerless, tmp_path):
    method = parse_method("m", {"kind": kind})
    model = method.apply(load_classifier(poolerless, CLASSES, 0), 0).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "pooler" in name and parameter.requires_grad:
                parameter.add_(0.1)
    method.save(model, tmp_path)
    again = method.load(load_classifier(poolerless, CLASSES, 0), tmp_path)
    batch = inputs(examples_for("bert", 6)).batch(np.arange(6), torch.device("cpu"))
    with torch.no_grad():
        assert torch.allclose(again(**batch).logits, model(**batch).logits, atol=1e-6)


@pytest.mark.parametrize("kind", ["lora", "head"])
def test_a_pack_trains_it_as_each_trial_alone_would(kind, poolerless):
    from evenhand.tasks.classification import assemble_pack
    from evenhand.tasks.encoding import InputEncoder
    from evenhand.training.loop import fit

    def trained(seeds: list[int]) -> list[dict]:
        from dataclasses import replace

        works = [replace(work({"kind": kind, "lr": 1e-2, "epochs": 1}, seed=seed), base=poolerless) for seed in seeds]
        pack, model = assemble_pack(works, InputEncoder(), torch.device("cpu"))
        fit(pack, [None] * len(seeds), lambda place, row: None)
        return [dict(model(place).named_parameters()) for place in range(len(seeds))]

    together, alone = trained([0, 1]), [*trained([0]), *trained([1])]
    names = [name for name, parameter in alone[0].items() if "pooler" in name and parameter.requires_grad]
    assert names
    start = dict(load_classifier(poolerless, CLASSES, 0).named_parameters())["bert.pooler.dense.weight"]
    for one, other in zip(together, alone, strict=True):
        for name in names:
            assert torch.allclose(one[name], other[name], atol=1e-5)
            assert name.endswith("bias") or not torch.equal(one[name], start)
