"""Images that are read when they are asked for."""

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
class Picture:
    """An image as it is kept; `np.asarray` decodes it, to uint8 [H, W, 3], upright, RGB.

    Attributes:
        kept: its file, or the bytes of one.
    """

    kept: Path | bytes

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(decode(self.kept), dtype=dtype)

    @property
    def key(self) -> str:
        """A hash of the bytes that it is decoded from: the same wherever they are kept."""
        return content_key(self.kept)


class Images(Sequence[Picture]):
    """Images, none of which is decoded before its pixels are asked for.

    Args:
        source: where an image is, by position: a file, or its bytes.
        length: how many there are.
    """

    def __init__(self, source: Callable[[int], Path | bytes], length: int) -> None:
        self._source, self._length = source, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(self._length))]
        if not -self._length <= position < self._length:
            raise IndexError(position)
        return Picture(self._source(int(position) % self._length))


def decode(image: Path | bytes) -> np.ndarray:
    """An image file, or its bytes, as uint8 [H, W, 3]: turned as its camera says, transparency dropped.

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


def readable(path: Path) -> bool:
    """Whether a file can be decoded to its end. A JPEG is decoded at an eighth of its size, which goes through all its
    bytes in a fraction of the time."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            opened.draft(None, (1, 1))
            opened.load()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return False
    return True


def content_key(image: Path | bytes) -> str:
    """A hash of an image file's bytes. A file is read once for as long as its size and its time of change stay."""
    if isinstance(image, bytes):
        return hashlib.blake2b(image, digest_size=16).hexdigest()
    status = image.stat()
    return _file_key(image, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2**20)
def _file_key(path: Path, size: int, changed: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def image_files(names: Sequence[str], folder: Path, where: str) -> Images:
    """Images by file name.

    Args:
        names: paths, relative to `folder` or absolute.
        folder: of the table that names them.
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
    return Images(paths.__getitem__, len(paths))
