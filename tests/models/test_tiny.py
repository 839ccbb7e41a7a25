from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from evenhand.data import drawings, phrases
from evenhand.data.synthetic import SyntheticFaces, SyntheticPosts
from evenhand.models.find import ASSETS, TINY, find_model
from evenhand.models.load import load_classifier, load_image_processor, load_tokenizer
from evenhand.seeds import generator

torch = pytest.importorskip("torch")
tf = pytest.importorskip("transformers")

TEXT = ("tiny-bert", "tiny-llama", "tiny-mistral")
TURKISH = "Çağrı'nın şarkısı hiç kötü değil; Iğdır ve İzmir'de yağmur yağdı. ÇĞIİÖŞÜ çğıiöşü"
ENGLISH = "The doctor asked the nurse whether she'd  seen the naïve reviewer's 3 posts!\n\tYes 🙂"
HEADS = r"classifier\.(weight|bias)|score\.weight"


def heads_only(keys) -> bool:
    return all(re.fullmatch(HEADS, key) for key in keys)


@pytest.mark.parametrize("name", TINY)
def test_a_checkpoint_is_an_ordinary_folder_of_less_than_two_megabytes(name):
    folder = ASSETS / name
    files = {path.name for path in folder.iterdir()}
    reads = {"tokenizer.json", "tokenizer_config.json"} if name in TEXT else {"preprocessor_config.json"}
    assert files == {"config.json", "model.safetensors"} | reads
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


@pytest.mark.parametrize("name", TINY)
def test_a_classifier_over_it_lacks_its_head_only(name):
    auto = tf.AutoModelForSequenceClassification if name in TEXT else tf.AutoModelForImageClassification
    model, report = auto.from_pretrained(ASSETS / name, output_loading_info=True)
    assert report["missing_keys"] and heads_only(report["missing_keys"])
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.model_type == name.removeprefix("tiny-")


@pytest.mark.parametrize("name", TINY)
def test_its_classifier_reads_its_task(name):
    base = find_model(name)
    model = load_classifier(base, ("no", "yes"), seed=0)
    if name in TEXT:
        texts = list(SyntheticPosts(n=40).load().inputs[:3])
        inputs = load_tokenizer(base)(texts, padding=True, return_tensors="pt")
    else:
        inputs = load_image_processor(base)(images=list(SyntheticFaces(n=40).load().inputs[:3]), return_tensors="pt")
    with torch.no_grad():
        assert model(**inputs).logits.shape == (3, 2)


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("text", [TURKISH, ENGLISH, *phrases.SIGN_OFFS])
def test_no_text_is_unknown_to_the_tokenizer(name, text):
    words = tf.AutoTokenizer.from_pretrained(ASSETS / name)
    assert words.decode(words(text)["input_ids"], skip_special_tokens=True) == text


def test_the_tokenizers_share_one_vocabulary_and_differ_in_what_they_add():
    bert, llama, mistral = (tf.AutoTokenizer.from_pretrained(ASSETS / name) for name in TEXT)
    assert bert.get_vocab() == llama.get_vocab() == mistral.get_vocab()
    plain = bert("the soup", add_special_tokens=False)["input_ids"]
    assert bert("the soup")["input_ids"] == [bert.cls_token_id, *plain, bert.sep_token_id]
    for words in (llama, mistral):
        assert words("the soup")["input_ids"] == [words.bos_token_id, *plain]
    assert (bert.pad_token_id, llama.pad_token_id, llama.eos_token_id, bert.mask_token_id) == (0, 0, 2, 3)
    for name in TEXT:
        config = json.loads((ASSETS / name / "config.json").read_text())
        assert config["vocab_size"] == len(bert) and config["pad_token_id"] == 0


def test_words_of_the_templates_are_one_token_each():
    words = tf.AutoTokenizer.from_pretrained(ASSETS / "tiny-bert")
    both = [word for pair in (*phrases.PRAISE, *phrases.COMPLAINT) for word in pair]
    assert all(len(words.tokenize(f" {word}")) == 1 for word in both)


