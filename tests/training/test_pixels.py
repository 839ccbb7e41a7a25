"""Images kept as their processor resizes them: the same numbers, decoded once, whoever comes first."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image

from evenhand.data.dataset import TrainingExamples
from evenhand.data.images import LazyImage, LazyImages
from evenhand.errors import InputError
from evenhand.tasks.classification import train
from evenhand.training.pixels import ResizedImages, resize_images
from small_models import pictures, work

CPU = torch.device("cpu")
SQUARE = {"height": 16, "width": 16}


def photographs(folder: Path, n: int = 6, side: int = 20) -> list[LazyImage]:
    """JPEG files of noise, no two of one size."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    found = []
    for number in range(n):
        path = folder / f"{number}.jpg"
        Image.fromarray(rng.integers(0, 256, (side + number, side + 2 * number, 3), dtype=np.uint8)).save(path)
        found.append(LazyImage(path))
    return found


def plain(**options) -> tf.ViTImageProcessorPil:
    return tf.ViTImageProcessorPil(**{"size": SQUARE, **options})


def given(found: ResizedImages | None, rows: list[int] | None = None) -> np.ndarray:
    """What a model is given."""
    assert found is not None
    return found.batch(np.arange(len(found)) if rows is None else np.array(rows), CPU)["pixel_values"].numpy()


@pytest.mark.parametrize(
    "processor",
    [
        plain(),
        plain(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], resample=3),
        plain(size={"shortest_edge": 24}, do_center_crop=True, crop_size=SQUARE),
        plain(do_normalize=False),
        plain(rescale_factor=1 / 127.5, image_mean=[1.0] * 3),
        tf.ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875),
    ],
    ids=["square", "means", "cropped", "not normalised", "another scale", "convnext"],
)
def test_a_model_is_given_what_its_processor_gives_bit_for_bit(tmp_path, processor):
    images = photographs(tmp_path / "in")
    direct = processor(images=[np.asarray(image) for image in images], return_tensors="np")["pixel_values"]
    found = resize_images(processor, images, tmp_path / "kept")
    assert np.array_equal(given(found), np.asarray(direct, dtype=np.float32))
    assert np.array_equal(given(found, [4, 1, 1]), direct[[4, 1, 1]].astype(np.float32))


def test_an_image_is_decoded_once(tmp_path):
    images = photographs(tmp_path / "in")
    first = given(resize_images(plain(), images, tmp_path / "kept"))
    for image in images:
        path, times = Path(str(image.kept)), Path(str(image.kept)).stat()
        path.write_bytes(b"0" * times.st_size)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert np.array_equal(given(resize_images(plain(), images[::-1], tmp_path / "kept")), first[::-1])


def test_a_changed_file_and_other_settings_are_decoded_anew(tmp_path):
    images = photographs(tmp_path / "in")
    before = given(resize_images(plain(), images, tmp_path / "kept"))
    Image.new("RGB", (30, 30), (255, 0, 0)).save(str(images[2].kept))
    after = given(resize_images(plain(), images, tmp_path / "kept"))
    assert [np.array_equal(before[row], after[row]) for row in range(6)] == [row != 2 for row in range(6)]
    assert given(resize_images(plain(size={"height": 8, "width": 8}), images, tmp_path / "kept")).shape == (6, 3, 8, 8)


def test_copies_and_images_in_memory_share_what_is_kept_of_their_contents(tmp_path):
    images = photographs(tmp_path / "in", 3)
    kept = [Path(str(image.kept)).read_bytes() for image in images]
    resize_images(plain(), images, tmp_path / "kept")
    found = resize_images(plain(), [LazyImage(kept[1]), *images, LazyImage(kept[1])], tmp_path / "kept")
    assert found is not None and len(found.files) == 1
    assert found.locations[:, 1].tolist() == [1, 0, 1, 2, 1]


def test_what_was_cut_off_is_decoded_again(tmp_path):
    images = photographs(tmp_path / "in")
    found = resize_images(plain(), images, tmp_path / "kept")
    first = given(found)
    assert found is not None
    with found.files[0].open("r+b") as file:
        file.truncate(1000)
    assert np.array_equal(given(resize_images(plain(), images, tmp_path / "kept")), first)


def test_processes_that_start_together_keep_the_same(tmp_path):
    images = photographs(tmp_path / "in", 12)
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_pixels import *\n"
        "folder = Path(sys.argv[1])\n"
        "given(resize_images(plain(), photographs(folder / str(sys.argv[3]), 12), folder / 'kept'))"
    )
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(tests.parent)}
    commands = [[sys.executable, "-c", script, str(tmp_path), str(tests), str(number)] for number in range(2)]
    running = [subprocess.Popen(command, env=environment) for command in commands]
    assert [process.wait() for process in running] == [0, 0]
    (shelf,) = (tmp_path / "kept").iterdir()
    assert not [path for path in shelf.iterdir() if path.name.startswith(".")]
    direct = plain()(images=[np.asarray(image) for image in images], return_tensors="np")["pixel_values"]
    assert np.array_equal(given(resize_images(plain(), images, tmp_path / "kept")), direct)


class Whitened(tf.ViTImageProcessorPil):
    """Normalises every image by its own mean, so that a byte alone does not say what it becomes."""

    def normalize(self, image, mean, std, **options):
        return image - image.mean()


def test_a_processor_that_looks_at_a_whole_image_is_left_as_it_is(tmp_path):
    assert resize_images(Whitened(size=SQUARE), photographs(tmp_path / "in"), tmp_path / "kept") is None


def test_images_that_a_processor_leaves_of_different_sizes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"leaves images of different sizes, \(20, 20\) and \(21, 22\)"):
        resize_images(plain(do_resize=False), photographs(tmp_path / "in"), tmp_path / "kept")


def test_a_trial_on_files_is_the_trial_on_their_pixels(tmp_path):
    dataset = pictures(24)
    files = []
    for number, image in enumerate(dataset.inputs):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(files[-1])
    filed = replace(dataset, inputs=LazyImages(files.__getitem__, 24))
    (tmp_path / "out").mkdir()

    def trained(data, features):
        one = replace(
            work({"kind": "full", "lr": 1e-3, "epochs": 2}, "vit"),
            examples=TrainingExamples(data.inputs, data.labels),
            validation=None,
        )
        return train(one, tmp_path / "out", {"test": data}, features=features)[1]["logits"].to_numpy()

    assert np.array_equal(trained(dataset, None), trained(filed, tmp_path / "features"))
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["images"]
