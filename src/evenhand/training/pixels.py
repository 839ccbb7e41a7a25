"""Images that are decoded and resized once, for all trials of a study.

A processor's work has two halves. Resizing and cropping give bytes; that is done once for an image, and the bytes are
kept in files. Rescaling and normalising turn a channel's byte into one number, whatever stands beside it: a table of
256 numbers for each channel, which the processor itself fills in. So a model is given, bit for bit, what the processor
gives.
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

from evenhand.data.images import Picture
from evenhand.errors import InputError
from evenhand.training.feature_cache import FeatureCache

if TYPE_CHECKING:
    from transformers.image_processing_utils import BaseImageProcessor

RESIZES = ("do_resize", "do_center_crop", "do_pad")
"""What a processor does to bytes, as it calls it."""


@dataclass(frozen=True, eq=False)
class Levels:
    """What a processor makes of bytes.

    Attributes:
        table: float32 [channels, 256].
        moments: mean and standard deviation, float32 [channels, 1, 1], with which (byte / 255 - mean) / deviation gives
            the same numbers to the last bit, and sooner; None where it does not.
    """

    table: np.ndarray
    moments: tuple[torch.Tensor, torch.Tensor] | None

    def write(self, image: np.ndarray, out: np.ndarray) -> None:
        """Of the bytes of one image, uint8 [channels, height, width], into float32 of that shape. One image at a time:
        the steps of its arithmetic then find it in the cache."""
        if self.moments is not None:
            mean, deviation = self.moments
            torch.from_numpy(out).copy_(torch.from_numpy(image)).div_(255).sub_(mean).div_(deviation)
            return
        for channel, table in enumerate(self.table):
            np.take(table, image[channel], out=out[channel], mode="clip")

    def of(self, image: np.ndarray) -> np.ndarray:
        """float32 of one image's bytes, both [channels, height, width]."""
        found = np.empty(image.shape, dtype=np.float32)
        self.write(image, found)
        return found


@dataclass(frozen=True, eq=False)
class Resized:
    """Images in files, of which a batch alone is ever in memory.

    Attributes:
        files: each uint8 [images, channels, height, width].
        places: int64 [n, 2], an example's file and its row there.
        shape: channels, height, width.
        levels: what a model is given for a byte.
    """

    files: tuple[Path, ...]
    places: np.ndarray
    shape: tuple[int, ...]
    levels: Levels

    @property
    def lengths(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.places)

    def contents(self, row: int) -> bytes:
        """Its bytes, resized."""
        return self.read(np.array([row])).tobytes()

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """`pixel_values`, float32 [len(rows), channels, height, width]."""
        found = np.empty((len(rows), *self.shape), dtype=np.float32)
        for place, image in self._mapped(rows):
            self.levels.write(image, found[place])
        return {"pixel_values": torch.from_numpy(found).to(device, non_blocking=True)}

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Bytes, uint8 [len(rows), channels, height, width]."""
        found = np.empty((len(rows), *self.shape), dtype=np.uint8)
        for place, image in self._mapped(rows):
            found[place] = image
        return found

    def _mapped(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """The bytes of each of these examples and its place among them."""
        files, places = self.places[rows].T
        for number in np.unique(files):
            # Mapped for this batch alone: pages of a mapping that stays count as memory of the process. It is one that
            # may be written to (a copy, then), since PyTorch warns of any other.
            mapped = np.memmap(self.files[number], dtype=np.uint8, mode="c").reshape(-1, *self.shape)
            for place in np.flatnonzero(files == number):
                yield int(place), mapped[places[place]]


def resized(processor: BaseImageProcessor, images: Sequence[Picture], folder: Path) -> Resized | None:
    """The images as files in a folder: those that are there already are not decoded again.

    Args:
        processor: of the base model, over PIL.
        images: [n], at least one.
        folder: holds a shelf for each kind of processing; several processes may use it at once.

    Returns:
        None where a processor's work does not fall in two halves, or half of the free disk would not hold its bytes.

    Raises:
        InputError: a file is no image, or the processor leaves images of different sizes.
    """
    levels = _levels(processor)
    if levels is None:
        return None
    shelf = FeatureCache(folder / _name(processor))
    keys = [image.key for image in images]
    known = {key for _, index in shelf.parts() for key in index["keys"]}
    missing = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
    if missing and not _fill(shelf, processor, levels, missing):
        return None
    files, places = [], {}
    for number, (file, index) in enumerate(shelf.parts()):
        files.append(file)
        places |= {key: (number, row) for row, key in enumerate(index["keys"])}
        shape = tuple(index["shape"])
    return Resized(tuple(files), np.array([places[key] for key in keys]), shape, levels)


def _fill(shelf: FeatureCache, processor: Any, levels: Levels, missing: dict[str, Picture]) -> bool:
    """Decode, resize and keep images, by key; whether they are kept."""
    first = np.asarray(next(iter(missing.values())))
    one = _bytes_of(processor, first)
    whole = np.asarray(processor(images=first, return_tensors="np")["pixel_values"], dtype=np.float32)
    if one.dtype != np.uint8 or not np.array_equal(levels.of(one[0]), whole[0]):
        return False
    if not shelf.has_room(len(missing) * one.nbytes):
        return False
    with shelf.writing() as part:
        for key, image in missing.items():
            made = _bytes_of(processor, np.asarray(image))
            if made.shape != one.shape:
                raise InputError(
                    f"the base model's image processor leaves images of different sizes, {one.shape[2:]} and "
                    f"{made.shape[2:]}; its preprocessor_config.json should resize or crop all to one"
                )
            part.add([key], [torch.from_numpy(made)])
        part.keep()
    return True


def _bytes_of(processor: Any, image: np.ndarray) -> np.ndarray:
    """[1, channels, height, width], resized and cropped."""
    return np.asarray(
        processor(images=image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"]
    )


def _levels(processor: Any) -> Levels | None:
    """What the processor makes of a byte of each of three channels; None where it makes something else of an image."""
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
    tried = Levels(table, (mean, deviation))
    same = np.array_equal(tried.of(np.ascontiguousarray(ramp.transpose(2, 0, 1))), made[0])
    return tried if same else Levels(table, None)


def _name(processor: Any) -> str:
    """What decides the bytes of an image besides the image."""
    made = {
        "processor": processor.to_json_string(),
        **{package: metadata.version(package) for package in ("pillow", "transformers")},
    }
    return hashlib.blake2b(json.dumps(made, sort_keys=True).encode(), digest_size=16).hexdigest()
