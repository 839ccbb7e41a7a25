"""Compares reading images from a study's cache with decoding them by PIL each time; measures memory as the folder
grows.

    python benchmarks/images.py

The images are drawn faces as JPEG files of 224 × 224 pixels, no two with the same bytes, read in shuffled batches of
32 with the image processor of ViT-Base. The first comparison is about decoding: a trial reads resized bytes from its
second epoch on, and PIL decodes and resizes. The second comparison covers the whole path to the model's inputs:
rescaled and normalised bytes, against the processor applied to an image that PIL decodes. The variants take turns,
`--rounds` times; ratios are of medians of processor time. Then an epoch over a small and a large folder, each in its
own process, shows how much memory has grown at its end, and at its peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import ViTImageProcessorPil

from evenhand.data import drawings
from evenhand.data.images import LazyImages, decode
from evenhand.training.pixels import resize_images

SIDE, BATCH, DRAWN = 224, 32, 200
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=640, help="of the comparison of speeds")
    parser.add_argument("--folders", type=int, nargs="*", default=[1000, 10000], help="images of each folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--held", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.held is not None:
        print(json.dumps(memory_of_an_epoch(options.held)))
        return
    with tempfile.TemporaryDirectory() as place:
        speeds(write(Path(place) / "speed", options.images), Path(place) / "kept", options.rounds)
        held = []
        for count in options.folders:
            write(Path(place) / str(count), count)
            command = [sys.executable, __file__, "--held", str(Path(place) / str(count))]
            held.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        for count, found in zip(options.folders, held, strict=True):
            size, now, most = (found[name] / 1e6 for name in ("bytes", "now", "most"))
            print(f"{count:6,} images ({size:6,.0f} MB of pixels): {now:5.1f} MB more, {most:5.1f} MB at the most")


def write(folder: Path, count: int) -> Path:
    """JPEG files of drawn faces; a comment makes the bytes of each file unique."""
    folder.mkdir(parents=True)
    faces = drawings.draw(drawings.random_faces(np.random.default_rng(0), DRAWN))
    large = [Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for face in faces]
    for number in range(count):
        large[number % DRAWN].save(folder / f"{number:06d}.jpg", quality=90, comment=str(number))
    return folder


def images_of(folder: Path) -> LazyImages:
    paths = sorted(folder.iterdir())
    return LazyImages(paths.__getitem__, len(paths))


def speeds(folder: Path, kept: Path, rounds: int) -> None:
    """Prints images per second of each way of reading."""
    images, processor = images_of(folder), ViTImageProcessorPil()
    started = time.perf_counter()
    found = resize_images(processor, images, kept)
    first = time.perf_counter() - started
    assert found is not None

    def by_processor(rows: np.ndarray) -> torch.Tensor:
        return processor(images=[np.asarray(images[int(row)]) for row in rows], return_tensors="pt")["pixel_values"]

    def by_pil(rows: np.ndarray) -> list[np.ndarray]:
        decoded = [Image.fromarray(decode(images[int(row)].kept)) for row in rows]
        return [np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in decoded]

    ways: dict[str, Callable[[np.ndarray], object]] = {
        "bytes that are kept": found.read_bytes,
        "bytes from PIL each time": by_pil,
        "numbers of kept bytes": lambda rows: found.batch(rows, CPU),
        "numbers from the processor each time": by_processor,
    }
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(images))[:BATCH]
    assert torch.equal(found.batch(rows, CPU)["pixel_values"], by_processor(rows))
    assert np.array_equal(found.read_bytes(rows), np.stack(by_pil(rows)).transpose(0, 3, 1, 2))
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        batches = np.array_split(rng.permutation(len(images)), len(images) // BATCH)
        for name, read in ways.items():
            started = time.process_time()
            for rows in batches:
                read(rows)
            taken[name].append(time.process_time() - started)
    print(f"first epoch, which also decodes and writes: {1000 * first / len(images):.2f} ms an image")
    each = {name: 1000 * statistics.median(times) / len(images) for name, times in taken.items()}
    for kept_way, other in zip(list(each)[::2], list(each)[1::2], strict=True):
        print(f"{kept_way}: {each[kept_way]:.3f} ms of processor time an image")
        print(f"{other}: {each[other]:.3f} ms, {each[other] / each[kept_way]:.1f} times as long")


def memory_of_an_epoch(folder: Path) -> dict[str, int]:
    """Bytes of memory that reading all images of a folder adds to the process, which has read one before."""
    images, processor = images_of(folder), ViTImageProcessorPil()
    with tempfile.TemporaryDirectory() as kept:
        resize_images(processor, images[:1], Path(kept))
        before, most = _now(), _most()
        found = resize_images(processor, images, Path(kept))
        assert found is not None
        for rows in np.array_split(np.random.default_rng(0).permutation(len(images)), len(images) // BATCH):
            found.batch(rows, CPU)
        size = len(images) * int(np.prod(found.shape))
        return {"now": _now() - before, "most": _most() - most, "bytes": size}


def _now() -> int:
    """Resident memory in bytes, pages of files included (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _most() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
