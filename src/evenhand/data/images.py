"""Defines images that are decoded only when their pixels are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from evenhand.errors import InputError


@dataclass(frozen=True)
class LazyImage:
    """An image file or its bytes; `np.asarray` decodes it to uint8 [H, W, 3], upright, RGB.

    Attributes:
        kept: the image file, or its bytes.
    """

    kept: Path | bytes

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Decode the image."""
        return np.asarray(decode(self.kept), dtype=dtype)

    @property
    def key(self) -> str:
        """A hash of the encoded bytes, wherever they are stored."""
        return content_key(self.kept)


class LazyImages(Sequence[LazyImage]):
    """A sequence of images that are decoded only when their pixels are needed.

    Args:
        source: returns the file or the bytes of the image at a position.
        length: number of images.
    """

    def __init__(self, source: Callable[[int], Path | bytes], length: int) -> None:
        """Take the images from `source`."""
        self._source, self._length = source, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(self._length))]
        if not -self._length <= position < self._length:
            raise IndexError(position)
        return LazyImage(self._source(int(position) % self._length))


def decode(image: Path | bytes) -> np.ndarray:
    """Decode an image file, or its bytes, to uint8 [H, W, 3], rotated according to its EXIF data, without transparency.

    Raises:
        InputError: it cannot be read as an image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(image) if isinstance(image, bytes) else image) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        name = f"an image of {len(image):,} bytes" if isinstance(image, bytes) else str(image)
        raise InputError(f"{name} cannot be read as an image ({type(error).__name__})") from None


def is_readable(path: Path) -> bool:
    """Return whether a file can be decoded completely.

    A JPEG is decoded at an eighth of its size, which reads all its bytes in a fraction of the time.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            opened.draft(None, (1, 1))
            opened.load()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return False
    return True


def content_key(image: Path | bytes) -> str:
    """Return a hash of an image file's bytes. A file is read again only if its size or modification time changes."""
    if isinstance(image, bytes):
        return hashlib.blake2b(image, digest_size=16).hexdigest()
    status = image.stat()
    return _file_key(image, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2**20)
def _file_key(path: Path, size: int, changed: int) -> str:
    """Return a hash of a file's bytes; `size` and `changed` are cache keys."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def lazy_image_files(names: Sequence[str], folder: Path, where: str) -> LazyImages:
    """Return images by file name, without reading them; raise InputError if a file is missing.

    Args:
        names: paths, relative to `folder` or absolute.
        folder: folder of the table that names them.
        where: the column, for the error.

    Raises:
        InputError: a file is missing.
    """
    paths = [folder / name for name in names]
    absent = [path for path in paths if not path.is_file()]
    if absent:
        raise InputError(
            f"{where}: {len(absent):,} of {len(paths):,} image files are missing, the first is {absent[0]}; "
            f"relative paths are looked for below {folder}"
        )
    return LazyImages(paths.__getitem__, len(paths))