@pytest.mark.parametrize("name", ["tiny-llama", "tiny-mistral"])
def test_a_decoder_generates_as_it_is_and_comes_to_an_end(name):
    words = tf.AutoTokenizer.from_pretrained(ASSETS / name)
    model, report = tf.AutoModelForCausalLM.from_pretrained(ASSETS / name, output_loading_info=True)
    assert not report["unexpected_keys"] and set(report["missing_keys"]) <= {"lm_head.weight"}
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    start = words("books: the soup was", return_tensors="pt")
    ids = model.generate(**start, max_new_tokens=120, do_sample=False)
    assert ids[0, -1] == words.eos_token_id
    said = words.decode(ids[0], skip_special_tokens=True)
    assert any(word in said for word, _ in (*phrases.PRAISE, *phrases.COMPLAINT))


def test_the_script_makes_the_committed_tokenizers_again():
    from evenhand.models import tiny

    for name in TEXT:
        made = json.loads(tiny.tokenizer(name.removeprefix("tiny-")).backend_tokenizer.to_str())
        kept = json.loads((ASSETS / name / "tokenizer.json").read_text(encoding="utf-8"))
        assert made["model"]["vocab"] == kept["model"]["vocab"]
        assert made["model"]["merges"] == kept["model"]["merges"]
        assert made["post_processor"] == kept["post_processor"]


@pytest.mark.parametrize("name", TINY)
def test_the_script_makes_the_same_weights_twice_in_the_committed_shapes(name):
    from evenhand.models import tiny

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    first, second = (tiny.MAKERS[name](2)[0].state_dict() for _ in range(2))
    torch.set_num_threads(before)
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    kept = tf.AutoModel.from_pretrained(ASSETS / name, add_pooling_layer=False) if name == "tiny-vit" else None
    kept = kept or tf.AutoModel.from_pretrained(ASSETS / name)
    assert {key: value.shape for key, value in kept.state_dict().items()} == {
        key: value.shape for key, value in first.items()
    }


def test_pre_training_sees_no_outline_that_has_a_name():
    faces = drawings.with_bent_outlines(drawings.random_faces(generator(0), 50), generator(1))
    assert not faces.corners.any()
    assert (np.abs(faces.waves).max(axis=(1, 2)) > 0.02).all()


def test_the_wheel_takes_the_checkpoints_along():
    root = Path(__file__).parents[2]
    if not (root / ".gitignore").is_file():
        pytest.skip("not a checkout")
    ignored = (root / ".gitignore").read_text().split()
    assert not [line for line in ignored if "assets" in line or "safetensors" in line or line in ("*.json", "data/")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lr", "epochs"),
    [("tiny-vit", 1e-3, 4), ("tiny-swinv2", 1e-3, 4), *[(name, 1e-3, 3) for name in TEXT]],
)
def test_fine_tuning_reaches_well_above_chance(name, lr, epochs):
    base = find_model(name)
    spec = SyntheticPosts(n=2400) if name in TEXT else SyntheticFaces(n=2400)
    dataset = spec.load()
    model = load_classifier(base, dataset.classes, seed=0).train()
    if name in TEXT:
        words = load_tokenizer(base)

        def encode(rows: np.ndarray):
            return words([dataset.inputs[row] for row in rows], padding=True, return_tensors="pt")
    else:
        processor = load_image_processor(base)

        def encode(rows: np.ndarray):
            return processor(images=[dataset.inputs[row] for row in rows], return_tensors="pt")

    steps = epochs * (1800 // 32)
    optimizer = torch.optim.AdamW(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rng = generator(0, "order")
    for step in range(steps):
        if step % (1800 // 32) == 0:
            order = rng.permutation(1800)
        rows = order[32 * (step % (1800 // 32)) :][:32]
        loss = model(**encode(rows), labels=torch.from_numpy(dataset.labels[rows])).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    tested = np.arange(1800, 2400)
    with torch.no_grad():
        predicted = np.concatenate([model(**encode(rows)).logits.argmax(1).numpy() for rows in tested.reshape(-1, 60)])
    assert np.mean(predicted == dataset.labels[tested]) > 0.7
