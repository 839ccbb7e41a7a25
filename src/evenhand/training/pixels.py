"""Decodes and resizes images once for all trials of a study, and caches the bytes on disk.

An image processor works in two stages. Resizing and cropping give bytes, which are computed once per image and kept in
files. Rescaling and normalizing map each channel's byte to a number, independently of its neighbours: a table of 256
numbers per channel, which the processor itself fills in. So a model receives, bit for bit, the processor's output.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from evenhand.data.images import LazyImage
from evenhand.errors import InputError
from evenhand.training.feature_cache import FeatureCache

if TYPE_CHECKING:
    from transformers.image_processing_utils import BaseImageProcessor

RESIZES = ("do_resize", "do_center_crop", "do_pad")
"""A processor's settings of its first stage, which changes an image's bytes."""


@dataclass(frozen=True, eq=False)
class ByteToPixel:
    """The function by which an image processor maps a byte of each channel to a float.

    Attributes:
        table: float32 [channels, 256].
        moments: mean and standard deviation, float32 [channels, 1, 1], if (byte / 255 - mean) / deviation gives
            exactly the same numbers, because this is faster; None otherwise.
    """

    table: np.ndarray
    moments: tuple[torch.Tensor, torch.Tensor] | None

    def apply_into(self, image: np.ndarray, out: np.ndarray) -> None:
        """Map the bytes of one image, uint8 [channels, height, width], into the float32 array `out` of that shape.

        It maps one image at a time, so that the image stays in the processor's cache between steps.
        """
        if self.moments is not None:
            mean, deviation = self.moments
            torch.from_numpy(out).copy_(torch.from_numpy(image)).div_(255).sub_(mean).div_(deviation)
            return
        for channel, table in enumerate(self.table):
            np.take(table, image[channel], out=out[channel], mode="clip")

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return one image's bytes as float32, both [channels, height, width]."""
        pixels = np.empty(image.shape, dtype=np.float32)
        self.apply_into(image, pixels)
        return pixels


@dataclass(frozen=True, eq=False)
class ResizedImages:
    """Resized images in files, of which only the current batch is in memory.

    Attributes:
        files: each uint8 [images, channels, height, width].
        locations: int64 [n, 2], an example's file and its row there.
        shape: channels, height, width.
        byte_to_pixel: maps bytes to the model's inputs.
    """

    files: tuple[Path, ...]
    locations: np.ndarray
    shape: tuple[int, ...]
    byte_to_pixel: ByteToPixel

    @property
    def lengths(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.locations)

    def content_bytes(self, row: int) -> bytes:
        """Return the bytes of the resized image."""
        return self.read_bytes(np.array([row])).tobytes()

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return `pixel_values`, float32 [len(rows), channels, height, width]."""
        pixels = np.empty((len(rows), *self.shape), dtype=np.float32)
        for index, image in self._mapped(rows):
            self.byte_to_pixel.apply_into(image, pixels[index])
        return {"pixel_values": torch.from_numpy(pixels).to(device, non_blocking=True)}

    def read_bytes(self, rows: np.ndarray) -> np.ndarray:
        """Return the resized images' bytes, uint8 [len(rows), channels, height, width]."""
        pixels = np.empty((len(rows), *self.shape), dtype=np.uint8)
        for index, image in self._mapped(rows):
            pixels[index] = image
        return pixels

    def _mapped(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each example's position in `rows` and its bytes, mapped from the file."""
        files, locations = self.locations[rows].T
        for number in np.unique(files):
            # Mapped for this batch alone, because pages of a lasting mapping count as memory of the process. It is one
            # that may be written to (a copy, then), since PyTorch warns of any other.
            mapped = np.memmap(self.files[number], dtype=np.uint8, mode="c").reshape(-1, *self.shape)
            for index in np.flatnonzero(files == number):
                yield int(index), mapped[locations[index]]


def resize_images(processor: BaseImageProcessor, images: Sequence[LazyImage], folder: Path) -> ResizedImages | None:
    """Resize images into files below a folder, except for those that are already there.

    Args:
        processor: of the base model, over PIL.
        images: [n], at least one.
        folder: holds a cache for each kind of processing; several processes may use it at once.

    Returns:
        None if the processor's work cannot be divided into two stages, or if the bytes would take more than half of the
        free disk.

    Raises:
        InputError: a file is not an image, or the processor returns images of different sizes.
    """
    byte_to_pixel = _byte_to_pixel(processor)
    if byte_to_pixel is None:
        return None
    cache = FeatureCache(folder / _cache_name(processor))
    keys = [image.key for image in images]
    known = {key for _, index in cache.parts() for key in index["keys"]}
    missing = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
    if missing and not _resize_missing(cache, processor, byte_to_pixel, missing):
        return None
    files, locations = [], {}
    for number, (file, index) in enumerate(cache.parts()):
        files.append(file)
        locations |= {key: (number, row) for row, key in enumerate(index["keys"])}
        shape = tuple(index["shape"])
    return ResizedImages(tuple(files), np.array([locations[key] for key in keys]), shape, byte_to_pixel)


def _resize_missing(
    cache: FeatureCache, processor: Any, byte_to_pixel: ByteToPixel, missing: dict[str, LazyImage]
) -> bool:
    """Decode, resize and store images by key; return whether they were stored."""
    first = np.asarray(next(iter(missing.values())))
    first_bytes = _resized_bytes(processor, first)
    whole = np.asarray(processor(images=first, return_tensors="np")["pixel_values"], dtype=np.float32)
    if first_bytes.dtype != np.uint8 or not np.array_equal(byte_to_pixel.apply(first_bytes[0]), whole[0]):
        return False
    if not cache.has_room(len(missing) * first_bytes.nbytes):
        return False
    with cache.writing() as writer:
        for key, image in missing.items():
            made = _resized_bytes(processor, np.asarray(image))
            if made.shape != first_bytes.shape:
                raise InputError(
                    f"the base model's image processor leaves images of different sizes, {first_bytes.shape[2:]} and "
                    f"{made.shape[2:]}; its preprocessor_config.json should resize or crop all to one"
                )
            writer.add([key], [torch.from_numpy(made)])
        writer.commit()
    return True


def _resized_bytes(processor: Any, image: np.ndarray) -> np.ndarray:
    """Return the resized and cropped image, [1, channels, height, width]."""
    return np.asarray(
        processor(images=image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"]
    )


def _byte_to_pixel(processor: Any) -> ByteToPixel | None:
    """Return the processor's function from bytes to floats; None if it has no such function per byte."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    off = {name: False for name in RESIZES if getattr(processor, name, None)}
    made = np.asarray(processor(images=ramp, return_tensors="np", **off)["pixel_values"], dtype=np.float32)
    if made.shape != (1, 3, 16, 16):
        return None
    table, normal = made.reshape(3, 256), bool(processor.do_normalize)
    mean, deviation = (
        torch.tensor(moment if normal else [neutral] * 3, dtype=torch.float32)[:, None, None]
        for moment, neutral in ((processor.image_mean, 0.0), (processor.image_std, 1.0))
    )
    tried = ByteToPixel(table, (mean, deviation))
    same = np.array_equal(tried.apply(np.ascontiguousarray(ramp.transpose(2, 0, 1))), made[0])
    return tried if same else ByteToPixel(table, None)


def _cache_name(processor: Any) -> str:
    """Return a hash of everything that determines an image's resized bytes besides the image itself."""
    made = {
        "processor": processor.to_json_string(),
        **{package: metadata.version(package) for package in ("pillow", "transformers")},
    }
    return hashlib.blake2b(json.dumps(made, sort_keys=True).encode(), digest_size=16).hexdigest()
