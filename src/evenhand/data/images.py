"""Images that are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from evenhand.errors import InputError


class Images(Sequence[np.ndarray]):
    """Images, each decoded on access and not kept: uint8 [H, W, 3], upright, RGB.

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
        return decode(self._source(int(position) % self._length))


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
