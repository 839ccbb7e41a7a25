"""The order is a function of the seed, every example comes once, and batches hold hardly any padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenhand.models.load import load_image_processor, load_tokenizer
from evenhand.training import batches as room
from evenhand.training.batches import encode_images, encode_texts, epoch_batches, longest_first_batches
from small_models import base, inputs, pictures, posts

CPU = torch.device("cpu")


def lengths_like_posts(n: int) -> np.ndarray:
    return np.clip(np.random.default_rng(0).lognormal(3.1, 0.6, n), 3, 128).astype(np.int64)


@pytest.mark.parametrize("count", [1, 7, 32, 33, 1000, 5000])
@pytest.mark.parametrize("sorted_", [True, False])
def test_every_example_comes_once_in_an_epoch(count, sorted_):
    cut = epoch_batches(count, lengths_like_posts(count) if sorted_ else None, 32, seed=0, epoch=0)
    assert sorted(np.concatenate(cut)) == list(range(count))
    assert len(cut) == -(-count // 32)
    assert sum(len(rows) != 32 for rows in cut) == (count % 32 > 0)


def test_the_order_is_a_function_of_seed_and_epoch():
    lengths = lengths_like_posts(500)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(500, lengths, 32, seed, epoch)).tolist()

    assert order(3, 1) == order(3, 1)
    assert order(3, 1) != order(3, 2)
    assert order(3, 1) != order(4, 1)


def test_batches_of_like_lengths_hold_hardly_any_padding():
    lengths = lengths_like_posts(8000)
    sorted_ = epoch_batches(8000, lengths, 32, 0, 0)
    shuffled = epoch_batches(8000, None, 32, 0, 0)

    def padding(cut) -> float:
        return sum(len(rows) * lengths[rows].max() for rows in cut) / lengths.sum()

    assert padding(sorted_) < 1.06
    assert padding(shuffled) > 2


def test_batches_of_long_and_short_texts_come_mixed():
    lengths = lengths_like_posts(8000)
    means = np.array([lengths[rows].mean() for rows in epoch_batches(8000, lengths, 32, 0, 0)])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


def test_what_is_left_over_is_a_random_sample():
    lengths = np.arange(3205)
    left = [rows for seed in range(200) for rows in epoch_batches(3205, lengths, 32, seed, 0) if len(rows) == 5]
    assert len(left) == 200
    # The mean of 1,000 draws from 0..3204 has a standard error of 29.
    assert abs(np.mean(left) - 1602) < 120


def test_prediction_takes_the_longest_first():
    lengths = np.array([3, 9, 1, 9, 4])
    assert [rows.tolist() for rows in longest_first_batches(5, lengths, 2)] == [[1, 3], [4, 0], [2]]


def test_texts_are_padded_on_the_right_to_the_longest_of_their_batch():
    texts = encode_texts(load_tokenizer(base("bert")), ["the river", "the river was near the table", ""], 64)
    batch = texts.batch(np.array([2, 0, 1]), CPU)
    assert batch["input_ids"].shape == (3, 8)
    assert batch["attention_mask"].sum(1).tolist() == [2, 4, 8] == texts.lengths[[2, 0, 1]].tolist()
    assert (batch["input_ids"][batch["attention_mask"] == 0] == texts.padding).all()
    assert texts.batch(np.array([0]), CPU)["input_ids"].shape == (1, 4)


def test_texts_are_cut_at_max_length():
    texts = encode_texts(load_tokenizer(base("bert")), ["river " * 500], 12)
    assert texts.lengths.tolist() == [12]
    assert encode_texts(load_tokenizer(base("bert")), ["river " * 500], 4096).lengths.tolist() == [64]


def test_no_texts_are_no_error():
    assert len(encode_texts(load_tokenizer(base("bert")), [], 12)) == 0


def test_images_are_what_the_base_models_processor_makes_of_them():
    processor = load_image_processor(base("vit"))
    dataset = pictures(5)
    images = encode_images(processor, dataset.inputs)
    direct = processor(images=list(dataset.inputs), return_tensors="np")["pixel_values"]
    assert np.array_equal(images.pixels, direct)
    assert images.batch(np.array([4, 1]), CPU)["pixel_values"].shape == (2, 3, 16, 16)


def test_pixels_beyond_memory_are_kept_in_a_file(monkeypatch):
    processor = load_image_processor(base("vit"))
    held = encode_images(processor, pictures(6).inputs).pixels
    monkeypatch.setattr(room, "IN_MEMORY", 1000)
    filed = encode_images(processor, pictures(6).inputs).pixels
    assert isinstance(filed, np.memmap)
    assert np.array_equal(held, filed)


def test_lengths_count_what_the_model_sees():
    dataset = posts(20)
    texts = inputs(dataset)
    assert [len(tokens) for tokens in texts.tokens] == texts.lengths.tolist()
